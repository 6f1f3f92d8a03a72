package pipeline

import (
	"cmp"
	"context"
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

// shelf is a portal of tickets that can be searched by createdTime, with the
// limits of a real one.
type shelf struct {
	t         fail
	limit     int  // rows a page holds at most
	exclusive bool // the ends of a range do not belong to it
	departs   uint64

	mu    sync.Mutex
	rows  []shelved // by created, id
	recs  map[uint64]*source.Record
	calls int
	// before is called ahead of every search, to move rows under the reader.
	before func(*shelf)
}

type shelved struct {
	created int64
	id      uint64
}

func newShelf(t fail, limit int, exclusive bool, departs uint64) *shelf {
	return &shelf{t: t, limit: limit, exclusive: exclusive, departs: departs, recs: map[uint64]*source.Record{}}
}

func (s *shelf) compare(a, b shelved) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
}

func (s *shelf) add(id uint64, created int64) {
	at, _ := slices.BinarySearchFunc(s.rows, shelved{created, id}, s.compare)
	s.rows = slices.Insert(s.rows, at, shelved{created, id})
}

func (s *shelf) record(r shelved) *source.Record {
	if s.recs[r.id] == nil {
		s.recs[r.id] = ticket(s.t, r.id, "", r.created)
	}
	return s.recs[r.id]
}

func (s *shelf) search(_ context.Context, _ source.Table, q source.Query) (source.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.before != nil {
		s.before(s)
	}
	if q.Offset > 999 {
		s.t.Fatalf("offset %d is refused by portals", q.Offset)
	}
	from, to := q.From/1000*1000, (q.To+999)/1000*1000 // as the client sends them
	if s.exclusive {
		from, to = from+1, to-1
	}
	lo, _ := slices.BinarySearchFunc(s.rows, shelved{from, 0}, s.compare)
	hi, _ := slices.BinarySearchFunc(s.rows, shelved{to + 1, 0}, s.compare)
	var match []shelved
	if lo < hi {
		match = slices.Clone(s.rows[lo:hi])
	}
	if d := q.Filter["departmentId"]; d != "" {
		match = slices.DeleteFunc(match, func(r shelved) bool { return fmt.Sprint(r.id%s.departs+1) != d })
	}
	if q.Desc {
		slices.Reverse(match)
	}
	count := len(match)
	match = match[min(q.Offset, count):]
	match = match[:min(len(match), q.Limit, s.limit)]
	page := pageOf(nil, int64(count))
	for _, r := range match {
		page.Records = append(page.Records, s.record(r))
	}
	page.Rows = len(page.Records)
	return page, nil
}

func (s *shelf) departments(context.Context) ([]uint64, error) {
	var ids []uint64
	for d := range s.departs {
		ids = append(ids, d+1)
	}
	return ids, nil
}

func (s *shelf) reader() *keyReader {
	return &keyReader{desk: &fakeDesk{search: s.search}, table: source.Tickets, by: source.ByCreated, departments: s.departments}
}

const shelfStart = int64(1_600_000_000_000)

// fill puts rows at arbitrary seconds: alone, in dense stretches and in bursts.
func (s *shelf) fill(t *rapid.T, bursts bool) (seconds int64) {
	seconds = rapid.Int64Range(1, 5000).Draw(t, "seconds")
	id := uint64(0)
	for range rapid.IntRange(0, 6).Draw(t, "stretches") {
		at := rapid.Int64Range(0, seconds).Draw(t, "second")
		n := rapid.SampledFrom([]int{1, 3, 40, 60, 99, 100, 101, 400}).Draw(t, "rows")
		width := rapid.SampledFrom([]int64{1, 2, 20, 3000}).Draw(t, "width")
		if bursts && rapid.IntRange(0, 9).Draw(t, "burst") == 0 {
			n, width = rapid.SampledFrom([]int{150, 1000, 1001, 2300}).Draw(t, "burst rows"), 1
		}
		for i := range int64(n) {
			id++
			s.add(id, shelfStart+min(at+i%width, seconds)*1000+i*7%1000)
		}
	}
	return seconds
}

// crew is any number of workers over one set of ranges, stepped one action at a
// time, and the writer that confirms their pages in order.
type crew struct {
	t       *rapid.T
	s       *shelf
	r       *ranges
	stored  []byte
	idle    []bool
	holds   []*span
	replies []*step // of a request in flight
	pages   []handed
	durable map[uint64]bool
	missing bool // the run says of itself that rows may be missing
}

type handed struct {
	span *span
	st   step
}

func (c *crew) start(workers int) {
	c.idle, c.holds, c.replies, c.pages = make([]bool, workers), make([]*span, workers), make([]*step, workers), nil
}

