package clickhouse

import (
	"fmt"
	"slices"

	"deskhouse/source"
)

// objectCells are the parallel array columns of an array of objects: one array
// a known member, one cell in each for every element, so that equal places
// belong to one object. 0 and the empty text stand for a member that is absent
// or null. Whatever the arrays do not show exactly (another key, a member that
// does not fit, a 0 or an empty text that was sent, an element that is no
// object) makes add return false, so that the value is kept whole besides.
type objectCells struct {
	elements []source.Element
	members  []memberCells
}

// memberCells is the column of one member.
type memberCells interface {
	sender
	// element takes the member's value of one object, "" for an absent one.
	// false means that the cell does not show it exactly.
	element(raw string) bool
	// endRow ends the array of a row; keep false makes it an empty one.
	endRow(keep bool)
	// texts is the last array with its items as text.
	texts() []string
}

func newObjectCells(elements []source.Element) *objectCells {
	c := &objectCells{elements: elements, members: make([]memberCells, len(elements))}
	for i, e := range elements {
		switch e.Kind {
		case source.KindID:
			c.members[i] = &memberArray[uint64]{parse: source.ParseID}
		case source.KindInt:
			c.members[i] = &memberArray[int64]{parse: source.ParseInt}
		default:
			c.members[i] = &memberArray[string]{parse: source.ParseString}
		}
	}
	return c
}

func (c *objectCells) columns() []sender {
	all := make([]sender, len(c.members))
	for i, m := range c.members {
		all[i] = m
	}
	return all
}

func (c *objectCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.endRow(false, true)
	}
	exact := true
	whole, ok := source.ParseObjects(raw, c.elements, func(values []string, _ string) {
		for i, m := range c.members {
			exact = m.element(values[i]) && exact
		}
	})
	return c.endRow(ok, ok && whole && exact)
}

func (c *objectCells) endRow(keep, exact bool) bool {
	for _, m := range c.members {
		m.endRow(keep)
	}
	return exact
}

// memberArray is an Array column of one of a few types.
type memberArray[T comparable] struct {
	arrays[T]
	row   []T
	parse func(raw string) (T, bool)
}

func (m *memberArray[T]) element(raw string) bool {
	var none T
	if source.IsNull(raw) {
		m.row = append(m.row, none)
		return true
	}
	v, ok := m.parse(raw)
	if !ok {
		v = none
	}
	m.row = append(m.row, v)
	return ok && v != none
}

func (m *memberArray[T]) endRow(keep bool) {
	var cell []T
	if keep {
		cell = slices.Clone(m.row)
	}
	m.put(cell, true)
	clear(m.row)
	m.row = m.row[:0]
}

func (m *memberArray[T]) texts() []string {
	var all []string
	for _, v := range m.cells[len(m.cells)-1] {
		all = append(all, fmt.Sprint(v))
	}
	return all
}
