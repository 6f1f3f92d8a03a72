package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"deskhouse/source"
)

// roll is a plain list of contracts, read by offset.
type roll struct {
	t     fail
	ids   []uint64
	limit int
	calls int
	// before is called ahead of every page, to move rows under the reader.
	before func(*roll)
}

func newRoll(t fail, rows, limit int) *roll {
	l := &roll{t: t, limit: limit}
	for i := range rows {
		l.ids = append(l.ids, uint64(i+1))
	}
	return l
}

func (l *roll) list(_ context.Context, table source.Table, q source.ListQuery) (source.Page, error) {
	if l.before != nil && l.calls > 0 {
		l.before(l)
	}
	l.calls++
	ids := l.ids[min(q.Offset, len(l.ids)):]
	var recs []*source.Record
	for _, id := range ids[:min(len(ids), l.limit)] {
		recs = append(recs, recordOf(l.t, table, id, "", shelfStart, shelfStart))
	}
	return pageOf(recs, -1), nil
}

// read reads the list as a table would and returns the ids shown.
func (l *roll) read(q source.ListQuery) (map[uint64]bool, error) {
	shown := map[uint64]bool{}
	d := deps{desk: &fakeDesk{list: l.list}}
	err := d.eachPage(context.Background(), source.ForSnapshot, source.Contracts, q, nil, func(page source.Page, _ place) error {
		for _, r := range page.Records {
			shown[r.Key.ID] = true
		}
		return nil
	})
	return shown, err
}

// removeFirst takes n rows from the head of the list.
func (l *roll) removeFirst(n int) { l.ids = l.ids[min(n, len(l.ids)):] }

func TestAListAtRestIsReadWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newRoll(t, rapid.IntRange(0, 700).Draw(t, "rows"), rapid.SampledFrom([]int{50, 99, 100, 200}).Draw(t, "page limit"))
		shown, err := l.read(source.ListQuery{})
		if err != nil || len(shown) != len(l.ids) {
			t.Fatalf("%d rows of %d, error %v", len(shown), len(l.ids), err)
		}
		if most := 2 + len(l.ids)/(l.limit-listOverlap); l.calls > most {
			t.Fatalf("%d pages for %d rows, want at most %d", l.calls, len(l.ids), most)
		}
	})
}

// Rows added anywhere, and few rows removed between two pages, hide nothing.
func TestAListThatMovesALittleIsReadWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newRoll(t, rapid.IntRange(0, 600).Draw(t, "rows"), rapid.SampledFrom([]int{50, 99, 100, 200}).Draw(t, "page limit"))
		stable := map[uint64]bool{}
		for _, id := range l.ids {
			stable[id] = true
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "moves"), 1))
		most := rapid.IntRange(0, listOverlap-1).Draw(t, "removed at most")
		l.before = func(l *roll) {
			for range rng.IntN(most + 1) {
				if len(l.ids) > 0 {
					i := rng.IntN(len(l.ids))
					delete(stable, l.ids[i])
					l.ids = slices.Delete(l.ids, i, i+1)
				}
			}
			if rng.IntN(2) == 0 {
				l.ids = append(l.ids, uint64(10_000+l.calls))
			}
		}
		shown, err := l.read(source.ListQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for id := range stable {
			if !shown[id] {
				t.Fatalf("row %d was there throughout and was not shown", id)
			}
		}
		if l.calls > 100 {
			t.Fatalf("%d pages", l.calls)
		}
	})
}

// contracts is a portal whose list tells ids in order of modification and
// whose times are known to GET only.
type contracts struct {
	t        fail
	modified map[uint64]int64
	gone     map[uint64]bool

	mu   sync.Mutex
	gets []uint64
}

