package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"deskhouse/source"
	"deskhouse/source/desksim"
	"deskhouse/source/webhook"
	"deskhouse/source/zohodesk"
)

const hookSecret = "abcdefghijklmnopqrstuvwxyz"

// settings are what the knobs of a plan turn.
type settings struct {
	portal   desksim.Config
	hooks    desksim.WebhookFaults
	rates    map[desksim.Fault]float64
	latency  time.Duration // the longest a call takes at the portal
	holdBack time.Duration // the longest a reply takes after it was made
	meddle   int           // every that many calls something changes while a reply is on its way
	refuse   string        // a scope

	selects    bool // half of the departments, and not all columns
	noHooks    bool // no webhook is registered
	deafDown   bool // deliveries fail while no process runs
	logFails   float64
	sinkFails  float64 // share of writes that fail, half of them stored
	late       float64 // share of writes that fail and are stored minutes later
	stateFails float64
	seenFails  float64
	clockOff   time.Duration
}

// world is one portal and one sync of it.
type world struct {
	t       *testing.T
	seed    int64
	portal  *desksim.Portal
	wh      *memWarehouse
	kv      *memKV
	letters *memLetters
	tokens  *memTokens
	intake  hookTransport
	logger  zerolog.Logger
	set     settings
	cfg     Config
	shown   *shown
	offset  time.Duration // of the clock that the next process has
	planted int           // events that must become dead letters
	// report is told what went wrong; the test goes on.
	report func(string)

	// time is virtual: the bubble's, or of the real engine's runs a clock that is
	// moved on by hand.
	time       clockwork.Clock
	real       bool // the engine's rows are fetched before they are compared
	sink       fencedSink
	state      KV
	log        simStream
	checked    uint64 // log sequence up to which checkpoints were looked at
	epoch      uint64
	cur        *proc
	p          *Pipeline      // of cur
	stop       func()         // ends cur
	up         atomic.Bool    // a process runs
	calm       atomic.Bool    // faults are over
	background sync.WaitGroup // effects that outlive their call
}

// fencedSink is a warehouse that knows its leaders.
type fencedSink interface {
	Warehouse
	Fence(ctx context.Context, epoch uint64) error
}

// simStream is the event log, on both sides.
type simStream interface {
	EventLog
	webhook.Log
}

// newWorldOf is a given portal with an intake and a webhook.
func newWorldOf(t *testing.T, portal desksim.Config) *world {
	return newWorldWith(t, settings{portal: portal}, func(what string) { t.Helper(); t.Error(what) })
}

func newWorldWith(t *testing.T, set settings, report func(string)) *world {
	w := &world{t: t, seed: set.portal.Seed, wh: newMemWarehouse(), kv: newMemKV(), letters: &memLetters{}, tokens: &memTokens{},
		logger: zerolog.Nop(), set: set, shown: newShown(), report: report, time: clockwork.NewRealClock(), log: newMemLog()}
	w.sink, w.state = w.wh, w.kv
	w.begin(set)
	return w
}

// begin makes the portal, the intake and the webhook.
func (w *world) begin(set settings) {
	if *simVerbose {
		w.logger = zerolog.New(zerolog.NewTestWriter(w.t)).Hook(stamped{w})
	}
	w.wh.seed = uint64(set.portal.Seed)
	w.offset = set.clockOff
	ctx, cancel := context.WithCancel(context.Background())
	intake, err := webhook.New(webhook.Config{Logger: zerolog.Nop()})
	w.must(err)
	w.intake = hookTransport{w, intake}
	set.portal.Deliver, set.portal.Clock = w.intake, w.time
	w.portal = desksim.New(set.portal)
	w.must(intake.SetRoutes([]webhook.Route{{Pipeline: "sim", Secrets: func() []string { return []string{hookSecret} }, OrgID: w.portal.OrgID(),
		Log: simIntakeLog{w}, DeadLetters: w.letters}}))
	var g errgroup.Group
	g.Go(func() error { return intake.Run(ctx) })
	w.t.Cleanup(func() { cancel(); _ = g.Wait(); w.background.Wait() })
	if !set.noHooks {
		w.up.Store(true)
		_, err = w.client().CreateWebhook(ctx, zohodesk.WebhookSpec{Name: "sim", URL: "https://cdc.example.org" + webhook.Path("sim", hookSecret), PrevState: true})
		w.must(err)
	}
	f := w.portal.Faults()
	f.Webhooks(set.hooks)
	for fault, rate := range set.rates {
		f.Rate(fault, rate)
	}
	if set.refuse != "" {
		f.RefuseScope(set.refuse)
	}
	if set.latency > 0 {
		f.Latency(func(r *http.Request) time.Duration { return w.upTo(set.latency, r) })
	}
	if set.holdBack > 0 {
		f.HoldBack(func(r *http.Request) time.Duration { return w.upTo(set.holdBack, r) })
	}
	if set.meddle > 0 {
		var calls, made atomic.Int64
		f.OnCall(func(string, string) { // each change makes calls: without an end they would breed
			if calls.Add(1)%int64(set.meddle) == 0 && !w.calm.Load() && made.Add(1) <= 150 {
				w.portal.Mutate(1)
			}
		})
	}
	w.cfg = Config{Name: "sim", OrgID: w.portal.OrgID(), Trust: true, Bin: time.Hour, Modules: zohodesk.FieldModules(),
		Tables:  []source.Table{source.OrganizationFields, source.Departments, source.Products, source.Contracts, source.Tickets},
		History: map[source.Table]bool{source.Tickets: true},
		Polls: map[source.Table]time.Duration{source.OrganizationFields: 12 * time.Hour, source.Departments: 6 * time.Hour,
			source.Products: 2 * time.Hour, source.Contracts: 2 * time.Hour, source.Tickets: 20 * time.Minute}}
	if set.selects {
		w.cfg.Select = w.half()
	}
}

