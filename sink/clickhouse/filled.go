package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"deskhouse/source"

	"github.com/go-json-experiment/json/jsontext"
)

// Filled returns, for each key that has content, the content fields that hold a
// value: not null, not the empty text, not an empty array; custom fields count
// as one. A value that did not fit its column counts too, as _extra holds it.
// It agrees with source.Record.Filled of the record that was written. Keys
// without a row or without content are absent from the map.
func (w *Warehouse) Filled(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]source.FieldSet, error) {
	l, err := w.layout(t)
	if err != nil {
		return nil, err
	}
	filled := make(map[source.Key]source.FieldSet, len(keys))
	known := l.keySet()
	err = w.lookup(ctx, "look for filled columns of "+mainName(t), t, mainName(t), l.filledExprs(), keys, func(row scanner) error {
		var k keyScan
		var asOf int64
		var extra string
		var set source.FieldSet
		var members []string
		dest := append(k.dest(t), &asOf, &extra, &set[0], &set[1])
		if l.document {
			dest = append(dest, &members)
		}
		if err := row.Scan(dest...); err != nil {
			return err
		}
		if asOf > 0 {
			filled[k.key(t)] = set.Union(known).Union(l.filledExtra(extra)).Union(l.filledMembers(members)).Without(l.unselected())
		}
		return nil
	})
	return filled, err
}

// keySet is the field that stands in the key: it always holds a value.
func (l *layout) keySet() source.FieldSet {
	var set source.FieldSet
	for _, i := range l.res.In(source.Content) {
		if isKey(l.res.Table, l.res.Fields[i]) {
			set = set.With(i)
		}
	}
	return set
}

// filledExprs are as_of, _extra and the two words of the field set, worked out
// in the server so that no long text travels.
func (l *layout) filledExprs() []string {
	var words [2][]string
	add := func(i int, condition string) {
		words[i>>6] = append(words[i>>6], fmt.Sprintf("bitShiftLeft(toUInt64(%s), %d)", condition, i&63))
	}
	for _, i := range l.fields(source.Content) {
		c := l.columnsOf(i)[0]
		add(i, holdsValue(c, l.res.Fields[i].Kind == source.KindJSON && !l.mask.Hashes(i)))
	}
	if i := customIndex(l.res); i >= 0 && len(l.custom) > 0 {
		add(i, l.holdsCustom())
	}
	exprs := []string{"_content_as_of", "_extra"}
	for _, bits := range words {
		exprs = append(exprs, strings.Join(append([]string{"toUInt64(0)"}, bits...), " + "))
	}
	if l.document {
		exprs = append(exprs, l.filledMembersExpr())
	}
	return exprs
}

// holdsValue is 1 for a column that holds a value. One of JSON text has an
// empty text as its two quotes. Of parallel arrays any one tells.
func holdsValue(c column, json bool) string {
	switch {
	case json:
		return fmt.Sprintf(`ifNull(%s NOT IN ('""', '[]'), 0)`, ident(c.name))
	case c.typ == typeString, c.typ == typeEnum:
		return fmt.Sprintf("ifNull(%s != '', 0)", ident(c.name))
	case isArray(c.typ):
		return fmt.Sprintf("notEmpty(%s)", ident(c.name))
	}
	return fmt.Sprintf("isNotNull(%s)", ident(c.name))
}

// holdsCustom is 1 when any custom field does that Zoho still has. What kept
// columns hold is not taken away by what a record lacks; but until the column
// after a change of type is filled, a row may have its value in the one before,
// and a revived one shows what it kept.
func (l *layout) holdsCustom() string {
	var any []string
	for _, c := range l.custom {
		if c.removed || c.revived || c.former && !l.pending.custom[c.APIName] {
			continue
		}
		condition := "isNotNull(" + ident(c.name) + ")"
		switch c.typ {
		case typeString, typeEnum:
			condition = "ifNull(" + ident(c.name) + " != '', 0)"
		case typeStrings:
			condition = "notEmpty(" + ident(c.name) + ")"
		}
		any = append(any, condition)
	}
	if len(any) == 0 {
		return "0"
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

// filledExtra are the fields whose value stands in _extra. The text is read as
// leniently as records are.
func (l *layout) filledExtra(extra string) source.FieldSet {
	var set source.FieldSet
	if extra == "" {
		return set
	}
	dec := jsontext.NewDecoder(strings.NewReader(extra), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return set
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return set
		}
		field := l.extraField(name.String())
		value, err := dec.ReadValue()
		if err != nil {
			return set
		}
		if field >= 0 && !blank(string(value)) {
			set = set.With(field)
		}
	}
	return set
}

// extraField is the content field that a member of _extra belongs to, -1 for
// keys the catalog does not know.
func (l *layout) extraField(name string) int {
	if api, custom := strings.CutPrefix(name, "cf."); custom {
		if l.mask.ExcludesCustom(api) {
			return -1
		}
		return customIndex(l.res)
	}
	for _, i := range l.res.In(source.Content) {
		if l.res.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// blank reports whether a JSON value holds nothing, as source.Record.Filled
// has it.
func blank(raw string) bool { return raw == "null" || raw == `""` || raw == "[]" }
