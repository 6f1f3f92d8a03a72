package source

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// listedField is one entry of testdata/fields.json: every field that Zoho's
// OpenAPI files, help pages and live captures show of the five resources.
type listedField struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	In       []string `json:"in"`
	InSearch bool     `json:"inSearch"`
}

func fieldList(t *testing.T) map[Table][]listedField {
	t.Helper()
	text, err := os.ReadFile("testdata/fields.json")
	if err != nil {
		t.Fatal(err)
	}
	list := map[Table][]listedField{}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != len(Resources) {
		t.Fatalf("the list has %d resources, the catalog %d", len(list), len(Resources))
	}
	return list
}

// noField are entries that deliberately have no field.
var noField = map[string]string{
	"tickets.customFields":       "cf again, keyed by label",
	"products.customFields":      "cf again, keyed by label",
	"contracts.customFields":     "cf again, keyed by label",
	"organization_fields.module": "part of the key, not of the record",
}

// notListed are fields of the catalog that the list names in its notes only.
var notListed = map[string]string{
	"tickets.assignee.emailId": "what search calls assignee.email",
	"tickets.assignee.zuid":    "sent by search besides",
}

// onRequest are entries that GET shows on request only while each search row
// does: they are listed although both can show them.
var onRequest = []string{"contact", "product", "assignee", "department", "team", "isRead"}

// wanted is the fields an entry asks for: path to kinds that hold its type.
func (f listedField) wanted() map[string][]Kind {
	shape, isArray := strings.CutPrefix(f.Type, "array of ")
	if members, ok := membersOf(shape); ok && isArray {
		return map[string][]Kind{f.Name: {KindObjects}}
	} else if ok {
		want := map[string][]Kind{}
		for _, m := range members {
			// The list does not say a member's type.
			want[f.Name+"."+m] = []Kind{KindString, KindEnum, KindID, KindInt, KindBool}
		}
		return want
	}
	return map[string][]Kind{f.Name: kindsOf(f.Type)}
}

func kindsOf(typ string) []Kind {
	switch typ, _, _ := strings.Cut(typ, " (yyyy"); typ {
	case "string(int64 digits)":
		return []Kind{KindID}
	case "string(int32 digits)", "integer":
		return []Kind{KindInt}
	case "boolean":
		return []Kind{KindBool}
	case "string datetime":
		return []Kind{KindTime}
	case "string date":
		return []Kind{KindDate}
	case "string decimal (up to 13 integer digits)":
		return []Kind{KindDecimal}
	case "array of string(int64 digits)":
		return []Kind{KindIDs}
	case "object", "array of object":
		return []Kind{KindJSON}
	case "object(map)":
		return []Kind{KindCustom}
	case "string":
		return []Kind{KindString, KindText, KindEnum}
	}
	return nil
}

// membersOf are the paths of the leaves of "object{a,b{c}[,d]}".
func membersOf(typ string) ([]string, bool) {
	inner, ok := strings.CutPrefix(typ, "object{")
	if !ok {
		return nil, false
	}
	var paths, stack []string
	name := ""
	leaf := func() {
		if name != "" {
			paths = append(paths, strings.Join(append(slices.Clone(stack), name), "."))
		}
		name = ""
	}
	for _, c := range inner {
		switch c {
		case '{':
			stack, name = append(stack, name), ""
		case '}':
			leaf()
			stack = stack[:max(len(stack)-1, 0)]
		case ',', '[', ']':
			leaf()
		default:
			name += string(c)
		}
	}
	return paths, true
}

