package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"deskhouse/sink/clickhouse"
	"deskhouse/source"
	"deskhouse/source/zohodesk"
)

// finding is one line of a check.
type finding struct {
	Item   string `json:"item"`
	Result string `json:"result"` // ok, warning, failure
	Detail string `json:"detail"`
}

const (
	resultOK      = "ok"
	resultWarning = "warning"
	resultFailure = "failure"
)

func checkCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Try everything that run needs, one line each",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return err
			}
			ctl, err := dialOrOpen(cmd.Context(), o, cfg)
			if err != nil {
				return err
			}
			findings := []finding{{"configuration", resultOK, o.config}, {"state", resultOK, cfg.State.Dir}}
			var asked []finding
			if err := errors.Join(ctl.call(cmd.Context(), "GET", "/v1/check", nil, &asked), ctl.end()); err != nil {
				return err
			}
			return reportFindings(append(findings, asked...), o.json)
		},
	}
}

// reportFindings prints and fails when one of them does.
func reportFindings(findings []finding, asJSON bool) error {
	failed := false
	rows := make([][]string, len(findings))
	for i, f := range findings {
		rows[i] = []string{f.Result, f.Item, f.Detail}
		failed = failed || f.Result == resultFailure
	}
	if asJSON {
		if err := printJSON(os.Stdout, findings); err != nil {
			return err
		}
	} else {
		printTable(os.Stdout, []string{"RESULT", "ITEM", "DETAIL"}, rows, nil)
	}
	if failed {
		return &exitError{Code: exitFailed}
	}
	return nil
}

// check tries every connection, table, webhook and warehouse.
func (c *core) check(ctx context.Context) []finding {
	var attempts []func(context.Context) []finding
	one := func(check func(context.Context) finding) {
		attempts = append(attempts, func(ctx context.Context) []finding { return []finding{check(ctx)} })
	}
	for _, name := range sortedKeys(c.conns) {
		attempts = append(attempts, func(ctx context.Context) []finding { return c.checkConnection(ctx, name) })
	}
	for _, p := range c.pipes {
		for _, t := range tablesOf(p.cfg) {
			one(func(ctx context.Context) finding { return p.checkTable(ctx, t) })
		}
		one(func(ctx context.Context) finding { return c.checkHook(ctx, p) })
		one(func(ctx context.Context) finding { return c.checkWarehouse(ctx, p) })
	}
	return allAtOnce(ctx, attempts)
}

// tryFor bounds one attempt of a check: the client itself would repeat a call
// that is not answered for about a minute.
const tryFor = 10 * time.Second

// allAtOnce makes the attempts side by side and returns what they found in
// their order.
func allAtOnce(ctx context.Context, attempts []func(context.Context) []finding) []finding {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	found := make([][]finding, len(attempts))
	var g errgroup.Group
	for i, attempt := range attempts {
		g.Go(func() error { found[i] = attempt(ctx); return nil })
	}
	_ = g.Wait() // attempts return findings, not errors
	return slices.Concat(found...)
}

// verdictOf turns the outcome of one attempt into a finding.
func verdictOf(item string, err error, detail string) finding {
	if err != nil {
		return finding{item, resultFailure, err.Error()}
	}
	return finding{item, resultOK, detail}
}

func (c *core) checkConnection(ctx context.Context, name string) []finding {
	item := "connection " + name
	orgs, err := c.conns[name].client.Organizations(ctx)
	if err != nil {
		return []finding{verdictOf(item+" authorisation", err, "")}
	}
	found := []finding{{item + " authorisation", resultOK, "token accepted"}}
	want := c.cfg.Connections[name].OrgID
	var seen []string
	for _, o := range orgs {
		if o.ID == want {
			return append(found, finding{item + " portal", resultOK, fmt.Sprintf("%d, edition %s", want, o.Edition)})
		}
		seen = append(seen, fmt.Sprint(o.ID))
	}
	return append(found, finding{item + " portal", resultFailure,
		fmt.Sprintf("org_id %d is not among the portals this token sees: %s", want, strings.Join(seen, ", "))})
}

// checkTable makes one small call, the one the table's load begins with.
func (p *pipe) checkTable(ctx context.Context, t source.Table) finding {
	return verdictOf(fmt.Sprintf("pipeline %s table %s", p.name, t), tryTable(ctx, p.conn.client, t), "readable")
}

func tryTable(ctx context.Context, client *zohodesk.Client, t source.Table) (err error) {
	switch t {
	case source.Tickets, source.Products:
		_, err = client.Search(ctx, source.ForReread, t, source.Query{By: source.ByCreated, Limit: 1})
	case source.OrganizationFields:
		_, _, err = client.Fields(ctx, source.ForReread, "tickets")
	default:
		_, err = client.List(ctx, source.ForReread, t, source.ListQuery{Limit: 1})
	}
	return err
}

func (c *core) checkHook(ctx context.Context, p *pipe) finding {
	item := "pipeline " + p.name + " webhook"
	url, err := c.hookURL(p)
	if err != nil {
		return finding{item, resultWarning, "no intake: changes are found by polls"}
	}
	hooks, err := p.conn.client.Webhooks(ctx)
	if err != nil {
		return finding{item, resultWarning, err.Error() + "; changes are found by polls"}
	}
	for _, h := range hooks {
		switch {
		case h.URL == url && h.Enabled:
			return finding{item, resultOK, fmt.Sprintf("registered as %d", h.ID)}
		case h.URL == url:
			return finding{item, resultWarning, fmt.Sprintf("%d is switched off at Zoho: deskhouse webhook register", h.ID)}
		}
	}
	return finding{item, resultWarning, "not registered: deskhouse webhook register, while deskhouse runs"}
}

func (c *core) checkWarehouse(ctx context.Context, p *pipe) finding {
	item := "pipeline " + p.name + " warehouse"
	a, err := c.locate(ctx, p.cfg.Warehouse)
	if err != nil {
		return verdictOf(item, err, "")
	}
	wh, err := clickhouse.Open(ctx, clickhouse.Config{URL: a.URL, Database: a.Database, User: a.user, Password: a.password,
		OrgID: p.org, Pipeline: p.name, History: historyModes(p.cfg), Logger: c.log})
	if err != nil {
		return verdictOf(item, err, "")
	}
	err = wh.Check(ctx, tablesOf(p.cfg))
	detail := "ClickHouse " + wh.Version() + ", database " + a.Database
	return verdictOf(item, errors.Join(err, wh.Close()), detail)
}
