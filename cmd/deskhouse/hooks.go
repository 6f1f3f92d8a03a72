package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

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
