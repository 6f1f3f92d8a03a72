package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"deskhouse/config"
	"deskhouse/pipeline"
	"deskhouse/sink/clickhouse"
	"deskhouse/source"
	"deskhouse/source/webhook"
	"deskhouse/source/zohodesk"
	"deskhouse/state"
)

// core holds what a configuration stands for: the opened state, one client a
// connection, one entry a pipeline. Commands work on it, whether they run the
// service or do one thing while nothing runs.
type core struct {
	cfg      *config.Config
	log      zerolog.Logger
	clock    clockwork.Clock
	registry *prometheus.Registry
	store    *state.Store
	conns    map[string]*connection
	pipes    []*pipe // by name
	engines  *engines

	noIntake bool              // check: the intake cannot listen
	public   http.RoundTripper // check: the way to the public URL, nil = the network
}

// connection is one Zoho client and the keys its portal signs webhooks with.
type connection struct {
	name   string
	client *zohodesk.Client
	keys   *webhook.Keys

	authorised *authorised // when its authorisation comes back
}

// pipe is one pipeline with everything it works with.
type pipe struct {
	name   string
	cfg    config.Pipeline
	conn   *connection
	org    uint64
	masks  map[source.Table]*source.Mask
	events *state.Log
	dead   *state.Log
	hooks  hooks
	ready  chan struct{} // closed once sync is set for the first time
	begun  sync.Once

	mu     sync.Mutex // guards those below, set while the service starts
	wh     *clickhouse.Warehouse
	access access
	sync   *pipeline.Pipeline
	reason string // why it does not run yet, for people
}

// access is how a warehouse is reached.
type access struct {
	URL, HTTP, Database, Version string
}

// openCore opens the state and prepares the rest; nothing is asked of Zoho or
// ClickHouse yet. The error of a second deskhouse is state.ErrInUse.
func openCore(ctx context.Context, cfg *config.Config, log zerolog.Logger) (*core, error) {
	key, err := cfg.State.RequireKey()
	if err != nil {
		return nil, err
	}
	c := &core{cfg: cfg, log: log, clock: clockwork.NewRealClock(), registry: prometheus.NewRegistry(), conns: map[string]*connection{}}
	c.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	c.engines = newEngines(log)
	c.store, err = state.Open(ctx, state.Config{URL: stateURL(cfg.State), Dir: cfg.State.Dir, Key: key, MaxLogBytes: cfg.State.Log.MaxBytes,
		ReserveBytes: cfg.State.Log.Reserve, Logger: log, Clock: c.clock})
	if errors.Is(err, state.ErrWrongKey) {
		return nil, &config.Error{Path: "state.key", Problem: "is not the key that the state in " + cfg.State.Dir + " was made with",
			Fix: "give the old key, or move the folder away and start afresh"}
	}
	if err != nil {
		return nil, fmt.Errorf("open state in %s: %w", cfg.State.Dir, err)
	}
	if err := c.build(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *core) build(ctx context.Context) error {
	for name, conn := range c.cfg.Connections {
		client, err := c.connect(name, conn)
		if err != nil {
			return fmt.Errorf("connection %s: %w", name, err)
		}
		client.client.Recall(ctx)
		c.conns[name] = client
	}
	for name, pc := range c.cfg.Pipelines {
		p := &pipe{name: name, cfg: pc, conn: c.conns[pc.Connection], org: c.cfg.Connections[pc.Connection].OrgID,
			ready: make(chan struct{}), reason: "starting"}
		var err error
		if p.masks, err = masksOf(name, pc); err != nil {
			return err
		}
		if p.events, err = c.store.Log(ctx, name); err != nil {
			return fmt.Errorf("pipeline %s: %w", name, err)
		}
		if p.dead, err = c.store.DeadLetters(ctx, name); err != nil {
			return fmt.Errorf("pipeline %s: %w", name, err)
		}
		if p.hooks, err = c.openHooks(ctx, p); err != nil {
			return fmt.Errorf("pipeline %s: %w", name, err)
		}
		c.pipes = append(c.pipes, p)
	}
	slices.SortFunc(c.pipes, func(a, b *pipe) int { return strings.Compare(a.name, b.name) })
	return nil
}

// connect makes the client of one connection.
func (c *core) connect(name string, conn config.Connection) (*connection, error) {
	reserve := conn.Credits.ReservePercent / 100
	if conn.Credits.ReservePercent == 0 && conn.Credits.ReserveCredits == 0 {
		reserve = -1 // zohodesk: negative means none
	}
	client, err := zohodesk.New(zohodesk.Config{Name: name, DataCenter: conn.DataCenter, AccountsURL: conn.AccountsURL, DeskURL: conn.DeskURL, OAuth: oauthURLs(conn.OAuth),
		OrgID: conn.OrgID, ClientID: conn.ClientID, ClientSecret: conn.ClientSecret.Reveal(), RefreshToken: conn.RefreshToken.Reveal(),
		MaxInFlight: conn.Concurrency, CreditsPerDay: int(conn.Credits.PerDay), Reserve: reserve, ReserveCredits: int(conn.Credits.ReserveCredits),
		Clock: c.clock, Logger: c.log, Tokens: tokens{c.store, name}, Spending: spendings{c.store, name}, Registerer: c.registry})
	if err != nil {
		return nil, err
	}
	jwks := conn.JWKSURL
	if jwks == "" {
		jwks = client.JWKSURL()
	}
	return &connection{name: name, client: client, keys: webhook.NewKeys(jwks, nil, c.clock), authorised: newAuthorised()}, nil
}

// Close stops what the core started and closes the state.
func (c *core) Close() error {
	var errs []error
	for _, p := range c.pipes {
		p.mu.Lock()
		if p.wh != nil {
			errs = append(errs, p.wh.Close())
			p.wh = nil
		}
		p.mu.Unlock()
	}
	c.flushSpending()
	return errors.Join(append(errs, c.engines.close(), c.store.Close())...)
}

// pipe finds a pipeline by name; with one pipeline the name may be empty.
func (c *core) pipe(name string) (*pipe, error) {
	if name == "" && len(c.pipes) == 1 {
		return c.pipes[0], nil
	}
	names := make([]string, len(c.pipes))
	for i, p := range c.pipes {
		if p.name == name {
			return p, nil
		}
		names[i] = p.name
	}
	if name == "" {
		return nil, fmt.Errorf("which pipeline? one of %v", names)
	}
	return nil, fmt.Errorf("no pipeline %q; there are %v", name, names)
}
