package zohodesk

import (
	"context"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// fallbackHold is how long calls are held back when Zoho says that the credits
// are spent but not until when.
const fallbackHold = 15 * time.Minute

// governor lets calls through: as many at once as the pace allows, in the
// order of their priorities, as long as there are credits. One per connection.
// It has no goroutine: whoever enters, leaves or waits moves it on.
type governor struct {
	clock clockwork.Clock
	log   zerolog.Logger
	stats *metrics

	// mu guards everything below.
	mu       sync.Mutex
	pace     pace
	budget   budget
	queue    queue
	inFlight int
	calls    int64
	turn     int64 // numbers the calls let through
	halved   int64 // turn at the last halving

	holdUntil time.Time // nothing goes out before
	holdWhy   string

	wake    time.Time     // when waiters must look again by themselves
	changed chan struct{} // closed when wake changes
}

func newGovernor(cfg Config, zone *time.Location, log zerolog.Logger, stats *metrics) *governor {
	return &governor{clock: cfg.Clock, log: log, stats: stats, pace: newPace(cfg.MaxInFlight),
		budget: newBudget(cfg, zone, cfg.Clock.Now()), changed: make(chan struct{})}
}

// pass is the permission for one request; exactly one of done and unused must
// be called.
type pass struct {
	g        *governor
	priority source.Priority
	weight   int64
	turn     int64
	inFlight int // when it was let through, itself included
}

// outcome is what a reply said of limits and credits.
type outcome struct {
	answered   bool // headers came
	succeeded  bool
	throttle   throttle
	remaining  int64 // credits left, -1 = not told
	weight     int64 // credits charged, -1 = not told
	retryAfter time.Duration
}

// enter waits for a pass. Its error is ctx's.
func (g *governor) enter(ctx context.Context, p source.Priority, weight int64) (*pass, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
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
	for g.inFlight < g.pace.slots() && !now.Before(g.holdUntil) {
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

// release ends a hold and a day whose time has come.
func (g *governor) release(now time.Time) {
	if !g.holdUntil.IsZero() && !now.Before(g.holdUntil) {
		g.holdUntil, g.holdWhy = time.Time{}, ""
		g.budget.forget()
	}
	g.budget.roll(now)
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
	w.ready <- &pass{g: g, priority: w.priority, weight: w.weight, turn: g.turn, inFlight: g.inFlight}
}

// nextWake is when waiters must look again without anyone leaving: the end of
// a hold, the next probe when credits hold them back, or for hydration, which
// is no reason for a probe, the next day. mu is held.
func (g *governor) nextWake(now time.Time) time.Time {
	switch {
	case g.queue.empty():
		return time.Time{}
	case now.Before(g.holdUntil):
		return g.holdUntil
	case g.inFlight >= g.pace.slots():
		return time.Time{}
	case g.queue.urgent():
		return g.budget.probeAt()
	}
	return g.budget.resetAt
}

// unused gives a pass back: nothing was sent.
func (p *pass) unused() {
	g := p.g
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	g.budget.unsent(p.priority, p.weight)
	g.move()
}

// done gives a pass back after the request, whatever came of it. A request
// whose reply never came is counted as charged.
func (p *pass) done(o outcome) {
	g := p.g
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	g.inFlight--
	g.calls++
	trusted := g.budget.configured
	cost := g.budget.settle(p.priority, p.weight, o.weight, o.remaining, o.throttle == noThrottle, now)
	if trusted && !g.budget.configured {
		g.log.Warn().Int64("per_day", g.budget.most).Int64("day_began_with", g.budget.perDay).
			Msg("the portal has fewer credits a day than credits.per_day says: Zoho's figure is used")
	}
	g.stats.credits(p.priority, cost)
	switch {
	case o.throttle == tooMany:
		g.refuse(p)
	case o.throttle == creditsGone:
		g.hold(o.retryAfter, now)
	case o.succeeded:
		g.pace = g.pace.succeeded(p.inFlight)
	}
	g.move()
}

func (g *governor) refuse(p *pass) {
	fresh := p.turn > g.halved
	g.pace = g.pace.refused(p.inFlight, fresh)
	if fresh {
		g.halved = g.turn
		g.log.Debug().Int("in_flight", p.inFlight).Int("limit", g.pace.slots()).Msg("zoho refused a call for too many in flight")
	}
}

// hold keeps every call back until Zoho's Retry-After is over.
func (g *governor) hold(retryAfter time.Duration, now time.Time) {
	if retryAfter <= 0 {
		retryAfter = min(fallbackHold, g.budget.resetAt.Sub(now))
	}
	until := now.Add(retryAfter)
	if !until.After(g.holdUntil) {
		return
	}
	if g.holdUntil.IsZero() {
		g.log.Warn().Time("until", until.UTC()).Msg("the portal's API credits of the day are spent, all calls wait")
	}
	g.holdUntil, g.holdWhy = until, "Zoho says that the portal's API credits of the day are spent"
	g.budget.left = 0
}

// waiting says until when calls are held back and why; zero when they are not,
// or only hydration is, which has a share of its own.
func (g *governor) waiting() (time.Time, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	switch {
	case now.Before(g.holdUntil):
		return g.holdUntil.UTC(), g.holdWhy
	case g.queue.urgent() && g.inFlight < g.pace.slots() && now.Before(g.wake):
		return g.budget.resetAt, g.budget.why()
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
	c := Credits{Spent: b.spent, Today: b.today, PerDay: b.perDay, Remaining: b.left, Reserve: b.reserve(),
		ResetAt: b.resetAt, Calls: g.calls, ByPriority: map[source.Priority]int64{}}
	for p, n := range b.byPriority {
		c.ByPriority[source.Priority(p)] = n
	}
	return c
}
