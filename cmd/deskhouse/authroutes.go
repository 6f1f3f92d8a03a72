package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"deskhouse/source/zohodesk"
)

// The routes of `deskhouse auth` and `deskhouse connections`. A connection is
// named by ?connection=; with one in the configuration it may be left out.

// exchangeRequest is the body of POST /v1/auth/exchange. The code is a secret
// while it lives, so it is in no URL.
type exchangeRequest struct {
	Code     string `json:"code"`
	Redirect string `json:"redirect"` // as it was in the consent; "" for a self client
	Server   string `json:"server"`   // accounts server that the redirect named; "" = the connection's
}

// consentReply is GET /v1/auth/consent: where a person gives the consent.
type consentReply struct {
	Connection string `json:"connection"`
	URL        string `json:"url"`
	DataCenter string `json:"data_center"`
}

// maxExchangeBody is far above any code and redirect.
const maxExchangeBody = 16 << 10

func (c *core) authRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/connections", func(w http.ResponseWriter, r *http.Request) {
		all, err := c.connections(r.Context())
		answer(w, all, err)
	})
	mux.HandleFunc("GET /v1/connection", func(w http.ResponseWriter, r *http.Request) {
		one, err := c.connectionByName(r.Context(), r.URL.Query().Get("connection"))
		answer(w, one, err)
	})
	mux.HandleFunc("POST /v1/connection/forget", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		done, err := c.forget(r.Context(), q.Get("connection"), q.Get("force") == "true")
		answer(w, done, err)
	})
	mux.HandleFunc("GET /v1/auth/status", c.perConnection(c.authStatus))
	mux.HandleFunc("GET /v1/auth/consent", c.perConnection(c.consent))
	mux.HandleFunc("POST /v1/auth/exchange", c.perConnection(c.exchange))
	mux.HandleFunc("POST /v1/auth/revoke", c.perConnection(func(ctx context.Context, conn *connection, r *http.Request) (any, error) {
		return c.revoke(ctx, conn, r.URL.Query().Get("force") == "true")
	}))
}

// perConnection finds the connection a request names and writes the outcome.
func (c *core) perConnection(do func(context.Context, *connection, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, err := chooseConnection(c.cfg, r.URL.Query().Get("connection"))
		if err != nil {
			answer(w, nil, err)
			return
		}
		reply, err := do(r.Context(), c.conns[name], r)
		answer(w, reply, err)
	}
}

// authStatus is a connection with what Zoho says of it now.
func (c *core) authStatus(ctx context.Context, conn *connection, _ *http.Request) (any, error) {
	reply, err := c.describe(ctx, conn)
	if err != nil {
		return nil, err
	}
	c.askPortal(ctx, conn, &reply)
	return reply, nil
}

func (c *core) consent(_ context.Context, conn *connection, r *http.Request) (any, error) {
	q := r.URL.Query()
	return consentReply{Connection: conn.name, DataCenter: c.cfg.Connections[conn.name].DataCenter,
		URL: conn.client.AuthorizeURL(q.Get("redirect"), q.Get("state"))}, nil
}

// exchange trades a grant code for tokens and lets the connection's pipelines
// know.
func (c *core) exchange(ctx context.Context, conn *connection, r *http.Request) (any, error) {
	var in exchangeRequest
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxExchangeBody)).Decode(&in); err != nil || in.Code == "" {
		return nil, &exitError{exitUsage, errors.New("the request has no grant code")}
	}
	if err := conn.client.ExchangeAt(ctx, in.Server, in.Code, in.Redirect); err != nil {
		return nil, fmt.Errorf("exchange the grant code of connection %s: %w", conn.name, err)
	}
	conn.authorised.changed()
	return c.authStatus(ctx, conn, r)
}

// askPortal asks Zoho which portals the token sees, and who gave the consent.
// That it cannot be asked is no error: the reply says so, or lacks the agent.
func (c *core) askPortal(ctx context.Context, conn *connection, reply *connectionReply) {
	if reply.State != zohodesk.StateConnected {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	orgs, err := conn.client.Organizations(ctx)
	if err != nil {
		reply.Problem = "Zoho cannot be asked about the portal: " + err.Error()
		return
	}
	want := c.cfg.Connections[conn.name].OrgID
	at := slices.IndexFunc(orgs, func(o zohodesk.Organization) bool { return o.ID == want })
	if at < 0 {
		reply.WrongPortal = true
		reply.Problem = fmt.Sprintf("the consent was given for another portal: org_id is %d, but this token sees %s; authorise again and choose the right portal, or correct org_id",
			want, zohodesk.PortalNames(orgs))
		return
	}
	reply.Portal = &portalReply{orgs[at].CompanyName, orgs[at].PortalName, orgs[at].Edition}
	me, err := conn.client.Me(ctx)
	if err != nil {
		c.log.Debug().Err(err).Str("connection", conn.name).Msg("Zoho does not say who gave the consent")
		return
	}
	reply.Agent = &agentReply{strconv.FormatUint(me.ID, 10), me.Name, me.Email}
}
