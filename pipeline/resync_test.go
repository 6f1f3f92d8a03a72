package pipeline

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// loaded is a world whose tables are loaded and settled, without webhooks.
func loaded(t *testing.T, portal desksim.Config) *world {
	w := newWorldWith(t, settings{portal: portal, noHooks: true}, func(what string) { t.Helper(); t.Fatal(what) })
	for table := range w.cfg.Polls {
		w.cfg.Polls[table] = 1000 * time.Hour // nothing but what the test asks for
	}
	w.cfg.Bin = 1000 * time.Hour
	t.Cleanup(w.portal.Close)
	w.start()
	t.Cleanup(func() { w.stop() })
	<-w.p.Loaded()
	w.must(w.p.Settled(t.Context()))
	time.Sleep(time.Hour) // beyond the lag allowance
	return w
}

func (w *world) resync(t source.Table, o ResyncOptions) (source.RunReport, error) {
	o.Trigger = "test"
	return w.p.Resync(context.Background(), t, o)
}

// must make a change of the portal.
func (w *world) times(n int, change func(uint64) (uint64, error)) {
	w.t.Helper()
	for range n {
		_, err := change(0)
		w.must(err)
	}
}

// purge removes live tickets for good, without a trace in any list.
func (w *world) purge(n int) (ids []uint64) {
	for truth := range w.portal.Truth("tickets") {
		if truth.State == desksim.Live && !truth.Archived && len(ids) < n {
			ids = append(ids, truth.ID)
		}
	}
	for _, id := range ids {
		_, err := w.portal.DeleteSpam(id)
		w.must(err)
	}
	return ids
}

// fingerprints are those of the live records.
func (w *world) fingerprints(t source.Table) map[string]uint64 {
	prints := map[string]uint64{}
	for truth := range w.portal.Truth(string(t)) {
		if truth.State == desksim.Live {
			rec, err := source.ParseRecord(source.Lookup(t), truth.Module, truth.Get)
			w.must(err)
			prints[truth.Key] = rec.Fingerprint
		}
	}
	return prints
}

func (w *world) silent(uint64) (uint64, error) {
	return w.portal.UpdateTicket(0, desksim.TicketChange{Silent: true})
}

func TestVerifyCountsDriftAndWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 5, Tickets: 300, QuietRemovals: true})
		equal, err := w.p.Verify(t.Context(), source.Tickets)
		w.must(err)
		if equal.Repaired+equal.Deleted+equal.Resurrected != 0 || equal.Read != 300 || equal.Unchanged != 300 {
			t.Fatalf("an equal table has drift: %+v", equal)
		}
		before := w.fingerprints(source.Tickets)
		w.times(4, w.silent)
		w.purge(3)
		_, err = w.portal.CreateTicket(desksim.TicketChange{})
		w.must(err)
		time.Sleep(time.Hour)
		want := source.RunReport{Deleted: 3} // without webhooks the new ticket waits for a poll: no drift
		for key, now := range w.fingerprints(source.Tickets) {
			if was, ok := before[key]; ok && was != now {
				want.Repaired++
			}
		}
		rows, writes := maps.Clone(w.wh.main[source.Tickets]), w.wh.writes
		got, err := w.p.Verify(t.Context(), source.Tickets)
		w.must(err)
		if got.Deleted != want.Deleted || got.Repaired != want.Repaired || got.Resurrected != 0 || got.MissedBySearch != 0 {
			t.Errorf("verify reports %+v, want %d deleted and %d different", got, want.Deleted, want.Repaired)
		}
		if w.wh.writes != writes || !maps.Equal(rows, w.wh.main[source.Tickets]) || len(w.wh.reports) != 0 {
			t.Error("verify wrote something")
		}
		for _, other := range w.cfg.Tables {
			if rep, err := w.p.Verify(t.Context(), other); err != nil || other != source.Tickets && rep.Repaired+rep.Deleted+rep.Resurrected != 0 {
				t.Errorf("verify of %s: %v, %+v", other, err, rep)
			}
		}
	})
}

// A table that cannot be read is reported with its error, as a resync does:
// without one it would look complete and equal.
func TestVerifyReportsWhyATableCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 6, Tickets: 20})
		w.portal.Faults().RefuseScope("Desk.basic.READ")
		got, err := w.p.Verify(t.Context(), source.Departments)
		if err == nil || got.Run == "" || got.Err != err.Error() {
			t.Errorf("report %+v, error %v", got, err)
		}
	})
}

func TestVerifyRefusesWhatIsNotLoaded(t *testing.T) {
	p := New(Config{Name: "p", Tables: []source.Table{source.Tickets}}, Parts{Desk: &fakeDesk{}, Warehouse: newMemWarehouse(), KV: newMemKV(),
		Dead: &memLetters{}, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
	if _, err := p.Verify(t.Context(), source.Tickets); !errors.Is(err, ErrNotLoaded) {
		t.Fatalf("error %v, want ErrNotLoaded", err)
	}
}

// What a rebuild brings comes from the portal, also where the warehouse was
// changed behind its back; tombstones and rows that cannot be read are kept.
func TestRebuildHealsWhatFingerprintsDoNotShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 6, Tickets: 300, ArchivedTickets: 10})
		w.times(3, w.portal.TrashTicket)
		w.must(w.p.BinNow(t.Context(), source.Tickets))
		var spoilt source.Key
		w.wh.mu.Lock()
		for k, st := range w.wh.main[source.Tickets] {
			if !st.Deleted && !st.Record.Flag("isArchived") {
				other := *st.Record
				st.Record = &other // the columns, not the head, are wrong
				st.Record.Custom, st.Record.Fingerprint = nil, 1
				w.wh.main[source.Tickets][k], spoilt = st, k
				break
			}
		}
		w.wh.mu.Unlock()
		_, err := w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		if w.wh.main[source.Tickets][spoilt].Record.Fingerprint != 1 {
			t.Fatal("a plain resync healed it: the test proves nothing")
		}
		report, err := w.resync(source.Tickets, ResyncOptions{Rebuild: true})
		w.must(err)
		if st := w.wh.main[source.Tickets][spoilt]; st.Record.Fingerprint == 1 || st.Content.Hash != st.Record.Fingerprint {
			t.Error("the rebuild carried the spoilt row over")
		}
		if report.Repaired+report.Deleted != 0 || len(w.wh.shadows) != 0 {
			t.Errorf("report %+v, %d shadows left", report, len(w.wh.shadows))
		}
		w.compare()
	})
}