func (c *contracts) desk(limit int) *fakeDesk {
	return &fakeDesk{
		list: func(_ context.Context, table source.Table, q source.ListQuery) (source.Page, error) {
			var ids []uint64
			for id := range c.modified {
				ids = append(ids, id)
			}
			slices.SortFunc(ids, func(a, b uint64) int { return int(c.modified[b] - c.modified[a]) })
			ids = ids[min(q.Offset, len(ids)):]
			var recs []*source.Record
			for _, id := range ids[:min(len(ids), limit)] {
				recs = append(recs, parsed(c.t, table, fmt.Sprintf(`{"id":"%d","contractName":"listed"}`, id)))
			}
			return pageOf(recs, -1), nil
		},
		get: func(_ context.Context, table source.Table, id uint64) (*source.Record, source.Timing, error) {
			if c.gone[id] {
				return nil, timing(), notFound
			}
			c.mu.Lock()
			c.gets = append(c.gets, id)
			c.mu.Unlock()
			return recordOf(c.t, table, id, fmt.Sprint(c.modified[id]), shelfStart, c.modified[id]), timing(), nil
		}}
}

func TestContractsArePolledByLastModification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UnixMilli()
		c := &contracts{t: t, modified: map[uint64]int64{}, gone: map[uint64]bool{}}
		for id := range uint64(300) {
			c.modified[id+1] = now - 48*hour - int64(id)*60_000
		}
		r := newRig(t, c.desk(50), nil, nil)
		w := newWriter(source.Contracts, r.deps)
		stop := spawn(r.readers(w)...)
		defer stop()
		g := &getTable{deps: r.deps, w: w}
		if err := r.saveSnapshot(t.Context(), source.Contracts, snapshotState{Done: true, Started: now - 24*hour}); err != nil {
			t.Fatal(err)
		}
		for id := range c.modified {
			r.mem.hold(source.Contracts, source.Key{ID: id}, content(recordOf(t, source.Contracts, id, fmt.Sprint(c.modified[id]), shelfStart, c.modified[id])))
		}
		if err := g.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(c.gets) > 2 {
			t.Fatalf("%d records read by a poll in which nothing changed", len(c.gets))
		}
		time.Sleep(2 * time.Hour)
		changed := time.Now().UnixMilli()/1000*1000 - 60_000
		for id := uint64(101); id <= 170; id++ {
			c.modified[id] = changed + int64(id)*100
		}
		c.gone[105] = true
		c.gets = nil
		if err := g.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for id := uint64(101); id <= 170; id++ {
			st := r.mem.row(source.Contracts, id)
			if st.Deleted != (id == 105) || id != 105 && st.Modified != c.modified[id] {
				t.Errorf("contract %d: deleted %v, modified %d, want %d", id, st.Deleted, st.Modified, c.modified[id])
			}
		}
		if len(c.gets) > 160 {
			t.Errorf("%d records read for 70 that changed", len(c.gets))
		}
	})
}

// A poll that fails leaves its watermark where it was.
func TestAFailedPollKeepsItsWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := &fakeDesk{
			search: func(context.Context, source.Table, source.Query) (source.Page, error) {
				return source.Page{}, forbidden
			},
			list: func(context.Context, source.Table, source.ListQuery) (source.Page, error) {
				return source.Page{}, forbidden
			}}
		r := newRig(t, desk, nil, nil)
		tickets := newWriter(source.Tickets, r.deps)
		for table, reader := range map[source.Table]poller{
			source.Tickets:   &searchTable{deps: r.deps, w: tickets, list: &getTable{deps: r.deps, w: tickets}},
			source.Contracts: &getTable{deps: r.deps, w: newWriter(source.Contracts, r.deps)},
		} {
			want := pollState{Watermark: time.Now().UnixMilli() - hour, Deep: time.Now().UnixMilli() - hour}
			if err := r.saveJSON(t.Context(), pollKey("test", table), want); err != nil {
				t.Fatal(err)
			}
			if err := reader.poll(t.Context()); !source.IsFault(err, source.FaultForbidden) {
				t.Fatalf("%s: error %v, want the refusal", table, err)
			}
			var got pollState
			if _, err := r.loadJSON(t.Context(), pollKey("test", table), &got); err != nil || got != want {
				t.Fatalf("%s: watermark %+v, want %+v (%v)", table, got, want, err)
			}
		}
	})
}
