package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// ledger is a portal of tickets that keeps book of every change, so that each
// move of progress can be held against what the warehouse has at that moment.
type ledger struct {
	t   *testing.T
	rng *rand.Rand
	s   *shelf // by createdTime
	log *memLog

	mu       sync.Mutex
	modified map[uint64]int64
	subject  map[uint64]string
	changes  []edit
	logged   []edit // of message i+1
	wrong    []string
	moves    map[string]int // progress keys saved
}

type edit struct {
	id       uint64
	modified int64
}

func (l *ledger) record(id uint64) *source.Record {
	at := l.s.createdOf(id)
	return recordOf(l.t, source.Tickets, id, l.subject[id], at, l.modified[id])
}

func (s *shelf) createdOf(id uint64) int64 {
	for _, r := range s.rows {
		if r.id == id {
			return r.created
		}
	}
	return 0
}

// edit changes one ticket now and sends its event, or loses it.
func (l *ledger) edit(lost bool) {
	l.mu.Lock()
	id := uint64(l.rng.IntN(len(l.modified)) + 1)
	now := time.Now().UnixMilli()
	l.modified[id], l.subject[id] = now/1000*1000, fmt.Sprint(now)
	e := edit{id, l.modified[id]}
	l.changes = append(l.changes, e)
	rec := fmt.Sprintf(`{"id":"%d","subject":%q,"createdTime":%q,"modifiedTime":%q}`, id, l.subject[id], stamp(l.s.createdOf(id)), stamp(l.modified[id]))
	if !lost {
		l.logged = append(l.logged, e)
	}
	l.mu.Unlock()
	if !lost {
		appendEvents(l.t, l.log, ticketEvent("Ticket_Update", now, rec))
	}
}

func (l *ledger) desk() *fakeDesk {
	return &fakeDesk{search: l.search, get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
		time.Sleep(200 * time.Millisecond)
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.record(id), timing(), nil
	}}
}

func (l *ledger) search(ctx context.Context, t source.Table, q source.Query) (source.Page, error) {
	l.mu.Lock()
	wait, broken := time.Duration(l.rng.IntN(3000))*time.Millisecond, l.rng.IntN(10) == 0
	l.mu.Unlock()
	time.Sleep(wait)
	if broken {
		return source.Page{}, busy
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.s
	if q.By == source.ByModified {
		s = newShelf(l.t, 100, false, 1)
		for id, m := range l.modified {
			s.add(id, m)
		}
	}
	page, err := s.search(ctx, t, q)
	for i, r := range page.Records {
		page.Records[i] = l.record(r.Key.ID)
	}
	return page, err
}

// check is called with every progress that is about to be saved.
func (l *ledger) check(wh *memWarehouse, key string, value []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	has := func(e edit, why string) {
		if st := wh.row(source.Tickets, e.id); st.Version == 0 || st.Content.AsOf < e.modified {
			l.wrong = append(l.wrong, fmt.Sprintf("%s passed ticket %d of %d: %s", key, e.id, e.modified, why))
		}
	}
	l.moves[strings.Split(key, ".")[0]+key[strings.LastIndex(key, ".")+1:]]++
	switch {
	case key == logKey("p") || key == "position":
		n, _ := parseNumber(value)
		for _, e := range l.logged[:min(int(n), len(l.logged))] {
			has(e, fmt.Sprintf("log %d", n))
		}
	case key == rangeKey("p", source.Tickets):
		var st snapshotState
		var spans []span
		_ = json.Unmarshal(value, &st)
		_ = json.Unmarshal(st.Spans, &spans)
		for _, r := range l.s.rows {
			inside := st.Done
			for _, s := range spans {
				inside = inside || r.created >= s.From && (r.created < min(s.Cursor, s.To+1000) || s.Done && r.created < s.To+1000)
			}
			if inside {
				has(edit{r.id, r.created}, "range")
			}
		}
	case key == pollKey("p", source.Tickets):
		var st pollState
		_ = json.Unmarshal(value, &st)
		for _, e := range l.changes {
			if e.modified < st.Watermark-2000 {
				has(e, fmt.Sprintf("watermark %d", st.Watermark))
			}
		}
	}
}

// checkedKV holds every saved progress against the warehouse, and fails at
// random, before or after it stored.
type checkedKV struct {
	*memKV
	l     *ledger
	wh    *memWarehouse
	fault func() error
}

func (s *checkedKV) Save(ctx context.Context, key string, value []byte) error {
	if err := s.fault(); err != nil {
		return err
	}
	s.l.check(s.wh, key, value)
	if err := s.memKV.Save(ctx, key, value); err != nil {
		return err
	}
	return s.fault()
}

// TestRule8ProgressMovesOnlyAfterTheSinkConfirmed lets writes, state and calls
// fail at random, stops the sync at arbitrary moments, and holds every
// checkpoint, cursor and watermark against the warehouse when it is saved.
func TestRule8ProgressMovesOnlyAfterTheSinkConfirmed(t *testing.T) {
	moves := map[string]int{}
	for seed := range uint64(25) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { confirmedOnly(t, seed, moves) })
		})
	}
	for _, kind := range []string{"positionposition", "ckptlog", "rangetickets", "ckpttickets"} {
		if moves[kind] < 50 {
			t.Errorf("%s was saved %d times only: the test proves little", kind, moves[kind])
		}
	}
}

