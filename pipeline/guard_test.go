package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// One department that loses everything is few rows of the table, and still too
// many.
func TestTheGuardLooksAtEachDepartment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 11, Tickets: 1200, Departments: 30, QuietRemovals: true})
		sizes, err := w.wh.VisibleIn(t.Context(), source.Tickets)
		w.must(err)
		var chosen uint64
		for id, n := range sizes {
			if n > 25 && n < 55 {
				chosen = id
			}
		}
		for truth := range w.portal.Truth("tickets") {
			if departmentOf(w.wh.main[source.Tickets][source.Key{ID: truth.ID}]) == chosen {
				_, err := w.portal.DeleteSpam(truth.ID)
				w.must(err)
			}
		}
		report, err := w.resync(source.Tickets, ResyncOptions{})
		if !errors.Is(err, ErrGuard) || !strings.Contains(err.Error(), fmt.Sprint(chosen)) || report.Deleted != 0 {
			t.Errorf("error %v, report %+v", err, report)
		}
	})
}

// One record that GET never answers for must not hold up a run, nor one whose
// deletion is held back.
func TestARunDoesNotWaitForOneRecord(t *testing.T) {
	for name, fault := range map[string]source.Fault{"fails": source.FaultRetry, "is held back": source.FaultNotFound} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				desk := &fakeDesk{get: func(context.Context, source.Table, uint64) (*source.Record, source.Timing, error) {
					return nil, timing(), &source.CallError{Fault: fault, Op: "GET tickets/7"}
				}}
				r := newRig(t, desk, nil, nil)
				r.misses.waiting = func(context.Context, source.Table, cause) (bool, error) { return true, nil }
				r.mem.hold(source.Tickets, source.Key{ID: 7}, content(ticket(t, 7, "lives", time.Now().UnixMilli()-hour)))
				stop := spawn(r.readers(newWriter(source.Tickets, r.deps))...)
				defer stop()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				verdicts, err := (&Pipeline{deps: r.deps}).ask(ctx, source.Tickets, []hint{{key: source.Key{ID: 7}, reason: source.OtherContent}})
				if err != nil || verdicts[source.Key{ID: 7}] != verdictGivenUp {
					t.Errorf("verdicts %v, error %v", verdicts, err)
				}
				if !r.rereads.queued(source.Tickets, source.Key{ID: 7}) {
					t.Error("the record is not queued any more")
				}
			})
		})
	}
}

// A profile that was narrowed hides a key from GET too. Outside a resync few rows
// may lose the column; inside one none does.
func TestAHiddenColumnBlanksLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 12, Tickets: 400})
		filled := func() (n int) {
			for _, st := range w.wh.main[source.Tickets] {
				if !st.Deleted && st.Record.Text("subject") != "" {
					n++
				}
			}
			return n
		}
		before := filled()
		w.portal.Faults().HideField("subject", true)
		if _, err := w.resync(source.Tickets, ResyncOptions{}); !errors.Is(err, ErrGuard) || filled() != before {
			t.Errorf("resync: %v; %d of %d subjects left", err, filled(), before)
		}
		w.times(120, func(uint64) (uint64, error) { return w.portal.UpdateTicket(0, desksim.TicketChange{}) })
		time.Sleep(time.Hour)
		w.must(w.p.PollNow(t.Context(), source.Tickets))
		time.Sleep(time.Hour)
		if lost := before - filled(); lost > guardFloor {
			t.Errorf("polls and re-reads blanked %d subjects", lost)
		}
		if waiting, err := w.p.Decisions(t.Context()); err != nil || len(waiting) != 2 || !strings.Contains(waiting[0].Reason+waiting[1].Reason, "subject") {
			t.Errorf("decisions: %+v %v", waiting, err)
		}
		w.portal.Faults().HideField("subject", false)
		_, err := w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		w.must(w.p.Settled(t.Context()))
		w.compare()
	})
}

// A reply that lacks a column is held back also while a sweep asks: it must not be
// asked for over and over.
func TestASweptRecordThatLacksAColumnIsNotAskedForOverAndOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		at := time.Now().UnixMilli() - hour
		desk := &fakeDesk{get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
			calls++
			return parsed(t, source.Tickets, fmt.Sprintf(`{"id":"%d","modifiedTime":%q}`, id, stamp(at))), timing(), nil
		}}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		lives := ticket(t, 7, "lives", at)
		w.cov.Learn(source.EvidenceGet, lives)
		r.mem.hold(source.Tickets, source.Key{ID: 7}, content(lives))
		r.blanks.days[source.Tickets] = &blankDay{began: time.Now(), by: map[int]int{}, told: true}
		stop := spawn(r.readers(w)...)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		verdicts, err := (&Pipeline{deps: r.deps}).ask(ctx, source.Tickets, hintsOf([]source.Key{{ID: 7}}, absent))
		if err != nil || verdicts[source.Key{ID: 7}] != verdictGivenUp || calls != 1 {
			t.Errorf("verdicts %v, error %v, %d calls", verdicts, err, calls)
		}
	})
}

