package pipeline

import (
	"fmt"
	"slices"

	"deskhouse/source"
)

// memKey is a record of a table.
type memKey struct {
	table source.Table
	key   source.Key
}

// memVersion is the content that a version of a row was written with.
type memVersion struct {
	version uint64
	record  *source.Record
}

// note remembers the contents of rows; the caller holds mu.
func (m *memWarehouse) note(t source.Table, rows []source.Row) {
	for i := range rows {
		if rec := rows[i].Record; rec != nil {
			k := memKey{t, rows[i].Key}
			m.written[k] = append(m.written[k], memVersion{rows[i].Version, rec})
		}
	}
}

// history holds the changes against the rows that they made: what they say of a
// version leads, one after the other, from what an earlier version held to what
// this one holds. Versions of a batch that a crash cut off were never written.
func (c audit) history() {
	type version struct {
		memKey
		version uint64
	}
	told := map[version][]source.Change{}
	for _, ch := range c.wh.changes {
		v := version{memKey{ch.Table, ch.Key}, ch.Version}
		told[v] = append(told[v], ch)
	}
	for v, changes := range told {
		after, before := contentsAt(c.wh.written[v.memKey], v.version)
		if after == nil || after.LeftOut { // of what is not selected nothing is told
			continue
		}
		read := valuesOf(v.table)
		said := endsOf(changes)
		for _, column := range trackedColumns(v.table) {
			var held []string
			for _, rec := range before {
				held = append(held, read(rec)[column])
			}
			c.said(fmt.Sprintf("%s %s version %d: %s", v.table, v.key, v.version, column), said[column], held, read(after)[column])
		}
	}
}

// said holds what the history says of one column of one version against what
// earlier versions held of it, and this one.
func (c audit) said(what string, e ends, held []string, after string) {
	if len(e.from) == 0 {
		if len(held) > 0 && !slices.Contains(held, after) {
			c.fail("%s became %q, none of %q, and the history does not say it", what, after, held)
		}
		return
	}
	starts := append([]string{""}, held...)
	if len(held) == 0 { // the load brought what one batch changed at once
		starts = append(starts, e.from...)
	}
	if !leads(e, starts, after) {
		c.fail("%s: the history says %+v, before it was one of %q, after it is %q", what, e, starts, after)
	}
}

func trackedColumns(t source.Table) []string {
	res := source.Lookup(t)
	var columns []string
	for _, i := range res.Tracked() {
		columns = append(columns, res.Fields[i].Column)
	}
	return columns
}

// contentsAt are the content of one version and those of the versions before it.
func contentsAt(written []memVersion, version uint64) (at *source.Record, before []*source.Record) {
	for _, w := range written {
		switch {
		case w.version == version:
			at = w.record
		case w.version < version:
			before = append(before, w.record)
		}
	}
	return at, before
}

// valuesOf reads a record's tracked values by column, "" for null.
func valuesOf(t source.Table) func(*source.Record) map[string]string {
	res := source.Lookup(t)
	return func(rec *source.Record) map[string]string {
		values := map[string]string{}
		for _, i := range res.Tracked() {
			if raw := rec.Value(i); !source.IsNull(raw) {
				values[res.Fields[i].Column] = raw
			}
		}
		return values
	}
}

// ends are the values that changes of one column of one version lead from and to.
type ends struct{ from, to []string }

func endsOf(changes []source.Change) map[string]ends {
	text := func(v *string) string {
		if v == nil {
			return ""
		}
		return *v
	}
	all := map[string]ends{}
	for _, ch := range changes {
		for i, column := range ch.Changed {
			e := all[column]
			e.from, e.to = append(e.from, text(ch.Old[i])), append(e.to, text(ch.New[i]))
			all[column] = e
		}
	}
	return all
}

// leads reports whether the steps, in some order, lead from one of the starts to
// the end: every value that is left was reached, but the first and the last.
func leads(e ends, starts []string, end string) bool {
	return slices.ContainsFunc(starts, func(start string) bool {
		balance := map[string]int{start: -1}
		balance[end]++
		for i := range e.from {
			balance[e.from[i]]++
			balance[e.to[i]]--
		}
		for _, n := range balance {
			if n != 0 {
				return false
			}
		}
		return true
	})
}
