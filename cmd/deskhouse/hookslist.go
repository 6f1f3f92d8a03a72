package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"deskhouse/source/webhook"
	"deskhouse/source/zohodesk"
)

// hookReply is a webhook as the commands show it.
type hookReply struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Enabled bool     `json:"enabled"`
	Ours    bool     `json:"ours"` // its URL is this pipeline's
	Events  []string `json:"events"`
	// Note says what is odd about a URL that is nearly this pipeline's.
	Note string `json:"note,omitempty"`
}

// hookRoutes are the control API's for webhooks.
func (c *core) hookRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/webhook-url", c.perPipe(func(_ context.Context, p *pipe, _ *http.Request) (any, error) {
		u, err := c.hookURL(p)
		return map[string]string{"url": u}, err
	}))
	mux.HandleFunc("GET /v1/webhooks", c.perPipe(c.listHooks))
	mux.HandleFunc("POST /v1/webhooks", c.perPipe(func(ctx context.Context, p *pipe, _ *http.Request) (any, error) {
		return c.registerHook(ctx, p)
	}))
	mux.HandleFunc("DELETE /v1/webhooks", c.perPipe(func(ctx context.Context, p *pipe, _ *http.Request) (any, error) {
		return c.removeHooks(ctx, p)
	}))
	mux.HandleFunc("POST /v1/webhook-rotation", c.perPipe(func(ctx context.Context, p *pipe, r *http.Request) (any, error) {
		return c.rotateHook(ctx, p, r.URL.Query().Get("finish") == "true")
	}))
}

// listHooks is every webhook of the portal.
func (c *core) listHooks(ctx context.Context, p *pipe, _ *http.Request) (any, error) {
	hooks, err := p.conn.client.Webhooks(ctx)
	if err != nil {
		return nil, err
	}
	reply := []hookReply{}
	for _, h := range hooks {
		reply = append(reply, c.hookReply(p, h))
	}
	return reply, nil
}

func (c *core) hookReply(p *pipe, h zohodesk.Webhook) hookReply {
	reply := hookReply{ID: fmt.Sprint(h.ID), Name: h.Name, Enabled: h.Enabled, Events: h.Events}
	ours, err := c.hookURL(p)
	if reply.Ours = err == nil && h.URL == ours; !reply.Ours {
		reply.Note = c.nearlyOurs(p, h.URL)
	}
	return reply
}

// nearlyOurs says what a URL has in common with the pipeline's. Its secret
// follows from the state key, so nobody else can have made it.
func (c *core) nearlyOurs(p *pipe, hook string) string {
	u, err := url.Parse(hook)
	secret := path.Base(hook)
	switch {
	case err != nil || !strings.HasSuffix(u.Path, webhook.Path(p.name, secret)):
		return ""
	case p.hooks.GenerationOf(secret) == 0:
		return "this pipeline's path, with a secret of another state key"
	case c.cfg.Intake == nil || c.cfg.Intake.HookURL(p.name, secret) != hook:
		return "this pipeline's path and secret, at another host: " + u.Host
	}
	return "this pipeline's, with another generation of its secret"
}
