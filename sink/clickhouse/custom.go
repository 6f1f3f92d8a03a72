package clickhouse

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"deskhouse/source"
)

// customColumn is one cf_* column. What it stands for is recorded in its
// COMMENT and read back from there at start, so no other record of the mapping
// can disagree with the table:
//
//	custom field "cf_region" of type "Picklist": Region
//	former custom field "cf_region" of type "Text": Region
//	removed custom field "cf_region" of type "Text": Region
//	revived custom field "cf_region" of type "Text": Region
//
// A label that would be read as something else is quoted. A field whose type changes gets a new column; the old one keeps its values
// and becomes a former one. A field that Zoho does not list any more is a removed
// one: its column stays in use, should a value still come. A column of either
// kind that a field uses again is a revived one until its backfill ends: rows
// may show what they kept, though the field is empty now.
type customColumn struct {
	source.CustomField
	name    string // column name
	typ     string // the column's ClickHouse type
	former  bool
	removed bool   // never with former
	revived bool   // never with either
	keyID   string // of a column of keyed hashes, "" else
}

const (
	customMark  = "custom field "
	formerMark  = "former " + customMark
	removedMark = "removed " + customMark
	revivedMark = "revived " + customMark
)

func (c customColumn) comment() string {
	prefix := customMark
	switch {
	case c.former:
		prefix = formerMark
	case c.removed:
		prefix = removedMark
	case c.revived:
		prefix = revivedMark
	}
	text := fmt.Sprintf("%s%s of type %s: %s", prefix, strconv.Quote(c.APIName), strconv.Quote(c.Type), labelText(c.Label))
	if c.keyID != "" {
		return hashComment(c.keyID, text)
	}
	return text
}

// labelText quotes a label that begins as a quoted one, or ends as a mark, or
// would break a line.
func labelText(label string) string {
	_, pending := splitPending(label)
	if pending || strings.HasPrefix(label, `"`) || strings.ContainsFunc(label, unicode.IsControl) || !utf8.ValidString(label) {
		return strconv.Quote(label)
	}
	return label
}

// parseLabel reads labelText back. What an older release wrote unquoted, or a
// person edited, is taken as it stands.
func parseLabel(text string) string {
	if label, rest, ok := cutQuoted(text); ok && rest == "" && text[0] == '"' {
		return label
	}
	return text
}

func (c customColumn) column() column {
	return column{name: c.name, typ: c.typ, comment: c.comment()}
}

// parseCustom reads a column back. ok is false for a column that is none of
// ours, or whose type somebody changed to one that its values do not fit.
func parseCustom(c haveColumn) (customColumn, bool) {
	keyID, comment := splitHash(c.comment)
	rest, former := strings.CutPrefix(comment, formerMark)
	rest, removed := strings.CutPrefix(rest, removedMark)
	rest, revived := strings.CutPrefix(rest, revivedMark)
	if !former && !removed && !revived {
		var current bool
		if rest, current = strings.CutPrefix(comment, customMark); !current {
			return customColumn{}, false
		}
	}
	api, rest, ok1 := cutQuoted(rest)
	zohoType, rest, ok2 := cutQuoted(strings.TrimPrefix(rest, " of type "))
	label, ok3 := strings.CutPrefix(rest, ": ")
	typ := customType(zohoType)
	if keyID != "" {
		typ = typeString
	}
	if !ok1 || !ok2 || !ok3 || bareType(typ) != bareType(c.typ) {
		return customColumn{}, false
	}
	return customColumn{CustomField: source.CustomField{APIName: api, Label: parseLabel(label), Type: zohoType},
		name: c.name, typ: typ, former: former, removed: removed, revived: revived, keyID: keyID}, true
}

// customOf reads back all custom columns of a table, in its order.
func customOf(t haveTable) []customColumn {
	var custom []customColumn
	for _, c := range t.columns {
		if parsed, ok := parseCustom(c); ok {
			custom = append(custom, parsed)
		}
	}
	return custom
}

func cutQuoted(s string) (text, rest string, ok bool) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", s, false
	}
	text, err = strconv.Unquote(quoted)
	return text, s[len(quoted):], err == nil
}

// customPlan is what has to change so that every field has a column in use.
type customPlan struct {
	add     []customColumn  // new columns
	comment []customColumn  // columns whose comment changes: label, type, former or not
	again   map[string]bool // columns that were former or removed ones and come into use again
	custom  []customColumn  // all columns afterwards
}

// planCustom compares the columns there are with the fields there should be.
// taken holds all column names of the table. It is deterministic: fields are
// taken in order of their API names. Columns of fields that are not mentioned
// stay as they are. Of fields that m leaves out nothing is planned.
func planCustom(m *source.Mask, have []customColumn, fields []source.CustomField, taken map[string]bool) customPlan {
	p := customPlan{custom: customSelected(m, have), again: map[string]bool{}}
	fields = fieldsSelected(m, fields)
	slices.SortFunc(fields, func(a, b source.CustomField) int { return cmp.Compare(a.APIName, b.APIName) })
	fields = slices.CompactFunc(fields, func(a, b source.CustomField) bool { return a.APIName == b.APIName })
	for _, f := range fields {
		f.Label = strings.ToValidUTF8(f.Label, "\uFFFD")
		want := customColumn{CustomField: f, name: columnName(f.APIName), typ: customType(f.Type)}
		if m.HashesCustom(f.APIName) {
			want.name, want.typ, want.keyID = want.name+hashSuffix, typeString, m.KeyID()
		}
		p.field(want, taken)
	}
	return p
}

func (p *customPlan) field(want customColumn, taken map[string]bool) {
	found := false
	for i := range p.custom {
		c := &p.custom[i]
		if c.APIName != want.APIName {
			continue
		}
		next := *c
		next.former, next.removed, next.revived = found || c.typ != want.typ, false, false
		if !next.former {
			next.revived = c.revived || c.kept()
			found, next.CustomField = true, want.CustomField
		}
		if next != *c {
			p.again[c.name] = c.kept() && !next.former
			*c = next
			p.comment = append(p.comment, next)
		}
	}
	if !found {
		want.name = freeName(want.name, taken)
		taken[want.name] = true
		p.custom = append(p.custom, want)
		p.add = append(p.add, want)
	}
}

// inEmpty is the plan for a table without rows, where no column kept anything.
func (p customPlan) inEmpty() {
	for _, columns := range [][]customColumn{p.custom, p.comment} {
		for i := range columns {
			columns[i].revived = false
		}
	}
}

// planRemoved marks the columns of fields that are not there any more.
func planRemoved(have []customColumn, gone []string) customPlan {
	p := customPlan{custom: slices.Clone(have)}
	for i := range p.custom {
		if c := &p.custom[i]; !c.former && !c.removed && slices.Contains(gone, c.APIName) {
			c.removed, c.revived = true, false
			p.comment = append(p.comment, *c)
		}
	}
	return p
}

// maxName bounds a column name; API names have at most 100 characters
// (zoho-desk OAS FieldOld.json), others are cut.
const maxName = 100

// columnName turns an API name into a column name of [a-z0-9_] that starts
// with cf_.
func columnName(apiName string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(apiName) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	name := b.String()
	if !strings.HasPrefix(name, "cf_") {
		name = "cf_" + name
	}
	return name[:min(len(name), maxName)]
}

// freeName adds the first number that makes the name unique.
func freeName(name string, taken map[string]bool) string {
	free := name
	for n := 2; taken[free]; n++ {
		free = name + "_" + strconv.Itoa(n)
	}
	return free
}
