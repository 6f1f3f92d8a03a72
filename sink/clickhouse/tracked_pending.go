package clickhouse

import (
	"slices"

	"deskhouse/source"
)

// Rows may lack the value of a pending column, and hold it elsewhere: in _extra,
// where it came before its column, or in the column that its field left for this
// one. Without looking there the first change of a row would be told to have
// brought what it had all along.

// beforePending is where rows may hold the values of the pending columns that the
// history follows.
type beforePending struct {
	pending []source.TrackedPending // one for each followed column; nil: none is pending
	extra   []formerPlace           // by their keys in _extra
	former  []formerPlace           // one for each column of before
	exprs   []string                // _extra if there is any of extra, then those columns
}

// extraWithCustom is _extra where it has a value of a custom field, NULL elsewhere.
const extraWithCustom = `if(position(_extra, '"cf.') > 0, _extra, NULL)`

// formerPlace is where a followed column's value may stand.
type formerPlace struct {
	column int    // followed
	typ    string // its type
	key    string // in _extra
}

// beforePending looks through the followed columns. Those of the catalog have no
// place of before that could be compared.
func (l *layout) beforePending(f *follower) beforePending {
	var b beforePending
	for i, col := range f.columns {
		if !l.pending.has(source.Content, col.name) {
			continue
		}
		if b.pending == nil {
			b.pending = make([]source.TrackedPending, len(f.columns))
		}
		b.pending[i] = source.TrackedUnfilled
		if n := slices.IndexFunc(l.custom, func(c customColumn) bool { return c.name == col.name }); n >= 0 {
			b.custom(l, i, l.custom[n])
		}
	}
	if len(b.extra) > 0 {
		b.exprs = slices.Insert(b.exprs, 0, extraWithCustom)
	}
	return b
}

// custom notes where the value of a custom column may stand. Hashes are in no
// other place.
func (b *beforePending) custom(l *layout, i int, c customColumn) {
	if c.revived {
		b.pending[i] = source.TrackedRevived
	}
	if c.keyID != "" {
		return
	}
	b.extra = append(b.extra, formerPlace{column: i, typ: c.typ, key: "cf." + c.APIName})
	for _, old := range l.custom {
		if old.former && old.APIName == c.APIName && old.keyID == "" {
			b.exprs = append(b.exprs, old.asJSON())
			b.former = append(b.former, formerPlace{column: i, typ: c.typ})
		}
	}
}

// read completes what a row holds by what stands in _extra, which is the newest
// there is of it, and returns what former columns hold.
func (b *beforePending) read(held, elsewhere []*string) map[int][]string {
	if len(b.extra) == 0 {
		return nil
	}
	members := extraMembers(elsewhere[0])
	for _, p := range b.extra {
		if text := p.text(string(members[p.key])); text != nil && (held[p.column] == nil || b.pending[p.column] == source.TrackedRevived) {
			held[p.column] = text
		}
	}
	var former map[int][]string
	for n, p := range b.former {
		value := elsewhere[1+n]
		if value == nil {
			continue
		}
		if text := p.text(*value); text != nil {
			if former == nil {
				former = map[int][]string{}
			}
			former[p.column] = append(former[p.column], *text)
		}
	}
	return former
}

// text is a value as its column would show it, nil for none and for one that the
// column cannot hold.
func (p formerPlace) text(raw string) *string {
	c := newCustomCells(p.typ)
	c.add(raw)
	return lastText(c)
}
