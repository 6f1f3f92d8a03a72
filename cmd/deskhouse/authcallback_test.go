package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestRedirects holds every reply that a browser may bring against what becomes
// of it.
func TestRedirects(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		path   string
		query  url.Values
		status int
		code   string // taken
		says   string // in the error, "" = none
		exit   int
	}{
		{name: "consent", query: url.Values{"state": {"S"}, "code": {"1000.abc"}}, status: 200, code: "1000.abc"},
		{name: "consent with its data centre", query: url.Values{"state": {"S"}, "code": {"1000.abc"}, "location": {"eu"}, "accounts-server": {"https://accounts.zoho.eu"}}, status: 200, code: "1000.abc"},
		{name: "unknown location and server", query: url.Values{"state": {"S"}, "code": {"1000.c"}, "location": {"moon"}, "accounts-server": {"https://127.0.0.1:1"}}, status: 200, code: "1000.c"},
		{name: "other location", query: url.Values{"state": {"S"}, "code": {"c"}, "location": {"in"}}, status: 200, says: "data_center: in", exit: exitUsage},
		{name: "other server", query: url.Values{"state": {"S"}, "code": {"1000.d"}, "location": {"us"}, "accounts-server": {"https://accounts.zoho.com"}}, status: 200, code: "1000.d"},
		{name: "denied", query: url.Values{"state": {"S"}, "error": {"access_denied"}}, status: 200, says: "refused at Zoho", exit: exitFailed},
		{name: "denied without a state", query: url.Values{"error": {"access_denied"}}, status: 400},
		{name: "another error", query: url.Values{"state": {"S"}, "error": {"invalid_scope\x1b[2J"}}, status: 200, says: "invalid_scope?[2J", exit: exitFailed},
		{name: "no code", query: url.Values{"state": {"S"}}, status: 200, says: "without a grant code", exit: exitFailed},
		{name: "code with a line end", query: url.Values{"state": {"S"}, "code": {"a\nb"}}, status: 200, says: "without a grant code", exit: exitFailed},
		{name: "wrong state", query: url.Values{"state": {"T"}, "code": {"c"}}, status: 400},
		{name: "no state", query: url.Values{"code": {"c"}}, status: 400},
		{name: "denied with a wrong state", query: url.Values{"state": {"T"}, "error": {"access_denied"}}, status: 400},
		{name: "another path", path: "/favicon.ico", query: url.Values{"state": {"S"}, "code": {"c"}}, status: 404},
		{name: "another method", method: http.MethodPost, query: url.Values{"state": {"S"}, "code": {"c"}}, status: 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &callback{state: "S", dataCenter: "eu", outcome: make(chan outcome, 1)}
			if c.method == "" {
				c.method = http.MethodGet
			}
			if c.path == "" {
				c.path = loginPath
			}
			w := httptest.NewRecorder()
			b.ServeHTTP(w, httptest.NewRequest(c.method, "http://127.0.0.1:8979"+c.path+"?"+c.query.Encode(), nil))
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			var got outcome
			select {
			case got = <-b.outcome:
			default:
			}
			var exit *exitError
			if errors.As(got.err, &exit); (got.err != nil) != (c.says != "") || got.err != nil && (exit.Code != c.exit || !strings.Contains(got.err.Error(), c.says)) {
				t.Errorf("error %v, want one that says %q", got.err, c.says)
			}
			if got.code != c.code || c.code != "" && got.server != c.query.Get("accounts-server") {
				t.Errorf("code %q of %q, want %q", got.code, got.server, c.code)
			}
			if c.code != "" && strings.Contains(w.Body.String(), c.code) {
				t.Error("the page shows the code")
			}
		})
	}
}

// What a redirect without our state says is shown, printable, and decides nothing.
func TestStrangeRedirect(t *testing.T) {
	if got := strangeRedirect(""); !strings.Contains(got, "wrong state") || strings.Contains(got, "Ctrl-C") {
		t.Errorf("%q", got)
	}
	if got := strangeRedirect("access_denied\x1b[2J"); !strings.Contains(got, "access_denied?[2J") || !strings.Contains(got, "Ctrl-C") || !strings.HasSuffix(got, "still waiting") {
		t.Errorf("%q", got)
	}
}

// The first redirect with the right state counts; a second one is only answered.
func TestFirstRedirectCounts(t *testing.T) {
	b := &callback{state: "S", dataCenter: "eu", outcome: make(chan outcome, 1)}
	for _, code := range []string{"first", "second"} {
		b.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, loginPath+"?state=S&code="+code, nil))
	}
	if got := <-b.outcome; got.code != "first" {
		t.Errorf("%q counts", got.code)
	}
}

// FuzzRedirect: whatever the browser is sent back with, a code is taken only
// with the state, and nothing but printable text gets into an error.
func FuzzRedirect(f *testing.F) {
	f.Add("state=S&code=1000.abc&location=eu&accounts-server=https%3A%2F%2Faccounts.zoho.eu")
	f.Add("error=access_denied")
	f.Add("state=S&error=%1b%5b2J")
	f.Fuzz(func(t *testing.T, query string) {
		b := &callback{state: "S", dataCenter: "eu", outcome: make(chan outcome, 1)}
		r := httptest.NewRequest(http.MethodGet, loginPath, nil)
		r.URL.RawQuery = query
		b.ServeHTTP(httptest.NewRecorder(), r)
		select {
		case got := <-b.outcome:
			if got.code != "" && r.URL.Query().Get("state") != "S" {
				t.Errorf("code %q taken without the state", got.code)
			}
			if (got.code == "") == (got.err == nil) {
				t.Errorf("code %q and error %v", got.code, got.err)
			}
			if got.err != nil && strings.ContainsFunc(got.err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("unprintable error %q", got.err)
			}
		default:
		}
	})
}

func TestCleanCode(t *testing.T) {
	for given, want := range map[string]string{"1000.abc.def": "1000.abc.def", "  1000.abc\n": "1000.abc", "'1000.abc'": "1000.abc", "\"1000.abc\"\r\n": "1000.abc",
		"": "", "  \n": "", "two words": "", "a\nb": "", "héllo": "", strings.Repeat("x", maxCode+1): ""} {
		got, err := cleanCode(given)
		if got != want || (err == nil) != (want != "") || err != nil && len(given) > 4 && strings.Contains(err.Error(), given) {
			t.Errorf("%q: %q, %v; want %q", given, got, err, want)
		}
	}
}
