package clickhouse

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"deskhouse/source"

	"pgregory.net/rapid"
)

// shownColumn is one column of a view and where its value comes from.
type shownColumn struct {
	name  string // in the view
	field *source.Field
	api   string // of a custom field
	typ   string
	part  int // of an array of objects: which member
}

// checkDocuments reads documents back through both views and holds them against
// the rules.
func checkDocuments(t *testing.T, rt *rapid.T, w *Warehouse, table source.Table, texts map[int]string, inDocument bool) {
	res := source.Lookup(table)
	views := []string{string(table)}
	if res.Has(source.Listed) || res.Has(source.Detail) {
		views = append(views, string(table)+"_full")
	}
	for _, view := range views {
		regs := []source.Register{source.Content}
		if view != string(table) {
			regs = []source.Register{source.Content, source.Listed, source.Detail}
		}
		for _, reg := range regs {
			if reg == source.Content || res.Has(reg) {
				checkRegister(t, rt, w, view, table, reg, texts, inDocument && reg == source.Content)
			}
		}
	}
}

func checkRegister(t *testing.T, rt *rapid.T, w *Warehouse, view string, table source.Table, reg source.Register, texts map[int]string, inDocument bool) {
	res := source.Lookup(table)
	there := map[string]string{}
	for _, line := range rows(t, w, "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '%s'", view) {
		name, typ, _ := strings.Cut(line, "\t")
		there[name] = typ
	}
	cols := shownColumns(rt, res, reg, there, inDocument)
	exprs := []string{"_extra"}
	if reg != source.Content {
		exprs[0] = reg.String() + "_extra"
	}
	if inDocument {
		exprs = append(exprs, "toString(doc)")
	}
	for _, c := range cols {
		exprs = append(exprs, c.expr())
	}
	key := "toUInt64(id)"
	if byName(table) {
		key = "toUInt64(substring(api_name, 2))"
	}
	var ids []string
	for id := range texts {
		ids = append(ids, strconv.Itoa(id))
	}
	r, err := w.Query(ctx, fmt.Sprintf("SELECT %s AS _key, %s FROM %s WHERE _key IN (%s)", key, strings.Join(exprs, ", "), view, strings.Join(ids, ", ")))
	must(t, err)
	found := 0
	for values, null, ok := r.Next(); ok; values, null, ok = r.Next() {
		found++
		id, _ := strconv.Atoi(values[0])
		o := oracle{rt: rt, res: res, reg: reg, text: texts[id], extra: parseMembers(values[1]), custom: map[string]bool{}}
		o.flatten()
		from := 2
		if inDocument {
			o.document, from = meaning(t, values[2]).(map[string]any), 3
		}
		o.check(cols, values[from:], null[from:], inDocument)
	}
	must(t, r.Err())
	must(t, r.Close())
	if found != len(texts) {
		rt.Fatalf("%s shows %d of %d rows", view, found, len(texts))
	}
}

// shownColumns are the columns of a register in a view.
func shownColumns(rt *rapid.T, res *source.Resource, reg source.Register, there map[string]string, inDocument bool) []shownColumn {
	var cols []shownColumn
	add := func(c shownColumn, name string) {
		if _, renamed := there[reg.String()+"_"+name]; renamed && reg != source.Content {
			name = reg.String() + "_" + name
		}
		typ, shown := there[name]
		if !shown {
			if !inDocument {
				rt.Fatalf("no column %s for %s", name, res.Table)
			}
			return
		}
		c.name, c.typ = name, typ
		cols = append(cols, c)
	}
	for _, i := range res.In(reg) {
		f := &res.Fields[i]
		switch {
		case f.Kind == source.KindCustom && !inDocument:
			for _, c := range anyCustom {
				add(shownColumn{field: f, api: c.APIName}, c.APIName)
			}
		case f.Kind == source.KindObjects:
			for part, e := range f.Elements {
				add(shownColumn{field: f, part: part}, e.Column)
			}
		case f.Kind != source.KindCustom:
			add(shownColumn{field: f}, f.Column)
		}
	}
	return cols
}

// expr shows a value as text, the items of an array in hexadecimal with commas
// behind them.
func (c shownColumn) expr() string {
	if strings.HasPrefix(c.typ, "Array") {
		return "arrayStringConcat(arrayMap(x -> concat(hex(toString(x)), ','), " + ident(c.name) + "))"
	}
	return "toString(" + ident(c.name) + ")"
}

