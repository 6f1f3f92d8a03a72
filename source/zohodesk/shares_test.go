package zohodesk

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"deskhouse/source"
)

// portalOf is a portal of so many credits a day, all its own: it refills at
// midnight and charges what it is told.
type portalOf struct {
	perDay, left int64
	day          time.Time
}

func (p *portalOf) charge(g *governor, pass *pass) {
	if day := time.Now().UTC().Truncate(24 * time.Hour); day.After(p.day) {
		p.day, p.left = day, p.perDay
	}
	p.left -= pass.weight
	pass.done(outcome{answered: true, succeeded: true, remaining: p.left, weight: pass.weight})
}

func TestHydrationKeepsToItsShareOfEachDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal := &portalOf{perDay: 1000}
		g := newTestGovernor(t, Config{})
		first, err := g.enter(t.Context(), source.ForPoll, 3)
		if err != nil {
			t.Fatal(err)
		}
		portal.charge(g, first)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				pass, err := g.enter(ctx, source.ForHydration, 1)
				if err != nil {
					return
				}
				portal.charge(g, pass)
			}
		})
		for day := range 3 {
			time.Sleep(23 * time.Hour)
			if got, want := g.credits().ByPriority[source.ForHydration], int64(200*(day+1)); got != want {
				t.Errorf("day %d: %d credits for hydration in all, want %d: a quarter of the 800 that are not reserved", day+1, got, want)
			}
			if until, why := g.waiting(); !until.IsZero() {
				t.Errorf("waiting until %v because %q, though only hydration waits", until, why)
			}
			time.Sleep(time.Hour)
		}
		cancel()
		wg.Wait()
	})
}

func TestHydrationLeavesHalfToOthersAndIsNoReasonForAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGovernor(t, Config{CreditsPerDay: 1000})
		pass, err := g.enter(t.Context(), source.ForPoll, 3)
		if err != nil {
			t.Fatal(err)
		}
		pass.done(fine(600)) // 200 reserved and half of the rest
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Hour)
		defer cancel()
		if got, err := g.enter(ctx, source.ForHydration, 1); err == nil {
			t.Error("hydration went below half of what is not reserved")
			got.unused()
		}
		if got, err := g.enter(t.Context(), source.ForSnapshot, 3); err != nil {
			t.Error(err)
		} else {
			got.done(fine(597))
		}
		if today, perDay, _ := g.budget.hydrationLeft(), g.budget.hydrationDay(), 0; today != 0 || perDay != 200 {
			t.Errorf("%d credits left today of %d, want 0 of 200", today, perDay)
		}
	})
}

// A day's hydration costs at most its share, whatever calls come back or fail.
func TestHydrationShareHoldsUnderAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 9, 10, 1, 0, 0, 0, time.UTC)
		b := newBudget(Config{Reserve: 0.2, CreditsPerDay: 1000}, time.UTC, now)
		flying, charged := 0, int64(0)
		for range rapid.IntRange(0, 600).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				if b.allows(source.ForHydration, 1) {
					b.sent(source.ForHydration, 1, now)
					flying++
				}
			case 2:
				if flying > 0 {
					flying--
					charged += b.settle(source.ForHydration, 1, 1, -1, true, now)
				}
			case 3:
				if flying > 0 {
					flying--
					b.unsent(source.ForHydration, 1)
				}
			}
		}
		if charged+int64(flying) > 200 || b.hydrated != charged+int64(flying) {
			t.Fatalf("%d charged, %d in flight, %d counted; the share is 200", charged, flying, b.hydrated)
		}
	})
}