func confirmedOnly(t *testing.T, seed uint64, moves map[string]int) {
	rng := rand.New(rand.NewPCG(seed, 8))
	faults := rand.New(rand.NewPCG(seed, 9))
	l := &ledger{t: t, rng: rand.New(rand.NewPCG(seed, 10)), s: newShelf(t, 100, false, 1), log: newMemLog(), modified: map[uint64]int64{}, subject: map[uint64]string{}, moves: moves}
	now := time.Now().UnixMilli()
	for id := uint64(1); id <= uint64(500+rng.IntN(1500)); id++ {
		at := now - int64(rng.IntN(100_000))*1000 - hour
		l.s.add(id, at)
		l.modified[id], l.subject[id] = at, "as created"
	}
	var mu sync.Mutex
	rate := 3
	fault := func() error {
		mu.Lock()
		defer mu.Unlock()
		if rate > 0 && faults.IntN(rate) == 0 {
			return errors.New("not now")
		}
		return nil
	}
	l.s.t = t
	wh := &hookWarehouse{memWarehouse: newMemWarehouse(), heads: func([]source.Key) error { return fault() }, write: func([]source.Row) error { return fault() }}
	wh.pos = func(seq uint64) error {
		l.check(wh.memWarehouse, "position", number(seq))
		return fault()
	}
	kv := &checkedKV{memKV: newMemKV(), l: l, wh: wh.memWarehouse, fault: fault}
	seen := ticket(t, 1, "", 0).Present
	must(t, (deps{kv: kv.memKV}).saveJSON(t.Context(), keysKey("p", source.Tickets), struct{ Search, Get source.FieldSet }{seen, seen}))
	begin := func() func() {
		return spawn(func(ctx context.Context) error {
			for ctx.Err() == nil { // opening may fail as well
				p := New(Config{Name: "p", OrgID: 1, Trust: true, Tables: []source.Table{source.Tickets}, Bin: time.Hour,
					Polls: map[source.Table]time.Duration{source.Tickets: 5 * time.Minute}},
					Parts{Desk: l.desk(), Warehouse: wh, KV: kv, Events: l.log, Dead: &memLetters{}, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
				if err := p.Run(ctx); err != nil {
					time.Sleep(time.Second)
				}
			}
			return nil
		})
	}
	stop := begin()
	for range 60 {
		for range rng.IntN(4) {
			l.edit(rng.IntN(3) == 0)
		}
		time.Sleep(time.Duration(rng.IntN(90_000)) * time.Millisecond)
		if rng.IntN(8) == 0 {
			stop()
			wh.mu.Lock()
			wh.failNext = rng.IntN(3)
			wh.mu.Unlock()
			stop = begin()
		}
	}
	mu.Lock()
	rate = 0
	mu.Unlock()
	time.Sleep(3 * time.Hour)
	synctest.Wait()
	stop()
	for _, why := range l.wrong[:min(len(l.wrong), 5)] {
		t.Error(why)
	}
	for id := range l.modified {
		if got := subjectOf(wh.row(source.Tickets, id).Record); got != fmt.Sprintf("%q", l.subject[id]) {
			t.Fatalf("ticket %d: %s, want %q", id, got, l.subject[id])
		}
	}
}
