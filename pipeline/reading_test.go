package pipeline

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// Many rows may go while a page's records are read one by one; those behind
// them must not be skipped.
func TestAListThatShrinksUnderTheReaderIsReadWhole(t *testing.T) {
	for _, c := range []struct {
		name          string
		rows, removed int
	}{
		{"the next page lies beyond the new end", 120, 40},
		{"more than one step back", 400, 80},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newRoll(t, c.rows, 100)
			l.before = func(l *roll) {
				if l.calls == 1 {
					l.removeFirst(c.removed)
				}
			}
			shown, err := l.read(source.ListQuery{})
			must(t, err)
			var missed []uint64
			for _, id := range l.ids {
				if !shown[id] {
					missed = append(missed, id)
				}
			}
			if len(missed) > 0 {
				t.Fatalf("%d rows that were there throughout were not shown, the first %d", len(missed), missed[0])
			}
		})
	}
}

// Rows removed while the process is stopped must not make the load that goes on
// skip others.
func TestALoadOfAListThatGoesOnSkipsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRoll(t, 300, 100)
		broken := errors.New("stopped")
		desk := &fakeDesk{get: func(_ context.Context, table source.Table, id uint64) (*source.Record, source.Timing, error) {
			return recordOf(t, table, id, "x", shelfStart, shelfStart), timing(), nil
		}}
		desk.list = func(ctx context.Context, table source.Table, q source.ListQuery) (source.Page, error) {
			if l.calls == 2 {
				l.calls++
				return source.Page{}, broken
			}
			return l.list(ctx, table, q)
		}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Contracts, r.deps)
		stop := spawn(w.run)
		defer stop()
		g := &getTable{deps: r.deps, w: w}
		if err := g.full(t.Context(), &reading{origin: originSnapshot, put: w.submit}, true); !errors.Is(err, broken) {
			t.Fatalf("error %v, want the stop", err)
		}
		l.removeFirst(20)
		must(t, g.full(t.Context(), &reading{origin: originSnapshot, put: w.submit}, true))
		for _, id := range l.ids {
			if r.mem.row(source.Contracts, id).Version == 0 {
				t.Fatalf("contract %d was there throughout and was not loaded", id)
			}
		}
	})
}

// A portal that tells no count, with pages smaller than asked for, is read to
// its end, or said to be incomplete.
func TestASearchWithoutCountIsReadWhole(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int
		step  int64 // ms between rows
	}{{"pages of 50", 50, 5000}, {"a burst in one second", 100, 0}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(t, c.limit, false, 1)
				for i := range int64(300) {
					s.add(uint64(i+1), shelfStart+i*c.step)
				}
				desk := &fakeDesk{search: func(ctx context.Context, table source.Table, q source.Query) (source.Page, error) {
					page, err := s.search(ctx, table, q)
					page.Count = -1
					return page, err
				}}
				r := newRig(t, desk, nil, nil)
				w := newWriter(source.Tickets, r.deps)
				stop := spawn(w.run)
				defer stop()
				k := s.reader()
				k.desk = desk
				f := &fullRead{deps: r.deps, w: w, put: w.submit, keys: k, ranges: newRanges(shelfStart, shelfStart+1_500_000), origin: originSnapshot}
				must(t, f.run(t.Context(), 1))
				if got := len(r.mem.main[source.Tickets]); got != 300 && len(f.incomplete) == 0 {
					t.Fatalf("%d rows of 300, and the run calls itself complete", got)
				}
			})
		})
	}
}

func TestRule9AListRowWithoutIDIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := &fakeDesk{list: func(_ context.Context, table source.Table, _ source.ListQuery) (source.Page, error) {
			return source.Page{Bad: [][]byte{[]byte(`{"contractName":"without id"}`)}, Rows: 1, Count: -1, At: timing()}, nil
		}}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Contracts, r.deps)
		stop := spawn(w.run)
		defer stop()
		must(t, (&getTable{deps: r.deps, w: w}).full(t.Context(), &reading{origin: originResync, put: w.submit}, false))
		if len(r.letters.reasons) != 1 {
			t.Fatalf("dead letters %q, want the row", r.letters.reasons)
		}
	})
}

// The oldest row is only where the reading begins; one that cannot be placed
// does not make the table empty.
func TestAnOldestRowWithoutIDDoesNotMakeTheTableEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().UnixMilli() - hour
		desk := &fakeDesk{search: func(_ context.Context, _ source.Table, q source.Query) (source.Page, error) {
			page := source.Page{Bad: [][]byte{[]byte(`{}`)}, Rows: 1, Count: 2, At: timing()}
			if q.Limit > 1 {
				page.Records, page.Rows = []*source.Record{ticket(t, 1, "good", at)}, 2
			}
			return page, nil
		}}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(w.run)
		defer stop()
		s := &searchTable{deps: r.deps, w: w, departments: func(context.Context) ([]uint64, error) { return nil, nil }}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		must(t, s.full(ctx, &reading{origin: originResync, put: w.submit}, false))
		if r.mem.row(source.Tickets, 1).Version == 0 {
			t.Fatal("the other row was not read")
		}
	})
}

