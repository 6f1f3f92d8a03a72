package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"deskhouse/source"
)

// Config is what one sync is asked to do. All durations are positive.
type Config struct {
	Name    string // of the pipeline; part of every state key
	OrgID   uint64
	Tables  []source.Table
	Trust   bool                           // payload: trust; false re-reads every event
	History map[source.Table]bool          // record changes
	Polls   map[source.Table]time.Duration // how often a table is polled
	Bin     time.Duration                  // how often the recycle bin is
	Modules []string                       // whose field metadata is read
	Resync  cron.Schedule                  // nil = only on command
	Epoch   uint64                         // of the lease this process holds
}

// Parts are the collaborators of a sync. Events is nil when there is no intake.
type Parts struct {
	Desk       Desk
	Warehouse  Warehouse
	KV         KV
	Events     EventLog
	Dead       DeadLetters
	Clock      clockwork.Clock
	Log        zerolog.Logger
	Registerer prometheus.Registerer // nil = no metrics
}

// Pipeline is one sync. Make it with New and call Run once; the other methods
// may be called from any goroutine while Run runs.
type Pipeline struct {
	deps
	cfg    Config
	events EventLog
	tables map[source.Table]*table
	loaded chan struct{} // closed once every table is loaded or skipped
}

// table is one table with everything that works on it.
type table struct {
	w         *writer
	reader    tableReader
	bin       *binReader // nil without a recycle bin
	polls     chan request
	binRounds chan request
	loaded    chan struct{}
	resyncing sync.Mutex
}

// request asks a loop to do its round now.
type request struct{ done chan error }

// deps is what the parts of a pipeline share.
type deps struct {
	name     string
	desk     Desk
	wh       Warehouse
	kv       KV
	dead     DeadLetters
	covs     map[source.Table]*source.Coverage
	rereads  *rereads
	schema   *schema
	history  map[source.Table]bool
	epoch    uint64
	clock    clockwork.Clock
	log      zerolog.Logger
	metrics  *metrics
	progress *progress
}

// Origins of observations, as the changes table names them.
const (
	originSnapshot = "snapshot"
	originPoll     = "poll"
	originReread   = "re-read"
	originResync   = "resync"
)

// New assembles a sync; nothing runs and nothing is read before Run.
func New(cfg Config, parts Parts) *Pipeline {
	log := parts.Log.With().Str("pipeline", cfg.Name).Logger()
	p := &Pipeline{cfg: cfg, events: parts.Events, tables: map[source.Table]*table{}, loaded: make(chan struct{})}
	p.deps = deps{name: cfg.Name, desk: parts.Desk, wh: parts.Warehouse, kv: parts.KV, dead: parts.Dead,
		covs:    map[source.Table]*source.Coverage{},
		rereads: newRereads(parts.KV, cfg.Name, parts.Clock, log),
		schema:  newSchema(parts.Desk, parts.Warehouse, parts.Clock, log),
		history: cfg.History, epoch: cfg.Epoch, clock: parts.Clock, log: log,
		metrics: newMetrics(parts.Registerer, cfg.Name), progress: newProgress(parts.Clock, cfg.Tables)}
	for _, t := range cfg.Tables {
		p.covs[t] = source.NewCoverage(source.Lookup(t), source.FieldSet{}, source.FieldSet{})
		p.tables[t] = p.newTable(t)
	}
	return p
}

