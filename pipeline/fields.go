package pipeline

import (
	"context"
	"fmt"
	"slices"

	"deskhouse/source"
)

// fieldTable reads the field metadata of every module that the portal answers
// for, and keeps the custom-field columns in step.
type fieldTable struct {
	deps
	w       *writer
	modules []string
	tables  []source.Table // those whose columns follow the metadata
}

func (t *fieldTable) full(ctx context.Context, r *reading, _ bool) error {
	var obs []source.Observation
	var refused error
	answered := 0
	for _, module := range t.modules {
		fields, err := t.module(ctx, r, module)
		switch {
		case err == nil:
			answered++
			obs = append(obs, fields...)
		case ctx.Err() == nil && (!transient(err) || !t.ours(module)):
			refused = err
			r.unanswer(module)
			t.log.Debug().Err(err).Str("module", module).Msg("fields of this module are not to be had")
		default:
			return err
		}
	}
	if answered == 0 {
		return refused
	}
	err := r.write(ctx, obs)
	t.progress.read(t.w.table, len(obs))
	return err
}

// ours reports whether columns of this sync follow a module's fields: those are
// worth waiting for, any other module is skipped until the next round.
func (t *fieldTable) ours(module string) bool {
	return slices.ContainsFunc(t.tables, func(table source.Table) bool { return source.Lookup(table).Module == module })
}

// module reads one module's fields and gives the custom ones their columns.
func (t *fieldTable) module(ctx context.Context, r *reading, module string) ([]source.Observation, error) {
	known := t.known(module)
	page, custom, err := t.desk.Fields(ctx, r.priority, module)
	if err != nil {
		return nil, fmt.Errorf("read fields of %s: %w", module, err)
	}
	if err := t.badRows(ctx, t.w.table, page); err != nil {
		return nil, err
	}
	if r.started.IsZero() {
		r.started = page.At.Date
	}
	if err := t.remember(ctx, r, module, page.Resource); err != nil {
		return nil, err
	}
	for _, table := range t.tables {
		if source.Lookup(table).Module == module && !r.dry {
			if err := t.schema.apply(ctx, table, custom); err != nil {
				return nil, err
			}
			r.list(module, custom, known[table])
		}
	}
	obs := make([]source.Observation, len(page.Records))
	for i, rec := range page.Records {
		obs[i] = t.w.cov.FromFullList(rec, page.At.KnownAt(), r.origin)
	}
	return obs, r.note(ctx, page.Records)
}

// known are the custom fields of a module's tables that have a column.
func (t *fieldTable) known(module string) map[source.Table][]string {
	known := map[source.Table][]string{}
	for _, table := range t.tables {
		if source.Lookup(table).Module == module {
			known[table] = t.wh.CustomFields(table)
		}
	}
	return known
}

// usual is the resource that answered for each module when it was first read.
func (t deps) usual(ctx context.Context) (map[string]string, error) {
	usual := map[string]string{}
	_, err := t.loadJSON(ctx, resourcesKey(t.name), &usual)
	return usual, err
}

// remember notes which resource answers for a module: the two of Zoho list
// different fields, so the other one proves no absence. It changes only when a
// person accepts what that loses.
func (t *fieldTable) remember(ctx context.Context, r *reading, module, resource string) error {
	usual, err := t.usual(ctx)
	if err != nil || usual[module] == resource {
		return err
	}
	if usual[module] != "" && !r.adopt {
		r.unanswer(module)
		return nil
	}
	if r.dry {
		return nil
	}
	usual[module] = resource
	return t.saveJSON(ctx, resourcesKey(t.name), usual)
}
