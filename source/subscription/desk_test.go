package subscription

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/source"
	"deskhouse/source/desksim"
	"deskhouse/source/webhook"
	"deskhouse/source/zohodesk"
)

// deskSite is a site of a simulated portal, whose deliveries and validations go over HTTP.
type deskSite struct {
	*site
	portal *desksim.Portal
	client *zohodesk.Client
	calls  []string // method and path of calls about webhooks
}

func (d *deskSite) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, what, ok := strings.Cut(r.URL.Path, "/api/v1/"); ok {
		d.calls = append(d.calls, r.Method+" "+strings.TrimRight(what, "0123456789"))
	}
	return d.portal.RoundTripper().RoundTrip(r)
}

func newDeskSite(t *testing.T, sim desksim.Config) *deskSite {
	t.Helper()
	d := &deskSite{site: newSite(t)}
	sim.Seed, sim.Tickets, sim.Clock = 3, 20, d.clock
	d.portal = desksim.New(sim)
	t.Cleanup(d.portal.Close)
	var err error
	d.client, err = zohodesk.New(zohodesk.Config{Name: "main", AccountsURL: "https://accounts.sim", DeskURL: "https://desk.sim", OrgID: d.portal.OrgID(),
		ClientID: "1000.SIMULATEDCLIENT", ClientSecret: "simulated-secret", RefreshToken: "1000.simulated.refresh", Transport: d, Clock: d.clock, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	d.kind = Desk{d.client}
	keys := webhook.NewKeys("https://desk.sim/.well-known/jwks.json", d.portal.RoundTripper(), d.clock)
	d.proof = func(*Keeper) webhook.Proof {
		return &webhook.JWT{OrgID: org, WebhookIDs: func() []string { return d.now().IDs() }, Unknown: func() { d.now().Doubt() }, Keys: keys, Clock: d.clock}
	}
	d.open()
	return d
}

// held is what the portal holds, over the API.
func (d *deskSite) held() []zohodesk.Webhook {
	d.t.Helper()
	hooks, err := d.client.Webhooks(d.t.Context())
	d.must(err)
	return hooks
}

// hears wants a change at the portal to arrive as a proven event.
func (d *deskSite) hears() {
	d.t.Helper()
	before := len(d.log.stored())
	d.clock.Advance(time.Second)
	if _, err := d.portal.UpdateTicket(0, desksim.TicketChange{}); err != nil {
		d.t.Fatal(err)
	}
	d.must(d.portal.Flush(d.t.Context()))
	got := d.log.stored()[before:]
	if !slices.Contains(got, "Ticket_Update") || !d.log.events[len(d.log.events)-1].Verified {
		d.t.Errorf("a change at the portal brought %q", got)
	}
}

// wantHook wants one webhook as it should be, and returns its id.
func (d *deskSite) wantHook(generation int) uint64 {
	d.t.Helper()
	hooks := d.held()
	if len(hooks) != 1 {
		d.t.Fatalf("%d webhooks at Zoho", len(hooks))
	}
	h := hooks[0]
	if h.URL != d.url(secretOf(generation)) || !h.Enabled || !h.Automation || strings.Join(h.PrevState, " ") != "Department_Update Ticket_Update" ||
		len(h.Events) != 5 || len(h.Narrowed) != 0 || h.Name != "deskhouse support" {
		d.t.Errorf("held with generation %d: %+v", d.keeper.generationAt(h.URL), h)
	}
	if ids := d.keeper.IDs(); !slices.Equal(ids, []string{fmt.Sprint(h.ID)}) {
		d.t.Errorf("known ids %q, at Zoho %d", ids, h.ID)
	}
	return h.ID
}

func (d *deskSite) wantGaps(n int) {
	d.t.Helper()
	if len(d.gaps) != n {
		d.t.Errorf("gaps %+v, want %d", d.gaps, n)
	}
}

func TestRegisterLooksOnceAndTheHookDelivers(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.once()
	if len(d.held()) != 0 || d.store.saves != 0 {
		t.Error("something was registered that nobody asked for")
	}
	d.calls = nil
	d.must(d.keeper.Register(t.Context()))
	if !slices.Equal(d.calls, []string{"GET webhooks", "POST webhooks"}) {
		t.Errorf("calls %q", d.calls)
	}
	id := d.wantHook(1)
	d.hears()
	d.must(d.keeper.Register(t.Context()))
	d.open() // a restart
	d.after(CheckEvery)
	if d.wantHook(1) != id {
		t.Error("registering twice made another webhook")
	}
	d.wantGaps(0)
	for _, item := range d.keeper.Current().Events {
		if !item.OK || item.Code != "subscribed" {
			t.Errorf("item %+v", item)
		}
	}
}

// TestDeliveriesInEitherUnit: tokens whose times are seconds or milliseconds, over a rotation of Zoho's signing key.
func TestDeliveriesInEitherUnit(t *testing.T) {
	for _, millis := range []bool{false, true} {
		d := newDeskSite(t, desksim.Config{TokenMillis: millis})
		d.must(d.keeper.Register(t.Context()))
		d.hears()
		d.portal.RotateSigningKey()
		d.clock.Advance(time.Minute)
		d.hears()
	}
}

// TestRepairs: whatever somebody does to the webhook at Zoho is undone at the next look, and the gap told where events were
// missed.
func TestRepairs(t *testing.T) {
	const all = `"Ticket_Add":null,"Ticket_Update":{"includePrevState":true},"Ticket_Delete":null,"Department_Add":null,"Department_Update":{"includePrevState":true}`
	for _, c := range []struct {
		name, patch string
		gap         string // "": none
	}{
		{"switched off", `{"isEnabled":false,"subscriptions":{` + all + `}}`, "it was switched off"},
		{"another URL", `{"url":"http://elsewhere.example.org/x","subscriptions":{` + all + `}}`, "its URL was another one"},
		{"another secret", `{"url":"HOST/hooks/support/` + strings.Repeat("a", 26) + `","subscriptions":{` + all + `}}`, "its URL was another one"},
		{"an event less", `{"subscriptions":{` + strings.Replace(all, `"Ticket_Delete":null,`, "", 1) + `}}`, "Ticket_Delete is missing"},
		{"an event narrowed", `{"subscriptions":{` + strings.Replace(all, `{"includePrevState":true}`, `{"includePrevState":true,"fields":["status"]}`, 1) + `}}`, "Ticket_Update is narrowed"},
		{"without automation", `{"includeEventsFrom":[],"subscriptions":{` + all + `}}`, "events of automation are left out"},
		{"without the state before", `{"subscriptions":{` + strings.Replace(all, `{"includePrevState":true}`, "null", 1) + `}}`, ""},
		{"an event more", `{"subscriptions":{"Contact_Add":null,` + all + `}}`, ""},
		{"deleted", "", "it was gone at the sender"},
		{"another name", `{"name":"renamed","subscriptions":{` + all + `}}`, "kept"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDeskSite(t, desksim.Config{Deliver: anywhere{}})
			d.must(d.keeper.Register(t.Context()))
			id := d.wantHook(1)
			if c.patch == "" {
				d.portal.RemoveWebhook(id)
			} else {
				d.patch(id, strings.ReplaceAll(c.patch, "HOST", d.host))
			}
			d.after(CheckEvery)
			if c.gap == "kept" { // a name is nobody's business
				d.wantGaps(0)
				return
			}
			d.wantHook(1)
			d.hears()
			if c.gap == "" {
				d.wantGaps(0)
				return
			}
			d.wantGaps(1)
			if g := d.gaps[0]; g.Why != c.gap || !g.From.Equal(now) || !g.To.Equal(now.Add(CheckEvery)) {
				t.Errorf("gap %+v", g)
			}
		})
	}
}

// anywhere answers for hosts that are not here.
type anywhere struct{}

func (anywhere) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.URL.Host, "127.0.0.1") || strings.Contains(r.URL.Path, "/"+strings.Repeat("a", 26)) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
	}
	return http.DefaultTransport.RoundTrip(r)
}

