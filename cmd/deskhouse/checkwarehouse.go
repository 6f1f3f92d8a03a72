package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"deskhouse/sink/clickhouse"
	"deskhouse/source"
)

// checkWarehouse tries the ClickHouse of a pipeline; departments are those that
// the agent sees, nil = not known. Nothing is written.
func (c *core) checkWarehouse(ctx context.Context, p *pipe, departments map[uint64]bool) []finding {
	item := "pipeline " + p.name + " warehouse"
	rights := "pipeline " + p.name + " grants"
	ctx, cancel := context.WithTimeout(ctx, 2*tryFor) // an engine may have to start
	defer cancel()
	var findings []finding
	a, err := c.locate(ctx, p.cfg.Warehouse)
	if p.cfg.Warehouse.IsEmbedded() {
		engine := "pipeline " + p.name + " embedded engine"
		if err != nil {
			return []finding{failed(engine, "run make deps and make build, or give warehouse.url a ClickHouse server", "%v", err), skipped(item, engine)}
		}
		findings = append(findings, good(engine, "answers on %s", a.URL))
	} else if err != nil {
		return []finding{failed(item, "", "%v", err)}
	}
	cfg := warehouseConfig(a.URL, p.name, p.cfg, p.org, c.log)
	wh, err := clickhouse.Open(ctx, cfg)
	if err != nil {
		return append(findings, failed(item, warehouseRemedy(err), "%v", err), skipped(rights, item))
	}
	findings = append(findings, checkHosts(ctx, p, cfg)...)
	findings = append(findings, c.tryTables(ctx, p, wh, item, rights, departments)...)
	if err := wh.Close(); err != nil {
		findings = append(findings, failed(item, "", "close: %v", err))
	}
	return findings
}

func (c *core) tryTables(ctx context.Context, p *pipe, wh *clickhouse.Warehouse, item, rights string, departments map[uint64]bool) []finding {
	grants := c.checkGrants(ctx, p, wh, rights)
	if err := wh.Check(ctx, tablesOf(p.cfg)); err != nil {
		return []finding{failed(item, warehouseRemedy(err), "%v", err), grants}
	}
	findings := []finding{good(item, "ClickHouse %s, database %s", wh.Version(), wh.Database()), grants}
	if !wh.Verifies() {
		findings[0] = warned(item, "name its authority as warehouse.tls.ca, and remove skip_verify from warehouse.url",
			"ClickHouse %s, database %s, but its certificate is not looked at: anybody in between can read and change everything", wh.Version(), wh.Database())
	}
	if departments != nil && !bad(grants) {
		findings = append(findings, checkDepartments(ctx, p, wh, departments))
	}
	return findings
}

// checkHosts tells what each of several hosts answers. That none does is told
// already.
func checkHosts(ctx context.Context, p *pipe, cfg clickhouse.Config) []finding {
	item := "pipeline " + p.name + " hosts"
	answers, err := clickhouse.Hosts(ctx, cfg)
	if err != nil {
		return []finding{failed(item, warehouseRemedy(err), "%v", err)}
	}
	if len(answers) < 2 {
		return nil
	}
	parts := make([]string, len(answers))
	var unusable error
	for i, a := range answers {
		switch {
		case a.Err != nil:
			parts[i] = a.Err.Error()
			if unusable == nil || errors.Is(a.Err, clickhouse.ErrOtherServer) {
				unusable = a.Err
			}
		case a.Holds:
			parts[i] = a.Addr + " holds the database (ClickHouse " + a.Version + ")"
		default:
			parts[i] = a.Addr + " holds no database of deskhouse's yet (ClickHouse " + a.Version + ")"
		}
	}
	detail := strings.Join(parts, "; ")
	switch {
	case unusable == nil:
		return []finding{good(item, "%s", detail)}
	case errors.Is(unusable, clickhouse.ErrOtherServer):
		return []finding{failed(item, warehouseRemedy(unusable), "%s", detail)}
	}
	return []finding{warned(item, "until it answers there is nobody to take over from the others: "+warehouseRemedy(unusable), "%s", detail)}
}

