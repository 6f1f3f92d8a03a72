package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

// unauthorised takes the refresh token out of the configuration.
func (h *house) unauthorised() {
	h.t.Helper()
	h.rewrite("refresh_token: 1000.simulated.refresh, ", "")
}

// rewrite changes the configuration file.
func (h *house) rewrite(old, new string) {
	h.t.Helper()
	text, err := os.ReadFile(h.file)
	if err != nil {
		h.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		h.t.Fatalf("the configuration has no %q", old)
	}
	h.write(strings.Replace(string(text), old, new, 1))
}

// code is a grant code as the API console makes it for a self client.
func (h *house) code() string { return h.secret(h.portal.SelfClientCode(zohodesk.Scopes()...)) }

// asJSON runs a command with --json and decodes what it prints.
func asJSON[T any](h *house, code int, args ...string) T {
	h.t.Helper()
	r := h.deskhouse(append(args, "--json")...)
	var reply T
	if err := json.Unmarshal(r.stdout.Bytes(), &reply); err != nil || r.code != code {
		h.t.Fatalf("deskhouse %s: exit code %d, want %d, %v\n%s%s", strings.Join(args, " "), r.code, code, err, r.stdout.String(), r.stderr.String())
	}
	return reply
}

// authorisation is that of the one connection as the service tells it.
func (h *house) authorisation() string {
	st, err := h.status()
	if err != nil || len(st.Connections) != 1 {
		return ""
	}
	return st.Connections[0].Authorisation
}

// shows wants words in the output for people.
func (h *house) shows(words []string, args ...string) {
	h.t.Helper()
	shown := h.must(args...).stdout.String()
	for _, word := range words {
		if !strings.Contains(shown, word) {
			h.t.Errorf("deskhouse %s does not say %q:\n%s", strings.Join(args, " "), word, shown)
		}
	}
}

const polledFast = "bin: {poll: 1s}, tables: {tickets: {poll: 1s}, products: {poll: 1s}},"

// TestFromNoTokenToRevokedAndBack is the life of a connection: a service that
// starts without any token, is authorised while it runs, is revoked, and is
// authorised again.
func TestFromNoTokenToRevokedAndBack(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 41, Tickets: 120}, settings{keys: polledFast})
	h.unauthorised()
	h.rewrite("jwt: required", "jwt: if-present")
	p := h.start()
	h.untilRunning()
	h.waits()

	got := asJSON[connectionReply](h, exitDone, "auth", "exchange", "--code", h.code())
	if got.State != zohodesk.StateConnected || got.Source != zohodesk.FromState || got.Portal == nil || got.Portal.Company != "Zylker" || got.Agent == nil || got.Agent.Email == "" || len(got.MissingScopes) != 0 {
		t.Errorf("after the exchange: %+v", got)
	}
	h.untilLoaded()
	h.must("webhook", "register")
	h.change(3)
	h.settle()
	h.compare()

	h.revoked()
	p.stop()
	p = h.start() // a restart does not forget it
	h.untilRunning()
	h.silent()

	h.must("auth", "exchange", "--code", h.code())
	h.must("webhook", "register")
	h.change(3)
	h.settle()
	h.until("polls find what no webhook told", 30*time.Second, func() bool { return h.pipe().loaded() })
	h.must("resync")
	h.compare()
	p.stop()
}

// waits holds a service without a token to what it must do all the same.
func (h *house) waits() {
	h.t.Helper()
	h.shows([]string{"PAUSED", "connection main needs authorisation", "deskhouse auth exchange --connection main"}, "status")
	h.shows([]string{"needs authorisation", "deskhouse auth exchange --connection main"}, "connections", "list")
	hook := strings.TrimSpace(h.must("webhook", "url").stdout.String())
	event := fmt.Sprintf(`[{"eventType":"Contact_Add","eventTime":"%d","orgId":"%d","payload":{"id":"17"}}]`, time.Now().UnixMilli(), h.portal.OrgID())
	before := h.pipe().LogLast
	if status := send(h.t, "", hook, "", event, false); status != 200 || h.pipe().LogLast == before {
		h.t.Errorf("a delivery without any authorisation: status %d, log %d after %d", status, h.pipe().LogLast, before)
	}
	h.until("it says how to authorise", 10*time.Second, func() bool {
		return strings.Contains(h.printed(), `"remedy":"deskhouse auth exchange --connection main"`)
	})
	if n := h.portal.Stats(); n.Requests != 0 || n.TokenCalls != 0 {
		h.t.Errorf("%d calls and %d token calls without a token", n.Requests, n.TokenCalls)
	}
	if r := h.deskhouse("webhook", "list"); r.code != exitFailed || !strings.Contains(r.stderr.String(), "deskhouse auth exchange") {
		h.t.Errorf("webhook list: exit code %d\n%s", r.code, r.stderr.String())
	}
}

