package desksim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// listener is where webhooks are delivered.
type listener struct {
	mu       sync.Mutex
	probes   []string // method and body of requests without a token
	tokens   []string
	events   []hookEvent
	getCode  int
	postCode int
	code     int
	err      error
}

type hookEvent struct {
	EventType, EventTime, OrgID string
	Payload, PrevState          map[string]json.RawMessage
}

func (e hookEvent) id() string { return strings.Trim(string(e.Payload["id"]), `"`) }

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	code := l.code
	if token := r.Header.Get("X-ZDesk-JWT"); token == "" {
		l.probes = append(l.probes, r.Method+" "+string(body))
		if code = l.postCode; r.Method == http.MethodGet {
			code = l.getCode
		}
	} else {
		if l.err != nil {
			return nil, l.err
		}
		var events []hookEvent
		if err := json.Unmarshal(body, &events); err != nil {
			return nil, err
		}
		l.events, l.tokens = append(l.events, events...), append(l.tokens, token)
	}
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil)), Request: r}, nil
}

func newListener() *listener { return &listener{getCode: 200, postCode: 200, code: 200} }

// subscribe creates a webhook for the events and returns its id.
func (c *client) subscribe(subscriptions string) uint64 {
	c.t.Helper()
	status, _, body := c.send(c.request("POST", "webhooks", `{"url":"https://cdc.example.org/hook","subscriptions":`+subscriptions+`}`))
	var w struct{ ID string }
	if err := json.Unmarshal(body, &w); err != nil || status != 200 {
		c.t.Fatalf("subscribe: %d %s %v", status, body, err)
	}
	id, err := strconv.ParseUint(w.ID, 10, 64)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func flush(t *testing.T, p *Portal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func kinds(events []hookEvent) string {
	var names []string
	for _, e := range events {
		names = append(names, e.EventType)
	}
	return strings.Join(names, " ")
}

const allEvents = `{"Ticket_Add":null,"Ticket_Update":{"includePrevState":true},"Ticket_Delete":null,"Department_Add":null,"Department_Update":{"includePrevState":true}}`

func TestDelivery(t *testing.T) {
	l := newListener()
	p, clock := newTestPortal(t, Config{Deliver: l})
	k := newClient(t, p)
	hook := k.subscribe(allEvents)
	if !slices.Equal(l.probes, []string{"GET "}) {
		t.Errorf("validation: %q", l.probes)
	}
	clock.Advance(1500 * time.Millisecond)
	subject := `Quote " and ünïcode`
	id, err := p.CreateTicket(TicketChange{Subject: &subject})
	if err != nil {
		t.Fatal(err)
	}
	closed := "Closed"
	if _, err := p.UpdateTicket(id, TicketChange{Status: &closed}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.TrashTicket(id); err != nil {
		t.Fatal(err)
	}
	if _, err := p.RestoreTicket(id); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	if kinds(l.events) != "Ticket_Add Ticket_Update Ticket_Delete" {
		t.Fatalf("got %s", kinds(l.events))
	}
	add, update := l.events[0], l.events[1]
	if add.OrgID != "60000000001" || add.EventTime != strconv.FormatInt(noon.UnixMilli()+1500, 10) || add.id() != strconv.FormatUint(id, 10) || add.PrevState != nil {
		t.Errorf("envelope %+v", add)
	}
	if string(update.Payload["status"]) != `"Closed"` || string(update.PrevState["status"]) != `"Open"` || len(update.PrevState) != len(update.Payload) {
		t.Errorf("status %s after %s", update.Payload["status"], update.PrevState["status"])
	}
	for _, key := range append(strings.Fields(gotten), "contact", "assignee") {
		if update.Payload[key] == nil {
			t.Errorf("payload lacks %s", key)
		}
	}
	if len(l.events[2].Payload) != 1 {
		t.Errorf("delete payload %v", l.events[2].Payload)
	}
	verifyToken(t, p, l.tokens[0], hook)
	if s := p.Stats(); s.Attempted != 3 || s.Delivered != 3 || len(s.LastDelivered) != 3 || s.LastDelivered[0].ResourceID != id || s.LastDelivered[0].Status != 200 {
		t.Errorf("stats %+v", s)
	}
}

func verifyToken(t *testing.T, p *Portal, token string, hook uint64) {
	t.Helper()
	k := newClient(t, p)
	r := k.request("GET", "x", "")
	r.URL.Path = "/.well-known/jwks.json"
	_, _, raw := k.send(r)
	set, err := jwk.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := jws.Verify([]byte(token), jws.WithKeySet(set))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Iss, Aud string
		Iat, Exp int64
	}
	if err := json.Unmarshal(claims, &c); err != nil {
		t.Fatal(err)
	}
	if c.Iss != "orgId:60000000001" || c.Aud != fmt.Sprintf("webhookId:%d", hook) || c.Iat != p.Now().Unix() || c.Exp <= c.Iat || c.Exp > c.Iat+600 {
		t.Errorf("claims %+v", c)
	}
	message, err := jws.Parse([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	header := message.Signatures()[0].ProtectedHeaders()
	if alg, ok := header.Algorithm(); !ok || alg != jwa.RS256() {
		t.Errorf("algorithm %v", alg)
	}
	if kid, ok := header.KeyID(); !ok || kid == "" {
		t.Error("no kid")
	}
	p.RotateSigningKey()
	_, _, raw = k.send(r)
	if set, err = jwk.Parse(raw); err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify([]byte(token), jws.WithKeySet(set)); err == nil {
		t.Error("the old token verifies with the new keys")
	}
}

func TestDeleteModes(t *testing.T) {
	for mode, want := range map[DeleteMode]string{DeleteEvent: "Ticket_Delete", UpdateIsDelTrue: "Ticket_Update", UpdateIsDelString: "Ticket_Update",
		UpdateIsDelOne: "Ticket_Update", DeleteBoth: "Ticket_Update Ticket_Delete", DeleteNone: ""} {
		l := newListener()
		p, _ := newTestPortal(t, Config{Deliver: l, DeleteMode: mode})
		newClient(t, p).subscribe(allEvents)
		if _, err := p.TrashTicket(0); err != nil {
			t.Fatal(err)
		}
		flush(t, p)
		if kinds(l.events) != want {
			t.Errorf("mode %d: got %s", mode, kinds(l.events))
		}
		marks := map[DeleteMode]string{UpdateIsDelTrue: "true", UpdateIsDelString: `"true"`, UpdateIsDelOne: "1"}
		if mark := marks[mode]; mark != "" && string(l.events[0].Payload["IsDel"]) != mark {
			t.Errorf("mode %d: IsDel %s", mode, l.events[0].Payload["IsDel"])
		}
		if mode == DeleteBoth && string(l.events[0].Payload["isTrashed"]) != "true" {
			t.Errorf("both: isTrashed %s", l.events[0].Payload["isTrashed"])
		}
	}
}

func TestSubscriptionFilters(t *testing.T) {
	dept := func(seq uint32) string { return strconv.FormatUint(kindDepartment.id(seq), 10) }
	closed, subject := "Closed", "x"
	for name, c := range map[string]struct {
		subscriptions string
		change        TicketChange
		want          int
	}{
		"department":       {`{"Ticket_Update":{"departmentIds":["` + dept(1) + `"]}}`, TicketChange{Department: kindDepartment.id(1)}, 1},
		"other department": {`{"Ticket_Update":{"departmentIds":["` + dept(1) + `"]}}`, TicketChange{Department: kindDepartment.id(2)}, 0},
		"field":            {`{"Ticket_Update":{"fields":["status"]}}`, TicketChange{Status: &closed}, 1},
		"other field":      {`{"Ticket_Update":{"fields":["status"]}}`, TicketChange{Subject: &subject}, 0},
		"not subscribed":   {`{"Ticket_Add":null}`, TicketChange{Subject: &subject}, 0},
		"automation":       {`{"Ticket_Update":null}`, TicketChange{Subject: &subject, Automation: true}, 0},
		"silent":           {`{"Ticket_Update":null}`, TicketChange{Subject: &subject, Silent: true}, 0},
	} {
		l := newListener()
		p, _ := newTestPortal(t, Config{Deliver: l})
		newClient(t, p).subscribe(c.subscriptions)
		if _, err := p.UpdateTicket(0, c.change); err != nil {
			t.Fatal(err)
		}
		flush(t, p)
		if len(l.events) != c.want {
			t.Errorf("%s: %d events, want %d", name, len(l.events), c.want)
		}
	}
}

func TestWebhookBodies(t *testing.T) {
	ok := `"subscriptions":{"Ticket_Add":null}`
	for body, pointer := range map[string]string{
		`{"url":"https://a.example.org",` + ok + `}`:                                                            "",
		`{"url":"https://a.example.org:8443/hooks/x?a=1",` + ok + `,"name":"n","description":"Fine: it's ok!"}`: "",
		`{` + ok + `}`:                                                                                                          "/url",
		`{"url":"https://a.example.org"}`:                                                                                       "/subscriptions",
		`{"url":"https://a.example.org","subscriptions":{}}`:                                                                    "/subscriptions",
		`{"url":"a.example.org",` + ok + `}`:                                                                                    "/url",
		`{"url":"https://a.example.org/{x}",` + ok + `}`:                                                                        "/url",
		`{"url":"https://a.example.org/` + strings.Repeat("x", 500) + `",` + ok + `}`:                                           "/url",
		`{"url":"https://a.example.org",` + ok + `,"colour":"red"}`:                                                             "/colour",
		`{"url":"https://a.example.org",` + ok + `,"description":"a & b"}`:                                                      "/description",
		`{"url":"https://a.example.org",` + ok + `,"name":"` + strings.Repeat("n", 101) + `"}`:                                  "/name",
		`{"url":"https://a.example.org",` + ok + `,"includeEventsFrom":["USER"]}`:                                               "/includeEventsFrom",
		`{"url":"https://a.example.org",` + ok + `,"ignoreSourceId":"49ad222a-f812-11e7-8c3f-9a214cf093ae"}`:                    "/ignoreSourceId",
		`{"url":"https://a.example.org","subscriptions":{"Ticket_Restore":null}}`:                                               "/subscriptions/Ticket_Restore",
		`{"url":"https://a.example.org","subscriptions":{"Product_Add":null}}`:                                                  "/subscriptions/Product_Add",
		`{"url":"https://a.example.org","subscriptions":{"Ticket_Delete":{}}}`:                                                  "/subscriptions/Ticket_Delete",
		`{"url":"https://a.example.org","subscriptions":{"Department_Update":{"departmentIds":[]}}}`:                            "/subscriptions/Department_Update/departmentIds",
		`{"url":"https://a.example.org","subscriptions":{"Ticket_Update":{"departmentIds":["12"]}}}`:                            "/subscriptions/Ticket_Update/departmentIds",
		`{"url":"https://a.example.org","subscriptions":{"Ticket_Update":{"fields":["a","b","c","d","e","f"]}}}`:                "/subscriptions/Ticket_Update/fields",
		`{"url":"https://a.example.org","subscriptions":{"Ticket_Add":{"includePrevState":true}}}`:                              "/subscriptions/Ticket_Add/includePrevState",
		`{"url":"https://a.example.org","subscriptions":{"Ticket_Update":{"includePrevState":true,"departmentIds":null}}}`:      "",
		`{"url":"https://a.example.org","subscriptions":{"Ticket_Update":{"includePrevState":"yes"}}}`:                          "/subscriptions/Ticket_Update/includePrevState",
		`{"url":"https://a.example.org","subscriptions":{"Ticket_Thread_Add":{"direction":"in"},"Ticket_Comment_Update":null}}`: "",
	} {
		p, _ := newTestPortal(t, Config{Deliver: newListener(), Tickets: 1})
		k := newClient(t, p)
		status, _, reply := k.send(k.request("POST", "webhooks", body))
		if want := map[bool]int{true: 200, false: 422}[pointer == ""]; status != want || !strings.Contains(string(reply), pointer) {
			t.Errorf("%s: got %d %s, want %d at %s", body, status, reply, want, pointer)
		}
	}
}

func TestWebhookUpdateAndQuota(t *testing.T) {
	l := newListener()
	p, _ := newTestPortal(t, Config{Deliver: l, Edition: Professional})
	k := newClient(t, p)
	id := k.subscribe(`{"Ticket_Add":null}`)
	path := fmt.Sprintf("webhooks/%d", id)
	patch := func(body string) int {
		status, _, _ := k.send(k.request("PATCH", path, body))
		return status
	}
	if got := patch(`{"isEnabled":false}`); got != 422 {
		t.Errorf("PATCH without subscriptions: %d", got)
	}
	if got := patch(`{"subscriptions":{"Ticket_Add":null},"name":"renamed"}`); got != 200 || len(l.probes) != 1 {
		t.Errorf("PATCH of the name: %d, %d probes", got, len(l.probes))
	}
	l.getCode, l.postCode = 404, 500
	if got := patch(`{"subscriptions":{"Ticket_Add":null},"url":"https://b.example.org/x"}`); got != 422 || l.probes[len(l.probes)-1] != "POST {}" {
		t.Errorf("PATCH to a dead url: %d, probes %q", got, l.probes)
	}
	l.postCode = 200
	if got := patch(`{"subscriptions":{"Ticket_Add":null},"url":"https://b.example.org/x"}`); got != 200 {
		t.Errorf("PATCH to a url that takes POST: %d", got)
	}
	for range 4 {
		k.subscribe(`{"Ticket_Add":null}`)
	}
	status, _, body := k.send(k.request("POST", "webhooks", `{"url":"https://c.example.org","subscriptions":{"Ticket_Add":null}}`))
	if status != 403 {
		t.Errorf("sixth of five: %d", status)
	}
	checkCode(t, "quota", body, "LICENSE_ACCESS_LIMITED")
	if status, _, body := k.send(k.request("DELETE", path, "")); status != 200 || len(body) != 0 {
		t.Errorf("DELETE: %d %q", status, body)
	}
	if status, _ := k.get(path); status != 404 {
		t.Errorf("GET after DELETE: %d", status)
	}
}

func TestGoneEndsTheSubscription(t *testing.T) {
	l := newListener()
	p, _ := newTestPortal(t, Config{Deliver: l})
	newClient(t, p).subscribe(allEvents)
	l.code = 503
	p.Mutate(1)
	flush(t, p)
	if len(p.Webhooks()) != 1 {
		t.Fatal("503 ended it")
	}
	l.code = http.StatusGone
	if _, err := p.UpdateTicket(0, TicketChange{}); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	if len(p.Webhooks()) != 0 {
		t.Error("410 did not end it")
	}
}

func TestFailedDeliveryIsNotRepeated(t *testing.T) {
	l := newListener()
	p, clock := newTestPortal(t, Config{Deliver: l})
	newClient(t, p).subscribe(allEvents)
	l.err = errors.New("connection refused")
	if _, err := p.UpdateTicket(0, TicketChange{}); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	l.mu.Lock()
	l.err = nil
	l.mu.Unlock()
	clock.Advance(time.Hour)
	flush(t, p)
	if s := p.Stats(); len(l.events) != 0 || s.Attempted != 1 || s.Failed != 1 || s.LastDelivered[0].Err == nil {
		t.Errorf("%d events, stats %+v", len(l.events), s)
	}
}

func TestWebhookFaults(t *testing.T) {
	run := func(f WebhookFaults) []hookEvent {
		l := newListener()
		p, clock := newTestPortal(t, Config{Deliver: l, Seed: 3, PayloadAtEvent: true})
		newClient(t, p).subscribe(`{"Ticket_Add":null}`)
		p.Faults().Webhooks(f)
		for range 40 {
			if _, err := p.CreateTicket(TicketChange{}); err != nil {
				t.Fatal(err)
			}
			clock.Advance(time.Second)
		}
		clock.Advance(time.Hour)
		flush(t, p)
		return l.events
	}
	ordered := func(events []hookEvent) bool {
		return slices.IsSortedFunc(events, func(a, b hookEvent) int { return strings.Compare(a.id(), b.id()) })
	}
	if e := run(WebhookFaults{}); len(e) != 40 || !ordered(e) {
		t.Errorf("no fault: %d events, ordered %v", len(e), ordered(e))
	}
	if e := run(WebhookFaults{Loss: 0.5}); len(e) == 40 || len(e) == 0 {
		t.Errorf("loss: %d events", len(e))
	}
	if e := run(WebhookFaults{Duplicate: 0.5}); len(e) <= 40 {
		t.Errorf("duplicate: %d events", len(e))
	}
	if e := run(WebhookFaults{Delay: 0.5}); len(e) != 40 || !ordered(e) {
		t.Errorf("delay: %d events, ordered %v", len(e), ordered(e))
	}
	if e := run(WebhookFaults{Reorder: 0.5}); len(e) != 40 || ordered(e) {
		t.Errorf("reorder: %d events, ordered %v", len(e), ordered(e))
	}
	if e := run(WebhookFaults{Partial: 1}); len(e) != 40 || len(e[0].Payload) != 1 {
		t.Errorf("partial: %v", e[0].Payload)
	}
}
