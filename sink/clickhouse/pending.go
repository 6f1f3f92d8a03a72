package clickhouse

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"deskhouse/source"
)

// pendingMark ends the comment of a column that was added to a table which had
// rows: they lack its values until a complete resync (or load) has filled it.
// There is no other record of that.
const pendingMark = " (backfill pending)"

// splitPending takes the mark off a comment.
func splitPending(comment string) (text string, pending bool) {
	return strings.CutSuffix(comment, pendingMark)
}

// remark gives a new comment the mark that the old one has.
func remark(text, old string) string {
	if _, pending := splitPending(old); pending {
		return text + pendingMark
	}
	return text
}

// pending is the column as it is added to a table that has rows.
func (c column) pending() column {
	c.comment += pendingMark
	return c
}

// isData reports whether a column holds what Zoho says rather than deskhouse's
// own state of the row.
func (c column) isData() bool { return !strings.HasPrefix(c.name, "_") }

// marks numbers the marks that this process set or read.
var marks atomic.Uint64

// pendingColumns are a table's columns that wait for a backfill. It is
// immutable, as the layout it belongs to.
type pendingColumns struct {
	all    []source.PendingColumn
	fields [3][]int        // catalog fields, by register
	custom map[string]bool // API names of custom fields
	whole  bool            // one is revived: a row that has no value for it lacks that
}

// has reports whether a column of a register is pending.
func (p pendingColumns) has(reg source.Register, name string) bool { return p.of(reg, name) != nil }

// waits reports whether rows that a reading brings lack values of a column.
func (p pendingColumns) waits(reg source.Register, name string) bool {
	c := p.of(reg, name)
	return c != nil && !c.Read
}

// of is a pending column, nil when it is none.
func (p pendingColumns) of(reg source.Register, name string) *source.PendingColumn {
	i := slices.IndexFunc(p.all, func(c source.PendingColumn) bool { return c.Register == reg && c.Column == name })
	if i < 0 {
		return nil
	}
	return &p.all[i]
}

// comment is a column's comment with the mark, if it is pending.
func (p pendingColumns) comment(reg source.Register, c column) string {
	if p.has(reg, c.name) {
		return c.comment + pendingMark
	}
	return c.comment
}

// pendingIn reads back, or foresees, which columns of a layout are pending:
// those that say so, and those that are about to be added to tables with rows,
// or filled again there.
func (l *layout) pendingIn(have map[string]haveTable) []source.PendingColumn {
	var all []source.PendingColumn
	for _, reg := range append([]source.Register{source.Content}, l.sides()...) {
		h, exists := have[tableOf(l.res.Table, reg)]
		if !exists {
			continue
		}
		for _, c := range l.dataColumns(reg) {
			held, ok := h.column(c.name)
			_, pending := splitPending(held.comment)
			_, retired := splitRetired(held.comment)
			if pending || (!ok || retired) && h.rows > 0 {
				all = append(all, source.PendingColumn{Register: reg, Column: c.name, Mark: marks.Add(1), Kept: l.revived(c.name)})
			}
		}
	}
	return all
}

// revived reports whether a column is one that a custom field uses again.
func (l *layout) revived(column string) bool {
	return slices.ContainsFunc(l.custom, func(c customColumn) bool { return c.name == column && c.revived })
}

// dataColumns are a register's columns that observations fill.
func (l *layout) dataColumns(reg source.Register) []column {
	cols := l.fieldColumns(reg)
	if reg == source.Content {
		cols = append(cols, l.customColumns()...)
	}
	return cols
}

// withPending returns the layout with these columns pending, ready to be published.
func (l *layout) withPending(all []source.PendingColumn) *layout {
	next := *l
	next.pending = pendingColumns{all: all, custom: map[string]bool{}}
	p := &next.pending
	for reg := range p.fields {
		for _, i := range l.fields(source.Register(reg)) {
			if slices.ContainsFunc(l.columnsOf(i), func(c column) bool { return p.waits(source.Register(reg), c.name) }) {
				p.fields[reg] = append(p.fields[reg], i)
			}
		}
	}
	next.known = make(map[string]bool, len(l.custom))
	for _, c := range l.custom {
		if c.former {
			continue
		}
		next.known[c.APIName] = true
		if p.waits(source.Content, c.name) {
			p.custom[c.APIName] = true
			p.whole = p.whole || c.revived
		}
	}
	return &next
}