// work moves one worker on; it reports false when that one has nothing to do.
func (c *crew) work(i int) bool {
	s := c.holds[i]
	switch {
	case s == nil:
		taken, busy := c.r.take()
		if c.idle[i] = taken == nil; c.idle[i] {
			return busy
		}
		c.holds[i] = taken
	case c.replies[i] == nil:
		at, to := c.r.bounds(s)
		k := c.s.reader()
		st, err := k.next(context.Background(), at, to)
		if err != nil {
			c.t.Fatalf("read: %v", err)
		}
		c.replies[i] = &st
	default:
		st := *c.replies[i]
		finished := c.r.advance(s, st.at, st.left, st.ended)
		c.pages = append(c.pages, handed{s, st})
		c.missing = c.missing || st.incomplete != ""
		if c.replies[i] = nil; finished {
			c.holds[i] = nil
		}
	}
	return true
}

func (c *crew) confirm() {
	h := c.pages[0]
	c.pages = c.pages[1:]
	for _, rec := range h.st.page.Records {
		c.durable[rec.Key.ID] = true
	}
	c.r.confirm(h.span, h.st.at)
}

func (c *crew) done() bool {
	select {
	case <-c.r.confirmed:
		return true
	default:
		return false
	}
}

// A complete reading delivers every row that existed throughout, however many
// workers read and split, whatever the portal's limits, and from whichever
// stored form it goes on after a stop at any moment.
func TestReadingByKeyLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShelf(t, rapid.SampledFrom([]int{100, 50, 99}).Draw(t, "page limit"), rapid.Bool().Draw(t, "exclusive ends"), 4)
		seconds := s.fill(t, true)
		moves := rapid.SampledFrom([]string{"none", "removed", "added"}).Draw(t, "rows are")
		stable := map[uint64]bool{}
		for _, r := range s.rows {
			stable[r.id] = true
		}
		s.before = mover(t, moves, stable, seconds)
		rs := newRanges(shelfStart, shelfStart+seconds*1000)
		first, _, _, _ := rs.encode()
		c := &crew{t: t, s: s, r: rs, stored: first, durable: map[uint64]bool{}}
		c.start(rapid.IntRange(1, 5).Draw(t, "workers"))
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1))
		for steps, crashes := 0, 0; !c.done(); steps++ {
			if steps > 1_000_000 {
				t.Fatalf("no end: %d pages waiting, holds %v", len(c.pages), c.holds)
			}
			switch n := rng.IntN(1000); {
			case n < 400 && len(c.pages) > 0:
				c.confirm()
			case n < 450:
				c.stored, _, _, _ = c.r.encode()
			case n < 452 && crashes < 5:
				crashes++
				var err error
				if c.r, err = decodeRanges(c.stored); err != nil {
					t.Fatal(err)
				}
				c.start(len(c.holds))
			default:
				c.work(rng.IntN(len(c.holds)))
			}
		}
		if len(c.pages) != 0 || slices.ContainsFunc(c.holds, func(s *span) bool { return s != nil }) {
			t.Fatalf("confirmed with %d pages open and spans %v held", len(c.pages), c.holds)
		}
		for id := range stable {
			if !c.durable[id] && !c.missing {
				t.Fatalf("row %d was there throughout and was not read, of %d rows", id, len(s.rows))
			}
		}
		if c.missing && moves == "none" {
			t.Fatal("a portal at rest, no department beyond the offsets: nothing may be missing")
		}
	})
}

// mover removes or adds rows while they are read; removed ones leave stable.
func mover(t *rapid.T, how string, stable map[uint64]bool, seconds int64) func(*shelf) {
	if how == "none" {
		return nil
	}
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "moves"), 2))
	next := uint64(1_000_000)
	return func(s *shelf) {
		for range rng.IntN(4) {
			if how == "added" {
				next++
				at := shelfStart + rng.Int64N(seconds+1)*1000
				if len(s.rows) > 0 && rng.IntN(2) == 0 {
					at = s.rows[rng.IntN(len(s.rows))].created
				}
				s.add(next, at)
			} else if len(s.rows) > 0 {
				i := rng.IntN(len(s.rows))
				delete(stable, s.rows[i].id)
				s.rows = slices.Delete(s.rows, i, i+1)
			}
		}
	}
}

// The number of requests stays near the number of pages: what the overlaps,
// splits and dense seconds may add is bounded.
func TestReadingByKeyCostsFewRequests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShelf(t, rapid.SampledFrom([]int{100, 50}).Draw(t, "page limit"), false, 4)
		seconds := s.fill(t, false)
		c := &crew{t: t, s: s, r: newRanges(shelfStart, shelfStart+seconds*1000), durable: map[uint64]bool{}}
		c.start(rapid.IntRange(1, 5).Draw(t, "workers"))
		for i := 0; !c.done(); i++ {
			if !c.work(i%len(c.holds)) || len(c.pages) > 0 {
				for len(c.pages) > 0 {
					c.confirm()
				}
			}
		}
		dense := map[int64]int{} // rows around each second
		for _, r := range s.rows {
			for d := int64(-1); d <= 1; d++ {
				dense[r.created/1000+d]++
			}
		}
		most := 2 + 2*len(s.rows)/s.limit + len(c.r.spans)
		for _, n := range dense {
			if n >= s.limit/2 {
				most += 2 + 2*n/s.limit
			}
		}
		if s.calls > most {
			t.Fatalf("%d requests for %d rows in %d seconds, %d spans; want at most %d", s.calls, len(s.rows), seconds, len(c.r.spans), most)
		}
	})
}

