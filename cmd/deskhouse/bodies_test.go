package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"deskhouse/source/desksim"
)

// TestWebhookBodies sends what a sender with the right URL may send, good and
// bad, to a service that requires tokens.
func TestWebhookBodies(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 13, Tickets: 60, DeleteMode: desksim.DeleteNone}, settings{})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	hook := strings.TrimSpace(h.must("webhook", "url").stdout.String())
	if _, err := h.portal.UpdateTicket(0, desksim.TicketChange{}); err != nil { // brings a signed delivery
		t.Fatal(err)
	}
	h.settle()
	token := h.token()
	if token == "" {
		t.Fatal("no delivery carried a token")
	}

	gone := make([]uint64, 3) // deleted at the portal, which does not tell
	for i := range gone {
		var err error
		if gone[i], err = h.portal.TrashTicket(0); err != nil {
			t.Fatal(err)
		}
	}
	org := h.portal.OrgID()
	event := func(kind string, org, id uint64) string {
		return fmt.Sprintf(`{"eventType":%q,"eventTime":%d,"orgId":"%d","payload":{"id":"%d"}}`, kind, time.Now().UnixMilli(), org, id)
	}
	deleted := func(i int) string { return event("Ticket_Delete", org, gone[i]) }
	big := `[{"eventType":"Ticket_Add","payload":{"description":"` + strings.Repeat("x", 5<<20) + `"}}]`
	for _, c := range []struct {
		name, method, url, token, body string
		chunked                        bool
		status                         int
	}{
		{name: "GET", method: "GET", status: 200},
		{name: "HEAD", method: "HEAD", status: 200},
		{name: "validation", body: "{}", status: 200},
		{name: "empty validation", status: 200},
		{name: "PUT", method: "PUT", body: deleted(0), token: token, status: 405},
		{name: "DELETE", method: "DELETE", token: token, status: 405},
		{name: "malformed", body: `[{"eventType":"Ticket_Add",`, token: token, status: 400},
		{name: "no JSON", body: "eventType=Ticket_Add", token: token, status: 400},
		{name: "malformed and unsigned", body: "[{", status: 401},
		{name: "oversized", body: big, token: token, status: 413},
		{name: "oversized, length not told", body: big, token: token, chunked: true, status: 413},
		{name: "unsigned", body: deleted(1), status: 401},
		{name: "unsigned array", body: "[" + deleted(1) + "]", status: 401},
		{name: "tampered token", body: deleted(1), token: tampered(token), status: 401},
		{name: "foreign portal", body: event("Ticket_Delete", org+1, gone[1]), token: token, status: 403},
		{name: "unknown event", body: event("Ticket_Teleport", org, gone[1]), token: token, status: 200},
		{name: "event of another module", body: event("Contact_Add", org, 5), token: token, status: 200},
		{name: "payload that is no record", body: strings.Replace(deleted(1), `"id":"`, `"id":"x`, 1), token: token, status: 200},
		{name: "wrong secret", url: hook[:len(hook)-1] + "0", body: deleted(1), token: token, status: 404},
		{name: "unknown pipeline", url: strings.Replace(hook, "/support/", "/nobody/", 1), body: deleted(1), token: token, status: 404},
		{name: "good and bad", body: "[17," + deleted(0) + `,{"payload":{}},"x",` + event("Ticket_Delete", org+1, gone[1]) + `,{"eventType":"Ticket_Add","payload":[]},` + deleted(2) + "]", token: token, status: 200},
	} {
		if c.url == "" {
			c.url = hook
		}
		if got := send(t, c.method, c.url, c.token, c.body, c.chunked); got != c.status {
			t.Errorf("%s: status %d, want %d", c.name, got, c.status)
		}
	}
	h.settle()
	for i, visible := range []string{"0", "1", "0"} { // of the second one only refused and foreign events told
		if rows := h.sql(fmt.Sprintf("SELECT toString(count()) AS n FROM tickets WHERE id = %d", gone[i])); len(rows) != 1 || rows[0]["n"] != visible {
			t.Errorf("deleted ticket %d: %v rows in the view, want %s", i, rows, visible)
		}
	}
	if status, body := get(t, "http://"+h.admin+"/readyz"); status != 200 {
		t.Errorf("readyz: %d %s", status, body)
	}
	_, metrics := get(t, "http://"+h.admin+"/metrics")
	for _, want := range []string{`deskhouse_intake_deliveries_total{pipeline="support",result="malformed"} 2`,
		`deskhouse_intake_deliveries_total{pipeline="support",result="too_large"} 2`,
		`deskhouse_intake_deliveries_total{pipeline="support",result="unauthorised"} 4`,
		`deskhouse_intake_deliveries_total{pipeline="support",result="foreign"} 1`,
		`deskhouse_intake_dead_letters_total{pipeline="support",reason="malformed"} 2`,
		`deskhouse_intake_dead_letters_total{pipeline="support",reason="foreign_org"} 1`,
		`deskhouse_intake_dead_letters_total{pipeline="support",reason="not_object"} 2`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if !p.running() {
		t.Fatal("the service ended")
	}
	p.stop()
}

func (h *house) token() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.jwt
}

// tampered changes one character in the middle of a token's signature.
func tampered(token string) string {
	at := strings.LastIndexByte(token, '.') + 20
	other := "A"
	if token[at] == 'A' {
		other = "B"
	}
	return token[:at] + other + token[at+1:]
}

// send makes one request and returns the status; a large body may be refused
// before all of it was read.
func send(t *testing.T, method, url, token, body string, chunked bool) int {
	t.Helper()
	if method == "" {
		method = http.MethodPost
	}
	var r io.Reader = strings.NewReader(body)
	if chunked {
		r = io.MultiReader(r) // hides the length
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("X-ZDesk-JWT", token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if answer.Len() > 0 {
		t.Errorf("the answer to a webhook has a body of %d bytes", answer.Len())
	}
	return resp.StatusCode
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