// upTo is a time that follows from a request, so that a seed repeats it.
func (w *world) upTo(most time.Duration, r *http.Request) time.Duration {
	h := uint64(w.seed)
	for _, c := range []byte(r.URL.RequestURI()) {
		h = mixed(h ^ uint64(c))
	}
	return time.Duration(h % uint64(most))
}

// client is a process's own client of the portal.
func (w *world) client() *zohodesk.Client {
	c, err := zohodesk.New(zohodesk.Config{Name: "main", AccountsURL: "https://accounts.sim", DeskURL: "https://desk.sim", OrgID: w.portal.OrgID(),
		ClientID: "1000.SIMULATEDCLIENT", ClientSecret: "simulated-secret", RefreshToken: "1000.simulated.refresh",
		Transport: w.portal.RoundTripper(), Tokens: w.tokens, Clock: w.clock(), Logger: zerolog.Nop()})
	w.must(err)
	return c
}

func (w *world) clock() clockwork.Clock { return wrongClock{w.time, w.offset} }

// hookTransport carries deliveries to the intake.
type hookTransport struct {
	w *world
	h http.Handler
}

func (t hookTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.w.set.deafDown && !t.w.up.Load() {
		return nil, errors.New("connection refused")
	}
	rec := httptest.NewRecorder()
	t.h.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// simIntakeLog is the log as the intake appends to it.
type simIntakeLog struct{ w *world }

func (l simIntakeLog) MaxGroupBytes() int { return l.w.log.MaxGroupBytes() }

func (l simIntakeLog) Append(ctx context.Context, group []byte) (uint64, error) {
	_, last, _ := l.w.log.Bounds(ctx)
	if l.w.rate(l.w.set.logFails) > 0 && float64(mixed(uint64(l.w.seed)^mixed(last)^uint64(l.w.time.Now().UnixNano()))>>11)/(1<<53) < l.w.set.logFails {
		return 0, errRefused
	}
	return l.w.log.Append(ctx, group)
}

// giveUp ends a simulation whose failure was reported.
type giveUp struct{}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.fail("%v", err)
		panic(giveUp{})
	}
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.report(fmt.Sprintf(format, args...))
}

// start begins a process on what was stored, as the holder of a new lease.
func (w *world) start() {
	w.epoch++
	ctx, cancel := context.WithCancel(context.Background())
	x := &proc{w: w, seed: mixed(uint64(w.seed)), epoch: w.epoch, kill: cancel, nth: map[string]uint64{}, ended: make(chan struct{})}
	w.must(w.sink.Fence(ctx, w.epoch))
	cfg := w.cfg
	cfg.Epoch = w.epoch
	w.shown.mu.Lock()
	w.shown.masks = cfg.Select
	w.shown.mu.Unlock()
	parts := Parts{Desk: simDesk{x, w.client()}, Warehouse: simSink{x, w.sink}, KV: simKV{x, w.state}, Dead: w.letters, Clock: w.clock(), Log: w.logger}
	if !w.set.noHooks {
		parts.Events = simLog{x, w.log}
	}
	x.p = New(cfg, parts)
	w.cur, w.p = x, x.p
	go func() { x.err = x.p.Run(ctx); close(x.ended) }()
	w.up.Store(true)
	w.stop = sync.OnceFunc(func() { w.end(x) })
}

// end stops a process and waits for it.
func (w *world) end(x *proc) {
	if x == w.cur {
		w.up.Store(false)
	}
	x.kill()
	<-x.ended
	if !x.isDead() && !errors.Is(x.err, context.Canceled) {
		w.fail("pipeline ended with %v", x.err)
	}
}

// restart stops the sync wherever it stands and starts another on what was
// stored.
func (w *world) restart() {
	w.stop()
	w.start()
}

