package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
)

// profile compares what search and GET carry with the documented keys: an
// agent's profile hides fields silently (APIDOC; zoho-desk OAS has the keys), and
// a column that is hidden stays empty.
func (cc *connCheck) profile(ctx context.Context) {
	item := cc.item + " agent's profile"
	if cc.unpaid {
		cc.add(skipped(item, cc.creditsItem()))
		return
	}
	var err error
	if cc.departments, err = cc.visibleDepartments(ctx); cc.unaffordable(err) {
		cc.add(skipped(item, cc.creditsItem()))
		return
	}
	var hints, looked []string
	for _, t := range cc.tables {
		row := cc.firstRow(t)
		if row == nil || t == source.OrganizationFields {
			continue
		}
		hint, err := cc.hidden(ctx, t, row)
		switch {
		case cc.unaffordable(err):
			cc.add(skipped(item, cc.creditsItem()))
			return
		case err != nil:
			hints = append(hints, fmt.Sprintf("%s %s cannot be read by id (%s)", t, row.Key, codeOf(err)))
		case hint != "":
			hints = append(hints, string(t)+": "+hint)
		}
		looked = append(looked, string(t))
	}
	departments := "departments cannot be listed"
	if cc.departments != nil {
		departments = fmt.Sprintf("%d departments visible", len(cc.departments))
	}
	switch {
	case len(hints) > 0:
		cc.add(warned(item, "let the profile of the agent who gave the consent see these fields, or do without them: their columns stay empty",
			"%s; %s", strings.Join(hints, "; "), departments))
	case len(looked) == 0:
		cc.add(good(item, "no record to look at; %s", departments))
	default:
		cc.add(good(item, "every documented key is there in %s; %s", strings.Join(looked, ", "), departments))
	}
}

// firstRow is a row that a search or a list has shown, nil without one.
func (cc *connCheck) firstRow(t source.Table) *source.Record {
	var found *source.Record
	for _, p := range cc.probes {
		if p.table == t && p.row != nil {
			found = p.row // the search comes last and tells more
		}
	}
	return found
}

// hidden says which keys the portal's replies lack.
func (cc *connCheck) hidden(ctx context.Context, t source.Table, row *source.Record) (string, error) {
	var got *source.Record
	err := cc.try(ctx, func(ctx context.Context) (err error) {
		got, _, err = cc.conn.client.Get(ctx, source.ForReread, t, row.Key.ID)
		return err
	})
	if source.IsFault(err, source.FaultNotFound) {
		return "", nil // gone meanwhile
	}
	if err != nil {
		return "", err
	}
	r := source.Lookup(t)
	lacks := []string{}
	if keys := keysOf(r, r.Required(source.Content).Union(r.Required(source.Detail)).Without(got.Present)); len(keys) > 0 {
		lacks = append(lacks, "GET lacks "+strings.Join(keys, ", "))
	}
	searched := slices.ContainsFunc(cc.probes, func(p *probe) bool { return p.table == t && p.use == useSearch && p.row != nil })
	if searched {
		keys := keysOf(r, r.Required(source.Content).Union(r.Required(source.Listed)).Without(row.Present))
		if len(keys) > 0 {
			lacks = append(lacks, "search lacks "+strings.Join(keys, ", "))
		}
		if only := r.Required(source.Content).Intersect(got.Present).Without(row.Present); !only.Empty() {
			lacks = append(lacks, "so each new or changed row costs a GET")
		}
	}
	return strings.Join(lacks, ", "), nil
}

// keysOf names the top-level keys of a set of fields.
func keysOf(r *source.Resource, set source.FieldSet) []string {
	var keys []string
	for i, f := range r.Fields {
		key, _, _ := strings.Cut(f.Name, ".")
		if set.Has(i) && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// mostDepartments bounds what a check reads of them.
const mostDepartments = 2000

// visibleDepartments are those that the agent's list shows, nil and why when it
// cannot be read.
func (cc *connCheck) visibleDepartments(ctx context.Context) (map[uint64]bool, error) {
	seen := map[uint64]bool{}
	for offset := 0; offset < mostDepartments; {
		var page source.Page
		err := cc.try(ctx, func(ctx context.Context) (err error) {
			page, err = cc.conn.client.List(ctx, source.ForReread, source.Departments, source.ListQuery{Offset: offset, Limit: 200})
			return err
		})
		if err != nil {
			return nil, err
		}
		before := len(seen)
		for _, rec := range page.Records {
			seen[rec.Key.ID] = true
		}
		if len(seen) == before { // pages overlap where a portal counts from 1
			break
		}
		offset += page.Rows
	}
	return seen, nil
}
