package main

import (
	"context"
	"errors"
	"net"
	"slices"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"deskhouse/config"
)

const (
	itemIntake = "intake port"
	itemPublic = "public URL"
)

// checkHere is check for a process that serves nothing: the intake listens
// meanwhile, so that the public URL has somebody to reach. What Zoho delivers in
// that time is stored, as always.
func (c *core) checkHere(ctx context.Context) []finding {
	if c.cfg.Intake == nil {
		return c.check(ctx)
	}
	listener, err := net.Listen("tcp", c.cfg.Intake.Listen)
	if err != nil {
		c.noIntake = true
		return append([]finding{failed(itemIntake, "stop what listens there, or choose another intake.listen", "%v", err)}, c.check(ctx)...)
	}
	intake, err := c.intake()
	if err != nil {
		return []finding{failed(itemIntake, "", "%v", errors.Join(err, listener.Close()))}
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	g.Go(func() error { return c.serveIntake(serving, intake, listener) })
	findings := append([]finding{good(itemIntake, "%s is free", c.cfg.Intake.Listen)}, c.check(ctx)...)
	stop()
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		findings = append(findings, failed(itemIntake, "", "%v", err))
	}
	return findings
}

// check tries the state server, every connection, then every pipeline: what a
// pipeline needs of its connection is known by then.
func (c *core) check(ctx context.Context) []finding {
	findings := c.checkReplicas(ctx)
	conns := make([]*connCheck, 0, len(c.conns))
	byName := map[string]*connCheck{}
	for _, name := range sortedKeys(c.conns) {
		cc := c.newConnCheck(name)
		conns, byName[name] = append(conns, cc), cc
	}
	findings = append(findings, allAtOnce(conns, func(cc *connCheck) []finding { return cc.run(ctx) })...)
	if c.cfg.Intake != nil {
		findings = append(findings, c.checkPublicURL(ctx))
	}
	return append(findings, allAtOnce(c.pipes, func(p *pipe) []finding { return c.checkPipe(ctx, p, byName[p.conn.name]) })...)
}

func (c *core) checkPipe(ctx context.Context, p *pipe, cc *connCheck) []finding {
	var findings []finding
	for _, t := range tablesOf(p.cfg) {
		findings = append(findings, cc.table("pipeline "+p.name+" table "+string(t), t))
	}
	findings = append(findings, checkSelected(p, cc.departments)...)
	findings = append(findings, c.checkHook(p, cc))
	return append(findings, c.checkWarehouse(ctx, p, cc.departments)...)
}

// allAtOnce makes checks side by side and returns what they found in their
// order.
func allAtOnce[T any](of []T, check func(T) []finding) []finding {
	found := make([][]finding, len(of))
	var g errgroup.Group
	for i, one := range of {
		g.Go(func() error { found[i] = check(one); return nil })
	}
	_ = g.Wait() // checks return findings, not errors
	return slices.Concat(found...)
}

// checkReplicas holds a NATS server of the customer's own against what an
// acknowledgement promises.
func (c *core) checkReplicas(ctx context.Context) []finding {
	const item = "NATS replicas"
	if c.cfg.State.IsEmbedded() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	n, stream, err := c.store.Replicas(ctx)
	switch {
	case err != nil:
		return []finding{failed(item, "", "%v", err)}
	case n < 3:
		return []finding{warned(item, "run a cluster of three and raise them: nats stream edit "+stream+" --replicas 3 (each stream of deskhouse)",
			"stream %s has %d: with fewer than three, webhooks that were answered 200 are lost with one server's disk (NATS syncs it every two minutes by default)", stream, n)}
	}
	return []finding{good(item, "%d", n)}
}

// withoutState checks what needs no state, when that is what fails; err says
// how, nil when a finding has told already.
func withoutState(ctx context.Context, cfg *config.Config, log zerolog.Logger, err error) []finding {
	because := itemState
	var findings []finding
	var mistake *config.Error
	switch {
	case errors.As(err, &mistake):
		because = itemKey
		findings = append(findings, failed(itemKey, mistake.Fix, "%s", mistake.Problem))
	case err != nil && !cfg.State.IsEmbedded():
		because = "state server"
		findings = append(findings, failed(because, "check state.url, and that the NATS server (2.11 or newer, with JetStream) can be reached from here", "%v", err))
	case err != nil:
		findings = append(findings, failed(itemState, "", "%v", err))
	}
	for _, name := range sortedKeys(cfg.Connections) {
		findings = append(findings, skipped("connection "+name, because))
	}
	c := &core{cfg: cfg, log: log, clock: clockwork.NewRealClock(), engines: newEngines(log)}
	for _, name := range sortedKeys(cfg.Pipelines) {
		pc := cfg.Pipelines[name]
		p := &pipe{name: name, cfg: pc, org: cfg.Connections[pc.Connection].OrgID}
		findings = append(findings, skipped("pipeline "+name+" tables and webhook", because))
		findings = append(findings, c.checkWarehouse(ctx, p, nil)...)
	}
	if err := c.engines.close(); err != nil {
		findings = append(findings, failed("embedded engine", "", "%v", err))
	}
	return findings
}
