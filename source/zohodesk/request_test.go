package zohodesk

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

func TestRequestShapes(t *testing.T) {
	ctx := context.Background()
	at := time.Date(2026, 9, 10, 0, 26, 40, 0, time.UTC).UnixMilli()
	const list, bin = `{"data":[]}`, `{"data":[{"id":"9","deletedTime":"2026-09-10T00:00:00.000Z"}]}`
	cases := []struct {
		name string
		call func(c *Client) error
		body string
		want string // path and decoded query, sorted by key
	}{
		{"search by created", func(c *Client) error {
			_, err := c.Search(ctx, 0, source.Tickets, source.Query{By: source.ByCreated, From: at, To: at + 1000, Limit: 100})
			return err
		}, onePage, "/api/v1/tickets/search?createdTimeRange=2026-09-10T00:26:40.000Z,2026-09-10T00:26:41.000Z&from=0&limit=100&sortBy=createdTime"},
		{"search by modified, descending, filtered", func(c *Client) error {
			_, err := c.Search(ctx, 0, source.Products, source.Query{By: source.ByModified, From: at + 999, To: at + 1, Offset: 30, Limit: 20, Desc: true, Filter: map[string]string{"departmentId": "5"}})
			return err
		}, onePage, "/api/v1/products/search?departmentId=5&from=30&limit=20&modifiedTimeRange=2026-09-10T00:26:40.000Z,2026-09-10T00:26:41.000Z&sortBy=-modifiedTime"},
		{"search by id", func(c *Client) error {
			_, err := c.Search(ctx, 0, source.Tickets, source.Query{Filter: map[string]string{"id": "7"}})
			return err
		}, onePage, "/api/v1/tickets/search?from=0&id=7&limit=100"},
		{"get", func(c *Client) error { _, _, err := c.Get(ctx, 0, source.Contracts, 77); return err }, `{"id":"77"}`, "/api/v1/contracts/77"},
		{"departments", func(c *Client) error {
			_, err := c.List(ctx, 0, source.Departments, source.ListQuery{})
			return err
		}, list, "/api/v1/departments?from=0&limit=200"},
		{"contracts", func(c *Client) error {
			_, err := c.List(ctx, 0, source.Contracts, source.ListQuery{Offset: 100, SortBy: "-modifiedTime", DepartmentID: 3})
			return err
		}, list, "/api/v1/contracts?departmentIds=3&from=100&limit=100&sortBy=-modifiedTime"},
		{"tickets", func(c *Client) error {
			_, err := c.List(ctx, 0, source.Tickets, source.ListQuery{Limit: 50, SortBy: "createdTime", DepartmentID: 3})
			return err
		}, list, "/api/v1/tickets?departmentId=3&from=0&limit=50&sortBy=createdTime"},
		{"archived", func(c *Client) error { _, err := c.Archived(ctx, 0, 3, 100, 0); return err }, list,
			"/api/v1/tickets/archivedTickets?departmentId=3&from=100&limit=100"},
		{"fields", func(c *Client) error { _, _, err := c.Fields(ctx, 0, "tickets"); return err }, list, "/api/v1/fields?module=tickets"},
		{"bin", func(c *Client) error { _, _, err := c.Bin(ctx, 0, source.Products, 0, 0); return err }, bin,
			"/api/v1/recycleBin?from=0&limit=100&module=products&sortBy=-deletedTime"},
		{"count of a department", func(c *Client) error { _, err := c.Count(ctx, 0, 3); return err }, `{"count":"12"}`, "/api/v1/ticketsCount?departmentId=3"},
		{"count of all", func(c *Client) error { _, err := c.Count(ctx, 0, 0); return err }, `{"count":12}`, "/api/v1/ticketsCount"},
		{"webhooks", func(c *Client) error { _, err := c.Webhooks(ctx); return err }, list, "/api/v1/webhooks"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			z := &scripted{api: always(200, tc.body)}
			if err := tc.call(newClient(t, z)); err != nil {
				t.Fatal(err)
			}
			r := z.sent()[0]
			got, _ := url.QueryUnescape(r.URL.RequestURI())
			if got != tc.want || r.URL.Host != "desk.zoho.eu" || r.Method != "GET" {
				t.Errorf("%s %s\n got %s\nwant %s", r.Method, r.URL.Host, got, tc.want)
			}
			if r.Header.Get("Authorization") != "Zoho-oauthtoken tok-1" || r.Header.Get("orgId") != "60000000001" {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
}

func TestOrganizationsNeedNoOrgID(t *testing.T) {
	z := &scripted{api: always(200, `{"data":[{"id":"4","companyName":"Zylker","portalName":"zylker","edition":"ENTERPRISE","isDefault":true,"isSandboxPortal":false}]}`)}
	got, err := newClient(t, z).Organizations(t.Context())
	want := Organization{ID: 4, CompanyName: "Zylker", PortalName: "zylker", Edition: "ENTERPRISE", IsDefault: true}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, sent := z.sent()[0].Header["Orgid"]; sent || z.sent()[0].Header.Get("orgId") != "" {
		t.Error("orgId was sent")
	}
}

func TestEmptyPageIs204(t *testing.T) {
	z := &scripted{api: always(204, "")}
	c := newClient(t, z)
	page, err := c.Search(t.Context(), 0, source.Tickets, source.Query{By: source.ByCreated, To: 1})
	if err != nil || page.Rows != 0 || page.Count != 0 || page.At.Date.IsZero() {
		t.Errorf("search: %+v, %v", page, err)
	}
	if page, err := c.Search(t.Context(), 0, source.Tickets, source.Query{Offset: 100}); err != nil || page.Count != -1 {
		t.Errorf("page beyond the end: %+v, %v", page, err)
	}
	if page, err := c.List(t.Context(), 0, source.Departments, source.ListQuery{}); err != nil || page.Rows != 0 {
		t.Errorf("list: %+v, %v", page, err)
	}
	if items, _, err := c.Bin(t.Context(), 0, source.Tickets, 0, 0); err != nil || len(items) != 0 {
		t.Errorf("bin: %v, %v", items, err)
	}
	if hooks, err := c.Webhooks(t.Context()); err != nil || len(hooks) != 0 {
		t.Errorf("webhooks: %v, %v", hooks, err)
	}
}

func TestBinItemsAreReadLeniently(t *testing.T) {
	z := &scripted{api: always(200, `{"data":[{"id":9,"deletedTime":"2026-09-10T00:00:00.000Z","displayName":"x"},{"id":"8","deletedTime":null},{"id":null}]}`)}
	items, _, err := newClient(t, z).Bin(t.Context(), 0, source.Tickets, 0, 0)
	if err != nil || len(items) != 2 || items[0].Key.ID != 9 || items[0].DeletedAt != 1788998400000 || items[1].Key.ID != 8 || items[1].DeletedAt != 0 {
		t.Errorf("got %+v, %v", items, err)
	}
}

func TestUnsupportedCallsAreRefusedUnsent(t *testing.T) {
	z := &scripted{api: always(200, onePage)}
	c := newClient(t, z)
	ctx := t.Context()
	_, e1 := c.Search(ctx, 0, source.Contracts, source.Query{})
	_, e2 := c.List(ctx, 0, source.OrganizationFields, source.ListQuery{})
	_, _, e3 := c.Get(ctx, 0, source.OrganizationFields, 1)
	_, _, e4 := c.Bin(ctx, 0, source.Departments, 0, 0)
	_, e5 := c.List(ctx, 0, source.Departments, source.ListQuery{DepartmentID: 1})
	for i, err := range []error{e1, e2, e3, e4, e5} {
		if !source.IsFault(err, source.FaultInvalid) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	if len(z.sent()) != 0 {
		t.Errorf("%d requests were sent", len(z.sent()))
	}
}

// narrowPortal refuses limits above most, and rows below base, like the
// portals that are known to.
func narrowPortal(most, base int, message bool) func(*http.Request) *http.Response {
	refuse := func(name string) *http.Response {
		if message {
			return answer(422, `{"errorCode":"UNPROCESSABLE_ENTITY","message":"The value passed for the '`+name+`' query parameter is invalid."}`)
		}
		return answer(422, `{"errorCode":"INVALID_DATA","message":"The data is invalid","errors":[{"fieldName":"/`+name+`","errorType":"invalid","errorMessage":""}]}`)
	}
	return func(r *http.Request) *http.Response {
		switch q := r.URL.Query(); {
		case number(q.Get("limit")) > most:
			return refuse("limit")
		case number(q.Get("from")) < base:
			return refuse("from")
		}
		return answer(200, `{"data":[]}`)
	}
}

func number(s string) int { n, _ := source.ParseInt(s); return int(n) }

func TestPageLimitsAreFoundAndRemembered(t *testing.T) {
	for _, c := range []struct {
		most, base, first, limit int
	}{{100, 0, 1, 100}, {99, 0, 2, 99}, {50, 0, 3, 50}, {50, 1, 4, 50}, {100, 1, 2, 100}} {
		for _, message := range []bool{false, true} {
			z := &scripted{api: narrowPortal(c.most, c.base, message)}
			client := newClient(t, z)
			for i, want := range []int{c.first, c.first + 1} {
				if _, err := client.List(t.Context(), 0, source.Tickets, source.ListQuery{Offset: 0}); err != nil {
					t.Fatal(err)
				}
				if len(z.sent()) != want {
					t.Errorf("limit %d base %d: %d requests after call %d, want %d", c.most, c.base, len(z.sent()), i+1, want)
				}
			}
			if got := client.ListLimit(source.Tickets); got != c.limit {
				t.Errorf("limit %d, want %d", got, c.limit)
			}
			if _, err := client.List(t.Context(), 0, source.Tickets, source.ListQuery{Offset: 200, Limit: 10}); err != nil {
				t.Fatal(err)
			}
			last := z.sent()[len(z.sent())-1].URL.Query()
			if number(last.Get("from")) != 200+c.base || last.Get("limit") != "10" {
				t.Errorf("base %d: asked %v", c.base, last)
			}
			if got := client.ListLimit(source.Tickets); got != c.limit {
				t.Errorf("a small page moved the limit to %d", got)
			}
		}
	}
}

func TestRefusedDepthIsNotTakenForALimit(t *testing.T) {
	z := &scripted{api: always(422, `{"errorCode":"UNPROCESSABLE_ENTITY","message":"The value passed for the 'from' query parameter is invalid."}`)}
	c := newClient(t, z)
	_, err := c.Search(t.Context(), 0, source.Tickets, source.Query{Offset: 1000})
	if !source.IsFault(err, source.FaultInvalid) || len(z.sent()) != 1 || c.PageLimit(source.Tickets) != 100 {
		t.Errorf("%v after %d requests, limit %d", err, len(z.sent()), c.PageLimit(source.Tickets))
	}
}

func TestUnexplainedRefusalLeavesTheLimitAlone(t *testing.T) {
	z := &scripted{api: always(422, `{"errorCode":"INVALID_DATA","message":"no"}`)}
	c := newClient(t, z)
	_, err := c.Search(t.Context(), 0, source.Tickets, source.Query{Offset: 100})
	if !source.IsFault(err, source.FaultInvalid) || len(z.sent()) != 1 {
		t.Errorf("beyond the first page: %v after %d requests", err, len(z.sent()))
	}
	_, err = c.Search(t.Context(), 0, source.Tickets, source.Query{})
	if !source.IsFault(err, source.FaultInvalid) || len(z.sent()) != 4 || c.PageLimit(source.Tickets) != 100 {
		t.Errorf("%v after %d requests, limit %d", err, len(z.sent()), c.PageLimit(source.Tickets))
	}
}

func TestFieldsFallBackAndRemember(t *testing.T) {
	const old = `{"data":[{"id":"1","apiName":"subject","displayLabel":"Subject","type":"Text","isCustomField":false},
		{"id":"2","apiName":"cf_region","displayLabel":"Region","type":"Picklist","isCustomField":true},
		{"id":"3","apiName":"cf_size","displayLabel":"Size","type":"Decimal"}]}`
	z := &scripted{api: func(r *http.Request) *http.Response {
		if strings.HasSuffix(r.URL.Path, "/fields") {
			return answer(404, `{"errorCode":"URL_NOT_FOUND","message":"x"}`)
		}
		return answer(200, old)
	}}
	c := newClient(t, z)
	for range 2 {
		page, custom, err := c.Fields(t.Context(), 0, "tickets")
		if err != nil || page.Rows != 3 || page.Records[1].Key.Name != "tickets/cf_region" {
			t.Fatalf("got %+v, %v", page, err)
		}
		want := []source.CustomField{{APIName: "cf_region", Label: "Region", Type: "Picklist"}, {APIName: "cf_size", Label: "Size", Type: "Decimal"}}
		if len(custom) != 2 || custom[0] != want[0] || custom[1] != want[1] {
			t.Errorf("custom fields %+v", custom)
		}
	}
	if len(z.sent()) != 3 || c.FieldsEndpoint("tickets") != OldFields || c.FieldsEndpoint("products") != "" {
		t.Errorf("%d requests, endpoint %q", len(z.sent()), c.FieldsEndpoint("tickets"))
	}

	z.api = inTurn(always(422, `{"errorCode":"INVALID_DATA","message":"x"}`), always(404, `{"errorCode":"URL_NOT_FOUND","message":"x"}`))
	if _, _, err := c.Fields(t.Context(), 0, "agents"); !source.IsFault(err, source.FaultInvalid) {
		t.Errorf("unknown module: %v", err)
	}
	z.api = inTurn(always(404, `{"errorCode":"URL_NOT_FOUND","message":"x"}`), always(403, `{"errorCode":"SCOPE_MISMATCH","message":"x"}`))
	if _, _, err := c.Fields(t.Context(), 0, "agents"); !source.IsFault(err, source.FaultForbidden) {
		t.Errorf("missing scope: %v", err)
	}
}

func TestZohoNowFollowsTheDateHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC) // the local clock is years behind
		z := &scripted{api: always(200, onePage, "Date", ahead.Format(http.TimeFormat))}
		c := newClient(t, z)
		if !c.ZohoNow().IsZero() {
			t.Error("a time before the first reply")
		}
		if err := searchTickets(c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Second)
		if got := c.ZohoNow(); !got.Equal(ahead.Add(90 * time.Second)) {
			t.Errorf("got %v", got)
		}
	})
}

func TestConfigMistakesAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"data centre": {func(c *Config) { c.DataCenter = "mars" }, `unknown data centre "mars"`},
		"one URL":     {func(c *Config) { c.DataCenter, c.DeskURL = "", "http://x" }, "unknown data centre"},
		"org":         {func(c *Config) { c.OrgID = 0 }, "org id"},
		"secret":      {func(c *Config) { c.ClientSecret = " " }, "client secret is empty"},
		"reserve":     {func(c *Config) { c.Reserve = 20 }, "reserve 20"},
		"negative":    {func(c *Config) { c.MaxInFlight = -1 }, "negative"},
	} {
		cfg := testConfig(http.DefaultTransport)
		c.change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := testConfig(nil)
	cfg.DataCenter, cfg.AccountsURL, cfg.DeskURL = "", "http://127.0.0.1:1/", "http://127.0.0.1:2/"
	c, err := New(cfg)
	if err != nil || c.hosts.Accounts != "http://127.0.0.1:1" || c.JWKSURL() != "http://127.0.0.1:2/.well-known/jwks.json" {
		t.Errorf("overrides: %+v, %v", c, err)
	}
}
