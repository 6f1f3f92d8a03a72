package zohodesk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// memSpending keeps a Spending as JSON, as a real store does.
type memSpending struct {
	mu     sync.Mutex
	value  []byte
	saves  int
	saving int
	most   int // saves at once
	fail   error
	gate   chan struct{} // not nil: each save waits until it is closed
}

func (m *memSpending) LoadSpending(context.Context) (s Spending, found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.value == nil {
		return s, false, nil
	}
	return s, true, json.Unmarshal(m.value, &s)
}

func (m *memSpending) SaveSpending(_ context.Context, s Spending) error {
	m.mu.Lock()
	m.saves++
	m.saving++
	m.most = max(m.most, m.saving)
	gate := m.gate
	m.mu.Unlock()
	if gate != nil {
		<-gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saving--
	if m.fail != nil {
		return m.fail
	}
	var err error
	m.value, err = json.Marshal(s)
	return err
}

func (m *memSpending) stored(t *testing.T) Spending {
	t.Helper()
	s, _, err := m.LoadSpending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kept gives a client a store, and a data centre whose day is UTC's.
func kept(store SpendingStore) func(*Config) {
	return func(cfg *Config) {
		cfg.Spending, cfg.DataCenter, cfg.AccountsURL = store, "uk", "https://accounts.zoho.eu"
	}
}

// again is another process's client of the same portal.
func again(t *testing.T, portal *desksim.Portal, change ...func(*Config)) *Client {
	t.Helper()
	c := newClient(t, portal.RoundTripper(), append([]func(*Config){func(cfg *Config) {
		cfg.OrgID, cfg.ClientID, cfg.ClientSecret, cfg.RefreshToken = portal.OrgID(), "1000.SIMULATEDCLIENT", "simulated-secret", "1000.simulated.refresh"
	}}, change...)...)
	c.Recall(t.Context())
	return c
}

func (c *Client) pollOnce(t *testing.T) {
	t.Helper()
	if _, err := c.Search(t.Context(), source.ForPoll, source.Tickets, source.Query{Limit: 1}); err != nil {
		t.Fatal(err)
	}
}

func TestRestartInTheMiddleOfADayKeepsFloorsAndShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memSpending{}
		portal, c := simulated(t, desksim.Config{CreditsPerDay: 1000, Tickets: 300}, nil, kept(store))
		for range 30 {
			c.pollOnce(t)
		}
		for range 30 {
			if err := searchTickets(c); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 150 {
			if _, _, err := c.Get(t.Context(), source.ForHydration, source.Departments, uint64(i)); !source.IsFault(err, source.FaultNotFound) {
				t.Fatal(err)
			}
		}
		time.Sleep(13 * time.Hour)
		c.pollOnce(t)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		was, next := c, again(t, portal, kept(store))

		before, after := was.Credits(), next.Credits()
		if after.Today != 333 || after.Today != before.Today || after.Remaining != before.Remaining || after.PerDay != 1000 || after.Reserve != before.Reserve || !after.ResetAt.Equal(before.ResetAt) {
			t.Errorf("credits %+v after the restart, %+v before", after, before)
		}
		if a, b := was.PollPause(), next.PollPause(); a == 0 || a != b {
			t.Errorf("polls pause for %v after the restart, %v before", b, a)
		}
		todayWas, _, _ := was.HydrationBudget()
		if today, day, _ := next.HydrationBudget(); today != todayWas || today != 50 || day != 200 {
			t.Errorf("hydration has %d of %d credits left, want 50 of 200", today, day)
		}
		if a, b := was.Allowance(), next.Allowance(); a != b || a.Today != 667-280 {
			t.Errorf("bulk work may spend %+v after the restart, %+v before", b, a)
		}
		start := time.Now()
		for range 130 { // 129 of them fit into today's 387
			if err := searchTickets(next); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(start); waited != 11*time.Hour {
			t.Errorf("the load went on for %v, want it to reach its floor and wait for midnight", waited)
		}
	})
}

// Whatever moment a process is killed at, what is stored lacks at most a
// hundredth of the day.
func TestKillLosesLittleOfWhatWasSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memSpending{}
		_, c := simulated(t, desksim.Config{CreditsPerDay: 10_000}, nil, kept(store))
		for range 300 {
			if err := searchTickets(c); err != nil {
				t.Fatal(err)
			}
			if lost := c.Credits().Today - store.stored(t).Today; lost < 0 || lost > 100 {
				t.Fatalf("%d of %d credits would be forgotten", lost, c.Credits().Today)
			}
		}
		if store.saves > 15 {
			t.Errorf("%d saves for 900 credits at once, want about one in 100", store.saves)
		}
		time.Sleep(saveEvery)
		c.pollOnce(t)
		if lost := c.Credits().Today - store.stored(t).Today; lost != 0 {
			t.Errorf("%d credits are not stored after %v", lost, saveEvery)
		}
	})
}

func TestHoldAndCeilingSurviveAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memSpending{}
		portal, c := simulated(t, desksim.Config{CreditsPerDay: 1000, Concurrency: 5}, nil, kept(store), func(cfg *Config) { cfg.Reserve = -1 })
		portal.Faults().Latency(func(*http.Request) time.Duration { return 200 * time.Millisecond })
		var wg sync.WaitGroup
		for range 60 {
			wg.Go(func() {
				if err := searchTickets(c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		portal.SpendElsewhere(1000 - portal.Stats().CreditsSpent)
		ctx, kill := context.WithCancel(t.Context())
		wg.Go(func() { _, _ = c.Search(ctx, source.ForSnapshot, source.Tickets, source.Query{}) })
		time.Sleep(time.Second)
		kill()
		wg.Wait()
		refused := portal.Stats().TooMany

		next := again(t, portal, kept(store))
		if got := next.ExpectedInFlight("ENTERPRISE"); got != 5 {
			t.Errorf("%d calls at once are expected after the restart, want the 5 that were learned", got)
		}
		until, why := next.WaitingUntil()
		if want := time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour); !until.Equal(want) || !strings.Contains(why, "credits of the day are spent") {
			t.Errorf("waiting until %v because %q, want %v", until, why, want)
		}
		start := time.Now()
		next.pollOnce(t)
		if now := portal.Stats().TooMany; now != refused || time.Since(start) < 23*time.Hour {
			t.Errorf("%d refusals after the restart, %v later", now-refused, time.Since(start))
		}
	})
}

func TestStoredDayThatIsOverIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, said := &memSpending{}, &bytes.Buffer{}
		portal, c := simulated(t, desksim.Config{CreditsPerDay: 1000}, nil, kept(store))
		for range 200 {
			if err := searchTickets(c); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Hour)
		portal.SpendElsewhere(500)
		next := again(t, portal, kept(store), func(cfg *Config) { cfg.Logger = zerolog.New(said) })
		if got := next.Credits(); got.Today != 0 || got.Remaining != -1 || got.PerDay != 1000 {
			t.Errorf("credits %+v on the next day", got)
		}
		next.pollOnce(t)
		if got := next.Credits(); got.Today != 3 || got.Remaining != 497 || got.Reserve != 200 {
			t.Errorf("credits %+v: the reserve is of the learned 1000, not of what others left", got)
		}
		if !strings.Contains(said.String(), "day that is over") {
			t.Errorf("said %s", said)
		}
	})
}

func TestUnusableStoredSpendingIsIgnoredWithALogLine(t *testing.T) {
	good := func(now time.Time) Spending {
		return Spending{OrgID: testOrg, PerDay: 1000, Peak: 1000, Told: true, ResetAt: now.Truncate(24 * time.Hour).Add(24 * time.Hour), Today: 400, Left: 500, Heard: now}
	}
	cases := []struct {
		name  string
		spoil func(*Spending)
		used  bool
	}{
		{"as it was stored", func(*Spending) {}, true},
		{"another portal's", func(s *Spending) { s.OrgID++ }, false},
		{"negative", func(s *Spending) { s.Today = -1 }, false},
		{"left below nothing", func(s *Spending) { s.Left = -2 }, false},
		{"no amount", func(s *Spending) { s.PollsOwed = -3 }, false},
		{"no day", func(s *Spending) { s.ResetAt = time.Time{} }, false},
		{"another midnight", func(s *Spending) { s.ResetAt = s.ResetAt.Add(time.Hour) }, false},
		{"a day in the far future", func(s *Spending) { s.ResetAt = s.ResetAt.AddDate(20, 0, 0) }, false},
		{"held for ever", func(s *Spending) { s.HoldUntil = s.ResetAt.AddDate(1, 0, 0) }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := good(time.Now())
			c.spoil(&s)
			value, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			ignoredOrUsed(t, value, c.used)
		})
	}
	t.Run("no JSON", func(t *testing.T) { ignoredOrUsed(t, []byte(`{"Today":4`), false) })
	t.Run("of another shape", func(t *testing.T) { ignoredOrUsed(t, []byte(`{"Today":"many"}`), false) })
}

func ignoredOrUsed(t *testing.T, value []byte, used bool) {
	t.Helper()
	said := &bytes.Buffer{}
	z := &scripted{api: always(200, onePage, "X-Rate-Limit-Remaining-v3", "797", "X-Rate-Limit-Request-Weight-v3", "3")}
	c := newClient(t, z, kept(&memSpending{value: value}), func(cfg *Config) { cfg.Logger = zerolog.New(said) })
	if err := searchTickets(c); err != nil {
		t.Fatal(err)
	}
	want, line := int64(3), 1
	if used {
		want, line = 403, 0
	}
	if got := c.Credits(); got.Today != want || got.Remaining != 797 {
		t.Errorf("credits %+v, want %d today", got, want)
	}
	if n := strings.Count(said.String(), "stored credits of the connection are not used"); n != line {
		t.Errorf("said %s", said)
	}
}

