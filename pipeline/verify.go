package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"deskhouse/source"
)

// How a difference is confirmed: read by id and compared again, a few times, so
// that a change on its way is no drift. Beyond maxConfirmed a table is so
// different that no more reading is needed to say so.
const (
	confirmRounds = 3
	confirmAgain  = 5 * time.Second
	maxConfirmed  = 1000
)

// Verify compares a table with the portal as Resync does, and writes nothing. It
// first waits until everything logged so far is applied, and reads a difference
// again before it counts. Its report says what a resync would do; it is not
// stored. ErrNotLoaded when there is nothing to compare with.
func (p *Pipeline) Verify(ctx context.Context, t source.Table) (source.RunReport, error) {
	ctx, stop := p.during(ctx)
	defer stop()
	r, err := p.verify(ctx, t)
	return r, whyEnded(ctx, err)
}

func (p *Pipeline) verify(ctx context.Context, t source.Table) (source.RunReport, error) {
	st, err := p.loadSnapshot(ctx, t)
	if err != nil {
		return source.RunReport{}, err
	}
	if !st.Done {
		return source.RunReport{}, fmt.Errorf("%s: %w", t, ErrNotLoaded)
	}
	tp, err := p.exclusively(ctx, t)
	if err != nil {
		return source.RunReport{}, err
	}
	defer tp.resyncing.give()
	if err := p.caughtUp(ctx); err != nil {
		return source.RunReport{}, err
	}
	r, err := p.newRun(ctx, tp, ResyncOptions{Trigger: "verify"})
	if err != nil {
		return source.RunReport{}, err
	}
	err = r.verify(ctx)
	r.report.Finished = p.desk.ZohoNow()
	r.report.Pending = pendingNames(p.wh.PendingColumns(t))
	if err != nil {
		r.report.Err = err.Error() // it is not complete
	}
	return r.report, err
}

// caughtUp waits until all events that are logged now are applied.
func (p *Pipeline) caughtUp(ctx context.Context) error {
	if p.events == nil {
		return nil
	}
	first, last, err := p.events.Bounds(ctx)
	if err != nil {
		return fmt.Errorf("ask for the log's bounds: %w", err)
	}
	for first <= last {
		if _, applied := p.progress.snapshot(); applied >= last {
			return nil
		}
		if err := sleep(ctx, p.clock, settledEvery); err != nil {
			return err
		}
	}
	return nil
}

// driftKind is how a row is held otherwise than at the source.
type driftKind int

const (
	none      driftKind = iota
	otherwise           // missing, or of other content
	buried              // held as deleted
	gone                // visible, and not there
)

func (r *run) verify(ctx context.Context) error {
	r.reading.dry, r.cmp.emptied = true, nil
	r.cmp.dry = true
	defer func() { _ = r.wh.EndRun(context.WithoutCancel(ctx), r.report.Run) }()
	if err := r.wh.BeginRun(ctx, r.report.Run); err != nil {
		return fmt.Errorf("open the record of seen keys: %w", err)
	}
	if err := r.compare(ctx); err != nil {
		return err
	}
	r.report.Incomplete = len(r.reading.incomplete) > 0
	suspects := map[source.Key]driftKind{}
	for k := range r.cmp.asks {
		suspects[k] = otherwise
	}
	missing, err := r.notSeen(ctx)
	if err != nil {
		return err
	}
	for _, k := range missing {
		suspects[k] = gone
	}
	drift, err := r.confirm(ctx, suspects)
	if err != nil {
		return err
	}
	r.count(drift, missing)
	return nil
}

// notSeen are the visible rows that a complete reading did not show, without
// those of departments that are not listed any more.
func (r *run) notSeen(ctx context.Context) ([]source.Key, error) {
	t := r.tp.w.table
	visible, _, err := r.wh.Counts(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("count rows: %w", err)
	}
	keys, err := r.wh.Absent(ctx, r.report.Run, t, r.report.Started)
	if err != nil {
		return nil, fmt.Errorf("find absent rows: %w", err)
	}
	r.report.Read = visible - min(uint64(len(keys)), visible)
	if r.report.Incomplete || len(keys) == 0 {
		return nil, nil
	}
	in, err := r.wh.Departments(ctx, t, keys)
	if err != nil {
		return nil, fmt.Errorf("read the departments of %d absent rows: %w", len(keys), err)
	}
	hidden, err := r.hidden(ctx, keys, in)
	r.report.NotVisible = uint64(len(hidden))
	return slices.DeleteFunc(keys, func(k source.Key) bool { return hidden[k] }), err
}