func hexItems(items []string) string {
	var b strings.Builder
	for _, item := range items {
		b.WriteString(strings.ToUpper(hex.EncodeToString([]byte(item))) + ",")
	}
	return b.String()
}

// oracle says of one document what must be stored, worked out without the code
// that stores it.
type oracle struct {
	rt   *rapid.T
	res  *source.Resource
	reg  source.Register
	text string

	values  map[string][]string // non-null and null values of a catalog path, in the order sent
	unknown []source.Member
	cf      []source.Member // members of all cf objects
	oddCF   string          // a cf that is no object

	extra    []source.Member
	document map[string]any
	custom   map[string]bool
}

// flatten finds what the document says of each field.
func (o *oracle) flatten() {
	o.values = map[string][]string{}
	o.walk(o.text, "")
}

func (o *oracle) walk(object, prefix string) {
	for _, m := range parseMembers(object) {
		path := prefix + m.Name
		is := func(f source.Field) bool { return f.Name == path }
		below := func(f source.Field) bool { return strings.HasPrefix(f.Name, path+".") }
		dotted := strings.Contains(m.Name, ".")
		switch {
		case !dotted && path == "cf" && o.res.HasCustom():
			if o.oddCF != "" { // replaced by this one
				o.unknown = append(o.unknown, source.Member{Name: "cf", Value: o.oddCF})
				o.oddCF = ""
			}
			if m.Value[0] == '{' {
				o.cf = append(o.cf, parseMembers(m.Value)...)
			} else if m.Value != "null" {
				o.oddCF = m.Value
			}
		case !dotted && slices.ContainsFunc(o.res.Fields, is):
			o.values[path] = append(o.values[path], m.Value)
		case !dotted && slices.ContainsFunc(o.res.Fields, below):
			switch {
			case m.Value[0] == '{':
				o.walk(m.Value, path+".")
			case m.Value != "null":
				o.unknown = append(o.unknown, source.Member{Name: path, Value: m.Value})
			}
		case prefix == "" && m.Name == "customFields": // cf once more, by label: left out
		case prefix == "" && slices.Contains([]string{"IsDel", "isDel", "isDeleted", "isTrashed"}, m.Name) &&
			slices.Contains([]string{"null", "true", "false", "0", "1", `"true"`, `"false"`, `"0"`, `"1"`}, m.Value): // a flag that was understood
		default:
			o.unknown = append(o.unknown, source.Member{Name: path, Value: m.Value})
		}
	}
}

// last is the value that counts, and moves what it replaced to the unknown keys.
func (o *oracle) last(path string) string {
	all := o.values[path]
	if len(all) == 0 {
		return "null"
	}
	return all[len(all)-1]
}

func (o *oracle) replaced() []source.Member {
	var old []source.Member
	for path, all := range o.values {
		for _, raw := range all[:len(all)-1] {
			if raw != "null" {
				old = append(old, source.Member{Name: path, Value: raw})
			}
		}
	}
	return old
}

// take removes a member from _extra and reports whether it was there.
func (o *oracle) take(name, raw string) bool {
	i := slices.Index(o.extra, source.Member{Name: name, Value: raw})
	if i >= 0 {
		o.extra = slices.Delete(o.extra, i, i+1)
	}
	return i >= 0
}

func (o *oracle) wantKept(name, raw string) {
	if !o.take(name, raw) {
		o.fail("%s sent as %s is lost", name, raw)
	}
}

func (o *oracle) fail(format string, a ...any) {
	o.rt.Errorf("%s %s: %s\nsent %q\n_extra left %q, document %v", o.res.Table, o.reg, fmt.Sprintf(format, a...), o.text, o.extra, o.document)
}

func (o *oracle) check(cols []shownColumn, values []string, null []bool, inDocument bool) {
	for _, m := range append(o.replaced(), o.unknown...) {
		o.wantKept(m.Name, m.Value)
	}
	if o.reg == source.Content && o.oddCF != "" {
		o.wantKept("cf", o.oddCF)
	}
	shown := map[string]string{} // of each column, "NULL" for none
	for i, c := range cols {
		shown[c.name] = values[i]
		if null[i] {
			shown[c.name] = "NULL"
		}
	}
	if inDocument {
		o.checkColumns(cols, shown, false)
		o.checkDocument()
	} else {
		o.checkColumns(cols, shown, true)
		if o.reg == source.Content {
			o.checkCustom(cols, shown)
		}
	}
	if len(o.extra) > 0 {
		o.fail("_extra holds more than it should")
	}
}