// patch changes a webhook behind our back.
func (d *deskSite) patch(id uint64, body string) {
	d.t.Helper()
	token := d.accessToken()
	req, err := http.NewRequest(http.MethodPatch, fmt.Sprintf("https://desk.sim/api/v1/webhooks/%d", id), strings.NewReader(body))
	d.must(err)
	req.Header.Set("Authorization", "Zoho-oauthtoken "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("orgId", fmt.Sprint(d.portal.OrgID()))
	resp, err := d.portal.RoundTripper().RoundTrip(req)
	d.must(err)
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		d.t.Fatalf("patch: %d %s", resp.StatusCode, said)
	}
}

func (d *deskSite) accessToken() string {
	d.t.Helper()
	form := "grant_type=refresh_token&client_id=1000.SIMULATEDCLIENT&client_secret=simulated-secret&refresh_token=1000.simulated.refresh"
	req, err := http.NewRequest(http.MethodPost, "https://accounts.sim/oauth/v2/token", strings.NewReader(form))
	d.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := d.portal.RoundTripper().RoundTrip(req)
	d.must(err)
	body, err := io.ReadAll(resp.Body)
	d.must(err)
	_, rest, _ := strings.Cut(string(body), `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	return token
}

// TestUnknownOutcome: the webhook was made, but the answer was cut. It is found, not made twice.
func TestUnknownOutcome(t *testing.T) {
	for _, fault := range []desksim.Fault{desksim.FaultCutBody, desksim.FaultBadGateway} {
		d := newDeskSite(t, desksim.Config{})
		d.once()
		d.must(d.client.DeleteWebhook(t.Context(), 5)) // the token is there: the next call is about webhooks
		var before bool
		d.kind = beforeRegister{d.kind, func() {
			if !before {
				d.portal.Faults().NextOn(fault, 1, "/api/v1/webhooks")
			}
			before = true
		}}
		d.open()
		err := d.keeper.Register(t.Context())
		if made := fault == desksim.FaultCutBody; made != (err == nil) {
			t.Errorf("fault %d: %v", fault, err)
		}
		d.after(CheckEvery)
		d.wantHook(1)
		d.hears()
	}
}

type beforeRegister struct {
	Kind
	do func()
}

func (b beforeRegister) Register(ctx context.Context, w Want) (Held, error) {
	b.do()
	return b.Kind.Register(ctx, w)
}

// TestRefusedIsToldOnceAndTriedAgain: a scope that is missing, an edition without webhooks, a quota that is used up.
func TestRefusedIsToldOnceAndTriedAgain(t *testing.T) {
	for _, c := range []struct {
		name       string
		sim        desksim.Config
		spoil, end func(*desksim.Portal)
		want       string
	}{
		{"scope", desksim.Config{}, func(p *desksim.Portal) { p.Faults().RefuseScope("Desk.events.CREATE") }, func(p *desksim.Portal) { p.Faults().AllowScope("Desk.events.CREATE") }, "SCOPE_MISMATCH"},
		{"scope to list", desksim.Config{}, func(p *desksim.Portal) { p.Faults().RefuseScope("Desk.events.READ") }, func(p *desksim.Portal) { p.Faults().AllowScope("Desk.events.READ") }, "SCOPE_MISMATCH"},
		{"licence", desksim.Config{}, func(p *desksim.Portal) { p.Faults().RefuseLicense("webhooks", true) }, func(p *desksim.Portal) { p.Faults().RefuseLicense("webhooks", false) }, "LICENSE_ACCESS_LIMITED"},
		{"edition", desksim.Config{Edition: desksim.Standard}, nil, nil, "LICENSE_ACCESS_LIMITED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDeskSite(t, c.sim)
			if c.spoil != nil {
				c.spoil(d.portal)
			}
			err := d.keeper.Register(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secretOf(1)) {
				t.Fatalf("register: %v", err)
			}
			for range 3 {
				if pause := d.keeper.pause(); pause != CheckEvery {
					t.Errorf("tried again after %s", pause)
				}
				d.clock.Advance(CheckEvery)
				if err := d.keeper.Once(t.Context()); err == nil {
					t.Error("registered all the same")
				}
			}
			if n := d.said.count("not as it should be"); n != 1 {
				t.Errorf("told %d times", n)
			}
			if p := d.keeper.Problem(); p == nil || !p.Since.Equal(now) {
				t.Errorf("problem %+v", p)
			}
			if c.end == nil {
				return
			}
			c.end(d.portal)
			d.after(CheckEvery)
			d.wantHook(1)
			if d.said.count("all right again") != 1 || d.keeper.Problem() != nil {
				t.Error("the end of the problem is not told")
			}
		})
	}
}

// TestQuota: the portal has as many webhooks as it may.
func TestQuota(t *testing.T) {
	d := newDeskSite(t, desksim.Config{Edition: desksim.Professional, Deliver: anywhere{}})
	for range 5 {
		_, err := d.client.CreateWebhook(t.Context(), zohodesk.WebhookSpec{URL: "https://other.example.org/hook"})
		d.must(err)
	}
	if err := d.keeper.Register(t.Context()); !source.IsFault(err, source.FaultForbidden) || !strings.Contains(err.Error(), "Professional 5") {
		t.Fatalf("register: %v", err)
	}
	d.portal.RemoveWebhook(d.portal.Webhooks()[0])
	d.after(CheckEvery)
	if ids := d.keeper.IDs(); len(ids) != 1 || len(d.held()) != 5 {
		t.Errorf("ids %q, %d webhooks", ids, len(d.held()))
	}
}

// TestUnreachableURL: Zoho's validation is not answered.
func TestUnreachableURL(t *testing.T) {
	d := newDeskSite(t, desksim.Config{Deliver: deaf{}})
	err := d.keeper.Register(t.Context())
	if !source.IsFault(err, source.FaultInvalid) || !strings.Contains(err.Error(), "reachable from the internet") || strings.Contains(err.Error(), secretOf(1)) {
		t.Errorf("register: %v", err)
	}
}

type deaf struct{}

func (deaf) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

// TestStateLost: whatever generation Zoho delivers to is found by its URL, and kept.
func TestStateLost(t *testing.T) {
	for _, generation := range []int{1, 2, 50} {
		d := newDeskSite(t, desksim.Config{})
		s := Subscription{Kind: DeskKind, Pipeline: "support", Generation: generation}
		raw, err := encode(s)
		d.must(err)
		d.store.values[Key("support")] = raw
		d.open()
		d.must(d.keeper.Register(t.Context()))
		id := d.wantHook(generation)
		d.store = newStore()
		d.open()
		d.once()
		if d.wantHook(generation) != id || !d.keeper.Current().Wanted {
			t.Errorf("generation %d: %+v", generation, d.keeper.Current())
		}
		d.hears()
		d.must(d.keeper.Rotate(t.Context()))
		d.wantHook(generation + 1)
	}
}