// A loss is not recovered by a reading that a guard stopped.
func TestARefusedReadingIsNoRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 13, Tickets: 600})
		n := 0
		w.wh.mu.Lock()
		for k := range w.wh.main[source.Tickets] {
			if n++; n <= 100 {
				delete(w.wh.main[source.Tickets], k)
			}
		}
		w.wh.mu.Unlock()
		key := recoveryKey("sim", source.Tickets)
		w.must(w.kv.Save(t.Context(), key, []byte(staleWarehouse)))
		w.portal.Faults().HideField("subject", true)
		w.must(w.p.recover(t.Context(), source.Tickets))
		if why, err := w.kv.Load(t.Context(), key); err != nil || why == nil {
			t.Error("the recovery is forgotten")
		}
		w.portal.Faults().HideField("subject", false)
		w.must(w.p.recover(t.Context(), source.Tickets))
		if why, err := w.kv.Load(t.Context(), key); err != nil || why != nil {
			t.Errorf("the recovery is still asked for: %q", why)
		}
		w.compare()
	})
}

// What the guard allows in a day does not begin anew with each process.
func TestARestartIsNoNewAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 14, Tickets: 400, Departments: 1, QuietRemovals: true})
		w.must(w.p.rereads.add(t.Context(), source.Tickets, hintsOf(w.keys(w.purge(200)), source.Asked)))
		time.Sleep(10 * time.Minute)
		_, first, _ := w.wh.Counts(t.Context(), source.Tickets)
		for range 3 {
			w.restart()
			time.Sleep(2 * time.Hour)
		}
		if _, now, _ := w.wh.Counts(t.Context(), source.Tickets); now != first || first == 0 {
			t.Errorf("%d rows deleted at first, %d after restarts", first, now)
		}
	})
}

func (w *world) keys(ids []uint64) (keys []source.Key) {
	for _, id := range ids {
		keys = append(keys, source.Key{ID: id})
	}
	return keys
}

// Rows that are held as deleted already are no drift, though search still shows
// them.
func TestTombstonesAreNotDeletedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 5, Tickets: 200, SearchLag: 2 * time.Hour})
		time.Sleep(3 * time.Hour)
		w.times(5, w.portal.TrashTicket)
		w.must(w.p.BinNow(t.Context(), source.Tickets))
		report, err := w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		if report.Deleted != 0 {
			t.Errorf("report %+v", report)
		}
	})
}

// What a sweep found gone is not asked for again by the recycle bin.
func TestPurgesArePaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 5, Tickets: 500, QuietRemovals: true})
		w.purge(200)
		report, err := w.resync(source.Tickets, ResyncOptions{AcceptLoss: true})
		w.must(err)
		before := w.portal.Stats().CreditsFor["tickets.get"]
		for range 3 {
			w.must(w.p.BinNow(t.Context(), source.Tickets))
			time.Sleep(time.Hour)
		}
		if more := w.portal.Stats().CreditsFor["tickets.get"] - before; report.Deleted != 200 || more != 0 {
			t.Errorf("%d deleted, then %d GETs more", report.Deleted, more)
		}
	})
}

// Archived tickets have their own list, also where search is refused.
func TestArchivedTicketsAreReadWithoutSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, settings{portal: desksim.Config{Seed: 5, Tickets: 100, ArchivedTickets: 30}, noHooks: true}, func(what string) { t.Helper(); t.Fatal(what) })
		w.portal.Faults().RefuseLicense("tickets.search", true)
		t.Cleanup(w.portal.Close)
		w.start()
		t.Cleanup(func() { w.stop() })
		<-w.p.Loaded()
		w.must(w.p.Settled(t.Context()))
		if visible, _, _ := w.wh.Counts(t.Context(), source.Tickets); visible != 130 {
			t.Errorf("%d of 130 tickets loaded", visible)
		}
	})
}

// A module of fields that is not answered for once is no loss, and hides none.
func TestAModuleThatIsNotAnsweredTripsNoGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse, shorter := "", 0
		desk := &fakeDesk{fields: func(_ context.Context, module string) (source.Page, []source.CustomField, error) {
			if module == refuse {
				return source.Page{}, nil, &source.CallError{Fault: source.FaultInvalid, Op: "GET", Status: 422}
			}
			n := 30
			if module == "tickets" {
				n -= shorter
			}
			var recs []*source.Record
			for i := range n {
				rec, err := source.ParseRecord(source.Lookup(source.OrganizationFields), module, fmt.Appendf(nil, `{"id":"1","apiName":"f%d","displayLabel":"x"}`, i))
				must(t, err)
				recs = append(recs, rec)
			}
			page := pageOf(recs, -1)
			page.Resource = "fields"
			return page, nil, nil
		}}
		wh := newMemWarehouse()
		p := newPipeline(t, desk, wh, newMemKV(), source.OrganizationFields)
		p.tables[source.OrganizationFields].reader.(*fieldTable).modules = []string{"tickets", "contacts", "accounts"}
		stop := spawn(p.Run)
		defer stop()
		<-p.Loaded()
		_, err := p.Resync(t.Context(), source.OrganizationFields, ResyncOptions{Trigger: "load"})
		must(t, err)
		time.Sleep(time.Hour)
		refuse, shorter = "contacts", 3
		report, err := p.Resync(t.Context(), source.OrganizationFields, ResyncOptions{Trigger: "test"})
		if err != nil || report.Deleted != 3 || report.NotVisible != 30 {
			t.Errorf("report %+v, error %v", report, err)
		}
	})
}