func TestChangedCreditsPerDayIsTheNewerWord(t *testing.T) {
	for _, c := range []struct {
		configured int
		want       int64
	}{{0, 0}, {5000, 900}, {6000, 6000}} {
		s := Spending{OrgID: testOrg, PerDay: 900, Promised: 5000, Told: true, ResetAt: time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour), Left: 500}
		value, _ := json.Marshal(s)
		client := newClient(t, &scripted{}, kept(&memSpending{value: value}), func(cfg *Config) { cfg.CreditsPerDay = c.configured })
		client.Recall(t.Context())
		if got := client.Credits(); got.PerDay != c.want || got.Remaining != 500 {
			t.Errorf("credits.per_day %d now and 5000 before, refuted to 900: %+v, want %d a day", c.configured, got, c.want)
		}
	}
}

func TestOneSaveAtATimeAndNobodyWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memSpending{gate: make(chan struct{})}
		_, c := simulated(t, desksim.Config{CreditsPerDay: 10_000}, nil, kept(store))
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if err := searchTickets(c); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if calls := c.Credits().Calls; calls != 200 || store.saves != 1 {
			t.Errorf("%d calls were made and %d saves begun while the first save hangs", calls, store.saves)
		}
		close(store.gate)
		wg.Wait()
		if store.most != 1 {
			t.Errorf("%d saves at once", store.most)
		}
	})
}

func TestStoreThatFailsStopsNothingAndIsSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, said := &memSpending{fail: errors.New("disk full")}, &bytes.Buffer{}
		_, c := simulated(t, desksim.Config{CreditsPerDay: 1000}, nil, kept(store), func(cfg *Config) { cfg.Logger = zerolog.New(said) })
		for range 100 {
			if err := searchTickets(c); err != nil {
				t.Fatal(err)
			}
		}
		if store.saves != 1 || strings.Count(said.String(), "cannot be stored") != 1 {
			t.Errorf("%d saves tried at once, said %s", store.saves, said)
		}
		store.fail = nil
		time.Sleep(saveEvery)
		c.pollOnce(t)
		if got := store.stored(t).Today; got != 303 {
			t.Errorf("%d credits stored once it works again, want 303", got)
		}
	})
}

// What is adopted is what was stored: nothing is lost or made up on the way
// through a store.
func TestSpendingSurvivesTheStoreUnchanged(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		now := time.Date(2026, 9, 10, 12, 0, 0, 0, time.UTC)
		count := rapid.Int64Range(0, 200_000)
		past := rapid.Int64Range(0, 3600).Draw(r, "seconds ago")
		s := Spending{OrgID: testOrg, PerDay: count.Draw(r, "per day"), Peak: count.Draw(r, "peak"), Told: rapid.Bool().Draw(r, "told"),
			ResetAt: now.Add(12 * time.Hour), Today: count.Draw(r, "today"), Hydrated: count.Draw(r, "hydrated"),
			Left: rapid.Int64Range(-1, 200_000).Draw(r, "left"), Heard: now.Add(-time.Duration(past) * time.Second), Late: rapid.Bool().Draw(r, "late"),
			PollsOwed: rapid.Float64Range(0, 10_000).Draw(r, "owed"), PollsAt: now.Add(-time.Minute), Ceiling: rapid.IntRange(0, maxConcurrency-1).Draw(r, "ceiling")}
		if rapid.Bool().Draw(r, "held") {
			s.HoldUntil, s.HoldCredits = now.Add(time.Hour), rapid.Bool().Draw(r, "for credits")
		}
		value, err := json.Marshal(s)
		if err != nil {
			r.Fatal(err)
		}
		var back Spending
		if err := json.Unmarshal(value, &back); err != nil {
			r.Fatal(err)
		}
		g := governedAt(t, now)
		if err := g.adopt(back); err != nil {
			r.Fatalf("%+v is refused: %v", s, err)
		}
		if got := g.spending(); got != s {
			r.Fatalf("got %+v, want %+v", got, s)
		}
	})
}

// No stored value makes the governor panic, wait for ever or spend below a
// floor.
func FuzzStoredSpending(f *testing.F) {
	f.Add([]byte(`{"OrgID":60000000001,"PerDay":1000,"ResetAt":"2026-09-11T00:00:00Z","Left":500,"PollsOwed":1e300}`))
	f.Add([]byte(`{"OrgID":60000000001,"ResetAt":"0001-01-01T00:00:00Z","HoldUntil":"9999-12-31T23:59:59Z"}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		var s Spending
		if json.Unmarshal(value, &s) != nil {
			return
		}
		now := time.Date(2026, 9, 10, 12, 0, 0, 0, time.UTC)
		g := governedAt(t, now)
		if g.adopt(s) != nil {
			return
		}
		if end := g.budget.resetAt; !end.After(now) || end.Sub(now) > 24*time.Hour || g.pace.slots() < 1 {
			t.Errorf("the day ends at %v, %d slots", end, g.pace.slots())
		}
		if g.hold.until.Sub(now) > maxRetryAfter || g.budget.left < -1 || math.IsNaN(g.budget.polls.owed) {
			t.Errorf("hold %+v, %d left, polls %+v", g.hold, g.budget.left, g.budget.polls)
		}
	})
}

func governedAt(t *testing.T, now time.Time) *governor {
	return newTestGovernor(t, Config{OrgID: testOrg, Clock: clockwork.NewFakeClockAt(now)})
}