// The real reading, with its own workers, a writer and requests that take time
// and fail.
func TestFullReadReadsEverythingInParallel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newShelf(rt, rapid.SampledFrom([]int{100, 50, 99}).Draw(rt, "page limit"), rapid.Bool().Draw(rt, "exclusive ends"), 3)
		seconds := s.fill(rt, false)
		delay := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "delays"), 3))
		err := bubble(t, func(t *testing.T) error { return readInParallel(t, s, seconds, delay) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func readInParallel(t *testing.T, s *shelf, seconds int64, delay *rand.Rand) error {
	var mu sync.Mutex
	desk := &fakeDesk{search: func(ctx context.Context, table source.Table, q source.Query) (source.Page, error) {
		mu.Lock()
		d, broken := time.Duration(delay.IntN(2000))*time.Millisecond, delay.IntN(20) == 0
		mu.Unlock()
		time.Sleep(d)
		if broken {
			return source.Page{}, busy
		}
		return s.search(ctx, table, q)
	}}
	r := newRig(t, desk, nil, nil)
	w := newWriter(source.Tickets, r.deps)
	stop := spawn(w.run)
	defer stop()
	k := s.reader()
	k.desk = desk
	f := &fullRead{deps: r.deps, w: w, put: w.submit, keys: k, ranges: newRanges(shelfStart, shelfStart+seconds*1000), origin: originSnapshot}
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
	defer cancel()
	if err := f.run(ctx, readWorkers); err != nil {
		return err
	}
	if got := len(r.mem.main[source.Tickets]); got != len(s.rows) || len(f.incomplete) != 0 {
		return fmt.Errorf("%d rows of %d, incomplete: %v", got, len(s.rows), f.incomplete)
	}
	return nil
}

// A failure that time does not heal ends the reading, with every worker home
// and the ranges as far as they were confirmed.
func TestFullReadEndsOnARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(t, 100, false, 1)
		for i := range 5000 {
			s.add(uint64(i+1), shelfStart+int64(i)*1000)
		}
		calls := 0
		desk := &fakeDesk{search: func(ctx context.Context, table source.Table, q source.Query) (source.Page, error) {
			time.Sleep(time.Second)
			s.mu.Lock()
			calls++
			refuse := calls > 20
			s.mu.Unlock()
			if refuse {
				return source.Page{}, forbidden
			}
			return s.search(ctx, table, q)
		}}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(w.run)
		defer stop()
		k := s.reader()
		k.desk = desk
		rs := newRanges(shelfStart, shelfStart+5_000_000)
		f := &fullRead{deps: r.deps, w: w, put: w.submit, keys: k, ranges: rs, origin: originSnapshot}
		if err := f.run(t.Context(), readWorkers); !source.IsFault(err, source.FaultForbidden) {
			t.Fatalf("error %v, want the refusal", err)
		}
		if len(rs.confirmed) != 0 || rs.done() {
			t.Fatal("an ended reading counts as complete")
		}
	})
}

func TestAPortalThatIgnoresTheOrderIsNotReadByKey(t *testing.T) {
	desk := &fakeDesk{search: func(context.Context, source.Table, source.Query) (source.Page, error) {
		return pageOf([]*source.Record{ticket(t, 1, "", shelfStart+9000), ticket(t, 2, "", shelfStart)}, 2), nil
	}}
	k := &keyReader{desk: desk, table: source.Tickets, by: source.ByCreated}
	if _, err := k.next(t.Context(), shelfStart, shelfStart+10_000); err == nil || !strings.Contains(err.Error(), "sortBy") {
		t.Fatalf("error %v, want one that names the order", err)
	}
}

// Within one second only offsets help. A row that leaves while another comes
// keeps the count, and must not hide a third.
func TestASecondReadByOffsetIsReadWholeWhileRowsMove(t *testing.T) {
	s := newShelf(t, 100, false, 1)
	for id := range uint64(150) {
		s.add(id+1, shelfStart)
	}
	s.before = func(s *shelf) {
		if s.calls == 3 { // between the two pages of the second
			s.rows = slices.Delete(s.rows, 0, 1)
			s.add(1000, shelfStart+1)
		}
	}
	k := s.reader()
	st, err := k.next(t.Context(), shelfStart, shelfStart+10_000)
	must(t, err)
	shown := map[uint64]bool{}
	for _, r := range st.page.Records {
		shown[r.Key.ID] = true
	}
	for id := uint64(2); id <= 150; id++ {
		if !shown[id] && st.incomplete == "" {
			t.Fatalf("row %d was there throughout and was not read, and the step calls itself complete", id)
		}
	}
}
