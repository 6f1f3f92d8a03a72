package pipeline

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

// trash is a recycle bin, newest deletions first.
type trash struct {
	mu    sync.Mutex
	items []source.BinItem
	pages int
	gone  map[uint64]bool // purged: GET does not find them
	gets  map[uint64]int
}

func (b *trash) throw(id uint64, at int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = slices.Insert(b.items, 0, source.BinItem{Key: source.Key{ID: id}, DeletedAt: at})
}

func (b *trash) take(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = slices.DeleteFunc(b.items, func(i source.BinItem) bool { return i.Key.ID == id })
}

func (b *trash) desk(t fail) *fakeDesk {
	return &fakeDesk{
		bin: func(_ context.Context, _ source.Table, offset, limit int) ([]source.BinItem, source.Timing, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.pages++
			items := b.items[min(offset, len(b.items)):]
			return slices.Clone(items[:min(len(items), limit)]), timing(), nil
		},
		get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.gets[id]++
			if b.gone[id] || slices.ContainsFunc(b.items, func(i source.BinItem) bool { return i.Key.ID == id }) {
				return nil, timing(), notFound
			}
			return ticket(t, id, "restored", shelfStart), timing(), nil
		}}
}

func newTrash(t *testing.T) (*trash, *rig, *binReader, func()) {
	b := &trash{gone: map[uint64]bool{}, gets: map[uint64]int{}}
	r := newRig(t, b.desk(t), nil, nil)
	w := newWriter(source.Tickets, r.deps)
	return b, r, newBinReader(r.deps, w), spawn(r.readers(w)...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheBinDeletesHidesNoContentAndFindsRestores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, reader, stop := newTrash(t)
		defer stop()
		now := time.Now().UnixMilli()
		r.mem.hold(source.Tickets, source.Key{ID: 1}, content(ticket(t, 1, "known", now-48*hour)))
		b.throw(1, now-hour)
		b.throw(2, now-hour) // never seen alive
		must(t, reader.round(t.Context(), true))
		if st := r.mem.row(source.Tickets, 1); !st.Deleted || st.DeletedAt != now-hour || subjectOf(st.Record) != `"known"` {
			t.Fatalf("ticket 1: %+v", st)
		}
		if st := r.mem.row(source.Tickets, 2); !st.Deleted || st.Content.AsOf != 0 {
			t.Fatalf("an unknown id in the bin is a row too, got %+v", st.Head)
		}
		b.take(1)
		must(t, reader.round(t.Context(), true))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if st := r.mem.row(source.Tickets, 1); st.Deleted || subjectOf(st.Record) != `"restored"` {
			t.Fatalf("a restore has no event, the bin must show it: %+v", st.Head)
		}
		b.throw(1, time.Now().UnixMilli())
		must(t, reader.round(t.Context(), true))
		b.take(1)
		must(t, reader.round(t.Context(), true))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if st := r.mem.row(source.Tickets, 1); st.Deleted {
			t.Fatal("the second restore was not found")
		}
	})
}

func TestWhatWasPurgedIsAskedForTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, reader, stop := newTrash(t)
		defer stop()
		now := time.Now().UnixMilli()
		b.throw(1, now)
		must(t, reader.round(t.Context(), true))
		b.take(1)
		b.gone[1] = true
		for range 5 {
			must(t, reader.round(t.Context(), true))
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		if b.gets[1] != 4 || !r.mem.row(source.Tickets, 1).Deleted {
			t.Fatalf("asked %d times (twice, and 404 counts the second time), deleted %v", b.gets[1], r.mem.row(source.Tickets, 1).Deleted)
		}
		// a new process remembers it
		second := newBinReader(r.deps, reader.w)
		must(t, second.round(t.Context(), true))
		time.Sleep(time.Hour)
		synctest.Wait()
		if b.gets[1] != 4 {
			t.Fatalf("asked %d times after a restart", b.gets[1])
		}
	})
}

func TestTheBinIsPagedUntilNothingIsNewOrToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, reader, stop := newTrash(t)
		defer stop()
		now := time.Now().UnixMilli()
		for id := range uint64(430) {
			b.throw(id+1, now+int64(id))
		}
		must(t, reader.round(t.Context(), false)) // the first is whole in any case
		if _, deleted, _ := r.mem.Counts(t.Context(), source.Tickets); deleted != 430 || b.pages != 5 {
			t.Fatalf("%d deleted by %d pages, want 430 by 5", deleted, b.pages)
		}
		b.pages = 0
		must(t, reader.round(t.Context(), false))
		if b.pages != 1 {
			t.Fatalf("%d pages when nothing is new, want 1", b.pages)
		}
		for id := uint64(1000); id < 1150; id++ {
			b.throw(id, now+int64(id))
		}
		b.pages = 0
		must(t, reader.round(t.Context(), false))
		if _, deleted, _ := r.mem.Counts(t.Context(), source.Tickets); deleted != 580 || b.pages != 3 {
			t.Fatalf("%d deleted by %d pages, want 580 by 3: two with news and one without", deleted, b.pages)
		}
		b.pages = 0
		time.Sleep(wholeBinEvery)
		must(t, reader.round(t.Context(), false))
		if b.pages != 7 {
			t.Fatalf("%d pages an hour later, want the whole bin by 7", b.pages)
		}
		if len(b.gets) != 0 {
			t.Fatalf("asked for %v, and nothing left the bin", b.gets)
		}
	})
}
