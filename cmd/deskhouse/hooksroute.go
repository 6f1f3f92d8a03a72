package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"deskhouse/config"
	"deskhouse/source/webhook"
)

// routes are how the intake takes the pipelines' deliveries. In which unit
// Zoho's tokens give their times is counted, because its page and its example
// disagree (WEBHOOKDOC).
func (c *core) routes() []webhook.Route {
	met := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "deskhouse_webhook_token_times_total",
		Help: "Valid webhook tokens by pipeline and the unit of their times."}, []string{"pipeline", "unit"})
	c.registry.MustRegister(met)
	var routes []webhook.Route
	for _, p := range c.pipes {
		r := webhook.Route{Pipeline: p.name, Secrets: p.hooks.Secrets, Learn: p.hooks.Learn, OrgID: p.org, Log: p.events, DeadLetters: letters{p.dead}}
		if mode := c.cfg.Intake.JWT; mode != config.JWTOff {
			r.ProofRequired = mode == config.JWTRequired
			r.Proof = &webhook.JWT{OrgID: p.org, WebhookIDs: p.hooks.list, Unknown: p.hooks.Doubt, Keys: p.conn.keys, Clock: c.clock,
				Met: func(unit string) { met.WithLabelValues(p.name, unit).Inc() }}
		}
		routes = append(routes, r)
	}
	return routes
}

// keepKeys keeps each connection's signing keys fresh, in g.
func (c *core) keepKeys(ctx context.Context, g *errgroup.Group) {
	for _, conn := range c.conns {
		g.Go(func() error { return conn.keys.Run(ctx) })
	}
}
