package main

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"deskhouse/source"
	"deskhouse/source/zohodesk"
)

// probe is one small call that shows whether something may be read.
type probe struct {
	name  string // "tickets/search"
	table source.Table
	use   probeUse
	needs []string // scopes
	call  func(context.Context) error

	err error
	row *source.Record // the first one, nil = none or no record
}

// probeUse is what a table needs the call for.
type probeUse int

const (
	useList probeUse = iota
	useSearch
	useBin
	useHooks
)

const (
	scopeTickets  = "Desk.tickets.READ"
	scopeSearch   = "Desk.search.READ"
	scopeBasic    = "Desk.basic.READ"
	scopeSettings = "Desk.settings.READ"
	scopeEvents   = "Desk.events.ALL"
)

// probesOf are the calls that reading a table consists of, with the scopes that
// Zoho's OAS names for them (Ticket, Department, Product, Contract, Field,
// Recyclebin, Search.json). OAS lists several for a call; whether all are needed
// is not documented, and what answers needs no scope.
func (cc *connCheck) probesOf(t source.Table) []*probe {
	list := map[source.Table][]string{source.Tickets: {scopeTickets}, source.Departments: {scopeBasic, scopeSettings},
		source.Products: {"Desk.products.READ", scopeSettings}, source.Contracts: {"Desk.contracts.READ", scopeSettings}}[t]
	if t == source.OrganizationFields {
		p := &probe{name: "fields", table: t, needs: []string{scopeBasic, "Desk.fields.READ"}}
		p.call = func(ctx context.Context) error {
			_, _, err := cc.conn.client.Fields(ctx, source.ForReread, "tickets")
			return err
		}
		return []*probe{p}
	}
	all := []*probe{cc.rows(string(t), t, useList, list, func(ctx context.Context) (source.Page, error) {
		return cc.conn.client.List(ctx, source.ForReread, t, source.ListQuery{Limit: 1})
	})}
	if t == source.Tickets || t == source.Products {
		all = append(all, cc.rows(string(t)+"/search", t, useSearch, append([]string{scopeSearch}, list...), func(ctx context.Context) (source.Page, error) {
			return cc.conn.client.Search(ctx, source.ForReread, t, source.Query{By: source.ByCreated, Limit: 1})
		}))
	}
	if t != source.Departments {
		all = append(all, &probe{name: "recycleBin of " + string(t), table: t, use: useBin, needs: []string{scopeSettings}, call: func(ctx context.Context) error {
			_, _, err := cc.conn.client.Bin(ctx, source.ForReread, t, 0, 1)
			return err
		}})
	}
	return all
}

// rows is a probe that keeps the first row.
func (cc *connCheck) rows(name string, t source.Table, use probeUse, needs []string, read func(context.Context) (source.Page, error)) *probe {
	p := &probe{name: name, table: t, use: use, needs: needs}
	p.call = func(ctx context.Context) error {
		page, err := read(ctx)
		if err == nil && len(page.Records) > 0 {
			p.row = page.Records[0]
		}
		return err
	}
	return p
}

// scopes makes every probe and finds out which scopes are missing.
func (cc *connCheck) scopes(ctx context.Context) {
	for _, t := range cc.tables {
		cc.probes = append(cc.probes, cc.probesOf(t)...)
	}
	if cc.core.cfg.Intake != nil {
		cc.probes = append(cc.probes, &probe{name: "webhooks", use: useHooks, needs: []string{scopeEvents}, call: func(ctx context.Context) (err error) {
			cc.hooks, err = cc.conn.client.Webhooks(ctx)
			return err
		}})
	}
	allAtOnce(cc.probes, func(p *probe) []finding { p.err = cc.try(ctx, p.call); return nil })
	if cc.lost() {
		return
	}
	for _, p := range cc.probes {
		cc.unaffordable(p.err)
	}
	var refused [][]string
	proven := map[string]bool{}
	for _, p := range cc.probes {
		switch {
		case isScope(p.err):
			refused = append(refused, p.needs)
		case p.err == nil:
			for _, s := range p.needs {
				proven[s] = true
			}
		}
	}
	cc.missing = map[string]bool{}
	for _, s := range cc.notGranted(ctx, suspects(refused, proven)) {
		cc.missing[s] = true
	}
	for _, s := range zohodesk.Scopes() {
		cc.reportScope(s, proven[s])
	}
}

