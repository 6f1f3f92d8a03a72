package clickhouse

import (
	"slices"
	"strings"

	"deskhouse/source"
)

// storedRow makes a record of a stored row: the JSON text that Zoho could have
// sent, parsed again, and the unknown keys of _extra.
type storedRow struct {
	layout *layout
	values []storedValue // in the order of exprs

	extra   string
	scalars []*string
	arrays  [][]string
	kept    keptValues // of the row that was scanned last
}

// storedValue is one field or custom field in the columns layout, the document
// in the other.
type storedValue struct {
	path     []string
	former   *customColumn    // its values are not those of a field there is
	columns  []column         // several for an array of objects
	elements []source.Element // of an array of objects
	json     func(cells []*string, arrays [][]string) string
}

func newStoredRow(l *layout, retired map[string]string) *storedRow {
	r := &storedRow{layout: l}
	if l.document {
		return r
	}
	for _, name := range l.moved {
		r.values = append(r.values, storedValue{path: strings.Split(retired[name], "."), columns: []column{{name: name, typ: typeString}}, json: retiredJSON})
	}
	for _, i := range l.res.In(source.Content) {
		f := &l.res.Fields[i]
		if isKey(l.res.Table, *f) || !slices.Contains(l.fields(source.Content), i) {
			continue
		}
		v := storedValue{path: strings.Split(f.Name, "."), columns: l.columnsOf(i), elements: f.Elements}
		v.json = jsonOf(l.res.Table, f, v.columns[0].typ)
		if l.mask.Hashes(i) {
			v.elements, v.json = nil, jsonOf(l.res.Table, &source.Field{Kind: source.KindString}, v.columns[0].typ)
		}
		r.values = append(r.values, v)
	}
	for _, c := range l.custom {
		v := storedValue{path: []string{"cf", c.APIName}, columns: []column{c.column()}, json: customJSON(c.typ)}
		if c.kept() {
			v.former, v.columns = &c, []column{{name: c.name, typ: typeString}}
			v.json = func(cells []*string, _ [][]string) string { return cellOrNothing(cells[0]) }
		}
		r.values = append(r.values, v)
	}
	return r
}

// exprs are _extra, the texts of all scalar columns as one array, and the arrays
// as another.
func (r *storedRow) exprs() []string {
	if r.layout.document {
		return []string{"_extra", "[toNullable(toString(doc))]", "CAST([], 'Array(Array(String))')"}
	}
	var scalars, arrays []string
	for _, v := range r.values {
		for _, c := range v.columns {
			switch {
			case v.former != nil:
				scalars = append(scalars, "CAST("+v.former.asJSON()+" AS Nullable(String))")
			case isArray(c.typ):
				arrays = append(arrays, "arrayMap(x -> toString(x), "+ident(c.name)+")")
			case c.typ == typeTime:
				scalars = append(scalars, "CAST(toUnixTimestamp64Milli("+ident(c.name)+") AS Nullable(String))")
			default:
				scalars = append(scalars, "CAST("+ident(c.name)+" AS Nullable(String))")
			}
		}
	}
	return []string{"_extra", "CAST([" + strings.Join(scalars, ", ") + "], 'Array(Nullable(String))')", "CAST([" + strings.Join(arrays, ", ") + "], 'Array(Array(String))')"}
}

func (r *storedRow) dest() []any { return []any{&r.extra, &r.scalars, &r.arrays} }

// gone reports whether a custom field has columns, none of them in use.
func (r *storedRow) gone(api string) bool {
	return !r.layout.inUseNow(api) && slices.ContainsFunc(r.layout.custom, func(c customColumn) bool { return c.APIName == api })
}

