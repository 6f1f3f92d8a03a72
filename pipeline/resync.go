package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"deskhouse/source"
)

// ResyncOptions say why a resync runs and how far it may go.
type ResyncOptions struct {
	Trigger string // "command", "cron", "restore", …: as sync_runs shows it
	// AcceptLoss takes deletions and emptied columns that a guard would refuse.
	AcceptLoss bool
	// Rebuild writes the table anew beside itself and exchanges the two.
	Rebuild bool
}

// ErrNotLoaded: the table was never loaded completely, so a comparison would
// say nothing.
var ErrNotLoaded = errors.New("table is not loaded yet")

// Resync reads a table completely, repairs what differs and sweeps what is
// gone. It returns the drift report, which is also stored in sync_runs, and
// ErrGuard when a person must decide; then nothing of what is doubtful was
// written. The table stays right and readable throughout; an interrupted resync
// deletes nothing. One at a time runs per table.
func (p *Pipeline) Resync(ctx context.Context, t source.Table, o ResyncOptions) (source.RunReport, error) {
	ctx, stop := p.during(ctx)
	defer stop()
	r, err := p.resync(ctx, t, o)
	return r, whyEnded(ctx, err)
}

func (p *Pipeline) resync(ctx context.Context, t source.Table, o ResyncOptions) (source.RunReport, error) {
	tp, err := p.exclusively(ctx, t)
	if err != nil {
		return source.RunReport{}, err
	}
	defer tp.resyncing.give()
	before := p.progress.of(t)
	p.progress.phase(t, PhaseResync, "")
	defer p.progress.phase(t, before.Phase, before.Reason)
	if err := p.columnsFirst(ctx, t); err != nil {
		return source.RunReport{}, err
	}
	r, err := p.newRun(ctx, tp, o)
	if err != nil {
		return source.RunReport{}, err
	}
	err = r.all(ctx)
	if err == nil || r.whole && errors.Is(err, ErrGuard) {
		err = errors.Join(err, p.recovered(ctx, t))
	}
	r.report.Finished = p.desk.ZohoNow()
	r.report.Pending = pendingNames(p.wh.PendingColumns(t))
	if err != nil {
		r.report.Err = err.Error()
	}
	if saveErr := p.wh.SaveRun(context.WithoutCancel(ctx), r.report); saveErr != nil {
		err = errors.Join(err, fmt.Errorf("save drift report: %w", saveErr))
	}
	p.freshNames(ctx)
	p.decided(ctx, ofResync, r.report, err)
	p.progress.resynced(r.report)
	return r.report, err
}

// columnsFirst gives a table the columns of the custom fields there are now: what
// is added while the table is read already waits for the next resync. Without an
// answer the table is read all the same.
func (p *Pipeline) columnsFirst(ctx context.Context, t source.Table) error {
	if !source.Lookup(t).HasCustom() {
		return nil
	}
	_, fields, err := p.desk.Fields(ctx, source.ForSnapshot, source.Lookup(t).Module)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.log.Info().Err(err).Str("table", string(t)).Msg("fields cannot be listed before the resync: columns of new ones are filled by the next")
		return nil
	}
	return p.schema.apply(ctx, t, fields)
}

