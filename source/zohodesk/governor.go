package zohodesk

import (
	"context"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// governor lets calls through: as many at once as the pace allows, in the
// order of their priorities, as long as there are credits. One per connection.
// It has no goroutine: whoever enters, leaves or waits moves it on.
type governor struct {
	clock  clockwork.Clock
	log    zerolog.Logger
	stats  *metrics
	ledger ledger

	// mu guards everything below.
	mu       sync.Mutex
	pace     pace
	budget   budget
	queue    queue
	inFlight int
	calls    int64
	turn     int64 // numbers the calls let through
	halved   int64 // turn at the last halving
	told     int64 // turn when a reply last told what is left

	hold hold // nothing goes out before its end

	wake    time.Time     // when waiters must look again by themselves
	changed chan struct{} // closed when wake changes
}

func newGovernor(cfg Config, zone *time.Location, log zerolog.Logger, stats *metrics) *governor {
	return &governor{clock: cfg.Clock, log: log, stats: stats, ledger: newLedger(cfg), pace: newPace(cfg.MaxInFlight),
		budget: newBudget(cfg, zone, cfg.Clock.Now()), changed: make(chan struct{})}
}

// enter waits for a pass. Its error is ctx's.
func (g *governor) enter(ctx context.Context, p source.Priority, weight int64) (*pass, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	g.recall(ctx)
	w := &waiter{priority: p, weight: weight, ready: make(chan *pass, 1)}
	g.mu.Lock()
	g.queue.push(w)
	g.move()
	for {
		wake, changed := g.wake, g.changed
		g.mu.Unlock()
		got, err := g.await(ctx, w, wake, changed)
		if got != nil || err != nil {
			return got, err
		}
		g.mu.Lock()
		g.move()
	}
}

// await waits for a pass, the governor's next wake-up, a change of it, or the
// end of ctx. Both results are nil when it is time to look again.
func (g *governor) await(ctx context.Context, w *waiter, wake time.Time, changed <-chan struct{}) (*pass, error) {
	select {
	case got := <-w.ready: // the usual case needs no timer
		return got, nil
	default:
	}
	var alarm <-chan time.Time
	if !wake.IsZero() {
		timer := g.clock.NewTimer(wake.Sub(g.clock.Now()))
		defer timer.Stop()
		alarm = timer.Chan()
	}
	select {
	case got := <-w.ready:
		return got, nil
	case <-changed:
	case <-alarm:
	case <-ctx.Done():
		g.leaveQueue(w)
		return nil, context.Cause(ctx)
	}
	return nil, nil
}

// leaveQueue takes a waiter out, and gives back the pass it may have got in
// the meantime.
func (g *governor) leaveQueue(w *waiter) {
	g.mu.Lock()
	g.queue.remove(w)
	g.move()
	g.mu.Unlock()
	select {
	case got := <-w.ready:
		got.unused()
	default:
	}
}

// move lets through whom it can and sets the next wake-up. mu is held.
func (g *governor) move() {
	now := g.clock.Now()
	g.release(now)
	for g.room() && !now.Before(g.hold.until) {
		w := g.next(now)
		if w == nil {
			break
		}
		g.grant(w, now)
	}
	if wake := g.nextWake(now); !wake.Equal(g.wake) {
		g.wake = wake
		close(g.changed)
		g.changed = make(chan struct{})
	}
	g.stats.load(g.inFlight, g.budget.left)
}

// room reports whether one more call may be in flight.
func (g *governor) room() bool {
	return g.inFlight < g.pace.slots() && (g.inFlight == 0 || !g.budget.scout)
}

// release ends a day and a hold whose time has come.
func (g *governor) release(now time.Time) {
	g.budget.roll(now)
	if over := g.hold; !over.until.IsZero() && !now.Before(over.until) {
		g.hold = hold{}
		if over.credits {
			g.budget.forget()
		}
	}
}

// next takes the waiter whose turn it is, nil when the budget allows none.
func (g *governor) next(now time.Time) *waiter {
	w := g.queue.take(g.turn, g.budget.allows)
	if w == nil && !now.Before(g.budget.probeAt()) {
		w = g.queue.take(g.turn, func(p source.Priority, _ int64) bool { return p < source.ForHydration })
	}
	return w
}

func (g *governor) grant(w *waiter, now time.Time) {
	g.turn++
	g.inFlight++
	g.budget.sent(w.priority, w.weight, now)
	w.ready <- &pass{g: g, priority: w.priority, weight: w.weight, turn: g.turn, day: g.budget.resetAt, inFlight: g.inFlight}
}

// nextWake is when waiters must look again without anyone leaving: the end of
// a hold, the next probe when credits hold them back, or for hydration, which
// is no reason for a probe, the next day. mu is held.
func (g *governor) nextWake(now time.Time) time.Time {
	switch {
	case g.queue.empty():
		return time.Time{}
	case now.Before(g.hold.until):
		return g.hold.until
	case !g.room():
		return time.Time{}
	case g.queue.urgent():
		return g.budget.probeAt()
	}
	return g.budget.resetAt
}

// waiting says until when calls are held back and why; zero when they are not,
// or only hydration is, which has a share of its own.
func (g *governor) waiting() (time.Time, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	switch {
	case now.Before(g.hold.until):
		return g.hold.until.UTC(), g.hold.why()
	case g.queue.urgent() && g.room() && now.Before(g.wake):
		return g.wake.UTC(), g.budget.why()
	}
	return time.Time{}, ""
}

func (g *governor) load() (calls, limit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inFlight, g.pace.slots()
}

func (g *governor) credits() Credits {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := &g.budget
	b.roll(g.clock.Now())
	c := Credits{Spent: b.spent, Today: b.today, PerDay: b.perDay, Remaining: b.left, Reserve: b.reserve(),
		ResetAt: b.resetAt, Calls: g.calls, ByPriority: map[source.Priority]int64{}}
	for p, n := range b.byPriority {
		c.ByPriority[source.Priority(p)] = n
	}
	return c
}