// revoked revokes and holds the portal to it.
func (h *house) revoked() {
	h.t.Helper()
	if len(h.portal.Webhooks()) != 1 {
		h.t.Fatalf("webhooks at the portal: %v", h.portal.Webhooks())
	}
	if r := h.deskhouse("auth", "revoke"); r.code != exitDecision || !strings.Contains(r.stderr.String(), "--yes") {
		h.t.Errorf("revoke without a yes: exit code %d\n%s", r.code, r.stderr.String())
	}
	reply := asJSON[revokeReply](h, exitDone, "auth", "revoke", "--yes")
	if len(reply.Webhooks) != 1 || reply.Webhooks[0].Deleted != 1 || len(reply.Paused) != 1 || len(h.portal.Webhooks()) != 0 {
		h.t.Errorf("revoked: %+v, left at the portal: %v", reply, h.portal.Webhooks())
	}
	h.silent()
}

// silent waits for polls that fail and wants no call at the portal.
func (h *house) silent() {
	h.t.Helper()
	h.until("the service knows that it is revoked", 10*time.Second, func() bool { return h.authorisation() == zohodesk.StateRevoked })
	h.shows([]string{"PAUSED", "revoked", "deskhouse auth exchange --connection main"}, "status")
	h.shows([]string{"revoked"}, "auth", "status")
	calls, failed := h.portal.Stats(), strings.Count(h.printed(), "poll failed")
	h.until("polls are refused here", 30*time.Second, func() bool { return strings.Count(h.printed(), "poll failed") >= failed+3 })
	if r := h.deskhouse("webhook", "list"); r.code != exitFailed || !strings.Contains(r.stderr.String(), "revoked") {
		h.t.Errorf("webhook list: exit code %d\n%s", r.code, r.stderr.String())
	}
	if now := h.portal.Stats(); now.Requests != calls.Requests || now.TokenCalls != calls.TokenCalls {
		h.t.Errorf("%d calls and %d token calls after the revoke", now.Requests-calls.Requests, now.TokenCalls-calls.TokenCalls)
	}
}

// TestRevokeKeepsItsOrder: webhooks that cannot be deleted keep the token alive,
// unless a person says otherwise.
func TestRevokeKeepsItsOrder(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 42, Tickets: 20}, settings{})
	p := h.start()
	h.untilLoaded()
	h.must("webhook", "register")
	h.portal.Faults().RefuseScope("Desk.events.ALL")
	h.portal.Faults().RefuseScope("Desk.settings.READ")
	h.portal.Faults().RefuseScope("Desk.events.DELETE")
	if r := h.deskhouse("auth", "revoke", "--yes"); r.code != exitFailed || !strings.Contains(r.stderr.String(), "nothing is revoked") || !strings.Contains(r.stderr.String(), "--force") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr.String())
	}
	if got := h.authorisation(); got != zohodesk.StateConnected || len(h.portal.Webhooks()) != 1 {
		t.Errorf("%s, webhooks %v", got, h.portal.Webhooks())
	}
	reply := asJSON[revokeReply](h, exitDone, "auth", "revoke", "--yes", "--force")
	if len(reply.Webhooks) != 1 || reply.Webhooks[0].Error == "" || h.portal.AccessToken() != "" {
		t.Errorf("forced: %+v, the portal still has the refresh token: %v", reply, h.portal.AccessToken() != "")
	}
	p.stop()
	h.shows([]string{"revoked"}, "connections", "show", "main") // without a service, too
}

// TestWrongGrants: codes and portals that do not do.
func TestWrongGrants(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 43, Tickets: 5}, settings{})
	h.unauthorised()
	if r := h.deskhouse("auth", "exchange", "--code", h.secret("1000.usedup")); r.code != exitFailed || !strings.Contains(r.stderr.String(), "invalid_code") {
		t.Errorf("a code that Zoho does not know: exit code %d\n%s", r.code, r.stderr.String())
	}
	for _, args := range [][]string{{"auth", "exchange", "--code", "two words"}, {"auth", "exchange"}, {"auth", "exchange", "--connection", "other", "--code", "x"}, {"auth", "login", "--port", "0"}} {
		if r := h.deskhouse(args...); r.code != exitUsage || len(errorLines(r.stderr.String())) != 1 {
			t.Errorf("deskhouse %v: exit code %d\n%s", args, r.code, r.stderr.String())
		}
	}
	h.rewrite(fmt.Sprint(h.portal.OrgID()), fmt.Sprint(h.portal.OrgID()+1))
	got := asJSON[connectionReply](h, exitFailed, "auth", "exchange", "--code", h.code())
	if !got.WrongPortal || !strings.Contains(got.Problem, fmt.Sprint(h.portal.OrgID())) || !strings.Contains(got.Problem, "Zylker") {
		t.Errorf("another portal: %+v", got)
	}
	h.rewrite(fmt.Sprint(h.portal.OrgID()+1), fmt.Sprint(h.portal.OrgID()))
	h.shows([]string{"connection main: connected", "Zylker"}, "auth", "status")
	few := asJSON[connectionReply](h, exitDone, "auth", "exchange", "--code", h.secret(h.portal.SelfClientCode("Desk.basic.READ", "Desk.tickets.READ")))
	if len(few.MissingScopes) != len(zohodesk.Scopes())-2 || few.Remedy == "" {
		t.Errorf("a grant of two scopes: %+v", few)
	}
	h.must("auth", "revoke", "--yes")
	if got := asJSON[[]connectionReply](h, exitDone, "auth", "status"); len(got) != 1 || got[0].State != zohodesk.StateRevoked || got[0].RevokedAt == nil || got[0].Remedy == "" {
		t.Errorf("revoked without a service: %+v", got)
	}
	h.must("auth", "revoke", "--yes") // once more is no mistake
}

