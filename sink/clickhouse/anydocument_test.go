package clickhouse

import (
	"fmt"
	"strings"
	"testing"

	"deskhouse/source"

	"pgregory.net/rapid"
)

// anyDocument draws JSON documents of a resource: fields present, null, of the
// wrong type or twice, nested objects in parts, unknown keys, broken characters.
type anyDocument struct {
	t   *rapid.T
	res *source.Resource
}

// one is a document with a usable key.
func (d anyDocument) one(id int) string {
	members := d.object("")
	key := fmt.Sprintf(`"id":"%d"`, id)
	if byName(d.res.Table) {
		key = fmt.Sprintf(`"apiName":"f%d"`, id)
	}
	// Of a key that stands twice the last one counts.
	members = append(rapid.Permutation(members).Draw(d.t, "order"), key)
	if rapid.IntRange(0, 9).Draw(d.t, "key twice") == 0 {
		members = append([]string{strings.Replace(key, `:"`, `:"9`, 1)}, members...)
	}
	return "{" + strings.Join(members, rapid.SampledFrom([]string{",", " ,\n\t"}).Draw(d.t, "space")) + "}"
}

// object draws the members below a path of the catalog.
func (d anyDocument) object(prefix string) []string {
	var members []string
	seen := map[string]bool{}
	for _, f := range d.res.Fields {
		rest, below := strings.CutPrefix(f.Name, prefix)
		if !below || prefix == "" && isKey(d.res.Table, f) {
			continue
		}
		name, more, nested := strings.Cut(rest, ".")
		if nested && more != "" && seen[name] {
			continue
		}
		seen[name] = true
		for range rapid.SampledFrom([]int{0, 0, 1, 1, 1, 1, 1, 1, 1, 2}).Draw(d.t, "times") {
			members = append(members, quoted(name)+":"+d.value(f, prefix+name, nested))
		}
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(d.t, "unknown") {
		name := rapid.SampledFrom([]string{`"zz"`, `"zz"`, `"contact.zz"`, `""`, `"z.z"`, `"ZZ😀"`, "\"z\xff\"", `"z\ud800"`, `"\u007az"`, `"customFields"`, `"IsDel"`, `"isDel"`, `"subject"`, `"id"`}).Draw(d.t, "unknown key")
		if prefix == "" && name == `"id"` {
			continue
		}
		members = append(members, name+":"+anyJSONText(d.t, 3))
	}
	return members
}

func (d anyDocument) value(f source.Field, path string, nested bool) string {
	odd := rapid.IntRange(0, 11).Draw(d.t, "odd")
	switch {
	case odd == 0:
		return "null"
	case odd == 1:
		return anyJSONText(d.t, 3)
	case nested:
		return "{" + strings.Join(d.object(path+"."), ",") + "}"
	case f.Kind == source.KindCustom:
		return d.customFields()
	}
	return valuesOf(f.Kind).Draw(d.t, f.Name).raw
}

// anyCustom are custom fields of every type; the last two have no column.
var anyCustom = []source.CustomField{{APIName: "cf_number", Type: "Number"}, {APIName: "cf_money", Type: "Currency"}, {APIName: "cf_flag", Type: "Boolean"}, {APIName: "cf_day", Type: "Date"},
	{APIName: "cf_at", Type: "DateTime"}, {APIName: "cf_pick", Type: "Picklist"}, {APIName: "cf_many", Type: "Multiselect"}, {APIName: "cf_text", Type: "Text"}, {APIName: "cf_percent", Type: "Percent"}}

func (d anyDocument) customFields() string {
	kinds := map[string]source.Kind{"Number": source.KindInt, "Currency": source.KindDecimal, "Percent": source.KindDecimal, "Boolean": source.KindBool, "Date": source.KindDate,
		"DateTime": source.KindTime, "Picklist": source.KindEnum}
	var members []string
	for _, c := range append(anyCustom, source.CustomField{APIName: "cf_none"}, source.CustomField{APIName: "cf.dot"}, source.CustomField{}) {
		for range rapid.SampledFrom([]int{0, 0, 1, 1, 1, 1, 1, 2}).Draw(d.t, "times "+c.APIName) {
			raw := rapid.SampledFrom([]string{`null`, `""`, `"a;b;;c"`, `["a;b","",5]`, `12.50`, `true`}).Draw(d.t, "custom")
			switch rapid.IntRange(0, 3).Draw(d.t, "odd custom") {
			case 0:
				raw = anyJSONText(d.t, 2)
			case 1, 2:
				if k, typed := kinds[c.Type]; typed {
					raw = valuesOf(k).Draw(d.t, c.APIName).raw
				}
			}
			members = append(members, quoted(c.APIName)+":"+raw)
		}
	}
	return "{" + strings.Join(rapid.Permutation(members).Draw(d.t, "cf order"), ",") + "}"
}

// anyJSONText draws any JSON value, nested to a depth.
func anyJSONText(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 9).Draw(t, "json")
	if depth == 0 {
		kind %= 7
	}
	switch kind {
	case 0:
		return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "literal")
	case 1, 2:
		return anyString.Draw(t, "text")
	case 3:
		return rapid.SampledFrom([]string{`""`, `"\u0000\u001f\/\b"`, `"\ud83d\ude00"`, `"\ud800"`, "\"\xff\"", "\"a\\n\xc3\"", `"2024-01-01"`, `"2024-01-01T10:00:00.123Z"`, `"1e5"`, `"00012"`, "\"\xc0\x80\""}).Draw(t, "hard text")
	case 4:
		return rapid.SampledFrom([]string{`0`, `-0`, `-0.0`, `1.0`, `12.50`, `1e3`, `1E-2`, `9007199254740993`, `9223372036854775807`, `-9223372036854775808`, `9223372036854775808`, `18446744073709551615`,
			`18446744073709551616`, `1e400`, `-1e-400`, `5e-324`, `1.7976931348623157e308`, `0.1`, `0.30000000000000004`, `0.1234567890123456789`, `123456789012345678.0`, `1e22`, `1e23`, `100000000000000000000000`}).Draw(t, "number")
	case 5, 6:
		return fmt.Sprint(rapid.Int64().Draw(t, "integer"))
	case 7:
		return anyArray(t, depth)
	case 8:
		return strings.Repeat("[", 50) + anyJSONText(t, 0) + strings.Repeat("]", 50)
	}
	var members []string
	for range rapid.IntRange(0, 4).Draw(t, "members") {
		name := rapid.SampledFrom([]string{`"a"`, `"b"`, `"c"`, `"id"`, `"value"`, `"a"`, `"d.e"`, `""`, `"%2E"`, `"ü^[]"`, "\"\xff\""}).Draw(t, "name")
		members = append(members, name+":"+anyJSONText(t, depth-1))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// anyArray draws arrays of one kind of element as well as mixed ones.
func anyArray(t *rapid.T, depth int) string {
	n := rapid.IntRange(0, 4).Draw(t, "elements")
	same := rapid.SampledFrom([]string{"", `"x"`, `1`, `1.5`, `true`, `{"a":1}`, `[1]`, `[{"a":"x"}]`, `[]`, `{}`, `{"a":null}`, `["x",null]`}).Draw(t, "same")
	items := make([]string, n)
	for i := range items {
		switch {
		case same == "":
			items[i] = anyJSONText(t, depth-1)
		case rapid.IntRange(0, 9).Draw(t, "null element") == 0:
			items[i] = "null"
		default:
			items[i] = same
		}
	}
	return "[ " + strings.Join(items, " , ") + "]"
}

const documentsInACase = 25

// Any JSON document of any resource, written in both layouts and read back
// through the views, is what the rules say: every value stands in its column, in
// the document or, as sent, in _extra.
func TestAnyDocumentIsReadBackByTheRules(t *testing.T) {
	columns, documents := prepared(t), prepared(t, asDocument)
	for _, table := range allTables {
		for _, w := range []*Warehouse{columns, documents} {
			_, err := w.EnsureCustomFields(ctx, table, anyCustom)
			must(t, err)
		}
	}
	id := 0
	rapid.Check(t, func(rt *rapid.T) {
		table := rapid.SampledFrom(allTables).Draw(rt, "table")
		texts := map[int]string{}
		var rows []source.Row
		var sides []source.SideRow
		for range rapid.IntRange(1, documentsInACase).Draw(rt, "documents") {
			id++
			texts[id] = anyDocument{rt, source.Lookup(table)}.one(id)
			rec := record(t, table, texts[id])
			rows = append(rows, content(rec, 1))
			sides = append(sides, source.SideRow{Key: rec.Key, Stamp: source.Stamp{AsOf: 1, Rank: source.EvidenceGet}, Record: rec})
		}
		for _, w := range []*Warehouse{columns, documents} {
			must(t, w.Write(ctx, table, rows, 1))
			for _, reg := range []source.Register{source.Listed, source.Detail} {
				if source.Lookup(table).Has(reg) {
					must(t, w.WriteSide(ctx, table, reg, sides, 1))
				}
			}
			checkDocuments(t, rt, w, table, texts, w == documents)
		}
	})
}
