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

// forgetColumn makes a custom field one that the warehouse never had a column
// for; the rows that have a value for it are returned.
func (w *world) forgetColumn(t source.Table, apiName string) (with []source.Key) {
	w.wh.mu.Lock()
	defer w.wh.mu.Unlock()
	delete(w.wh.custom, string(t)+"/"+apiName)
	for k, st := range w.wh.main[t] {
		w.wh.noteLacks(t, source.Row{Key: k, State: st})
		if w.wh.lacks[t][k][apiName] && !st.Deleted {
			with = append(with, k)
		}
	}
	return with
}

// lacking counts the visible rows with a custom value that found no column.
func (w *world) lacking(t source.Table) (n int) {
	w.wh.mu.Lock()
	defer w.wh.mu.Unlock()
	for k, lacks := range w.wh.lacks[t] {
		if len(lacks) > 0 && !w.wh.main[t][k].Deleted {
			n++
		}
	}
	return n
}

func TestANewColumnIsBackfilledByAResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 21, Tickets: 300, Contracts: 40})
		for table, field := range map[source.Table]string{source.Tickets: "cf_region", source.Contracts: "cf_rebate"} {
			with := w.forgetColumn(table, field)
			if len(with) < 5 {
				t.Fatalf("only %d rows of %s have %s", len(with), table, field)
			}
			w.must(w.p.PollNow(t.Context(), source.OrganizationFields))
			if got := w.wh.PendingColumns(table); len(got) != 1 || got[0].Column != field {
				t.Fatalf("pending are %+v", got)
			}
			rows, changes := maps.Clone(w.wh.main[table]), len(w.wh.changes)
			if verified, err := w.p.Verify(t.Context(), table); err != nil || verified.Repaired+verified.Backfilled != 0 || !slices.Equal(verified.Pending, []string{field}) || !maps.Equal(rows, w.wh.main[table]) {
				t.Errorf("verify: %+v, %v", verified, err)
			}
			report, err := w.resync(table, ResyncOptions{})
			w.must(err)
			// Rows at the seams of ranges are read, and filled, twice.
			if n := int(report.Backfilled); report.Repaired+report.Deleted != 0 || n < len(with) || n > len(with)+5 || report.Unchanged+report.Backfilled != report.Read {
				t.Errorf("%d rows have a value: %+v", len(with), report)
			}
			for k, was := range rows {
				is := w.wh.main[table][k]
				if filled := slices.Contains(with, k); is.Content != was.Content || is.Life != was.Life || (is.Version != was.Version) != filled {
					t.Fatalf("%s %s (filled %v): %+v became %+v", table, k, filled, was.Head, is.Head)
				}
			}
			if w.lacking(table) > 0 || len(w.wh.PendingColumns(table)) > 0 || len(w.wh.changes) != changes {
				t.Errorf("%d rows of %s still lack the value, pending %+v, %d changes told", w.lacking(table), table, w.wh.PendingColumns(table), len(w.wh.changes)-changes)
			}
			if again, err := w.resync(table, ResyncOptions{}); err != nil || again.Backfilled != 0 {
				t.Errorf("again: %+v, %v", again, err)
			}
		}
	})
}

// A rebuild brings every row anyway.
func TestARebuildFillsANewColumn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 22, Tickets: 100})
		w.forgetColumn(source.Tickets, "cf_region")
		w.must(w.p.PollNow(t.Context(), source.OrganizationFields))
		report, err := w.resync(source.Tickets, ResyncOptions{Rebuild: true})
		w.must(err)
		if report.Repaired+report.Backfilled != 0 || len(w.wh.PendingColumns(source.Tickets)) > 0 {
			t.Errorf("report %+v, pending %+v", report, w.wh.PendingColumns(source.Tickets))
		}
	})
}

// An incomplete reading leaves the mark.
func TestAnIncompleteResyncEndsNoBackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 23, Tickets: 100, ArchivedTickets: 5})
		w.forgetColumn(source.Tickets, "cf_region")
		w.must(w.p.PollNow(t.Context(), source.OrganizationFields))
		w.portal.Faults().RefuseLicense("tickets.archived", true)
		report, err := w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		if !report.Incomplete || report.Backfilled == 0 || len(w.wh.PendingColumns(source.Tickets)) != 1 {
			t.Errorf("report %+v, pending %+v", report, w.wh.PendingColumns(source.Tickets))
		}
	})
}

