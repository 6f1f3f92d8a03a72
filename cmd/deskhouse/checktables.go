package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
	"deskhouse/source/zohodesk"
)

func callError(err error) *source.CallError {
	var call *source.CallError
	if errors.As(err, &call) {
		return call
	}
	return nil
}

// table judges what a table is read with.
func (cc *connCheck) table(item string, t source.Table) finding {
	if cc.stopped != "" {
		return skipped(item, cc.stopped)
	}
	of := map[probeUse]*probe{}
	for _, p := range cc.probes {
		if p.table != t {
			continue
		}
		if of[p.use] = p; isScope(p.err) && p.use != useBin {
			return skipped(item, cc.blockedBy(p))
		}
		if p.use != useBin && heldForCredits(p.err) != nil {
			return skipped(item, cc.creditsItem())
		}
	}
	list, search := of[useList], of[useSearch]
	switch {
	case list.err != nil:
		return cc.unreadable(item, t, list)
	case search != nil && search.err != nil:
		return warned(item, "let the agent search, or accept the price", "search is refused (%v): read by the list and one GET each, 103 credits instead of 3 for 100 rows", search.err)
	}
	return good(item, "readable")
}

// bin says whether the recycle bin can be read.
func (cc *connCheck) bin(context.Context) {
	item := cc.item + " recycle bin"
	var tables []string
	for _, p := range cc.probes {
		if p.use != useBin {
			continue
		}
		if isScope(p.err) {
			cc.add(skipped(item, cc.blockedBy(p)))
			return
		}
		if cc.unaffordable(p.err) {
			cc.add(skipped(item, cc.creditsItem()))
			return
		}
		if p.err != nil {
			cc.add(warned(item, "let the agent see the recycle bin", "%v: deletions and restores without an event are found by a resync only", p.err))
			return
		}
		tables = append(tables, string(p.table))
	}
	if len(tables) > 0 {
		cc.add(good(item, "readable for %s", strings.Join(tables, ", ")))
	}
}

// unreadable is a table that cannot be synchronised at all.
func (cc *connCheck) unreadable(item string, t source.Table, p *probe) finding {
	off := fmt.Sprintf("or switch the table off: tables: {%s: false}", t)
	call := callError(p.err)
	switch {
	case call == nil:
		return failed(item, "", "%v", p.err)
	case call.Code == "LICENSE_ACCESS_LIMITED":
		return failed(item, "use an edition that has it, "+off, "the portal's edition does not have %s: %s is answered %s", t, p.name, call.Code)
	case call.Fault == source.FaultForbidden:
		return failed(item, "change the agent's profile, "+off, "the agent may not read %s: %s is answered %s", t, p.name, call.Code)
	}
	bare := *call
	bare.Hint = ""
	return failed(item, call.Hint, "%v", &bare)
}

// fields tells which modules the field endpoint answers for, and which of the
// two it is (Zoho OAS Field.json, FieldOld.json).
func (cc *connCheck) fields(ctx context.Context) {
	item := cc.item + " fields"
	at := slices.IndexFunc(cc.probes, func(p *probe) bool { return p.table == source.OrganizationFields })
	if at < 0 {
		return
	}
	if isScope(cc.probes[at].err) {
		cc.add(skipped(item, cc.blockedBy(cc.probes[at])))
		return
	}
	if cc.unpaid {
		cc.add(skipped(item, cc.creditsItem()))
		return
	}
	modules := zohodesk.FieldModules()
	errs := make([]error, len(modules))
	indices := make([]int, len(modules))
	for i := range indices {
		indices[i] = i
	}
	allAtOnce(indices, func(i int) []finding {
		errs[i] = cc.try(ctx, func(ctx context.Context) error {
			_, _, err := cc.conn.client.Fields(ctx, source.ForReread, modules[i])
			return err
		})
		return nil
	})
	if slices.ContainsFunc(errs, cc.unaffordable) {
		cc.add(skipped(item, cc.creditsItem()))
		return
	}
	cc.add(cc.fieldsFinding(item, modules, errs))
}

// fieldsFinding warns when nobody answers for tickets. The other modules may be
// hidden by an edition or a profile, which is normal: they are named.
func (cc *connCheck) fieldsFinding(item string, modules []string, errs []error) finding {
	byEndpoint := map[string][]string{}
	var silent []string
	for i, m := range modules {
		if errs[i] != nil {
			silent = append(silent, m)
			continue
		}
		endpoint := cc.conn.client.FieldsEndpoint(m)
		byEndpoint[endpoint] = append(byEndpoint[endpoint], m)
	}
	var parts []string
	for _, e := range sortedKeys(byEndpoint) {
		parts = append(parts, fmt.Sprintf("/%s answers for %s", e, strings.Join(byEndpoint[e], ", ")))
	}
	if len(silent) > 0 {
		parts = append(parts, "nobody answers for "+strings.Join(silent, ", "))
	}
	said := strings.Join(parts, "; ")
	switch {
	case len(byEndpoint) == 0:
		return failed(item, "look at the error", "no module is answered for: %v", errs[0])
	case slices.Contains(silent, source.Lookup(source.Tickets).Module):
		return warned(item, "give the agent access to tickets", "%s: custom fields of those stay in _extra", said)
	case len(byEndpoint[zohodesk.OldFields]) > 0:
		return warned(item, "nothing now: deskhouse changes over by itself when /fields answers", "%s; Zoho calls it deprecated since 2026-07-01", said)
	}
	return good(item, "%s", said)
}
