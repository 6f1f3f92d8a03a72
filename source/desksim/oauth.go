package desksim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tokens is the accounts server of the portal: codes, refresh tokens and access tokens (OAUTH).
type tokens struct {
	mu        sync.Mutex
	cfg       Config
	made      uint64
	refresh   map[string]*refreshToken
	age       []string // of refresh, oldest first
	access    map[string]*accessToken
	codes     map[string]*authCode
	coded     []time.Time // codes of the last ten minutes
	requests  int64       // for tokens, all kinds
	throttled int64       // of those, refused by the throttle
}

type refreshToken struct {
	scopes []string
	asked  []time.Time // of the last ten minutes
	live   []string    // access tokens, oldest first
}

type accessToken struct {
	refresh string
	scopes  []string
	expires time.Time
}

const (
	throttleWindow = 10 * time.Minute // 10 token requests in 10 minutes per refresh token (OAUTH limits)
	throttleCalls  = 10
	codeLife       = 2 * time.Minute // web client (OAUTH limits)
	codeCalls      = 10              // codes in 10 minutes per user and client (OAUTH limits)
	refreshTokens  = 20              // per user and client, one more deletes the oldest (OAUTH limits)
)

func newTokens(cfg Config) *tokens {
	t := &tokens{cfg: cfg, refresh: map[string]*refreshToken{}, access: map[string]*accessToken{}, codes: map[string]*authCode{}}
	t.addRefresh(cfg.RefreshToken, cfg.Scopes)
	return t
}

func (t *tokens) random() string {
	t.made++
	a := mix2(uint64(t.cfg.Seed)^0x70ce, t.made)
	return fmt.Sprintf("1000.%016x%016x.%016x%016x", a, mix(a), mix(mix(a)), mix2(a, t.made))
}

// addRefresh makes a refresh token and pushes out the oldest beyond what a user may have.
func (t *tokens) addRefresh(name string, scopes []string) *refreshToken {
	t.refresh[name] = &refreshToken{scopes: scopes}
	t.age = append(t.age, name)
	if len(t.age) > refreshTokens {
		t.dropRefresh(t.age[0])
	}
	return t.refresh[name]
}

// dropRefresh ends a refresh token with its access tokens.
func (t *tokens) dropRefresh(name string) {
	for _, a := range t.refresh[name].live {
		delete(t.access, a)
	}
	delete(t.refresh, name)
	t.age = slices.DeleteFunc(t.age, func(s string) bool { return s == name })
}

// authorize returns the scopes of an access token, or nil when it is unknown or expired.
func (t *tokens) authorize(token string, now time.Time) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.access[token]
	if a == nil || !now.Before(a.expires) {
		return nil
	}
	return a.scopes
}

// kill ends one access token, or all for "".
func (t *tokens) kill(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if token == "" {
		clear(t.access)
		return
	}
	delete(t.access, token)
}

// serveOAuth serves the accounts host. Errors come with status 200, in the body.
func (p *Portal) serveOAuth(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		writeJSON(w, http.StatusBadRequest, []byte(`{"error":"invalid_request"}`))
		return
	}
	switch {
	case p.cfg.AccountsHost != "" && r.Host != p.cfg.AccountsHost:
		serveElsewhere(w, r)
	case r.URL.Path == "/oauth/v2/token" && r.Method == http.MethodPost:
		status, body := p.oauth.token(r.Form, p.Now(), p.faults.throttleToken())
		writeJSON(w, status, body)
	case r.URL.Path == "/oauth/v2/token/revoke" && r.Method == http.MethodPost:
		writeJSON(w, http.StatusOK, p.oauth.revoke(r.Form.Get("token")))
	case r.URL.Path == "/oauth/v2/auth" && r.Method == http.MethodGet:
		p.serveAuth(w, r)
	default:
		writeHTML(w, http.StatusNotFound)
	}
}

// serveElsewhere is the accounts server of another data centre: it has heard of neither client nor token.
func serveElsewhere(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/oauth/v2/token":
		writeJSON(w, http.StatusOK, tokenError("invalid_client"))
	case "/oauth/v2/token/revoke":
		writeJSON(w, http.StatusOK, tokenError("invalid_token"))
	default:
		writeHTML(w, http.StatusBadRequest)
	}
}

