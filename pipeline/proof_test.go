package pipeline

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

var proofTickets = flag.Int("proof.tickets", 10_000, "tickets of the portal that does not change")

// deafened is a loaded world whose webhooks are all lost and which polls only
// when it is told to.
func deafened(t *testing.T, portal desksim.Config) *world {
	w := newWorldWith(t, settings{portal: portal, hooks: desksim.WebhookFaults{Loss: 1}}, func(what string) { t.Helper(); t.Error(what) })
	for table := range w.cfg.Polls {
		w.cfg.Polls[table] = 1000 * time.Hour
	}
	w.cfg.Bin = 1000 * time.Hour
	t.Cleanup(w.portal.Close)
	w.start()
	t.Cleanup(func() { w.stop() })
	<-w.p.Loaded()
	w.settled(t.Context())
	time.Sleep(time.Hour)
	return w
}

// drift is what a comparison of the warehouse with the truth finds, in the words
// of the report.
func (w *world) drift(t source.Table) source.RunReport {
	r := source.RunReport{Table: t}
	for truth := range w.portal.Truth(string(t)) {
		key := source.Key{ID: truth.ID}
		if t == source.OrganizationFields {
			key = source.Key{Name: truth.Key}
		}
		held, live := w.wh.main[t][key], truth.State == desksim.Live
		visible := held.Version != 0 && !held.Deleted
		if live && visible {
			r.Read++
		}
		switch {
		case live && held.Deleted:
			r.Resurrected++
		case live && (!visible || held.Record.Fingerprint != (audit{world: w}).truth(t, truth).Fingerprint):
			r.Repaired++
		case live:
			r.Unchanged++
		case visible:
			r.Deleted++
		}
	}
	return r
}

func numbers(r source.RunReport) string {
	return fmt.Sprintf("repaired %d, deleted %d, resurrected %d, unchanged %d, missed by search %d, not visible %d",
		r.Repaired, r.Deleted, r.Resurrected, r.Unchanged, r.MissedBySearch, r.NotVisible)
}

// After 500 changes of all kinds whose webhooks were all lost, one round of polls
// and recycle bin repairs what moves modifiedTime or enters or leaves the bin;
// one resync repairs the rest, and its report says what the simulator says.
func TestDriftReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		weights := allChanges
		weights.SilentUpdate, weights.TrashProduct, weights.RestoreProduct, weights.SilentProduct = 60, 20, 10, 20
		weights.TrashContract, weights.RestoreContract, weights.SilentContract = 20, 10, 15
		w := deafened(t, desksim.Config{Seed: 11, Tickets: 800, Products: 60, Contracts: 40, QuietRemovals: true, CreditsPerDay: -1, Weights: weights})
		began := w.portal.Now()
		before := w.lives()
		for range 100 {
			w.portal.Mutate(5)
			time.Sleep(7 * time.Second)
		}
		t.Logf("changes: %v", w.portal.Changes())
		time.Sleep(time.Hour)
		w.round(t.Context())
		w.polled(began, before)

		found := false
		for _, table := range resyncOrder {
			want := w.drift(table)
			got, err := w.resync(table, ResyncOptions{})
			w.must(err)
			if got.Read != want.Read || numbers(got) != numbers(want) {
				t.Errorf("%s: read %d, %s\nwant: read %d, %s", table, got.Read, numbers(got), want.Read, numbers(want))
			}
			t.Logf("%s: read %d, %s", table, got.Read, numbers(got))
			found = found || got.Deleted > 0 && got.Repaired > 0
		}
		if !found {
			t.Error("the changes left nothing for a resync to find")
		}
		w.settled(t.Context())
		audit{w, true}.run()
	})
}

// lives tells which records were in the bin.
func (w *world) lives() map[string]desksim.State {
	states := map[string]desksim.State{}
	for _, t := range w.cfg.Tables {
		for truth := range w.portal.Truth(string(t)) {
			states[string(t)+"/"+truth.Key] = truth.State
		}
	}
	return states
}

