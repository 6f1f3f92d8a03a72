package zohodesk

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

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

// boundElsewhere answers for departments as the test says; /organizations is the
// portal's own, and lists it whatever portal the token is bound to.
func boundElsewhere(reply func() *http.Response) func(http.RoundTripper) http.RoundTripper {
	return func(rt http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/api/v1/departments" && r.Header.Get("orgId") != "" {
				return reply(), nil
			}
			return rt.RoundTrip(r)
		})
	}
}

// A token bound to another portal sees this one in /organizations, and is refused
// by every call for it.
func TestTokenBoundToAnotherPortalReplacesNothingThatWorks(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		says   string // "" = it is taken
	}{
		"another portal":  {403, `{"errorCode":"OAUTH_ORG_MISMATCH","message":"x"}`, "given for another portal than org_id 60000000001; the user's portals are 60000000001 (Zylker)"},
		"scope missing":   {403, `{"errorCode":"SCOPE_MISMATCH","message":"x"}`, ""},
		"profile forbids": {403, `{"errorCode":"FORBIDDEN","message":"x"}`, ""},
		"no department":   {204, "", ""},
		"no answer":       {502, "<html>", "cannot be told"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				portal, client, store := working(t, boundElsewhere(func() *http.Response { return answer(c.status, c.body) }))
				before, _, _ := store.LoadToken(t.Context())
				err := client.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), "")
				after, _, _ := store.LoadToken(t.Context())
				if c.says == "" {
					if err != nil || after.Refresh == before.Refresh {
						t.Errorf("not taken: %v", err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "stays authorised as it was, and the new token was revoked") || after.Refresh != before.Refresh {
					t.Errorf("got %v", err)
				}
				servesAfter(t, client, "a token of another portal")
			})
		})
	}
}

// An exchange revokes the stored token it replaces, after the new one is stored,
// and never the configuration's; `auth revoke` then leaves none alive.
func TestExchangeRevokesTheStoredTokenItReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var store *inMemory
		var revoked []string
		watch := func(rt http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/revoke") {
					body, _ := io.ReadAll(r.Body)
					form, _ := url.ParseQuery(string(body))
					if stored, _, _ := store.LoadToken(t.Context()); stored.Refresh == form.Get("token") {
						t.Error("revoked before the new one was stored")
					}
					revoked = append(revoked, form.Get("token"))
					r.Body = io.NopCloser(strings.NewReader(string(body)))
				}
				return rt.RoundTrip(r)
			})
		}
		portal, _, kept := working(t, nil)
		store = kept
		old, _, _ := store.LoadToken(t.Context())
		c := another(t, portal, store, watch, withoutToken)
		if err := c.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
			t.Fatal(err)
		}
		if len(revoked) != 1 || revoked[0] != old.Refresh {
			t.Errorf("%d were revoked, want the one that was stored", len(revoked))
		}
		servesAfter(t, c, "the next exchange")

		// The same token in the state and in the configuration is left alone.
		both := another(t, portal, store, watch)
		stored, revision, _ := store.LoadToken(t.Context())
		stored.Refresh, stored.ConfigSeen = both.tokens.creds.refresh, both.tokens.creds.seen()
		if _, err := store.SaveToken(t.Context(), stored, revision); err != nil {
			t.Fatal(err)
		}
		if err := both.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
			t.Fatal(err)
		}
		if len(revoked) != 1 || portal.AccessToken() == "" {
			t.Error("the configuration's refresh token is dead")
		}
	})
}

// A revocation of the old token that fails costs one line of the log.
func TestExchangeSucceedsThoughTheOldTokenCannotBeRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := func(rt http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/revoke") {
					return answer(503, "<html>"), nil
				}
				return rt.RoundTrip(r)
			})
		}
		portal, _, store := working(t, nil)
		old, _, _ := store.LoadToken(t.Context())
		var log strings.Builder
		c := another(t, portal, store, fails, withoutToken, func(cfg *Config) { cfg.Logger = zerolog.New(&log) })
		if err := c.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
			t.Fatal(err)
		}
		if strings.Count(log.String(), `"level":"warn"`) != 1 || strings.Contains(log.String(), old.Refresh) {
			t.Errorf("logged %s", log.String())
		}
		servesAfter(t, c, "a revocation that failed")
	})
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
