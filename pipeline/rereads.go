package pipeline

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// rereads is the queue of records to be read again by id (rules 4 and 5). It is
// durable before anything that asks for a re-read is confirmed, holds each
// record once, and has at most one read of a record in flight; what arrives
// meanwhile asks for another.
type rereads struct {
	kv     KV
	prefix string // "reread.<pipeline>."
	clock  clockwork.Clock
	log    zerolog.Logger

	mu     sync.Mutex // everything below
	items  map[rereadID]*reread
	ready  [2]rereadHeap  // urgent ones, and those that can wait behind them
	chunks map[uint64]int // entries of a stored chunk that are still open
	done   []uint64       // chunks with no open entry, to be deleted
	next   uint64         // number of the next chunk
	seq    uint64

	wake chan struct{}
}

type rereadID struct {
	table source.Table
	key   source.Key
}

// reread is one record to be read again.
type reread struct {
	rereadID
	modified  int64 // a reply older than this has not seen the cause
	notBefore time.Time
	seq       uint64
	attempts  int // calls since it was last settled, for the back-off
	misses    int // 404s in a row
	stale     int // replies that were no news
	refusals  int // answers that no repetition will change
	flying    bool
	vouched   bool // other evidence than GET says that it is gone
	swept     bool // a sweep that is under way asks
	binned    bool // that evidence is the recycle bin
	kept      bool // the guard holds its deletion back
	told      verdict
	patient   bool     // a sweep or the recycle bin asks: events go first
	held      []uint64 // chunks that the read in flight (or the next one) settles
	later     []uint64 // chunks that arrived during the flight
	watchers  []func(source.Key, verdict)
}

// verdict is how a re-read ended.
type verdict int

const (
	verdictAlive    verdict = iota
	verdictRepaired         // alive, and its content was another
	verdictRestored         // alive, and was deleted
	verdictDeleted          // deleted now
	verdictBuried           // deleted, and was held so
	verdictNotVisible
	verdictGivenUp
)

func newRereads(kv KV, pipeline string, clock clockwork.Clock, log zerolog.Logger) *rereads {
	return &rereads{kv: kv, prefix: "reread." + pipeline + ".", clock: clock, log: log,
		items: map[rereadID]*reread{}, chunks: map[uint64]int{}, next: 1, wake: make(chan struct{}, 1)}
}

// add queues hints of one table: durable when it returns, and read as soon as a
// reader is free.
func (q *rereads) add(ctx context.Context, t source.Table, hints []hint) error {
	asked, err := q.keep(ctx, t, hints)
	if err != nil {
		return err
	}
	q.begin(asked, nil)
	return nil
}

// ask queues the questions of a run and tells watch each verdict. They are not
// stored: a run that ends before its questions withdraws them, and one that is
// killed leaves none, since an interrupted resync deletes nothing.
func (q *rereads) ask(t source.Table, hints []hint, watch func(source.Key, verdict)) {
	q.begin([]asked{{chunk: chunk{t, entriesOf(t, hints)}}}, watch)
}

// withdraw takes the questions of a run back; what others ask for too stays.
func (q *rereads) withdraw(t source.Table, hints []hint) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range hints {
		it := q.items[rereadID{t, h.key}]
		if it == nil {
			continue
		}
		it.watchers, it.swept = nil, false
		if len(it.held) == 0 && len(it.later) == 0 && !it.flying { // finish drops one that flies
			delete(q.items, it.rereadID)
		}
	}
	for i := range q.ready {
		q.ready[i] = slices.DeleteFunc(q.ready[i], func(it *reread) bool { return q.items[it.rereadID] != it })
		heap.Init(&q.ready[i])
	}
}

// begin queues the entries of stored chunks.
func (q *rereads) begin(chunks []asked, watch func(source.Key, verdict)) {
	if len(chunks) == 0 {
		return
	}
	q.mu.Lock()
	for _, a := range chunks {
		for _, e := range a.Entries {
			q.insert(a.Table, e, a.n, watch)
		}
	}
	q.mu.Unlock()
	q.signal()
}

