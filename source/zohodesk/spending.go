package zohodesk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Spending is what is kept of a connection's credits and pace over restarts, so
// that a restart neither forgets a floor nor runs into a limit that was known.
// Nothing of it is secret. Times are UTC on the local clock.
type Spending struct {
	OrgID    uint64 // the portal; another one's is of no use
	PerDay   int64  // the day's allowance as learned, 0 = not known
	Promised int64  // credits.per_day of the configuration when this was stored
	Told     bool   // the portal's replies say what is left
	Peak     int64  // most that a reply told of

	ResetAt   time.Time // end of the day that the following belong to
	Today     int64     // spent by this client
	Hydrated  int64     // of Today, for hydration
	Left      int64     // -1 = not known
	Heard     time.Time // when a call was last let through or answered
	Late      bool      // the day should have begun, and the replies told of no new credits
	PollsOwed float64   // what polls have spent beyond their even share, at PollsAt
	PollsAt   time.Time

	Ceiling     int       // most calls in flight that Zoho has not refused, 0 = it refused none
	HoldUntil   time.Time // Retry-After of a 429; zero without
	HoldCredits bool      // it was for spent credits
}

// SpendingStore keeps a connection's Spending. LoadSpending is called once,
// SaveSpending about every 30 s while calls are made and each time 1 % of a
// day's credits was spent, never twice at once. A store that fails is logged and
// does not stop the connection.
type SpendingStore interface {
	LoadSpending(ctx context.Context) (s Spending, found bool, err error)
	SaveSpending(ctx context.Context, s Spending) error
}

const (
	// saveEvery and saveShare bound what a kill loses: so much time, or so much
	// of the day's credits.
	saveEvery = 30 * time.Second
	saveShare = 0.01
)

// ledger is the stored side of a governor.
type ledger struct {
	store SpendingStore // nil: nothing is kept
	org   uint64
	gate  chan struct{} // held by the one caller that loads or saves

	// Guarded by the governor's mu.
	loaded  bool
	saved   Spending
	savedAt time.Time
	failed  bool // the last save, at savedAt
}

func newLedger(cfg Config) ledger {
	return ledger{store: cfg.Spending, org: cfg.OrgID, gate: make(chan struct{}, 1)}
}

// Recall reads what earlier runs of this connection left of the day's credits.
// The first call to Zoho does so by itself; whoever asks for Credits before it
// calls Recall first. Calling it again does nothing, unless ctx had ended.
func (c *Client) Recall(ctx context.Context) { c.gov.recall(ctx) }

// Flush stores what was spent since it was last stored: for an orderly end.
func (c *Client) Flush(ctx context.Context) error {
	g := c.gov
	if g.ledger.store == nil || c.Credits().Calls == 0 {
		return nil
	}
	select {
	case g.ledger.gate <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-g.ledger.gate }()
	return g.save(ctx)
}

func (g *governor) recall(ctx context.Context) {
	if g.recalled() {
		return
	}
	select {
	case g.ledger.gate <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-g.ledger.gate }()
	if g.recalled() {
		return
	}
	s, found, err := g.ledger.store.LoadSpending(ctx)
	if ctx.Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ledger.loaded = true
	if err == nil && found {
		err = g.adopt(s)
	}
	if err != nil {
		g.log.Warn().Err(err).Msg("stored credits of the connection are not used: what is left is learned again")
	}
}

func (g *governor) recalled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ledger.store == nil || g.ledger.loaded
}

// adopt goes on where a stored run ended. mu is held.
func (g *governor) adopt(s Spending) error {
	now := g.clock.Now()
	if err := s.check(g.ledger.org, g.budget.resetAt, now); err != nil {
		return err
	}
	if !s.ResetAt.After(now) {
		g.log.Info().Time("day_ended", s.ResetAt).Msg("stored credits are of a day that is over: a new count begins")
	}
	g.budget.adopt(s, now)
	g.pace = g.pace.adopt(s.Ceiling)
	if s.HoldUntil.After(now) {
		g.hold = hold{s.HoldUntil, s.HoldCredits}
	}
	g.ledger.saved, g.ledger.savedAt = s, now
	return nil
}