// revive starts a new process if the last one has died.
func (w *world) revive() {
	select {
	case <-w.cur.ended:
		w.restart()
	default:
		if w.cur.isDead() {
			w.restart()
		}
	}
}

// takeover lets the process stand still and starts another, which takes the
// lease; the old one is returned.
func (w *world) takeover() *proc {
	old := w.cur
	old.freeze()
	w.start()
	return old
}

// release lets an old leader go on for a while, until it finds out.
func (w *world) release(old *proc) {
	old.thaw()
	w.time.Sleep(30 * time.Second)
	old.kill()
	<-old.ended
}

// quiet heals everything, lets one round of everything run, and waits.
func (w *world) quiet(resync bool) {
	w.heal()
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	defer cancel()
	w.must(w.portal.Flush(ctx))
	select {
	case <-w.p.Loaded():
	case <-ctx.Done():
		w.fail("never loaded")
		panic(giveUp{})
	}
	w.time.Sleep(130 * time.Minute) // until search shows everything, and the lag allowance of the sweep is over
	w.shown.from(w.portal.Now())
	w.round(ctx)
	if !resync {
		return
	}
	w.resyncAll(ctx)
	w.settled(ctx)
}

// resyncOrder: the columns first, and departments once nothing belongs to those
// that have gone.
var resyncOrder = []source.Table{source.OrganizationFields, source.Products, source.Contracts, source.Tickets, source.Departments}

// resyncAll compares every table. Where a person must decide, or rows are kept
// because a department cannot be seen, the person knows that nothing is hidden
// any more.
func (w *world) resyncAll(ctx context.Context) {
	for _, t := range resyncOrder {
		report, err := w.p.Resync(ctx, t, ResyncOptions{Trigger: "test"})
		if errors.Is(err, ErrGuard) || err == nil && report.NotVisible > 0 {
			report, err = w.p.Resync(ctx, t, ResyncOptions{Trigger: "test", AcceptLoss: true})
		}
		w.mustDo("resync "+string(t), err)
		if report.Incomplete {
			w.fail("resync of %s is incomplete", t)
		}
	}
}

// rate is a rate of failures, none once the world is healed.
func (w *world) rate(of float64) float64 {
	if w.calm.Load() {
		return 0
	}
	return of
}

// heal ends every fault.
func (w *world) heal() {
	w.portal.Faults().Clear()
	w.calm.Store(true)
	if w.cur != nil {
		w.cur.mu.Lock()
		w.cur.dieAt = 0
		w.cur.mu.Unlock()
		w.revive()
	}
}

// round polls every table and reads the whole recycle bin.
func (w *world) round(ctx context.Context) {
	for _, t := range w.cfg.Tables {
		err := w.p.PollNow(ctx, t)
		if errors.Is(err, ErrGuard) { // fields and departments are swept by their polls
			_, err = w.p.Resync(ctx, t, ResyncOptions{Trigger: "test", AcceptLoss: true})
		}
		w.mustDo("poll "+string(t), err)
		w.mustDo("read the bin of "+string(t), w.p.BinNow(ctx, t))
	}
	w.settled(ctx)
}

// settled waits until everything known is applied.
func (w *world) settled(ctx context.Context) {
	if err := w.p.Settled(ctx); err != nil {
		st, _ := w.p.Status(context.Background())
		w.mustDo(fmt.Sprintf("settle (log %d of %d, %d re-reads)", st.LogApplied, st.LogLast, st.Rereads), err)
	}
}

func (w *world) mustDo(what string, err error) {
	if err != nil {
		w.must(fmt.Errorf("%s: %w", what, err))
	}
}

// memTokens keeps the authorisation over restarts.
type memTokens struct {
	mu       sync.Mutex
	held     zohodesk.Token
	revision uint64 // 0 = nothing is stored
}

func (m *memTokens) LoadToken(context.Context) (zohodesk.Token, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held, m.revision, nil
}

func (m *memTokens) SaveToken(_ context.Context, t zohodesk.Token, revision uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if revision != m.revision {
		return 0, zohodesk.ErrTokenConflict
	}
	m.held, m.revision = t, m.revision+1
	return m.revision, nil
}

func (m *memTokens) DeleteToken(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held, m.revision = zohodesk.Token{}, 0
	return nil
}

// stamped puts virtual time and epoch on each line.
type stamped struct{ w *world }

func (s stamped) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str("at", time.Now().UTC().Format("15:04:05.000"))
}

// post delivers a body as Zoho would and reports whether it was taken.
func (w *world) post(body string) bool {
	r, err := http.NewRequest(http.MethodPost, "https://cdc.example.org"+webhook.Path("sim", hookSecret), strings.NewReader(body))
	w.must(err)
	reply, err := w.intake.RoundTrip(r)
	return err == nil && reply.StatusCode == http.StatusOK
}
