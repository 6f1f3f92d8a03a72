package zohodesk

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// working is a connection that was authorised by an exchange and has served.
func working(t *testing.T, through func(http.RoundTripper) http.RoundTripper) (*desksim.Portal, *Client, *inMemory) {
	t.Helper()
	store := &inMemory{}
	portal, c := simulated(t, small(desksim.Config{}), through, withoutToken, func(cfg *Config) { cfg.Tokens = store })
	if err := c.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
		t.Fatal(err)
	}
	if err := searchTickets(c); err != nil {
		t.Fatal(err)
	}
	return portal, c, store
}

func servesAfter(t *testing.T, c *Client, what string) {
	t.Helper()
	time.Sleep(2 * time.Hour) // its refresh token is asked
	if err := searchTickets(c); err != nil {
		t.Errorf("%s, and what worked is lost: %v", what, err)
	}
}

func TestWrongRefreshTokenInTheConfigurationIsTakenOutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, _, store := working(t, nil)
		typo := another(t, portal, store, nil, func(cfg *Config) { cfg.RefreshToken = "1000.a.typo" })
		if a := stand(t, typo, StateConnected, FromConfiguration); !strings.Contains(a.Reason, "not used yet") || !a.ObtainedAt.IsZero() {
			t.Errorf("%+v", a)
		}
		if err := searchTickets(typo); !source.IsFault(err, source.FaultUnauthorized) {
			t.Errorf("got %v", err)
		}
		if a := stand(t, typo, StateNeeds, FromConfiguration); !strings.Contains(a.Reason, "invalid_code") || !strings.Contains(a.Reason, "without the refresh_token in the configuration the authorisation of 2000-01-01 at 00:00 UTC is used again") {
			t.Errorf("%+v", a)
		}
		if err := another(t, portal, store, nil, func(cfg *Config) { cfg.RefreshToken = "1000.a.typo"; cfg.OrgID++ }).Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err == nil {
			t.Error("a token of another portal replaced the stored one")
		}
		out := another(t, portal, store, nil, withoutToken)
		if err := searchTickets(out); err != nil {
			t.Errorf("the good one is gone from the state, and lives on at Zoho: %v", err)
		}
		stand(t, out, StateConnected, FromState)

		right := another(t, portal, store, nil)
		servesAfter(t, right, "the right one in the configuration")
		if a := stand(t, right, StateConnected, FromConfiguration); !a.ObtainedAt.Equal(time.Now()) {
			t.Errorf("%+v", a)
		}
		if stored, _, _ := store.LoadToken(t.Context()); stored.Refresh != "" {
			t.Error("the one it replaced is still stored")
		}
	})
}

func TestNewClientSecretNeedsNoNewConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		z := &scripted{api: always(200, onePage)}
		z.token = func(int) *http.Response {
			return answer(200, `{"access_token":"a","refresh_token":"r","expires_in":3600}`)
		}
		if err := newClient(t, z, withoutToken, func(cfg *Config) { cfg.Tokens = store }).Exchange(t.Context(), "code", ""); err != nil {
			t.Fatal(err)
		}
		servesAfter(t, newClient(t, z, withoutToken, func(cfg *Config) { cfg.Tokens, cfg.ClientSecret = store, "rotated" }), "a new client secret")
		if last := z.forms[len(z.forms)-1]; last.Get("client_secret") != "rotated" || last.Get("refresh_token") != "r" {
			t.Errorf("asked with %v", last.Encode())
		}
	})
}

// A consent at another data centre does not replace one that works; its code is
// left alone.
func TestConsentElsewhereReplacesNothingThatWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c, _ := working(t, nil)
		sent := portal.Stats().TokenRequests
		err := c.ExchangeAt(t.Context(), "https://accounts.zoho.com", portal.SelfClientCode(Scopes()...), "")
		if !source.IsFault(err, source.FaultInvalid) || !strings.Contains(err.Error(), "data centre us") || !strings.Contains(err.Error(), "set data_center: us") || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("got %v", err)
		}
		if portal.Stats().TokenRequests != sent {
			t.Error("the code was used")
		}
		servesAfter(t, c, "a consent elsewhere")
	})
}

// askedOrganizations answers /organizations as the test says, once it says so.
func askedOrganizations(reply *func() *http.Response) func(http.RoundTripper) http.RoundTripper {
	return func(rt http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/organizations") && *reply != nil {
				return (*reply)(), nil
			}
			return rt.RoundTrip(r)
		})
	}
}

// A new token that does not see the portal, or of which that cannot be told, does
// not replace one that works, and is revoked.
func TestTokenThatDoesNotServeReplacesNothingThatWorks(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, says string
	}{
		"another portal": {200, `{"data":[{"id":"42","companyName":"Elsewhere Inc"}]}`, "sees 42 (Elsewhere Inc)"},
		"no portal":      {200, `{"data":[]}`, "sees none"},
		"refused":        {401, refusedToken, "cannot be told"},
		"scope missing":  {403, `{"errorCode":"SCOPE_MISMATCH","message":"x"}`, "lacks a scope"},
		"no answer":      {502, `<html>`, "cannot be told"},
		"credits spent":  {429, `{"errorCode":"THRESHOLD_EXCEEDED","message":"x"}`, "THRESHOLD_EXCEEDED"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var reply func() *http.Response
				portal, client, store := working(t, askedOrganizations(&reply))
				before, revision, _ := store.LoadToken(t.Context())
				reply = func() *http.Response { return answer(c.status, c.body) }
				calls, began := portal.Stats().TokenCalls, time.Now()
				err := client.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), "")
				var call *source.CallError
				if !errors.As(err, &call) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "stays authorised as it was, and the new token was revoked") {
					t.Errorf("got %v", err)
				}
				if time.Since(began) > proofTimeout || portal.Stats().TokenCalls != calls+2 {
					t.Errorf("after %v and %d token calls, want an exchange and a revocation", time.Since(began), portal.Stats().TokenCalls-calls)
				}
				if after, _, _ := store.LoadToken(t.Context()); after.Refresh != before.Refresh || after.Access != before.Access || revision == 0 {
					t.Error("the stored authorisation changed")
				}
				reply = nil
				servesAfter(t, client, "a token that does not serve")
				if err := client.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
					t.Errorf("one that does: %v", err)
				}
			})
		})
	}
}

// Where nothing works the tokens are kept: correcting org_id is all there is left
// to do.
func TestTokenOfAnotherPortalIsKeptWhereNoneWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		keep := func(cfg *Config) { cfg.Tokens = store }
		portal, c := simulated(t, small(desksim.Config{}), nil, withoutToken, keep, func(cfg *Config) { cfg.OrgID++ })
		if err := c.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
			t.Fatal(err)
		}
		if err := searchTickets(another(t, portal, store, nil, withoutToken)); err != nil {
			t.Errorf("with the right org_id: %v", err)
		}
	})
}
