package zohodesk

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

func TestCorrectedConfigurationIsTriedAtOnce(t *testing.T) {
	for name, wrong := range map[string]func(*Config){
		"secret":        func(cfg *Config) { cfg.ClientSecret = "wrong" },
		"client id":     func(cfg *Config) { cfg.ClientID = "1000.WRONG" },
		"refresh token": func(cfg *Config) { cfg.RefreshToken = "1000.wrong" },
		"data centre":   func(cfg *Config) { cfg.DataCenter = "us" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &inMemory{}
				portal, _ := simulated(t, small(desksim.Config{AccountsHost: "accounts.zoho.eu"}), nil)
				for range 2 { // the second within the silence that follows the first
					if err := searchTickets(another(t, portal, store, nil, wrong)); !source.IsFault(err, source.FaultUnauthorized) || portal.Stats().TokenCalls != 1 {
						t.Fatalf("%d token requests, %v", portal.Stats().TokenCalls, err)
					}
				}
				right := another(t, portal, store, nil)
				if err := searchTickets(right); err != nil {
					t.Error(err)
				}
				stand(t, right, StateConnected, FromConfiguration)
			})
		})
	}
}

// A failure from the future was left by a clock that was set back.
func TestFailureIsWaitedOutByTheClock(t *testing.T) {
	now := time.Date(2026, 9, 10, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		at   time.Duration
		hold bool
	}{"just now": {0, true}, "nearly over": {-9 * time.Minute, true}, "over": {-10 * time.Minute, false}, "skewed": {30 * time.Second, true}, "from the future": {time.Hour, false}} {
		f := TokenFailure{At: now.Add(c.at), Until: now.Add(c.at + 10*time.Minute)}
		if f.holds(now) != c.hold {
			t.Errorf("%s: holds %v", name, !c.hold)
		}
	}
}

func TestUnexplainedAnswersDoNotUseUpTheTenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(200, onePage)}
		z.token = func(int) *http.Response { return answer(502, "<html>") }
		c := newClient(t, z)
		start := time.Now()
		for range 6 {
			_, err := c.tokens.access(t.Context(), z)
			var call *source.CallError
			if !errors.As(err, &call) || (call.Wait == time.Minute) != (z.granted() == 6) {
				t.Fatalf("request %d: %v", z.granted(), err)
			}
		}
		for time.Since(start) < 3*time.Minute {
			_, _ = c.tokens.access(t.Context(), z)
			time.Sleep(time.Second)
		}
		if z.granted() != 8 {
			t.Errorf("%d requests in three minutes, want one a minute after the sixth", z.granted())
		}
	})
}

func TestThrottledConnectionIsStillConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		portal, c := simulated(t, small(desksim.Config{}), nil, func(cfg *Config) { cfg.Tokens = store })
		portal.Faults().Rate(desksim.FaultTokenThrottle, 1)
		_ = searchTickets(c)
		a, err := c.Authorisation(t.Context())
		if err != nil || a.State != StateConnected || !strings.Contains(a.Reason, "asked again at 00:10 UTC") || a.Requests != 1 {
			t.Errorf("%+v, %v", a, err)
		}
		if err := c.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
			t.Fatal(err)
		}
		if stored, _, _ := store.LoadToken(t.Context()); stored.Throttled.IsZero() {
			t.Error("that the server throttles is forgotten with the old refresh token")
		}
	})
}

func TestScopesSurviveARefreshThatDoesNotTellThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(200, onePage)}
		c := newClient(t, z)
		if err := searchTickets(c); err != nil {
			t.Fatal(err)
		}
		z.token = func(int) *http.Response { return answer(200, `{"access_token":"quiet","expires_in":3600}`) }
		time.Sleep(2 * time.Hour)
		if err := searchTickets(c); err != nil {
			t.Fatal(err)
		}
		if a := stand(t, c, StateConnected, FromConfiguration); len(a.Scopes) != 1 || !a.ObtainedAt.Equal(time.Now().Add(-2*time.Hour)) {
			t.Errorf("%+v", a)
		}
	})
}

// strictStore obeys its context, as the state does.
type strictStore struct{ inMemory }

func (s *strictStore) SaveToken(ctx context.Context, t Token, revision uint64) (uint64, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return s.inMemory.SaveToken(ctx, t, revision)
}

// A caller that gives up takes its mark off, and its failure is nobody else's.
func TestCallerThatGivesUpLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &strictStore{}
		slow := slowTokens(10 * time.Second)
		portal, c := simulated(t, small(desksim.Config{}), slow, func(cfg *Config) { cfg.Tokens = store })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.tokens.access(ctx, c.rt)
			var call *source.CallError
			if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &call) {
				t.Errorf("got %v, want the caller's own deadline", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := c.tokens.access(t.Context(), c.rt); err != nil {
				t.Errorf("who waited behind it got %v", err)
			}
		})
		wg.Wait()
		if took := time.Since(start); took != 11*time.Second || portal.Stats().TokenRequests != 2 {
			t.Errorf("took %v and %d token requests", took, portal.Stats().TokenRequests)
		}
		time.Sleep(2 * time.Hour)
		late, cancelLate := context.WithTimeout(t.Context(), time.Second)
		defer cancelLate()
		if _, err := c.tokens.access(late, c.rt); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if stored, _, _ := store.LoadToken(t.Context()); !stored.Renewing.IsZero() || len(stored.Requests) != 1 {
			t.Errorf("the mark is left, or %d requests are counted", len(stored.Requests))
		}
	})
}

// While one process renews, another exchanges a code: that one's tokens stay.
func TestExchangeDuringARenewalElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		portal, renewing := simulated(t, small(desksim.Config{}), slowTokens(10*time.Second), func(cfg *Config) { cfg.Tokens = store })
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := searchTickets(renewing); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if err := another(t, portal, store, nil).Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
			t.Fatal(err)
		}
		exchanged, _, _ := store.LoadToken(t.Context())
		wg.Wait()
		if stored, _, _ := store.LoadToken(t.Context()); stored.Access != exchanged.Access || stored.Refresh != exchanged.Refresh {
			t.Error("the renewal's answer replaced the exchange's")
		}
		stand(t, renewing, StateConnected, FromState)
	})
}
