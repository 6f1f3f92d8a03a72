package zohodesk

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

func withoutToken(cfg *Config) { cfg.RefreshToken = "" }

// stand asserts state and source, and returns the whole.
func stand(t *testing.T, c *Client, state, from string) Authorisation {
	t.Helper()
	a, err := c.Authorisation(t.Context())
	if err != nil || a.State != state || a.Source != from || (a.Reason == "") != (state == StateConnected && !a.ObtainedAt.IsZero()) {
		t.Errorf("%+v, %v, want %s from %q", a, err, state, from)
	}
	return a
}

// refusedHere asserts that a call is refused without a request to anybody.
func refusedHere(t *testing.T, portal *desksim.Portal, c *Client, reason string) {
	t.Helper()
	before := portal.Stats()
	err := searchTickets(c)
	after := portal.Stats()
	if !source.IsFault(err, source.FaultUnauthorized) || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "deskhouse auth exchange --connection main") {
		t.Errorf("got %v, want unauthorised because %q", err, reason)
	}
	if after.Requests != before.Requests || after.TokenCalls != before.TokenCalls {
		t.Errorf("%d calls and %d token calls were sent", after.Requests-before.Requests, after.TokenCalls-before.TokenCalls)
	}
}

func TestSelfClientCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		portal, c := simulated(t, small(desksim.Config{}), nil, withoutToken, func(cfg *Config) { cfg.Tokens = store })
		stand(t, c, StateNeeds, "")
		refusedHere(t, portal, c, "there is no refresh token")

		code := portal.SelfClientCode(Scopes()...)
		if err := c.Exchange(t.Context(), " "+code+"\n", ""); err != nil {
			t.Fatal(err)
		}
		if err := searchTickets(c); err != nil || portal.Stats().TokenRequests != 1 {
			t.Errorf("%d token requests, %v", portal.Stats().TokenRequests, err)
		}
		a := stand(t, c, StateConnected, FromState)
		if !slices.Equal(a.Scopes, Scopes()) || a.MissingScopes != nil || !a.ObtainedAt.Equal(time.Now()) || !a.AccessExpires.Equal(time.Now().Add(time.Hour)) || a.Requests != 1 {
			t.Errorf("%+v", a)
		}
		if err := c.Exchange(t.Context(), code, ""); !source.IsFault(err, source.FaultUnauthorized) || !strings.Contains(err.Error(), "used before") || strings.Contains(err.Error(), code) {
			t.Errorf("a code used twice: %v", err)
		}
		time.Sleep(3 * time.Hour) // a refused code does no harm, and a restart goes on
		if err := searchTickets(another(t, portal, store, nil, withoutToken)); err != nil {
			t.Error(err)
		}
	})
}

func TestExchangeAndConfigurationTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		portal, c := simulated(t, small(desksim.Config{}), nil, func(cfg *Config) { cfg.Tokens = store })
		if a := stand(t, c, StateConnected, FromConfiguration); !strings.Contains(a.Reason, "not used yet") {
			t.Errorf("%+v", a)
		}
		if err := c.Exchange(t.Context(), portal.SelfClientCode("Desk.tickets.READ", "Desk.search.READ"), ""); err != nil {
			t.Fatal(err)
		}
		again := another(t, portal, store, nil)
		if a := stand(t, again, StateConnected, FromState); len(a.MissingScopes) != len(Scopes())-2 {
			t.Errorf("%+v", a)
		}
		if err := searchTickets(again); err != nil || portal.Stats().TokenRequests != 1 {
			t.Errorf("%d token requests, %v", portal.Stats().TokenRequests, err)
		}
		dead := another(t, portal, store, nil, func(cfg *Config) { cfg.RefreshToken = "1000.put.in.later" })
		if err := searchTickets(dead); !source.IsFault(err, source.FaultUnauthorized) || !strings.Contains(err.Error(), "invalid_code") {
			t.Errorf("the configuration's newer token is used, and Zoho refuses it: %v", err)
		}
		if a := stand(t, dead, StateNeeds, FromConfiguration); !strings.Contains(a.Reason, "invalid_code") {
			t.Errorf("%+v", a)
		}
		if err := dead.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
			t.Fatal(err)
		}
		if err := searchTickets(dead); err != nil {
			t.Errorf("a failure held against the old token: %v", err)
		}
		portal.Faults().Next(desksim.FaultTokenExpired, 1)
		if err := searchTickets(dead); err != nil {
			t.Errorf("a failure held against the old token when the new one is renewed: %v", err)
		}
		other := another(t, portal, store, nil, func(cfg *Config) { cfg.RefreshToken, cfg.ClientID = "1000.put.in.later", "1000.OTHER" })
		refusedHere(t, portal, other, "client_id of the configuration changed")
		stand(t, other, StateNeeds, "")
	})
}

