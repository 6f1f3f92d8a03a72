package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// loaded starts a sync of a portal and compares once it is loaded and quiet.
func (w *world) loaded() {
	w.start()
	defer func() { w.stop() }()
	<-w.p.Loaded()
	w.quiet(false)
	w.compare()
}

func TestWhereSearchIsRefusedTheListIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, desksim.Config{Seed: 1, Tickets: 230, Products: 60, ScopesAnyOf: false})
		defer w.portal.Close()
		w.portal.Faults().RefuseScope("Desk.search.READ")
		w.start()
		defer func() { w.stop() }()
		<-w.p.Loaded()
		w.must(w.p.Settled(context.Background()))
		w.compare()
	})
}

// 3,000 tickets of one import share a second: more than offsets reach from both
// ends, and more than departments divide.
func TestASecondIsDividedUntilItIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, desksim.Config{Seed: 3, Tickets: 6200, Burst: 6000, Departments: 2, CreditsPerDay: -1})
		defer w.portal.Close()
		w.loaded()
	})
}

// A search whose count is that of the page says nothing of the end.
func TestACountOfThePageEndsNothing(t *testing.T) {
	shelf := newShelf(t, 50, false, 1)
	for id := range uint64(170) {
		shelf.add(id+1, shelfStart+int64(id)*10_000)
	}
	k := shelf.reader()
	search := k.desk.(*fakeDesk).search
	k.desk.(*fakeDesk).search = func(ctx context.Context, t source.Table, q source.Query) (source.Page, error) {
		page, err := search(ctx, t, q)
		page.Count = int64(page.Rows)
		return page, err
	}
	seen := map[source.Key]bool{}
	for at, to := int64(shelfStart), int64(shelfStart)+3_600_000; ; {
		st, err := k.next(t.Context(), at, to)
		must(t, err)
		for _, r := range st.page.Records {
			seen[r.Key] = true
		}
		if at = st.at; st.ended {
			break
		}
	}
	if len(seen) != 170 {
		t.Fatalf("%d of 170 rows read", len(seen))
	}
}

// One record that always fails must not hold up its table.
func TestOneRecordThatAlwaysFailsDoesNotHoldUpItsTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeDesk{get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
			if id == 3 {
				return nil, timing(), &source.CallError{Fault: source.FaultRetry, Op: "GET", Status: 500, Code: "INTERNAL_SERVER_ERROR"}
			}
			return ticket(t, id, "x", time.Now().UnixMilli()), timing(), nil
		}}, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		keys := []source.Key{{ID: 1}, {ID: 2}, {ID: 3}}
		obs, err := r.getEach(t.Context(), w, source.ForSnapshot, keys, originSnapshot)
		must(t, err)
		if obs[0].Record == nil || obs[1].Record == nil || !obs[2].Hint {
			t.Fatalf("observations %+v", obs)
		}
	})
}

// Records that vanish right after they were read are found by the resync all
// the same: a lag allowance must not make them immune.
func TestAResyncFindsWhatVanishedAMinuteAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, desksim.Config{Seed: 5, Tickets: 120, QuietRemovals: true})
		defer w.portal.Close()
		w.start()
		defer func() { w.stop() }()
		<-w.p.Loaded()
		var spam []uint64
		for range 5 {
			id, err := w.portal.MarkSpam(0)
			w.must(err)
			spam = append(spam, id)
		}
		w.must(w.portal.Flush(context.Background()))
		w.must(w.p.Settled(context.Background()))
		for _, id := range spam {
			_, err := w.portal.DeleteSpam(id)
			w.must(err)
		}
		report, err := w.p.Resync(context.Background(), source.Tickets, ResyncOptions{Trigger: "test"})
		w.must(err)
		if report.Deleted != 5 {
			t.Fatalf("report %+v", report)
		}
		w.compare()
	})
}
