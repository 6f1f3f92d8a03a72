package pipeline

import (
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"deskhouse/source"
)

// Phases of a table's sync.
const (
	PhaseWaiting   = "waiting"
	PhaseSnapshot  = "snapshot"
	PhaseFollowing = "following"
	PhaseResync    = "resync"
	PhaseSkipped   = "skipped"
)

// Progress is how far one table is. Rows counts what was read in the current
// phase; Total is Zoho's own count, 0 while it is unknown.
type Progress struct {
	source.TableStatus
	Rows  int64
	Total int64
	Rate  float64       // rows a second since the phase began
	ETA   time.Duration // 0 = unknown or done
	// Unhydrated are the rows whose detail is still to be read, about; HydratedBy
	// is when that will be done at the latest as far as credits go, zero when
	// nothing is left or nobody knows.
	Unhydrated int64
	HydratedBy time.Time
}

// progress collects what every goroutine knows about the tables. Safe for
// concurrent use.
type progress struct {
	clock clockwork.Clock

	mu     sync.Mutex
	order  []source.Table
	tables map[source.Table]*tableProgress
	seq    uint64
}

type tableProgress struct {
	source.TableStatus
	rows, total int64
	since       time.Time
	until       time.Time // end of the phase, zero while it lasts
	unhydrated  int64
	hydratedBy  time.Time
}

func newProgress(clock clockwork.Clock, tables []source.Table) *progress {
	p := &progress{clock: clock, order: tables, tables: map[source.Table]*tableProgress{}}
	for _, t := range tables {
		p.tables[t] = &tableProgress{TableStatus: source.TableStatus{Table: t, Phase: PhaseWaiting}, since: clock.Now()}
	}
	return p
}

func (p *progress) with(t source.Table, do func(*tableProgress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if tp := p.tables[t]; tp != nil {
		do(tp)
	}
}

// phase starts a phase; reason is for people, "" for none.
func (p *progress) phase(t source.Table, phase, reason string) {
	p.with(t, func(tp *tableProgress) {
		if phase == PhaseFollowing {
			tp.until = p.clock.Now()
		} else {
			tp.rows, tp.total, tp.since, tp.until = 0, 0, p.clock.Now(), time.Time{}
		}
		tp.Phase, tp.Reason = phase, reason
	})
}

// of is a table's status now.
func (p *progress) of(t source.Table) (st source.TableStatus) {
	p.with(t, func(tp *tableProgress) { st = tp.TableStatus })
	return st
}

func (p *progress) read(t source.Table, rows int) {
	p.with(t, func(tp *tableProgress) { tp.rows += int64(rows) })
}

// hydration notes how many rows are still to be read for their detail.
func (p *progress) hydration(t source.Table, left int64, by time.Time) {
	p.with(t, func(tp *tableProgress) { tp.unhydrated, tp.hydratedBy = left, by })
}

func (p *progress) total(t source.Table, rows int64) {
	p.with(t, func(tp *tableProgress) { tp.total = rows })
}

// event notes an applied webhook event, at on Zoho's clock in ms.
func (p *progress) event(t source.Table, at int64) {
	p.with(t, func(tp *tableProgress) {
		if when := time.UnixMilli(at).UTC(); at > 0 && when.After(tp.LastEventAt) {
			tp.LastEventAt = when
		}
	})
}

// polled notes a finished poll that began at `at` on Zoho's clock.
func (p *progress) polled(t source.Table, at time.Time) {
	p.with(t, func(tp *tableProgress) { tp.LastPollAt, tp.CompleteUntil = at, at })
}

func (p *progress) resynced(r source.RunReport) {
	p.with(r.Table, func(tp *tableProgress) {
		tp.LastResyncAt, tp.Drift = r.Started, r.Repaired+r.Deleted+r.Resurrected
		if r.Err == "" && !r.Incomplete && r.Started.After(tp.CompleteUntil) {
			tp.CompleteUntil = r.Started
		}
	})
}

func (p *progress) applied(seq uint64) {
	p.mu.Lock()
	p.seq = seq
	p.mu.Unlock()
}

// snapshot returns the progress of all tables in their order, and the last
// checkpointed log sequence.
func (p *progress) snapshot() ([]Progress, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Progress, len(p.order))
	for i, t := range p.order {
		out[i] = p.tables[t].progress(p.clock.Now())
	}
	return out, p.seq
}

func (tp *tableProgress) progress(now time.Time) Progress {
	pr := Progress{TableStatus: tp.TableStatus, Rows: tp.rows, Total: tp.total, Unhydrated: tp.unhydrated, HydratedBy: tp.hydratedBy}
	if !tp.until.IsZero() {
		now = tp.until
	}
	if took := now.Sub(tp.since).Seconds(); took > 0 {
		pr.Rate = float64(tp.rows) / took
	}
	if left := tp.total - tp.rows; left > 0 && pr.Rate > 0 && tp.until.IsZero() {
		pr.ETA = time.Duration(float64(left) / pr.Rate * float64(time.Second))
	}
	return pr
}

// statuses returns the status of every table.
func (p *progress) statuses() []source.TableStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]source.TableStatus, len(p.order))
	for i, t := range p.order {
		out[i] = p.tables[t].TableStatus
	}
	return out
}
