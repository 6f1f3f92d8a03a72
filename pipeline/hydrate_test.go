package pipeline

import (
	"context"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

func TestHydrateAllBringsEveryDetail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, desksim.Config{Seed: 1, Tickets: 500, Products: 60})
		for _, table := range s.cfg.Tables {
			s.cfg.Hydrate[table] = HydrateAll
		}
		s.start()
		defer s.close()
		<-s.p.Loaded()
		if n := s.missing(source.Tickets); n < 490 {
			t.Fatalf("only %d details are missing after the load: nothing to test", n)
		}
		time.Sleep(hydrateEvery)
		for _, table := range s.cfg.Tables[1:] {
			if n := s.missing(table); n > 0 {
				t.Errorf("%s: the detail of %d rows differs from the portal's", table, n)
			}
		}
		if n := s.spent(source.ForHydration); n > 560 {
			t.Errorf("%d credits for 560 rows", n)
		}
		if pr := s.progress(source.Tickets); pr.Unhydrated != 0 || !pr.HydratedBy.IsZero() {
			t.Errorf("%d rows are said to be left until %v", pr.Unhydrated, pr.HydratedBy)
		}
		before := s.spent(source.ForHydration)
		time.Sleep(72 * time.Hour)
		// The 5 departments alone are read again, once a day: nothing tells whether
		// they changed.
		if n := s.spent(source.ForHydration) - before; n < 10 || n > 15 {
			t.Errorf("three days of a quiet portal cost %d credits for hydration, want 10 to 15", n)
		}
	})
}

func TestHydrateChangedReadsOnlyWhatChangedSinceTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, desksim.Config{Seed: 2, Tickets: 500})
		for _, table := range s.cfg.Tables {
			s.cfg.Hydrate[table] = HydrateChanged
		}
		s.start()
		defer s.close()
		<-s.p.Loaded()
		time.Sleep(time.Hour)
		if n := s.spent(source.ForHydration); n != 0 {
			t.Errorf("%d credits for a portal that did not change", n)
		}
		changed := map[uint64]bool{}
		for len(changed) < 20 {
			id, err := s.portal.UpdateTicket(0, desksim.TicketChange{})
			s.must(err)
			changed[id] = true
		}
		time.Sleep(time.Hour)
		if n := s.spent(source.ForHydration); n != 20 {
			t.Errorf("%d credits for 20 changed tickets", n)
		}
		_, details := s.held(source.Tickets)
		for id := range changed {
			if _, ok := details[source.Key{ID: id}]; !ok {
				t.Errorf("ticket %d changed and has no detail", id)
			}
		}
	})
}

// Each day costs its share and no more, a process that is killed in the middle
// goes on where it stood, no row is read twice, and people are told until when
// it takes.
func TestHydrationTakesDaysByItsBudgetAndSurvivesKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, desksim.Config{Seed: 3, Tickets: 900, CreditsPerDay: 1000})
		s.cfg.Tables = []source.Table{source.Tickets}
		s.cfg.Polls[source.Tickets] = time.Hour
		s.cfg.Hydrate[source.Tickets] = HydrateAll
		s.start()
		defer func() { s.close() }()
		<-s.p.Loaded()
		begun := time.Now().UTC().Truncate(24 * time.Hour)
		share := 0
		for day := range 3 {
			time.Sleep(6 * time.Hour)
			s.stop()
			s.start()
			time.Sleep(17 * time.Hour)
			now := s.spent(source.ForHydration)
			if n := now - share; n < 195 || n > 200 {
				t.Errorf("day %d: %d credits for hydration, want the 200 of its share", day+1, n)
			}
			share = now
			left := s.missing(source.Tickets)
			pr := s.progress(source.Tickets)
			if int(pr.Unhydrated) < left || int(pr.Unhydrated) > left+hydrateBatch {
				t.Errorf("day %d: %d rows are said to be left, %d are", day+1, pr.Unhydrated, left)
			}
			if want := begun.Add(6 * 24 * time.Hour); pr.HydratedBy.Before(want.Add(-48*time.Hour)) || pr.HydratedBy.After(want.Add(24*time.Hour)) {
				t.Errorf("day %d: said to be done by %v, want about %v", day+1, pr.HydratedBy, want)
			}
			time.Sleep(time.Hour)
		}
		if refused := s.portal.Stats().TooMany; refused != 0 {
			t.Errorf("%d calls were refused: the portal ran out of credits", refused)
		}
		if n := s.olderFirst(source.Tickets); n > hydrateBatch {
			t.Errorf("%d rows without detail are newer than one that has it", n)
		}
		time.Sleep(3 * 24 * time.Hour)
		if n := s.missing(source.Tickets); n != 0 {
			t.Errorf("%d rows still have no detail", n)
		}
		if n := s.spent(source.ForHydration); n > 900+3*hydrateParallel {
			t.Errorf("%d credits for 900 rows: some were read twice", n)
		}
	})
}

