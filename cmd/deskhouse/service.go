package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"deskhouse/config"
	"deskhouse/pipeline"
	"deskhouse/sink/clickhouse"
	"deskhouse/source"
	"deskhouse/source/webhook"
	"deskhouse/source/zohodesk"
	"deskhouse/state"
)

const (
	leaseTTL = 15 * time.Second
	// stopWithin bounds the end of HTTP requests that are under way at a stop.
	stopWithin = 5 * time.Second
	// commandPatience is how long a command that works by itself waits for a
	// warehouse that does not answer.
	commandPatience = 30 * time.Second
)

// serve runs everything until ctx ends: the intake first, so that no event is
// missed, then each pipeline. On a stop the intake closes first, then the
// pipelines end where they stand; what is not confirmed is done again.
func (c *core) serve(ctx context.Context) error {
	listeners, err := c.listen()
	if err != nil {
		return err
	}
	var intake *webhook.Server
	if listeners.intake != nil {
		if intake, err = c.intake(); err != nil {
			return errors.Join(err, listeners.close())
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.serveControl(ctx) })
	if intake != nil {
		g.Go(func() error { return c.serveIntake(ctx, intake, listeners.intake) })
		c.keepKeys(ctx, g)
	}
	if listeners.admin != nil {
		g.Go(func() error { return serveHTTP(ctx, webhook.HTTPServer("", c.adminHandler()), listeners.admin) })
	}
	c.watchAuthorisations(ctx, g)
	for _, p := range c.pipes {
		g.Go(func() error {
			if err := c.runPipe(ctx, p, pipeline.Follow); err != nil && ctx.Err() == nil {
				return fmt.Errorf("pipeline %s: %w", p.name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// listeners are the ports of the configuration, nil for those it has not.
type listeners struct{ intake, admin net.Listener }

func (l listeners) close() error {
	var errs []error
	for _, listener := range []net.Listener{l.intake, l.admin} {
		if listener != nil {
			errs = append(errs, listener.Close())
		}
	}
	return errors.Join(errs...)
}

// listen takes the ports before anything runs: one that is taken is a mistake
// of the configuration.
func (c *core) listen() (l listeners, err error) {
	take := func(key, addr string) net.Listener {
		listener, listenErr := net.Listen("tcp", addr)
		if listenErr != nil {
			err = errors.Join(err, &exitError{exitUsage, fmt.Errorf("%s: %w", key, listenErr)})
			return nil
		}
		return listener
	}
	if c.cfg.Intake != nil {
		l.intake = take("intake.listen", c.cfg.Intake.Listen)
	}
	if c.cfg.Admin.Listen != "" {
		l.admin = take("admin.listen", c.cfg.Admin.Listen)
	}
	if err != nil {
		return l, errors.Join(err, l.close())
	}
	return l, nil
}

// intake builds the public server with one route a pipeline.
func (c *core) intake() (*webhook.Server, error) {
	return webhook.New(webhook.Config{Routes: c.routes(), Logger: c.log, Clock: c.clock, Registerer: c.registry})
}

// serveIntake ends the committers only after the last request was answered.
func (c *core) serveIntake(ctx context.Context, intake *webhook.Server, listener net.Listener) error {
	commit, stop := context.WithCancel(context.WithoutCancel(ctx))
	var g errgroup.Group
	g.Go(func() error { return intake.Run(commit) })
	err := serveHTTP(ctx, webhook.HTTPServer("", intake), listener)
	stop()
	if runErr := g.Wait(); runErr != nil && !errors.Is(runErr, context.Canceled) {
		err = errors.Join(err, runErr)
	}
	return err
}

// serveHTTP serves until ctx ends, then lets requests under way finish.
func serveHTTP(ctx context.Context, srv *http.Server, listener net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	err := srv.Shutdown(last)
	<-ended
	return err
}

// runPipe is one pipeline under its lease.
func (c *core) runPipe(ctx context.Context, p *pipe, mode pipeline.Mode) error {
	lease, err := c.store.AcquireLease(ctx, p.name, leaseTTL)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return lease.Run(gctx) })
	g.Go(func() error { return c.sync(gctx, p, lease, mode) })
	if mode == pipeline.Follow {
		g.Go(func() error {
			return p.conn.authorised.anew(gctx, func(ctx context.Context) error { return c.keepHook(ctx, p) })
		})
	}
	err = g.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(err, lease.Release(last))
}

// sync opens the warehouse, for as long as that takes, and runs the pipeline.
// When somebody dropped a column under it, a service does what a restart would:
// it prepares the tables again and runs on.
func (c *core) sync(ctx context.Context, p *pipe, lease *state.Lease, mode pipeline.Mode) error {
	leader := &leader{store: c.store, lease: lease, pipeline: p.name}
	for mended := (time.Time{}); ; mended = c.clock.Now() {
		ran, err := c.syncOnce(ctx, p, leader, mode)
		if ctx.Err() != nil || !ran || mode != pipeline.Follow || !errors.Is(err, clickhouse.ErrColumn) {
			return explained(err)
		}
		c.log.Error().Err(err).Str("pipeline", p.name).Msg("somebody dropped or renamed a column: the tables are prepared again; a resync fills what it held")
		if err := errors.Join(p.halt(err), c.pause(ctx, mendEvery-c.clock.Since(mended))); err != nil {
			return err
		}
	}
}

// mendEvery is how often a pipeline is begun again at most: what preparing does
// not mend must not keep everybody busy.
const mendEvery = time.Minute

// halt notes that the pipeline does not run, and lets go of its warehouse.
func (p *pipe) halt(why error) error {
	p.mu.Lock()
	wh := p.wh
	p.sync, p.wh, p.reason = nil, nil, why.Error()
	p.mu.Unlock()
	if err := wh.Close(); err != nil {
		return fmt.Errorf("close the warehouse: %w", err)
	}
	return nil
}

func (c *core) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-c.clock.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// syncOnce is sync until the pipeline ends for the first time; ran is false when
// the warehouse could not be opened.
func (c *core) syncOnce(ctx context.Context, p *pipe, leader *leader, mode pipeline.Mode) (ran bool, err error) {
	patience := time.Duration(math.MaxInt64)
	if mode != pipeline.Follow {
		patience = commandPatience
	}
	if err := c.openWarehouse(ctx, p, leader, patience); err != nil {
		return false, err
	}
	cfg := c.pipelineConfig(p, leader.epoch)
	cfg.Mode = mode
	s := pipeline.New(cfg, pipeline.Parts{Desk: p.conn.client, Warehouse: p.wh, KV: keyValues{c.store},
		Events: eventLog{p.events}, Dead: letters{p.dead}, Purse: p.conn.client, Clock: c.clock, Log: c.log, Registerer: c.registry,
		Regained: p.conn.authorised.regained})
	p.mu.Lock()
	p.sync, p.reason = s, ""
	p.mu.Unlock()
	p.begun.Do(func() { close(p.ready) })
	return true, s.Run(ctx)
}

// explained adds what to do to the end of a pipeline whose tables or columns were
// dropped under it.
func explained(err error) error {
	if errors.Is(err, clickhouse.ErrMissing) || errors.Is(err, clickhouse.ErrColumn) {
		return fmt.Errorf("%w: somebody dropped it; start deskhouse again, which makes it anew and fills it", err)
	}
	return err
}

func (c *core) pipelineConfig(p *pipe, epoch uint64) pipeline.Config {
	cfg := pipeline.Config{Name: p.name, OrgID: p.org, Trust: p.cfg.Payload == config.PayloadTrust, Bin: p.cfg.Bin.Poll, Epoch: epoch,
		Tables: tablesOf(p.cfg), Select: p.masks, Modules: zohodesk.FieldModules(), History: map[source.Table]bool{}, Polls: map[source.Table]time.Duration{}, Hydrate: map[source.Table]pipeline.Hydrate{}}
	for _, t := range cfg.Tables {
		tc := p.cfg.Tables[string(t)]
		cfg.History[t], cfg.Polls[t] = tc.History != config.HistoryOff, tc.Poll
		cfg.Hydrate[t] = pipeline.Hydrate(tc.Hydrate)
	}
	if p.cfg.Resync != nil {
		cfg.Resync, cfg.CatchUp = *p.cfg.Resync, p.cfg.Resync.Missed == config.MissedRun
	}
	return cfg
}

// tablesOf are the tables that are on, in the order they are loaded.
func tablesOf(p config.Pipeline) []source.Table {
	var tables []source.Table
	for _, r := range source.Resources {
		if p.Tables[string(r.Table)].Enabled {
			tables = append(tables, r.Table)
		}
	}
	return tables
}

// openWarehouse connects and prepares the database. An unreachable server is
// waited for, as long as patience lasts: webhooks are stored meanwhile.
func (c *core) openWarehouse(ctx context.Context, p *pipe, l *leader, patience time.Duration) error {
	began := c.clock.Now()
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := c.tryWarehouse(ctx, p, l)
		if err == nil || ctx.Err() != nil || !waitFor(err) || c.clock.Since(began) >= patience {
			return err
		}
		p.mu.Lock()
		p.reason = err.Error()
		p.mu.Unlock()
		c.log.Warn().Err(err).Str("pipeline", p.name).Msg("warehouse not ready, trying again")
		select {
		case <-c.clock.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waitFor reports whether time may heal an error of the warehouse.
func waitFor(err error) bool {
	for _, permanent := range []error{clickhouse.ErrConfig, clickhouse.ErrAuth, clickhouse.ErrDenied, clickhouse.ErrTooOld, clickhouse.ErrForeign,
		clickhouse.ErrOtherPipeline, clickhouse.ErrOtherServer, clickhouse.ErrNewerFormat, clickhouse.ErrSchema, clickhouse.ErrFenced} {
		if errors.Is(err, permanent) {
			return false
		}
	}
	return errors.Is(err, errEngineDown) || errors.Is(err, clickhouse.ErrUnreachable) || clickhouse.Retryable(err)
}

func (c *core) tryWarehouse(ctx context.Context, p *pipe, l *leader) error {
	a, err := c.locate(ctx, p.cfg.Warehouse)
	if err != nil {
		return err
	}
	wh, err := clickhouse.Open(ctx, warehouseConfig(a.URL, p.name, p.cfg, p.org, c.log))
	if err != nil {
		return err
	}
	if err := prepare(ctx, wh, tablesOf(p.cfg), l); err != nil {
		return errors.Join(err, wh.Close())
	}
	a.Version = wh.Version()
	p.mu.Lock()
	p.wh, p.access = wh, a
	p.mu.Unlock()
	return nil
}

func prepare(ctx context.Context, wh *clickhouse.Warehouse, tables []source.Table, l *leader) error {
	if err := wh.Prepare(ctx, tables); err != nil {
		return err
	}
	return l.takeOver(ctx, wh)
}

// locate says how a warehouse is reached, starting the embedded engine if that
// is what it is.
func (c *core) locate(ctx context.Context, w config.Warehouse) (access, error) {
	a := access{Database: w.Database, URL: w.URL}
	if w.IsEmbedded() {
		e, err := c.engines.start(ctx, w.Dir)
		if err != nil {
			return a, err
		}
		a.URL, a.HTTP = "clickhouse://"+e.Addr(), "http://"+e.HTTPAddr()
		return a, nil
	}
	if strings.HasPrefix(w.URL, "http") {
		a.HTTP = w.URL
	}
	return a, nil
}

// stateURL puts the credentials back that the configuration keeps apart.
func stateURL(s config.State) string {
	if s.IsEmbedded() || s.Password.IsZero() {
		return s.URL
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return s.URL
	}
	if s.User == "" {
		u.User = url.User(s.Password.Reveal())
	} else {
		u.User = url.UserPassword(s.User, s.Password.Reveal())
	}
	return u.String()
}
