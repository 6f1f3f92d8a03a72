package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"deskhouse/source/zohodesk"
	"deskhouse/state"
)

// hookIDs are the ids of the webhooks registered for a pipeline, as the intake
// checks them; kept in state under hook.<pipeline>. Safe for concurrent use.
type hookIDs struct{ ids atomic.Pointer[[]string] }

func hookKey(pipeline string) string { return "hook." + pipeline }

func (h *hookIDs) list() []string {
	if ids := h.ids.Load(); ids != nil {
		return *ids
	}
	return nil
}

func (h *hookIDs) load(ctx context.Context, store *state.Store, pipeline string) error {
	e, err := store.Get(ctx, hookKey(pipeline))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var ids []string
	if err := json.Unmarshal(e.Value, &ids); err != nil {
		return fmt.Errorf("stored webhook ids cannot be read: %w", err)
	}
	h.ids.Store(&ids)
	return nil
}

func (h *hookIDs) save(ctx context.Context, store *state.Store, pipeline string, ids []string) error {
	if slices.Equal(ids, h.list()) {
		return nil
	}
	value, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	if _, err := store.Set(ctx, hookKey(pipeline), value); err != nil {
		return fmt.Errorf("store webhook ids: %w", err)
	}
	h.ids.Store(&ids)
	return nil
}

// keepHook looks, at once and then from time to time, whether the webhook that
// was registered is still there under the id that state knows, and registers it
// again if not. One that nobody registered is nobody's to make, but state may
// have been lost: then it is looked for until Zoho has answered once.
func (c *core) keepHook(ctx context.Context, p *pipe) error {
	if c.cfg.Intake == nil {
		return nil
	}
	looked := false
	for wait := time.Duration(0); ; wait = hookCheckEvery {
		select {
		case <-c.clock.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		var err error
		if len(p.hooks.list()) > 0 {
			_, err = c.registerHook(ctx, p)
		} else if !looked {
			err = c.findHook(ctx, p)
			looked = err == nil
		}
		if err != nil && ctx.Err() == nil {
			c.log.Error().Err(err).Str("pipeline", p.name).Msg("webhook cannot be checked; polls find what it misses")
		}
	}
}

// findHook remembers the webhooks with our URL: when state was lost they still
// deliver, for the URL follows from the state key and the pipeline's name.
func (c *core) findHook(ctx context.Context, p *pipe) error {
	url, err := c.hookURL(p)
	if err != nil {
		return err
	}
	hooks, err := p.conn.client.Webhooks(ctx)
	if err != nil {
		return fmt.Errorf("list webhooks: %w", err)
	}
	var ids []string
	for _, h := range hooks {
		if h.URL == url {
			ids = append(ids, strconv.FormatUint(h.ID, 10))
		}
	}
	if len(ids) == 0 || len(p.hooks.list()) > 0 { // a command may have registered one meanwhile
		return nil
	}
	c.log.Warn().Str("pipeline", p.name).Strs("webhooks", ids).Msg("state did not know of this pipeline's webhook at Zoho; it is remembered again")
	return p.hooks.save(ctx, c.store, p.name, ids)
}

// registerHook makes sure that Zoho delivers to this pipeline: a webhook with
// our URL is kept, a missing one made, surplus ones of the same URL are left to
// the delete command. The intake must be reachable: Zoho asks it at once.
func (c *core) registerHook(ctx context.Context, p *pipe) (zohodesk.Webhook, error) {
	url, err := c.hookURL(p)
	if err != nil {
		return zohodesk.Webhook{}, err
	}
	hooks, err := p.conn.client.Webhooks(ctx)
	if err != nil {
		return zohodesk.Webhook{}, fmt.Errorf("list webhooks: %w", err)
	}
	spec := zohodesk.WebhookSpec{Name: "deskhouse " + p.name, URL: url, PrevState: true}
	var hook zohodesk.Webhook
	for _, h := range hooks {
		if h.URL == url {
			hook = h
		}
	}
	switch {
	case hook.ID == 0:
		hook, err = p.conn.client.CreateWebhook(ctx, spec)
	case !hook.Enabled || !hook.Automation:
		hook, err = p.conn.client.UpdateWebhook(ctx, hook.ID, spec)
	}
	if err != nil {
		return hook, fmt.Errorf("register webhook %s: %w", c.cfg.Intake.PublicURL, err)
	}
	return hook, p.hooks.save(ctx, c.store, p.name, []string{strconv.FormatUint(hook.ID, 10)})
}

// deleteHooks removes every webhook with our URL.
func (c *core) deleteHooks(ctx context.Context, p *pipe) (int, error) {
	url, err := c.hookURL(p)
	if err != nil {
		return 0, err
	}
	hooks, err := p.conn.client.Webhooks(ctx)
	if err != nil {
		return 0, fmt.Errorf("list webhooks: %w", err)
	}
	n := 0
	for _, h := range hooks {
		if h.URL != url {
			continue
		}
		if err := p.conn.client.DeleteWebhook(ctx, h.ID); err != nil {
			return n, fmt.Errorf("delete webhook %d: %w", h.ID, err)
		}
		n++
	}
	return n, p.hooks.save(ctx, c.store, p.name, nil)
}