// record is the record of the row that was scanned last; kept has what is none of
// a field there is now. Of a key that stands
// twice the parser takes the last one for a field and the first one for a custom
// field, so what _extra holds of fields goes before and of custom fields behind.
func (r *storedRow) record(key source.Key) (*source.Record, error) {
	extra, err := membersOf(r.extra)
	if err != nil {
		return nil, err
	}
	var o objectText
	module, name := splitName(key)
	if byName(r.layout.res.Table) {
		o.member(nil, "apiName", quotedJSON(name))
	} else {
		o.member(nil, "id", quotedJSON(key.String()))
	}
	r.kept = keptValues{byColumn: map[string]string{}}
	unknown := r.fieldsOf(extra, &o)
	if r.layout.document {
		o.members(*r.scalars[0])
	} else {
		r.columns(&o, extra)
	}
	for _, m := range extra {
		name, custom := strings.CutPrefix(m.Name, "cf.")
		switch {
		case !custom:
		case !r.gone(name):
			o.member(customParents, name, m.Value)
		default:
			if raw, selected := r.layout.mask.StoredCustom(name, m.Value); selected {
				r.kept.extra = append(r.kept.extra, source.Member{Name: name, Value: raw})
			}
		}
	}
	rec, err := source.ParseRecord(r.layout.res, module, []byte(o.end()))
	if err != nil {
		return nil, err
	}
	rec.Key, rec.Extra = key, append(withoutKeys(rec.Extra, r.layout.res.Table), unknown...)
	return rec, nil
}

// fieldsOf writes the known fields that stand in _extra, the first one last, and
// returns the unknown keys.
func (r *storedRow) fieldsOf(extra []source.Member, o *objectText) (unknown []source.Member) {
	for _, m := range slices.Backward(extra) {
		switch {
		case strings.HasPrefix(m.Name, "cf."):
		case isFormer(m.Name):
			if former, selected := r.layout.formerMember(m); selected {
				r.kept.former = append(r.kept.former, former)
			}
		case r.known(m.Name):
			path := strings.Split(m.Name, ".")
			o.member(path[:len(path)-1], path[len(path)-1], m.Value)
		default:
			unknown = append(unknown, m)
		}
	}
	slices.Reverse(unknown)
	slices.Reverse(r.kept.former)
	return unknown
}

func (r *storedRow) known(name string) bool {
	return slices.ContainsFunc(r.layout.res.Fields, func(f source.Field) bool {
		return f.Register == source.Content && f.Name == name && !isKey(r.layout.res.Table, f)
	})
}

// columns writes what the columns hold. Of an array of objects that they do not
// show exactly _extra has the whole.
func (r *storedRow) columns(o *objectText, extra []source.Member) {
	scalars, arrays := r.scalars, r.arrays
	for _, v := range r.values {
		s, a := 0, 0
		for _, c := range v.columns {
			if isArray(c.typ) {
				a++
			} else {
				s++
			}
		}
		var text string
		switch {
		case len(v.elements) == 0:
			text = v.json(scalars[:s], arrays[:a])
		case !slices.ContainsFunc(extra, func(m source.Member) bool { return m.Name == v.path[0] && showObjects(v.elements, m.Value, arrays[:a]) }):
			text = objectsJSON(v.elements, arrays[:a])
		}
		scalars, arrays = scalars[s:], arrays[a:]
		switch {
		case text == "":
		case v.former != nil:
			r.kept.byColumn[v.columns[0].name] = text
		default:
			o.member(v.path[:len(v.path)-1], v.path[len(v.path)-1], text)
		}
	}
}

// members writes the members of another object.
func (o *objectText) members(object string) {
	o.enter(nil)
	inner := object[1 : len(object)-1]
	if inner == "" {
		return
	}
	if o.buf[len(o.buf)-1] != '{' {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, inner...)
}

// withoutKeys leaves out the key that was written for the parser's sake and
// stands in the document again.
func withoutKeys(extra []source.Member, t source.Table) []source.Member {
	return slices.DeleteFunc(extra, func(m source.Member) bool { return isKey(t, source.Field{Name: m.Name}) })
}
