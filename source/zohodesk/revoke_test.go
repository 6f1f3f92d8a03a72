package zohodesk

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// Another process authorises the connection anew while this one revokes.
func TestRevokeLeavesAnExchangeOfAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var second *Client
		var portal *desksim.Portal
		meanwhile := func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/revoke") {
					if err := second.Exchange(context.Background(), portal.SelfClientCode(Scopes()...), ""); err != nil {
						t.Error(err)
					}
				}
				return next.RoundTrip(r)
			})
		}
		portal, c, store := working(t, meanwhile)
		second = another(t, portal, store, nil, withoutToken)
		if err := c.Revoke(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, client := range []*Client{c, another(t, portal, store, nil, withoutToken)} {
			if err := searchTickets(client); err != nil {
				t.Errorf("the new authorisation is lost, and lives on at Zoho: %v", err)
			}
			stand(t, client, StateConnected, FromState)
		}
	})
}

// State and configuration have a refresh token each: neither is left alive.
func TestRevokeRevokesBothTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, _, store := working(t, nil)
		// The configuration's is the one that stood there at the exchange.
		stored, revision, _ := store.LoadToken(t.Context())
		both := another(t, portal, store, nil)
		stored.ConfigSeen = both.tokens.creds.seen()
		if _, err := store.SaveToken(t.Context(), stored, revision); err != nil {
			t.Fatal(err)
		}
		stand(t, both, StateConnected, FromState)
		if err := both.Revoke(t.Context()); err != nil {
			t.Fatal(err)
		}
		refusedHere(t, portal, both, "revoked on")
		if portal.AccessToken() != "" {
			t.Error("the configuration's refresh token is alive")
		}
	})
}

func TestAnswersOfTheRevocation(t *testing.T) {
	creds := testCredentials()
	for name, c := range map[string]struct {
		status int
		body   string
		done   bool
	}{
		"Zoho's":                  {200, `{"status":"success"}`, true},
		"empty, as RFC 7009 says": {200, "", true},
		"blank":                   {200, " \n", true},
		"unknown token":           {400, `{"error":"invalid_token"}`, true},
		"empty refusal":           {503, "", false},
		"a page":                  {200, "<html>", false},
		"failure":                 {200, `{"status":"failure"}`, false},
	} {
		if err := creds.judgeRevoke(c.status, []byte(c.body)); (err == nil) != c.done {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Forgetting does not forget how often Zoho was asked with the configuration's
// refresh token.
func TestForgetKeepsCounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, small(desksim.Config{}), nil)
		for range 20 {
			_ = searchTickets(c)
			if err := c.Forget(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if s := portal.Stats(); s.TokenThrottle != 0 || s.TokenRequests != 10 {
			t.Errorf("%d token requests, %d throttled", s.TokenRequests, s.TokenThrottle)
		}
		if err := searchTickets(c); !source.IsFault(err, source.FaultRetry) {
			t.Errorf("got %v", err)
		}
	})
}