// check says why a stored value cannot be used: it is another portal's, or no
// governor can have written it. resetAt is the end of the present day.
func (s Spending) check(org uint64, resetAt, now time.Time) error {
	switch {
	case s.OrgID != org:
		return fmt.Errorf("they are of org %d, and the connection is for %d", s.OrgID, org)
	case s.PerDay < 0 || s.Peak < 0 || s.Promised < 0 || s.Today < 0 || s.Hydrated < 0 || s.Left < -1 || s.Ceiling < 0:
		return errors.New("a count is negative")
	case !(s.PollsOwed >= 0) || math.IsInf(s.PollsOwed, 0):
		return errors.New("what polls owe is no amount")
	case s.ResetAt.IsZero() || s.ResetAt.After(now) && !s.ResetAt.Equal(resetAt):
		return fmt.Errorf("their day ends at %s and the present one at %s", s.ResetAt, resetAt)
	case s.HoldUntil.Sub(now) > maxRetryAfter:
		return fmt.Errorf("they hold every call back until %s", s.HoldUntil)
	}
	return nil
}

// adopt takes a stored day over, as it stands or ended. A credits.per_day that
// was changed since is the newer word.
func (b *budget) adopt(s Spending, now time.Time) {
	if s.PerDay > 0 && s.Promised == b.most {
		b.perDay, b.configured = s.PerDay, b.most > 0 && s.PerDay == b.most
	}
	b.today, b.hydrated, b.left, b.late, b.told, b.peak = s.Today, s.Hydrated, s.Left, s.Late, s.Told, s.Peak
	b.polls = pollPace{owed: s.PollsOwed, at: earlier(s.PollsAt, now)}
	b.heard, b.resetAt = earlier(s.Heard, now), s.ResetAt
	b.scout = true // others may have spent meanwhile
	b.roll(now)
}

// earlier keeps a stored time from lying ahead of a clock that was set back.
func earlier(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

// adopt takes over a ceiling that was learned, 0 = none.
func (p pace) adopt(ceiling int) pace {
	if ceiling > 0 {
		p.ceiling = min(float64(ceiling), p.max)
		p.limit = min(p.limit, p.ceiling)
	}
	return p
}

// spending is what would be stored now. What is in flight counts as spent: if
// the process dies, Zoho has charged it all the same. mu is held.
func (g *governor) spending() Spending {
	b := &g.budget
	s := Spending{OrgID: g.ledger.org, PerDay: b.perDay, Promised: b.most, Told: b.told, Peak: b.peak, ResetAt: plainUTC(b.resetAt),
		Today: b.today + b.pending, Hydrated: b.hydrated, Left: b.left, Heard: plainUTC(b.heard), Late: b.late,
		PollsOwed: b.polls.owed, PollsAt: plainUTC(b.polls.at), HoldUntil: plainUTC(g.hold.until), HoldCredits: g.hold.credits}
	if s.Left >= 0 {
		s.Left = max(s.Left-b.pending, 0)
	}
	if g.pace.ceiling < g.pace.max {
		s.Ceiling = int(g.pace.ceiling)
	}
	return s
}

// plainUTC is a time as it comes back from a store.
func plainUTC(t time.Time) time.Time { return t.UTC().Round(0) }

// keep saves when it is time. Whoever leaves the governor calls it, outside its
// lock; while one saves, the others go on.
func (g *governor) keep(ctx context.Context) {
	if g.ledger.store == nil || !g.due() {
		return
	}
	select {
	case g.ledger.gate <- struct{}{}:
	default:
		return
	}
	defer func() { <-g.ledger.gate }()
	if err := g.save(ctx); err != nil && ctx.Err() == nil {
		g.log.Warn().Err(err).Msg("spent credits cannot be stored")
	}
}

// due reports whether enough has changed since the last save: a hold that began
// is stored at once, because calls sent in spite of it are refused.
func (g *governor) due() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l, b := &g.ledger, &g.budget
	if g.clock.Since(l.savedAt) >= saveEvery {
		return true
	}
	day := max(b.perDay, smallestDay)
	spent := b.today - l.saved.Today
	return !l.failed && (float64(spent) >= saveShare*float64(day) || !plainUTC(g.hold.until).Equal(l.saved.HoldUntil))
}

// save stores the spending unless nothing changed. The gate is held.
func (g *governor) save(ctx context.Context) error {
	g.mu.Lock()
	s, was := g.spending(), g.ledger.saved
	g.mu.Unlock()
	if s == was {
		return nil
	}
	err := g.ledger.store.SaveSpending(ctx, s)
	if err != nil && ctx.Err() != nil {
		return err // the next caller saves
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ledger.savedAt, g.ledger.failed = g.clock.Now(), err != nil
	if err == nil {
		g.ledger.saved = s
	}
	return err
}