func tokenError(code string) []byte { return []byte(`{"error":"` + code + `"}`) }

// token serves POST /oauth/v2/token. Form body and query string are both accepted.
func (t *tokens) token(form url.Values, now time.Time, throttled bool) (int, []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	switch {
	case form.Get("client_id") != t.cfg.ClientID:
		return http.StatusOK, tokenError("invalid_client")
	case form.Get("client_secret") != t.cfg.ClientSecret:
		return http.StatusOK, tokenError("invalid_client_secret")
	}
	switch form.Get("grant_type") {
	case "refresh_token":
		return t.refreshGrant(form.Get("refresh_token"), now, throttled)
	case "authorization_code":
		return t.codeGrant(form, now)
	}
	return http.StatusOK, tokenError("general_error")
}

func (t *tokens) refreshGrant(refresh string, now time.Time, throttled bool) (int, []byte) {
	r := t.refresh[refresh]
	if r == nil {
		return http.StatusOK, tokenError("invalid_code")
	}
	r.asked = slices.DeleteFunc(r.asked, func(at time.Time) bool { return now.Sub(at) >= throttleWindow })
	r.asked = append(r.asked, now) // a refused request counts: the throttle clears after silence
	if throttled || len(r.asked) > throttleCalls && !t.cfg.NoTokenThrottle {
		t.throttled++
		return t.cfg.TokenThrottleStatus, []byte(`{"error_description":"You have made too many requests continuously. Please try again after some time.","error":"Access Denied","status":"failure"}`)
	}
	return http.StatusOK, t.grant(refresh, r, now, "")
}

func (t *tokens) codeGrant(form url.Values, now time.Time) (int, []byte) {
	c := t.codes[form.Get("code")]
	if c == nil || !now.Before(c.expires) || c.redirect != "" && c.redirect != form.Get("redirect_uri") {
		return http.StatusOK, tokenError("invalid_code")
	}
	delete(t.codes, form.Get("code"))
	if !c.offline {
		return http.StatusOK, t.grant("", &refreshToken{scopes: c.scopes}, now, "")
	}
	name := t.random()
	return http.StatusOK, t.grant(name, t.addRefresh(name, c.scopes), now, name)
}

// grant makes an access token and drops the oldest beyond the cap.
func (t *tokens) grant(name string, r *refreshToken, now time.Time, show string) []byte {
	access := t.random()
	t.access[access] = &accessToken{refresh: name, scopes: r.scopes, expires: now.Add(t.cfg.TokenLife)}
	r.live = append(r.live, access)
	for len(r.live) > t.cfg.LiveTokens {
		delete(t.access, r.live[0])
		r.live = r.live[1:]
	}
	o := openObject(nil)
	o.plain("access_token", access)
	if show != "" {
		o.plain("refresh_token", show)
	}
	o.plain("scope", strings.Join(r.scopes, " "))
	o.plain("api_domain", "https://www.zohoapis.com")
	o.plain("token_type", "Bearer")
	o.number("expires_in", int64(t.cfg.TokenLife/time.Second))
	return o.close()
}

// revoke ends a refresh token with its access tokens, or one access token.
func (t *tokens) revoke(token string) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refresh[token] != nil {
		t.dropRefresh(token)
		return []byte(`{"status":"success"}`)
	}
	if t.access[token] == nil {
		return tokenError("invalid_token")
	}
	delete(t.access, token)
	return []byte(`{"status":"success"}`)
}

// AccessToken makes an access token of the configured refresh token, outside the throttle: for tests that are not about
// OAuth.
func (p *Portal) AccessToken() string {
	p.oauth.mu.Lock()
	defer p.oauth.mu.Unlock()
	r := p.oauth.refresh[p.cfg.RefreshToken]
	if r == nil {
		return ""
	}
	p.oauth.grant(p.cfg.RefreshToken, r, p.Now(), "")
	return r.live[len(r.live)-1]
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json;charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: nobody to tell
}

func writeHTML(w http.ResponseWriter, status int) {
	body := []byte("<!DOCTYPE html><html><head><title>Zoho</title></head><body><h1>Sorry, something went wrong</h1></body></html>")
	h := w.Header()
	h.Set("Content-Type", "text/html;charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: nobody to tell
}
