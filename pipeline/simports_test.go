package pipeline

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"deskhouse/source"
)

// proc is one process of the sync. All it does to the world goes through its
// ports, and each call there takes a little time and is a point at which the
// process may die or stand still. The time a call takes follows from the seed,
// the call's name and how often it was made, so that the calls of one seed meet
// in nearly the same order each time it is run.
type proc struct {
	w     *world
	seed  uint64
	epoch uint64
	kill  context.CancelFunc
	p     *Pipeline
	ended chan struct{}
	err   error // of Run, once ended is closed

	mu     sync.Mutex
	calls  int
	nth    map[string]uint64
	dieAt  int // the number of its last call, 0 = none
	after  bool
	dead   bool
	frozen chan struct{} // not nil: calls stand still until it is closed
	atCall int           // at this call stop is called, 0 = at none
	stop   func()
}

// errDead is what calls of a dead process return.
var errDead = errors.New("this process is dead")

// dieIn lets the process die at the nth call from now, before or after its
// effect.
func (x *proc) dieIn(n int, after bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dieAt, x.after = x.calls+n, after
}

// stopAt calls stop at the nth call from now.
func (x *proc) stopAt(n int, stop func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.atCall, x.stop = x.calls+n, stop
}

// count is how often a call was made.
func (x *proc) count(what string) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.nth[what]
}

func (x *proc) isDead() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.dead
}

// freeze makes all calls stand still; thaw lets them go on.
func (x *proc) freeze() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.frozen = make(chan struct{})
}

func (x *proc) thaw() {
	x.mu.Lock()
	defer x.mu.Unlock()
	close(x.frozen)
	x.frozen = nil
}

// enter counts a call and tells how long it takes, its fault (drawn between 0
// and 1), and whether it is the last.
func (x *proc) enter(what string) (takes time.Duration, luck float64, last bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.dead {
		return 0, 0, false, errDead
	}
	x.calls++
	x.nth[what]++
	if x.calls == x.atCall {
		x.stop()
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(what))
	draw := mixed(x.seed ^ h.Sum64() ^ x.nth[what]<<32 ^ x.epoch<<56)
	takes = time.Duration(draw%997+1) * time.Microsecond
	return takes, float64(mixed(draw)>>11) / (1 << 53), x.calls == x.dieAt, nil
}

