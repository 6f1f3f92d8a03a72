package clickhouse

import "deskhouse/source"

// customCells are the cf_* columns in use. Members of cf come in any order, so
// each remembers the last row it was filled for.
type customCells struct {
	fields []customColumn
	cells  []cells
	byAPI  map[string]int
	filled []bool // in the row being added
	next   int    // where the next member is expected: portals send one order
}

func newCustomBlock(all []customColumn) customCells {
	c := customCells{byAPI: map[string]int{}}
	for _, field := range all {
		if field.former {
			continue
		}
		c.byAPI[field.APIName] = len(c.cells)
		c.fields = append(c.fields, field)
		c.cells = append(c.cells, newCustomCells(field.typ))
	}
	c.filled = make([]bool, len(c.cells))
	return c
}

// add places one member of cf.
func (c *customCells) add(m source.Member) reason {
	i, ok := c.find(m.Name)
	switch {
	case !ok && source.IsNull(m.Value):
		return placed // no column and no value: nothing is lost
	case !ok:
		return noColumn
	case c.filled[i]:
		return misfit // the same key twice in one object
	}
	c.filled[i] = true
	if !c.cells[i].add(m.Value) {
		return misfit
	}
	return placed
}

func (c *customCells) find(name string) (int, bool) {
	if c.next < len(c.fields) && c.fields[c.next].APIName == name {
		c.next++
		return c.next - 1, true
	}
	i, ok := c.byAPI[name]
	if ok {
		c.next = i + 1
	}
	return i, ok
}

// endRow fills what the row did not have.
func (c *customCells) endRow() {
	for i, filled := range c.filled {
		if !filled {
			c.cells[i].add("")
		}
	}
	clear(c.filled)
	c.next = 0
}

func (c *customCells) reset() { c.next = 0 }

func (c *customCells) columns() []column {
	cols := make([]column, len(c.fields))
	for i, f := range c.fields {
		cols[i] = f.column()
	}
	return cols
}