// notGranted narrows suspects down to those that the consent lacks, where Zoho
// told what was granted.
func (cc *connCheck) notGranted(ctx context.Context, suspects []string) []string {
	a, err := cc.conn.client.Authorisation(ctx)
	if err != nil || len(suspects) < 2 {
		return suspects
	}
	lacking := slices.DeleteFunc(slices.Clone(suspects), func(s string) bool { return !slices.Contains(a.MissingScopes, s) })
	if len(lacking) == 0 {
		return suspects
	}
	return lacking
}

// lost reports that the token itself stopped working, for this portal or at all.
func (cc *connCheck) lost() bool {
	for _, p := range cc.probes {
		if held := heldForToken(p.err); held != nil {
			cc.stop(cc.throttled(held))
			return true
		}
		switch code := source.FaultUnauthorized; {
		case !source.IsFault(p.err, code):
			continue
		case codeOf(p.err) == "OAUTH_ORG_MISMATCH":
			cc.stop(failed(cc.item+" org id", "set org_id to the portal that was chosen at the consent, or authorise again and choose the right one", "the token belongs to another portal than %d", cc.cfg.OrgID))
		default:
			cc.stop(failed(cc.item+" credentials", exchangeCommand(cc.conn.name), "%v", p.err))
		}
		return true
	}
	return false
}

// scopeItem is the line of one scope.
func (cc *connCheck) scopeItem(scope string) string { return cc.item + " scope " + scope }

func (cc *connCheck) reportScope(scope string, proven bool) {
	var used []string
	held := false
	for _, p := range cc.probes {
		if slices.Contains(p.needs, scope) {
			used = append(used, p.name)
			held = held || heldForCredits(p.err) != nil
		}
	}
	item := cc.scopeItem(scope)
	switch {
	case len(used) == 0: // of a table that is off
	case cc.missing[scope] && scope == scopeEvents:
		cc.add(warned(item, cc.consent(), "missing: Zoho refuses to show webhooks, so changes are found by polls alone"))
	case cc.missing[scope]:
		cc.add(failed(item, cc.consent(), "missing: Zoho refuses %s", strings.Join(used, ", ")))
	case proven:
		cc.add(good(item, "tried with %s", strings.Join(used, ", ")))
	case held:
		cc.add(skipped(item, cc.creditsItem()))
	default:
		cc.add(skipped(item, "one of its calls to be answered: "+strings.Join(used, ", ")))
	}
}

// consent is how the scopes are granted.
func (cc *connCheck) consent() string {
	return "authorise again with all of " + strings.Join(zohodesk.Scopes(), ",") + ": " + exchangeCommand(cc.conn.name)
}

// suspects are the fewest scopes whose absence explains every refused call, none
// of which another call has proven. Several explanations that are equally short
// are all returned. The sets are small: eight scopes have 255 combinations.
func suspects(refused [][]string, proven map[string]bool) []string {
	var open []string
	for _, needs := range refused {
		for _, s := range needs {
			if !proven[s] && !slices.Contains(open, s) {
				open = append(open, s)
			}
		}
	}
	explains := func(set uint) bool {
		return !slices.ContainsFunc(refused, func(needs []string) bool {
			return !slices.ContainsFunc(needs, func(s string) bool { i := slices.Index(open, s); return i >= 0 && set&(1<<i) != 0 })
		})
	}
	var best uint
	fewest := len(open) + 1
	for set := uint(1); set < 1<<len(open); set++ {
		switch n := bits.OnesCount(set); {
		case n > fewest || !explains(set):
		case n < fewest:
			best, fewest = set, n
		default:
			best |= set
		}
	}
	var found []string
	for i, s := range open {
		if best&(1<<i) != 0 {
			found = append(found, s)
		}
	}
	return found
}

// codeOf is Zoho's errorCode, "" for other errors.
func codeOf(err error) string {
	if call := callError(err); call != nil {
		return call.Code
	}
	return ""
}

func isScope(err error) bool { return codeOf(err) == "SCOPE_MISMATCH" }

// blockedBy names the scope that keeps a probe from being answered.
func (cc *connCheck) blockedBy(p *probe) string {
	for _, s := range p.needs {
		if cc.missing[s] {
			return cc.scopeItem(s)
		}
	}
	return fmt.Sprintf("a scope for %s", p.name)
}