// TestForgetting: connections that are used, unused, and not configured any
// more; two that share client and portal.
func TestForgetting(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 44, Tickets: 5}, settings{})
	text, err := os.ReadFile(h.file)
	if err != nil {
		t.Fatal(err)
	}
	one := string(text)
	spare := fmt.Sprintf("connections:\n  spare: {data_center: us, org_id: \"%d\", client_id: 1000.SIMULATEDCLIENT, client_secret: simulated-secret, accounts_url: %q, desk_url: %q}\n", h.portal.OrgID(), h.desk, h.desk)
	h.write(strings.Replace(one, "connections:\n", spare, 1))
	h.must("auth", "exchange", "--connection", "spare", "--code", h.code())
	if r := h.deskhouse("auth", "exchange", "--code", "x"); r.code != exitUsage || !strings.Contains(r.stderr.String(), "main, spare") {
		t.Errorf("no connection named: exit code %d\n%s", r.code, r.stderr.String())
	}
	for _, args := range [][]string{{"connections", "list"}, {"connections", "show", "spare"}, {"auth", "status"}} {
		h.shows([]string{"has the same client id as connection main", "is the same portal as connection main"}, args...)
	}
	if r := h.deskhouse("connections", "forget", "main"); r.code != exitDecision || !strings.Contains(r.stderr.String(), "pipeline support uses it") {
		t.Errorf("forget one in use: exit code %d\n%s", r.code, r.stderr.String())
	}
	if r := h.deskhouse("connections", "show", "nobody"); r.code != exitUsage || !strings.Contains(r.stderr.String(), "main, spare") {
		t.Errorf("show one that is not there: exit code %d\n%s", r.code, r.stderr.String())
	}
	p := h.start()
	h.untilRunning()
	h.until("it warns of what they share", 10*time.Second, func() bool {
		return strings.Contains(h.printed(), "connection main has the same client id as connection spare") && strings.Contains(h.printed(), "connection spare is the same portal as connection main")
	})
	h.shows([]string{"WARNING: is the same portal as connection main"}, "status")
	h.must("connections", "forget", "spare")
	p.stop()
	if got := asJSON[connectionReply](h, exitDone, "connections", "show", "spare"); got.State != zohodesk.StateNeeds || got.Source != "" {
		t.Errorf("forgotten: %+v", got)
	}

	h.must("auth", "exchange", "--connection", "spare", "--code", h.code())
	h.write(one)
	h.shows([]string{"spare", "not in the configuration", "deskhouse connections forget spare"}, "connections", "list")
	h.must("connections", "forget", "spare")
	if all := asJSON[[]connectionReply](h, exitDone, "connections", "list"); len(all) != 1 || all[0].Name != "main" {
		t.Errorf("left: %+v", all)
	}
	if r := h.deskhouse("connections", "forget", "spare"); r.code != exitUsage {
		t.Errorf("forget it again: exit code %d", r.code)
	}
}

// TestWebhooksKeepAConnection: a webhook that is registered for a pipeline that
// nobody knows any more needs some connection to be deleted.
func TestWebhooksKeepAConnection(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 45, Tickets: 5}, settings{})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	if r := h.deskhouse("connections", "forget", "main"); r.code != exitDecision || !strings.Contains(r.stderr.String(), fmt.Sprint(h.portal.Webhooks()[0])) {
		t.Errorf("exit code %d\n%s", r.code, r.stderr.String())
	}
	p.stop()
	h.rewrite("connections:\n", fmt.Sprintf("connections:\n  spare: {data_center: us, org_id: \"%d\", client_id: a, client_secret: b}\n", h.portal.OrgID()+1))
	h.rewrite("  support: {connection: main", "  other: {connection: spare")
	if r := h.deskhouse("connections", "forget", "main"); r.code != exitDecision || !strings.Contains(r.stderr.String(), "registered for pipeline support") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr.String())
	}
	h.must("connections", "forget", "main", "--force")
}