// The warehouse is away for a moment when a rebuilt table is exchanged.
func TestAnExchangeWithoutAnAnswerIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 8, Tickets: 50})
		for _, c := range []struct {
			fails int
			ends  bool
		}{{shadowAttempts - 1, false}, {shadowAttempts, true}} {
			w.wh.swapFails = c.fails
			if _, err := w.resync(source.Tickets, ResyncOptions{Rebuild: true}); (err != nil) != c.ends {
				t.Errorf("after %d failures: %v", c.fails, err)
			}
			if len(w.wh.shadows) != 0 {
				t.Error("a shadow is left")
			}
		}
		w.compare()
	})
}

// A rebuild that ends early leaves the table as it was.
func TestRebuildOfAnIncompleteReadingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 7, Tickets: 200, ArchivedTickets: 10})
		w.portal.Faults().RefuseLicense("tickets.archived", true)
		if _, err := w.resync(source.Tickets, ResyncOptions{Rebuild: true}); err == nil || !strings.Contains(err.Error(), "given up") {
			t.Errorf("error %v", err)
		}
		if len(w.wh.shadows) != 0 {
			t.Error("a shadow is left")
		}
		w.portal.Faults().Clear()
		w.compare()
	})
}

// Departments and fields that disappear are noticed by their polls.
func TestPollsNoticeWhatDisappears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 8, Tickets: 50, Departments: 30})
		department, err := w.portal.AddDepartment("short-lived")
		w.must(err)
		field, err := w.portal.AddCustomField("tickets", "cf_short_lived", "Short-lived", "Text")
		w.must(err)
		gone := map[source.Table]source.Key{source.Departments: {ID: department}, source.OrganizationFields: {Name: "tickets/cf_short_lived"}}
		for table, key := range gone {
			w.must(w.p.PollNow(t.Context(), table))
			if st := w.wh.main[table][key]; st.Version == 0 || st.Deleted {
				t.Fatalf("%s %s did not appear: %+v", table, key, st.Head)
			}
		}
		_, err = w.portal.RemoveDepartment(department)
		w.must(err)
		w.must(w.portal.RemoveField(field))
		for table, key := range gone {
			w.must(w.p.PollNow(t.Context(), table))
			if st := w.wh.main[table][key]; !st.Deleted {
				t.Errorf("%s %s is still visible: %+v", table, key, st.Head)
			}
		}
		w.compare()
	})
}

// A narrowed agent may get 404 for records that live: outside a sweep only few
// are believed, until a person says that they are gone.
func TestManyMissesAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 9, Tickets: 400, Departments: 2, QuietRemovals: true})
		var hints []hint
		for _, id := range w.purge(200) {
			hints = append(hints, hint{key: source.Key{ID: id}, reason: source.Asked})
		}
		w.must(w.p.rereads.add(t.Context(), source.Tickets, hints))
		time.Sleep(10 * time.Minute)
		_, deleted, _ := w.wh.Counts(t.Context(), source.Tickets)
		if deleted == 0 || deleted > 2*guardFloor {
			t.Errorf("%d of 200 were deleted, want a few", deleted)
		}
		waiting, err := w.p.Decisions(t.Context())
		w.must(err)
		if len(waiting) != 1 || !strings.Contains(waiting[0].Reason, "--accept-loss") {
			t.Errorf("decisions that wait: %+v", waiting)
		}
		if _, err := w.resync(source.Tickets, ResyncOptions{}); !errors.Is(err, ErrGuard) {
			t.Errorf("the sweep: %v, want ErrGuard", err)
		}
		_, err = w.resync(source.Tickets, ResyncOptions{AcceptLoss: true})
		w.must(err)
		w.must(w.p.Settled(t.Context()))
		w.compare()
		if waiting, err := w.p.Decisions(t.Context()); err != nil || len(waiting) != 0 {
			t.Errorf("decisions that still wait: %v %v", waiting, err)
		}
	})
}

// Rows that differ at an unchanged modifiedTime are read by id, but not
// thousands of them: then the search row is as good as a GET.
func TestManySilentChangesAreTakenFromSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 10, Tickets: 2500})
		w.wh.mu.Lock()
		for k, st := range w.wh.main[source.Tickets] {
			st.Content.Hash++ // as if each had been changed in silence
			w.wh.main[source.Tickets][k] = st
		}
		w.wh.mu.Unlock()
		before := w.portal.Stats().CreditsFor["tickets.get"]
		report, err := w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		gets := w.portal.Stats().CreditsFor["tickets.get"] - before
		if report.Repaired != 2500 || gets < manyOther-50 || gets > manyOther+50 {
			t.Errorf("%d rows repaired with %d GETs", report.Repaired, gets)
		}
		w.compare()
	})
}