// insert notes an entry of chunk n; the caller holds mu.
func (q *rereads) insert(t source.Table, e entry, n uint64, watch func(source.Key, verdict)) {
	if n != 0 {
		q.chunks[n]++
	}
	id := rereadID{t, source.Key{ID: e.ID}}
	patient := watch != nil || e.Reason == absent || e.Reason == absentYoung || e.Reason == leftTheBin
	it := q.items[id]
	if it == nil {
		it = &reread{rereadID: id, notBefore: q.clock.Now(), patient: patient}
		q.items[id] = it
		q.push(it)
	}
	if it.patient && !patient {
		q.prefer(it)
	}
	it.modified = max(it.modified, e.Modified)
	if e.Reason == absent {
		it.swept = watch != nil
		q.hurry(it)
	}
	if vouches(e.Reason) && !it.vouched {
		it.vouched = true
		q.hurry(it)
	}
	switch e.Reason {
	case source.VisibleInBin:
		it.binned = true
	case source.DeletedSeenAlive, leftTheBin:
		it.binned = false
	}
	switch {
	case n == 0:
	case it.flying:
		it.later = append(it.later, n)
	default:
		it.held = append(it.held, n)
	}
	if watch != nil {
		it.watchers = append(it.watchers, watch)
	}
}

// vouches reports whether a reason is evidence of a deletion by itself, so that
// a 404 only confirms it.
func vouches(why source.Contradiction) bool {
	return why == toldDeleted || why == source.VisibleInBin
}

// hold keeps a record of which a guard does not believe what GET says; it is
// asked for again from time to time. Who waits for it is told that it was kept.
func (q *rereads) hold(it *reread) {
	q.mu.Lock()
	it.kept = true
	q.mu.Unlock()
	q.detach(it, verdictGivenUp)
	q.again(it, heldBackFor)
}

// holdDeletion is hold for a 404, unless other evidence of the deletion came
// while the guard was asked.
func (q *rereads) holdDeletion(it *reread) {
	if q.isVouched(it) {
		q.again(it, 0)
		return
	}
	q.hold(it)
}

// detach tells those who wait for a record that its verdict will take long; it
// stays queued.
func (q *rereads) detach(it *reread, v verdict) {
	q.mu.Lock()
	watchers := it.watchers
	it.watchers = nil
	q.mu.Unlock()
	for _, watch := range watchers {
		watch(it.key, v)
	}
}

// prefer lets a record go before those that can wait; the caller holds mu.
func (q *rereads) prefer(it *reread) {
	it.patient = false
	for i, other := range q.ready[1] {
		if other == it {
			heap.Remove(&q.ready[1], i)
			heap.Push(&q.ready[0], it)
			return
		}
	}
}

// release lets the deletions of a table go on that the guard held back.
func (q *rereads) release(t source.Table) {
	q.mu.Lock()
	for _, it := range q.items {
		if it.table == t {
			q.hurry(it)
		}
	}
	q.mu.Unlock()
	q.signal()
}

// hurry makes a record due that the guard holds back; the caller holds mu.
func (q *rereads) hurry(it *reread) {
	if !it.kept || it.flying {
		return
	}
	it.kept, it.notBefore = false, q.clock.Now()
	heap.Init(q.line(it))
}

// line is where a record queues; the caller holds mu.
func (q *rereads) line(it *reread) *rereadHeap {
	if it.patient {
		return &q.ready[1]
	}
	return &q.ready[0]
}

func (q *rereads) push(it *reread) {
	q.seq++
	it.seq = q.seq
	heap.Push(q.line(it), it)
}

