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
	have, err := w.have(ctx)
	if err != nil {
		return nil, err
	}
	p := planCustom(customOf(have[mainName(t)]), fields, have[mainName(t)].taken())
	if slices.Equal(p.custom, l.custom) {
		return nil, nil
	}
	if err := w.alterBoth(ctx, t, p); err != nil {
		return nil, err
	}
	next := *l
	next.custom = p.custom
	if err := w.createViews(ctx, next.views(w.cfg.Database, w.names)); err != nil {
		return nil, err
	}
	w.publish(&next)
	for _, c := range p.custom {
		if !slices.ContainsFunc(l.custom, func(had customColumn) bool { return had.name == c.name }) {
			added = append(added, c.name)
		}
	}
	w.cfg.Logger.Info().Str("table", string(t)).Strs("columns", added).Int("recommented", len(p.comment)).Msg("custom fields changed")
	return added, nil
}

// alterBoth alters the shadow of a rebuild first: the plan is made from the main
// table, so after an error in between the next call makes the same one.
func (w *Warehouse) alterBoth(ctx context.Context, t source.Table, p customPlan) error {
	if shadow := w.shadows.of(t); shadow != "" {
		if err := w.alterCustom(ctx, t, shadow, p); err != nil && !w.shadowLost(t, shadow, err) {
			return err
		}
	}
	return w.alterCustom(ctx, t, mainName(t), p)
}

// alterCustom retires old columns before it adds their successors: read back
// after a crash in between, a field then has no column in use, and the next
// call adds it.
func (w *Warehouse) alterCustom(ctx context.Context, t source.Table, name string, p customPlan) error {
	for _, c := range p.comment {
		if err := w.exec(ctx, "comment a custom field of "+string(t), commentColumn(w.cfg.Database, name, c.name, c.comment())); err != nil {
			return err
		}
	}
	for _, c := range p.add {
		if err := w.exec(ctx, "add a custom field to "+string(t), addColumn(w.cfg.Database, name, c.column())); err != nil {
			return err
		}
	}
	return nil
}

// KnowsCustom reports whether a custom field has a column in use. A record with
// an unknown one is written all the same, its value in _extra; the caller asks
// Zoho for the fields and calls EnsureCustomFields.
func (w *Warehouse) KnowsCustom(t source.Table, apiName string) bool {
	l, err := w.layout(t)
	return err == nil && slices.ContainsFunc(l.custom, func(c customColumn) bool { return !c.former && c.APIName == apiName })
}