// visit is the browser: it consents and returns what the redirect carries.
func visit(t *testing.T, portal *desksim.Portal, page string) url.Values {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := portal.RoundTripper().RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("consent: %+v, %v", res, err)
	}
	_ = res.Body.Close()
	to, err := res.Location()
	if err != nil {
		t.Fatal(err)
	}
	return to.Query()
}

func TestConsentInTheBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const redirect = "http://127.0.0.1:8765/callback"
		portal, c := simulated(t, small(desksim.Config{AccountsHost: "accounts.zoho.eu"}), nil, withoutToken)
		page := c.AuthorizeURL(redirect, "s t&")
		if !strings.HasPrefix(page, "https://accounts.zoho.eu/oauth/v2/auth?") {
			t.Errorf("consent page %s", page)
		}
		back := visit(t, portal, page)
		if back.Get("state") != "s t&" {
			t.Errorf("redirected with %v", back)
		}
		if err := c.ExchangeAt(t.Context(), "https://accounts.zoho.eu.example.org", back.Get("code"), redirect); !source.IsFault(err, source.FaultInvalid) || portal.Stats().TokenRequests != 0 {
			t.Errorf("the code was sent to a stranger: %v", err)
		}
		if err := c.Exchange(t.Context(), back.Get("code"), redirect+"/other"); !source.IsFault(err, source.FaultUnauthorized) {
			t.Errorf("with another redirect: %v", err)
		}
		if err := c.ExchangeAt(t.Context(), back.Get("accounts-server"), back.Get("code"), redirect); err != nil {
			t.Fatal(err)
		}
		if err := searchTickets(c); err != nil {
			t.Error(err)
		}
		online := strings.Replace(page, "offline", "online", 1)
		err := c.Exchange(t.Context(), visit(t, portal, online).Get("code"), redirect)
		if err == nil || !strings.Contains(err.Error(), "no refresh token") || !strings.Contains(err.Error(), "prompt=consent") {
			t.Errorf("without a refresh token: %v", err)
		}
		if err := c.Exchange(t.Context(), "  ", ""); !source.IsFault(err, source.FaultInvalid) {
			t.Errorf("empty code: %v", err)
		}
		stand(t, c, StateConnected, FromState)
	})
}

// The account turns out to be in another data centre than the configuration
// says: the tokens are kept for when it says so.
func TestAccountInAnotherDataCentre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		portal, c := simulated(t, small(desksim.Config{AccountsHost: "accounts.zoho.com"}), nil, withoutToken, func(cfg *Config) { cfg.Tokens = store })
		code := portal.SelfClientCode(Scopes()...)
		if err := c.Exchange(t.Context(), code, ""); !source.IsFault(err, source.FaultUnauthorized) || !strings.Contains(err.Error(), "data centre eu (accounts.zoho.eu)") {
			t.Errorf("at the wrong data centre: %v", err)
		}
		err := c.ExchangeAt(t.Context(), "https://accounts.zoho.com", code, "")
		if !source.IsFault(err, source.FaultUnauthorized) || !strings.Contains(err.Error(), "set data_center: us") || !strings.Contains(err.Error(), "tokens are stored") {
			t.Errorf("at the redirect's: %v", err)
		}
		refusedHere(t, portal, c, "set data_center: us")
		sent := portal.Stats().TokenRequests
		moved := another(t, portal, store, nil, withoutToken, func(cfg *Config) { cfg.DataCenter = "us" })
		if err := searchTickets(moved); err != nil || portal.Stats().TokenRequests != sent {
			t.Errorf("with the right data centre: %v", err)
		}
		if err := c.Revoke(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := searchTickets(moved); !source.IsFault(err, source.FaultUnauthorized) || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("revoked where it was given: %v", err)
		}
	})
}

func TestRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		keep := func(cfg *Config) { cfg.Tokens = store }
		portal, c := simulated(t, small(desksim.Config{}), nil, keep)
		elsewhere := another(t, portal, store, nil)
		for _, client := range []*Client{c, elsewhere} {
			if err := searchTickets(client); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Revoke(t.Context()); err != nil {
			t.Fatal(err)
		}
		a := stand(t, c, StateRevoked, "")
		if !a.RevokedAt.Equal(time.Now()) || a.AccessExpires != (time.Time{}) {
			t.Errorf("%+v", a)
		}
		refusedHere(t, portal, c, "revoked on 2000-01-01")
		refusedHere(t, portal, another(t, portal, store, nil), "revoked on 2000-01-01")
		if err := searchTickets(elsewhere); !source.IsFault(err, source.FaultUnauthorized) || !strings.Contains(err.Error(), "revoked on") || portal.Stats().TokenRequests != 1 {
			t.Errorf("another process: %v after %d token requests", err, portal.Stats().TokenRequests)
		}
		if err := c.Revoke(t.Context()); err != nil || portal.Stats().TokenCalls != 2 {
			t.Errorf("twice: %v", err)
		}
		if err := c.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
			t.Fatal(err)
		}
		if err := searchTickets(c); err != nil {
			t.Errorf("authorised again: %v", err)
		}
		stand(t, c, StateConnected, FromState)
	})
}

func TestRevokeThatZohoDoesNotAnswerIsNotNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reply func() *http.Response
		through := func(rt http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/revoke") {
					return reply(), nil
				}
				return rt.RoundTrip(r)
			})
		}
		_, c := simulated(t, small(desksim.Config{}), through)
		for name, body := range map[string]string{"HTML": "<html>", "throttle": throttleBody, "catch-all": `{"error":"general_error"}`, "failure": `{"status":"failure"}`} {
			reply = func() *http.Response { return answer(200, body) }
			if err := c.Revoke(t.Context()); !source.IsFault(err, source.FaultRetry) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := searchTickets(c); err != nil {
			t.Errorf("still connected: %v", err)
		}
		reply = func() *http.Response { return answer(400, `{"error":"invalid_token"}`) }
		if err := c.Revoke(t.Context()); err != nil {
			t.Errorf("a token that Zoho does not know is revoked: %v", err)
		}
		stand(t, c, StateRevoked, "")
		if _, c := simulated(t, small(desksim.Config{}), nil, withoutToken); c.Revoke(t.Context()) == nil {
			t.Error("nothing to revoke, and no word of it")
		}
	})
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		portal, c := simulated(t, small(desksim.Config{}), nil, withoutToken, func(cfg *Config) { cfg.Tokens = store })
		if err := c.Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
			t.Fatal(err)
		}
		if err := c.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, revision, _ := store.LoadToken(t.Context()); revision != 0 {
			t.Error("something is still stored")
		}
		refusedHere(t, portal, c, "there is no refresh token")
		if err := searchTickets(another(t, portal, store, nil)); err != nil {
			t.Errorf("with a token in the configuration: %v", err)
		}
	})
}

func TestOAuthURLsCanBeOverridden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		portal, c := simulated(t, small(desksim.Config{}), func(rt http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host != "desk.zoho.eu" {
					asked = append(asked, r.URL.String())
					r = r.Clone(r.Context())
					r.URL.Path = map[string]string{"/t": "/oauth/v2/token", "/r": "/oauth/v2/token", "/x": "/oauth/v2/token/revoke"}[r.URL.Path]
				}
				return rt.RoundTrip(r)
			})
		}, withoutToken, func(cfg *Config) {
			cfg.OAuth = OAuthURLs{Authorize: "https://sso.example.org/a", Token: "https://sso.example.org/t", Refresh: "https://sso.example.org/r", Revoke: "https://sso.example.org/x"}
		})
		if page := c.AuthorizeURL("http://127.0.0.1/cb", ""); !strings.HasPrefix(page, "https://sso.example.org/a?") || strings.Contains(page, "state=") {
			t.Error(page)
		}
		// An overridden server is not left for one that a redirect names.
		if err := c.ExchangeAt(t.Context(), "https://accounts.zoho.com", portal.SelfClientCode(Scopes()...), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if err := searchTickets(c); err != nil {
			t.Error(err)
		}
		if err := c.Revoke(t.Context()); err != nil {
			t.Error(err)
		}
		if want := []string{"https://sso.example.org/t", "https://sso.example.org/r", "https://sso.example.org/x"}; !slices.Equal(asked, want) {
			t.Errorf("asked %v, want %v", asked, want)
		}
	})
}

func TestRefreshFollowsAnOverriddenTokenURL(t *testing.T) {
	cfg := testConfig(nil)
	center, _ := cfg.hosts()
	cfg.OAuth.Token = "https://sso.example.org/t"
	if e := cfg.endpoints(center); e.refresh != cfg.OAuth.Token || e.revoke != "https://accounts.zoho.eu/oauth/v2/token/revoke" || e.place != "sso.example.org" {
		t.Errorf("%+v", e)
	}
}

