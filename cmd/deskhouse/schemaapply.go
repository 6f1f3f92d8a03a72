package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"deskhouse/config"
	"deskhouse/sink/clickhouse"
)

// appliedReply is what schema --apply --json prints.
type appliedReply struct {
	Pipeline string            `json:"pipeline"`
	Applied  []clickhouse.Step `json:"applied"`
	Left     []clickhouse.Step `json:"left"` // of the plan afterwards
}

// applySteps carries out what waits for a person. It works under the lease
// itself and leaves a running service alone: that one writes to the tables.
func (f schemaFlags) applySteps(ctx context.Context, o *options, cfg *config.Config, table string) error {
	ctl, err := dial(cfg)
	if err == nil {
		return errors.Join(&exitError{exitRunning, errors.New("deskhouse runs on this state and writes to the tables: stop it, then run this again")}, ctl.end())
	}
	if !errors.Is(err, errNotRunning) {
		return err
	}
	log, err := o.logger(os.Stderr)
	if err != nil {
		return err
	}
	c, err := openCore(ctx, cfg, log)
	if err != nil {
		return err
	}
	return errors.Join(f.applyAlone(ctx, o, c, table), c.Close())
}

func (f schemaFlags) applyAlone(ctx context.Context, o *options, c *core, table string) error {
	p, err := c.pipe(f.pipeline)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	lease, err := c.store.AcquireLease(ctx, p.name, leaseTTL)
	if err != nil {
		return err
	}
	var applied error
	led, stop := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(led)
	g.Go(func() error { return lease.Run(gctx) })
	g.Go(func() error {
		defer stop()
		applied = f.applyTo(gctx, o, c, p, table)
		return nil
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		applied = errors.Join(err, applied) // the lease was lost
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(applied, lease.Release(last))
}

// applyTo plans, asks and applies.
func (f schemaFlags) applyTo(ctx context.Context, o *options, c *core, p *pipe, table string) (err error) {
	wh, done, err := c.reach(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	reply := schemaReply{Pipeline: p.name}
	if reply.Schema, err = wh.Schema(ctx, tablesOf(p.cfg)); err != nil {
		return err
	}
	if err := reply.only(table); err != nil {
		return err
	}
	steps := slices.DeleteFunc(slices.Clone(reply.Plan), func(s clickhouse.Step) bool { return !f.carriesOut(s) })
	if len(steps) > 0 {
		if err := f.agree(ctx, steps); err != nil {
			return err
		}
		if err := wh.ApplySchema(ctx, tablesOf(p.cfg), steps); err != nil {
			return err
		}
		if reply.Schema, err = wh.Schema(ctx, tablesOf(p.cfg)); err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(os.Stdout, appliedReply{p.name, append([]clickhouse.Step{}, steps...), reply.Plan})
	}
	did := "no step waits for this"
	if len(steps) > 0 {
		did = plural(len(steps), "step") + " done"
	}
	fmt.Printf("%s; %s\n", did, reply.verdict())
	return nil
}

// carriesOut reports whether a step is one of those asked for. Drops are asked
// for by themselves: whoever needs another step may want to keep their values.
func (f schemaFlags) carriesOut(s clickhouse.Step) bool {
	return !s.Automatic && s.SQL != "" && (f.drop || !s.Cleanup())
}

// agree shows the steps and asks.
func (f schemaFlags) agree(ctx context.Context, steps []clickhouse.Step) error {
	for _, s := range steps {
		fmt.Fprintf(os.Stderr, "%s: %s (%s)\n    %s\n", s.Table, s.What, s.Why, s.SQL)
	}
	if f.yes {
		return nil
	}
	if !interactive() {
		return &exitError{exitDecision, errors.New("nothing was changed: run it on a terminal, or add --yes")}
	}
	agreed, err := confirm(ctx, "Carry out "+plural(len(steps), "step")+"?")
	if err == nil && !agreed {
		return &exitError{exitDecision, errors.New("nothing was changed")}
	}
	return err
}