func TestPollsAreSpreadToFivePercentOfTheDay(t *testing.T) {
	cases := []struct {
		name     string
		perDay   int64
		every    time.Duration
		cost     int64
		min, max int64 // credits in the first day
	}{
		{"a poll a second", 100_000, time.Second, 3, 4_900, 5_003},
		{"the defaults on a small portal", 5_000, 5 * time.Minute, 3, 245, 253},
		{"the defaults on a large one", 100_000, 5 * time.Minute, 3, 864, 864},
		{"a great catch-up", 100_000, time.Hour, 6_000, 6_000, 6_000},
		{"unknown", 0, time.Minute, 3, 4_320, 4_320},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			start := time.Date(2026, 9, 10, 0, 0, 0, 0, time.UTC)
			var p pollPace
			spent := int64(0)
			for now := start; now.Before(start.Add(24 * time.Hour)); {
				if wait := p.pause(c.perDay, now); wait > 0 {
					now = now.Add(wait)
					continue
				}
				p.spent(c.cost, c.perDay, now)
				spent += c.cost
				now = now.Add(c.every)
			}
			if spent < c.min || spent > c.max {
				t.Errorf("%d credits a day, want %d to %d", spent, c.min, c.max)
			}
		})
	}
}

func TestPollPauseCountsPollsOnly(t *testing.T) {
	z := &scripted{api: always(200, onePage, "X-Rate-Limit-Remaining-v3", "997", "X-Rate-Limit-Request-Weight-v3", "3")}
	c := newClient(t, z, func(cfg *Config) { cfg.CreditsPerDay = 1000 })
	for range 20 {
		if err := searchTickets(c); err != nil { // for the snapshot
			t.Fatal(err)
		}
	}
	if wait := c.PollPause(); wait != 0 {
		t.Errorf("polls wait %v for what a snapshot cost", wait)
	}
	for range 20 {
		if _, err := c.Search(t.Context(), source.ForPoll, source.Tickets, source.Query{Limit: 100}); err != nil {
			t.Fatal(err)
		}
	}
	if wait := c.PollPause(); wait < 29*time.Hour || wait > 31*time.Hour { // 60 spent, 10 at once, 40 a day
		t.Errorf("polls wait %v, want 30 h", wait)
	}
}

// A credits.per_day that the portal never has makes floors that nothing
// reaches: the first reply of a new day tells.
func TestAllowanceTooLargeIsCorrectedAtTheNextDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal := &portalOf{perDay: 1000}
		g := newTestGovernor(t, Config{CreditsPerDay: 1_000_000})
		first, err := g.enter(t.Context(), source.ForPoll, 3)
		if err != nil {
			t.Fatal(err)
		}
		portal.charge(g, first)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 100 {
				pass, err := g.enter(t.Context(), source.ForSnapshot, 3)
				if err != nil {
					t.Error(err)
					return
				}
				portal.charge(g, pass)
			}
		})
		time.Sleep(time.Minute)
		if _, why := g.waiting(); !strings.Contains(why, "1000000 a day by credits.per_day") {
			t.Errorf("waits because %q, want the setting named", why)
		}
		wg.Wait()
		if took := time.Since(start); took > 24*time.Hour {
			t.Errorf("the load took %v, want it to go on at midnight", took)
		}
		if got := g.credits(); got.PerDay != 1000 || got.Reserve != 200 {
			t.Errorf("credits %+v, want the portal's own 1000", got)
		}
	})
}

func TestAllowanceIsLearned(t *testing.T) {
	type reply struct {
		newDay bool
		had    int64
	}
	cases := []struct {
		name       string
		configured int
		replies    []reply
		want       int64
	}{
		{"nothing configured", 0, []reply{{false, 400}, {false, 300}, {true, 1000}, {false, 900}}, 1000},
		{"a portal that got a smaller edition", 0, []reply{{true, 1000}, {true, 500}}, 500},
		{"others spend in the middle of a day", 1000, []reply{{false, 100}}, 1000},
		{"a little less at the beginning of a day", 1000, []reply{{true, 950}}, 1000},
		{"far too much configured", 1000, []reply{{true, 500}, {false, 400}}, 500},
		{"a midnight that was none", 1000, []reply{{true, 500}, {false, 1000}}, 1000},
		{"never more than configured", 1000, []reply{{true, 500}, {true, 5000}}, 1000},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBudget(Config{Reserve: 0.2, CreditsPerDay: c.configured}, time.UTC, time.Now())
			for _, r := range c.replies {
				b.newDay = r.newDay
				b.learn(r.had)
			}
			if b.perDay != c.want {
				t.Errorf("%d a day, want %d", b.perDay, c.want)
			}
		})
	}
}
