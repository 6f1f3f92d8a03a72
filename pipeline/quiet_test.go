package pipeline

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// A quiet portal must cost little: the defaults of the polls are chosen for
// about 20 credits an hour with webhooks (design: never above 5 % of the day's
// credits). docs/credits.md shows what this prints.
func TestQuietPortalCostsFewCredits(t *testing.T) {
	cases := []struct {
		name     string
		tickets  time.Duration // between two polls
		webhooks bool
		min, max float64 // credits an hour
	}{
		{"with webhooks", 20 * time.Minute, true, 15, 25},
		{"without webhooks", 5 * time.Minute, false, 40, 55},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, desksim.Config{Seed: 1, Tickets: 500, ArchivedTickets: 20})
				if c.webhooks {
					s.log = newMemLog()
				}
				s.cfg.Polls[source.Tickets] = c.tickets
				for _, table := range s.cfg.Tables {
					s.cfg.Hydrate[table] = HydrateChanged
				}
				s.start()
				defer s.close()
				<-s.p.Loaded()
				if total := s.hourly(48); total < c.min || total > c.max {
					t.Errorf("a quiet hour costs %.1f credits, want %.0f to %.0f", total, c.min, c.max)
				}
			})
		})
	}
}

// hourly lets some hours pass and prints what each kind of call cost an hour.
func (s *site) hourly(hours int) (total float64) {
	before := s.portal.Stats().CreditsFor
	time.Sleep(time.Duration(hours) * time.Hour)
	synctest.Wait()
	after := s.portal.Stats().CreditsFor
	for _, kind := range slices.Sorted(maps.Keys(after)) {
		if n := float64(after[kind]-before[kind]) / float64(hours); n > 0 {
			s.t.Logf("%-16s %6.2f credits an hour", kind, n)
			total += n
		}
	}
	s.t.Logf("%-16s %6.2f credits an hour", "total", total)
	return total
}

// What work costs beside the polls, per record. docs/credits.md shows what this
// prints.
func TestWhatWorkCosts(t *testing.T) {
	const rows, changed = 3_000, 100
	cases := []struct {
		name     string
		hydrate  Hydrate
		trust    bool
		first    func(*site) // what is not counted
		work     func(*site)
		records  float64
		min, max float64 // credits a record
	}{
		{"load", HydrateOff, true, nil, (*site).load, rows, 0.03, 0.06},
		{"resync, nothing changed", HydrateOff, true, (*site).load, (*site).resync, rows, 0.03, 0.06},
		// The first batch is read before the load is seen to have ended.
		{"hydration", HydrateAll, true, (*site).load, func(*site) { time.Sleep(time.Hour) }, rows - hydrateBatch, 1, 1},
		{"update, whole payload, payload: trust", HydrateChanged, true, (*site).load, func(s *site) { s.deliver(s.update(changed)) }, changed, 0, 0},
		{"update, whole payload, payload: reread", HydrateChanged, false, (*site).load, func(s *site) { s.deliver(s.update(changed)) }, changed, 1, 1},
		{"update, found by a poll, hydrate: changed", HydrateChanged, true, (*site).follow, func(s *site) { s.update(changed); s.poll() }, changed, 1.03, 1.15},
		{"update, found by a poll, hydrate: off", HydrateOff, true, (*site).follow, func(s *site) { s.update(changed); s.poll() }, changed, 0.03, 0.15},
		{"trash, found by the recycle bin", HydrateChanged, true, (*site).follow, func(s *site) { s.trash(changed); s.poll() }, changed, 0.03, 0.15},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, desksim.Config{Seed: 1, Tickets: rows})
				s.log = newMemLog()
				s.cfg.Tables, s.cfg.Trust = []source.Table{source.Tickets}, c.trust
				s.cfg.Polls[source.Tickets], s.cfg.Bin = 1000*time.Hour, 1000*time.Hour
				s.cfg.Hydrate[source.Tickets] = c.hydrate
				defer s.portal.Close()
				if c.first != nil {
					c.first(s)
				}
				before := s.portal.Stats()
				c.work(s)
				after := s.portal.Stats()
				s.stop()
				each := float64(after.CreditsTotal-before.CreditsTotal) / c.records
				t.Logf("%-42s %5.3f credits a ticket", c.name, each)
				if each < c.min || each > c.max {
					t.Errorf("%.3f credits a ticket, want %.2f to %.2f", each, c.min, c.max)
				}
			})
		})
	}
}

func (s *site) load() {
	s.start()
	<-s.p.Loaded()
	synctest.Wait()
}

// follow is load with the first poll, which reads what changed during the load
// once more.
func (s *site) follow() {
	s.load()
	time.Sleep(time.Hour)
	s.poll()
}

func (s *site) resync() {
	report, err := s.p.Resync(s.t.Context(), source.Tickets, ResyncOptions{Trigger: "test"})
	s.must(err)
	if report.Incomplete || report.Repaired != 0 {
		s.t.Errorf("report %+v", report)
	}
}

// update changes the oldest tickets, once each, a second apart.
func (s *site) update(n int) map[uint64]bool {
	changed := map[uint64]bool{}
	for truth := range s.portal.Truth("tickets") {
		if truth.State != desksim.Live || len(changed) == n {
			continue
		}
		_, err := s.portal.UpdateTicket(truth.ID, desksim.TicketChange{})
		s.must(err)
		changed[truth.ID] = true
		time.Sleep(time.Second)
	}
	return changed
}

func (s *site) trash(n int) {
	for range n {
		_, err := s.portal.TrashTicket(0)
		s.must(err)
	}
}

// deliver sends the events of changed tickets, with whole payloads.
func (s *site) deliver(changed map[uint64]bool) {
	time.Sleep(time.Minute)
	for truth := range s.portal.Truth("tickets") {
		if changed[truth.ID] {
			rec := parsed(s.t, source.Tickets, string(truth.Get))
			appendEvents(s.t, s.log, ticketEvent("Ticket_Update", rec.Modified, string(truth.Get)))
		}
	}
	time.Sleep(3 * hydrateEvery)
}

// poll looks for changes once, and lets hydration follow.
func (s *site) poll() {
	time.Sleep(time.Minute)
	s.must(s.p.PollNow(s.t.Context(), source.Tickets))
	s.must(s.p.BinNow(s.t.Context(), source.Tickets))
	time.Sleep(3 * hydrateEvery)
}
