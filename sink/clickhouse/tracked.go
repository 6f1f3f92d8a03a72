package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
)

// Tracked returns what the history follows of a table and the values that the
// rows of these keys hold: the tracked fields, with HistoryFull all content
// columns, custom fields among them. Deleted rows have the values they keep.
// Keys without a row or without content are absent from Held. Columns that are
// left out are not followed, hashed ones by their hash: what is compared is
// what is stored.
func (w *Warehouse) Tracked(ctx context.Context, t source.Table, keys []source.Key) (*source.Tracked, error) {
	l, err := w.layout(t)
	if err != nil {
		return nil, err
	}
	f := l.follow(w.cfg.history(t) == HistoryFull)
	before := l.beforePending(f)
	tracked := &source.Tracked{Columns: stateNames(f.columns), Read: f.read, Held: make(map[source.Key][]*string, len(keys)),
		Pending: before.pending, Former: map[source.Key]map[int][]string{}}
	err = w.lookup(ctx, "read tracked columns of "+mainName(t), t, mainName(t), append(f.exprs(), before.exprs...), keys, func(row scanner) error {
		var k keyScan
		var asOf int64
		values := make([]*string, len(f.columns)+len(before.exprs))
		dest := append(k.dest(t), &asOf)
		for i := range values {
			dest = append(dest, &values[i])
		}
		if err := row.Scan(dest...); err != nil {
			return err
		}
		if asOf > 0 {
			key := k.key(t)
			tracked.Held[key] = values[:len(f.columns)]
			tracked.Former[key] = before.read(values[:len(f.columns)], values[len(f.columns):])
		}
		return nil
	})
	return tracked, err
}

// follower turns records into the texts of the columns that the history
// follows, by the same decoders that fill the table.
type follower struct {
	fields  []fieldCells
	custom  customCells
	shown   []sender // the columns of fields that are followed
	columns []column // those of shown, then of custom
}

// follow returns the columns that the history follows; with all every content
// column of the record's own.
func (l *layout) follow(all bool) *follower {
	f := &follower{}
	always := l.res.Tracked()
	for _, i := range l.fields(source.Content) {
		if all && !l.res.Fields[i].Foreign || slices.Contains(always, i) {
			f.field(l, i)
		}
	}
	if all {
		f.custom = newCustomBlock(l.customFollowed())
		f.columns = append(f.columns, f.custom.columns()...)
	}
	return f
}

// customFollowed are the custom columns that hold what the record says: those of
// removed fields outlive that.
func (l *layout) customFollowed() []customColumn {
	return slices.DeleteFunc(slices.Clone(l.custom), customColumn.kept)
}

// field follows one field. The names of other records in an array of objects are
// not the record's own.
func (f *follower) field(l *layout, i int) {
	c, elements := l.fieldCells(i), l.res.Fields[i].Elements
	f.fields = append(f.fields, c)
	for n, col := range l.columnsOf(i) {
		if l.mask.Hashes(i) || len(elements) == 0 || !elements[n].Foreign {
			f.shown, f.columns = append(f.shown, c.columns[n]), append(f.columns, col)
		}
	}
}

// exprs are the content's as_of and the texts of the columns, for lookup.
func (f *follower) exprs() []string {
	exprs := []string{"_content_as_of"}
	for _, c := range f.columns {
		text := "toString(" + ident(c.name) + ")"
		if isArray(c.typ) {
			text = fmt.Sprintf("if(empty(%s), NULL, %s)", ident(c.name), text)
		}
		exprs = append(exprs, text)
	}
	return exprs
}

func isArray(typ string) bool { return strings.HasPrefix(typ, "Array(") }

// read is one record's texts, in the order of columns.
func (f *follower) read(rec *source.Record) []*string {
	texts := make([]*string, 0, len(f.columns))
	for _, c := range f.fields {
		c.cells.add(rec.Value(c.index))
	}
	for _, c := range f.shown {
		texts = append(texts, lastText(c))
	}
	for _, c := range f.fields {
		for _, col := range c.columns {
			col.reset()
		}
	}
	for _, m := range rec.Custom {
		f.custom.add(m)
	}
	f.custom.endRow()
	for _, c := range f.custom.cells {
		texts = append(texts, lastText(c))
		c.reset()
	}
	return texts
}
