package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"deskhouse/source"
)

// Guards of the sweep (rule 7): more absences than this share of a table, or
// than this number, are not believed. A few rows are never too many.
const (
	guardShare = 0.05
	guardRows  = 1000
	guardFloor = 20
)

func guarded(absent int, visible uint64) bool {
	return absent > guardRows || absent > guardFloor && float64(absent) > guardShare*float64(visible)
}

// ErrGuard: so many rows are absent at the source that a person must say
// whether they are really gone. Nothing was deleted.
var ErrGuard = errors.New("too many rows are absent at the source")

const absent source.Contradiction = "absent from a complete reading"

// Resync reads a table completely, repairs what differs and sweeps what is
// gone. It returns the drift report, which is also stored in sync_runs, and
// ErrGuard when the sweep was refused. The table stays right and readable
// throughout; an interrupted resync deletes nothing. One at a time runs per
// table.
func (p *Pipeline) Resync(ctx context.Context, t source.Table, trigger string) (source.RunReport, error) {
	tp := p.tables[t]
	if tp == nil {
		return source.RunReport{}, fmt.Errorf("table %s is not synchronised", t)
	}
	select { // a comparison with a table that is not loaded would say nothing
	case <-tp.loaded:
	case <-ctx.Done():
		return source.RunReport{}, ctx.Err()
	}
	tp.resyncing.Lock()
	defer tp.resyncing.Unlock()
	started, err := p.zohoNow(ctx)
	if err != nil {
		return source.RunReport{}, err
	}
	before := p.progress.of(t)
	p.progress.phase(t, PhaseResync, "")
	defer p.progress.phase(t, before.Phase, before.Reason)

	report := source.RunReport{Run: fmt.Sprintf("%s-%s", t, started.UTC().Format("20060102T150405.000")), Table: t, Trigger: trigger, Started: started}
	err = p.compare(ctx, tp, &report)
	report.Finished = p.desk.ZohoNow()
	if err != nil {
		report.Err = err.Error()
	}
	if saveErr := p.wh.SaveRun(ctx, report); saveErr != nil {
		err = errors.Join(err, fmt.Errorf("save drift report: %w", saveErr))
	}
	p.progress.resynced(report)
	return report, err
}

// compare is the reading and the sweep.
func (p *Pipeline) compare(ctx context.Context, tp *table, report *source.RunReport) error {
	if err := p.wh.BeginRun(ctx, report.Run); err != nil {
		return fmt.Errorf("open the record of seen keys: %w", err)
	}
	defer func() { _ = p.wh.EndRun(context.WithoutCancel(ctx), report.Run) }() // what stays is forgotten at the next start
	p.covs[tp.w.table].Relearn()
	seen := seenKeys{wh: p.wh, run: report.Run, table: tp.w.table}
	r := &reading{origin: originResync, priority: source.ForSnapshot, seen: seen.add}
	if err := tp.reader.full(ctx, r, false); err != nil {
		return err
	}
	if err := seen.flush(ctx); err != nil {
		return err
	}
	p.covs[tp.w.table].Adopt()
	report.Repaired = uint64(r.total.Changed)
	report.Resurrected, report.Deleted = uint64(r.total.Restored), uint64(r.total.Deleted)
	report.Incomplete = len(r.incomplete) > 0
	// The bin tells of deletions that are younger than the sweep's lag allowance.
	if err := p.wholeBin(ctx, tp); err != nil {
		return err
	}
	return p.sweep(ctx, tp, report)
}

// seenKeys gathers the keys of a reading, so that they are written in few
// inserts. Safe for concurrent use.
type seenKeys struct {
	wh    Warehouse
	run   string
	table source.Table

	mu   sync.Mutex
	keys []source.Key
}

// seenBatch is how many keys one insert records.
const seenBatch = 20_000

func (s *seenKeys) add(ctx context.Context, keys []source.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys = append(s.keys, keys...); len(s.keys) < seenBatch {
		return nil
	}
	return s.write(ctx)
}

func (s *seenKeys) flush(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(ctx)
}

// write empties the buffer; the caller holds mu.
func (s *seenKeys) write(ctx context.Context) error {
	if len(s.keys) == 0 {
		return nil
	}
	if err := s.wh.Seen(ctx, s.run, s.table, s.keys); err != nil {
		return fmt.Errorf("record %d seen keys: %w", len(s.keys), err)
	}
	s.keys = s.keys[:0]
	return nil
}

