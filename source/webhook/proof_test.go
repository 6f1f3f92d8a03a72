package webhook

import (
	"net/http"
	"strings"
	"testing"
)

// TestEchoedToken runs a sender that repeats a token through the intake.
func TestEchoedToken(t *testing.T) {
	const token = "echo-of-what-we-gave"
	with := func(token string) string {
		return strings.Replace(ticketAdd, "{", `{"token":"`+token+`",`, 1)
	}
	for _, c := range []struct {
		name   string
		mode   mode
		method string
		body   string
		status int
		events int
		proven bool
	}{
		{name: "validation", mode: required, method: http.MethodGet, status: 200},
		{name: "validation by POST", mode: required, body: "{}", status: 200},
		{name: "the token", mode: required, body: with(token), status: 200, events: 1, proven: true},
		{name: "the token in every event", mode: required, body: "[" + with(token) + "," + with("older-"+token) + "]", status: 200, events: 2, proven: true},
		{name: "another token", mode: required, body: with("x"), status: 401},
		{name: "another token where none is needed", body: with("x"), status: 401},
		{name: "one of two is wrong", mode: required, body: "[" + with(token) + "," + with("x") + "]", status: 401},
		{name: "one of two is missing", mode: required, body: "[" + with(token) + "," + ticketAdd + "]", status: 401},
		{name: "one of two is missing where none is needed", body: "[" + with(token) + "," + ticketAdd + "]", status: 200, events: 2},
		{name: "none", mode: required, body: ticketAdd, status: 401},
		{name: "an empty one", mode: required, body: with(""), status: 401},
		{name: "none where none is needed", body: ticketAdd, status: 200, events: 1},
		{name: "malformed", mode: required, body: with(token) + "]", status: 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(_ *fixture, _ *Config, r *Route) {
				r.Proof = EchoedToken{Tokens: only(token, "older-"+token, "")}
				c.mode.of(r)
			})
			if c.method == "" {
				c.method = http.MethodPost
			}
			if got := f.send(c.method, Path("support", secret), "", c.body).Code; got != c.status {
				t.Errorf("status %d, want %d", got, c.status)
			}
			events, _ := f.log.events(t)
			if len(events) != c.events {
				t.Fatalf("%d events, want %d", len(events), c.events)
			}
			for _, e := range events {
				if e.Verified != c.proven {
					t.Errorf("verified %v", e.Verified)
				}
			}
		})
	}
}
