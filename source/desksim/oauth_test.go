package desksim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func (c *client) tokenCall(inQuery bool, form url.Values) (int, map[string]any) {
	c.t.Helper()
	target, body := "https://accounts.zoho.com/oauth/v2/token", form.Encode()
	if inQuery {
		target, body = target+"?"+body, ""
	}
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, _, raw := c.send(r)
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		c.t.Fatalf("%s: %v", raw, err)
	}
	return status, v
}

func refreshForm(change ...string) url.Values {
	f := url.Values{"grant_type": {"refresh_token"}, "client_id": {"1000.SIMULATEDCLIENT"}, "client_secret": {"simulated-secret"}, "refresh_token": {"1000.simulated.refresh"}}
	for i := 0; i < len(change); i += 2 {
		f.Set(change[i], change[i+1])
	}
	return f
}

func TestTokenErrorsComeWithStatus200(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	for _, c := range []struct{ key, value, want string }{
		{"client_id", "x", "invalid_client"}, {"client_secret", "x", "invalid_client_secret"}, {"refresh_token", "x", "invalid_code"}, {"grant_type", "x", "general_error"},
	} {
		status, v := k.tokenCall(false, refreshForm(c.key, c.value))
		if status != 200 || v["error"] != c.want || v["access_token"] != nil {
			t.Errorf("wrong %s: got %d %v, want 200 %s", c.key, status, v, c.want)
		}
	}
}

func TestRefreshByFormAndQuery(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	for _, inQuery := range []bool{false, true} {
		_, v := k.tokenCall(inQuery, refreshForm())
		k.token, _ = v["access_token"].(string)
		if status, _ := k.get("tickets"); status != 200 || v["refresh_token"] != nil || v["expires_in"] != 3600.0 || v["token_type"] != "Bearer" {
			t.Errorf("in query %v: %v works %d", inQuery, v, status)
		}
	}
}

func TestTokenThrottle(t *testing.T) {
	p, clock := newTestPortal(t, Config{})
	k := newClient(t, p)
	for i := range 10 {
		if _, v := k.tokenCall(false, refreshForm()); v["access_token"] == nil {
			t.Fatalf("request %d: %v", i, v)
		}
	}
	status, v := k.tokenCall(false, refreshForm())
	if status != 200 || v["error"] != "Access Denied" || v["status"] != "failure" || !strings.Contains(v["error_description"].(string), "too many requests") {
		t.Errorf("eleventh: %d %v", status, v)
	}
	clock.Advance(10 * time.Minute)
	if _, v := k.tokenCall(false, refreshForm()); v["access_token"] == nil {
		t.Errorf("after silence: %v", v)
	}
}

func TestOldestTokenIsDropped(t *testing.T) {
	p, _ := newTestPortal(t, Config{LiveTokens: 3})
	k := newClient(t, p)
	for range 3 {
		p.AccessToken()
	}
	if status, _ := k.get("tickets"); status != 401 {
		t.Errorf("oldest of four: %d", status)
	}
}

func TestRevoke(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://accounts.zoho.com/oauth/v2/token/revoke?token=1000.simulated.refresh", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, body := k.send(r); status != 200 || string(body) != `{"status":"success"}` {
		t.Errorf("revoke: %d %s", status, body)
	}
	if status, _ := k.get("tickets"); status != 401 {
		t.Errorf("access token after revocation: %d", status)
	}
	if _, v := k.tokenCall(false, refreshForm()); v["error"] != "invalid_code" {
		t.Errorf("refresh after revocation: %v", v)
	}
}

// consent visits the consent page and returns its status and the code of the redirect.
func (c *client) consent(change ...string) (int, string) {
	c.t.Helper()
	q := url.Values{"client_id": {"1000.SIMULATEDCLIENT"}, "response_type": {"code"}, "scope": {"Desk.tickets.READ"}, "redirect_uri": {"https://me.example.org/cb"},
		"access_type": {"offline"}, "prompt": {"consent"}, "state": {"s1"}}
	for i := 0; i < len(change); i += 2 {
		q.Set(change[i], change[i+1])
	}
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "https://accounts.zoho.com/oauth/v2/auth?"+q.Encode(), http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	reply, err := c.p.RoundTripper().RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, reply.Body)
	to, err := url.Parse(reply.Header.Get("Location"))
	if err != nil {
		c.t.Fatal(err)
	}
	return reply.StatusCode, to.Query().Get("code")
}

