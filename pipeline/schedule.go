package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The schedule is held against the wall clock, since a machine sleeps and its
// clock is set: no wait is longer than checkEvery.
const (
	checkEvery = time.Minute
	// missedAfter is how late a run may begin and still be the run of its time:
	// a restart at that very moment is no reason to wait a day.
	missedAfter = 5 * time.Minute
)

// scheduled is what the state remembers of the schedule. Both are ms of this
// machine's clock.
type scheduled struct {
	Due   int64 `json:"due"`   // the time that was run last, 0 = none yet
	Until int64 `json:"until"` // every time up to here was run or skipped
}

func scheduledKey(p string) string { return "run." + p + ".scheduled" }

// Schedule is when a sync resyncs by itself; both are zero without a schedule.
type Schedule struct {
	Next time.Time // the next run; in the past: due, and about to begin or under way
	Last time.Time // the time of the last run, zero before the first
}

// Schedule tells when the next scheduled resync comes. Times are UTC.
func (p *Pipeline) Schedule(ctx context.Context) (Schedule, error) {
	if p.cfg.Resync == nil {
		return Schedule{}, nil
	}
	var st scheduled
	known, err := p.loadJSON(ctx, scheduledKey(p.name), &st)
	if err != nil {
		return Schedule{}, fmt.Errorf("read when the last scheduled resync was: %w", err)
	}
	now := p.wall()
	if !known {
		st.Until = now.UnixMilli()
	}
	s := Schedule{Next: p.due(&st, now)}
	if st.Due > 0 {
		s.Last = time.UnixMilli(st.Due).UTC()
	}
	if p.missed(s.Next, now) && !p.cfg.CatchUp {
		s.Next = p.cfg.Resync.Next(now).UTC()
	}
	return s, nil
}

// resyncs runs the schedule until ctx ends: at each time it names, every table
// in turn. A time that passes while a run lasts is not run again. A time that
// passed while nothing ran is run once, late, or skipped, as configured; a run
// that was cut short counts as one that never was.
func (p *Pipeline) resyncs(ctx context.Context) error {
	if p.cfg.Resync == nil {
		return nil
	}
	st, err := p.openSchedule(ctx)
	if err != nil {
		return err
	}
	for {
		now := p.wall()
		due := p.due(&st, now)
		if due.IsZero() {
			return nil // a schedule such as 30 February never comes
		}
		if wait := due.Sub(now); wait > 0 {
			if err := sleep(ctx, p.clock, min(wait, checkEvery)); err != nil {
				return err
			}
			continue
		}
		if err := p.keepAppointment(ctx, &st, due, now); err != nil {
			return err
		}
	}
}

// openSchedule reads what is remembered. The first schedule of a sync begins
// now: nothing was missed before it.
func (p *Pipeline) openSchedule(ctx context.Context) (st scheduled, err error) {
	err = retry(ctx, p.clock, p.log, "read when the last scheduled resync was", func(ctx context.Context) error {
		known, err := p.loadJSON(ctx, scheduledKey(p.name), &st)
		if err != nil || known {
			return err
		}
		st.Until = p.wall().UnixMilli()
		return p.saveJSON(ctx, scheduledKey(p.name), st)
	})
	return st, err
}

// keepAppointment runs or skips a time that has come, and remembers that.
func (p *Pipeline) keepAppointment(ctx context.Context, st *scheduled, due, now time.Time) error {
	if missed := p.missed(due, now); missed && !p.cfg.CatchUp {
		p.log.Warn().Time("due", due).Msg("scheduled resync was missed and is skipped")
	} else {
		p.log.Info().Time("due", due).Bool("late", missed).Msg("scheduled resync begins")
		if err := p.resyncAll(ctx); err != nil {
			return err
		}
		st.Due = due.UnixMilli()
	}
	st.Until = max(p.wall().UnixMilli(), due.UnixMilli())
	return retry(ctx, p.clock, p.log, "remember the scheduled resync", func(ctx context.Context) error {
		return p.saveJSON(ctx, scheduledKey(p.name), *st)
	})
}

// resyncAll is one scheduled run. A table that fails does not stop the others;
// the only error is ctx's. A table that is being compared on command is waited
// for, since each table is compared once at a time.
func (p *Pipeline) resyncAll(ctx context.Context) error {
	for _, t := range InOrder(p.cfg.Tables) {
		began := p.clock.Now()
		report, err := p.Resync(ctx, t, ResyncOptions{Trigger: "cron"})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		line := p.log.Info()
		if err != nil {
			line = p.log.Error().Err(err).Bool("decision", errors.Is(err, ErrGuard))
		}
		line.Str("table", string(t)).Uint64("unchanged", report.Unchanged).Uint64("repaired", report.Repaired).Uint64("backfilled", report.Backfilled).
			Uint64("deleted", report.Deleted).Bool("incomplete", report.Incomplete).Dur("took", p.clock.Since(began)).Msg("scheduled resync of a table ended")
	}
	return nil
}

// due is the next time to run. A clock that was far ahead and has been set back
// must not hold up the schedule until it catches up.
func (p *Pipeline) due(st *scheduled, now time.Time) time.Time {
	if until := time.UnixMilli(st.Until); until.After(now.Add(checkEvery)) {
		st.Until = now.UnixMilli()
	}
	next := p.cfg.Resync.Next(time.UnixMilli(st.Until))
	if next.IsZero() {
		return next
	}
	return next.UTC()
}

func (p *Pipeline) missed(due, now time.Time) bool { return now.Sub(due) > missedAfter }

// wall is this machine's wall clock: the monotonic part stands still while the
// machine sleeps.
func (p *Pipeline) wall() time.Time { return p.clock.Now().Round(0) }
