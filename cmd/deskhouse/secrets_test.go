package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"deskhouse/source/desksim"
)

// marker is in every text that the test plants in the portal or sends.
const marker = "Xylographic"

// TestNoSecretsNoRowValues runs load, live and as many kinds of trouble as can
// be made from outside, at the debug level, and looks through all that was
// printed.
func TestNoSecretsNoRowValues(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 17, Weights: demoChanges, Tickets: 300, ArchivedTickets: 5}, settings{keys: "bin: {poll: 1s}, tables: {tickets: {poll: 1s, history: full}},"})
	plantMarkers(t, h, 20)
	trouble(h)
	p := h.start("--log-level", "debug")
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	living := h.live()
	trouble(h)
	h.portal.Faults().Webhooks(desksim.WebhookFaults{Partial: 0.2, Duplicate: 0.2, Reorder: 0.2, Within: 300 * time.Millisecond})
	plantMarkers(t, h, 20)
	hook := strings.TrimSpace(command(t, commandTime, h.dir, "webhook", "url", "--config", h.file).stdout.String()) // the one place that may show it
	badDeliveries(t, h, hook)
	if err := syscall.Kill(h.enginePID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	plantMarkers(t, h, 20)
	h.until("the engine is started again", 60*time.Second, func() bool { return strings.Count(h.printed(), "embedded engine started") == 2 })
	living.stop()
	h.portal.Faults().Clear()
	h.settle()
	h.everyCommand()
	h.revokeAndReturn()
	p.stop()
	h.everyCommand()
	h.revokeAndReturn()

	all := h.printed() + strings.Join(h.said, "\n")
	if !strings.Contains(all, `"level":"debug"`) || !strings.Contains(all, "dead letter") || !strings.Contains(all, "webhook delivery refused") {
		t.Error("the trouble does not show in the log: the test did not test")
	}
	for what, private := range h.private(path.Base(hook)) {
		if at := strings.Index(all, private); at >= 0 {
			t.Errorf("%s is printed: …%s…", what, all[max(0, at-300):min(len(all), at+len(private)+100)])
		}
	}
	t.Logf("looked through %d bytes in %d lines", len(all), strings.Count(all, "\n"))
}

// plantMarkers changes tickets so that every kind of text in them is marked.
func plantMarkers(t *testing.T, h *house, n int) {
	t.Helper()
	text := func(what string) *string { s := what + " " + marker + " 'x\\"; return &s }
	for range n {
		if _, err := h.portal.UpdateTicket(0, desksim.TicketChange{Subject: text("subject"), Description: text("description"), Resolution: text("resolution"),
			CF: map[string]*string{"cf_serial_number": text("serial"), "cf_number_of_items": text("not a number"), "cf_date_of_purchase": text("not a date")}}); err != nil {
			t.Fatal(err)
		}
	}
}

// trouble makes coming calls fail in every way there is.
func trouble(h *house) {
	f := h.portal.Faults()
	for _, k := range []desksim.Fault{desksim.FaultTooMany, desksim.FaultServerError, desksim.FaultBadGateway, desksim.FaultHTML, desksim.FaultHTMLNotFound,
		desksim.FaultCutBody, desksim.FaultTokenExpired} {
		f.NextOn(k, 1, "/api/v1/tickets")
	}
	f.NextOn(desksim.FaultCutBody, 2, "/api/v1/tickets/search")
}

// badDeliveries sends what is refused, kept as a dead letter, or undecodable.
func badDeliveries(t *testing.T, h *house, hook string) {
	t.Helper()
	h.until("a delivery carried a token", 20*time.Second, func() bool { return h.token() != "" })
	payload := fmt.Sprintf(`{"id":"%s","subject":%q}`, marker, marker)
	for _, c := range []struct {
		body   string
		signed bool
		status int
	}{
		{`[{"eventType":"Ticket_Add","payload":{"subject":"` + marker, true, 400},
		{`[{"eventType":"Ticket_Add","payload":` + payload + `}]`, true, 200},
		{`[{"eventType":"` + marker + `","payload":` + payload + `}]`, true, 200},
		{`[{"eventType":"Ticket_Add","orgId":"1","payload":` + payload + `}]`, true, 403},
		{`[{"eventType":"Ticket_Add","payload":` + payload + `}]`, false, 401},
		{`["` + marker + `",{"subject":"` + marker + `"}]`, true, 200},
		{`{"ticketId":"` + marker + `"}`, false, 401},
	} {
		token := ""
		if c.signed {
			token = h.token()
		}
		if got := send(t, "", hook, token, c.body, false); got != c.status {
			t.Errorf("%s: status %d, want %d", c.body, got, c.status)
		}
	}
	if got := send(t, "", hook, tampered(h.token()), "[]", false); got != http.StatusUnauthorized {
		t.Errorf("tampered token: status %d", got)
	}
}

