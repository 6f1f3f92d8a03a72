package desksim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
)

var noon = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

func newTestPortal(t *testing.T, cfg Config) (*Portal, *clockwork.FakeClock) {
	t.Helper()
	clock := clockwork.NewFakeClockAt(noon)
	cfg.Clock = clock
	p := New(cfg)
	t.Cleanup(p.Close)
	return p, clock
}

func TestRefusals(t *testing.T) {
	p, _ := newTestPortal(t, Config{ArchivedTickets: 5})
	k := newClient(t, p)
	ticket := strconv.FormatUint(kindTicket.id(7), 10)
	for _, c := range []struct {
		path   string
		status int
		code   string
	}{
		{"tickets/search?nope=1", 422, "UNPROCESSABLE_ENTITY"}, {"tickets?modifiedTimeRange=2026-01-01T00:00:00.000Z,2026-01-02T00:00:00.000Z", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets/search?limit=0", 422, "UNPROCESSABLE_ENTITY"}, {"tickets/search?limit=101", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets/search?limit=-1", 422, "UNPROCESSABLE_ENTITY"}, {"tickets/search?limit=1e1", 422, "UNPROCESSABLE_ENTITY"}, {"tickets/search?limit=", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets/search?from=1000", 422, "UNPROCESSABLE_ENTITY"}, {"tickets/search?from=999", 200, ""}, {"tickets?from=5000", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets/search?createdTimeRange=2026-01-01T00:00:00.000,2026-01-02T00:00:00.000", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets/search?createdTimeRange=2026-01-01T00:00:00.000%2B00:00,2026-01-02T00:00:00.000Z", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets/search?createdTimeRange=2026-01-02T00:00:00.000Z", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets/search?createdTimeRange=2026-01-02T00:00:00.000Z,2026-01-01T00:00:00.000Z", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets/search?createdTimeRange=1990-01-01T00:00:00.000Z,1991-01-01T00:00:00.000Z", 204, ""},
		{"tickets/search?createdTimeRange=2020-01-01T00:00:00Z,2027-01-01T00:00:00Z", 200, ""},
		{"tickets/search?sortBy=createdtime", 422, "UNPROCESSABLE_ENTITY"}, {"tickets?sortBy=modifiedTime", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets/search?limit=1&limit=2", 422, "UNPROCESSABLE_ENTITY"}, {"tickets?include=contacts,everything", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets?fields=subject,nonsense", 500, "INTERNAL_SERVER_ERROR"}, {"tickets?fields=subject,modifiedTime", 200, ""},
		{"tickets/archivedTickets", 422, "UNPROCESSABLE_ENTITY"}, {"tickets/archivedTickets?departmentId=1&viewType=3", 422, "UNPROCESSABLE_ENTITY"},
		{"tickets/archivedTickets?departmentId=1", 204, ""},
		{"tickets/" + ticket, 200, ""}, {"tickets/" + ticket + "1", 404, "URL_NOT_FOUND"}, {"tickets/1", 404, "URL_NOT_FOUND"}, {"tickets/abc", 404, "URL_NOT_FOUND"},
		{"tickets/" + ticket + "?include=owner", 422, "UNPROCESSABLE_ENTITY"}, {"nowhere", 404, "URL_NOT_FOUND"}, {"departments/" + ticket, 404, "URL_NOT_FOUND"},
		{"departments?limit=201", 422, "UNPROCESSABLE_ENTITY"}, {"departments?limit=200", 200, ""}, {"departments?sortBy=name", 422, "UNPROCESSABLE_ENTITY"}, {"departments?from=100", 204, ""},
		{"products?sortBy=-modifiedTime", 200, ""}, {"products?sortBy=owner", 422, "UNPROCESSABLE_ENTITY"}, {"products?from=999", 204, ""}, {"products/search?from=1000", 422, "UNPROCESSABLE_ENTITY"},
		{"contracts?limit=101", 422, "UNPROCESSABLE_ENTITY"}, {"contracts?from=999", 204, ""}, {"contracts/count", 422, "UNPROCESSABLE_ENTITY"},
		{"organizationFields", 422, "UNPROCESSABLE_ENTITY"}, {"organizationFields?module=timeEntry", 422, "UNPROCESSABLE_ENTITY"}, {"fields?module=timeEntry", 200, ""}, {"fields?module=agents", 200, ""},
		{"recycleBin?limit=101", 422, "UNPROCESSABLE_ENTITY"}, {"recycleBin?module=departments", 422, "UNPROCESSABLE_ENTITY"}, {"recycleBin?module=tickets", 200, ""},
	} {
		status, body := k.get(c.path)
		if status != c.status {
			t.Errorf("%s: got %d %s, want %d", c.path, status, body, c.status)
		}
		if status == http.StatusNoContent && len(body) != 0 {
			t.Errorf("%s: 204 with a body", c.path)
		}
		checkCode(t, c.path, body, c.code)
	}
}

