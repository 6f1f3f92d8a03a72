package pipeline

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"deskhouse/source"
)

// Bounds of one write. A block is written at the latest when one of them is
// reached, and at the earliest writeInterval after the one before, so that a
// stream of changes makes about one part a second and table (design §6).
const (
	maxWriteRows  = 50_000
	maxWriteBytes = 64 << 20
	writeInterval = time.Second
	// queueBytes bounds what waits for a writer, so that a fast source cannot
	// outrun a slow warehouse in memory.
	queueBytes = 32 << 20
)

// outcome counts what became of the observations of one submission.
type outcome struct {
	Seen       int
	Unchanged  int // nothing moved, not even an as_of
	Changed    int // rows whose content is new or different
	Hints      int // re-reads asked for
	Deleted    int // rows that became deleted
	Restored   int // rows that became visible again
	Backfilled int // rows written once more for a column they lacked
}

// submission is a batch of observations of one table, confirmed as a whole.
type submission struct {
	obs   []source.Observation
	bytes int
	done  func(outcome)
}

// writer is the only way into one table. It merges what arrives with what the
// warehouse holds and inserts only what changed.
type writer struct {
	table   source.Table
	res     *source.Resource
	wh      Warehouse
	cov     *source.Coverage
	rereads *rereads
	schema  *schema
	history bool // record changes
	epoch   uint64
	edition uint32 // of the catalog and the columns that are selected
	clock   clockwork.Clock
	log     zerolog.Logger
	metrics *metrics
	failing *failing
	// otherEdition: the rows held were fingerprinted by another edition of the catalog.
	otherEdition atomic.Bool

	in    chan submission
	stops chan func() // done between two batches
	bytes *byteGate
}

func newWriter(t source.Table, d deps) *writer {
	return &writer{table: t, res: source.Lookup(t), wh: d.wh, cov: d.covs[t], rereads: d.rereads, schema: d.schema, history: d.history[t],
		epoch: d.epoch, edition: d.masks.edition(t), clock: d.clock, log: d.log.With().Str("table", string(t)).Logger(), metrics: d.metrics, failing: d.failing,
		in: make(chan submission, 1024), stops: make(chan func()), bytes: newByteGate(queueBytes)}
}

// submit hands observations over; done is called once the warehouse confirmed
// all of them and the re-reads they ask for are queued durably. It blocks while
// too many bytes wait. An error means that done will not be called.
func (w *writer) submit(ctx context.Context, obs []source.Observation, done func(outcome)) error {
	s := submission{obs: obs, bytes: sizeOf(obs), done: done}
	if err := w.bytes.acquire(ctx, s.bytes); err != nil {
		return err
	}
	select {
	case w.in <- s:
		return nil
	case <-ctx.Done():
		w.bytes.release(s.bytes)
		return ctx.Err()
	}
}

// write submits and waits.
func (w *writer) write(ctx context.Context, obs []source.Observation) (outcome, error) {
	return await(ctx, w.submit, obs)
}

// await hands observations over and waits until they are confirmed.
func await(ctx context.Context, put func(context.Context, []source.Observation, func(outcome)) error, obs []source.Observation) (outcome, error) {
	if len(obs) == 0 {
		return outcome{}, nil
	}
	confirmed := make(chan outcome, 1)
	if err := put(ctx, obs, func(o outcome) { confirmed <- o }); err != nil {
		return outcome{}, err
	}
	select {
	case o := <-confirmed:
		return o, nil
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	}
}

// pause runs do between two batches: nothing is written meanwhile.
func (w *writer) pause(ctx context.Context, do func() error) error {
	ended := make(chan error, 1)
	select {
	case w.stops <- func() { ended <- do() }:
		return <-ended
	case <-ctx.Done():
		return ctx.Err()
	}
}

func sizeOf(obs []source.Observation) int {
	n := 0
	for i := range obs {
		n += 256
		if obs[i].Record != nil {
			n += obs[i].Record.Size()
		}
	}
	return n
}

// run writes until ctx ends. A batch that the warehouse refuses is tried again
// with back-off for as long as it takes: nothing is dropped, and lag shows.
func (w *writer) run(ctx context.Context) error {
	var last time.Time
	for {
		batch, err := w.gather(ctx, last.Add(writeInterval))
		if err != nil {
			return err
		}
		last = w.clock.Now()
		if err := w.flush(ctx, batch); err != nil {
			return err
		}
		for _, s := range batch {
			w.bytes.release(s.bytes)
		}
	}
}