// PendingColumns are the columns of a table and its side tables that wait for
// a backfill, as of now. Safe for concurrent use.
func (w *Warehouse) PendingColumns(t source.Table) []source.PendingColumn {
	l, err := w.layout(t)
	if err != nil {
		return nil
	}
	return slices.Clone(l.pending.all)
}

// Backfills reports whether a record holds a value for a pending column of a
// register: the row, though its content is held, is then to be written once
// more. A value that its column cannot hold counts too; and every record does
// while a column that kept values is in use again. Safe for concurrent use;
// without pending columns it costs nothing.
func (w *Warehouse) Backfills(t source.Table, reg source.Register, rec *source.Record) bool {
	l, err := w.layout(t)
	if err != nil || len(l.pending.all) == 0 || rec == nil {
		return false
	}
	for _, i := range l.pending.fields[reg] {
		if v := rec.Value(i); !source.IsNull(v) && v != "[]" {
			return true
		}
	}
	return reg == source.Content && (l.pending.whole || slices.ContainsFunc(rec.Custom, func(m source.Member) bool {
		return !source.IsNull(m.Value) && l.pending.custom[m.Name]
	}))
}

// BackfilledRead notes that a complete reading has written all rows of columns
// but those it passes over: they stay pending because of these, and Backfills
// asks for no other row again until the next start. Safe for concurrent use.
func (w *Warehouse) BackfilledRead(t source.Table, read []source.PendingColumn) {
	w.schemaMu.Lock()
	defer w.schemaMu.Unlock()
	l, err := w.layout(t)
	if err != nil || len(read) == 0 {
		return
	}
	all := slices.Clone(l.pending.all)
	for i, p := range all {
		all[i].Read = p.Read || slices.Contains(read, p)
	}
	w.publish(l.withPending(all))
}

// Backfilled takes the mark off columns whose rows have all been written since
// they were marked. The caller asks PendingColumns before it begins to read: a
// column that was added, or came into use again, meanwhile stays pending. An
// error leaves some of the marks; the call may be repeated.
func (w *Warehouse) Backfilled(ctx context.Context, t source.Table, filled []source.PendingColumn) error {
	if len(filled) == 0 {
		return nil
	}
	w.schemaMu.Lock()
	defer w.schemaMu.Unlock()
	l, err := w.layout(t)
	if err != nil {
		return err
	}
	l = l.inUse(filled)
	var left []source.PendingColumn
	for _, p := range l.pending.all {
		if !slices.Contains(filled, p) {
			left = append(left, p)
			continue
		}
		if err := w.unmark(ctx, l, p); err != nil {
			return err
		}
	}
	if len(left) == len(l.pending.all) {
		return nil
	}
	next := l.withPending(left)
	if err := w.createViews(ctx, next.views(w.cfg.Database, w.names)); err != nil {
		return err
	}
	w.publish(next)
	return nil
}

// inUse returns the layout with these columns no longer revived.
func (l *layout) inUse(filled []source.PendingColumn) *layout {
	next := *l
	next.custom = slices.Clone(l.custom)
	for i := range next.custom {
		c := &next.custom[i]
		if p := l.pending.of(source.Content, c.name); p != nil && slices.Contains(filled, *p) {
			c.revived = false
		}
	}
	return &next
}

// unmark takes the mark off one column's comment.
func (w *Warehouse) unmark(ctx context.Context, l *layout, p source.PendingColumn) error {
	cols := l.dataColumns(p.Register)
	i := slices.IndexFunc(cols, func(c column) bool { return c.name == p.Column })
	if i < 0 {
		return nil // it is no column of this layout any more
	}
	name := tableOf(l.res.Table, p.Register)
	return w.exec(ctx, "end the backfill of "+name, commentColumn(w.cfg.Database, name, p.Column, cols[i].comment))
}

// firstWrite notes that rows of a table are about to be written. The first time
// it waits for a change of the columns under way: a table that looks empty to
// that gets no rows of the columns before.
func (w *Warehouse) firstWrite(t source.Table) {
	if _, known := w.written.Load(t); known {
		return
	}
	w.schemaMu.Lock()
	defer w.schemaMu.Unlock()
	w.written.Store(t, true)
}

// begun is 1 once this process has written rows of a table. The caller holds
// schemaMu.
func (w *Warehouse) begun(t source.Table) uint64 {
	if _, written := w.written.Load(t); written {
		return 1
	}
	return 0
}
