package zohodesk

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
	"deskhouse/source/desksim/oascheck"
)

// simulated starts a small portal and a client of it. through, when not nil,
// stands between the two.
func simulated(t *testing.T, sim desksim.Config, through func(http.RoundTripper) http.RoundTripper, change ...func(*Config)) (*desksim.Portal, *Client) {
	t.Helper()
	sim.Deliver = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		return answer(200, ""), nil
	})
	portal := desksim.New(sim)
	t.Cleanup(portal.Close)
	rt := portal.RoundTripper()
	if through != nil {
		rt = through(rt)
	}
	return portal, newClient(t, rt, append([]func(*Config){func(cfg *Config) {
		cfg.OrgID, cfg.ClientID, cfg.ClientSecret, cfg.RefreshToken = portal.OrgID(), "1000.SIMULATEDCLIENT", "simulated-secret", "1000.simulated.refresh"
	}}, change...)...)
}

// everyCall makes each kind of call once and checks that it brought something.
func everyCall(t *testing.T, portal *desksim.Portal, c *Client) {
	t.Helper()
	ctx := t.Context()
	now := portal.Now().UnixMilli()
	for _, table := range []source.Table{source.Tickets, source.Products} {
		for _, by := range []source.TimeField{source.ByCreated, source.ByModified} {
			page, err := c.Search(ctx, source.ForSnapshot, table, source.Query{By: by, From: now - 4*365*24*3600_000, To: now, Desc: by == source.ByModified})
			if err != nil || page.Rows == 0 || len(page.Bad) != 0 || page.Count < int64(page.Rows) {
				t.Errorf("search %s by %s: %d rows, %d bad, count %d, %v", table, by, page.Rows, len(page.Bad), page.Count, err)
			}
		}
	}
	var department uint64
	for _, table := range []source.Table{source.Departments, source.Contracts, source.Products, source.Tickets} {
		page, err := c.List(ctx, source.ForPoll, table, source.ListQuery{SortBy: map[source.Table]string{
			source.Contracts: "-modifiedTime", source.Products: "createdTime", source.Tickets: "createdTime"}[table]})
		if err != nil || page.Rows == 0 {
			t.Fatalf("list %s: %d rows, %v", table, page.Rows, err)
		}
		id := page.Records[0].Key.ID
		rec, at, err := c.Get(ctx, source.ForReread, table, id)
		if err != nil || rec.Key.ID != id || at.KnownAt() == 0 {
			t.Errorf("get %s: %v at %v, %v", table, rec, at, err)
		}
		if _, _, err := c.Get(ctx, source.ForReread, table, 5); !source.IsFault(err, source.FaultNotFound) {
			t.Errorf("get of an unknown %s: %v", table, err)
		}
		if table == source.Departments {
			department = id
		}
	}
	if page, err := c.Archived(ctx, source.ForSnapshot, department, 0, 0); err != nil || page.Rows == 0 {
		t.Errorf("archived: %d rows, %v", page.Rows, err)
	}
	for _, table := range []source.Table{source.Tickets, source.Products, source.Contracts} {
		if _, _, err := c.Bin(ctx, source.ForPoll, table, 0, 0); err != nil {
			t.Errorf("bin of %s: %v", table, err)
		}
	}
	for _, module := range FieldModules() {
		page, _, err := c.Fields(ctx, source.ForPoll, module)
		if err != nil || c.FieldsEndpoint(module) == "" {
			t.Errorf("fields of %s: %d rows, %v", module, page.Rows, err)
		}
	}
	if n, err := c.Count(ctx, source.ForPoll, 0); err != nil || n == 0 {
		t.Errorf("count: %d, %v", n, err)
	}
	if _, err := c.Count(ctx, source.ForPoll, department); err != nil {
		t.Errorf("count of a department: %v", err)
	}
	orgs, err := c.Organizations(ctx)
	if err != nil || !slices.ContainsFunc(orgs, func(o Organization) bool { return o.ID == portal.OrgID() }) {
		t.Errorf("organizations: %+v, %v", orgs, err)
	}
	everyWebhookCall(t, c)
}

func everyWebhookCall(t *testing.T, c *Client) {
	t.Helper()
	ctx := t.Context()
	made, err := c.CreateWebhook(ctx, WebhookSpec{Name: "deskhouse", URL: "https://cdc.example.org/hooks/support/ABC", PrevState: true})
	if err != nil {
		t.Fatalf("create webhook: %v", err)
	}
	if _, err := c.UpdateWebhook(ctx, made.ID, WebhookSpec{Name: "deskhouse", URL: "https://cdc.example.org/hooks/support/DEF"}); err != nil {
		t.Errorf("update webhook: %v", err)
	}
	all, err := c.Webhooks(ctx)
	want := slices.Sorted(slices.Values(WebhookEvents()))
	if err != nil || len(all) != 1 || all[0].ID != made.ID || !strings.HasSuffix(all[0].URL, "/DEF") || !all[0].Enabled || !slices.Equal(all[0].Events, want) {
		t.Errorf("webhooks %+v, %v", all, err)
	}
	for range 2 {
		if err := c.DeleteWebhook(ctx, made.ID); err != nil {
			t.Errorf("delete webhook: %v", err)
		}
	}
	if all, err := c.Webhooks(ctx); err != nil || len(all) != 0 {
		t.Errorf("webhooks after the deletion: %+v, %v", all, err)
	}
}

var smallPortal = desksim.Config{Seed: 1, Tickets: 300, Departments: 2, ArchivedTickets: 40}