// mixed is the finalizer of splitmix64: every bit of the result depends on
// every bit of v.
func mixed(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

func (x *proc) stand() {
	x.mu.Lock()
	wait := x.frozen
	x.mu.Unlock()
	if wait != nil {
		<-wait
	}
}

func (x *proc) die() {
	x.mu.Lock()
	x.dead = true
	x.mu.Unlock()
	x.kill()
}

// through makes one call of a process.
func through[T any](x *proc, what string, do func(luck float64) (T, error)) (T, error) {
	var none T
	takes, luck, last, err := x.enter(what)
	if err != nil {
		return none, err
	}
	time.Sleep(takes)
	x.stand()
	if last && !x.after {
		x.die()
	}
	if x.isDead() {
		return none, errDead
	}
	v, err := do(luck)
	time.Sleep(takes / 2)
	x.stand()
	if last {
		x.die()
	}
	if x.isDead() {
		return none, errDead
	}
	return v, err
}

func pass(x *proc, what string, do func(luck float64) error) error {
	_, err := through(x, what, func(luck float64) (struct{}, error) { return struct{}{}, do(luck) })
	return err
}

// simDesk is the portal's client behind a process, and notes what was shown.
type simDesk struct {
	x *proc
	Desk
}

func (d simDesk) Search(ctx context.Context, p source.Priority, t source.Table, q source.Query) (source.Page, error) {
	return through(d.x, "search "+string(t), func(float64) (source.Page, error) {
		page, err := d.Desk.Search(ctx, p, t, q)
		d.x.w.shown.page(t, page, d.x.w.portal.Now())
		return page, err
	})
}

func (d simDesk) Get(ctx context.Context, p source.Priority, t source.Table, id uint64) (rec *source.Record, at source.Timing, err error) {
	rec, err = through(d.x, "get "+source.Key{ID: id}.String(), func(float64) (*source.Record, error) {
		rec, at, err = d.Desk.Get(ctx, p, t, id)
		if err == nil {
			d.x.w.shown.note(t, rec, d.x.w.portal.Now())
		}
		return rec, err
	})
	return rec, at, err
}

func (d simDesk) List(ctx context.Context, p source.Priority, t source.Table, q source.ListQuery) (source.Page, error) {
	return through(d.x, "list "+string(t), func(float64) (source.Page, error) {
		page, err := d.Desk.List(ctx, p, t, q)
		d.x.w.shown.page(t, page, d.x.w.portal.Now())
		return page, err
	})
}

func (d simDesk) Archived(ctx context.Context, p source.Priority, department uint64, offset, limit int) (source.Page, error) {
	return through(d.x, "archived", func(float64) (source.Page, error) { return d.Desk.Archived(ctx, p, department, offset, limit) })
}

func (d simDesk) Fields(ctx context.Context, p source.Priority, module string) (page source.Page, custom []source.CustomField, err error) {
	page, err = through(d.x, "fields "+module, func(float64) (source.Page, error) {
		page, custom, err = d.Desk.Fields(ctx, p, module)
		d.x.w.shown.page(source.OrganizationFields, page, d.x.w.portal.Now())
		return page, err
	})
	return page, custom, err
}

func (d simDesk) Bin(ctx context.Context, p source.Priority, t source.Table, offset, limit int) (items []source.BinItem, at source.Timing, err error) {
	items, err = through(d.x, "bin "+string(t), func(float64) ([]source.BinItem, error) {
		items, at, err = d.Desk.Bin(ctx, p, t, offset, limit)
		return items, err
	})
	return items, at, err
}

// simKV is the state behind a process.
type simKV struct {
	x *proc
	KV
}

// faulted applies a share of failures to a write: half of them before it took
// effect, half after.
func (x *proc) faulted(rate, luck float64, do func() error) error {
	switch {
	case luck < rate/2:
		return errRefused
	case luck < rate:
		_ = do()
		return errUnknown
	}
	return do()
}

var (
	errRefused = errors.New("refused, nothing was stored")
	errUnknown = errors.New("time-out, the outcome is not known")
)

func (s simKV) Load(ctx context.Context, key string) ([]byte, error) {
	return through(s.x, "load "+key, func(float64) ([]byte, error) { return s.KV.Load(ctx, key) })
}

func (s simKV) Save(ctx context.Context, key string, value []byte) error {
	if key == logKey(s.x.w.cfg.Name) {
		if seq, err := parseNumber(value); err == nil {
			s.x.w.checkApplied(seq)
		}
	}
	return pass(s.x, "save "+key, func(luck float64) error {
		return s.x.faulted(s.x.w.rate(s.x.w.set.stateFails), luck, func() error { return s.KV.Save(ctx, key, value) })
	})
}

func (s simKV) Delete(ctx context.Context, key string) error {
	return pass(s.x, "delete "+key, func(luck float64) error {
		return s.x.faulted(s.x.w.rate(s.x.w.set.stateFails), luck, func() error { return s.KV.Delete(ctx, key) })
	})
}

func (s simKV) List(ctx context.Context, prefix string) (map[string][]byte, error) {
	return through(s.x, "list "+prefix, func(float64) (map[string][]byte, error) { return s.KV.List(ctx, prefix) })
}

// simLog is the event log behind a process; a read that waits for news is no
// point to die at, its return is.
type simLog struct {
	x *proc
	EventLog
}

func (l simLog) Read(ctx context.Context, from uint64) (EventReader, error) {
	return through(l.x, "read log", func(float64) (EventReader, error) {
		r, err := l.EventLog.Read(ctx, from)
		return simReader{l.x, r}, err
	})
}

type simReader struct {
	x *proc
	EventReader
}

func (r simReader) Next(ctx context.Context) (Message, error) {
	m, err := r.EventReader.Next(ctx)
	if err != nil {
		return m, err
	}
	return through(r.x, "next event", func(float64) (Message, error) { return m, nil })
}

// wrongClock is this machine's clock: hours off. Timers are right.
type wrongClock struct {
	clockwork.Clock
	off time.Duration
}

func (c wrongClock) Now() time.Time                  { return c.Clock.Now().Add(c.off) }
func (c wrongClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
func (c wrongClock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }
