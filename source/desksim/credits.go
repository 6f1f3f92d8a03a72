package desksim

import (
	"sync"
	"time"
)

// credits counts what the portal's clients spend, per day of the portal's time zone, and the calls in flight (CREDITS).
type credits struct {
	mu       sync.Mutex
	perDay   int
	flying   int
	atOnce   int
	zone     *time.Location
	day      time.Time
	spent    int
	spentFor map[string]int
}

func newCredits(cfg Config) *credits {
	return &credits{perDay: cfg.CreditsPerDay, atOnce: cfg.Concurrency, zone: cfg.TimeZone, spentFor: map[string]int{}}
}

func creditsPerDay(e Edition, users int) int {
	switch e {
	case Free:
		return 5_000
	case Express:
		return 25_000 + 100*users
	case Standard:
		return 50_000 + 250*users
	case Professional:
		return 75_000 + 500*users
	}
	return 100_000 + 1_000*users
}

func callsInFlight(e Edition) int {
	switch e {
	case Free:
		return 5
	case Express, Standard:
		return 10
	case Professional:
		return 15
	}
	return 25
}

// enter counts a call in flight; false when there are too many.
func (c *credits) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.atOnce >= 0 && c.flying >= c.atOnce {
		return false
	}
	c.flying++
	return true
}

func (c *credits) leave() {
	c.mu.Lock()
	c.flying--
	c.mu.Unlock()
}

// spend takes the cost of a call. When the day's credits do not cover it, nothing is taken and wait is the number of
// seconds until midnight.
func (c *credits) spend(now time.Time, class string, cost int) (left int, wait int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(now)
	if c.perDay >= 0 && c.spent+cost > c.perDay {
		return max(c.perDay-c.spent, 0), c.untilMidnight(now)
	}
	c.spent += cost
	c.spentFor[class] += cost
	if c.perDay < 0 {
		return 1 << 30, 0
	}
	return c.perDay - c.spent, 0
}

// SpendElsewhere takes credits as the calls of another integration would, which count for the same portal (CREDITS), and
// returns what is left of the day. The last call may find fewer credits than it needs; then it takes none. They are no
// part of Stats.CreditsFor.
func (p *Portal) SpendElsewhere(credits int) (left int) {
	c := p.credits
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(p.Now())
	if c.perDay < 0 {
		return 1 << 30
	}
	if c.spent+credits <= c.perDay {
		c.spent += credits
	}
	return c.perDay - c.spent
}

// AllowInFlight changes Config.Concurrency; calls in flight go on. Negative: unlimited.
func (p *Portal) AllowInFlight(calls int) {
	p.credits.mu.Lock()
	defer p.credits.mu.Unlock()
	p.credits.atOnce = calls
}

// AllowCredits changes Config.CreditsPerDay, from the present day on. Negative: unlimited.
func (p *Portal) AllowCredits(perDay int) {
	p.credits.mu.Lock()
	defer p.credits.mu.Unlock()
	p.credits.perDay = perDay
}

// turn starts a new day at midnight.
func (c *credits) turn(now time.Time) {
	local := now.In(c.zone)
	day := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, c.zone)
	if !day.Equal(c.day) {
		c.day, c.spent = day, 0
	}
}

// untilMidnight is the seconds until the next day's credits, at least 1. c.day is today.
func (c *credits) untilMidnight(now time.Time) int64 {
	return max(int64(c.day.AddDate(0, 0, 1).Sub(now)/time.Second), 1)
}

// retryAfter is what a refusal for spent credits says.
func (c *credits) retryAfter(now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(now)
	return c.untilMidnight(now)
}

func flat(n int) func(query) int { return func(query) int { return n } }

// byOffset prices a list or a search page by how deep it starts (CREDITS).
func byOffset(q query) int {
	switch from := q.number("from", 0); {
	case from <= 2_000:
		return 3
	case from <= 10_000:
		return 5
	case from <= 50_000:
		return 10
	case from <= 100_000:
		return 50
	}
	return 100
}

// searchCost is byOffset, or 1 for a search by a unique id (CREDITS).
func searchCost(q query) int {
	if q["id"] != "" || q["ticketNumber"] != "" {
		return 1
	}
	return byOffset(q)
}
