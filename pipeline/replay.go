package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/source"
)

// ReplayReport is what a replay did. Numbers count events of the chosen tables
// but for Messages and Letters.
type ReplayReport struct {
	From, To uint64 // log sequences, both included; From > To when nothing was stored since
	Messages int
	Events   int // handed to the writers
	Changed  int // that changed a row: the warehouse had lost what they tell
	Rereads  int // that asked for the record to be read again
	Letters  int // not decodable; they were kept as dead letters when they came
}

// errNoLog: without an intake nothing is logged.
var errNoLog = errors.New("there is no event log: this sync has no intake")

// replayPatience is how long a message that the log has may take to come.
const replayPatience = time.Minute

// Replay applies the log once more, from the first message stored at or after
// since to the last one stored now, to the chosen tables. It goes the way that
// events go when they come, so it is harmless at any time and any number of
// times (rule 1): only what the warehouse lost is written. The checkpoint does
// not move. It returns once the warehouse confirmed everything and re-reads are
// queued durably; an error leaves a part applied.
func (p *Pipeline) Replay(ctx context.Context, since time.Time, tables []source.Table) (ReplayReport, error) {
	for _, t := range tables {
		if p.tables[t] == nil {
			return ReplayReport{}, fmt.Errorf("table %s is not synchronised", t)
		}
	}
	if p.events == nil {
		return ReplayReport{}, errNoLog
	}
	ctx, stop := p.during(ctx)
	defer stop()
	rp := &replay{p: p, tables: tables, letters: &letterCount{}}
	if err := rp.bounds(ctx, since); err != nil {
		return rp.report, err
	}
	d := p.deps
	d.dead, d.log, d.metrics = rp.letters, zerolog.Nop(), newMetrics(nil, p.name) // all of it was told when the events came
	writers := map[source.Table]*writer{}
	for t, tp := range p.tables {
		writers[t] = tp.w
	}
	rp.decoder = newApplier(d, p.events, writers, p.cfg.Trust, 0)
	err := rp.read(ctx)
	if err == nil {
		err = rp.wait(ctx)
	}
	return rp.result(), whyEnded(ctx, err)
}

// replay is one replay under way.
type replay struct {
	p       *Pipeline
	tables  []source.Table
	decoder *applier // decodes only; it has no position
	letters *letterCount

	mu     sync.Mutex
	report ReplayReport
	open   int           // submissions that are not confirmed
	idle   chan struct{} // closed when open falls to 0 after the last submission
}

// bounds finds the part of the log to read.
func (rp *replay) bounds(ctx context.Context, since time.Time) error {
	before, err := rp.p.events.Before(ctx, since)
	if err != nil {
		return fmt.Errorf("find the first event since %s: %w", since.UTC().Format(time.RFC3339), err)
	}
	first, last, err := rp.p.events.Bounds(ctx)
	if err != nil {
		return fmt.Errorf("ask for the log's bounds: %w", err)
	}
	rp.report.From, rp.report.To = max(before+1, first), last
	return nil
}

// read hands every message to the writers; they bound what waits in memory.
func (rp *replay) read(ctx context.Context) error {
	if rp.report.From > rp.report.To {
		return nil
	}
	r, err := rp.p.events.Read(ctx, rp.report.From)
	if err != nil {
		return fmt.Errorf("read the log from %d: %w", rp.report.From, err)
	}
	defer r.Close()
	for next := rp.report.From; next <= rp.report.To; {
		m, err := rp.next(ctx, r)
		if err != nil {
			return fmt.Errorf("read log message %d: %w", next, err)
		}
		if m.Seq > rp.report.To {
			return nil
		}
		if err := rp.apply(ctx, m); err != nil {
			return fmt.Errorf("apply log message %d: %w", m.Seq, err)
		}
		next = m.Seq + 1
	}
	return nil
}

// next does not wait for ever: the last message may have been purged meanwhile.
func (rp *replay) next(ctx context.Context, r EventReader) (Message, error) {
	patient, cancel := context.WithTimeout(ctx, replayPatience)
	defer cancel()
	m, err := r.Next(patient)
	if err != nil && ctx.Err() == nil && patient.Err() != nil {
		return m, errors.New("it does not come; was it purged?")
	}
	return m, err
}

func (rp *replay) apply(ctx context.Context, m Message) error {
	batches, err := rp.decoder.decode(ctx, m)
	if err != nil {
		return err
	}
	rp.mu.Lock()
	rp.report.Messages++
	rp.mu.Unlock()
	for t, obs := range batches {
		if !slices.Contains(rp.tables, t) {
			continue
		}
		rp.mu.Lock()
		rp.report.Events += len(obs)
		rp.open++
		rp.mu.Unlock()
		if err := rp.p.tables[t].w.submit(ctx, obs, rp.confirmed); err != nil {
			return err
		}
	}
	return nil
}

func (rp *replay) confirmed(o outcome) {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	rp.report.Changed += o.Changed + o.Deleted + o.Restored
	rp.report.Rereads += o.Hints
	if rp.open--; rp.open == 0 && rp.idle != nil {
		close(rp.idle)
	}
}

// wait waits until everything is confirmed.
func (rp *replay) wait(ctx context.Context) error {
	rp.mu.Lock()
	open := rp.open
	if open > 0 {
		rp.idle = make(chan struct{})
	}
	idle := rp.idle
	rp.mu.Unlock()
	if open == 0 {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (rp *replay) result() ReplayReport {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	report := rp.report
	report.Letters = rp.letters.n
	return report
}

// letterCount counts what cannot be decoded in place of keeping it once more.
type letterCount struct{ n int }

func (c *letterCount) DeadLetter(context.Context, string, []byte) error {
	c.n++
	return nil
}
