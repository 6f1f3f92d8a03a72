package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"deskhouse/source/subscription"
)

// forgotten is the reply of a forget.
type forgotten struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// tokenPrefix begins the state keys that hold tokens, one a connection.
const tokenPrefix = "token."

// forget drops what state holds of a connection that nothing uses. force goes
// over webhooks of pipelines that are not in the configuration any more, of
// which nobody knows whose they are.
func (c *core) forget(ctx context.Context, name string, force bool) (forgotten, error) {
	conn := c.conns[name]
	stored, err := c.stored(ctx)
	if err != nil {
		return forgotten{}, err
	}
	if conn == nil && !stored[name] {
		_, err := c.connectionByName(ctx, name) // whose error names those there are
		return forgotten{}, err
	}
	if err := c.unused(ctx, name, force); err != nil {
		return forgotten{}, err
	}
	done := forgotten{Name: name, Message: "its tokens are dropped from the state"}
	if conn == nil {
		return done, c.store.Delete(ctx, tokenPrefix+name)
	}
	if err := conn.client.Forget(ctx); err != nil {
		return done, fmt.Errorf("forget connection %s: %w", name, err)
	}
	conn.authorised.changed()
	if !c.cfg.Connections[name].RefreshToken.IsZero() {
		done.Message += "; the refresh token of the configuration is left, and used again"
	}
	return done, nil
}

// unused refuses with the decision code while something needs the connection.
func (c *core) unused(ctx context.Context, name string, force bool) error {
	var reasons []string
	for _, u := range c.uses(name) {
		reasons = append(reasons, u.text())
	}
	if !force {
		orphans, err := c.orphans(ctx)
		if err != nil {
			return err
		}
		for _, u := range orphans {
			reasons = append(reasons, u.text())
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return &exitError{exitDecision, fmt.Errorf("connection %s is in use: %s", name, strings.Join(reasons, "; "))}
}

// uses are the pipelines of the configuration that use a connection.
func (c *core) uses(name string) []useReply {
	uses := []useReply{}
	for _, p := range c.pipes {
		if p.conn.name == name {
			uses = append(uses, useReply{Pipeline: p.name, Webhooks: orEmpty(p.hooks.list())})
		}
	}
	return uses
}

// orphans are the webhooks that state knows of pipelines that are not in the
// configuration any more: any connection may be theirs.
func (c *core) orphans(ctx context.Context) ([]useReply, error) {
	entries, err := c.store.List(ctx, subscription.Key(""))
	if err != nil {
		return nil, fmt.Errorf("list registered webhooks: %w", err)
	}
	var found []useReply
	for _, e := range entries {
		u := useReply{Pipeline: strings.TrimPrefix(e.Key, subscription.Key("")), Gone: true}
		if _, ok := c.cfg.Pipelines[u.Pipeline]; ok {
			continue
		}
		if u.Webhooks, err = storedIDs(e.Value); err != nil {
			return nil, fmt.Errorf("pipeline %s, which is not in the configuration any more: %w", u.Pipeline, err)
		}
		if len(u.Webhooks) > 0 {
			found = append(found, u)
		}
	}
	return found, nil
}

// storedIDs are the webhooks of a stored subscription, in both its formats.
func storedIDs(raw []byte) ([]string, error) {
	var ids []string
	if json.Unmarshal(raw, &ids) == nil {
		return ids, nil
	}
	var held subscription.Subscription
	if json.Unmarshal(raw, &held) != nil {
		return nil, errors.New("its stored subscription cannot be read")
	}
	return held.IDs, nil
}

// stored are the connections that state holds tokens of.
func (c *core) stored(ctx context.Context) (map[string]bool, error) {
	entries, err := c.store.List(ctx, tokenPrefix)
	if err != nil {
		return nil, fmt.Errorf("list stored tokens: %w", err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[strings.TrimPrefix(e.Key, tokenPrefix)] = true
	}
	return names, nil
}

// text says who uses it, for people.
func (u useReply) text() string {
	hooks := fmt.Sprintf("webhook %s registered for pipeline %s", strings.Join(u.Webhooks, ", "), u.Pipeline)
	switch {
	case u.Gone:
		return hooks + ", which is not in the configuration any more, may be its (put the pipeline back and run `deskhouse webhook delete`, or --force)"
	case len(u.Webhooks) > 0:
		return "pipeline " + u.Pipeline + " uses it, and " + hooks
	}
	return "pipeline " + u.Pipeline + " uses it"
}