// A resync reads the bin beside the bin's own loop.
func TestBinRoundsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 5, Tickets: 100})
		var wg sync.WaitGroup
		wg.Go(func() { _, err := w.resync(source.Tickets, ResyncOptions{}); w.must(err) })
		wg.Go(func() { w.must(w.p.BinNow(context.Background(), source.Tickets)) })
		wg.Wait()
	})
}

// Many hints are stored in parts, each well below what a server takes.
func TestManyHintsAreStoredInParts(t *testing.T) {
	kv := newMemKV()
	r := newRig(t, &fakeDesk{}, nil, kv)
	var keys []source.Key
	for id := range uint64(2*chunkEntries + 1) {
		keys = append(keys, source.Key{ID: 900102000000000252 + id})
	}
	must(t, r.rereads.add(t.Context(), source.Tickets, hintsOf(keys, absent)))
	parts := stored(kv, "reread.")
	if len(parts) != 3 {
		t.Errorf("%d parts", len(parts))
	}
	for _, key := range parts {
		if value, _ := kv.Load(t.Context(), key); len(value) > 500_000 {
			t.Errorf("%s has %d bytes", key, len(value))
		}
	}
	again := newRereads(kv, "test", r.clock, r.log)
	must(t, again.load(t.Context()))
	if again.pending() != len(keys) {
		t.Errorf("%d of %d loaded again", again.pending(), len(keys))
	}
}

// Events go before sweeps.
func TestUrgentRereadsGoFirst(t *testing.T) {
	r := newRig(t, &fakeDesk{}, nil, nil)
	must(t, r.rereads.add(t.Context(), source.Tickets, hintsOf([]source.Key{{ID: 1}, {ID: 2}, {ID: 3}}, absent)))
	must(t, r.rereads.add(t.Context(), source.Tickets, hintsOf([]source.Key{{ID: 4}, {ID: 2}}, source.Asked)))
	due, _ := r.rereads.due(2)
	for _, it := range due {
		if it.key.ID != 4 && it.key.ID != 2 || r.rereads.priority(it) != source.ForReread {
			t.Errorf("%s is read before an event's hint", it.key)
		}
	}
}

// An interrupted resync deletes nothing, also when its sweep was on: the
// questions of a run end with it.
func TestAnInterruptedSweepDeletesNothing(t *testing.T) {
	for _, how := range []string{"cancelled", "killed"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := loaded(t, desksim.Config{Seed: 15, Tickets: 400, QuietRemovals: true})
				w.purge(5)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					_, err := w.p.Resync(ctx, source.Tickets, ResyncOptions{Trigger: "test"})
					ended <- err
				}()
				for w.p.rereads.pending() == 0 { // the sweep asks, and waits a minute between the two
					time.Sleep(time.Second)
				}
				time.Sleep(10 * time.Second)
				if how == "killed" {
					w.restart()
				}
				cancel()
				if err := <-ended; err == nil {
					t.Fatal("the resync ended in time: the test proves nothing")
				}
				time.Sleep(time.Hour)
				if _, deleted, _ := w.wh.Counts(t.Context(), source.Tickets); deleted != 0 {
					t.Errorf("%d rows were deleted", deleted)
				}
				report, err := w.resync(source.Tickets, ResyncOptions{})
				if err != nil || report.Deleted != 5 {
					t.Errorf("the next one: %+v, %v", report, err)
				}
			})
		})
	}
}

// GET may answer 404 for what a narrowed agent does not see: no row of a
// department that is not listed any more is deleted for it.
func TestRowsOfAHiddenDepartmentAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 16, Tickets: 300, Departments: 30, HiddenIs404: true})
		for truth := range w.portal.Truth("tickets") {
			key := source.Key{ID: truth.ID}
			id := departmentOf(w.wh.main[source.Tickets][key])
			w.portal.Faults().HideDepartment(id, true)
			w.must(w.p.rereads.add(t.Context(), source.Tickets, hintsOf([]source.Key{key}, source.Asked)))
			break
		}
		time.Sleep(20 * time.Minute)
		report, err := w.resync(source.Tickets, ResyncOptions{})
		w.must(err)
		if _, deleted, _ := w.wh.Counts(t.Context(), source.Tickets); deleted != 0 || report.NotVisible == 0 {
			t.Errorf("%d rows deleted; %+v", deleted, report)
		}
		if report, err := w.resync(source.Departments, ResyncOptions{}); err != nil || report.Deleted != 0 || report.NotVisible != 1 {
			t.Errorf("departments: %+v, %v", report, err)
		}
	})
}

func (q *rereads) queued(t source.Table, k source.Key) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items[rereadID{t, k}] != nil
}