func TestEveryCallAgainstTheSimulator(t *testing.T) {
	for name, change := range map[string]func(*desksim.Config){
		"default":            func(*desksim.Config) {},
		"narrow, from 1":     func(c *desksim.Config) { c.ListLimit, c.ListBase = 50, 1 },
		"new fields only":    func(c *desksim.Config) { c.Fields = desksim.NewFields },
		"support plans":      func(c *desksim.Config) { c.SupportPlans = true },
		"scopes by any name": func(c *desksim.Config) { c.ScopesAnyOf = true },
	} {
		t.Run(name, func(t *testing.T) {
			sim := smallPortal
			change(&sim)
			portal, c := simulated(t, sim, nil)
			everyCall(t, portal, c)
			if spent, want := c.Credits().Spent, int64(portal.Stats().CreditsTotal); spent != want {
				t.Errorf("counted %d credits, the portal %d", spent, want)
			}
			if tokens := portal.Stats().TokenCalls; tokens != 1 {
				t.Errorf("%d token requests, want 1", tokens)
			}
		})
	}
}

// A module that only one of the two resources knows is found behind either;
// one that neither answers for is refused, not mistaken.
func TestFieldsOfAPortalWithTheOldResourceOnly(t *testing.T) {
	sim := smallPortal
	sim.Fields = desksim.OldFields
	_, c := simulated(t, sim, nil)
	page, custom, err := c.Fields(t.Context(), source.ForPoll, "tickets")
	if err != nil || page.Rows == 0 || len(custom) == 0 || c.FieldsEndpoint("tickets") != OldFields {
		t.Errorf("%d fields, %d custom, from %q, %v", page.Rows, len(custom), c.FieldsEndpoint("tickets"), err)
	}
	if _, _, err := c.Fields(t.Context(), source.ForPoll, "agents"); !source.IsFault(err, source.FaultInvalid) && !source.IsFault(err, source.FaultNotFound) {
		t.Errorf("agents, which only /fields knows: %v", err)
	}
}

// readTickets reads all tickets by department and offset with n readers.
func readTickets(t *testing.T, c *Client, portal *desksim.Portal) map[uint64]int {
	t.Helper()
	now := portal.Now().UnixMilli()
	var mu sync.Mutex
	seen := map[uint64]int{}
	var wg sync.WaitGroup
	for offset := 0; offset < 900; offset += 100 {
		wg.Go(func() {
			page, err := c.Search(t.Context(), source.ForSnapshot, source.Tickets, source.Query{By: source.ByCreated, From: 0, To: now, Offset: offset})
			if err != nil {
				t.Errorf("offset %d: %v", offset, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, r := range page.Records {
				seen[r.Key.ID]++
			}
		})
	}
	wg.Wait()
	return seen
}

// Whatever goes wrong on the way, a page is complete and right or it is an
// error.
func TestFaultyPortalIsReadWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, desksim.Config{Seed: 7, Tickets: 850, Departments: 2}, nil)
		want := readTickets(t, c, portal)
		if len(want) != 850 {
			t.Fatalf("%d tickets without faults, want 850", len(want))
		}
		for _, f := range []desksim.Fault{desksim.FaultTooMany, desksim.FaultServerError, desksim.FaultBadGateway, desksim.FaultHTML,
			desksim.FaultHTMLNotFound, desksim.FaultCutBody, desksim.FaultTimeout} {
			portal.Faults().Rate(f, 0.04)
		}
		for round := range 5 {
			if got := readTickets(t, c, portal); !maps.Equal(got, want) {
				t.Errorf("round %d: %d tickets, want %d", round, len(got), len(want))
			}
		}
		portal.Faults().Clear()
		portal.Faults().Next(desksim.FaultTokenExpired, 1)
		if got := readTickets(t, c, portal); !maps.Equal(got, want) {
			t.Errorf("after the token died: %d tickets", len(got))
		}
	})
}

func TestSimulatedDayWithoutCreditsIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, desksim.Config{Seed: 3, Tickets: 100, CreditsPerDay: 60}, nil, func(cfg *Config) { cfg.Reserve = -1 })
		start := time.Now()
		for range 30 { // 90 credits
			if err := searchTickets(c); err != nil {
				t.Fatal(err)
			}
		}
		if days := portal.Now().YearDay() - start.UTC().YearDay(); days != 1 {
			t.Errorf("the reading ended %d days later, want 1", days)
		}
		if refused := portal.Stats().TooMany; refused > 1 {
			t.Errorf("%d calls were sent in vain", refused)
		}
	})
}

func TestCallerMayGiveUpWaitingForCredits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, smallPortal, nil)
		portal.Faults().Next(desksim.FaultThreshold, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, _, err := c.Get(ctx, source.ForReread, source.Tickets, 5)
		if until, _ := c.WaitingUntil(); !errors.Is(err, context.DeadlineExceeded) || until.IsZero() {
			t.Errorf("got %v, waiting until %v", err, until)
		}
	})
}

// Every request this package can make is one that Zoho's own OpenAPI files
// describe, or a departure listed there with its reason.
func TestRequestsKeepZohosContract(t *testing.T) {
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
	checked := 0
	portal, c := simulated(t, smallPortal, func(rt http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/api/v1/") {
				checked++
				if err := spec.CheckRequest(r); err != nil {
					t.Error(err)
				}
			}
			return rt.RoundTrip(r)
		})
	})
	everyCall(t, portal, c)
	if checked < 30 {
		t.Errorf("only %d requests were checked", checked)
	}
}
