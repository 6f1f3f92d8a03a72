package zohodesk

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

func newTestGovernor(t *testing.T, cfg Config) *governor {
	t.Helper()
	stats, err := newMetrics("main", nil)
	if err != nil {
		t.Fatal(err)
	}
	return newGovernor(cfg.withDefaults(), time.UTC, zerolog.Nop(), stats)
}

func fine(remaining int64) outcome {
	return outcome{answered: true, succeeded: true, remaining: remaining, weight: -1}
}

func TestUrgentWaitersGoFirstAndPollsGetATenth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGovernor(t, Config{MaxInFlight: 1})
		first, err := g.enter(t.Context(), source.ForSnapshot, 3)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var served []source.Priority
		var wg sync.WaitGroup
		for _, p := range []source.Priority{source.ForHydration, source.ForSnapshot, source.ForPoll, source.ForReread} {
			for range 40 {
				wg.Go(func() {
					got, err := g.enter(t.Context(), p, 1)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					served = append(served, p)
					mu.Unlock()
					got.done(fine(-1))
				})
			}
		}
		synctest.Wait()
		first.done(fine(-1))
		wg.Wait()
		count := map[source.Priority]int{}
		for _, p := range served[:40] {
			count[p]++
		}
		if count[source.ForReread] != 36 || count[source.ForPoll] != 4 {
			t.Errorf("of the first 40: %v, want 36 re-reads and 4 polls", count)
		}
		for i := 81; i < 160; i++ {
			if served[i] < served[i-1] {
				t.Fatalf("after re-reads and polls: %v", served[80:])
			}
		}
	})
}

func TestRefusalsOfOneOverloadHalveOnce(t *testing.T) {
	g := newTestGovernor(t, Config{})
	g.pace.limit = 20
	var passes []*pass
	for range 20 {
		p, err := g.enter(t.Context(), source.ForSnapshot, 3)
		if err != nil {
			t.Fatal(err)
		}
		passes = append(passes, p)
	}
	for _, p := range passes[17:] {
		p.done(outcome{answered: true, throttle: tooMany, remaining: -1, weight: -1})
	}
	if _, limit := g.load(); limit != 10 {
		t.Errorf("limit %d after three refusals at 20, want 10", limit)
	}
	passes[0].done(fine(-1))
	if spent := g.credits().Spent; spent != 3 {
		t.Errorf("%d credits spent, want 3: refused calls cost nothing", spent)
	}
}

// Calls in flight never exceed what the pace allowed when they went out, and
// every call is answered, whatever the portal refuses.
func TestPortalWithATightLimitIsServedWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying, most, refused atomic.Int64
		z := &scripted{}
		z.api = func(*http.Request) *http.Response {
			n := flying.Add(1)
			defer flying.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			if n > 10 {
				refused.Add(1)
				return answer(429, `{"errorCode":"TOO_MANY_REQUESTS","message":"x"}`)
			}
			time.Sleep(200 * time.Millisecond)
			return answer(200, onePage)
		}
		c := newClient(t, z)
		start := time.Now()
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() {
				if err := searchTickets(c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most.Load() > maxConcurrency || refused.Load() == 0 || refused.Load() > 100 {
			t.Errorf("at most %d in flight, %d refusals", most.Load(), refused.Load())
		}
		// 2000 calls of 0.2 s, ten at once, take 40 s at best.
		if took := time.Since(start); took > 50*time.Second {
			t.Errorf("took %v of virtual time", took)
		}
		if calls, _ := c.InFlight(); calls != 0 {
			t.Errorf("%d calls never came back", calls)
		}
	})
}

func TestSpentCreditsHoldEveryCallUntilRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: inTurn(always(200, onePage), always(429, `{"errorCode":"THRESHOLD_EXCEEDED","message":"x"}`, "Retry-After", "7200"), always(200, onePage))}
		c := newClient(t, z)
		if err := searchTickets(c); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := searchTickets(c); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		until, why := c.WaitingUntil()
		if !until.Equal(start.Add(2*time.Hour)) || !strings.Contains(why, "credits") {
			t.Errorf("waiting until %v because %q", until, why)
		}
		for range 5 { // of every priority
			wg.Go(func() {
				if _, _, err := c.Get(t.Context(), source.ForReread, source.Tickets, 1); !source.IsFault(err, source.FaultBadReply) {
					t.Error(err)
				}
			})
		}
		time.Sleep(2*time.Hour - time.Second)
		if n := len(z.sent()); n != 2 {
			t.Errorf("%d requests before the time was up, want 2", n)
		}
		wg.Wait()
		if waited := time.Since(start); waited != 2*time.Hour {
			t.Errorf("waited %v", waited)
		}
		if until, why := c.WaitingUntil(); !until.IsZero() {
			t.Errorf("still waiting until %v because %q", until, why)
		}
	})
}

func TestReserveHoldsBulkBackAndLetsRereadsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGovernor(t, Config{CreditsPerDay: 1000})
		pass, err := g.enter(t.Context(), source.ForPoll, 3)
		if err != nil {
			t.Fatal(err)
		}
		pass.done(fine(201)) // the reserve is 200
		for p, may := range map[source.Priority]bool{source.ForReread: true, source.ForPoll: false, source.ForSnapshot: false} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			got, err := g.enter(ctx, p, 3)
			cancel()
			if (err == nil) != may {
				t.Errorf("priority %d: %v", p, err)
			}
			if got != nil {
				got.done(fine(201))
			}
		}
	})
}

// Who waits for credits waits for the next day and asks nobody meanwhile: each
// question would be paid from the reserve.
func TestCreditsThatRanOutAreWaitedForAndAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, desksim.Config{CreditsPerDay: 1000}, nil, func(cfg *Config) { cfg.DataCenter, cfg.CreditsPerDay = "uk", 1000 })
		time.Sleep(9 * time.Hour)
		portal.SpendElsewhere(847)
		if err := searchTickets(c); err != nil {
			t.Fatal(err)
		}
		midnight := time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := searchTickets(c); err != nil {
					t.Error(err)
				}
				if now := time.Now(); now.Before(midnight) {
					t.Errorf("went out at %v", now)
				}
			})
		}
		synctest.Wait()
		until, why := c.WaitingUntil()
		if !until.Equal(midnight) || !strings.Contains(why, "150 credits left today") {
			t.Errorf("waiting until %v because %q", until, why)
		}
		wg.Wait()
		if until, why := c.WaitingUntil(); !until.IsZero() {
			t.Errorf("still waiting until %v because %q", until, why)
		}
		got, stats := c.Credits(), portal.Stats()
		if stats.Requests != 4 || got.Calls != 4 || got.Remaining != 991 || got.Spent != 12 || got.Today != 9 || got.PerDay != 1000 || got.Reserve != 200 || got.ByPriority[source.ForSnapshot] != 12 {
			t.Errorf("credits %+v of %d requests", got, stats.Requests)
		}
	})
}

// A midnight that brought no credits was not Zoho's. It does not pass for the
// beginning of a poor day, and the real one is found.
func TestDayThatBeginsLateIsAskedForEveryHalfHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := time.FixedZone("late", -5*3600) // the day begins at 05:00 UTC
		portal, c := simulated(t, desksim.Config{CreditsPerDay: 1000, TimeZone: late}, nil, func(cfg *Config) { cfg.DataCenter = "uk" })
		time.Sleep(8 * time.Hour)
		if err := searchTickets(c); err != nil {
			t.Fatal(err)
		}
		portal.SpendElsewhere(847)
		if err := searchTickets(c); err != nil {
			t.Fatal(err)
		}
		before := portal.Stats().Requests
		start := time.Now()
		if err := searchTickets(c); err != nil { // at midnight, to learn that nothing has come
			t.Fatal(err)
		}
		if took := time.Since(start); took != 16*time.Hour {
			t.Errorf("the first call below the reserve went out after %v", took)
		}
		for range 12 {
			if err := searchTickets(c); err != nil {
				t.Fatal(err)
			}
		}
		day := start.Truncate(24 * time.Hour).Add(29 * time.Hour)
		if now := time.Now(); now.Before(day) || now.After(day.Add(creditProbe)) {
			t.Errorf("done at %v, want the load to go on soon after %v", now, day)
		}
		if got := c.Credits(); got.PerDay != 1000 || got.Reserve != 200 || got.Remaining < 900 {
			t.Errorf("credits %+v: the allowance is 1000 still", got)
		}
		if asked := portal.Stats().Requests - before; asked != 13 {
			t.Errorf("%d requests for 13 searches", asked)
		}
	})
}