func (c *client) exchange(code string) map[string]any {
	c.t.Helper()
	_, v := c.tokenCall(false, refreshForm("grant_type", "authorization_code", "code", code, "redirect_uri", "https://me.example.org/cb"))
	return v
}

func TestConsentAndCode(t *testing.T) {
	p, clock := newTestPortal(t, Config{})
	k := newClient(t, p)
	if status, _ := k.consent("scope", "Desk.tickets.READ,Desk.unheard.READ"); status != 400 {
		t.Errorf("unknown scope: %d", status)
	}
	_, code := k.consent()
	v := k.exchange(code)
	if v["refresh_token"] == nil || v["scope"] != "Desk.tickets.READ" {
		t.Errorf("exchange: %v", v)
	}
	if v := k.exchange(code); v["error"] != "invalid_code" {
		t.Errorf("code used twice: %v", v)
	}
	_, code = k.consent()
	clock.Advance(2 * time.Minute)
	if v := k.exchange(code); v["error"] != "invalid_code" {
		t.Errorf("code too old: %v", v)
	}
	_, code = k.consent("redirect_uri", "https://other.example.org/cb")
	if v := k.exchange(code); v["error"] != "invalid_code" {
		t.Errorf("code of another redirect: %v", v)
	}
	for _, change := range [][]string{{"access_type", "online"}, {"prompt", "none"}} {
		_, code = k.consent(change...)
		if v := k.exchange(code); v["access_token"] == nil || v["refresh_token"] != nil {
			t.Errorf("%v: %v", change, v)
		}
	}
}

func TestTenCodesInTenMinutes(t *testing.T) {
	p, clock := newTestPortal(t, Config{})
	k := newClient(t, p)
	for range 9 {
		if p.SelfClientCode("Desk.tickets.READ") == "" {
			t.Fatal("no code")
		}
	}
	if status, code := k.consent(); status != 302 || code == "" {
		t.Errorf("tenth: %d", status)
	}
	if status, _ := k.consent(); status != 400 || p.SelfClientCode("Desk.tickets.READ") != "" {
		t.Errorf("eleventh: %d", status)
	}
	clock.Advance(10 * time.Minute)
	if status, _ := k.consent(); status != 302 {
		t.Errorf("after ten minutes: %d", status)
	}
}

func TestTwentyFirstRefreshTokenPushesOutTheOldest(t *testing.T) {
	p, _ := newTestPortal(t, Config{NoTokenThrottle: true})
	k := newClient(t, p) // with an access token of the configured refresh token
	for i := range 20 {
		if status, _ := k.get("tickets"); status != 200 {
			t.Fatalf("after %d more refresh tokens: %d", i, status)
		}
		k.exchange(p.SelfClientCode("Desk.tickets.READ"))
	}
	if status, _ := k.get("tickets"); status != 401 {
		t.Errorf("access token of the refresh token pushed out: %d", status)
	}
	if _, v := k.tokenCall(false, refreshForm()); v["error"] != "invalid_code" {
		t.Errorf("refresh token pushed out: %v", v)
	}
}

func TestNoTokenThrottle(t *testing.T) {
	p, _ := newTestPortal(t, Config{NoTokenThrottle: true, TokenLife: 20 * time.Second})
	k := newClient(t, p)
	for i := range 30 {
		if _, v := k.tokenCall(false, refreshForm()); v["access_token"] == nil || v["expires_in"] != 20.0 {
			t.Fatalf("request %d: %v", i, v)
		}
	}
	if s := p.Stats(); s.TokenRequests != 30 || s.TokenThrottle != 0 {
		t.Errorf("counted %d and %d", s.TokenRequests, s.TokenThrottle)
	}
}

func TestClientOfAnotherDataCentreIsUnknown(t *testing.T) {
	p, _ := newTestPortal(t, Config{AccountsHost: "accounts.zoho.eu"})
	k := newClient(t, p) // speaks to accounts.zoho.com
	if _, v := k.tokenCall(false, refreshForm()); v["error"] != "invalid_client" {
		t.Errorf("refresh: %v", v)
	}
	if v := k.exchange(p.SelfClientCode("Desk.tickets.READ")); v["error"] != "invalid_client" {
		t.Errorf("exchange: %v", v)
	}
	if status, _ := k.consent(); status != 400 {
		t.Errorf("consent: %d", status)
	}
}