// sweep asks GET about every row that the reading did not show, unless the
// reading was incomplete. Repeats in the reading make counting there useless:
// what was read is what is visible less what is absent.
func (p *Pipeline) sweep(ctx context.Context, tp *table, report *source.RunReport) error {
	keys, err := p.wh.Absent(ctx, report.Run, tp.w.table, report.Started)
	if err != nil {
		return fmt.Errorf("find absent rows: %w", err)
	}
	// Young rows may be absent because the index lags, so they are no sign of a
	// mass deletion; a GET each tells.
	old, err := p.wh.Absent(ctx, report.Run, tp.w.table, report.Started.Add(-lagOf(tp.w.table)))
	if err != nil {
		return fmt.Errorf("find absent rows: %w", err)
	}
	visible, _, err := p.wh.Counts(ctx, tp.w.table)
	if err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	report.Read = visible - min(uint64(len(keys)), visible)
	report.Unchanged = report.Read - min(report.Repaired+report.Resurrected, report.Read)
	if report.Incomplete {
		return nil
	}
	if guarded(len(old), visible) {
		return fmt.Errorf("%w: %d of %d rows of %s; nothing was deleted", ErrGuard, len(old), visible, tp.w.table)
	}
	if tp.w.table == source.OrganizationFields {
		return p.sweepFields(ctx, tp, keys, report)
	}
	verdicts, err := p.ask(ctx, tp.w.table, keys)
	for _, v := range verdicts {
		switch v {
		case verdictDeleted:
			report.Deleted++
		case verdictAlive:
			report.MissedBySearch++
		default:
			report.NotVisible++
		}
	}
	return err
}

// lagOf is how long a record may be missing from a complete reading though it
// exists: search is an index, the other lists are the records themselves.
func lagOf(t source.Table) time.Duration {
	if t == source.Tickets || t == source.Products {
		return pollOverlap
	}
	return 0
}

// ask re-reads records and waits for all verdicts.
func (p *Pipeline) ask(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]verdict, error) {
	hints := make([]hint, len(keys))
	for i, k := range keys {
		hints[i] = hint{key: k, reason: absent}
	}
	var mu sync.Mutex
	verdicts := map[source.Key]verdict{}
	done := make(chan struct{})
	if len(keys) == 0 {
		return verdicts, nil
	}
	err := p.rereads.ask(ctx, t, hints, func(k source.Key, v verdict) {
		mu.Lock()
		defer mu.Unlock()
		if _, told := verdicts[k]; told {
			return
		}
		if verdicts[k] = v; len(verdicts) == len(keys) {
			close(done)
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-done:
		return verdicts, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sweepFields confirms absent fields by a second full list a minute later: no
// GET by module and name exists.
func (p *Pipeline) sweepFields(ctx context.Context, tp *table, keys []source.Key, report *source.RunReport) error {
	if len(keys) == 0 {
		return nil
	}
	if err := sleep(ctx, p.clock, missAgainAfter); err != nil {
		return err
	}
	again := map[source.Key]bool{}
	answered := map[string]int64{} // module → as_of
	fields := tp.reader.(*fieldTable)
	for _, module := range fields.modules {
		page, _, err := p.desk.Fields(ctx, source.ForSnapshot, module)
		if err != nil {
			continue // not answered: nothing of it is swept
		}
		answered[module] = page.At.KnownAt()
		for _, rec := range page.Records {
			again[rec.Key] = true
		}
	}
	var obs []source.Observation
	for _, k := range keys {
		if at := answered[moduleOf(k)]; at != 0 && !again[k] {
			obs = append(obs, source.Observation{Key: k, Evidence: source.EvidenceList, AsOf: at, Life: source.LifeDeleted, Origin: originResync})
		} else {
			report.NotVisible++
		}
	}
	out, err := tp.w.write(ctx, obs)
	report.Deleted += uint64(out.Deleted)
	return err
}

// moduleOf is the module part of an organization field's key.
func moduleOf(k source.Key) string {
	for i := range k.Name {
		if k.Name[i] == '/' {
			return k.Name[:i]
		}
	}
	return ""
}

// resyncs runs the schedule: at each time it names, every table in turn. A time
// that passes while a run lasts is skipped.
func (p *Pipeline) resyncs(ctx context.Context) error {
	if p.cfg.Resync == nil {
		return nil
	}
	for {
		now := p.clock.Now()
		next := p.cfg.Resync.Next(now)
		if next.IsZero() {
			return nil // a schedule such as 30 February never comes
		}
		if err := sleep(ctx, p.clock, next.Sub(now)); err != nil {
			return err
		}
		for _, t := range p.cfg.Tables {
			began := p.clock.Now()
			report, err := p.Resync(ctx, t, "cron")
			if ctx.Err() != nil {
				return ctx.Err()
			}
			p.log.Info().Err(err).Str("table", string(t)).Uint64("unchanged", report.Unchanged).Uint64("repaired", report.Repaired).
				Uint64("deleted", report.Deleted).Dur("took", p.clock.Since(began)).Msg("resync finished")
		}
	}
}
