package pipeline

import (
	"context"
	"errors"
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
	Hydrate map[source.Table]Hydrate       // which rows get their detail; absent = none
	// Select is what of each table is stored; a table without a mask is stored
	// whole.
	Select  map[source.Table]*source.Mask
	CatchUp bool   // a scheduled resync that was missed is run late, else skipped
	Epoch   uint64 // of the lease this process holds
	Mode    Mode
}

// Mode is how much of its life a sync leads.
type Mode int

// The modes. Once and Passive serve commands while no service runs.
const (
	Follow  Mode = iota // load, follow, poll, scheduled resyncs
	Once                // load what is not loaded and apply the log; no polls, no schedule
	Passive             // apply the log and queued re-reads; nothing is loaded
)

// Parts are the collaborators of a sync. Events is nil when there is no intake.
type Parts struct {
	Desk       Desk
	Warehouse  Warehouse
	KV         KV
	Events     EventLog
	Dead       DeadLetters
	Purse      Purse // nil = credits bound nothing
	Clock      clockwork.Clock
	Log        zerolog.Logger
	Registerer prometheus.Registerer // nil = no metrics
	// Regained gives a channel that is closed when the connection, which may have
	// been refused everything, is authorised again; nil = nobody tells.
	Regained func() <-chan struct{}
}

// Pipeline is one sync. Make it with New and call Run once; the other methods
// may be called from any goroutine while Run runs.
type Pipeline struct {
	deps
	cfg    Config
	events EventLog
	tables map[source.Table]*table
	loaded chan struct{} // closed once every table is loaded or skipped
	purse  Purse
	ended  chan struct{} // closed when Run returned
	slowed sync.Once     // polls had to wait for credits, and it was said
}

// table is one table with everything that works on it.
type table struct {
	w         *writer
	reader    tableReader
	bin       *binReader // nil without a recycle bin
	polls     chan request
	binRounds chan request
	loaded    chan struct{}
	resyncing turn // one comparison at a time
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
	misses   *missGuard
	blanks   *blanks
	schema   *schema
	masks    masks
	history  map[source.Table]bool
	epoch    uint64
	clock    clockwork.Clock
	log      zerolog.Logger
	metrics  *metrics
	progress *progress
	failing  *failing
	regained func() <-chan struct{}
}

// Origins of observations, as the changes table names them.
const (
	originSnapshot = "snapshot"
	originPoll     = "poll"
	originReread   = "re-read"
	originResync   = "resync"
	originRestore  = "restore" // a resync after rows or state were lost
)

// New assembles a sync; nothing runs and nothing is read before Run.
func New(cfg Config, parts Parts) *Pipeline {
	log := parts.Log.With().Str("pipeline", cfg.Name).Logger()
	p := &Pipeline{cfg: cfg, events: parts.Events, purse: parts.Purse, tables: map[source.Table]*table{}, loaded: make(chan struct{}), ended: make(chan struct{})}
	desk := selecting{parts.Desk, cfg.Select}
	p.deps = deps{name: cfg.Name, desk: desk, masks: cfg.Select, wh: parts.Warehouse, kv: parts.KV, dead: parts.Dead,
		covs:    map[source.Table]*source.Coverage{},
		rereads: newRereads(parts.KV, cfg.Name, parts.Clock, log),
		blanks:  newBlanks(),
		schema:  newSchema(desk, parts.Warehouse, parts.Clock, log),
		history: cfg.History, epoch: cfg.Epoch, clock: parts.Clock, log: log,
		metrics: newMetrics(parts.Registerer, cfg.Name), progress: newProgress(parts.Clock, cfg.Tables), failing: newFailing(parts.Clock),
		regained: parts.Regained}
	p.schema.usual = p.usual
	p.misses = newMissGuard(parts.Warehouse, parts.Clock, p.waiting)
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
	defer close(p.ended)
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
	g.Go(func() error { p.warnOfDepartments(ctx); return nil })
	g.Go(func() error { return p.beats(ctx) })
	g.Go(func() error { return p.names(ctx) })
	if p.cfg.Mode == Follow {
		g.Go(func() error { return p.recount(ctx) })
		g.Go(func() error { return p.settle(ctx) })
	}
	g.Go(func() error { return p.afterLoad(ctx) })
	g.Go(func() error { return p.report(ctx) })
	return g.Wait()
}

// open restores what earlier runs left and finds where the log goes on.
func (p *Pipeline) open(ctx context.Context) (from uint64, err error) {
	err = retry(ctx, p.clock, p.log, "find the position in the log", func(ctx context.Context) (err error) {
		from, err = p.position(ctx)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, t := range p.cfg.Tables {
		var seen source.Seen
		if _, err := p.loadJSON(ctx, keysKey(p.name, t), &seen); err != nil {
			return 0, err
		}
		p.covs[t].Restore(seen)
		if err := retry(ctx, p.clock, p.log, "read the edition of "+string(t), p.tables[t].w.learnEdition); err != nil {
			return 0, err
		}
	}
	p.progress.applied(from)
	return from, p.rereads.load(ctx)
}

func (p *Pipeline) newTable(t source.Table) *table {
	w := newWriter(t, p.deps)
	tp := &table{w: w, polls: make(chan request), binRounds: make(chan request), loaded: make(chan struct{}), resyncing: newTurn()}
	switch t {
	case source.Tickets, source.Products:
		tp.reader = &searchTable{deps: p.deps, w: w, departments: p.departmentIDs, list: &getTable{deps: p.deps, w: w}}
	case source.Contracts:
		tp.reader = &getTable{deps: p.deps, w: w}
	case source.Departments:
		tp.reader = &departmentTable{deps: p.deps, w: w}
	case source.OrganizationFields:
		tp.reader = &fieldTable{deps: p.deps, w: w, modules: p.cfg.Modules, tables: p.cfg.Tables}
	}
	for _, b := range binTables {
		if b == t {
			tp.bin = newBinReader(p.deps, w)
		}
	}
	return tp
}

// departmentIDs asks the portal, since the departments table may be off.
func (p deps) departmentIDs(ctx context.Context) ([]uint64, error) {
	var ids []uint64
	err := p.eachPage(ctx, source.ForSnapshot, source.Departments, source.ListQuery{}, nil, func(page source.Page, _ place) error {
		for _, r := range page.Records {
			ids = append(ids, r.Key.ID)
		}
		return nil
	})
	return ids, err
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
	p.freshNames(ctx)
	close(p.loaded)
	if p.cfg.Mode != Follow {
		return nil
	}
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
		if err := errors.Join(p.wh.SaveStatus(ctx, p.statuses()), p.saveCoverage(ctx)); err != nil && ctx.Err() == nil {
			p.log.Warn().Err(err).Msg("status not written")
		}
	}
}

// statuses are the rows of sync_status.
func (p *Pipeline) statuses() []source.TableStatus {
	all, fails := p.progress.statuses(), p.failing.list()
	for i := range all {
		all[i].Error = of(fails, all[i].Table)
	}
	return all
}

func (p *Pipeline) saveCoverage(ctx context.Context) error {
	for t, cov := range p.covs {
		if err := p.saveJSON(ctx, keysKey(p.name, t), cov.Seen()); err != nil {
			return err
		}
	}
	return nil
}
