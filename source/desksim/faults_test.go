package desksim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestFaults looks at each fault in process and over a socket: both must look the same to the caller.
func TestFaults(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	server := httptest.NewServer(p.Handler())
	defer server.Close()
	for name, transport := range map[string]http.RoundTripper{"in process": p.RoundTripper(), "socket": server.Client().Transport} {
		for _, c := range []struct {
			fault  Fault
			status int
			has    string
		}{
			{FaultThreshold, 429, "THRESHOLD_EXCEEDED"}, {FaultTooMany, 429, "TOO_MANY_REQUESTS"}, {FaultServerError, 500, "INTERNAL_SERVER_ERROR"},
			{FaultBadGateway, 502, "<html>"}, {FaultHTML, 200, "<html>"}, {FaultHTMLNotFound, 404, "<html>"}, {FaultTokenExpired, 401, "INVALID_OAUTH"}, {FaultStale, 200, `"data"`},
		} {
			k := newClient(t, p)
			p.Faults().NextOn(c.fault, 1, "/api/v1/tickets")
			status, header, body, err := k.over(transport, server.URL, "tickets")
			if err != nil || status != c.status || !strings.Contains(string(body), c.has) {
				t.Errorf("%s: fault %d gave %d %s %v", name, c.fault, status, body, err)
			}
			if (header.Get("Retry-After") != "") != (c.fault == FaultThreshold) {
				t.Errorf("%s: fault %d Retry-After %q", name, c.fault, header.Get("Retry-After"))
			}
			if c.fault == FaultTokenExpired {
				k = newClient(t, p)
			}
			if status, _, _, err := k.over(transport, server.URL, "tickets"); status != 200 || err != nil {
				t.Errorf("%s: after fault %d: %d %v", name, c.fault, status, err)
			}
		}
		k := newClient(t, p)
		p.Faults().Next(FaultCutBody, 1)
		if status, _, body, err := k.over(transport, server.URL, "tickets"); status != 200 || !errors.Is(err, io.ErrUnexpectedEOF) || len(body) == 0 {
			t.Errorf("%s: cut body: %d, %d bytes, %v", name, status, len(body), err)
		}
	}
}

