package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"deskhouse/config"
	"deskhouse/source/zohodesk"
)

// connectionReply is a connection as the commands show it; nothing of it is
// secret. Times are UTC, null = not known.
type connectionReply struct {
	Name          string       `json:"name"`
	Configured    bool         `json:"configured"` // false: only state knows it
	State         string       `json:"state"`      // connected, needs authorisation, revoked, not in the configuration
	Reason        string       `json:"reason,omitempty"`
	Remedy        string       `json:"remedy,omitempty"` // the command that connects it
	DataCenter    string       `json:"data_center,omitempty"`
	OrgID         string       `json:"org_id,omitempty"`
	Portal        *portalReply `json:"portal,omitempty"` // where Zoho was asked
	Agent         *agentReply  `json:"agent,omitempty"`  // who gave the consent, where Zoho told
	Problem       string       `json:"problem,omitempty"`
	WrongPortal   bool         `json:"wrong_portal,omitempty"` // the token sees other portals than org_id
	Source        string       `json:"source,omitempty"`       // of the refresh token: configuration or state
	Scopes        []string     `json:"scopes"`                 // empty: Zoho did not tell
	MissingScopes []string     `json:"missing_scopes"`
	ObtainedAt    *time.Time   `json:"obtained_at"`
	AccessExpires *time.Time   `json:"access_expires"`
	RevokedAt     *time.Time   `json:"revoked_at,omitempty"`
	TokenRequests int          `json:"token_requests"` // in the last ten minutes, of ten that Zoho allows
	UsedBy        []useReply   `json:"used_by"`
	Warnings      []string     `json:"warnings,omitempty"`
}

// portalReply is what Zoho says of the portal.
type portalReply struct {
	Company string `json:"company"`
	Name    string `json:"name"`
	Edition string `json:"edition"`
}

// agentReply is the agent whose rights the connection has.
type agentReply struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// useReply is a pipeline that uses a connection, and the webhooks that were
// registered for it.
type useReply struct {
	Pipeline string   `json:"pipeline"`
	Gone     bool     `json:"gone,omitempty"` // not in the configuration any more
	Webhooks []string `json:"webhooks"`
}

// stateStored is the state of a connection that only state knows.
const stateStored = "not in the configuration"

// chooseConnection checks a name against the configuration; with one connection
// it may be empty.
func chooseConnection(cfg *config.Config, name string) (string, error) {
	names := sortedKeys(cfg.Connections)
	switch {
	case slices.Contains(names, name):
		return name, nil
	case name == "" && len(names) == 1:
		return names[0], nil
	case name == "":
		return "", &exitError{exitUsage, fmt.Errorf("which connection? name it with --connection; one of %s", strings.Join(names, ", "))}
	}
	return "", &exitError{exitUsage, fmt.Errorf("no connection %q in the configuration; there are %s", name, strings.Join(names, ", "))}
}

// connections are those of the configuration, then those that only state knows.
func (c *core) connections(ctx context.Context) ([]connectionReply, error) {
	all := []connectionReply{}
	for _, name := range sortedKeys(c.conns) {
		reply, err := c.describe(ctx, c.conns[name])
		if err != nil {
			return nil, err
		}
		all = append(all, reply)
	}
	stored, err := c.stored(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(stored) {
		if c.conns[name] == nil {
			all = append(all, connectionReply{Name: name, State: stateStored, Reason: "state holds its tokens",
				Remedy: "deskhouse connections forget " + name, Scopes: []string{}, MissingScopes: []string{}, UsedBy: []useReply{}})
		}
	}
	return all, nil
}

// connectionByName finds one of the configuration or of state.
func (c *core) connectionByName(ctx context.Context, name string) (connectionReply, error) {
	all, err := c.connections(ctx)
	if err != nil {
		return connectionReply{}, err
	}
	names := make([]string, len(all))
	for i, reply := range all {
		if reply.Name == name {
			if reply.Configured {
				c.askPortal(ctx, c.conns[name], &all[i])
			}
			return all[i], nil
		}
		names[i] = reply.Name
	}
	return connectionReply{}, &exitError{exitUsage, fmt.Errorf("no connection %q in the configuration or in state; there are %s", name, strings.Join(names, ", "))}
}

// describe is what this side knows of a connection; Zoho is not asked.
func (c *core) describe(ctx context.Context, conn *connection) (connectionReply, error) {
	a, err := conn.client.Authorisation(ctx)
	if err != nil {
		return connectionReply{}, fmt.Errorf("connection %s: %w", conn.name, err)
	}
	cfg := c.cfg.Connections[conn.name]
	reply := connectionReply{Name: conn.name, Configured: true, State: a.State, Reason: a.Reason, DataCenter: cfg.DataCenter, OrgID: strconv.FormatUint(cfg.OrgID, 10),
		Source: a.Source, Scopes: orEmpty(a.Scopes), MissingScopes: orEmpty(a.MissingScopes), ObtainedAt: orNull(a.ObtainedAt), AccessExpires: orNull(a.AccessExpires),
		RevokedAt: orNull(a.RevokedAt), TokenRequests: a.Requests, UsedBy: c.uses(conn.name), Warnings: sharedLimits(c.cfg.Connections)[conn.name]}
	if a.State != zohodesk.StateConnected || len(a.MissingScopes) > 0 {
		reply.Remedy = exchangeCommand(conn.name)
	}
	return reply, nil
}

func exchangeCommand(connection string) string {
	return "deskhouse auth exchange --connection " + connection
}

// sharedLimits says of each connection which others count against the same
// limits of Zoho; connections that share nothing are not in it.
func sharedLimits(all map[string]config.Connection) map[string][]string {
	warnings := map[string][]string{}
	for _, a := range sortedKeys(all) {
		for _, b := range sortedKeys(all) {
			switch {
			case a == b:
				continue
			case all[a].ClientID == all[b].ClientID:
				warnings[a] = append(warnings[a], "has the same client id as connection "+b+": both count against one limit of refresh tokens and grant codes, and revoking may touch both")
			}
			if all[a].OrgID == all[b].OrgID {
				warnings[a] = append(warnings[a], "is the same portal as connection "+b+": both spend the same credits and calls in flight, and neither sees what the other has under way")
			}
		}
	}
	return warnings
}
