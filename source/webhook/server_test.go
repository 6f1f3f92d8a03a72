package webhook

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestRequests goes through the rules that need no log trouble: what is sent, and what comes of it.
func TestRequests(t *testing.T) {
	good := goodToken().sign(t)
	tests := []struct {
		name   string
		method string // POST
		path   string // the right one
		mode   mode   // if-present
		token  string
		body   string
		status int
		events []string // types of what is stored
		dead   []string // reasons of what is kept
	}{
		{name: "GET validates", method: "GET", status: 200},
		{name: "HEAD validates", method: "HEAD", status: 200},
		{name: "GET with a wrong secret", method: "GET", path: Path("support", strings.Repeat("a", 26)), status: 404},
		{name: "PUT", method: "PUT", body: ticketAdd, status: 405},
		{name: "empty POST validates", status: 200},
		{name: "empty object validates", body: "{}", status: 200},
		{name: "empty array validates", body: " [ ] ", status: 200},
		{name: "object that is nothing validates", body: `{"ping":true}`, status: 200},
		{name: "validation where a JWT is required", mode: required, body: "{}", status: 200},

		{name: "unknown pipeline", path: Path("sales", secret), body: ticketAdd, status: 404},
		{name: "wrong secret", path: Path("support", strings.ToUpper(secret)), body: ticketAdd, status: 404},
		{name: "no secret", path: "/hooks/support/", body: ticketAdd, status: 404},
		{name: "longer path", path: Path("support", secret) + "/x", body: ticketAdd, status: 404},
		{name: "other path", path: "/", body: ticketAdd, status: 404},

		{name: "one event", body: ticketAdd, status: 200, events: []string{"Ticket_Add"}},
		{name: "array", token: good, body: "[" + ticketAdd + ",\n" + strings.Replace(ticketAdd, "Ticket_Add", "Ticket_Delete", 1) + "]", status: 200, events: []string{"Ticket_Add", "Ticket_Delete"}},
		{name: "unknown type is stored", body: strings.Replace(ticketAdd, "Ticket_Add", "Ticket_Teleport", 1), status: 200, events: []string{"Ticket_Teleport"}},
		{name: "event without orgId", body: `{"eventType":"Ticket_Add","payload":{}}`, status: 200, events: []string{"Ticket_Add"}},
		{name: "orgId as a number", body: strings.Replace(ticketAdd, `"60000000001"`, `60000000001`, 1), status: 200, events: []string{"Ticket_Add"}},
		{name: "a name twice", body: `{"eventType":"Ticket_Add","payload":{"customFields":{"a":1,"a":2}}}`, status: 200, events: []string{"Ticket_Add"}},
		{name: "text that is no UTF-8", body: `{"eventType":"Ticket_Add","payload":{"subject":"` + "\xff" + `"}}`, status: 200, events: []string{"Ticket_Add"}},

		{name: "bad events do not spoil the array", body: `[1,` + ticketAdd + `,{"payload":{}},{"eventType":"Ticket_Add"},{"eventType":"Ticket_Add","payload":[]},` + foreignAdd + `,"x"]`,
			status: 200, events: []string{"Ticket_Add"}, dead: []string{ReasonForeignOrg, ReasonNoEventType, ReasonNoPayload, ReasonNotObject}},
		{name: "only bad events", body: `[1,{"payload":{}}]`, status: 200, dead: []string{ReasonNoEventType, ReasonNotObject}},
		{name: "eventType that is no text", body: `[{"eventType":{},"payload":{}}]`, status: 200, dead: []string{ReasonNoEventType}},
		{name: "event without type, but with a token", token: good, body: workflow, status: 200, dead: []string{ReasonNoEventType}},
		{name: "notification inside an array", body: "[" + workflow + "]", status: 200, dead: []string{ReasonNoEventType}},
		{name: "unreadable orgId", body: "[" + strings.Replace(ticketAdd, "60000000001", "mine", 1) + "," + ticketAdd + "]", status: 200, events: []string{"Ticket_Add"}, dead: []string{ReasonForeignOrg}},
		{name: "foreign event", body: foreignAdd, status: 403},
		{name: "foreign array", body: "[" + foreignAdd + "," + foreignAdd + "]", status: 403},

		{name: "malformed", body: `[{"eventType":`, status: 400, dead: []string{ReasonMalformed}},
		{name: "trailing garbage", body: ticketAdd + "]", status: 400, dead: []string{ReasonMalformed}},
		{name: "no JSON", body: "ticketId=5", status: 400, dead: []string{ReasonMalformed}},
		{name: "a scalar", body: "17", status: 400, dead: []string{ReasonMalformed}},
		{name: "malformed with token required and sent", mode: required, token: good, body: "[", status: 400, dead: []string{ReasonMalformed}},
		{name: "malformed with token required and missing", mode: required, body: "[", status: 401},
		{name: "too deep", body: strings.Repeat("[", 20000), status: 400, dead: []string{ReasonMalformed}},
		{name: "too large", body: `{"eventType":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413},
		{name: "too many", body: "[1" + strings.Repeat(",1", maxEvents) + "]", status: 413},

		{name: "workflow notification", body: workflow, status: 200, events: []string{"closed"}},
		{name: "workflow notification by id", body: `{"id":900100000000012345}`, status: 200, events: []string{""}},
		{name: "workflow notification where the token is ignored", mode: off, token: good, body: workflow, status: 200, events: []string{"closed"}},
		{name: "workflow notification, token required", mode: required, body: workflow, status: 401},
		{name: "workflow notification of another portal", body: `{"ticketId":"1","orgId":"60000000002"}`, status: 403},
		{name: "workflow notification without a number", body: `{"ticketId":"${ticket.id}"}`, status: 200, dead: []string{ReasonBadTicketID}},

		{name: "required and sent", mode: required, token: good, body: ticketAdd, status: 200, events: []string{"Ticket_Add"}},
		{name: "required and missing", mode: required, body: ticketAdd, status: 401},
		{name: "ignored", mode: off, token: "nonsense", body: ticketAdd, status: 200, events: []string{"Ticket_Add"}},
		{name: "nonsense before an empty body", token: "a.b.c", status: 401},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(_ *fixture, c *Config, r *Route) { c.MaxBody = 1 << 20; test.mode.of(r) })
			if test.method == "" {
				test.method = http.MethodPost
			}
			if test.path == "" {
				test.path = Path("support", secret)
			}
			w := f.send(test.method, test.path, test.token, test.body)
			if w.Code != test.status || w.Body.Len() > 0 {
				t.Errorf("status %d with %d bytes, want %d without", w.Code, w.Body.Len(), test.status)
			}
			var types []string
			events, _ := f.log.events(t)
			for _, e := range events {
				types = append(types, e.Type)
			}
			if !slices.Equal(types, test.events) {
				t.Errorf("stored %q, want %q", types, test.events)
			}
			if reasons := slices.Sorted(maps.Keys(f.dead.kept)); !slices.Equal(reasons, test.dead) {
				t.Errorf("kept %q, want %q", reasons, test.dead)
			}
		})
	}
}

func TestStoredEventIsWhatCame(t *testing.T) {
	f := start(t, nil)
	if got := f.post(goodToken().sign(t), "[ "+ticketAdd+" ]"); got != 200 {
		t.Fatal(got)
	}
	if got := f.post("", workflow); got != 200 {
		t.Fatal(got)
	}
	events, _ := f.log.events(t)
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	if e.Kind != Delivered || !e.Verified || e.OrgID != org || e.EventTime != "1789000000123" || !e.Received.Equal(now) || string(e.Raw) != ticketAdd {
		t.Errorf("got %+v", e)
	}
	if h := events[1]; h.Kind != Hint || h.Verified || h.OrgID != org || string(h.Raw) != workflow {
		t.Errorf("got %+v", h)
	}
}

func TestDeadLettersOfOneReasonAreOneBody(t *testing.T) {
	f := start(t, nil)
	if got := f.post("", `[ 1 , `+ticketAdd+`,"x"]`); got != 200 {
		t.Fatal(got)
	}
	if got := f.dead.kept[ReasonNotObject]; !slices.Equal(got, []string{`[1,"x"]`}) {
		t.Errorf("kept %q", got)
	}
	if got := testutil.ToFloat64(f.server.metrics.deadLetters.WithLabelValues("support", ReasonNotObject)); got != 2 {
		t.Errorf("counted %v dead letters", got)
	}
}

func TestMalformedBodyIsKeptInPart(t *testing.T) {
	f := start(t, nil)
	if got := f.post("", strings.Repeat("x", 2*maxMalformed)); got != 400 {
		t.Fatal(got)
	}
	if kept := f.dead.kept[ReasonMalformed]; len(kept) != 1 || len(kept[0]) != maxMalformed {
		t.Errorf("kept %d letters", len(kept))
	}
}

func TestDeadLettersFailing(t *testing.T) {
	for _, body := range []string{"[", `[1,` + ticketAdd + `]`} {
		f := start(t, func(f *fixture, _ *Config, _ *Route) { f.dead.err = errors.New("disk full") })
		if got := f.post("", body); got != 503 {
			t.Errorf("%s: status %d", body, got)
		}
		if events, _ := f.log.events(t); len(events) != 0 {
			t.Errorf("%s: %d events are stored", body, len(events))
		}
	}
}

func TestAudienceUnknown(t *testing.T) {
	other := goodToken().with("aud", "webhookId:1").sign(t)
	for name, ids := range map[string]func() []string{"no function": nil, "no ids yet": func() []string { return nil }} {
		f := start(t, func(_ *fixture, _ *Config, r *Route) { r.Proof.(*JWT).WebhookIDs = ids })
		if got := f.post(other, ticketAdd); got != 200 {
			t.Errorf("%s: status %d", name, got)
		}
	}
}

// TestUnknownWebhooksAreTold: whoever keeps the ids learns of tokens that are Zoho's and this portal's, and of no others.
func TestUnknownWebhooksAreTold(t *testing.T) {
	told := 0
	f := start(t, func(_ *fixture, _ *Config, r *Route) { r.Proof.(*JWT).Unknown = func() { told++ } })
	other := goodToken().with("aud", "webhookId:7")
	for _, c := range []struct {
		name   string
		token  string
		status int
		told   int
	}{
		{"the webhook that is known", goodToken().sign(t), 200, 0},
		{"another webhook", other.sign(t), 403, 1},
		{"another webhook of another portal", other.with("iss", "orgId:7").sign(t), 403, 0},
		{"another webhook, expired", other.with("exp", now.Unix()-100).sign(t), 401, 0},
		{"another webhook, not signed by Zoho", tokenOf{kid: "k1", alg: other.alg, key: rsaKeys()[1], claims: other.claims}.sign(t), 401, 0},
	} {
		told = 0
		if got := f.post(c.token, ticketAdd); got != c.status || told != c.told {
			t.Errorf("%s: %d, told %d times", c.name, got, told)
		}
	}
}

// TestLearnIsAskedAboutUnknownSecrets of the pipeline, and about nothing else.
func TestLearnIsAskedAboutUnknownSecrets(t *testing.T) {
	newer := Secret([]byte("another authentication code of 32"))
	var asked []string
	f := start(t, func(_ *fixture, _ *Config, r *Route) {
		r.Learn = func(secret string) bool { asked = append(asked, secret); return secret == newer }
	})
	for _, c := range []struct {
		path   string
		status int
		asked  bool
	}{
		{Path("support", secret), 200, false},
		{Path("support", newer), 200, true},
		{Path("support", strings.Repeat("a", 26)), 404, true},
		{Path("support", newer[:25]), 404, false},
		{Path("support", newer) + "/x", 404, false},
		{Path("sales", newer), 404, false},
	} {
		asked = nil
		if got := f.send(http.MethodPost, c.path, "", ticketAdd).Code; got != c.status || (len(asked) == 1) != c.asked {
			t.Errorf("%s: %d, asked about %q", c.path, got, asked)
		}
	}
}

func TestRoutesAreReplaced(t *testing.T) {
	f := start(t, nil)
	old, fresh := secret, Secret([]byte("another code, after a rotation 1"))
	second := &memoryLog{most: 1 << 20}
	routes := []Route{
		{Pipeline: "support", Secrets: only(fresh, old), OrgID: org, Log: second, DeadLetters: f.dead},
		{Pipeline: "sales", Secrets: only(fresh), OrgID: 60000000002, Log: second, DeadLetters: f.dead},
	}
	if err := f.server.SetRoutes(routes); err != nil {
		t.Fatal(err)
	}
	for _, hook := range []struct{ path, body string }{{Path("support", old), ticketAdd}, {Path("support", fresh), ticketAdd}, {Path("sales", fresh), foreignAdd}} {
		if got := f.send(http.MethodPost, hook.path, "", hook.body).Code; got != 200 {
			t.Errorf("%s: status %d", hook.path, got)
		}
	}
	if events, _ := second.events(t); len(events) != 3 {
		t.Errorf("%d events in the new log", len(events))
	}
	if err := f.server.SetRoutes(routes[1:]); err != nil {
		t.Fatal(err)
	}
	if got := f.post("", ticketAdd); got != 404 {
		t.Errorf("removed route: status %d", got)
	}
	if err := f.server.SetRoutes([]Route{routes[0], routes[0]}); err == nil {
		t.Error("a pipeline is taken twice")
	}
	if err := f.server.SetRoutes([]Route{{Pipeline: "x", OrgID: 1, Log: second, DeadLetters: f.dead}}); err == nil {
		t.Error("a route without secrets is taken")
	}
	if err := f.server.SetRoutes([]Route{{Pipeline: "x", Secrets: only(fresh), ProofRequired: true, OrgID: 1, Log: second, DeadLetters: f.dead}}); err == nil {
		t.Error("a proof is required that nobody checks")
	}
	if err := f.server.SetRoutes([]Route{{Pipeline: "x", Secrets: only("", "short"), OrgID: 1, Log: second, DeadLetters: f.dead}}); err != nil {
		t.Fatal(err)
	}
	if got := f.send(http.MethodPost, Path("x", "short"), "", ticketAdd).Code; got != 404 {
		t.Errorf("a short secret admits: status %d", got)
	}
}

func TestSecretFitsTheURL(t *testing.T) {
	if got := Secret(make([]byte, 32)); got != strings.Repeat("a", 26) || Secret([]byte(strings.Repeat("\xff", 17))) != strings.Repeat("7", 26) {
		t.Errorf("got %q", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a short code gives a secret")
		}
	}()
	Secret(make([]byte, 16))
}

func TestMetricsAndLogs(t *testing.T) {
	f := start(t, nil)
	f.post("", "["+ticketAdd+","+strings.Replace(ticketAdd, "Ticket_Add", "Invented_17", 1)+"]")
	f.post("", workflow)
	f.post("", `[{"eventType":"secret subject"}]`)
	f.post(goodToken().with("iss", "orgId:5").sign(t), ticketAdd)
	f.send(http.MethodPost, "/hooks/guess/"+secret, "", ticketAdd)
	want := `
# HELP deskhouse_intake_deliveries_total Webhook requests by pipeline and result; requests without a valid URL have no pipeline.
# TYPE deskhouse_intake_deliveries_total counter
deskhouse_intake_deliveries_total{pipeline="",result="not_found"} 1
deskhouse_intake_deliveries_total{pipeline="support",result="dead_letters"} 1
deskhouse_intake_deliveries_total{pipeline="support",result="foreign"} 1
deskhouse_intake_deliveries_total{pipeline="support",result="stored"} 2
# HELP deskhouse_intake_events_total Events stored in the log by pipeline and type; hint is a workflow notification, other an unknown type.
# TYPE deskhouse_intake_events_total counter
deskhouse_intake_events_total{pipeline="support",type="Ticket_Add"} 1
deskhouse_intake_events_total{pipeline="support",type="hint"} 1
deskhouse_intake_events_total{pipeline="support",type="other"} 1
`
	if err := testutil.GatherAndCompare(f.registry, strings.NewReader(want), "deskhouse_intake_deliveries_total", "deskhouse_intake_events_total"); err != nil {
		t.Error(err)
	}
	if got := testutil.CollectAndCount(f.server.metrics.appends); got != 1 {
		t.Errorf("%d histograms", got)
	}
	log := f.output.String()
	for _, private := range []string{secret, "Printer", "secret subject", "900100000000012345", "eyJ"} {
		if strings.Contains(log, private) {
			t.Errorf("%q is in the log: %s", private, log)
		}
	}
	if !strings.Contains(log, `"result":"foreign"`) || !strings.Contains(log, `"reason":"no_payload"`) {
		t.Errorf("refusals are not logged: %s", log)
	}
}

// TestOverHTTP uses the limits of HTTPServer on a real connection.
func TestOverHTTP(t *testing.T) {
	f := start(t, nil)
	server := httptest.NewUnstartedServer(nil)
	server.Config = HTTPServer("", f.server)
	server.Start()
	defer server.Close()
	hook := server.URL + Path("support", secret)
	for _, c := range []struct {
		header, body string
		status       int
	}{{"", ticketAdd, 200}, {strings.Repeat("x", 32<<10), ticketAdd, 431}, {"", strings.Repeat(" ", defaultMaxBody+1), 413}} {
		req, err := http.NewRequest(http.MethodPost, hook, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Filler", c.header)
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("status %d, want %d", resp.StatusCode, c.status)
		}
	}
}