func TestMissingScopes(t *testing.T) {
	for name, c := range map[string]struct{ granted, missing string }{
		"not told":         {"", ""},
		"all, by spaces":   {strings.Join(Scopes(), " "), ""},
		"all, by commas":   {strings.ToLower(strings.Join(Scopes(), ",")), ""},
		"ALL covers READ":  {strings.ReplaceAll(strings.Join(Scopes(), " "), "READ", "ALL"), ""},
		"READ is not ALL":  {strings.ReplaceAll(strings.Join(Scopes(), " "), "ALL", "READ"), "Desk.events.ALL"},
		"one of them only": {"Desk.tickets.READ AaaServer.profile.READ", strings.Join(Scopes()[1:], " ")},
		"garbage":          {"x . .ALL", strings.Join(Scopes(), " ")},
	} {
		if got := strings.Join(missingScopes(splitScopes(c.granted)), " "); got != c.missing {
			t.Errorf("%s: missing %q, want %q", name, got, c.missing)
		}
	}
}

// Nothing that was handed out is printed: by no log, no error, no reading.
func TestAuthorisingPrintsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log, seen strings.Builder
		var secrets []string
		store := &inMemory{}
		keep := func(rt http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.Contains(r.URL.String(), "hush") || strings.Contains(r.URL.String(), "secret") {
					t.Errorf("a secret in the URL %s", r.URL)
				}
				res, err := rt.RoundTrip(r)
				if err == nil && strings.HasPrefix(r.URL.Path, "/oauth/") {
					body, _ := io.ReadAll(res.Body)
					res.Body = io.NopCloser(strings.NewReader(string(body)))
					var tok wireToken
					_ = decodeJSON(body, &tok)
					secrets = append(secrets, tok.AccessToken, tok.RefreshToken)
				}
				return res, err
			})
		}
		portal, c := simulated(t, small(desksim.Config{}), keep, withoutToken, func(cfg *Config) {
			cfg.Tokens, cfg.Logger = store, zerolog.New(&log).Level(zerolog.TraceLevel)
		})
		code := portal.SelfClientCode(Scopes()...)
		secrets = append(secrets, code, "simulated-secret", "1000.SIMULATEDCLIENT")
		for _, step := range []func() error{
			func() error { return searchTickets(c) },
			func() error { return c.Exchange(t.Context(), code, "") },
			func() error { return c.Exchange(t.Context(), code, "") },
			func() error { return searchTickets(c) },
			func() error { return c.Revoke(t.Context()) },
			func() error { return searchTickets(c) },
			func() error { return c.Forget(t.Context()) },
		} {
			fmt.Fprintf(&seen, "%+v\n", step())
			a, err := c.Authorisation(t.Context())
			stored, _, _ := store.LoadToken(t.Context())
			fmt.Fprintf(&seen, "%+v %v %v %+v %#v\n", a, err, stored, stored, stored)
		}
		if all := log.String() + seen.String(); !strings.Contains(all, "connection authorised") || !strings.Contains(all, "invalid_code") {
			t.Errorf("what is to be seen is missing in %s", all)
		}
		for _, s := range secrets {
			if s != "" && strings.Contains(log.String()+seen.String(), s) {
				t.Errorf("%q is printed", s)
			}
		}
		if len(slices.DeleteFunc(secrets, func(s string) bool { return s == "" })) < 5 {
			t.Errorf("only %d secrets were seen", len(secrets))
		}
	})
}

func TestExchangeThatCannotBeStoredSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{load: errors.New("no quorum")}
		portal, c := simulated(t, small(desksim.Config{}), nil, withoutToken, func(cfg *Config) { cfg.Tokens = store })
		code := portal.SelfClientCode(Scopes()...)
		if err := c.Exchange(t.Context(), code, ""); err == nil || portal.Stats().TokenRequests != 0 {
			t.Errorf("the code was used up although nothing can be stored: %v", err)
		}
		store.load, store.save = nil, errors.New("disk is full")
		if err := c.Exchange(t.Context(), code, ""); err == nil || !strings.Contains(err.Error(), "the code was not sent to Zoho") || portal.Stats().TokenRequests != 0 {
			t.Errorf("the code was used up although nothing can be stored: %v", err)
		}
		store.save, store.room = errors.New("disk is full"), 1
		if err := c.Exchange(t.Context(), code, ""); err == nil || !strings.Contains(err.Error(), "store the new authorisation of connection main: disk is full") {
			t.Errorf("got %v", err)
		}
		store.save = nil
		time.Sleep(loadWait)
		if err := searchTickets(c); err != nil {
			t.Error(err)
		}
		if err := searchTickets(another(t, portal, store, nil, withoutToken)); err != nil {
			t.Errorf("it is not stored once there is room again: %v", err)
		}
	})
}