func fieldNamed(r *Resource, name string) *Field {
	i := slices.IndexFunc(r.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Fields[i]
}

func TestCatalogCoversEveryListedField(t *testing.T) {
	for table, list := range fieldList(t) {
		known := map[string]bool{}
		for _, entry := range list {
			path := string(table) + "." + entry.Name
			if noField[path] != "" {
				if fieldNamed(Lookup(table), entry.Name) != nil {
					t.Errorf("%s is an exception (%s) but has a field", path, noField[path])
				}
				continue
			}
			for name, kinds := range entry.wanted() {
				known[name] = true
				if f := fieldNamed(Lookup(table), name); f == nil {
					t.Errorf("%s.%s of type %q has no field", table, name, entry.Type)
				} else if !slices.Contains(kinds, f.Kind) {
					t.Errorf("%s.%s of type %q has kind %d, want one of %d", table, name, entry.Type, f.Kind, kinds)
				}
			}
		}
		for _, f := range Lookup(table).Fields {
			if path := string(table) + "." + f.Name; known[f.Name] == (notListed[path] != "") {
				t.Errorf("%s: listed %v, an exception because %q", path, known[f.Name], notListed[path])
			}
		}
	}
}

func TestObjectsHaveTheListedMembers(t *testing.T) {
	for table, list := range fieldList(t) {
		for _, entry := range list {
			shape, isArray := strings.CutPrefix(entry.Type, "array of ")
			members, ok := membersOf(shape)
			if !isArray || !ok {
				continue
			}
			var got []string
			for _, e := range fieldNamed(Lookup(table), entry.Name).Elements {
				got = append(got, e.Name)
				if id := strings.HasSuffix(strings.ToLower(e.Name), "id"); id != (e.Kind == KindID) {
					t.Errorf("%s.%s[].%s has kind %d", table, entry.Name, e.Name, e.Kind)
				}
			}
			if !slices.Equal(got, members) {
				t.Errorf("%s.%s has the members %q, want %q", table, entry.Name, got, members)
			}
		}
	}
}

// A field of tickets or products stands in the register whose replies carry it:
// content is what both search and GET show.
func TestFieldsAreInTheRegisterThatCarriesThem(t *testing.T) {
	for table, list := range fieldList(t) {
		if table != Tickets && table != Products {
			continue // nothing else can be searched
		}
		for _, entry := range list {
			get := slices.Contains(entry.In, "get") || slices.Contains(entry.In, "webhook")
			want := Listed
			switch {
			case table == Tickets && slices.Contains(onRequest, entry.Name):
			case get && entry.InSearch:
				want = Content
			case get:
				want = Detail
			}
			for name := range entry.wanted() {
				if f := fieldNamed(Lookup(table), name); f != nil && f.Register != want {
					t.Errorf("%s.%s is in %s, want %s", table, name, f.Register, want)
				}
			}
		}
	}
}

func TestColumnsOfARegisterHaveNamesOfTheirOwn(t *testing.T) {
	for _, r := range Resources {
		taken := map[string]string{}
		for i := range r.Fields {
			f := &r.Fields[i]
			for _, col := range f.Columns() {
				key := f.Register.String() + "." + col
				if taken[key] != "" || col == "" || strings.HasPrefix(col, "_") || strings.HasPrefix(col, "cf_") {
					t.Errorf("%s: column %q of %s is that of %q or no good name", r.Table, col, f.Name, taken[key])
				}
				taken[key] = f.Name
			}
		}
	}
}

func TestColumnNamesOfObjects(t *testing.T) {
	for path, want := range map[string]string{
		"tickets.sharedDepartments":          "shared_department_ids shared_department_names shared_department_types",
		"tickets.skillsInfo":                 "skill_ids skill_names skill_type_ids skill_type_names skill_weightages skill_mapping_types",
		"products.departments":               "department_ids department_names",
		"organization_fields.allowedValues":  "allowed_value_values allowed_value_status_types",
		"organization_fields.pickListValues": "pick_list_value_values",
	} {
		table, name, _ := strings.Cut(path, ".")
		if got := strings.Join(fieldNamed(Lookup(Table(table)), name).Columns(), " "); got != want {
			t.Errorf("%s has the columns %s, want %s", path, got, want)
		}
	}
}

func TestNotesAreShortAndOfFields(t *testing.T) {
	for table, of := range notes {
		for path, note := range of {
			name, member, isMember := strings.Cut(path, "[].")
			f := fieldNamed(Lookup(table), name)
			if f == nil || isMember && !slices.ContainsFunc(f.Elements, func(e Element) bool { return e.Name == member }) {
				t.Errorf("a note on %s.%s, which is no field", table, path)
				continue
			}
			if utf8.RuneCountInString(note) > 110 || strings.ContainsAny(note, "\n`") {
				t.Errorf("%s.%s: %q is not short", table, path, note)
			}
		}
	}
	for _, r := range Resources {
		for _, f := range r.Fields {
			if f.Kind == KindTime && !strings.HasPrefix(f.Note, "UTC") {
				t.Errorf("%s.%s is an instant and its note does not say UTC: %q", r.Table, f.Name, f.Note)
			}
		}
	}
}

func fingerprintOf(t *testing.T, table Table, text string) uint64 {
	t.Helper()
	rec, err := ParseRecord(Lookup(table), "tickets", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rec.Fingerprint
}

func TestFingerprintOfArraysOfObjects(t *testing.T) {
	print := func(shared string) uint64 {
		return fingerprintOf(t, Tickets, fmt.Sprintf(`{"id":"1","sharedDepartments":%s}`, shared))
	}
	base := print(`[{"id":"9","name":"a","type":"READ_ONLY"},{"id":"8","name":"b","type":"READ_WRITE"}]`)
	for name, same := range map[string]string{
		"other names":         `[{"id":"9","name":"z","type":"READ_ONLY"},{"id":"8","type":"READ_WRITE"}]`,
		"other order of keys": `[{"type":"READ_ONLY","id":9},{"name":null,"type":"READ_WRITE","id":"8"}]`,
		"a key more":          `[{"id":"9","type":"READ_ONLY","x":1},{"id":"8","type":"READ_WRITE"}]`,
	} {
		if print(same) != base {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	seen := map[uint64]string{base: "the base"}
	for _, other := range []string{
		`[{"id":"8","type":"READ_WRITE"},{"id":"9","type":"READ_ONLY"}]`, `[{"id":"9","type":"READ_ONLY"}]`, `[{"id":"9"}]`,
		`[{"type":"READ_ONLY"}]`, `[{"id":"9","type":""}]`, `[{}]`, `[{},{}]`, `[null]`, `["x"]`, `["y"]`, `"x"`, `null`, `[{"id":"nine"}]`,
	} {
		if got := print(other); seen[got] != "" {
			t.Errorf("%s has the fingerprint of %s", other, seen[got])
		} else {
			seen[got] = other
		}
	}
	if print(`[]`) != print(`null`) || print(`[]`) != fingerprintOf(t, Tickets, `{"id":"1"}`) {
		t.Error("an empty array is not as null")
	}
}

// Names of other records count where nothing else tells that a row must be
// written again.
func TestSideHashCountsNamesInsideArrays(t *testing.T) {
	side := func(name string) uint64 {
		rec, err := ParseRecord(Lookup(Products), "", []byte(`{"id":"1","departments":[{"id":"9","name":"`+name+`"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return rec.SideHash(Detail)
	}
	if side("a") == side("b") {
		t.Error("a department's name changed and the row would not be written")
	}
}

func FuzzParseObjects(f *testing.F) {
	for _, seed := range []string{`[]`, `[{"id":"1"}]`, `[{"id":1,"id":2},null,{}]`, `[{"\u0069d":"1","x":[{"id":3}]}]`, `{"id":1}`, `[{"id":`, "[{\"\xff\":1}]", `[[{"id":1}]]`} {
		f.Add(seed)
	}
	elements := []Element{{Name: "id", Kind: KindID}, {Name: "name", Kind: KindString}}
	f.Fuzz(func(t *testing.T, raw string) {
		n := 0
		whole, ok := ParseObjects(raw, elements, func(values []string, odd string) {
			n++
			for _, v := range append(slices.Clone(values), odd) {
				if v != "" && !strings.Contains(raw, v) {
					t.Errorf("%q is not in %q", v, raw)
				}
			}
		})
		if whole && !ok {
			t.Errorf("%q: whole and no array", raw)
		}
		var want []json.RawMessage
		if json.Unmarshal([]byte(raw), &want) == nil && raw != "null" && raw[0] == '[' && (!ok || n != len(want)) {
			t.Errorf("%q: %d elements, ok %v, want %d", raw, n, ok, len(want))
		}
	})
}
