package zohodesk

import (
	"time"

	"deskhouse/source"
)

// Shares of a day's credits beside the floors: what can wait for ever must not
// empty the day, and what recurs must not eat it up unnoticed.
const (
	// hydrationShare is what hydration may spend a day, of what is not reserved:
	// a resync of 1 M tickets (30,000 credits) still fits into the rest of a day
	// of 110,000 (CREDITS: Enterprise with ten users).
	hydrationShare = 0.25
	// smallestDay is the smallest allowance (CREDITS: Free 5,000), taken for
	// hydration while nothing tells the portal's own.
	smallestDay = 5_000
	// pollShare and pollBurst add up to the 5 % of the day's credits that
	// scheduled polls may cost: so much flows in evenly over 24 hours, and so
	// much may be spent at once.
	pollShare = 0.04
	pollBurst = 0.01
)

// hydrationDay is what hydration may spend a day.
func (b *budget) hydrationDay() int64 {
	day := b.perDay
	if day == 0 {
		day = smallestDay
	}
	return int64(float64(day-min(b.reserve(), day)) * hydrationShare)
}

// hydrationLeft is what hydration may still spend today, never below 0.
func (b *budget) hydrationLeft() int64 {
	n := b.hydrationDay() - b.hydrated
	if b.left >= 0 {
		n = min(n, b.left-b.pending-b.floor(source.ForHydration))
	}
	return max(n, 0)
}

// pollPace spreads the cost of scheduled polls over the day. What they spend is
// owed and paid back evenly; who owes more than a burst waits. A round under
// way is never stopped by it.
type pollPace struct {
	owed float64 // credits
	at   time.Time
}

// settle pays back what the time since the last call allows.
func (p *pollPace) settle(perDay int64, now time.Time) {
	if passed := now.Sub(p.at); passed > 0 && !p.at.IsZero() {
		p.owed = max(p.owed-pollShare*float64(perDay)*passed.Hours()/24, 0)
	}
	p.at = now
}

// spent notes the cost of a poll's call. While the day's credits are not known
// nothing is owed.
func (p *pollPace) spent(cost, perDay int64, now time.Time) {
	if perDay > 0 {
		p.settle(perDay, now)
		p.owed += float64(cost)
	}
}

// pause is how long the next scheduled round has to wait, 0 when it may go.
func (p *pollPace) pause(perDay int64, now time.Time) time.Duration {
	if perDay == 0 {
		return 0
	}
	p.settle(perDay, now)
	over := p.owed - pollBurst*float64(perDay)
	if over <= 0 {
		return 0
	}
	return time.Duration(over/(pollShare*float64(perDay))*24*float64(time.Hour)).Truncate(time.Second) + time.Second
}

// PollPause is how long the next scheduled poll or recycle-bin round has to
// wait, so that all of them together cost at most 5 % of the day's credits; 0
// when it may go. Rounds that somebody asked for need not ask.
func (c *Client) PollPause() time.Duration {
	g := c.gov
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.budget.polls.pause(g.budget.perDay, g.clock.Now())
}

// HydrationBudget is how many credits hydration may still spend today and on
// every further day, and when that begins (UTC).
func (c *Client) HydrationBudget() (today, perDay int64, resetAt time.Time) {
	g := c.gov
	g.mu.Lock()
	defer g.mu.Unlock()
	g.budget.roll(g.clock.Now())
	return g.budget.hydrationLeft(), g.budget.hydrationDay(), g.budget.resetAt
}
