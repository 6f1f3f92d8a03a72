package pipeline

import (
	"context"
	"slices"

	"deskhouse/source"
)

// departmentTable reads the full list, the record store itself; the detail
// register comes from one GET each.
type departmentTable struct {
	deps
	w *writer
}

func (t *departmentTable) full(ctx context.Context, r *reading, _ bool) error {
	obs, err := t.list(ctx, r)
	if err != nil {
		return err
	}
	if r.brief {
		return r.write(ctx, obs)
	}
	keys := make([]source.Key, len(obs))
	for i := range obs {
		keys[i] = obs[i].Key
	}
	details, err := t.getEach(ctx, t.w, r.priority, keys, r.origin)
	if err != nil {
		return err
	}
	// A department that is listed is alive, whatever GET says: that is asked for
	// its details alone.
	details = slices.DeleteFunc(details, func(o source.Observation) bool { return o.Record == nil })
	return r.write(ctx, append(obs, details...))
}

// list is every row of the list; its as_of is that of its earliest page.
func (t *departmentTable) list(ctx context.Context, r *reading) ([]source.Observation, error) {
	var recs []*source.Record
	var knownAt int64
	err := t.eachPage(ctx, r.priority, t.w.table, source.ListQuery{}, nil, func(page source.Page, _ place) error {
		if r.started.IsZero() {
			r.started, knownAt = page.At.Date, page.At.KnownAt()
		}
		knownAt = min(knownAt, page.At.KnownAt())
		recs = append(recs, page.Records...)
		return r.note(ctx, page.Records)
	})
	obs := make([]source.Observation, len(recs))
	for i, rec := range recs {
		obs[i] = t.w.cov.FromFullList(rec, knownAt, r.origin)
	}
	return obs, err
}