// confirm looks at each difference again, and again after a while, and returns
// those that stay.
//
// Of a table with very many, some are looked at, and the rest counts if most of
// those stay.
func (r *run) confirm(ctx context.Context, suspects map[source.Key]driftKind) (map[source.Key]driftKind, error) {
	rest := map[source.Key]driftKind{}
	if len(suspects) > maxConfirmed {
		some := map[source.Key]driftKind{}
		for k, d := range suspects {
			if len(some) < maxConfirmed {
				some[k] = d
			} else {
				rest[k] = d
			}
		}
		suspects = some
		r.log.Warn().Str("table", string(r.tp.w.table)).Int("looked at", len(some)).Int("others", len(rest)).
			Msg("so many rows differ that only some are looked at again; the others count if most of those stay")
	}
	looked := len(suspects)
	for round := 0; round < confirmRounds && len(suspects) > 0; round++ {
		if round > 0 {
			wait := confirmAgain
			if slices.Contains(slices.Collect(maps.Values(suspects)), gone) {
				wait = missAgainAfter
			}
			if err := sleep(ctx, r.clock, wait); err != nil {
				return nil, err
			}
		}
		var err error
		if suspects, err = r.again(ctx, suspects); err != nil {
			return nil, err
		}
	}
	if 2*len(suspects) > looked {
		maps.Copy(suspects, rest)
	}
	return suspects, nil
}

// again compares suspects once more. Fields, which have no GET by key, are all
// listed again.
func (r *run) again(ctx context.Context, suspects map[source.Key]driftKind) (map[source.Key]driftKind, error) {
	if r.tp.w.table == source.OrganizationFields {
		return r.listAgain(ctx, suspects)
	}
	var mu sync.Mutex
	left := map[source.Key]driftKind{}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(rereadParallel)
	for k, suspected := range suspects {
		g.Go(func() error {
			d, err := r.byID(gctx, k, suspected)
			if err != nil || d == none {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			left[k] = d
			return nil
		})
	}
	return left, g.Wait()
}

// byID compares one record, as GET shows it, with what is held once the events
// logged by then are applied.
func (r *run) byID(ctx context.Context, k source.Key, suspected driftKind) (driftKind, error) {
	t := r.tp.w.table
	rec, _, err := r.desk.Get(ctx, r.reading.priority, t, k.ID)
	missing := source.IsFault(err, source.FaultNotFound)
	switch {
	case source.IsFault(err, source.FaultForbidden):
		return none, nil // not visible: kept
	case ctx.Err() != nil || source.IsFault(err, source.FaultUnauthorized):
		return none, fmt.Errorf("get %s %s: %w", t, k, err)
	case err != nil && !missing:
		return suspected, nil // one record that cannot be had must not end the comparison
	}
	if err := r.caughtUp(ctx); err != nil {
		return none, err
	}
	heads, err := r.wh.Heads(ctx, t, []source.Key{k})
	if err != nil {
		return none, fmt.Errorf("read heads: %w", err)
	}
	held := heads[k]
	visible := held.Version != 0 && !held.Deleted && !held.LeftOut
	alive := !missing && rec.Key == k && !rec.Deleted
	switch {
	case alive && rec.LeftOut != held.LeftOut && rec.Fingerprint == held.Content.Hash:
		return none, nil // only the selection changed: the next resync follows
	case alive && rec.LeftOut:
		return map[bool]driftKind{true: otherwise, false: none}[visible], nil
	case visible && !alive:
		return gone, nil
	case alive && held.Deleted:
		return buried, nil
	case alive && (!visible || rec.Fingerprint != held.Content.Hash) && !r.stillToPoll(rec):
		return otherwise, nil
	}
	return none, nil
}

// stillToPoll reports whether a record changed after the last poll of a sync that
// has nothing but polls: that is lag, not drift.
func (r *run) stillToPoll(rec *source.Record) bool {
	until := r.progress.of(r.tp.w.table).CompleteUntil
	return r.events == nil && rec.Modified >= until.UnixMilli()
}

// listAgain reads the whole table once more; what differs both times stays.
func (r *run) listAgain(ctx context.Context, suspects map[source.Key]driftKind) (map[source.Key]driftKind, error) {
	again := newComparison(r.deps, r.tp.w, r.cmp.started)
	again.dry, again.emptied = true, nil
	listed := map[source.Key]bool{}
	second := *r
	second.cmp = again
	second.reading = &reading{origin: r.reading.origin, priority: r.reading.priority, put: again.put, dry: true}
	if err := second.compareInto(ctx, func(_ context.Context, keys []source.Key) error {
		for _, k := range keys {
			listed[k] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	left := map[source.Key]driftKind{}
	for k, d := range suspects {
		if _, differs := again.asks[k]; differs || d == gone && !listed[k] {
			left[k] = d
		}
	}
	return left, nil
}

// count puts what differs into the report.
func (r *run) count(drift map[source.Key]driftKind, missing []source.Key) {
	for k, d := range drift {
		switch d {
		case otherwise:
			r.report.Repaired++
			if r.cmp.unknown[k] {
				r.report.Read++
			}
		case buried:
			r.report.Resurrected++
			r.report.Read++
		case gone:
			r.report.Deleted++
		}
	}
	for _, k := range missing {
		if drift[k] == none {
			r.report.MissedBySearch++
		}
	}
	r.tally()
}
