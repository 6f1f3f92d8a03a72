package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"deskhouse/source/desksim"
)

// hooksAt asks which webhooks the portal has.
func (h *house) hooksAt() []hookReply {
	h.t.Helper()
	var hooks []hookReply
	h.decode(&hooks, "webhook", "list", "--json")
	return hooks
}

func (h *house) decode(into any, args ...string) {
	h.t.Helper()
	r := h.must(args...)
	if err := json.Unmarshal(r.stdout.Bytes(), into); err != nil {
		h.t.Fatalf("deskhouse %s: %v\n%s", strings.Join(args, " "), err, r.stdout.String())
	}
}

// serviceURL is where Zoho delivers to, by the command.
func (h *house) hookURL() string {
	h.t.Helper()
	return strings.TrimSpace(h.must("webhook", "url").stdout.String())
}

// TestRotateCommand changes the secret of a running service, which a restart and the loss of state survive, and with which
// no event is missed.
func TestRotateCommand(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 71, Tickets: 60}, settings{})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	first, hook := h.hookURL(), h.hooksAt()[0]
	if r := h.must("webhook", "rotate"); strings.Contains(r.stdout.String(), "/hooks/") || !strings.Contains(r.stdout.String(), hook.ID) {
		t.Errorf("rotate said %s", r.stdout.String())
	}
	second := h.hookURL()
	if now := h.hooksAt(); second == first || len(now) != 1 || now[0].ID != hook.ID || !now[0].Ours {
		t.Errorf("at Zoho %+v, the URL changed: %v", now, second != first)
	}
	for _, url := range []string{first, second} {
		if got := send(t, http.MethodGet, url, "", "", false); got != 200 {
			t.Errorf("during the overlap: %d", got)
		}
	}
	h.change(3)
	h.settle()
	h.compare()
	p.stop()
	if r := h.deskhouse("webhook", "rotate"); r.code != exitFailed || !strings.Contains(r.stderr.String(), "deskhouse run") {
		t.Errorf("without a service: exit code %d, %s", r.code, r.stderr.String())
	}

	p = h.start()
	h.untilLoaded()
	if got := send(t, http.MethodGet, first, "", "", false); got != 200 {
		t.Errorf("the overlap after a restart: %d", got)
	}
	var reply rotationReply
	h.decode(&reply, "webhook", "rotate", "--finish", "--json")
	if !reply.Finished || reply.Generation != 2 || reply.OldUntil != nil {
		t.Errorf("finished: %+v", reply)
	}
	for url, want := range map[string]int{first: 404, second: 200} {
		if got := send(t, http.MethodGet, url, "", "", false); got != want {
			t.Errorf("after the overlap: %d, want %d", got, want)
		}
	}
	h.change(3)
	h.settle()
	h.compare()
	_, metrics := get(t, "http://"+h.admin+"/metrics")
	if !strings.Contains(metrics, `deskhouse_webhook_token_times_total{pipeline="support",unit="seconds"}`) {
		t.Error("in which unit tokens tell times is not counted")
	}
	p.stop()
}

// TestHooksThatZohoRefuses: the service runs on polls, says so once, and gets the webhook when it may.
func TestHooksThatZohoRefuses(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 72, Tickets: 60, Edition: desksim.Standard}, settings{keys: "tables: {tickets: {poll: 1s}},"})
	p := h.start()
	h.untilRunning()
	r := h.deskhouse("webhook", "register")
	if r.code != exitFailed || !strings.Contains(r.stderr.String(), "LICENSE_ACCESS_LIMITED") || !strings.Contains(r.stderr.String(), "polls") {
		t.Errorf("exit code %d: %s", r.code, r.stderr.String())
	}
	h.untilLoaded()
	if fault := h.pipe().HookFault; !strings.Contains(fault, "LICENSE_ACCESS_LIMITED") {
		t.Errorf("status says %q", fault)
	}
	h.change(3)
	h.until("a poll brings the changes", 60*time.Second, func() bool {
		return fmt.Sprint(h.sql("SELECT count() AS n FROM tickets WHERE subject LIKE 'changed %'")[0]["n"]) == "3"
	})
	if n := strings.Count(h.printed(), "webhook is not as it should be"); n != 1 {
		t.Errorf("told %d times", n)
	}
	p.stop()
}

