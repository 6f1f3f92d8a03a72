package clickhouse

import (
	"slices"

	"deskhouse/source"
)

// customCells are the cf_* columns in use. Members of cf come in any order, so
// each remembers the last row it was filled for.
type customCells struct {
	fields []customColumn
	cells  []cells
	byAPI  map[string]int
	filled []bool // in the row being added
	// held are the kept values of the row being added, formerly the columns that
	// only ever get those.
	held     keptValues
	formerly []customColumn
	former   []cells
	next     int // where the next member is expected: portals send one order
}

func newCustomBlock(all []customColumn) customCells {
	c := customCells{byAPI: map[string]int{}}
	for _, field := range all {
		if field.former {
			continue
		}
		c.byAPI[field.APIName] = len(c.cells)
		c.fields = append(c.fields, field)
		c.cells = append(c.cells, field.cells())
	}
	c.filled = make([]bool, len(c.cells))
	return c
}

// cells decodes the field into its column.
func (c customColumn) cells() cells {
	if c.keyID != "" {
		return &hashCells{}
	}
	return newCustomCells(c.typ)
}

// withFormer adds the columns that fields left.
func (c customCells) withFormer(all []customColumn) customCells {
	for _, field := range all {
		if field.former {
			c.formerly, c.former = append(c.formerly, field), append(c.former, field.cells())
		}
	}
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
	case c.fields[i].removed && source.IsNull(m.Value):
		return placed // no value, so what is held stays
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

// endRow fills what the row did not have: with what it held, where that is kept.
// It returns the former values that no column took.
func (c *customCells) endRow() (former []source.Member) {
	for i, filled := range c.filled {
		if !filled {
			c.keep(c.cells[i], c.fields[i])
		}
	}
	for i := range c.former {
		c.keep(c.former[i], c.formerly[i])
	}
	former = c.held.former
	clear(c.filled)
	c.next, c.held = 0, keptValues{}
	return former
}

// keep adds what the row held in a column, or else a former value of _extra that
// the column of a former or removed field takes back.
func (c *customCells) keep(into cells, field customColumn) {
	raw, held := c.held.byColumn[field.name]
	if !held && field.kept() {
		i := slices.IndexFunc(c.held.former, func(m source.Member) bool { api, _ := formerOf(m.Name); return api == field.APIName })
		if i >= 0 {
			if into.add(c.held.former[i].Value) {
				c.held.former = slices.Delete(slices.Clone(c.held.former), i, i+1)
			}
			return
		}
	}
	into.add(raw)
}

func (c *customCells) reset() { c.next, c.held = 0, keptValues{} }

func (c *customCells) columns() []column {
	var cols []column
	for _, f := range slices.Concat(c.fields, c.formerly) {
		cols = append(cols, f.column())
	}
	return cols
}
