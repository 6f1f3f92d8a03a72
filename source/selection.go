package source

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Selection is what of a table's records a warehouse gets. The zero Selection
// is everything.
type Selection struct {
	// Exclude are columns that are left out, Hash those of which only a keyed
	// hash is stored: names of columns ("contact_email"), of fields
	// ("contact.email"), of custom fields ("cf_region"), or such names with *.
	Exclude, Hash []string
	// Only and Except are departments by id; at most one of the two is given.
	// A record of several departments is selected when one of them is.
	Only, Except []uint64
}

// SelectionError is a selection that a table cannot have. List is "exclude",
// "hash" or "departments"; Known are the names there are, when Name is none.
type SelectionError struct {
	Table   Table
	List    string
	Name    string
	Problem string
	Known   []string
}

func (e *SelectionError) Error() string {
	return fmt.Sprintf("%s of %s: %s %s", e.List, e.Table, e.Name, e.Problem)
}

// treatment is what becomes of a value.
type treatment uint8

const (
	keep treatment = iota
	hashed
	excluded
)

// pattern is one name of a selection.
type pattern struct {
	text  string
	glob  bool
	treat treatment
}

// patterns are in the order in which they win: a name before a glob, and what
// leaves out before what hashes.
func (s Selection) patterns() []pattern {
	var all []pattern
	for _, glob := range []bool{false, true} {
		for _, list := range []struct {
			names []string
			treat treatment
		}{{s.Exclude, excluded}, {s.Hash, hashed}} {
			for _, name := range list.names {
				if strings.Contains(name, "*") == glob {
					all = append(all, pattern{name, glob, list.treat})
				}
			}
		}
	}
	return all
}

// matches reports whether the pattern means this name.
func (p pattern) matches(name string) bool {
	if !p.glob {
		return strings.EqualFold(p.text, name)
	}
	return globs(strings.ToLower(p.text), strings.ToLower(name))
}

// globs matches a pattern whose only special character is *, which stands for
// any text.
func globs(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(name, part)
		if !found {
			return false
		}
		name = rest
	}
	return true
}

// find is the first pattern that means one of these names.
func find(all []pattern, names ...string) (pattern, bool) {
	for _, p := range all {
		if slices.ContainsFunc(names, p.matches) {
			return p, true
		}
	}
	return pattern{}, false
}

// needed says why a field cannot be left out or hashed, "" when it can.
func (r *Resource) needed(f *Field) string {
	switch {
	case f.Register != Content:
		return ""
	case f.Name == "id", f.Name == "apiName" && r.Table == OrganizationFields:
		return "is the key of the table"
	case f.Name == "createdTime", f.Name == "modifiedTime":
		return "tells which version of a record is the newest"
	case f.Name == "departmentId", f.Name == "departmentIds":
		return "tells which department a record belongs to"
	case f.Name == "isArchived":
		return "tells which tickets need not be read again"
	case f.Name == "name" && r.Table == Departments, f.Name == "productName" && r.Table == Products:
		return "is the name that the views show for an id"
	case r.Table == Tickets && (f.Name == "ticketNumber" || f.Name == "status" || f.Name == "statusType" || f.Name == "closedTime"):
		return "is what the views of ticket histories are made of"
	}
	return ""
}

// check refuses what the table has not and what deskhouse itself needs.
func (s Selection) check(r *Resource) error {
	for _, name := range s.Exclude {
		if slices.ContainsFunc(s.Hash, func(h string) bool { return strings.EqualFold(h, name) }) {
			return &SelectionError{Table: r.Table, List: "hash", Name: name, Problem: "is left out by exclude already"}
		}
	}
	for _, p := range s.patterns() {
		if err := r.knows(p); err != nil {
			return err
		}
	}
	if len(s.Only)+len(s.Except) > 0 && r.departmentField() < 0 {
		return &SelectionError{Table: r.Table, List: "departments", Problem: "cannot be selected: its records belong to none"}
	}
	return nil
}

// knows refuses a name that means nothing, or something that is needed. A glob
// passes over what is needed.
func (r *Resource) knows(p pattern) error {
	list := map[treatment]string{excluded: "exclude", hashed: "hash"}[p.treat]
	found := false
	for i := range r.Fields {
		f := &r.Fields[i]
		if !slices.ContainsFunc(f.names(), p.matches) {
			continue
		}
		found = true
		if why := r.needed(f); why != "" && !p.glob {
			return &SelectionError{Table: r.Table, List: list, Name: p.text, Problem: why}
		}
	}
	if !found && !(r.HasCustom() && p.mayBeCustom()) {
		return &SelectionError{Table: r.Table, List: list, Name: p.text, Problem: "is no column of " + string(r.Table), Known: r.selectable()}
	}
	return nil
}

// mayBeCustom reports whether a custom field may have such a name: there may be
// none yet.
func (p pattern) mayBeCustom() bool {
	before, _, _ := strings.Cut(strings.ToLower(p.text), "*")
	return strings.HasPrefix(before, "cf_") || p.glob && strings.HasPrefix("cf_", before)
}

// names are what a selection may call a field. An array of objects is selected
// as one, by any of its columns.
func (f *Field) names() []string { return append([]string{f.Name, f.Column}, f.Columns()...) }

// selectable are the columns that a selection may name.
func (r *Resource) selectable() []string {
	var names []string
	for i := range r.Fields {
		if f := &r.Fields[i]; r.needed(f) == "" {
			names = append(names, f.Columns()...)
		}
	}
	return names
}

// departmentField is the index of the field that tells a record's departments,
// -1 where records belong to none.
func (r *Resource) departmentField() int {
	return slices.IndexFunc(r.Fields, func(f Field) bool {
		return f.Register == Content && (f.Name == "departmentId" || f.Name == "departmentIds")
	})
}

// customNames are what a selection may call a custom field: its API name, and
// that as a column spells it.
func customNames(apiName string) []string {
	column := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) && c < unicode.MaxASCII || unicode.IsDigit(c) && c < unicode.MaxASCII {
			return unicode.ToLower(c)
		}
		return '_'
	}, apiName)
	if !strings.HasPrefix(column, "cf_") {
		column = "cf_" + column
	}
	return []string{apiName, column}
}