// olderFirst counts rows without detail that are newer than one that has it.
func (s *site) olderFirst(t source.Table) (n int) {
	rows, details := s.held(t)
	oldest := int64(math.MaxInt64)
	for k := range details {
		oldest = min(oldest, rows[k].Modified)
	}
	for k, st := range rows {
		if _, ok := details[k]; !ok && st.Modified > oldest {
			n++
		}
	}
	return n
}

// A webhook's payload is as whole as a GET: nothing is left to hydrate.
func TestWholePayloadNeedsNoHydration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, desksim.Config{Seed: 4, Tickets: 120})
		s.cfg.Hydrate[source.Tickets] = HydrateChanged
		s.log = newMemLog()
		s.start()
		defer s.close()
		<-s.p.Loaded()
		time.Sleep(time.Hour)
		for range 2 { // the second brings the same detail at a later time
			for truth := range s.portal.Truth("tickets") {
				if truth.State == desksim.Live {
					appendEvents(t, s.log, ticketEvent("Ticket_Update", time.Now().UnixMilli(), string(truth.Get)))
				}
			}
			time.Sleep(3 * hydrateEvery)
		}
		if n := s.missing(source.Tickets); n != 0 {
			t.Errorf("the payloads left %d rows without detail", n)
		}
		if n := s.spent(source.ForHydration); n != 0 {
			t.Errorf("%d credits for rows whose detail came with the event", n)
		}
	})
}

func TestHydrationWaitsForEveryLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, desksim.Config{Seed: 5, Tickets: 120})
		s.cfg.Hydrate[source.Tickets] = HydrateAll
		s.portal.Faults().Latency(func(r *http.Request) time.Duration {
			if strings.Contains(r.URL.Path, "/contracts/") {
				return 50 * time.Second
			}
			return 0
		})
		s.start()
		defer s.close()
		<-s.p.tables[source.Tickets].loaded
		time.Sleep(time.Minute)
		select {
		case <-s.p.Loaded():
			t.Fatal("all is loaded already: nothing to test")
		default:
		}
		if n := s.spent(source.ForHydration); n != 0 {
			t.Errorf("%d rows were hydrated while contracts were loading", n)
		}
		<-s.p.Loaded()
		time.Sleep(hydrateEvery)
		if n := s.spent(source.ForHydration); n != 120 {
			t.Errorf("%d rows were hydrated after the load, want 120", n)
		}
	})
}

// Rows that cannot be had neither stop the others nor are asked for again and
// again.
func TestRowsThatCannotBeHydratedDoNotSpin(t *testing.T) {
	cases := []struct {
		name    string
		answer  func(rec *source.Record) (*source.Record, error)
		perDay  int // calls a row and day at most
		rereads bool
	}{
		{"not found", func(*source.Record) (*source.Record, error) { return nil, notFound }, 1, true},
		{"not visible", func(*source.Record) (*source.Record, error) { return nil, forbidden }, 1, false},
		{"unreadable", func(*source.Record) (*source.Record, error) {
			return nil, &source.CallError{Fault: source.FaultBadReply, Op: "GET", Status: 200}
		}, 1, false},
		{"server fault", func(*source.Record) (*source.Record, error) { return nil, busy }, 25, false},
		{"another record", func(*source.Record) (*source.Record, error) { return ticket(t, 999, "other", 5000), nil }, 1, true},
		{"older than what is held", func(*source.Record) (*source.Record, error) { return ticket(t, 1, "old", 1), nil }, 150, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				calls := map[uint64]int{}
				desk := &fakeDesk{get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
					mu.Lock()
					calls[id]++
					mu.Unlock()
					if id != 1 {
						return ticket(t, id, "fine", 2000), timing(), nil
					}
					rec, err := c.answer(nil)
					return rec, timing(), err
				}}
				r := newRig(t, desk, nil, nil)
				for id := range uint64(3) {
					r.mem.hold(source.Tickets, source.Key{ID: id + 1}, content(ticket(t, id+1, "held", 2000)))
				}
				w := newWriter(source.Tickets, r.deps)
				h := &hydrator{deps: r.deps, w: w, mode: HydrateAll, tried: map[source.Key]attempt{}}
				stop := spawn(w.run)
				defer stop()
				for range 24 * 6 {
					if err := h.round(t.Context()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(hydrateEvery)
				}
				if calls[1] < 1 || calls[1] > c.perDay {
					t.Errorf("the row was asked for %d times in a day, want 1 to %d", calls[1], c.perDay)
				}
				if calls[2] != 1 || calls[3] != 1 {
					t.Errorf("the others were asked for %d and %d times, want once each", calls[2], calls[3])
				}
				if queued := r.rereads.pending() > 0; queued != c.rereads {
					t.Errorf("re-read queued: %v, want %v", queued, c.rereads)
				}
			})
		})
	}
}

