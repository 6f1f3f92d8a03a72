package clickhouse

import (
	"context"
	"slices"

	"deskhouse/source"
)

// EnsureCustomFields gives every custom field a column in use while writers go
// on: ADD COLUMN, and a new comment where label or type changed. A changed
// type adds a column beside the old one, which keeps its values. It returns
// the names of added columns; fields that are not mentioned stay as they are.
// Idempotent; safe beside Write.
func (w *Warehouse) EnsureCustomFields(ctx context.Context, t source.Table, fields []source.CustomField) (added []string, err error) {
	w.schemaMu.Lock()
	defer w.schemaMu.Unlock()
	l, err := w.layout(t)
	if err != nil || !l.res.HasCustom() {
		return nil, err
	}
	if l.document {
		return nil, w.ensureForColumns(ctx, t, fields)
	}
	return w.changeCustom(ctx, l, func(have haveTable) customPlan { return planCustom(l.mask, customOf(have), fields, have.taken()) })
}

// RemoveCustomFields marks the columns of fields that Zoho has no more. They
// keep their values, and take any that is still sent; EnsureCustomFields with
// such a field takes the mark off again. The caller has made sure that the
// fields are gone and not only hidden. Idempotent; safe beside Write.
func (w *Warehouse) RemoveCustomFields(ctx context.Context, t source.Table, gone []string) error {
	w.schemaMu.Lock()
	defer w.schemaMu.Unlock()
	l, err := w.layout(t)
	if err != nil || !l.res.HasCustom() {
		return err
	}
	_, err = w.changeCustom(ctx, l, func(have haveTable) customPlan { return planRemoved(customSelected(l.mask, customOf(have)), gone) })
	return err
}

// CustomFields are the API names with a column in use whose field is not marked
// as removed.
func (w *Warehouse) CustomFields(t source.Table) []string {
	l, err := w.layout(t)
	if err != nil {
		return nil
	}
	var names []string
	for _, c := range l.custom {
		if !c.kept() {
			names = append(names, c.APIName)
		}
	}
	return names
}

// changeCustom plans and makes a change of the custom columns; the caller holds
// schemaMu. It returns the names of added columns.
func (w *Warehouse) changeCustom(ctx context.Context, l *layout, plan func(haveTable) customPlan) (added []string, err error) {
	t := l.res.Table
	tables, err := w.have(ctx)
	if err != nil {
		return nil, err
	}
	have := tables[mainName(t)]
	have.rows += w.begun(t)
	p := plan(have)
	if slices.Equal(p.custom, l.custom) {
		return nil, nil
	}
	next := l.withCustom(p, have)
	if err := w.alterBoth(ctx, next, p); err != nil {
		return nil, err
	}
	if err := w.createViews(ctx, next.views(w.cfg.Database, w.names)); err != nil {
		return nil, err
	}
	w.publish(next)
	for _, c := range p.custom {
		if !slices.ContainsFunc(l.custom, func(had customColumn) bool { return had.name == c.name }) {
			added = append(added, c.name)
		}
	}
	w.cfg.Logger.Info().Str("table", string(t)).Strs("columns", added).Int("recommented", len(p.comment)).Msg("custom fields changed")
	return added, nil
}

// withCustom is the layout after a plan. Columns that are new to a table with
// rows, or come into use again, are pending: values sent meanwhile stand in
// _extra, or in the column before. A former column waits for nothing.
func (l *layout) withCustom(p customPlan, have haveTable) *layout {
	if have.rows == 0 {
		p.inEmpty()
	}
	next := *l
	next.custom = p.custom
	var all []source.PendingColumn
	for _, c := range next.pendingIn(map[string]haveTable{mainName(l.res.Table): have}) {
		if known := l.pending.of(c.Register, c.Column); known != nil && !p.again[c.Column] {
			c = *known
		}
		all = append(all, c)
	}
	for _, c := range l.pending.all {
		if c.Register != source.Content {
			all = append(all, c)
		}
	}
	for _, c := range p.custom {
		if p.again[c.name] && have.rows > 0 {
			all = append(all, source.PendingColumn{Register: source.Content, Column: c.name, Mark: marks.Add(1), Kept: c.revived})
		}
	}
	former := func(col source.PendingColumn) bool {
		return slices.ContainsFunc(p.custom, func(c customColumn) bool { return c.former && c.name == col.Column })
	}
	return next.withPending(slices.DeleteFunc(all, former))
}

// alterBoth alters the shadow of a rebuild first: the plan is made from the main
// table, so after an error in between the next call makes the same one.
func (w *Warehouse) alterBoth(ctx context.Context, next *layout, p customPlan) error {
	t := next.res.Table
	if s := w.shadows.get(t); s.name != "" && s.layout == nil { // a shadow of the document layout needs none
		if err := w.alterCustom(ctx, next, s.name, p); err != nil && !w.shadowLost(t, s.name, err) {
			return err
		}
	}
	return w.alterCustom(ctx, next, mainName(t), p)
}

// alterCustom retires old columns before it adds their successors: read back
// after a crash in between, a field then has no column in use, and the next
// call adds it.
func (w *Warehouse) alterCustom(ctx context.Context, next *layout, name string, p customPlan) error {
	column := func(c customColumn) column {
		col := c.column()
		col.comment = next.pending.comment(source.Content, col)
		return col
	}
	for _, c := range p.comment {
		if err := w.exec(ctx, "comment a custom field of "+name, commentColumn(w.cfg.Database, name, c.name, column(c).comment)); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(p.add, maxAdded) {
		cols := make([]string, len(part))
		for i, c := range part {
			cols[i] = addClause(column(c))
		}
		if err := w.exec(ctx, "add custom fields to "+name, alterTable(w.cfg.Database, name, cols...)); err != nil {
			return err
		}
	}
	return nil
}

// maxAdded bounds the columns of one statement: with its comment one is some
// hundred bytes, and the server goes through the whole table for each statement.
const maxAdded = 500

// KnowsCustom reports whether a custom field has a column in use. A record with
// an unknown one is written all the same, its value in _extra; the caller asks
// Zoho for the fields and calls EnsureCustomFields.
func (w *Warehouse) KnowsCustom(t source.Table, apiName string) bool {
	l, err := w.layout(t)
	return err == nil && (l.document || l.known[apiName])
}