// Run loads what is not loaded yet, then follows until ctx ends. Events are
// applied from the first moment on, also while the load runs. It returns
// ctx.Err() after a stop, or an error that no retry heals.
func (p *Pipeline) Run(ctx context.Context) error {
	from, err := p.open(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	writers := map[source.Table]*writer{}
	for t, tp := range p.tables {
		writers[t] = tp.w
		g.Go(func() error { return tp.w.run(ctx) })
	}
	for range rereadWorkers {
		g.Go(func() error { return (&reader{deps: p.deps, writers: writers}).run(ctx) })
	}
	if p.events != nil {
		a := newApplier(p.deps, p.events, writers, p.cfg.Trust, from)
		g.Go(func() error { return a.run(ctx) })
		g.Go(func() error { return a.checkpoints(ctx) })
		g.Go(func() error { return a.janitor(ctx) })
	}
	for _, t := range p.cfg.Tables {
		g.Go(func() error { return p.live(ctx, t) })
	}
	g.Go(func() error { return p.afterLoad(ctx) })
	g.Go(func() error { return p.report(ctx) })
	return g.Wait()
}

// open restores what earlier runs left and finds where the log goes on.
func (p *Pipeline) open(ctx context.Context) (from uint64, err error) {
	if from, err = p.position(ctx); err != nil {
		return 0, err
	}
	for _, t := range p.cfg.Tables {
		var seen source.Seen
		if _, err := p.loadJSON(ctx, keysKey(p.name, t), &seen); err != nil {
			return 0, err
		}
		p.covs[t].Restore(seen)
	}
	p.progress.applied(from)
	return from, p.rereads.load(ctx)
}

func (p *Pipeline) newTable(t source.Table) *table {
	w := newWriter(t, p.deps)
	tp := &table{w: w, polls: make(chan request), binRounds: make(chan request), loaded: make(chan struct{})}
	switch t {
	case source.Tickets, source.Products:
		tp.reader = &searchTable{deps: p.deps, w: w, departments: p.departmentIDs}
	case source.Contracts:
		tp.reader = &getTable{deps: p.deps, w: w}
	case source.Departments:
		tp.reader = &departmentTable{deps: p.deps, w: w}
	case source.OrganizationFields:
		tp.reader = &fieldTable{deps: p.deps, w: w, modules: p.cfg.Modules, tables: p.cfg.Tables}
	}
	for _, b := range binTables {
		if b == t {
			tp.bin = &binReader{deps: p.deps, w: w}
		}
	}
	return tp
}

// departmentIDs asks the portal, since the departments table may be off.
func (p *Pipeline) departmentIDs(ctx context.Context) ([]uint64, error) {
	var ids []uint64
	err := p.eachPage(ctx, source.ForSnapshot, source.Departments, source.ListQuery{}, nil, func(page source.Page, _ place) error {
		for _, r := range page.Records {
			ids = append(ids, r.Key.ID)
		}
		return nil
	})
	return ids, err
}

// live is one table's life: load it once, then poll it.
func (p *Pipeline) live(ctx context.Context, t source.Table) error {
	tp := p.tables[t]
	if t != source.OrganizationFields && p.tables[source.OrganizationFields] != nil {
		select { // custom fields first, so that rows find their columns
		case <-p.tables[source.OrganizationFields].loaded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := p.patiently(ctx, t, func(ctx context.Context) error { return p.load(ctx, tp) }, tp.loaded); err != nil {
		return err
	}
	p.progress.phase(t, PhaseFollowing, "")
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return p.loop(ctx, t, "poll", p.cfg.Polls[t], tp.polls, func(ctx context.Context, _ bool) error { return tp.reader.poll(ctx) })
	})
	if tp.bin != nil {
		g.Go(func() error { return p.loop(ctx, t, "recycle bin", p.cfg.Bin, tp.binRounds, tp.bin.round) })
	}
	return g.Wait()
}

// skipFor is how long a table that Zoho refuses waits before it is tried again.
const skipFor = 15 * time.Minute

// patiently repeats do until it succeeds. A refusal (scope, licence,
// authorisation) shows in the table's status and does not stop the others;
// settled is closed at the first success or refusal.
func (p *Pipeline) patiently(ctx context.Context, t source.Table, do func(context.Context) error, settled chan struct{}) error {
	once := sync.OnceFunc(func() { close(settled) })
	for {
		err := retry(ctx, p.clock, p.log, "load "+string(t), do)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		once()
		if err == nil {
			return nil
		}
		p.progress.phase(t, PhaseSkipped, err.Error())
		p.log.Error().Err(err).Str("table", string(t)).Msg("table is skipped, the others go on")
		if err := sleep(ctx, p.clock, skipFor); err != nil {
			return err
		}
	}
}

// load reads a table completely, once in the life of its state. The recycle
// bin is read before and after: what is in it now may be restored later, and
// nothing else would tell.
func (p *Pipeline) load(ctx context.Context, tp *table) error {
	st, err := p.loadSnapshot(ctx, tp.w.table)
	if err != nil || st.Done {
		return err
	}
	p.progress.phase(tp.w.table, PhaseSnapshot, "")
	if err := p.wholeBin(ctx, tp); err != nil {
		return err
	}
	r := &reading{origin: originSnapshot, priority: source.ForSnapshot}
	if err := tp.reader.full(ctx, r, true); err != nil {
		return err
	}
	if err := p.wholeBin(ctx, tp); err != nil {
		return err
	}
	if st, err = p.loadSnapshot(ctx, tp.w.table); err != nil {
		return err
	}
	st.Done, st.Spans, st.Place = true, nil, place{}
	if st.Started == 0 {
		st.Started = r.started.UnixMilli()
	}
	if err := p.saveSnapshot(ctx, tp.w.table, st); err != nil {
		return err
	}
	p.progress.polled(tp.w.table, time.UnixMilli(st.Started).UTC())
	p.log.Info().Str("table", string(tp.w.table)).Int("rows", r.total.Seen).Int("re-reads", r.total.Hints).
		Strs("incomplete", r.incomplete).Msg("snapshot finished")
	return nil
}

// wholeBin reads the recycle bin to its end. A portal that refuses it (scope) is
// loaded all the same; the bin's own loop goes on complaining.
func (p *Pipeline) wholeBin(ctx context.Context, tp *table) error {
	if tp.bin == nil {
		return nil
	}
	err := tp.bin.round(ctx, true)
	if err != nil && (!transient(err) || source.IsFault(err, source.FaultBadReply)) {
		p.log.Warn().Err(err).Str("table", string(tp.w.table)).Msg("recycle bin cannot be read: restores are found by resync only")
		return nil
	}
	return err
}

// loop does a round at every interval and on request. A failed round is logged
// and done again at the next turn.
func (p *Pipeline) loop(ctx context.Context, t source.Table, what string, every time.Duration, asked chan request, round func(context.Context, bool) error) error {
	timer := p.clock.NewTimer(every)
	defer timer.Stop()
	for {
		var req request
		select {
		case <-timer.Chan():
		case req = <-asked:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := round(ctx, req.done != nil)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			p.log.Warn().Err(err).Str("table", string(t)).Msg(what + " failed, again at the next turn")
		}
		if req.done != nil {
			req.done <- err
		}
		timer.Reset(every)
	}
}

// PollNow polls a table and waits for the result.
func (p *Pipeline) PollNow(ctx context.Context, t source.Table) error {
	tp := p.tables[t]
	if tp == nil {
		return fmt.Errorf("table %s is not synchronised", t)
	}
	return ask(ctx, tp.polls)
}

// BinNow reads the whole recycle bin of a table; a table without one is done at
// once.
func (p *Pipeline) BinNow(ctx context.Context, t source.Table) error {
	if tp := p.tables[t]; tp != nil && tp.bin != nil {
		return ask(ctx, tp.binRounds)
	}
	return nil
}

func ask(ctx context.Context, loop chan request) error {
	req := request{done: make(chan error, 1)}
	select {
	case loop <- req:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-req.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// afterLoad waits for all tables, then runs the resync schedule.
func (p *Pipeline) afterLoad(ctx context.Context) error {
	for _, tp := range p.tables {
		select {
		case <-tp.loaded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	close(p.loaded)
	return p.resyncs(ctx)
}

// Loaded is closed once every table is loaded or was refused.
func (p *Pipeline) Loaded() <-chan struct{} { return p.loaded }

// reportEvery is how often sync_status and what the portal's replies carry are
// written down.
const reportEvery = 10 * time.Second

// report keeps sync_status current.
func (p *Pipeline) report(ctx context.Context) error {
	for {
		if err := sleep(ctx, p.clock, reportEvery); err != nil {
			return err
		}
		if err := errors.Join(p.wh.SaveStatus(ctx, p.progress.statuses()), p.saveCoverage(ctx)); err != nil && ctx.Err() == nil {
			p.log.Warn().Err(err).Msg("status not written")
		}
	}
}

func (p *Pipeline) saveCoverage(ctx context.Context) error {
	for t, cov := range p.covs {
		if err := p.saveJSON(ctx, keysKey(p.name, t), cov.Seen()); err != nil {
			return err
		}
	}
	return nil
}