// addColumn makes a catalog column one that a release added.
func (w *world) addColumn(t source.Table, reg source.Register, name string) {
	w.wh.mu.Lock()
	defer w.wh.mu.Unlock()
	w.wh.marks++
	w.wh.pending[t] = append(w.wh.pending[t], source.PendingColumn{Register: reg, Column: name, Mark: w.wh.marks})
}

// Side rows whose values are held are written once more too; what a reading does
// not carry stays pending.
func TestSideColumnsAreBackfilledByWhatCarriesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 24, Tickets: 50, Contracts: 10})
		columnOf := func(table source.Table, reg source.Register, field string) string {
			res := source.Lookup(table)
			for _, i := range res.In(reg) {
				if res.Fields[i].Name == field {
					return res.Fields[i].Column
				}
			}
			t.Fatalf("%s has no %s field %s", table, reg, field)
			return ""
		}
		listed := columnOf(source.Tickets, source.Listed, "contact.lastName")
		w.addColumn(source.Tickets, source.Listed, listed)
		w.addColumn(source.Tickets, source.Detail, columnOf(source.Tickets, source.Detail, "attachmentCount"))
		sides := w.wh.sideWrites
		report, err := w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		if report.Backfilled == 0 || report.Repaired != 0 || w.wh.sideWrites-sides != int(report.Backfilled) {
			t.Errorf("report %+v, %d side rows written", report, w.wh.sideWrites-sides)
		}
		if got := w.wh.PendingColumns(source.Tickets); len(got) != 1 || got[0].Register != source.Detail {
			t.Errorf("pending are %+v, want the detail column that search does not carry", got)
		}
		w.compare()
	})
}

// Rows that another release fingerprinted are taken as they are read: no GET, no
// drift, no history; a poll that looks far back asks for none of them either.
func TestAnotherEditionIsNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 25, Tickets: 400, Contracts: 20, Products: 20})
		w.times(5, func(uint64) (uint64, error) { return w.portal.UpdateTicket(0, desksim.TicketChange{}) })
		w.must(w.p.PollNow(t.Context(), source.Tickets))
		w.must(w.p.Settled(t.Context()))
		w.stop()
		w.wh.mu.Lock()
		for table, rows := range w.wh.main {
			w.wh.pos[editionName(table)]++
			for k, st := range rows {
				st.Content.Hash++
				rows[k] = st
			}
		}
		w.wh.mu.Unlock()
		w.start()
		<-w.p.Loaded()
		gets := func() int {
			return w.portal.Stats().CreditsFor["tickets.get"] + w.portal.Stats().CreditsFor["products.get"]
		}
		before, changes := gets(), len(w.wh.changes)
		time.Sleep(25 * time.Hour)
		w.must(w.p.PollNow(t.Context(), source.Tickets))
		w.must(w.p.Settled(t.Context()))
		if n := gets() - before; n != 0 || len(w.wh.changes) != changes {
			t.Errorf("the poll made %d GETs and %d changes", n, len(w.wh.changes)-changes)
		}
		for _, table := range w.cfg.Tables {
			report, err := w.resync(table, ResyncOptions{})
			w.must(err)
			if report.Repaired+report.Deleted != 0 || report.Backfilled == 0 {
				t.Errorf("%s: %+v", table, report)
			}
			if w.wh.pos[editionName(table)] != uint64(source.Lookup(table).Edition()) {
				t.Errorf("edition of %s is %d", table, w.wh.pos[editionName(table)])
			}
		}
		if n := gets() - before; n > 4 || len(w.wh.changes) != changes { // a reading learns its keys from one
			t.Errorf("all made %d GETs and %d changes", n, len(w.wh.changes)-changes)
		}
		w.compare()
		// From now on a difference is one again.
		w.times(3, w.silent)
		time.Sleep(time.Hour)
		report, err := w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		if report.Repaired == 0 || report.Backfilled != 0 {
			t.Errorf("silent changes: %+v", report)
		}
	})
}

