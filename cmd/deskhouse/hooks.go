package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"deskhouse/source"
	"deskhouse/source/subscription"
	"deskhouse/source/webhook"
	"deskhouse/source/zohodesk"
	"deskhouse/state"
)

// hooks is a pipeline's subscription at Zoho.
type hooks struct{ *subscription.Keeper }

// list are the ids at Zoho of what delivers to this pipeline.
func (h hooks) list() []string { return h.IDs() }

// fault says why the subscription is not as it should be, and since when.
func (h hooks) fault() string {
	p := h.Problem()
	switch {
	case p == nil:
		return ""
	case errors.Is(p.Err, subscription.ErrElsewhere):
		return fmt.Sprintf("since %s: %v (deskhouse webhook register)", clock(&p.Since), p.Err)
	}
	return fmt.Sprintf("since %s: %v", clock(&p.Since), p.Err)
}

// openHooks reads what state knows of a pipeline's subscription.
func (c *core) openHooks(ctx context.Context, p *pipe) (hooks, error) {
	k, err := subscription.New(ctx, subscription.Config{
		Pipeline: p.name, Kind: subscription.Desk{Client: p.conn.client}, Store: subscriptions{c.store},
		Secret: func(generation int) string {
			return webhook.Secret(c.store.Derive("hook", p.name, strconv.Itoa(generation)))
		},
		URL: func(secret string) string {
			if c.cfg.Intake == nil {
				return ""
			}
			return c.cfg.Intake.HookURL(p.name, secret)
		},
		Name: "deskhouse " + p.name, Events: zohodesk.WebhookEvents(), Clock: c.clock, Log: c.log,
		Missed: func(ctx context.Context, _ subscription.Gap) { c.closeGap(ctx, p) },
	})
	return hooks{k}, err
}

// subscriptions is state as subscription.Store.
type subscriptions struct{ store *state.Store }

var _ subscription.Store = subscriptions{}

func (s subscriptions) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	e, err := s.store.Get(ctx, key)
	if errors.Is(err, state.ErrNotFound) {
		return nil, 0, nil
	}
	return e.Value, e.Revision, err
}

func (s subscriptions) Save(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	next, err := s.store.Put(ctx, key, value, revision)
	if errors.Is(err, state.ErrConflict) {
		return 0, fmt.Errorf("%w: %w", subscription.ErrConflict, err)
	}
	return next, err
}

// errNoIntake: there is nothing that webhooks could be delivered to.
var errNoIntake = errors.New("there is no intake in the configuration: this deskhouse only polls")

// hookURL is the URL that Zoho delivers this pipeline's webhooks to; an error
// says that there is no intake.
func (c *core) hookURL(p *pipe) (string, error) {
	if c.cfg.Intake == nil {
		return "", errNoIntake
	}
	return p.hooks.URL(), nil
}

// keepHook looks after the webhook while the service runs. Zoho asks the intake
// when one is registered, so without an intake there is nothing to do.
func (c *core) keepHook(ctx context.Context, p *pipe) error {
	if c.cfg.Intake == nil {
		return nil
	}
	return p.hooks.Run(ctx)
}

// gapPatience bounds the polls that close a gap; the next turn of each poll
// closes it as well.
const gapPatience = 10 * time.Minute

// closeGap polls what webhooks tell of. A load that is not over, and a pipeline
// that does not run yet, find everything by themselves.
func (c *core) closeGap(ctx context.Context, p *pipe) {
	p.mu.Lock()
	s := p.sync
	p.mu.Unlock()
	if s == nil {
		return
	}
	select {
	case <-s.Loaded():
	default:
		return
	}
	ctx, cancel := context.WithTimeout(ctx, gapPatience)
	defer cancel()
	for _, t := range []source.Table{source.Tickets, source.Departments} {
		if !slices.Contains(tablesOf(p.cfg), t) {
			continue
		}
		if err := errors.Join(s.PollNow(ctx, t), s.BinNow(ctx, t)); err != nil {
			c.log.Warn().Err(err).Str("pipeline", p.name).Str("table", string(t)).Msg("poll after a gap of the webhook failed: the next one finds what was missed")
		}
	}
}