// warehouseRemedy is what to do about an error of Open or Check.
func warehouseRemedy(err error) string {
	for _, row := range []struct {
		err    error
		remedy string
	}{
		{clickhouse.ErrTLS, "see warehouse.tls in docs/warehouse.md, under Servers"},
		{clickhouse.ErrOtherServer, "name only hosts in warehouse.url that share their tables; one server needs one host"},
		{clickhouse.ErrConfig, "correct what the line names"},
		{clickhouse.ErrAuth, "correct warehouse.user and warehouse.password"},
		{clickhouse.ErrUnreachable, "check warehouse.url, and that the server listens there for this machine (9000 or 9440 native, 8123 or 8443 HTTP)"},
		{clickhouse.ErrTooOld, "use ClickHouse 24.8 or newer"},
		{clickhouse.ErrDenied, "grant what `deskhouse check --grants` prints"},
		{clickhouse.ErrForeign, "give warehouse.database an empty database of its own"},
		{clickhouse.ErrOtherPipeline, "give this pipeline a database of its own"},
		{clickhouse.ErrNewerFormat, "use the newer deskhouse"},
	} {
		if errors.Is(err, row.err) {
			return row.remedy
		}
	}
	return ""
}

// checkGrants asks for each privilege.
func (c *core) checkGrants(ctx context.Context, p *pipe, wh *clickhouse.Warehouse, item string) finding {
	missing, err := wh.MissingGrants(ctx)
	switch {
	case errors.Is(err, clickhouse.ErrNoCheckGrant):
		return warned(item, "compare SHOW GRANTS with what `deskhouse check --grants` prints", "ClickHouse %s cannot be asked for privileges", wh.Version())
	case err != nil:
		return failed(item, "", "%v", err)
	case len(missing) == 0:
		return good(item, "all there")
	}
	var needed, wanted []clickhouse.Grant
	for _, g := range missing {
		if g.Optional {
			wanted = append(wanted, g)
		} else {
			needed = append(needed, g)
		}
	}
	if len(needed) > 0 {
		return failed(item, strings.Join(clickhouse.GrantSQL(missing, p.cfg.Warehouse.User), " "), "missing: %s", grantsText(needed))
	}
	return warned(item, strings.Join(clickhouse.GrantSQL(missing, p.cfg.Warehouse.User), " "), "missing, but not needed: %s", grantsText(wanted))
}

func grantsText(grants []clickhouse.Grant) string {
	parts := make([]string, len(grants))
	for i, g := range grants {
		parts[i] = fmt.Sprintf("%s (%s)", g, g.For)
	}
	return strings.Join(parts, ", ")
}

// checkSelected looks for departments that a selection names and the agent does
// not see: one digit wrong, and a table is empty without an error.
func checkSelected(p *pipe, visible map[uint64]bool) (findings []finding) {
	if visible == nil || len(visible) >= mostDepartments {
		return nil
	}
	for _, t := range tablesOf(p.cfg) {
		only, except := p.masks[t].Departments()
		var unknown []string
		for _, id := range slices.Concat(only, except) {
			if !visible[id] {
				unknown = append(unknown, strconv.FormatUint(id, 10))
			}
		}
		if len(unknown) > 0 {
			findings = append(findings, warned("pipeline "+p.name+" selection of "+string(t), "correct tables."+string(t)+".departments, or let the agent see them",
				"%d of its %d departments are not visible to the agent: %s", len(unknown), len(only)+len(except), strings.Join(unknown[:min(5, len(unknown))], ", ")))
		}
	}
	return findings
}

// checkDepartments looks for departments that the warehouse shows and the agent
// does not see any more: Zoho cannot delete one, so the agent was narrowed.
func checkDepartments(ctx context.Context, p *pipe, wh *clickhouse.Warehouse, visible map[uint64]bool) finding {
	item := "pipeline " + p.name + " departments"
	held, err := wh.VisibleKeys(ctx, source.Departments)
	if errors.Is(err, clickhouse.ErrMissing) || err == nil && len(held) == 0 {
		return good(item, "none held yet")
	}
	if err != nil {
		return failed(item, "", "%v", err)
	}
	var hidden []string
	for _, key := range held {
		if !visible[key.ID] {
			hidden = append(hidden, key.String())
		}
	}
	if len(hidden) > 0 {
		return warned(item, "give the agent access to them again; until then their rows are kept as they are",
			"%d of %d that the warehouse holds are not visible to the agent: %s", len(hidden), len(held), strings.Join(hidden[:min(5, len(hidden))], ", "))
	}
	return good(item, "all %d that the warehouse holds are visible to the agent", len(held))
}
