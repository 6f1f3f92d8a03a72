package desksim

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"deskhouse/source/desksim/oascheck"
)

// TestContract holds what the portal answers against Zoho's OpenAPI files, where they are.
func TestContract(t *testing.T) {
	dir, err := oascheck.Find()
	if errors.Is(err, oascheck.ErrAbsent) {
		t.Skip("NOTICE: contract test skipped:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	spec, err := oascheck.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := New(Config{Seed: 7, Tickets: 600, ArchivedTickets: 60})
	defer p.Close()
	p.Mutate(600)
	k := newClient(t, p)
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	for _, c := range contractCalls(p, hook.URL) {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			r := k.request(c.method, c.path, c.body)
			if c.status < 400 {
				if err := spec.CheckRequest(r); err != nil {
					t.Errorf("request: %v", err)
				}
			}
			status, _, body := k.send(r)
			if status != c.status {
				t.Fatalf("got %d %s, want %d", status, body, c.status)
			}
			for _, err := range spec.CheckReply(r, status, body) {
				t.Errorf("reply: %v", err)
			}
		})
	}
}

type contractCall struct {
	method, path, body string
	status             int
}

func contractCalls(p *Portal, hook string) []contractCall {
	get := func(status int, path string) contractCall { return contractCall{"GET", path, "", status} }
	id := func(k kind, seq uint32) string { return strconv.FormatUint(k.id(seq), 10) }
	dept := id(kindDepartment, 0)
	year := "2020-01-01T00:00:00.000Z,2050-01-01T00:00:00.000Z"
	_, _ = p.CreateTicket(TicketChange{})
	var calls []contractCall
	for seq := range uint32(12) {
		calls = append(calls, get(200, "tickets/"+id(kindTicket, seq)+"?include=contacts,products,departments,team,assignee,contract,isRead,skills"))
	}
	calls = append(calls,
		get(200, "tickets?departmentId="+dept+"&limit=100&from=0&sortBy=-createdTime&include=products,departments,team,assignee"),
		get(204, "tickets?departmentId="+dept+"&from=4999"),
		get(200, "tickets/search?limit=100&from=0&sortBy=createdTime&createdTimeRange="+year),
		get(200, "tickets/search?limit=100&sortBy=-modifiedTime&modifiedTimeRange="+year+"&status=${open}&departmentId="+dept),
		get(204, "tickets/search?createdTimeRange=1999-01-01T00:00:00.000Z,1999-01-01T00:00:00.000Z"),
		get(200, "tickets/archivedTickets?departmentId="+dept+"&limit=50&include=contacts,products,departments,team,assignee,isRead"),
		get(200, "ticketsCount?createdTimeRange="+year), get(200, "ticketsCount?departmentId="+dept),
		get(200, "departments?limit=200"), get(200, "departments?isEnabled=true"), get(200, "departments/"+dept), get(200, "departments/count"),
		get(200, "departmentsByIds?departmentIds="+dept),
		get(200, "products?limit=100&sortBy=-modifiedTime&include=owner"), get(200, "products/"+id(kindProduct, 1)+"?include=departments,owner"),
		get(200, "products/search?limit=100&sortBy=modifiedTime&modifiedTimeRange="+year),
		get(200, "contracts?limit=100&sortBy=-modifiedTime"), get(200, "contracts?fields=modifiedTime,createdTime&include=accounts,products,slas,owner,departments"), get(200, "contracts/"+id(kindContract, 1)),
		get(200, "contracts/count?viewId=1&departmentId="+dept),
		get(200, "organizationFields?module=tickets"), get(200, "organizationFields?module=products"), get(200, "organizationFields/"+id(kindField, 1)),
		get(200, "fields?module=tickets"), get(200, "fields/"+id(kindField, 1)),
		get(200, "organizations"), get(200, "organizations/"+strconv.FormatUint(p.OrgID(), 10)), get(200, "accessibleOrganizations"), get(200, "myinfo"),
		get(200, "recycleBin?module=tickets&sortBy=-deletedTime&limit=50&include=deletedBy,department"), get(200, "recycleBin?moduleId="+strconv.FormatUint(ModuleID("events"), 10)),
		get(404, "tickets/1"), get(422, "tickets/search?limit=101"), get(422, "recycleBin?limit=0"),
		get(204, "webhooks"),
		contractCall{"POST", "webhooks", `{"name":"deskhouse","url":"` + hook + `/a","includeEventsFrom":["AUTOMATION"],"subscriptions":{"Ticket_Add":null,"Ticket_Update":{"includePrevState":true},"Ticket_Delete":null,"Department_Add":null,"Department_Update":null}}`, 200},
		contractCall{"POST", "webhooks", `{"url":"` + hook + `/a"}`, 422},
		get(200, "webhooks"), get(200, "webhooks/"+id(kindWebhook, 0)),
		contractCall{"PATCH", "webhooks/" + id(kindWebhook, 0), `{"isEnabled":false,"subscriptions":{"Ticket_Add":{"departmentIds":["` + dept + `"]}}}`, 200},
		contractCall{"DELETE", "webhooks/" + id(kindWebhook, 0), "", 200})
	return calls
}

// TestContractCatches makes sure the check can fail: spoiled replies and requests must be found out.
func TestContractCatches(t *testing.T) {
	dir, err := oascheck.Find()
	if errors.Is(err, oascheck.ErrAbsent) {
		t.Skip("NOTICE: contract test skipped:", err)
	}
	spec, err := oascheck.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := New(Config{Seed: 7, Start: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)})
	defer p.Close()
	k := newClient(t, p)
	r := k.request("GET", "tickets/search?limit=3", "")
	_, _, body := k.send(r)
	for _, spoil := range []struct{ name, from, to string }{
		{"missing member", `"statusType":`, `"statusTypo":`}, {"extra member", `"data":[{`, `"data":[{"secret":1,`}, {"bad enum", `"statusType":"`, `"statusType":"Half-`},
		{"no Z", `.000Z"`, `.000"`}, {"bool as string", `"isSpam":false`, `"isSpam":"false"`}, {"cf as number", `"cf_on_site":`, `"cf_number":5,"cf_on_site":`},
	} {
		spoiled := strings.Replace(string(body), spoil.from, spoil.to, 1)
		if spoiled == string(body) {
			t.Fatalf("%s: nothing to spoil", spoil.name)
		}
		if len(spec.CheckReply(r, 200, []byte(spoiled))) == 0 {
			t.Errorf("%s went through", spoil.name)
		}
	}
	for _, path := range []string{"tickets/search?nope=1", "tickets/search?sortBy=nope", "tickets/search?createdTimeRange=yesterday", "nowhere", "departments?limit=201", "tickets/1?include=all"} {
		if spec.CheckRequest(k.request("GET", path, "")) == nil {
			t.Errorf("request %s went through", path)
		}
	}
}