// gather collects what waits: at least one submission, and more until the
// bounds of a block are reached or the time for the next write has come.
func (w *writer) gather(ctx context.Context, notBefore time.Time) ([]submission, error) {
	var batch []submission
	rows, bytes := 0, 0
	var due <-chan time.Time
	for {
		select {
		case s := <-w.in:
			batch = append(batch, s)
			rows, bytes = rows+len(s.obs), bytes+s.bytes
			if rows >= maxWriteRows || bytes >= min(maxWriteBytes, queueBytes/2) {
				return batch, nil
			}
			if due == nil {
				due = w.clock.After(max(notBefore.Sub(w.clock.Now()), 0))
			}
		case <-due:
			return w.drain(batch, rows), nil
		case do := <-w.stops:
			do()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// drain adds what is waiting already, without waiting for more.
func (w *writer) drain(batch []submission, rows int) []submission {
	for rows < maxWriteRows {
		select {
		case s := <-w.in:
			batch = append(batch, s)
			rows += len(s.obs)
		default:
			return batch
		}
	}
	return batch
}

// flush is one pass: read heads, merge, queue re-reads, look what changed, write, confirm. Each
// step is repeated by itself until it succeeds: a batch that is merged again
// after its rows were stored would find nothing changed and tell the history
// nothing. Nobody else writes this table, so the heads stay as they were read.
func (w *writer) flush(ctx context.Context, batch []submission) error {
	var b *merged
	var hints []asked
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"read heads of ", func(ctx context.Context) (err error) { b, err = w.merge(ctx, batch); return err }},
		{"add columns to ", func(ctx context.Context) error { return w.schema.ensure(ctx, w.table, b.rows) }},
		{"queue re-reads of ", func(ctx context.Context) (err error) {
			hints, err = w.rereads.keep(ctx, w.table, b.hints)
			return err
		}},
		{"read the held columns of ", func(ctx context.Context) error { return w.spellOut(ctx, b) }},
		{"write ", func(ctx context.Context) error { return w.store(ctx, b) }},
	}
	for _, step := range steps {
		what := step.what + string(w.table)
		if err := retry(ctx, w.clock, w.log, what, w.failing.noting(w.table, what, step.do)); err != nil {
			return err
		}
	}
	w.rereads.begin(hints, nil)
	w.metrics.written(w.table, len(b.rows))
	for i, s := range batch {
		if s.done != nil {
			s.done(b.outcomes[i])
		}
	}
	return nil
}

// store writes the history first: if the process ends before the rows are
// stored, the replay finds the same changes and writes them once more under the
// same ids; the other way round they would be lost. Then the registers side by
// side: they are tables of their own, and writing any of them again is harmless.
func (w *writer) store(ctx context.Context, b *merged) error {
	if w.history && len(b.changes) > 0 {
		if err := w.wh.WriteChanges(ctx, b.changes); err != nil {
			return fmt.Errorf("write %d changes: %w", len(b.changes), err)
		}
	}
	// What a row that is left out leaves beside it goes first: once the row says so,
	// nothing else would find it.
	for reg, sides := range b.empty {
		if err := w.storeSide(ctx, reg, sides); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if len(b.rows) == 0 {
			return nil
		}
		if err := w.wh.Write(ctx, w.table, b.rows, w.epoch); err != nil {
			return fmt.Errorf("write %d rows: %w", len(b.rows), err)
		}
		return nil
	})
	for _, reg := range []source.Register{source.Listed, source.Detail} {
		g.Go(func() error { return w.storeSide(ctx, reg, b.sides[reg]) })
	}
	return g.Wait()
}

// storeSide writes the rows of a listed or detail table that differ from what
// is held.
func (w *writer) storeSide(ctx context.Context, reg source.Register, rows map[source.Key]side) error {
	if len(rows) == 0 {
		return nil
	}
	keys := make([]source.Key, 0, len(rows))
	for k := range rows {
		keys = append(keys, k)
	}
	held, err := w.wh.SideStamps(ctx, w.table, reg, keys)
	if err != nil {
		return fmt.Errorf("read stamps of %s %s: %w", w.table, reg, err)
	}
	var changed []source.SideRow
	for k, s := range rows {
		if stamp, ok := s.after(held[k]); ok {
			changed = append(changed, source.SideRow{Key: k, Stamp: stamp, Record: s.record})
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := w.wh.WriteSide(ctx, w.table, reg, changed, w.epoch); err != nil {
		return fmt.Errorf("write %d %s rows: %w", len(changed), reg, err)
	}
	return nil
}
