package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"deskhouse/source"
)

func poll(w *writer, rec *source.Record) source.Observation {
	return w.cov.FromSearch(rec, timing(), originPoll)
}

func TestAFullQueueHoldsItsSourceBackAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		wh := &hookWarehouse{memWarehouse: newMemWarehouse(), write: func([]source.Row) error { <-release; return nil }}
		r := newRig(t, &fakeDesk{}, wh, nil)
		w := newWriter(source.Tickets, r.deps)
		big := strings.Repeat("x", 1<<20)
		var mu sync.Mutex
		handed, done := 0, map[int]int{}
		feed := func(ctx context.Context) error {
			for i := range 100 {
				rec := ticket(t, uint64(i+1), big, shelfStart)
				if err := w.submit(ctx, []source.Observation{poll(w, rec)}, func(outcome) { mu.Lock(); done[i]++; mu.Unlock() }); err != nil {
					return err
				}
				mu.Lock()
				handed += rec.Size()
				mu.Unlock()
			}
			return nil
		}
		stop := spawn(w.run, feed)
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		if handed > queueBytes || handed < queueBytes/2 {
			t.Errorf("%d bytes taken while nothing can be written, want up to %d", handed, queueBytes)
		}
		if len(done) != 0 {
			t.Errorf("%d confirmed before anything was written", len(done))
		}
		mu.Unlock()
		close(release)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for i := range 100 {
			if done[i] != 1 {
				t.Fatalf("submission %d confirmed %d times", i, done[i])
			}
		}
	})
}

func TestOneSubmissionLargerThanTheQueuePassesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeDesk{}, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(w.run)
		defer stop()
		var obs []source.Observation
		for i := range 40 {
			obs = append(obs, poll(w, ticket(t, uint64(i+1), strings.Repeat("x", 1<<20), shelfStart)))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for range 2 {
			if out, err := w.write(ctx, obs); err != nil || out.Seen != len(obs) {
				t.Fatalf("%+v, %v", out, err)
			}
		}
	})
}

func TestWritesKeepTheirBoundsAndTheirPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		var at []time.Time
		wh := &hookWarehouse{memWarehouse: newMemWarehouse(), write: func(rows []source.Row) error {
			sizes, at = append(sizes, len(rows)), append(at, time.Now())
			return nil
		}}
		r := newRig(t, &fakeDesk{}, wh, nil)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(w.run)
		defer stop()
		const per = 100
		for i := range 900 { // 90,000 small rows at once
			obs := make([]source.Observation, per)
			for j := range obs {
				obs[j] = source.Observation{Key: source.Key{ID: uint64(i*per+j) + 1}, Evidence: source.EvidenceBin, AsOf: shelfStart, Life: source.LifeDeleted, Origin: "bin"}
			}
			must(t, w.submit(t.Context(), obs, nil))
		}
		time.Sleep(time.Minute)
		for i := range 100 { // and a trickle
			must(t, w.submit(t.Context(), []source.Observation{poll(w, ticket(t, uint64(i+1), "x", shelfStart+hour))}, nil))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		total := 0
		for i, n := range sizes {
			if total += n; n > maxWriteRows+per {
				t.Errorf("a write of %d rows", n)
			}
			if i > 3 && at[i].Sub(at[i-1]) < writeInterval {
				t.Errorf("writes %v apart", at[i].Sub(at[i-1]))
			}
		}
		if total != 90_100 {
			t.Fatalf("%d rows written, want 90,100", total)
		}
	})
}

// Whatever fails, however often, every submission is confirmed once, after its
// rows are in.
func TestRetriedWritesConfirmOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		if err := bubble(t, func(t *testing.T) error { return confirmOnce(t, rng) }); err != nil {
			rt.Fatal(err)
		}
	})
}

func confirmOnce(t *testing.T, rng *rand.Rand) error {
	var guard sync.Mutex
	faults := rand.New(rand.NewPCG(rng.Uint64(), 2)) // the writer's own
	maybe := func() error {
		guard.Lock()
		defer guard.Unlock()
		if faults.IntN(2) == 0 {
			return errors.New("connection lost")
		}
		return nil
	}
	wh := &hookWarehouse{memWarehouse: newMemWarehouse(), heads: func([]source.Key) error { return maybe() },
		write: func([]source.Row) error { return maybe() }, side: func([]source.SideRow) error { return maybe() },
		changed: func([]source.Change) error { return maybe() }}
	kv := &journalKV{memKV: newMemKV(), fail: func(string) error { return maybe() }}
	wh.failNext = 2 // and two that fail after they stored
	r := newRig(t, &fakeDesk{}, wh, kv)
	w := newWriter(source.Tickets, r.deps)
	stop := spawn(w.run)
	defer stop()
	var mu sync.Mutex
	var wrong error
	done := map[int]int{}
	for i := range 30 {
		rec := ticket(t, uint64(rng.IntN(10)+1), fmt.Sprint(rng.IntN(5)), shelfStart+int64(rng.IntN(5))*1000)
		o := poll(w, rec)
		must(t, w.submit(t.Context(), []source.Observation{o}, func(out outcome) {
			mu.Lock()
			defer mu.Unlock()
			done[i]++
			if st := wh.row(source.Tickets, rec.Key.ID); st.Content.AsOf < rec.Modified {
				wrong = fmt.Errorf("submission %d confirmed and not stored", i)
			}
		}))
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
	}
	time.Sleep(3 * time.Hour)
	synctest.Wait()
	mu.Lock()
	defer mu.Unlock()
	for i := range 30 {
		if done[i] != 1 {
			return fmt.Errorf("submission %d confirmed %d times", i, done[i])
		}
	}
	return wrong
}