// everyCommand prints what there is to print, with mistakes in queries that
// quote the query but no row.
func (h *house) everyCommand() {
	h.t.Helper()
	for _, args := range [][]string{{"check"}, {"check", "--json"}, {"check", "--offline"}, {"check", "--offline", "--json"}, {"check", "--grants"}, {"check", "--grants", "--json"}, {"status"}, {"status", "--json"}, {"webhook", "list"}, {"webhook", "list", "--json"},
		{"auth", "status"}, {"auth", "status", "--json"}, {"auth", "exchange", "--code", h.code()}, {"auth", "exchange", "--json", "--code", h.code()}, {"auth", "exchange", "--code", h.secret("1000.neverissued.code")},
		{"auth", "exchange", "--code", h.secret("1000.no code.at all")}, {"auth", "login", "--wait", "50ms"}, {"auth", "revoke"}, {"connections", "list"}, {"connections", "list", "--json"},
		{"connections", "show", "main"}, {"connections", "show", "main", "--json"}, {"connections", "show", "nobody"}, {"connections", "forget", "main"}, {"connections", "forget", "nobody"},
		{"webhook", "register"}, {"webhook", "rotate"}, {"webhook", "rotate", "--json"}, {"webhook", "rotate", "--finish"}, {"webhook", "delete"}, {"resync"}, {"verify"}, {"plan"}, {"replay", "--since", "1h"}, {"sql", "SELEC 1"}, {"sql", "SELECT nothing FROM tickets"}, {"sql", "SELECT * FROM nowhere"}} {
		h.deskhouse(append(args, "--log-level", "debug")...)
	}
	h.initialise()
}

// initialise has a configuration written, with a state key that nobody may see
// either.
func (h *house) initialise() {
	h.t.Helper()
	dir := h.t.TempDir()
	given := filepath.Join(dir, "given")
	if err := os.WriteFile(given, []byte("simulated-secret\n"), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.must("init", "--yes", "--out", filepath.Join(dir, "deskhouse.yaml"), "--data-center", "us", "--org-id", "5", "--client-id", "1000.X", "--client-secret-file", given)
	files, err := filepath.Glob(filepath.Join(dir, "*key*"))
	if err != nil || len(files) != 1 {
		h.t.Fatalf("files with the state key: %v, %v", files, err)
	}
	key, err := os.ReadFile(files[0])
	if err != nil {
		h.t.Fatal(err)
	}
	h.secret(strings.TrimSpace(string(key)))
}

// revokeAndReturn takes the authorisation back, prints what there is to print
// without one, and authorises again, by browser and by code.
func (h *house) revokeAndReturn() {
	h.t.Helper()
	h.must("auth", "revoke", "--yes", "--log-level", "debug")
	for _, args := range [][]string{{"auth", "revoke", "--yes", "--force", "--json"}, {"auth", "status"}, {"status"}, {"connections", "list"}, {"webhook", "list"}, {"check"}, {"plan"}} {
		h.deskhouse(append(args, "--log-level", "debug")...)
	}
	denied := h.login("--log-level", "debug")
	denied.open(denied.back(func(q url.Values) { q.Set("error", "access_denied"); q.Set("code", h.secret("1000.denied.code")) }))
	denied.end()
	v := h.login("--log-level", "debug")
	v.open(v.consent)
	if code := v.end(); code != exitDone {
		h.t.Errorf("login: exit code %d\n%s", code, v.stderr.String())
	}
	h.must("auth", "exchange", "--code", h.code(), "--log-level", "debug")
}

// private is everything that may not be printed.
func (h *house) private(hookSecret string) map[string]string {
	h.t.Helper()
	key, err := base64.StdEncoding.DecodeString(h.key)
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[string]string{"client secret": "simulated-secret", "refresh token": "1000.simulated.refresh", "state key": h.key, "state key in hex": hex.EncodeToString(key),
		"state key as bytes": string(key), "hook secret": hookSecret, "signed token": "eyJ", "authorization header": "Zoho-oauthtoken", "planted text": marker}
	h.mu.Lock()
	for i, token := range h.tokens {
		out[fmt.Sprintf("token or code %d", i)] = token
	}
	h.mu.Unlock()
	if len(h.tokens) < 10 || len(hookSecret) != 26 {
		h.t.Fatalf("%d tokens and codes to look for, hook secret of %d characters", len(h.tokens), len(hookSecret))
	}
	for row := range h.portal.Truth("tickets") {
		var ticket struct{ Subject, Description, Email, Phone string }
		if row.Get == nil {
			continue
		}
		if err := json.Unmarshal(row.Get, &ticket); err != nil {
			h.t.Fatal(err)
		}
		for what, text := range map[string]string{"subject": ticket.Subject, "description": ticket.Description, "email": ticket.Email, "phone": ticket.Phone} {
			if len(text) >= 9 {
				out[what+" of "+row.Key] = text
			}
		}
	}
	return out
}