func (q *rereads) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for records that are due and returns up to limit of them, now in
// flight.
func (q *rereads) take(ctx context.Context, limit int) ([]*reread, error) {
	for {
		if err := q.forget(ctx); err != nil {
			return nil, err
		}
		due, wait := q.due(limit)
		if len(due) > 0 {
			return due, nil
		}
		var timer <-chan time.Time
		if wait >= 0 {
			timer = q.clock.After(wait)
		}
		select {
		case <-q.wake:
		case <-timer:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// due takes what is due now; wait is how long until the next, -1 for never.
func (q *rereads) due(limit int) (due []*reread, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	wait = -1
	for i := range q.ready {
		line := &q.ready[i]
		for len(due) < limit && line.Len() > 0 && !(*line)[0].notBefore.After(now) {
			it := heap.Pop(line).(*reread)
			it.flying = true
			due = append(due, it)
		}
		if line.Len() > 0 {
			if next := max((*line)[0].notBefore.Sub(now), 0); wait < 0 || next < wait {
				wait = next
			}
		}
	}
	if len(due) == limit && wait >= 0 {
		q.signal() // more may be due: let another worker look
	}
	return due, wait
}

// again puts a record back, to be read after a while.
func (q *rereads) again(it *reread, after time.Duration) {
	q.mu.Lock()
	it.flying = false
	it.held = append(it.held, it.later...)
	it.later = nil
	it.notBefore = q.clock.Now().Add(after)
	q.push(it)
	q.mu.Unlock()
	q.signal()
}

// finish settles a read whose result is in the warehouse. If more evidence
// arrived during the flight, the record is queued once more.
func (q *rereads) finish(it *reread, v verdict) {
	q.mu.Lock()
	for _, n := range it.held {
		if q.chunks[n]--; q.chunks[n] == 0 {
			delete(q.chunks, n)
			q.done = append(q.done, n)
		}
	}
	it.flying, it.kept, it.attempts, it.misses, it.stale, it.refusals = false, false, 0, 0, 0, 0
	if len(it.later) == 0 {
		it.swept = false
	}
	if v == verdictAlive {
		v = it.told // what an earlier read repaired
	}
	it.told = v
	watchers := it.watchers
	if it.held, it.later = it.later, nil; len(it.held) > 0 {
		watchers = nil // they are told the later verdict
		it.notBefore = q.clock.Now()
		q.push(it)
	} else {
		delete(q.items, it.rereadID)
	}
	q.mu.Unlock()
	for _, watch := range watchers {
		watch(it.key, v)
	}
	q.signal()
}

// wanted is the modifiedTime that a reply must have reached to be news.
func (q *rereads) wanted(it *reread) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return it.modified
}

// isVouched reports whether other evidence says that the record is gone.
func (q *rereads) isVouched(it *reread) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return it.vouched || it.swept
}

// wants reports whether anybody still asks: stored hints, or a run under way.
func (q *rereads) wants(it *reread) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(it.held) > 0 || len(it.later) > 0 || len(it.watchers) > 0 || it.swept
}

// isBinned reports whether the recycle bin says that the record is gone.
func (q *rereads) isBinned(it *reread) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return it.binned
}

// priority is that of the call for a record.
func (q *rereads) priority(it *reread) source.Priority {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.patient {
		return source.ForSnapshot
	}
	return source.ForReread
}

// pending is how many records wait or are being read.
func (q *rereads) pending() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if !it.kept { // what a guard holds back waits for a person
			n++
		}
	}
	return n
}

// rereadHeap orders by due time, then by arrival.
type rereadHeap []*reread

func (h rereadHeap) Len() int { return len(h) }
func (h rereadHeap) Less(i, j int) bool {
	if !h[i].notBefore.Equal(h[j].notBefore) {
		return h[i].notBefore.Before(h[j].notBefore)
	}
	return h[i].seq < h[j].seq
}
func (h rereadHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *rereadHeap) Push(x any)   { *h = append(*h, x.(*reread)) }
func (h *rereadHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	*h = old[:len(old)-1]
	return it
}