// listedTicket is a search row with a listed column beside its content.
func listedTicket(t fail, id uint64, thread string, modified int64) *source.Record {
	t.Helper()
	return parsed(t, source.Tickets, fmt.Sprintf(`{"id":"%d","subject":"s","createdTime":%q,"modifiedTime":%q,"lastThread":{"channel":%q}}`,
		id, stamp(modified), stamp(modified), thread))
}

func TestSideRegistersFollowTheirAsOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeDesk{}, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		present := listedTicket(t, 1, "", 0).Present
		w.cov = source.NewCoverage(w.res, present, present)
		stop := spawn(w.run)
		defer stop()
		now := time.Now().UnixMilli()/1000*1000 - 10*hour
		see := func(thread string, modified, seenAt int64) string {
			t.Helper()
			o := w.cov.FromSearch(listedTicket(t, 1, thread, modified), source.Timing{Date: time.UnixMilli(seenAt + 1000)}, originPoll)
			_, err := w.write(t.Context(), []source.Observation{o})
			must(t, err)
			rec := r.mem.sides[source.Tickets][source.Listed][source.Key{ID: 1}].Record
			for i, f := range rec.Resource.Fields {
				if f.Name == "lastThread.channel" {
					return strings.Trim(rec.Value(i), `"`)
				}
			}
			return ""
		}
		if got := see("email", now, now); got != "email" {
			t.Fatalf("first sight: %s", got)
		}
		if got := see("older", now-hour, now); got != "email" {
			t.Fatalf("an older row overwrote: %s", got)
		}
		if got := see("phone", now, now+5*hour); got != "phone" {
			t.Fatalf("a listed column that changed without moving modifiedTime is lost: %s", got)
		}
		if got := see("email", now, now+hour); got != "phone" {
			t.Fatalf("an earlier reply that came late overwrote: %s", got)
		}
		if got := see("chat", now+6*hour, now+6*hour); got != "chat" {
			t.Fatalf("a newer row did not win: %s", got)
		}
		// within one batch the same rules hold
		obs := []source.Observation{
			w.cov.FromSearch(listedTicket(t, 1, "new", now+8*hour), source.Timing{Date: time.UnixMilli(now + 9*hour)}, originPoll),
			w.cov.FromSearch(listedTicket(t, 1, "old", now+7*hour), source.Timing{Date: time.UnixMilli(now + 8*hour)}, originPoll)}
		_, err := w.write(t.Context(), obs)
		must(t, err)
		if got := see("older", now, now); got != "new" {
			t.Fatalf("batch: %s", got)
		}
	})
}

func TestChangesAreNumberedByTheirEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := func() []uint64 {
			r := newRig(t, &fakeDesk{}, nil, nil)
			w := newWriter(source.Tickets, r.deps)
			stop := spawn(w.run)
			defer stop()
			send := func() {
				for i := range int64(3) {
					for id := range uint64(3) {
						at := shelfStart + i*hour
						ev := source.Event{Type: "Ticket_Update", Time: at, Trust: true, Deleted: i == 2}
						_, err := w.write(t.Context(), []source.Observation{w.cov.FromEvent(ev, ticket(t, id+1, fmt.Sprint(i), at))})
						must(t, err)
					}
				}
			}
			send()
			n := len(r.mem.changes)
			send() // the log replayed
			if n != 9 || len(r.mem.changes) != 9 {
				t.Fatalf("%d changes, %d after a replay, want 9", n, len(r.mem.changes))
			}
			var ids []uint64
			for id, c := range r.mem.changes {
				ids = append(ids, id)
				if c.Version == 0 || c.Key.ID == 0 || c.Op == source.OpNone {
					t.Fatalf("change %+v", c)
				}
			}
			slices.Sort(ids)
			return ids
		}
		if a, b := ids(), ids(); !slices.Equal(a, b) {
			t.Fatalf("the same evidence gave %v and %v", a, b)
		}
	})
}

func TestTheSnapshotIsNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeDesk{}, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(w.run)
		defer stop()
		_, err := w.write(t.Context(), []source.Observation{w.cov.FromSearch(ticket(t, 1, "x", shelfStart), timing(), originSnapshot)})
		must(t, err)
		if len(r.mem.changes) != 0 {
			t.Fatalf("changes %+v", r.mem.changes)
		}
	})
}