// polled checks what one round of polls and recycle bin must have repaired.
func (w *world) polled(began time.Time, before map[string]desksim.State) {
	for _, t := range []source.Table{source.Tickets, source.Products, source.Contracts} {
		for truth := range w.portal.Truth(string(t)) {
			held := w.wh.main[t][source.Key{ID: truth.ID}]
			was, known := before[string(t)+"/"+truth.Key]
			switch truth.State {
			case desksim.Trashed:
				if held.Version == 0 || !held.Deleted {
					w.fail("%s %s entered the bin and is visible after the round", t, truth.Key)
				}
			case desksim.Live:
				want := audit{world: w}.truth(t, truth)
				moved := want.Modified >= began.UnixMilli()
				if (moved || known && was == desksim.Trashed) && (held.Deleted || held.Record == nil) {
					w.fail("%s %s is at the source and not visible after the round", t, truth.Key)
				}
				if moved && held.Record != nil && held.Record.Modified < want.Modified {
					w.fail("%s %s was modified and is old after the round", t, truth.Key)
				}
			}
		}
	}
}

// A resync of a portal that did not change writes nothing and costs little.
// 100,000 tickets: go test ./pipeline -run TestUnchangedPortal -proof.tickets=100000
func TestUnchangedPortal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 12, Tickets: *proofTickets, CreditsPerDay: -1})
		writes, spent := w.wh.writes, w.portal.Stats().CreditsTotal
		listed := maps.Clone(w.wh.sides[source.Tickets][source.Listed])
		report, err := w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		if w.wh.writes != writes || !maps.Equal(listed, w.wh.sides[source.Tickets][source.Listed]) {
			t.Errorf("%d writes of rows, or of listed columns", w.wh.writes-writes)
		}
		if int(report.Unchanged) != *proofTickets || report.Read != report.Unchanged {
			t.Errorf("read %d, %s", report.Read, numbers(report))
		}
		cost := float64(w.portal.Stats().CreditsTotal-spent) * 100 / float64(*proofTickets)
		t.Logf("%.2f credits for 100 tickets", cost)
		if cost > 4 || cost == 0 {
			t.Errorf("%.2f credits for 100 tickets", cost)
		}
	})
}

// A new custom field alone is no drift.
func TestNewCustomFieldIsNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 13, Tickets: 300, ArchivedTickets: 10})
		for _, module := range []string{"tickets", "products", "contracts"} {
			_, err := w.portal.AddCustomField(module, "cf_proof", "Proof", "Text")
			w.must(err)
		}
		for _, table := range []source.Table{source.Products, source.Contracts, source.Tickets} {
			report, err := w.resync(table, ResyncOptions{})
			w.must(err)
			if report.Repaired+report.Deleted+report.Resurrected+report.MissedBySearch+report.NotVisible > 0 || report.Unchanged == 0 {
				t.Errorf("%s: %s", table, numbers(report))
			}
		}
		w.compareAll(true, source.Products, source.Contracts, source.Tickets)
	})
}

// compareAll is compare for some tables.
func (w *world) compareAll(resynced bool, tables ...source.Table) {
	w.cfg.Tables = tables
	audit{w, resynced}.run()
}

// A resync that is stopped deletes nothing while its reading is not complete, and
// afterwards only what GET does not find: stopped at every call it makes.
func TestInterruptedResyncDeletesNothing(t *testing.T) {
	swept := 0
	for n := 1; ; n++ {
		ended := false
		synctest.Test(t, func(t *testing.T) { ended = interruptedAt(t, n, &swept) })
		if ended || t.Failed() {
			t.Logf("stopped at %d calls, %d of them in the sweep", n-1, swept)
			break
		}
	}
	if swept == 0 {
		t.Error("no resync was stopped in its sweep")
	}
}

