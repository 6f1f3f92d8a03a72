package pipeline

import (
	"context"
	"fmt"
	"time"
)

// Status is a sync at one moment.
type Status struct {
	Pipeline   string
	Tables     []Progress
	LogApplied uint64 // last log sequence checkpointed
	LogLast    uint64 // last log sequence stored, 0 when the log is empty
	Rereads    int    // records queued to be read again
	Failing    []Failing
}

// Status reports progress; it never blocks on Zoho or the warehouse.
func (p *Pipeline) Status(ctx context.Context) (Status, error) {
	tables, applied := p.progress.snapshot()
	st := Status{Pipeline: p.name, Tables: tables, LogApplied: applied, Rereads: p.rereads.pending(), Failing: p.failing.list()}
	if p.events != nil {
		first, last, err := p.events.Bounds(ctx)
		if err != nil {
			return st, fmt.Errorf("ask for the log's bounds: %w", err)
		}
		if first <= last {
			st.LogLast = last
		}
	}
	return st, nil
}

// Failing is what is tried again and has not succeeded since, what has failed
// the longest first.
func (p *Pipeline) Failing() []Failing { return p.failing.list() }

// Settled waits until every logged event is applied and no re-read is queued.
func (p *Pipeline) Settled(ctx context.Context) error {
	for {
		st, err := p.Status(ctx)
		if err != nil {
			return err
		}
		if st.Rereads == 0 && st.LogApplied >= st.LogLast {
			return nil
		}
		if err := sleep(ctx, p.clock, settledEvery); err != nil {
			return err
		}
	}
}

// settledEvery is how often Settled looks.
const settledEvery = 50 * time.Millisecond