func checkCode(t *testing.T, what string, body []byte, want string) {
	t.Helper()
	var e struct{ ErrorCode, Message string }
	if want == "" {
		return
	}
	if err := json.Unmarshal(body, &e); err != nil || e.ErrorCode != want || e.Message == "" {
		t.Errorf("%s: got body %s, want code %s", what, body, want)
	}
}

func TestEmptyBinIsAnEmptyList(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	if status, body := newClient(t, p).get("recycleBin"); status != 200 || string(body) != `{"data":[]}` {
		t.Errorf("got %d %s", status, body)
	}
}

func TestMethodNotAllowed(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	status, _, body := k.send(k.request("DELETE", "tickets", ""))
	if status != 405 {
		t.Errorf("got %d", status)
	}
	checkCode(t, "DELETE tickets", body, "METHOD_NOT_ALLOWED")
}

func TestOrgID(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	for _, c := range []struct {
		org, path string
		status    int
		code      string
	}{{"", "tickets", 422, "UNPROCESSABLE_ENTITY"}, {"7", "tickets", 403, "OAUTH_ORG_MISMATCH"}, {"seven", "tickets", 500, "INTERNAL_SERVER_ERROR"},
		{"", "organizations", 200, ""}, {"", "tickets?orgId=60000000001", 200, ""}} {
		k := newClient(t, p)
		k.org = c.org
		status, body := k.get(c.path)
		if status != c.status {
			t.Errorf("orgId %q on %s: got %d, want %d", c.org, c.path, status, c.status)
		}
		checkCode(t, c.path, body, c.code)
	}
}

func TestScopes(t *testing.T) {
	need := map[string]string{"tickets": "Desk.tickets.READ", "tickets/search": "Desk.search.READ", "departments": "Desk.basic.READ", "products": "Desk.products.READ",
		"contracts": "Desk.contracts.READ", "recycleBin": "Desk.settings.READ", "fields?module=tickets": "Desk.fields.READ", "webhooks": "Desk.events.ALL"}
	for path, scope := range need {
		without := slices.DeleteFunc(slices.Clone(DefaultScopes), func(s string) bool { return s == scope })
		p, _ := newTestPortal(t, Config{Scopes: without})
		status, body := newClient(t, p).get(path)
		if status != 403 {
			t.Errorf("%s without %s: got %d", path, scope, status)
		}
		checkCode(t, path, body, "SCOPE_MISMATCH")
	}
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	p.Faults().RefuseScope("Desk.search.READ")
	if status, _ := k.get("tickets/search"); status != 403 {
		t.Errorf("refused scope: got %d", status)
	}
	p.Faults().AllowScope("Desk.search.READ")
	if status, _ := k.get("tickets/search"); status != 200 {
		t.Errorf("allowed again: got %d", status)
	}
}

func TestTokenExpires(t *testing.T) {
	p, clock := newTestPortal(t, Config{})
	k := newClient(t, p)
	clock.Advance(time.Hour - time.Second)
	if status, _ := k.get("tickets"); status != 200 {
		t.Fatalf("before an hour: %d", status)
	}
	clock.Advance(time.Second)
	status, body := k.get("tickets")
	if status != 401 {
		t.Fatalf("after an hour: %d", status)
	}
	checkCode(t, "expired", body, "INVALID_OAUTH")
	k.token = ""
	_, body = k.get("tickets")
	checkCode(t, "no token", body, "UNAUTHORIZED")
}