// interruptedAt stops a resync at its nth call and reports whether it ended
// before that.
func interruptedAt(t *testing.T, n int, swept *int) (ended bool) {
	w := loaded(t, desksim.Config{Seed: 14, Tickets: 130, Products: -1, Contracts: -1})
	gone := map[uint64]bool{}
	for _, id := range w.purge(5) {
		gone[id] = true
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sweeps := w.cur.count("absent tickets")
	w.cur.stopAt(n, cancel)
	_, err := w.p.Resync(ctx, source.Tickets, ResyncOptions{Trigger: "test"})
	if ended = err == nil; ended {
		return true
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped at call %d: %v", n, err)
	}
	inSweep := w.cur.count("absent tickets") > sweeps
	if inSweep {
		*swept++
	}
	w.restart()
	time.Sleep(10 * time.Minute)
	w.settled(t.Context())
	for k, st := range w.wh.main[source.Tickets] {
		if st.Deleted && !(inSweep && gone[k.ID]) {
			t.Errorf("stopped at call %d: ticket %s is deleted (gone at the source: %v)", n, k, gone[k.ID])
		}
	}
	return false
}

// An agent that loses sight of one department of thirty deletes nothing.
func TestLostDepartmentDeletesNothing(t *testing.T) {
	for _, notFound := range []bool{false, true} {
		t.Run(fmt.Sprintf("404=%v", notFound), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := loaded(t, desksim.Config{Seed: 15, Departments: 30, Tickets: 900, Contracts: 60, HiddenIs404: notFound, CreditsPerDay: -1})
				id := w.fullest(source.Tickets)
				tickets, contracts := w.inDepartment(source.Tickets, id), w.inDepartment(source.Contracts, id)
				w.portal.Faults().HideDepartment(id, true)
				for table, hidden := range map[source.Table]uint64{source.Tickets: tickets, source.Contracts: contracts, source.Departments: 1} {
					_, deletedBefore, _ := w.wh.Counts(t.Context(), table)
					report, err := w.resync(table, ResyncOptions{})
					w.must(err)
					_, deleted, _ := w.wh.Counts(t.Context(), table)
					if deleted != deletedBefore || report.Deleted != 0 || report.NotVisible != hidden {
						t.Errorf("%s: %d deleted; %s; %d hidden", table, deleted-deletedBefore, numbers(report), hidden)
					}
				}
				if tickets == 0 {
					t.Error("the department had no tickets")
				}
				w.portal.Faults().HideDepartment(id, false)
				audit{w, false}.run()
			})
		})
	}
}

// fullest is the department with the most rows.
func (w *world) fullest(t source.Table) (id uint64) {
	in, _ := w.wh.VisibleIn(context.Background(), t)
	for department, n := range in {
		if department != 0 && (id == 0 || n > in[id] || n == in[id] && department < id) {
			id = department
		}
	}
	return id
}

func (w *world) inDepartment(t source.Table, id uint64) uint64 {
	in, _ := w.wh.VisibleIn(context.Background(), t)
	return in[id]
}

// A table that really lost 30 % waits for a person, who is told how to go on.
func TestMassDeletionWaitsForAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 16, Tickets: 400, Products: -1, Contracts: -1, CreditsPerDay: -1})
		w.purge(120)
		report, err := w.resync(source.Tickets, ResyncOptions{})
		if !errors.Is(err, ErrGuard) || !strings.Contains(fmt.Sprint(err), "--accept-loss") || !strings.Contains(fmt.Sprint(err), "120 of 400") {
			t.Errorf("resync ends with %v", err)
		}
		if _, deleted, _ := w.wh.Counts(t.Context(), source.Tickets); deleted != 0 || report.Deleted != 0 {
			t.Errorf("%d rows are deleted, %s", deleted, numbers(report))
		}
		report, err = w.resync(source.Tickets, ResyncOptions{AcceptLoss: true})
		w.must(err)
		if report.Deleted != 120 {
			t.Errorf("accepted: %s", numbers(report))
		}
		w.compareAll(true, source.Tickets)
	})
}

// A column that a narrowed profile hides stops the run; nothing is blanked until
// a person accepts it.
func TestHiddenColumnBlanksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 17, Tickets: 300, Products: -1, Contracts: -1, CreditsPerDay: -1})
		filled := w.filled("priority")
		w.portal.Faults().HideField("priority", true)
		_, err := w.resync(source.Tickets, ResyncOptions{})
		if !errors.Is(err, ErrGuard) || !strings.Contains(fmt.Sprint(err), "priority") || !strings.Contains(fmt.Sprint(err), "--accept-loss") {
			t.Errorf("resync ends with %v", err)
		}
		w.settled(t.Context())
		if got := w.filled("priority"); got != filled || got == 0 {
			t.Errorf("%d tickets have a priority, %d had one", got, filled)
		}
		_, err = w.resync(source.Tickets, ResyncOptions{AcceptLoss: true})
		w.must(err)
		w.settled(t.Context())
		if got := w.filled("priority"); got != 0 {
			t.Errorf("accepted: %d tickets still have a priority", got)
		}
		w.portal.Faults().HideField("priority", false)
		time.Sleep(time.Hour)
		_, err = w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		w.settled(t.Context())
		w.compareAll(true, source.Tickets)
	})
}

// filled counts the tickets with a value in a field.
func (w *world) filled(field string) (n int) {
	for _, st := range w.wh.main[source.Tickets] {
		if !st.Deleted && st.Record != nil && st.Record.Text(field) != "" {
			n++
		}
	}
	return n
}