// TestHookOfAnotherHost is reported and left alone; a hook made by hand keeps its secret until a person says so.
func TestHookOfAnotherHost(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 73, Tickets: 20}, settings{})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	first := h.hookURL()
	other := strings.Replace(first, "127.0.0.1", "localhost", 1)
	h.createHook(other)
	hooks := h.hooksAt()
	if len(hooks) != 2 || hooks[0].Note != "" || hooks[1].Ours || !strings.Contains(hooks[1].Note, "at another host: localhost") {
		t.Errorf("hooks %+v", hooks)
	}
	h.portal.Faults().RefuseScope("Desk.events.DELETE")
	if r := h.deskhouse("webhook", "delete"); r.code != exitFailed || !strings.Contains(r.stderr.String(), "keeps it up until") || len(h.hooksAt()) != 2 {
		t.Errorf("refused: exit code %d, %s", r.code, r.stderr.String())
	}
	h.portal.Faults().AllowScope("Desk.events.DELETE")
	var deleted removalReply
	h.decode(&deleted, "webhook", "delete", "--json")
	if left := h.hooksAt(); deleted.Deleted != 1 || len(deleted.Left) != 0 || len(left) != 1 || left[0].Ours {
		t.Errorf("deleted %v, left %+v", deleted, left)
	}

	r := h.must("webhook", "rotate")
	second := h.hookURL()
	if !strings.Contains(r.stdout.String(), second) || second == first {
		t.Errorf("rotate of a hook made by hand said %s", r.stdout.String())
	}
	for _, url := range []string{first, second} {
		if got := send(t, http.MethodGet, url, "", "", false); got != 200 {
			t.Errorf("%d before --finish", got)
		}
	}
	p.stop()
	h.must("webhook", "rotate", "--finish")
	p = h.start()
	h.untilRunning()
	if got := send(t, http.MethodGet, first, "", "", false); got != 404 {
		t.Errorf("the old URL after --finish: %d", got)
	}
	p.stop()
}

// TestCopyOfAnotherHost: with the same state and another public_url, the webhook is told to be elsewhere and left there,
// until it is registered here.
func TestCopyOfAnotherHost(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 74, Tickets: 20}, settings{})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	first, original := h.hookURL(), read(t, h.file)
	p.stop()
	moved := strings.Replace(original, "public_url: \"http://127.0.0.1:", "public_url: \"http://localhost:", 1)
	h.write(moved)
	p = h.start()
	h.untilRunning()
	h.until("the problem is told", 20*time.Second, func() bool { return strings.Contains(h.pipe().HookFault, "delivers to 127.0.0.1") })
	if fault := h.pipe().HookFault; !strings.Contains(fault, "deskhouse webhook register") {
		t.Errorf("status says %q", fault)
	}
	if r := h.must("webhook", "delete"); !strings.Contains(r.stdout.String(), "deleted: 0") || !strings.Contains(r.stdout.String(), "it is left there") || len(h.hooksAt()) != 1 {
		t.Errorf("delete said %s", r.stdout.String())
	}
	p.stop()
	h.write(original)
	p = h.start()
	h.untilRunning()
	if now := h.hooksAt(); len(now) != 1 || !now[0].Ours || h.hookURL() != first {
		t.Errorf("at Zoho %+v", now)
	}
	p.stop()
}

// createHook makes a webhook at the portal as an administrator would.
func (h *house) createHook(at string) {
	h.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"1000.SIMULATEDCLIENT"}, "client_secret": {"simulated-secret"}, "refresh_token": {"1000.simulated.refresh"}}
	granted, err := http.PostForm(h.desk+"/oauth/v2/token", form)
	if err != nil {
		h.t.Fatal(err)
	}
	defer granted.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(granted.Body).Decode(&token); err != nil {
		h.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.desk+"/api/v1/webhooks", strings.NewReader(fmt.Sprintf(`{"url":%q,"subscriptions":{"Ticket_Add":null}}`, at)))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Zoho-oauthtoken " + token.Access}, "Content-Type": {"application/json"}, "Orgid": {fmt.Sprint(h.portal.OrgID())}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		h.t.Fatalf("create a webhook: %d", resp.StatusCode)
	}
}