// A portal whose tickets are all archived shows none by search.
func TestArchivedTicketsAreReadWhereSearchShowsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := &fakeDesk{
			archived: func(context.Context, uint64, int) (source.Page, error) {
				return pageOf([]*source.Record{ticket(t, 1, "archived", shelfStart)}, -1), nil
			},
			get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
				return ticket(t, id, "archived", shelfStart), timing(), nil
			}}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(w.run)
		defer stop()
		s := &searchTable{deps: r.deps, w: w, departments: func(context.Context) ([]uint64, error) { return []uint64{1}, nil }}
		must(t, s.full(t.Context(), &reading{origin: originSnapshot, put: w.submit}, true))
		if r.mem.row(source.Tickets, 1).Version == 0 {
			t.Fatal("the archived ticket was not read")
		}
	})
}

// In a process just started no reply has told Zoho's time yet: the first poll
// takes it from its own first reply.
func TestAPollBeforeAnyReplyKeepsASensibleWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answered := false
		var queries []source.Query
		desk := &fakeDesk{now: func() time.Time {
			if !answered {
				return time.Time{}
			}
			return time.Now()
		}}
		now := time.Now().UnixMilli()
		desk.search = func(_ context.Context, _ source.Table, q source.Query) (source.Page, error) {
			answered = true
			if queries = append(queries, q); q.From <= now && q.To >= now {
				return pageOf([]*source.Record{ticket(t, 1, "changed", now)}, 1), nil
			}
			return pageOf(nil, 0), nil
		}
		desk.list = func(context.Context, source.Table, source.ListQuery) (source.Page, error) {
			answered = true
			return pageOf(nil, -1), nil
		}
		r := newRig(t, desk, nil, nil)
		w, wc := newWriter(source.Tickets, r.deps), newWriter(source.Contracts, r.deps)
		stop := spawn(w.run, wc.run)
		defer stop()
		for table, reader := range map[source.Table]poller{
			source.Tickets:   &searchTable{deps: r.deps, w: w},
			source.Contracts: &getTable{deps: r.deps, w: wc},
		} {
			answered = false
			must(t, r.saveJSON(t.Context(), pollKey("test", table), pollState{Watermark: now - hour, Deep: now - hour}))
			must(t, reader.poll(t.Context()))
			var st pollState
			_, err := r.loadJSON(t.Context(), pollKey("test", table), &st)
			must(t, err)
			if st.Watermark < now-hour || st.Watermark > time.Now().UnixMilli() {
				t.Errorf("%s: the watermark went from an hour ago to %v; asked %+v", table, time.UnixMilli(st.Watermark).UTC(), queries)
			}
		}
		if r.mem.row(source.Tickets, 1).Version == 0 {
			t.Errorf("what had changed was not read")
		}
	})
}

// newPipeline is a sync of tables that are loaded already, polled never.
func newPipeline(t *testing.T, desk *fakeDesk, wh Warehouse, kv *memKV, tables ...source.Table) *Pipeline {
	t.Helper()
	cfg := Config{Name: "p", Tables: tables, Bin: 10_000 * time.Hour, Polls: map[source.Table]time.Duration{}}
	for _, table := range tables {
		cfg.Polls[table] = 10_000 * time.Hour
		must(t, (deps{kv: kv}).saveJSON(t.Context(), rangeKey("p", table), snapshotState{Done: true, Started: 1}))
	}
	return New(cfg, Parts{Desk: desk, Warehouse: wh, KV: kv, Dead: &memLetters{}, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
}

// The methods of a sync may be called from the moment on that Run is called.
func TestCommandsMayComeBeforeTheSyncIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk, kv, wh := &fakeDesk{}, newMemKV(), newMemWarehouse()
		p := newPipeline(t, desk, wh, kv, source.Tickets)
		must(t, p.savePosition(t.Context(), 0))
		stop := spawn(p.Run)
		defer stop()
		must(t, p.PollNow(t.Context(), source.Tickets))
	})
}

// A warehouse that was dropped is loaded again once, not at every start.
func TestAReplacedWarehouseIsLoadedAgainOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := newMemKV()
		must(t, kv.Save(t.Context(), logKey("p"), number(40)))
		wh := newMemWarehouse()
		loads := 0
		desk := &fakeDesk{search: func(_ context.Context, _ source.Table, q source.Query) (source.Page, error) {
			if q.Limit == 1 {
				loads++
			}
			return pageOf(nil, 0), nil
		}}
		p := newPipeline(t, desk, wh, kv, source.Tickets)
		for range 3 {
			stop := spawn(p.Run)
			<-p.Loaded()
			stop()
			p = New(p.cfg, Parts{Desk: desk, Warehouse: wh, KV: kv, Dead: &memLetters{}, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
		}
		if loads != 1 {
			t.Fatalf("loaded %d times by three starts, want once", loads)
		}
	})
}