// registerHook makes sure that Zoho delivers to this pipeline, and goes on
// trying if it does not. The intake must be reachable: Zoho asks it at once.
func (c *core) registerHook(ctx context.Context, p *pipe) (hookReply, error) {
	if _, err := c.hookURL(p); err != nil {
		return hookReply{}, err
	}
	if err := p.hooks.Register(ctx); err != nil {
		return hookReply{}, fmt.Errorf("%w; until it is there changes are found by polls, and a running deskhouse tries again, hourly at least", err)
	}
	s := p.hooks.Current()
	reply := hookReply{Name: "deskhouse " + p.name, Enabled: true, Ours: true}
	if len(s.IDs) > 0 {
		reply.ID = s.IDs[0]
	}
	for _, item := range s.Events {
		if item.OK {
			reply.Events = append(reply.Events, item.Event)
		}
	}
	return reply, nil
}

// removalReply is what a deletion did.
type removalReply struct {
	Deleted int `json:"deleted"`
	// Left is what delivers to a deskhouse at another host, in words.
	Left []string `json:"left"`
}

// removeHooks deletes every webhook that delivers to this pipeline.
func (c *core) removeHooks(ctx context.Context, p *pipe) (removalReply, error) {
	r, err := p.hooks.Remove(ctx)
	switch {
	case err != nil && p.hooks.Current().Wanted:
		err = fmt.Errorf("%w; what is not deleted stays as it is, and deskhouse keeps it up until a deletion succeeds: try again", err)
	case err != nil:
		err = fmt.Errorf("%w; no webhook of this pipeline is known, and deskhouse registers none by itself", err)
	}
	return removalReply{Deleted: len(r.Deleted), Left: orEmpty(r.Left)}, err
}

// deleteHooks is removeHooks for a revoke. What is left at another host is not
// in the way: whoever runs there looks after it.
func (c *core) deleteHooks(ctx context.Context, p *pipe) (int, error) {
	r, err := c.removeHooks(ctx, p)
	for _, left := range r.Left {
		c.log.Warn().Str("pipeline", p.name).Msg(left + ": it is left there")
	}
	return r.Deleted, err
}

// rotationReply is how far a change of the secret came; it holds no secret.
type rotationReply struct {
	Generation int `json:"generation"`
	// Switched: Zoho delivers to the new URL.
	Switched bool `json:"switched"`
	// ByHand: there is no webhook in deskhouse's care; whoever made one gives it
	// the new URL.
	ByHand   bool     `json:"by_hand"`
	Webhooks []string `json:"webhooks"`
	// OldUntil is when the last old secret ends; null = with --finish, or when
	// none is left.
	OldUntil *time.Time `json:"old_until"`
	Finished bool       `json:"finished"`
}

// rotateHook begins a new secret, or goes on with one; finish ends the old ones.
func (c *core) rotateHook(ctx context.Context, p *pipe, finish bool) (rotationReply, error) {
	if _, err := c.hookURL(p); err != nil {
		return rotationReply{}, err
	}
	do := p.hooks.Rotate
	if finish {
		do = p.hooks.Finish
	}
	err := do(ctx)
	s := p.hooks.Current()
	reply := rotationReply{Generation: s.Generation, Switched: s.Wanted && !s.Rotating(), ByHand: !s.Wanted, Webhooks: orEmpty(s.IDs), Finished: len(s.Retiring) == 0}
	for _, r := range s.Retiring {
		if until := orNull(r.Until); until != nil && (reply.OldUntil == nil || until.After(*reply.OldUntil)) {
			reply.OldUntil = until
		}
	}
	switch {
	case errors.Is(err, subscription.ErrNotSwitched):
		return reply, fmt.Errorf("%w: nothing is ended; `deskhouse status` and the log say why it could not be switched over", err)
	case err != nil && s.Rotating():
		return reply, fmt.Errorf("both secrets are valid, but Zoho could not be switched over yet; a running deskhouse goes on trying: %w", err)
	}
	return reply, err
}
