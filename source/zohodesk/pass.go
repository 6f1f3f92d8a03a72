package zohodesk

import (
	"time"

	"deskhouse/source"
)

// fallbackHold is how long calls are held back when Zoho says that the credits
// are spent but not until when.
const fallbackHold = 15 * time.Minute

// hold is a time that Zoho told every call to wait for; zero is none.
type hold struct {
	until   time.Time
	credits bool // the day's credits are spent; else there were too many calls
}

func (h hold) why() string {
	if h.credits {
		return "Zoho says that the portal's API credits of the day are spent"
	}
	return "Zoho says that there are too many calls and asks for a pause"
}

// pass is the permission for one request; exactly one of done and unused must
// be called.
type pass struct {
	g        *governor
	priority source.Priority
	weight   int64
	turn     int64
	day      time.Time // end of the day on which it was let through
	inFlight int       // when it was let through, itself included
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
	g.budget.roll(now)
	today := p.day.Equal(g.budget.resetAt)
	o.remaining = g.believed(p, o, today)
	trusted := g.budget.configured
	cost := g.budget.settle(p.priority, p.weight, o.weight, o.remaining, o.throttle == noThrottle, now)
	if today && (o.remaining >= 0 || o.succeeded) {
		g.budget.scout = false
	}
	if trusted && !g.budget.configured {
		g.log.Warn().Int64("per_day", g.budget.most).Int64("day_began_with", g.budget.perDay).
			Msg("the portal has fewer credits a day than credits.per_day says: Zoho's figure is used")
	}
	g.stats.credits(p.priority, cost)
	switch {
	case o.throttle == tooMany:
		g.refuse(p, o.retryAfter, now)
	case o.throttle == creditsGone:
		g.exhaust(o.retryAfter, now)
	case o.succeeded:
		g.pace = g.pace.succeeded(p.inFlight, p.fresh())
	}
	g.move()
}

// believed is what counts of a reply's word about credits, -1 for nothing: a
// refusal's and the day before's do not. Replies overtake each other: only a call
// that was let through after the last one had told can tell of more.
func (g *governor) believed(p *pass, o outcome, today bool) int64 {
	switch {
	case o.remaining < 0 || !today || o.throttle != noThrottle:
		return -1
	case p.turn <= g.told && g.budget.left >= 0:
		o.remaining = min(o.remaining, g.budget.left)
	}
	g.told = g.turn
	return o.remaining
}

// fresh reports whether the call was let through after the last halving. The
// governor's mu is held.
func (p *pass) fresh() bool { return p.turn > p.g.halved }

// refuse answers a refusal for too many calls: fewer at once from now on, and
// none at all until Retry-After is over if there was one (Zoho documents none
// here; proxies send it).
func (g *governor) refuse(p *pass, retryAfter time.Duration, now time.Time) {
	fresh := p.fresh()
	flying := max(p.inFlight, g.inFlight+1) // calls let through later may have come first
	g.pace = g.pace.refused(flying, fresh)
	if fresh {
		g.halved = g.turn
		g.log.Debug().Int("in_flight", flying).Int("limit", g.pace.slots()).Msg("zoho refused a call for too many in flight")
	}
	if until := now.Add(retryAfter); until.After(g.hold.until) && retryAfter > 0 {
		g.hold.until = until
	}
}

// exhaust keeps every call back until Zoho's Retry-After is over.
func (g *governor) exhaust(retryAfter time.Duration, now time.Time) {
	if retryAfter <= 0 {
		retryAfter = max(min(fallbackHold, g.budget.resetAt.Sub(now)), time.Second)
	}
	if g.budget.ranOut() {
		g.log.Warn().Int64("per_day", g.budget.perDay).Msg("zoho's replies do not tell what credits are left; so many a day are assumed: credits.per_day sets it")
	}
	if !g.hold.credits {
		g.log.Warn().Time("until", now.Add(retryAfter).UTC()).Msg("the portal's API credits of the day are spent, all calls wait")
	}
	g.hold.credits = true
	until := now.Add(retryAfter)
	if rest := g.budget.resetAt.Sub(until); rest > 0 && rest < time.Minute {
		until = g.budget.resetAt // whole seconds end just before midnight
	}
	if until.After(g.hold.until) {
		g.hold.until = until
	}
}