// A resync in which nothing differs reports no drift.
func TestAResyncOfEqualTablesReportsNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		department := func(id uint64) *source.Record {
			return parsed(t, source.Departments, `{"id":"`+string(rune('0'+id))+`","name":"x","createdTime":"2000-01-01T00:00:00.000Z"}`)
		}
		contract := func(id uint64) *source.Record {
			return recordOf(t, source.Contracts, id, "x", shelfStart-100_000*hour, shelfStart-100_000*hour)
		}
		desk := &fakeDesk{
			list: func(_ context.Context, table source.Table, _ source.ListQuery) (source.Page, error) {
				if table == source.Departments {
					return pageOf([]*source.Record{department(1), department(2)}, -1), nil
				}
				return pageOf([]*source.Record{contract(1), contract(2)}, -1), nil
			},
			get: func(_ context.Context, table source.Table, id uint64) (*source.Record, source.Timing, error) {
				if table == source.Departments {
					return department(id), timing(), nil
				}
				return contract(id), timing(), nil
			}}
		p := newPipeline(t, desk, newMemWarehouse(), newMemKV(), source.Departments, source.Contracts)
		must(t, p.savePosition(t.Context(), 0))
		stop := spawn(p.Run)
		defer stop()
		<-p.Loaded()
		for _, table := range []source.Table{source.Departments, source.Contracts} {
			_, err := p.Resync(t.Context(), table, ResyncOptions{Trigger: "fills the table"})
			must(t, err)
			time.Sleep(24 * time.Hour)
			report, err := p.Resync(t.Context(), table, ResyncOptions{Trigger: "finds it equal"})
			must(t, err)
			if report.Repaired != 0 || report.Unchanged == 0 {
				t.Errorf("%s: %d repaired, %d unchanged, and nothing differs", table, report.Repaired, report.Unchanged)
			}
		}
	})
}

// A key that an agent profile hides for good is learned as missing by the next
// resync; until then its absence is a hint.
func TestAResyncLearnsAnewWhatRepliesCarry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().UnixMilli() - hour
		narrow := func(id uint64) *source.Record { // without a subject
			return parsed(t, source.Tickets, `{"id":"`+string(rune('0'+id))+`","createdTime":"`+stamp(at)+`","modifiedTime":"`+stamp(at)+`"}`)
		}
		desk := &fakeDesk{
			search: func(context.Context, source.Table, source.Query) (source.Page, error) {
				return pageOf([]*source.Record{narrow(1), narrow(2)}, 2), nil
			},
			get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
				return narrow(id), timing(), nil
			}}
		kv := newMemKV()
		wide := ticket(t, 1, "", 0).Present
		must(t, (deps{kv: kv}).saveJSON(t.Context(), keysKey("p", source.Tickets), struct{ Search, Get source.FieldSet }{wide, wide}))
		p := newPipeline(t, desk, newMemWarehouse(), kv, source.Tickets)
		must(t, p.savePosition(t.Context(), 0))
		stop := spawn(p.Run)
		defer stop()
		<-p.Loaded()
		_, err := p.Resync(t.Context(), source.Tickets, ResyncOptions{Trigger: "test"})
		must(t, err)
		if o := p.covs[source.Tickets].FromSearch(narrow(1), timing(), originPoll); o.Hint {
			t.Fatal("after a complete resync without the key every row still asks for a re-read, for ever")
		}
	})
}

// Progress that could not be saved is saved by the next attempt.
func TestRangesThatWereNotSavedAreStillDirty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(t, 100, false, 1)
		for i := range int64(300) {
			s.add(uint64(i+1), time.Now().UnixMilli()-hour+i*5000)
		}
		desk := &fakeDesk{search: s.search}
		kv := &journalKV{memKV: newMemKV()}
		r := newRig(t, desk, nil, kv)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(w.run)
		defer stop()
		failed := false
		kv.fail = func(string) error { // once, when everything is in the warehouse
			if n, _, _ := r.mem.Counts(t.Context(), source.Tickets); n == 300 && !failed {
				failed = true
				return errors.New("disk full")
			}
			return nil
		}
		st := &searchTable{deps: r.deps, w: w, departments: s.departments}
		must(t, st.full(t.Context(), &reading{origin: originSnapshot, put: w.submit}, true))
		snap, err := r.loadSnapshot(t.Context(), source.Tickets)
		must(t, err)
		if !failed {
			t.Fatal("nothing failed: the test proves nothing")
		}
		rs, err := decodeRanges(snap.Spans)
		must(t, err)
		if slices.ContainsFunc(rs.spans, func(s *span) bool { return !s.Done }) {
			t.Fatalf("after the reading ended the stored ranges are %s", snap.Spans)
		}
	})
}
