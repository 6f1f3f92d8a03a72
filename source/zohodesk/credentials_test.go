package zohodesk

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// storedBefore is what deskhouse stored before it could exchange codes: frozen.
const storedBefore = `{"Access":"old-access","Renew":"2000-01-01T00:50:00Z","Expires":"2000-01-01T00:55:00Z",` +
	`"RefreshHash":"HASH","Scope":"Desk.tickets.READ Desk.basic.READ","Requests":["1999-12-31T23:55:00Z"]}`

const hashBefore = "70075ad94ed7d1df4b58c9716444f4c2" // of client id and refresh token of testConfig

func TestTokenStoredByAnOlderReleaseServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at 2000-01-01 00:00 UTC
		var stored Token
		if err := json.Unmarshal([]byte(strings.Replace(storedBefore, "HASH", hashBefore, 1)), &stored); err != nil {
			t.Fatal(err)
		}
		store := &inMemory{}
		if _, err := store.SaveToken(t.Context(), stored, 0); err != nil {
			t.Fatal(err)
		}
		z := &scripted{api: always(200, onePage)}
		c := newClient(t, z, func(cfg *Config) { cfg.Tokens = store })
		if err := searchTickets(c); err != nil || z.granted() != 0 || z.sent()[0].Header.Get("Authorization") != "Zoho-oauthtoken old-access" {
			t.Fatalf("%d token requests, %v", z.granted(), err)
		}
		a, err := c.Authorisation(t.Context())
		if err != nil || a.State != StateConnected || a.Source != FromConfiguration || a.Requests != 1 || len(a.Scopes) != 2 {
			t.Errorf("%+v, %v", a, err)
		}
		time.Sleep(56 * time.Minute)
		if err := searchTickets(c); err != nil || z.granted() != 1 {
			t.Errorf("%d token requests after its end, %v", z.granted(), err)
		}
		now, _, _ := store.LoadToken(t.Context())
		if now.Access != "tok-1" || now.ConfigSeen == "" || now.RefreshHash != hashBefore {
			t.Errorf("stored then: %v", now)
		}
	})
}

// Which refresh token is used, for each way in which configuration and state
// can stand to each other.
func TestWhichRefreshTokenIsUsed(t *testing.T) {
	base := testCredentials()
	with := func(change func(*credentials)) credentials {
		c := base
		change(&c)
		return c
	}
	none := with(func(c *credentials) { c.refresh = "" })
	changed := with(func(c *credentials) { c.refresh = "1000.hush.newer" })
	us := with(func(c *credentials) { c.endpoints.token = "https://accounts.zoho.com/oauth/v2/token" })
	// exchanged is what an exchange stores while the configuration says c.
	exchanged := func(c credentials) Token {
		return Token{Refresh: "1000.hush.exchanged", Client: c.client(), Server: c.endpoints.token, ConfigSeen: c.seen(), RefreshHash: c.of("1000.hush.exchanged"),
			Access: "exchanged-access", Obtained: time.Unix(1000, 0)}
	}
	seen := Token{ConfigSeen: base.seen(), RefreshHash: base.of(base.refresh), Access: "config-access", Obtained: time.Unix(900, 0)}
	revoked := Token{ConfigSeen: base.seen(), Revoked: time.Unix(2000, 0), Obtained: time.Unix(900, 0)}
	cases := []struct {
		name   string
		creds  credentials
		stored Token
		use    string // refresh token
		source string
		state  string
		access string // that survives
		reason string
	}{
		{"nothing anywhere", none, Token{}, "", "", StateNeeds, "", "no refresh token"},
		{"configuration only", base, Token{}, testRefresh, FromConfiguration, StateConnected, "", ""},
		{"configuration, known", base, seen, testRefresh, FromConfiguration, StateConnected, "config-access", ""},
		{"configuration changed", changed, seen, "1000.hush.newer", FromConfiguration, StateConnected, "", ""},
		{"configuration's taken out", none, seen, "", "", StateNeeds, "", "no refresh token"},
		{"exchanged, none in the configuration", none, exchanged(none), "1000.hush.exchanged", FromState, StateConnected, "exchanged-access", ""},
		{"exchanged, the configuration's is the same as then", base, exchanged(base), "1000.hush.exchanged", FromState, StateConnected, "exchanged-access", ""},
		{"exchanged, the configuration's is newer", changed, exchanged(base), "1000.hush.newer", FromConfiguration, StateConnected, "", ""},
		{"exchanged, the configuration's was put in after", base, exchanged(none), testRefresh, FromConfiguration, StateConnected, "", ""},
		{"exchanged, the configuration's taken out after", none, exchanged(base), "1000.hush.exchanged", FromState, StateConnected, "exchanged-access", ""},
		{"exchanged by another client", with(func(c *credentials) { c.clientID = "1000.OTHER" }), exchanged(base), "", "", StateNeeds, "", "client_id of"},
		{"exchanged with another secret", with(func(c *credentials) { c.secret = "other" }), exchanged(base), "1000.hush.exchanged", FromState, StateConnected, "exchanged-access", ""},
		{"exchanged by an earlier release", base, base.formerly(exchanged(base)), "1000.hush.exchanged", FromState, StateConnected, "exchanged-access", ""},
		{"exchanged at another data centre", us, exchanged(base), "", "", StateNeeds, "", "set data_center: eu"},
		{"exchanged at another server", base, exchanged(with(func(c *credentials) { c.endpoints.token = "http://127.0.0.1/token" })), "", "", StateNeeds, "", "another server"},
		{"another client and a newer token", with(func(c *credentials) { c.clientID, c.refresh = "1000.OTHER", "1000.hush.newer" }), exchanged(base), "1000.hush.newer", FromConfiguration, StateConnected, "", ""},
		{"client corrected beside the same token", with(func(c *credentials) { c.clientID = "1000.OTHER" }), seen, testRefresh, FromConfiguration, StateConnected, "", ""},
		{"secret corrected beside the same token", with(func(c *credentials) { c.secret = "other" }), seen, testRefresh, FromConfiguration, StateConnected, "config-access", ""},
		{"revoked", base, revoked, "", "", StateRevoked, "", "1970-01-01"},
		{"revoked, the configuration's taken out", none, revoked, "", "", StateRevoked, "", "1970-01-01"},
		{"revoked, the configuration's is newer", changed, revoked, "1000.hush.newer", FromConfiguration, StateConnected, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, g := c.creds.pick(c.stored)
			if g.refresh != c.use || g.source != c.source || g.state != c.state || got.Access != c.access {
				t.Fatalf("uses %q from %q, %s, access %q", g.refresh, g.source, g.state, got.Access)
			}
			if (g.problem != nil) != (c.use == "") || g.problem != nil && !strings.Contains(g.problem.Error(), c.reason) {
				t.Errorf("problem %v", g.problem)
			}
			if g.problem != nil && (!strings.Contains(g.problem.Hint, "deskhouse auth exchange --connection main") || strings.Contains(g.problem.Error(), "hush")) {
				t.Errorf("problem %v", g.problem)
			}
			again, _ := c.creds.pick(got)
			if fmt.Sprintf("%+v", tokenFields(again)) != fmt.Sprintf("%+v", tokenFields(got)) {
				t.Errorf("picking twice differs: %+v then %+v", tokenFields(got), tokenFields(again))
			}
		})
	}
}

// formerly stores the client as releases did that bound a token to its secret.
func (c credentials) formerly(t Token) Token {
	t.Client = hash("client", c.clientID, c.secret)
	return t
}

// tokenFields shows a token whole, past its String.
func tokenFields(t Token) string {
	b, _ := json.Marshal(t)
	return string(b)
}