// checkColumns holds each field's column against its value. kept says that what
// does not fit must be in _extra.
func (o *oracle) checkColumns(cols []shownColumn, shown map[string]string, kept bool) {
	for i, c := range cols {
		if c.api != "" || i > 0 && c.field.Kind == source.KindObjects && cols[i-1].field == c.field {
			continue
		}
		raw := o.last(c.field.Name)
		if c.field.Kind == source.KindObjects {
			o.checkObjects(c.field, cols[i:i+len(c.field.Elements)], shown, raw)
			continue
		}
		want, fits := storedText(c.field.Kind, raw)
		if shown[c.name] != want {
			o.fail("%s sent as %s: column %s is %q, want %q", c.field.Name, raw, c.name, shown[c.name], want)
		}
		if !fits && kept {
			o.wantKept(c.field.Name, raw)
		}
	}
}

// checkObjects: parallel arrays, one cell for each element; what they do not show
// exactly is in _extra as well.
func (o *oracle) checkObjects(f *source.Field, cols []shownColumn, shown map[string]string, raw string) {
	arrays, exact := objectArrays(f.Elements, raw)
	for i, c := range cols {
		if want := hexItems(arrays[i]); shown[c.name] != want {
			o.fail("%s sent as %s: column %s is %q, want %q", f.Name, raw, c.name, shown[c.name], want)
		}
	}
	if !exact {
		o.wantKept(f.Name, raw)
	}
}

// checkCustom: the first value of a custom field is in its column; what does not
// fit, comes again or has no column is in _extra.
func (o *oracle) checkCustom(cols []shownColumn, shown map[string]string) {
	want := map[string]string{}
	for _, m := range o.cf {
		i := slices.IndexFunc(anyCustom, func(c source.CustomField) bool { return c.APIName == m.Name })
		_, again := want[m.Name]
		switch {
		case i < 0 && m.Value == "null":
		case i < 0, again:
			o.wantKept("cf."+m.Name, m.Value)
		default:
			text, fits := customText(anyCustom[i].Type, m.Value)
			if want[m.Name] = text; !fits {
				o.wantKept("cf."+m.Name, m.Value)
			}
		}
	}
	for _, c := range cols {
		if c.api == "" {
			continue
		}
		text, sent := want[c.api]
		if !sent {
			text, _ = customText(typeOf(c.api), "null")
		}
		if shown[c.name] != text {
			o.fail("cf.%s: column is %q, want %q", c.api, shown[c.name], text)
		}
	}
}

func typeOf(api string) string {
	return anyCustom[slices.IndexFunc(anyCustom, func(c source.CustomField) bool { return c.APIName == api })].Type
}

// checkDocument: what the document can hold is in it and means the same, the rest
// is in _extra, and the document holds nothing else.
func (o *oracle) checkDocument() {
	for _, i := range o.res.In(source.Content) {
		if f := o.res.Fields[i]; f.Kind != source.KindCustom {
			o.inDocument(strings.Split(f.Name, "."), f.Name, o.last(f.Name))
		}
	}
	for _, m := range o.cf {
		path := []string{"cf", m.Name}
		if m.Value == "null" {
			continue
		}
		if o.custom[m.Name] {
			o.wantKept("cf."+m.Name, m.Value)
			continue
		}
		o.custom[m.Name] = o.inDocument(path, "cf."+m.Name, m.Value)
	}
	if left := leaves(o.document); len(left) > 0 {
		o.fail("the document also holds %v", left)
	}
}

// inDocument reports whether the document holds a value; if not, _extra must.
func (o *oracle) inDocument(path []string, name, raw string) bool {
	if raw == "null" {
		return false
	}
	into, leaf := o.document, path[len(path)-1]
	for _, step := range path[:len(path)-1] {
		into, _ = into[step].(map[string]any)
	}
	if got, there := into[leaf]; there && sameValue(got, raw) {
		delete(into, leaf)
		return true
	}
	o.wantKept(name, raw)
	if surelyFits(raw) && !strings.Contains(leaf, ".") && leaf != "" {
		o.fail("%s sent as %s is not in the document, which can hold it", name, raw)
	}
	return false
}