// exclusively waits for a table to be loaded (a comparison with one that is not
// would say nothing) and takes it for one run; the caller unlocks it.
func (p *Pipeline) exclusively(ctx context.Context, t source.Table) (*table, error) {
	tp := p.tables[t]
	if tp == nil {
		return nil, fmt.Errorf("table %s is not synchronised", t)
	}
	select {
	case <-tp.loaded:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return tp, tp.resyncing.take(ctx)
}

// run is one comparison of one table under way.
type run struct {
	*Pipeline
	tp      *table
	options ResyncOptions
	report  source.RunReport
	reading *reading
	cmp     *comparison
	// unsettled are the records that GET did not answer for in good time, or that
	// a guard holds back.
	unsettled int
	whole     bool // the reading is over, and what it showed is in the warehouse
}

func (p *Pipeline) newRun(ctx context.Context, tp *table, o ResyncOptions) (*run, error) {
	started, err := p.zohoNow(ctx)
	if err != nil {
		return nil, err
	}
	t := tp.w.table
	r := &run{Pipeline: p, tp: tp, options: o, cmp: newComparison(p.deps, tp.w, started.UnixMilli())}
	r.report = source.RunReport{Run: fmt.Sprintf("%s-%s", t, started.UTC().Format("20060102T150405.000")), Table: t, Trigger: o.Trigger, Started: started}
	r.reading = &reading{origin: originResync, priority: source.ForSnapshot, put: r.cmp.put, adopt: o.AcceptLoss}
	if o.Trigger == originRestore {
		r.reading.origin = originRestore
	}
	if o.AcceptLoss {
		r.cmp.emptied = nil
	}
	return r, nil
}

// all is the reading, what GET decides, the recycle bin and the sweep, and the
// exchange of a rebuilt table.
func (r *run) all(ctx context.Context) (err error) {
	t := r.tp.w.table
	if err := r.selects(ctx); err != nil {
		return err
	}
	if r.options.AcceptLoss {
		if err := r.accept(ctx, t); err != nil {
			return err
		}
	}
	if r.options.Rebuild {
		defer func() { err = errors.Join(err, r.wh.DropRebuild(context.WithoutCancel(ctx), t)) }()
		if err := r.wh.BeginRebuild(ctx, t, r.report.Run); err != nil {
			return fmt.Errorf("begin the rebuild: %w", err)
		}
		r.cmp.shadow = true
	}
	defer func() { _ = r.wh.EndRun(context.WithoutCancel(ctx), r.report.Run) }() // what stays is forgotten at the next start
	if err := r.read(ctx); err != nil {
		return err
	}
	if err := r.decide(ctx); err != nil {
		return err
	}
	// The bin tells of deletions that are younger than the sweep's lag allowance.
	binned, err := r.wholeBin(ctx, r.tp)
	if err != nil {
		return err
	}
	r.report.Deleted += uint64(binned.Deleted)
	if err := r.sweep(ctx); err != nil {
		return err
	}
	r.tally()
	if r.unsettled > 0 {
		return fmt.Errorf("%d records of %s cannot be judged yet: GET does not answer for them, or a guard holds them back; they stay queued", r.unsettled, t)
	}
	if r.options.Rebuild {
		if err := r.exchange(ctx); err != nil {
			return err
		}
	}
	if err := r.removedFields(ctx); err != nil {
		return err
	}
	return r.backfilled(ctx)
}

// read is the complete reading: every key is noted as seen, every row is
// compared.
func (r *run) read(ctx context.Context) error {
	if err := r.wh.BeginRun(ctx, r.report.Run); err != nil {
		return fmt.Errorf("open the record of seen keys: %w", err)
	}
	cov := r.covs[r.tp.w.table]
	cov.Relearn()
	if err := r.compare(ctx); err != nil {
		return err
	}
	cov.Adopt()
	total := r.reading.total
	r.report.Repaired, r.report.Resurrected, r.report.Deleted = uint64(total.Changed), uint64(total.Restored), uint64(total.Deleted)
	r.report.Backfilled = uint64(total.Backfilled)
	r.report.Incomplete = len(r.reading.incomplete) > 0
	r.whole = true
	return nil
}

// tally says how many of the rows that were read were right.
func (r *run) tally() {
	r.report.Unchanged = r.report.Read - min(r.report.Repaired+r.report.Resurrected+r.report.Backfilled, r.report.Read)
}

// compare reads and compares at the same time.
func (r *run) compare(ctx context.Context) error {
	seen := seenKeys{turn: newTurn(), wh: r.wh, run: r.report.Run, table: r.tp.w.table}
	if err := r.compareInto(ctx, seen.add); err != nil {
		return err
	}
	return seen.flush(ctx)
}

// compareInto is compare with the keys told to seen.
func (r *run) compareInto(ctx context.Context, seen func(context.Context, []source.Key) error) error {
	r.reading.seen = seen
	g, gctx := errgroup.WithContext(ctx)
	cctx, stop := context.WithCancel(gctx)
	g.Go(func() error { return r.cmp.run(cctx) })
	g.Go(func() error {
		defer stop()
		return r.tp.reader.full(gctx, r.reading, false)
	})
	if err := g.Wait(); err != nil {
		return err
	}
	out, err := r.cmp.writeAside(ctx)
	r.reading.add(out)
	return err
}

// decide asks GET about the rows where reading and warehouse disagree.
func (r *run) decide(ctx context.Context) error {
	verdicts, err := r.ask(ctx, r.tp.w.table, r.cmp.questions())
	for _, v := range verdicts {
		switch v {
		case verdictRepaired:
			r.report.Repaired++
		case verdictRestored:
			r.report.Resurrected++
		case verdictDeleted:
			r.report.Deleted++
		case verdictNotVisible:
			r.report.NotVisible++
		case verdictGivenUp:
			r.unsettled++
		}
	}
	return err
}

// exchange puts the rebuilt table in the place of the old one, between two
// batches of the writer. It is repeated some times: an exchange may have been made
// though its reply was lost.
func (r *run) exchange(ctx context.Context) error {
	if r.report.Incomplete {
		return errors.New("the rebuild was given up: not everything could be read; the table is as before, and repaired")
	}
	return r.tp.w.pause(ctx, func() error {
		copied, err := r.wh.SwapRebuild(ctx, r.tp.w.table)
		for attempt := 1; err != nil && !permanent(err) && attempt < shadowAttempts; attempt++ {
			if stopped := sleep(ctx, r.clock, time.Second<<attempt); stopped != nil {
				return stopped
			}
			copied, err = r.wh.SwapRebuild(ctx, r.tp.w.table)
		}
		if err != nil {
			return fmt.Errorf("exchange the rebuilt table: %w", err)
		}
		r.log.Info().Str("table", string(r.tp.w.table)).Uint64("carried over", copied).Msg("rebuilt table is in place")
		return nil
	})
}

// seenKeys gathers the keys of a reading, so that they are written in few
// inserts. Safe for concurrent use.
type seenKeys struct {
	wh    Warehouse
	run   string
	table source.Table

	turn turn // guards keys, also while they are written
	keys []source.Key
}

// seenBatch is how many keys one insert records.
const seenBatch = 20_000

func (s *seenKeys) add(ctx context.Context, keys []source.Key) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.give()
	if s.keys = append(s.keys, keys...); len(s.keys) < seenBatch {
		return nil
	}
	return s.write(ctx)
}

func (s *seenKeys) flush(ctx context.Context) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.give()
	return s.write(ctx)
}

// write empties the buffer; it is the caller's turn.
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
