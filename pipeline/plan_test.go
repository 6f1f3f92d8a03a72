package pipeline

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

func (s *site) planner() *Planner {
	return &Planner{Desk: s.client, Prices: zohodesk.Prices{}, Tables: s.cfg.Tables, Modules: s.cfg.Modules, InFlight: s.client.ExpectedInFlight("ENTERPRISE")}
}

// cost runs some work and returns the calls and credits it took.
func (s *site) cost(do func()) (calls, credits int64) {
	before := s.client.Credits()
	do()
	after := s.client.Credits()
	return after.Calls - before.Calls, after.Spent - before.Spent
}

func within(t *testing.T, what string, got, want, percent int64) {
	t.Helper()
	if diff := max(got-want, want-got); diff*100 > percent*want {
		t.Errorf("%s: %d, want %d within %d %%", what, got, want, percent)
	} else {
		t.Logf("%s: %d, really %d", what, got, want)
	}
}

// A plan's calls and credits are those that the load and the resync then take.
func TestPlanForeseesTheCredits(t *testing.T) {
	for _, c := range []struct {
		name    string
		portal  desksim.Config
		percent int64
		most    int64 // calls of the plan itself
	}{
		{"3,000 tickets", desksim.Config{Seed: 1, Tickets: 3000}, 10, 20},
		{"10,000 tickets", desksim.Config{Seed: 2, Tickets: 10_000, Contracts: 5}, 10, 20},
		{"archived tickets", desksim.Config{Seed: 3, Tickets: 500, ArchivedTickets: 150}, 10, 20},
		{"many contracts and products", desksim.Config{Seed: 4, Tickets: 200, Contracts: 900, Products: 1500}, 15, 35},
		{"search is refused", desksim.Config{Seed: 5, Tickets: 700, Scopes: withoutSearch()}, 15, 45},
		{"nothing", desksim.Config{Seed: 6, Tickets: -1, Contracts: -1, Products: -1}, 20, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, c.portal)
				s.cfg.Mode = Once
				var plan Plan
				calls, credits := s.cost(func() {
					var err error
					plan, err = s.planner().Plan(t.Context())
					s.must(err)
				})
				t.Logf("the plan took %d calls and %d credits", calls, credits)
				if calls > c.most {
					t.Errorf("the plan took %d calls, want at most %d", calls, c.most)
				}
				var load, resync Cost
				for _, tp := range plan.Tables {
					if tp.Err != nil {
						t.Errorf("%s: %v", tp.Table, tp.Err)
					}
					t.Logf("%s: %+v", tp.Table, tp)
					load, resync = load.Add(tp.Load), resync.Add(tp.Resync)
				}
				calls, credits = s.cost(func() {
					s.start()
					<-s.p.Loaded()
					s.must(s.p.Settled(t.Context()))
				})
				defer s.close()
				within(t, "credits of the load", load.Credits, credits, c.percent)
				within(t, "calls of the load", load.Calls(), calls, c.percent)
				_, credits = s.cost(func() {
					for _, table := range s.cfg.Tables {
						_, err := s.p.Resync(t.Context(), table, ResyncOptions{Trigger: "test"})
						s.must(err)
					}
					s.must(s.p.Settled(t.Context()))
				})
				within(t, "credits of the resync", resync.Credits, credits, c.percent)
			})
		})
	}
}

func withoutSearch() []string {
	var scopes []string
	for _, scope := range desksim.DefaultScopes {
		if scope != "Desk.search.READ" {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// sized is a warehouse with rows of a known size.
type sized struct{ rows, bytes uint64 }

func (s sized) Sizes(context.Context, source.Table) (rows, bytes uint64, err error) {
	return s.rows, s.bytes, nil
}

// Time comes from the latency of the plan's own calls, disk from the rows that
// the warehouse holds.
func TestPlanForeseesTimeAndDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, desksim.Config{Seed: 7, Tickets: 2000})
		defer s.portal.Close()
		s.portal.Faults().Latency(func(*http.Request) time.Duration { return 200 * time.Millisecond })
		pl := s.planner()
		pl.Tables, pl.Storage = []source.Table{source.Tickets}, sized{10, 5000}
		plan, err := pl.Plan(t.Context())
		s.must(err)
		tickets := plan.Tables[0]
		if plan.PageTook != 200*time.Millisecond || plan.GetTook != 200*time.Millisecond {
			t.Errorf("a page took %s, a record %s", plan.PageTook, plan.GetTook)
		}
		want := time.Duration(tickets.Load.Pages)*plan.PageTook/time.Duration(pl.InFlight) + time.Duration(tickets.Load.Gets)*plan.GetTook/rereadParallel
		if tickets.Load.Time != want || want < 100*time.Millisecond {
			t.Errorf("load takes %s, want %s", tickets.Load.Time, want)
		}
		if tickets.Load.Bytes != 2000*500 || !tickets.Sized {
			t.Errorf("%d bytes, sized %v", tickets.Load.Bytes, tickets.Sized)
		}
		pl.Storage = sized{}
		plan, err = pl.Plan(t.Context())
		s.must(err)
		if tickets = plan.Tables[0]; tickets.Load.Bytes <= 0 || tickets.Sized {
			t.Errorf("without rows: %d bytes, sized %v", tickets.Load.Bytes, tickets.Sized)
		}
	})
}

// A table that the portal refuses does not hide the others.
func TestPlanOfARefusedTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var scopes []string
		for _, scope := range desksim.DefaultScopes {
			if scope != "Desk.contracts.READ" {
				scopes = append(scopes, scope)
			}
		}
		s := newSite(t, desksim.Config{Seed: 8, Tickets: 100, Scopes: scopes})
		defer s.portal.Close()
		plan, err := s.planner().Plan(t.Context())
		s.must(err)
		for _, tp := range plan.Tables {
			if refused := tp.Table == source.Contracts; (tp.Err != nil) != refused || refused && tp.Load.Calls() != 0 {
				t.Errorf("%s: %+v", tp.Table, tp)
			}
		}
	})
}
