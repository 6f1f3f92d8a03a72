package desksim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// authCode is a grant code: what a person consented to.
type authCode struct {
	scopes   []string
	redirect string
	offline  bool // a refresh token comes with it
	expires  time.Time
}

// knownScopes are those Zoho accepts in a consent; one unknown scope makes the whole authorisation fail.
var knownScopes = []string{"tickets", "search", "basic", "settings", "products", "contracts", "fields", "events", "contacts", "tasks", "articles", "departments", "webhooks"}

func knownScope(s string) bool {
	parts := strings.Split(s, ".")
	return len(parts) == 3 && parts[0] == "Desk" && slices.Contains(knownScopes, parts[1]) &&
		slices.Contains([]string{"READ", "CREATE", "UPDATE", "DELETE", "ALL"}, strings.ToUpper(parts[2]))
}

// serveAuth is the consent page with a user who always agrees: it redirects with a code.
func (p *Portal) serveAuth(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	scopes := strings.Split(q.Get("scope"), ",")
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || !back.IsAbs() || q.Get("client_id") != p.cfg.ClientID || q.Get("response_type") != "code" ||
		slices.ContainsFunc(scopes, func(s string) bool { return !knownScope(s) }) {
		writeHTML(w, http.StatusBadRequest)
		return
	}
	// The user has consented before, to the configured refresh token: only a consent that is forced brings another
	// (OAUTH: offline, first consent or prompt=consent).
	offline := q.Get("access_type") == "offline" && q.Get("prompt") == "consent"
	code := p.oauth.newCode(authCode{scopes: scopes, redirect: q.Get("redirect_uri"), offline: offline}, p.Now())
	if code == "" {
		writeHTML(w, http.StatusBadRequest)
		return
	}
	args := back.Query()
	args.Set("code", code)
	args.Set("location", "us")
	args.Set("accounts-server", "https://"+r.Host)
	if state := q.Get("state"); state != "" {
		args.Set("state", state)
	}
	back.RawQuery = args.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// newCode returns "" when the user has had too many; what Zoho shows then is not documented.
func (t *tokens) newCode(c authCode, now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.coded = slices.DeleteFunc(t.coded, func(at time.Time) bool { return now.Sub(at) >= throttleWindow })
	if len(t.coded) >= codeCalls && !t.cfg.NoTokenThrottle {
		return ""
	}
	t.coded = append(t.coded, now)
	c.expires = now.Add(codeLife)
	code := t.random()
	t.codes[code] = &c
	return code
}

// SelfClientCode makes a code as Zoho's console does for a self client: no redirect, two minutes, used once, always with a
// refresh token. It is "" after ten codes within ten minutes.
func (p *Portal) SelfClientCode(scopes ...string) string {
	return p.oauth.newCode(authCode{scopes: scopes, offline: true}, p.Now())
}