func TestGovernorWaitsOnAFakeClock(t *testing.T) {
	clock := clockwork.NewFakeClock()
	g := newTestGovernor(t, Config{Clock: clock})
	pass, err := g.enter(t.Context(), source.ForPoll, 3)
	if err != nil {
		t.Fatal(err)
	}
	pass.done(outcome{answered: true, throttle: creditsGone, remaining: -1, weight: -1, retryAfter: time.Hour})
	entered := make(chan error, 1)
	go func() {
		got, err := g.enter(t.Context(), source.ForPoll, 3)
		if err == nil {
			got.done(fine(-1))
		}
		entered <- err
	}()
	if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	select {
	case <-entered:
		t.Fatal("went through during the hold")
	default:
	}
	clock.Advance(time.Hour)
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
}

func TestCancelledWaiterLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGovernor(t, Config{MaxInFlight: 1})
		first, err := g.enter(t.Context(), source.ForPoll, 1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := g.enter(ctx, source.ForPoll, 1); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		first.unused()
		if calls, _ := g.load(); calls != 0 || !g.queue.empty() || g.budget.pending != 0 {
			t.Errorf("%d in flight, queue %+v, %d pending", calls, g.queue, g.budget.pending)
		}
	})
}

// Granting and cancelling at the same moment must not lose a slot.
func TestPassGrantedToACancelledWaiterIsGivenBack(t *testing.T) {
	g := newTestGovernor(t, Config{MaxInFlight: 2})
	var wg sync.WaitGroup
	for i := range 400 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			if i%2 == 0 {
				go cancel()
			}
			defer cancel()
			if got, err := g.enter(ctx, source.Priority(i%4), 1); err == nil {
				got.done(fine(-1))
			}
		})
	}
	wg.Wait()
	if calls, _ := g.load(); calls != 0 || !g.queue.empty() || g.budget.pending != 0 {
		t.Errorf("%d in flight, %d pending", calls, g.budget.pending)
	}
}

func TestMetricsOfTwoConnectionsShareOneRegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	z := &scripted{api: inTurn(always(200, onePage, "X-Rate-Limit-Remaining-v3", "77"), always(403, `{"errorCode":"FORBIDDEN","message":"x"}`))}
	a := newClient(t, z, func(cfg *Config) { cfg.Registerer = reg })
	b := newClient(t, z, func(cfg *Config) { cfg.Registerer, cfg.Name = reg, "other" })
	_ = searchTickets(a)
	_ = searchTickets(b)
	want := `
		# HELP deskhouse_zoho_calls_total Requests to Zoho Desk by endpoint and result, retries included.
		# TYPE deskhouse_zoho_calls_total counter
		deskhouse_zoho_calls_total{connection="main",endpoint="tickets/search",result="ok"} 1
		deskhouse_zoho_calls_total{connection="other",endpoint="tickets/search",result="forbidden"} 1
		# HELP deskhouse_zoho_credits_remaining API credits left today as Zoho told last, -1 before it did.
		# TYPE deskhouse_zoho_credits_remaining gauge
		deskhouse_zoho_credits_remaining{connection="main"} 77
		deskhouse_zoho_credits_remaining{connection="other"} -1
		# HELP deskhouse_zoho_in_flight Requests to Zoho Desk in flight.
		# TYPE deskhouse_zoho_in_flight gauge
		deskhouse_zoho_in_flight{connection="main"} 0
		deskhouse_zoho_in_flight{connection="other"} 0
	`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "deskhouse_zoho_calls_total", "deskhouse_zoho_credits_remaining", "deskhouse_zoho_in_flight"); err != nil {
		t.Error(err)
	}
	if got := testutil.ToFloat64(a.stats.spent[source.ForSnapshot]); got != 3 {
		t.Errorf("%v credits counted for the snapshot, want 3", got)
	}
}