// over sends a GET through a transport; the error is of reading the body.
func (c *client) over(transport http.RoundTripper, base, path string) (int, http.Header, []byte, error) {
	c.t.Helper()
	r := c.request("GET", path, "")
	full, err := http.NewRequestWithContext(c.t.Context(), r.Method, base+"/api/v1/"+path, http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	full.Header = r.Header
	reply, err := transport.RoundTrip(full)
	if err != nil {
		c.t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	return reply.StatusCode, reply.Header, body, err
}

func TestTimeoutHangsUntilTheCallerGivesUp(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	p.Faults().Next(FaultTimeout, 2)
	k := newClient(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := p.RoundTripper().RoundTrip(k.request("GET", "tickets", "").WithContext(ctx))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	go func() {
		_, err := p.RoundTripper().RoundTrip(k.request("GET", "tickets", ""))
		done <- err
	}()
	p.Close()
	if err := <-done; err == nil {
		t.Error("answered although closed")
	}
}

func TestRatesHitAShareOfCalls(t *testing.T) {
	p, _ := newTestPortal(t, Config{CreditsPerDay: -1})
	k := newClient(t, p)
	p.Faults().Rate(FaultServerError, 0.3)
	bad := 0
	for range 400 {
		if status, _ := k.get("departments"); status == 500 {
			bad++
		}
	}
	if bad < 70 || bad > 170 {
		t.Errorf("%d of 400 at a rate of 0.3", bad)
	}
	p.Faults().Clear()
	if status, _ := k.get("departments"); status != 200 {
		t.Errorf("after Clear: %d", status)
	}
}

func TestStaleReplica(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	first, second := "first subject", "second subject"
	id, err := p.CreateTicket(TicketChange{Subject: &first})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpdateTicket(id, TicketChange{Subject: &second}); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("tickets/%d", id)
	p.Faults().Next(FaultStale, 1)
	_, stale := k.get(path)
	_, fresh := k.get(path)
	if !strings.Contains(string(stale), first) || !strings.Contains(string(fresh), second) {
		t.Errorf("stale %s\nfresh %s", stale, fresh)
	}
}

func TestLicenceRefusal(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	p.Faults().RefuseLicense("contracts", true)
	status, body := k.get("contracts")
	if status != 403 {
		t.Errorf("got %d", status)
	}
	checkCode(t, "contracts", body, "LICENSE_ACCESS_LIMITED")
	if status, _ := k.get("tickets"); status != 200 {
		t.Errorf("tickets: %d", status)
	}
}

func TestFieldEndpointsCanGo(t *testing.T) {
	p, _ := newTestPortal(t, Config{Fields: OldFields})
	k := newClient(t, p)
	for mode, want := range map[FieldEndpoints][2]int{OldFields: {200, 404}, NewFields: {404, 200}, BothFields: {200, 200}} {
		p.Faults().FieldEndpoints(mode)
		older, _ := k.get("organizationFields?module=tickets")
		newer, _ := k.get("fields?module=tickets")
		if got := [2]int{older, newer}; got != want {
			t.Errorf("mode %d: got %v, want %v", mode, got, want)
		}
	}
}

func TestNewCustomFieldIsNullUntilSet(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	path := fmt.Sprintf("tickets/%d", kindTicket.id(4))
	if _, err := p.AddCustomField("tickets", "cf_new", "Brand new", "Number"); err != nil {
		t.Fatal(err)
	}
	if _, body := k.get(path); !strings.Contains(string(body), `"cf_new":null`) || !strings.Contains(string(body), `"Brand new":null`) {
		t.Errorf("before: %s", body)
	}
	value := "12"
	if _, err := p.UpdateTicket(kindTicket.id(4), TicketChange{CF: map[string]*string{"cf_new": &value}}); err != nil {
		t.Fatal(err)
	}
	if _, body := k.get(path); !strings.Contains(string(body), `"cf_new":"12"`) || !strings.Contains(string(body), `"Brand new":"12"`) {
		t.Errorf("after: %s", body)
	}
}

func TestMergedTicket(t *testing.T) {
	for _, answers := range []bool{false, true} {
		p, _ := newTestPortal(t, Config{MergedAnswers: answers})
		kept, gone, err := p.MergeTickets(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		status, body := newClient(t, p).get(fmt.Sprintf("tickets/%d", gone))
		if answers && (status != 200 || !strings.Contains(string(body), fmt.Sprintf(`"id":"%d"`, kept))) || !answers && status != 404 {
			t.Errorf("answers %v: %d %s", answers, status, body)
		}
	}
}

// FuzzQuery: whatever the query, the portal answers in its own shape and does not fall over.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"limit=100", "createdTimeRange=2020-01-01T00:00:00.000Z,2027-01-01T00:00:00.000Z", "status=${open}", "from=-1", "%zz", "customField1=cf_region:North", "_all=x&sortBy=-relevance"} {
		f.Add(seed)
	}
	p := New(Config{Tickets: 30, CreditsPerDay: -1})
	f.Cleanup(p.Close)
	f.Fuzz(func(t *testing.T, query string) {
		k := newClient(t, p)
		r := k.request("GET", "tickets/search", "")
		r.URL.RawQuery = query
		switch status, _, body := k.send(r); status {
		case 200, 204:
		case 400, 422:
			if !strings.HasPrefix(string(body), `{"errorCode":"`) {
				t.Errorf("%q: %d %s", query, status, body)
			}
		default:
			t.Errorf("%q: %d %s", query, status, body)
		}
	})
}

// FuzzWebhookBody: any body is accepted or refused, never a failure of the server.
func FuzzWebhookBody(f *testing.F) {
	f.Add(`{"url":"https://a.example.org","subscriptions":{"Ticket_Update":{"fields":["a"]}}}`)
	f.Add(`{"subscriptions":[]}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		p := New(Config{Tickets: 1, Deliver: newListener()})
		defer p.Close()
		k := newClient(t, p)
		r := k.request("POST", "webhooks", "x")
		r.Body = io.NopCloser(strings.NewReader(body))
		if status, _, reply := k.send(r); status != 200 && status != 422 {
			t.Errorf("%q: %d %s", body, status, reply)
		}
	})
}
