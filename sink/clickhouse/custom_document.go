package clickhouse

import (
	"context"
	"slices"

	"deskhouse/source"
)

// ensureForColumns is EnsureCustomFields of a table in the document layout, where
// doc.cf has them all. They are remembered, and a shadow of the columns layout
// gets its columns. The caller holds schemaMu.
func (w *Warehouse) ensureForColumns(ctx context.Context, t source.Table, fields []source.CustomField) error {
	w.custom[t] = slices.Clone(fields)
	s := w.shadows.get(t)
	if s.layout == nil || s.layout.document {
		return nil
	}
	tables, err := w.have(ctx)
	if err != nil {
		return err
	}
	have := tables[s.name]
	have.rows++ // rows may be on their way
	s, err = w.giveCustom(ctx, s, have, fields)
	if err == nil {
		w.shadows.set(t, s)
	} else if w.shadowLost(t, s.name, err) {
		return nil
	}
	return err
}

// giveCustom gives a shadow of the columns layout columns for custom fields. In
// one that has rows they are pending.
func (w *Warehouse) giveCustom(ctx context.Context, s shadow, have haveTable, fields []source.CustomField) (shadow, error) {
	p := planCustom(s.layout.mask, customOf(have), fields, have.taken())
	next := s.layout.withCustom(p, have)
	if err := w.alterCustom(ctx, next, s.name, p); err != nil {
		return s, err
	}
	s.layout = next
	return s, nil
}

// customFields are the custom fields of a table in the document layout: those
// that the portal named last, or else those that organization_fields holds.
func (w *Warehouse) customFields(ctx context.Context, t source.Table) ([]source.CustomField, error) {
	if fields, known := w.custom[t]; known {
		return fields, nil
	}
	if _, err := w.layout(source.OrganizationFields); err != nil {
		return nil, nil // not kept; the next reading of the fields adds the columns
	}
	var fields []source.CustomField
	err := w.scan(ctx, "list custom fields of "+string(t), "SELECT api_name, ifNull(display_label, ''), ifNull(type, '') FROM "+
		qualified(w.cfg.Database, mainName(source.OrganizationFields))+" FINAL WHERE module = {module:String} AND _is_deleted = 0 AND ifNull(is_custom_field, startsWith(api_name, 'cf_'))",
		args{"module": source.Lookup(t).Module}, func(row scanner) error {
			var f source.CustomField
			err := row.Scan(&f.APIName, &f.Label, &f.Type)
			fields = append(fields, f)
			return err
		})
	return fields, err
}
