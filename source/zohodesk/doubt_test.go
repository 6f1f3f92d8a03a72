package zohodesk

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

// refusing refuses every token until an instant.
func refusing(until time.Time) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response {
		time.Sleep(300 * time.Millisecond) // others may come meanwhile
		if time.Now().Before(until) {
			return answer(401, refusedToken)
		}
		return answer(200, onePage)
	}
}

// Desk refuses tokens for a moment only: no call fails, whoever makes it, and
// all go on within seconds of the end.
func TestHiccupOfDeskHealsBySeconds(t *testing.T) {
	for _, c := range []struct{ lasts, healed time.Duration }{
		{100 * time.Millisecond, time.Second}, {time.Second, 7 * time.Second}, {6 * time.Second, 12 * time.Second}, {20 * time.Second, 26 * time.Second}, {70 * time.Second, 90 * time.Second},
	} {
		t.Run(c.lasts.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				z := &scripted{api: refusing(began.Add(c.lasts))}
				if c.lasts < time.Second { // both refusals, in no time
					z.api = inTurn(always(401, refusedToken), always(401, refusedToken), always(200, onePage))
					c.healed = 5 * time.Second
				}
				client := newClient(t, z)
				callers := 8
				if c.lasts < time.Second {
					callers = 1
				}
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						if err := searchTickets(client); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				if took := time.Since(began); took > c.healed || z.granted() > 2 {
					t.Errorf("healed after %v with %d token requests, want %v and at most 2", took, z.granted(), c.healed)
				}
				// Of the tries between the first refusals and the end, one is made at a time.
				if most := 2*callers + len(doubtPauses); len(z.sent()) > most {
					t.Errorf("%d calls, want at most %d", len(z.sent()), most)
				}
				stand(t, client, StateConnected, FromConfiguration)
			})
		})
	}
}

// A token in doubt is no lack of authorisation, and it is told.
func TestDoubtIsToldAndIsNoLackOfAuthorisation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := newClient(t, &scripted{api: always(401, refusedToken)})
		ended := make(chan error, 1)
		go func() { ended <- searchTickets(c) }()
		for time.Since(began) < 80*time.Second {
			time.Sleep(900 * time.Millisecond)
			a, err := c.Authorisation(t.Context())
			if err != nil || a.State != StateConnected || !strings.Contains(a.Reason, "INVALID_OAUTH") || !strings.Contains(a.Reason, "tried again") {
				t.Fatalf("after %v: %+v, %v", time.Since(began), a, err)
			}
		}
		if until, why := c.WaitingUntil(); why != freshRefused || time.Until(until) > 10*time.Second {
			t.Errorf("waits until %v: %q", until, why)
		}
		if err := <-ended; !source.IsFault(err, source.FaultUnauthorized) || time.Since(began) < 80*time.Second || time.Since(began) > 100*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if a, _ := c.Authorisation(t.Context()); a.State != StateNeeds {
			t.Errorf("%+v", a)
		}
	})
}

// sealed stores the token as it is kept on disk.
func sealed(t *testing.T, store *inMemory) {
	t.Helper()
	kept, revision, _ := store.LoadToken(t.Context())
	text, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	var read Token
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if _, err := store.SaveToken(t.Context(), read, revision); err != nil {
		t.Fatal(err)
	}
}

// Restarts in the middle neither ask for more tokens nor try more often, and do
// not put off the end.
func TestRestartKeepsTheDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, began := &inMemory{}, time.Now()
		z := &scripted{api: always(401, refusedToken)}
		for time.Since(began) < 100*time.Second {
			c := newClient(t, z, func(cfg *Config) { cfg.Tokens = store })
			stop := time.Now().Add(970 * time.Millisecond)
			ctx, cancel := context.WithDeadline(t.Context(), stop)
			_, err := c.Count(ctx, source.ForPoll, 0)
			cancel()
			if since := time.Since(began); err == nil || since < 80*time.Second && source.IsFault(err, source.FaultUnauthorized) || since > 86*time.Second && !source.IsFault(err, source.FaultUnauthorized) {
				t.Errorf("after %v: %v", since, err)
			}
			time.Sleep(time.Until(stop))
			sealed(t, store)
		}
		if z.granted() != 2 || len(z.sent()) != 6 {
			t.Errorf("%d token requests and %d calls, want 2 and 6", z.granted(), len(z.sent()))
		}
		z.api = always(200, onePage)
		time.Sleep(10 * time.Minute)
		if err := searchTickets(newClient(t, z, func(cfg *Config) { cfg.Tokens = store })); err != nil {
			t.Error(err)
		}
	})
}