// A row that changes while it rests is read at once.
func TestNewContentEndsARowsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		desk := &fakeDesk{get: func(context.Context, source.Table, uint64) (*source.Record, source.Timing, error) {
			calls++
			return nil, timing(), forbidden
		}}
		r := newRig(t, desk, nil, nil)
		h := &hydrator{deps: r.deps, w: newWriter(source.Tickets, r.deps), mode: HydrateAll, tried: map[source.Key]attempt{}}
		for i := range int64(3) {
			r.mem.hold(source.Tickets, source.Key{ID: 1}, content(ticket(t, 1, "held", time.Now().UnixMilli()+i)))
			for range 2 {
				if err := h.round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if calls != int(i)+1 {
				t.Errorf("%d calls after %d changes, want one each", calls, i+1)
			}
		}
	})
}

// lookedAt notes how far back each look goes.
type lookedAt struct {
	*memWarehouse
	since []time.Time
}

func (l *lookedAt) Unhydrated(ctx context.Context, t source.Table, since time.Time, limit int) ([]source.Key, error) {
	l.since = append(l.since, since)
	return l.memWarehouse.Unhydrated(ctx, t, since, limit)
}

// Looking at a whole table of millions takes seconds: once nothing is left, it
// is done once a day, and finds what came with an old as_of.
func TestHydratedTableIsLookedAtBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := &fakeDesk{get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
			return ticket(t, id, "fine", 2000), timing(), nil
		}}
		r := newRig(t, desk, nil, nil)
		wh := &lookedAt{memWarehouse: r.mem}
		r.deps.wh = wh
		w := newWriter(source.Tickets, r.deps)
		h := &hydrator{deps: r.deps, w: w, mode: HydrateAll, tried: map[source.Key]attempt{}}
		stop := spawn(w.run)
		defer stop()
		old := func(id uint64) {
			r.mem.hold(source.Tickets, source.Key{ID: id}, content(ticket(t, id, "held", 2000)))
		}
		hydrated := func(id uint64) bool {
			_, ok := r.mem.sides[source.Tickets][source.Detail][source.Key{ID: id}]
			return ok
		}
		round := func() {
			t.Helper()
			if err := h.round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		old(1)
		round()
		if !hydrated(1) {
			t.Fatal("nothing was hydrated")
		}
		old(2)
		wh.since = nil
		for range 24*6 - 1 {
			time.Sleep(hydrateEvery)
			round()
			if want := time.Now().Add(-hydrateRecent); wh.since[len(wh.since)-1].Before(want) {
				t.Fatalf("looked back to %v, want %v at most", wh.since[len(wh.since)-1], want)
			}
		}
		time.Sleep(hydrateEvery)
		round()
		if !hydrated(2) {
			t.Error("a row with an old as_of is not found within a day")
		}
	})
}

type purse struct {
	today, perDay int64
	resetAt       time.Time
}

func (p purse) PollPause() time.Duration                   { return 0 }
func (p purse) HydrationBudget() (int64, int64, time.Time) { return p.today, p.perDay, p.resetAt }

func TestHydratedBy(t *testing.T) {
	midnight := time.Date(2026, 9, 11, 0, 0, 0, 0, time.UTC)
	cases := []struct {
		name                string
		left, today, perDay int64
		want                time.Time
	}{
		{"nothing left", 0, 100, 100, time.Time{}},
		{"today", 100, 100, 100, midnight},
		{"tomorrow", 101, 100, 100, midnight.AddDate(0, 0, 1)},
		{"nothing left of today", 300, 0, 100, midnight.AddDate(0, 0, 3)},
		{"a million", 1_000_000, 20_000, 22_000, midnight.AddDate(0, 0, 45)},
		{"no credits at all", 10, 0, 0, time.Time{}},
	}
	for _, c := range cases {
		if got := hydratedBy(c.left, purse{c.today, c.perDay, midnight}); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := hydratedBy(10, nil); !got.IsZero() {
		t.Errorf("without a purse %v", got)
	}
}

// Polls a second apart would cost 8 times what a small portal has in all.
func TestPollsCostAtMostATwentiethOfTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, desksim.Config{Seed: 6, Tickets: 50, CreditsPerDay: 10_000})
		s.cfg.Tables = []source.Table{source.Tickets}
		s.cfg.Polls[source.Tickets], s.cfg.Bin = time.Second, time.Second
		s.start()
		defer s.close()
		<-s.p.Loaded()
		before := s.spent(source.ForPoll)
		time.Sleep(24 * time.Hour)
		if n := s.spent(source.ForPoll) - before; n < 400 || n > 510 {
			t.Errorf("%d credits for a day's polls, want close to 500", n)
		}
		s.must(s.p.PollNow(t.Context(), source.Tickets)) // never held back
		s.stop()
		if n := strings.Count(s.said.String(), "less often"); n != 1 {
			t.Errorf("said %d times, want once", n)
		}
	})
}
