package zohodesk

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

const refusedToken = `{"errorCode":"INVALID_OAUTH","message":"The OAuth Token you provided is invalid."}`

// Desk refuses every token: the agent was deactivated. Two token requests and a
// minute and a half show it, then one in ten minutes asks whether it is over; a restart changes nothing.
func TestTokensThatDeskRefusesAreNotAskedForAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		keep := func(cfg *Config) { cfg.Tokens = store }
		z := &scripted{api: always(401, refusedToken)}
		c := newClient(t, z, keep)
		for range 15 {
			if err := searchTickets(c); !source.IsFault(err, source.FaultUnauthorized) || !strings.Contains(err.Error(), "INVALID_OAUTH") {
				t.Errorf("the reason is hidden: %v", err)
			}
			time.Sleep(10 * time.Second)
		}
		if z.granted() != 2 || len(z.sent()) != 6 {
			t.Errorf("%d token requests and %d calls, want 2 and 6", z.granted(), len(z.sent()))
		}
		began := time.Now()
		c = newClient(t, z, keep)
		for time.Since(began) < time.Hour {
			_ = searchTickets(c)
			a, err := c.Authorisation(t.Context())
			if err != nil || a.State != StateNeeds || !strings.Contains(a.Reason, "Zoho Desk refuses fresh access tokens (INVALID_OAUTH) since 2000-01-01 at 00:00 UTC: is the authorising agent still active") {
				t.Fatalf("%+v, %v", a, err)
			}
			time.Sleep(10 * time.Second)
		}
		if z.granted() != 8 || len(z.sent()) != 12 {
			t.Errorf("%d token requests and %d calls an hour later, want 6 more of each", z.granted(), len(z.sent()))
		}
		z.api = always(200, onePage)
		time.Sleep(10 * time.Minute)
		if err := searchTickets(c); err != nil {
			t.Error(err)
		}
		stand(t, c, StateConnected, FromConfiguration)
		stand(t, newClient(t, z, keep), StateConnected, FromConfiguration)
	})
}

// Tokens that die after they served are no sign of anything: others of the same
// refresh token push them out.
func TestTokensThatServedFirstMayDieOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		served := map[string]int{}
		z := &scripted{}
		z.api = func(r *http.Request) *http.Response {
			access := r.Header.Get("Authorization")
			if served[access]++; served[access] > 2 {
				return answer(401, refusedToken)
			}
			return answer(200, onePage)
		}
		c := newClient(t, z)
		for range 16 {
			if err := searchTickets(c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second)
		}
		if z.granted() != 8 {
			t.Errorf("%d token requests, want one for two calls", z.granted())
		}
	})
}

// A corrected desk_url is tried at once.
func TestCorrectedDeskIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		z := &scripted{}
		z.api = func(r *http.Request) *http.Response {
			if r.URL.Host != "desk.zoho.eu" {
				return answer(401, refusedToken)
			}
			return answer(200, onePage)
		}
		wrong := newClient(t, z, func(cfg *Config) { cfg.Tokens, cfg.DeskURL = store, "https://desk.zoho.com" })
		if err := searchTickets(wrong); !source.IsFault(err, source.FaultUnauthorized) {
			t.Errorf("got %v", err)
		}
		if err := searchTickets(newClient(t, z, func(cfg *Config) { cfg.Tokens = store })); err != nil {
			t.Error(err)
		}
	})
}

// An empty 401 may be a gateway's: the token is kept and the call repeated.
func TestEmptyRefusalsCostOneTokenInTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(401, "")}
		c := newClient(t, z)
		for range 5 { // about a minute each
			if err := searchTickets(c); !source.IsFault(err, source.FaultRetry) {
				t.Errorf("got %v", err)
			}
		}
		if z.granted() != 2 {
			t.Errorf("%d token requests, want 2", z.granted())
		}
		stand(t, c, StateConnected, FromConfiguration)
	})
}

// Who has no authorisation is told so, not made to wait for credits.
func TestRefusalDoesNotWaitForCredits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		z := &scripted{api: always(429, `{"errorCode":"THRESHOLD_EXCEEDED","message":"x"}`, "Retry-After", "36000")}
		c := newClient(t, z, func(cfg *Config) { cfg.Tokens = store })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Count(ctx, source.ForPoll, 0); ctx.Err() == nil {
			t.Fatalf("credits are spent, and the call ended with %v", err)
		}
		z.token = func(int) *http.Response { return answer(200, `{"status":"success"}`) }
		if err := newClient(t, z, func(cfg *Config) { cfg.Tokens = store }).Revoke(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // the access token in hand is over
		began := time.Now()
		if _, err := c.Count(t.Context(), source.ForPoll, 0); !source.IsFault(err, source.FaultUnauthorized) || !strings.Contains(err.Error(), "revoked") || time.Since(began) > 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