func TestCreditsRunOut(t *testing.T) {
	p, clock := newTestPortal(t, Config{CreditsPerDay: 7})
	k := newClient(t, p)
	_, h, _ := k.send(k.request("GET", "tickets/search", ""))
	if h.Get("X-Rate-Limit-Remaining-v3") != "4" || h.Get("X-Rate-Limit-Request-Weight-v3") != "3" || h.Get("Date") != noon.Format(http.TimeFormat) {
		t.Errorf("headers %v", h)
	}
	k.get("tickets/search")
	k.get("departments/" + strconv.FormatUint(kindDepartment.id(0), 10))
	status, h, body := k.send(k.request("GET", "tickets/search", ""))
	if status != 429 || h.Get("Retry-After") != "43200" {
		t.Errorf("got %d Retry-After %q, want 429 and half a day", status, h.Get("Retry-After"))
	}
	checkCode(t, "spent", body, "THRESHOLD_EXCEEDED")
	clock.Advance(12 * time.Hour)
	k.token = p.AccessToken()
	if status, _ := k.get("tickets/search"); status != 200 {
		t.Errorf("next day: %d", status)
	}
	if s := p.Stats(); s.CreditsSpent != 3 || s.CreditsTotal != 10 || s.CreditsFor["tickets.search"] != 9 || s.TooMany != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestConcurrencyLimit(t *testing.T) {
	p, clock := newTestPortal(t, Config{Concurrency: 2})
	p.Faults().Latency(func(*http.Request) time.Duration { return time.Second })
	k := newClient(t, p)
	done := make(chan int, 2)
	for range 2 {
		r := k.request("GET", "tickets?limit=1", "")
		go func() {
			reply, err := p.RoundTripper().RoundTrip(r)
			if err != nil {
				done <- 0
				return
			}
			done <- reply.StatusCode
		}()
	}
	if err := clock.BlockUntilContext(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	status, body := k.get("tickets?limit=1")
	if status != 429 {
		t.Errorf("third call: %d", status)
	}
	checkCode(t, "third call", body, "TOO_MANY_REQUESTS")
	clock.Advance(time.Second)
	if a, b := <-done, <-done; a != 200 || b != 200 {
		t.Errorf("calls within the limit: %d %d", a, b)
	}
}

// The column sets of Zoho OAS Ticket.json and Search.json, newest.
const (
	listed = "id ticketNumber subject status statusType priority channel channelCode category subCategory language sentiment relationshipType email phone productId contactId " +
		"accountId assigneeId teamId departmentId layoutId createdTime closedTime dueDate responseDueDate onholdTime customerResponseTime lockedTime threadCount commentCount " +
		"isSpam isArchived lastThread source webUrl"
	gotten = "id ticketNumber subject status statusType priority channel channelCode category subCategory language sentiment email phone productId contactId accountId assigneeId " +
		"teamId departmentId layoutId createdTime closedTime dueDate responseDueDate onholdTime customerResponseTime lockedTime threadCount commentCount isSpam isArchived source webUrl " +
		"modifiedTime modifiedBy createdBy description resolution classification cf customFields entitySkills isOverDue isResponseOverdue isEscalated isDeleted isTrashed approvalCount " +
		"timeEntryCount taskCount attachmentCount tagCount followerCount isFollowing secondaryContacts sharedDepartments slaId layoutDetails channelRelatedInfo sourceTicket"
	searched = "id ticketNumber subject status statusType priority channel category subCategory language relationshipType email phone productId contactId accountId assigneeId teamId " +
		"departmentId layoutId createdTime closedTime dueDate responseDueDate onholdTime customerResponseTime threadCount commentCount isSpam isArchived lastThread webUrl modifiedTime " +
		"modifiedBy createdBy description resolution classification cf customFields slaId isOverDue isEscalated entitySkills secondaryContacts sharedDepartments contact product department " +
		"team assignee childTicketCount isRead"
)

func TestTicketColumns(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	first := func(body []byte) json.RawMessage {
		var page struct{ Data []json.RawMessage }
		if err := json.Unmarshal(body, &page); err != nil || len(page.Data) == 0 {
			t.Fatalf("no page in %s: %v", body, err)
		}
		return page.Data[0]
	}
	_, list := k.get("tickets?limit=1")
	_, search := k.get("tickets/search?limit=1")
	_, get := k.get("tickets/" + strconv.FormatUint(kindTicket.id(3), 10))
	for name, c := range map[string]struct {
		row  json.RawMessage
		want string
	}{"list": {first(list), listed}, "search": {first(search), searched}, "get": {get, gotten}} {
		var row map[string]json.RawMessage
		if err := json.Unmarshal(c.row, &row); err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(c.want)
		slices.Sort(want)
		if have := sortedKeys(row); !slices.Equal(have, want) {
			t.Errorf("%s has %v\nwant %v", name, have, want)
		}
	}
}
