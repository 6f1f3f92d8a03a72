package main

import (
	"context"
	"errors"
	"fmt"

	"deskhouse/source/zohodesk"
)

// revokeReply is what a revoke did.
type revokeReply struct {
	Connection string       `json:"connection"`
	Webhooks   []hooksReply `json:"webhooks"`
	Paused     []string     `json:"paused"` // pipelines that stand still until the connection is authorised again
	Note       string       `json:"note,omitempty"`
}

// hooksReply is what became of a pipeline's webhooks at Zoho.
type hooksReply struct {
	Pipeline string `json:"pipeline"`
	Deleted  int    `json:"deleted"`
	Error    string `json:"error,omitempty"` // why some may be left
}

// revoke takes a connection's authorisation back. The webhooks go first, which
// needs the living token; if one cannot be deleted, nothing more happens unless
// force says so. From Revoke on the client refuses every call by itself: that is
// the pause of the pipelines, which go on applying what the log holds.
func (c *core) revoke(ctx context.Context, conn *connection, force bool) (revokeReply, error) {
	reply := revokeReply{Connection: conn.name, Webhooks: []hooksReply{}, Paused: []string{}}
	a, err := conn.client.Authorisation(ctx)
	if err != nil {
		return reply, fmt.Errorf("connection %s: %w", conn.name, err)
	}
	for _, p := range c.pipesOf(conn) {
		hooks, err := c.dropHooks(ctx, p, a.State == zohodesk.StateConnected)
		reply.Webhooks = append(reply.Webhooks, hooks)
		reply.Paused = append(reply.Paused, p.name)
		if err != nil && !force {
			return reply, halfDone(reply.Webhooks, c.pipesOf(conn), err)
		}
		if err != nil {
			reply.Webhooks[len(reply.Webhooks)-1].Error = "webhooks are left at Zoho: " + err.Error()
			c.log.Warn().Err(err).Str("pipeline", p.name).Msg("webhooks are left at Zoho")
		}
	}
	err = conn.client.Revoke(ctx)
	conn.authorised.changed()
	if err != nil {
		return reply, fmt.Errorf("revoke connection %s: %w", conn.name, err)
	}
	if a, err = conn.client.Authorisation(ctx); err == nil && a.State == zohodesk.StateConnected {
		reply.Paused, reply.Note = []string{}, "another process has authorised it anew meanwhile: that authorisation serves on"
	}
	return reply, nil
}

func (c *core) pipesOf(conn *connection) []*pipe {
	var all []*pipe
	for _, p := range c.pipes {
		if p.conn == conn {
			all = append(all, p)
		}
	}
	return all
}

// halfDone is the error of a revoke that stopped at the last of done.
func halfDone(done []hooksReply, all []*pipe, why error) error {
	failed := done[len(done)-1]
	text := ""
	for _, d := range done {
		if d.Deleted > 0 {
			text += fmt.Sprintf("; %d webhooks of pipeline %s are deleted", d.Deleted, d.Pipeline)
		}
	}
	for _, p := range all[len(done):] {
		text += "; those of pipeline " + p.name + " are as they were"
	}
	return fmt.Errorf("nothing is revoked, because the webhooks of pipeline %s cannot be deleted: %w%s; with --force they are left at Zoho, to be deleted in its setup pages", failed.Pipeline, why, text)
}

// dropHooks deletes a pipeline's webhooks at Zoho, and that one is wanted. Where
// state knows of none there may still be one of a state that was lost; that it
// cannot be looked for is no reason to keep the token. It waits for no credits.
func (c *core) dropHooks(ctx context.Context, p *pipe, connected bool) (hooksReply, error) {
	reply := hooksReply{Pipeline: p.name}
	known := len(p.hooks.list()) > 0
	if !known && !p.hooks.Current().Wanted && (c.cfg.Intake == nil || !connected) {
		return reply, nil
	}
	deleted := 0
	err := c.try(ctx, p.conn, func(ctx context.Context) (err error) {
		deleted, err = c.deleteHooks(ctx, p)
		return err
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("zoho did not answer within %s", tryFor)
	}
	reply.Deleted = deleted
	if err != nil && !known {
		reply.Error = "no webhook is registered, and others cannot be looked for: " + err.Error()
		return reply, nil
	}
	return reply, err
}