// Until every row has a fingerprint of this edition, a search row of an index
// that may lag still takes nothing from what GET just brought.
func TestALaggingIndexTakesNothingWhileEditionsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeDesk{}, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		w.otherEdition.Store(true)
		now := time.Now().UnixMilli()
		got := ticket(t, 1, "after a silent change", now-48*hour)
		held := content(got)
		for _, c := range []struct {
			ago         int64 // since GET brought what is held, ms
			rows, hints int
		}{{60_000, 0, 1}, {hour, 1, 0}} {
			held.Content.AsOf, held.Content.Rank = now-c.ago, source.EvidenceGet
			r.mem.hold(source.Tickets, source.Key{ID: 1}, held)
			b, err := w.merge(t.Context(), []submission{{obs: []source.Observation{poll(w, ticket(t, 1, "before it", now-48*hour))}}})
			must(t, err)
			if len(b.rows) != c.rows || len(b.hints) != c.hints {
				t.Errorf("%d ms later %d rows are written and %d read again, want %d and %d", c.ago, len(b.rows), len(b.hints), c.rows, c.hints)
			}
		}
	})
}

// Archived tickets that are held are not read again: what a release adds stays
// pending because of them, and what kept values of before; a custom field does
// not. The rows that are read are written once for it.
func TestArchivedTicketsLeaveColumnsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for archived, want := range map[int][]string{0: nil, 5: {"subject", "cf_before"}} {
			w := loaded(t, desksim.Config{Seed: 23, Tickets: 100, ArchivedTickets: archived})
			w.forgetColumn(source.Tickets, "cf_region")
			w.must(w.p.PollNow(t.Context(), source.OrganizationFields))
			w.addColumn(source.Tickets, source.Content, "subject")
			w.wh.mu.Lock()
			w.wh.pending[source.Tickets] = append(w.wh.pending[source.Tickets], source.PendingColumn{Register: source.Content, Column: "cf_before", Kept: true})
			w.wh.mu.Unlock()
			for round, filled := range []bool{true, false} {
				report, err := w.resync(source.Tickets, ResyncOptions{})
				w.must(err)
				var left []string
				for _, p := range w.wh.PendingColumns(source.Tickets) {
					left = append(left, p.Column)
				}
				if (report.Backfilled >= 100) != filled || (report.Backfilled > 0) != filled || !slices.Equal(left, want) {
					t.Errorf("%d archived, round %d: %d rows filled, pending %q", archived, round, report.Backfilled, left)
				}
			}
			w.stop()
		}
	})
}

// A GET for the detail of a row that another edition fingerprinted is no change,
// unless one came meanwhile.
func TestHydrationAfterAnotherEditionTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 26, Tickets: 60})
		w.stop()
		w.wh.mu.Lock()
		for table, rows := range w.wh.main {
			w.wh.pos[editionName(table)]++
			for k, st := range rows {
				st.Content.Hash++
				rows[k] = st
			}
		}
		w.wh.mu.Unlock()
		changes, gets := len(w.wh.changes), w.portal.Stats().CreditsFor["tickets.get"]
		on := "On Hold"
		_, err := w.portal.UpdateTicket(0, desksim.TicketChange{Status: &on})
		w.must(err)
		w.cfg.Hydrate = map[source.Table]Hydrate{source.Tickets: HydrateAll}
		w.start()
		<-w.p.Loaded()
		time.Sleep(2 * hydrateEvery)
		if n := w.portal.Stats().CreditsFor["tickets.get"] - gets; n < 50 {
			t.Fatalf("only %d GETs: nothing to test", n)
		}
		if n := len(w.wh.changes) - changes; n != 1 {
			t.Errorf("%d changes are told of one", n)
		}
	})
}

// The resync that finds a field fills it.
func TestAResyncFillsTheFieldsItFinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 27, Tickets: 80})
		with := w.forgetColumn(source.Tickets, "cf_region")
		report, err := w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		if int(report.Backfilled) < len(with) || w.lacking(source.Tickets) > 0 || len(w.wh.PendingColumns(source.Tickets)) > 0 {
			t.Errorf("%d rows have a value, %d lack it: %+v, pending %+v", len(with), w.lacking(source.Tickets), report, w.wh.PendingColumns(source.Tickets))
		}
	})
}
