package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"deskhouse/source"
)

// readWorkers is how many requests a complete reading keeps in flight at most;
// the governor usually allows fewer (CREDITS: 25 for the largest edition).
const readWorkers = 25

// fullRead reads every row of a set of ranges into the writer.
type fullRead struct {
	deps
	w      *writer
	keys   *keyReader
	ranges *ranges
	origin string
	put    func(context.Context, []source.Observation, func(outcome)) error
	// save stores the ranges' progress, nil when there is nothing to resume.
	save func(context.Context) error
	// seen is told the keys of every page before it is written, nil for none.
	seen func(context.Context, []source.Key) error

	rows       atomic.Int64
	mu         sync.Mutex
	total      outcome
	incomplete []string
}

// run reads all ranges with that many workers and returns once the warehouse
// confirmed everything.
func (f *fullRead) run(ctx context.Context, workers int) error {
	g, gctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error { return f.work(gctx) })
	}
	g.Go(func() error { return f.follow(gctx) })
	err := g.Wait()
	if err == nil || f.save == nil {
		return errors.Join(err, f.store(ctx))
	}
	// Stopped: what is confirmed need not be read again.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
	defer cancel()
	return errors.Join(err, f.save(last))
}

// lastSave bounds the saving of progress when a reading is stopped.
const lastSave = 5 * time.Second

// work reads spans until none is left.
func (f *fullRead) work(ctx context.Context) error {
	for {
		s, busy := f.ranges.take()
		switch {
		case s != nil:
			f.ranges.signal() // another worker may find one too
			if err := f.span(ctx, s); err != nil {
				f.ranges.release(s)
				return err
			}
		case !busy:
			f.ranges.signal()
			return nil
		default:
			select {
			case <-f.ranges.freed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// span reads one span to its end.
func (f *fullRead) span(ctx context.Context, s *span) error {
	for {
		at, to := f.ranges.bounds(s)
		var st step
		err := retry(ctx, f.clock, f.log, "read "+string(f.w.table), func(ctx context.Context) (err error) {
			st, err = f.keys.next(ctx, at, to)
			return err
		})
		if err != nil {
			return fmt.Errorf("read %s from %s: %w", f.w.table, time.UnixMilli(at).UTC().Format(time.RFC3339), err)
		}
		finished := f.ranges.advance(s, st.at, st.left, st.ended)
		f.ranges.signal() // what is left is known now: an idle worker may split
		if err := f.hand(ctx, s, st); err != nil {
			return err
		}
		if finished {
			return nil
		}
	}
}

// hand gives a page to the writer; the span's cursor moves when it confirms.
func (f *fullRead) hand(ctx context.Context, s *span, st step) error {
	if st.incomplete != "" {
		f.mu.Lock()
		f.incomplete = append(f.incomplete, st.incomplete)
		f.mu.Unlock()
		f.log.Warn().Str("table", string(f.w.table)).Msg(st.incomplete)
	}
	if err := f.badRows(ctx, f.w.table, st.page); err != nil {
		return err
	}
	obs := make([]source.Observation, len(st.page.Records))
	for i, r := range st.page.Records {
		obs[i] = f.w.cov.FromSearch(r, st.page.At, f.origin)
	}
	if f.seen != nil && len(obs) > 0 {
		if err := f.seen(ctx, keysOf(st.page.Records)); err != nil {
			return err
		}
	}
	f.rows.Add(int64(len(obs)))
	f.progress.read(f.w.table, len(obs))
	return f.put(ctx, obs, func(o outcome) {
		f.mu.Lock()
		f.total.add(o)
		f.mu.Unlock()
		f.ranges.confirm(s, st.at)
	})
}

// follow stores progress about once a second until all ranges are confirmed.
func (f *fullRead) follow(ctx context.Context) error {
	for {
		select {
		case <-f.ranges.confirmed:
			return nil
		case <-f.clock.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := f.store(ctx); err != nil {
			return err
		}
	}
}

func (f *fullRead) store(ctx context.Context) error {
	if f.save == nil {
		return nil
	}
	return retry(ctx, f.clock, f.log, "save progress of "+string(f.w.table), f.save)
}

func (o *outcome) add(p outcome) {
	o.Seen += p.Seen
	o.Unchanged += p.Unchanged
	o.Changed += p.Changed
	o.Hints += p.Hints
	o.Deleted += p.Deleted
	o.Restored += p.Restored
	o.Backfilled += p.Backfilled
}
