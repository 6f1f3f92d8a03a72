package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"deskhouse/config"
	"deskhouse/source/desksim"
	"deskhouse/source/webhook"
)

// demoFlags configure a demonstration.
type demoFlags struct {
	sim      simFlags
	duration time.Duration
	keep     bool
}

func demoCommand(o *options) *cobra.Command {
	f := demoFlags{sim: simFlags{listen: "127.0.0.1:0"}}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Load a simulated portal, follow it for a while, and compare every column",
		Long: `Starts a simulated portal, the embedded ClickHouse engine and a real pipeline
between them, over HTTP on this machine. It loads, lets the portal live, waits
until everything has arrived, and compares every table with the portal column by
column. The exit code is 0 only when they are equal.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), o, f) },
	}
	c.Flags().IntVar(&f.sim.tickets, "tickets", 20_000, "tickets at the start")
	c.Flags().DurationVar(&f.duration, "duration", 15*time.Second, "how long the portal lives")
	c.Flags().Int64Var(&f.sim.seed, "seed", 1, "seed of everything invented")
	c.Flags().IntVar(&f.sim.archived, "archived", 50, "archived tickets on top")
	c.Flags().BoolVar(&f.keep, "keep", false, "leave engine and data up at the end and say how to query them")
	return c
}

// demonstration is a running demo.
type demonstration struct {
	flags  demoFlags
	dir    string
	portal *desksim.Portal
	core   *core
	pipe   *pipe
	say    func(format string, args ...any)
}

func demo(ctx context.Context, o *options, f demoFlags) error {
	show := newDisplay(ctx, os.Stderr)
	if !o.json && o.logLevel == "info" {
		o.logLevel = "warn" // the demo tells its own story
	}
	log, err := o.logger(show.output(os.Stderr))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "deskhouse-demo-")
	if err != nil {
		return err
	}
	d := &demonstration{flags: f, dir: dir, say: func(format string, args ...any) {
		if !o.json {
			fmt.Fprintf(show.output(os.Stderr), format+"\n", args...)
		}
	}}
	err = d.run(ctx, o, show, log)
	if !f.keep {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// run starts portal and service, tells the story, and stops both.
func (d *demonstration) run(ctx context.Context, o *options, show *display, log zerolog.Logger) error {
	portalAt, err := net.Listen("tcp", d.flags.sim.listen)
	if err != nil {
		return err
	}
	d.portal = desksim.New(d.flags.sim.portal())
	defer d.portal.Close()
	cfg, err := d.configure("http://" + portalAt.Addr().String())
	if err != nil {
		return errors.Join(err, portalAt.Close())
	}
	if d.core, err = openCore(ctx, cfg, log); err != nil {
		return errors.Join(err, portalAt.Close())
	}
	d.pipe = d.core.pipes[0]
	sctx, stop := context.WithCancel(ctx)
	defer stop()
	g, gctx := errgroup.WithContext(sctx)
	g.Go(func() error { return serveHTTP(gctx, webhook.HTTPServer("", d.portal.Handler()), portalAt) })
	g.Go(func() error { return d.core.serve(gctx) })
	g.Go(func() error { return ignoreCanceled(show.run(gctx, d.core.progress, log)) })
	var outcome demoOutcome
	g.Go(func() (err error) {
		defer stop()
		outcome, err = d.story(gctx)
		if err == nil {
			err = outcome.print(o.json)
		}
		if err == nil && d.flags.keep {
			err = d.keepUp(gctx)
		}
		return err
	})
	err = errors.Join(g.Wait(), d.core.Close())
	if err == nil && outcome.Mismatches > 0 {
		err = &exitError{exitDrift, fmt.Errorf("%d mismatches", outcome.Mismatches)}
	}
	return err
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// configure writes the configuration file a user would write, and loads it.
func (d *demonstration) configure(portal string) (*config.Config, error) {
	hook, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := hook.Addr().String()
	if err := hook.Close(); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`connections:
  main: {data_center: us, org_id: "%d", client_id: 1000.SIMULATEDCLIENT, client_secret: simulated-secret,
         refresh_token: 1000.simulated.refresh, accounts_url: %q, desk_url: %q, jwks_url: %q}
pipelines:
  demo: {connection: main, warehouse: {url: embedded, database: desk}}
intake: {listen: %q, public_url: %q, jwt: required}
admin: {listen: "127.0.0.1:0"}
state: {url: embedded, dir: ./data, key: %q}
`, d.portal.OrgID(), portal, portal, portal+"/.well-known/jwks.json", addr, "http://"+addr, demoKey)
	path := filepath.Join(d.dir, "deskhouse.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return config.Load(path, os.Getenv)
}

// demoKey seals the invented tokens of the demo's throw-away state.
const demoKey = "ZGVza2hvdXNlLWRlbW8tc3RhdGUta2V5LTMyLWJ5dGU="

// keepUp says how to query what was made, and waits to be stopped.
func (d *demonstration) keepUp(ctx context.Context) error {
	d.pipe.mu.Lock()
	a := d.pipe.access
	d.pipe.mu.Unlock()
	fmt.Printf("\nEngine and data stay up until Ctrl-C, in %s\n", d.dir)
	fmt.Printf("  bin/deskhouse sql -c %s/deskhouse.yaml 'SELECT count() FROM tickets'\n", d.dir)
	fmt.Printf("  native %s, HTTP %s, database %s, user default without password\n", a.URL, a.HTTP, a.Database)
	<-ctx.Done()
	return nil
}
