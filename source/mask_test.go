package source

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var maskKey = []byte("sixteen bytes or more")

func mask(t testing.TB, table Table, s Selection) *Mask {
	t.Helper()
	m, err := NewMask(Lookup(table), s, maskKey)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func parsed(t testing.TB, table Table, text string) *Record {
	t.Helper()
	r, err := ParseRecord(Lookup(table), "", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func field(t testing.TB, res *Resource, name string) int {
	t.Helper()
	i := slices.IndexFunc(res.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no field %s", name)
	}
	return i
}

func TestMaskTakesOffWhatIsExcluded(t *testing.T) {
	m := mask(t, Tickets, Selection{Exclude: []string{"description", "contact_*", "cf_note", "phone"}})
	r := parsed(t, Tickets, `{"id":"1","subject":"s","description":"d","phone":null,"contact":{"id":"9","email":"e","nick":"n"},
		"contactId":"9","cf":{"cf_note":"x","cf_a":"y"},"odd":1}`)
	c := m.Record(r)
	for name, want := range map[string]string{"subject": `"s"`, "description": "null", "phone": "null", "contact.email": "null", "contact.id": "null",
		"contactId": "null", "cf": `{"cf_a":"y"}`, "status": "", "id": `"1"`} {
		if got := c.Value(field(t, c.Resource, name)); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	if c.Present != r.Present {
		t.Error("a key that was there counts as missing")
	}
	if !slices.Equal(c.Custom, []Member{{"cf_a", `"y"`}}) || !slices.Equal(c.Extra, []Member{{"odd", "1"}}) {
		t.Errorf("custom %v, extra %v", c.Custom, c.Extra)
	}
	if r.Value(field(t, r.Resource, "description")) != `"d"` || len(r.Custom) != 2 {
		t.Error("the record itself was changed")
	}
	other := m.Record(parsed(t, Tickets, `{"id":"1","subject":"s","description":"another","cf":{"cf_a":"y"}}`))
	if c.Fingerprint != other.Fingerprint || c.Fingerprint == r.Fingerprint {
		t.Error("the fingerprint covers what is left out")
	}
}

func TestMaskHashes(t *testing.T) {
	m := mask(t, Tickets, Selection{Hash: []string{"email", "contact.email", "assignee_id", "entity_skills", "shared_department_ids", "cf_*"}, Exclude: []string{"cf_x*"}})
	c := m.Record(parsed(t, Tickets, `{"id":"1","email":" Ann@Example.org ","assigneeId":7,"assignee":{"id":"7"},"entitySkills":["7","8"],
		"contact":{"email":"ann@example.ORG"},"cf":{"cf_a":"ann@example.org","cf_b":null,"cf_c":"","cf_d":7,"cf_e":[ ],"cf_x1":"gone"},"sharedDepartments":[]}`))
	value := func(name string) string { return c.Value(field(t, c.Resource, name)) }
	mail, seven := value("email"), value("assigneeId")
	if len(mail) != 34 || mail != value("contact.email") || strings.Contains(mail, "ann") {
		t.Errorf("addresses %s, %s", mail, value("contact.email"))
	}
	if got := value("entitySkills"); !strings.HasPrefix(got, "["+seven+",") {
		t.Errorf("entitySkills %s, assigneeId %s", got, seven)
	}
	want := []Member{{"cf_a", mail}, {"cf_b", "null"}, {"cf_c", `""`}, {"cf_d", seven}, {"cf_e", "[]"}}
	if !slices.Equal(c.Custom, want) {
		t.Errorf("custom %v, want %v", c.Custom, want)
	}
	if i := field(t, c.Resource, "sharedDepartments"); c.Value(i) != "[]" || c.Filled().Has(i) {
		t.Errorf("an empty array became %s", c.Value(i))
	}
	if m.KeyID() == "" || len(m.KeyID()) != 8 {
		t.Errorf("key id %q", m.KeyID())
	}
	another, err := NewMask(Lookup(Tickets), Selection{Hash: []string{"email"}}, []byte("another key of some length"))
	if err != nil || another.KeyID() == m.KeyID() {
		t.Errorf("two keys with one id: %v", err)
	}
	if d := another.Record(parsed(t, Tickets, `{"id":"1","email":"ann@example.org"}`)); d.Value(field(t, d.Resource, "email")) == mail {
		t.Error("the hash does not depend on the key")
	}
}

// What stands where the catalog expects something else may hold the same value.
func TestMaskedValuesDoNotHideElsewhere(t *testing.T) {
	m := mask(t, Tickets, Selection{Exclude: []string{"contact_email", "*secret*"}, Hash: []string{"assignee_email"}})
	c := m.Record(parsed(t, Tickets, `{"id":"1","contact":"M1","assignee":["M2"],"topSecret":"M3","my":{"x":1},"product":{"secretName":"M4"},"cf":["M5"]}`))
	text := fmt.Sprint(c.Extra, c.Custom, c.Value(c.Resource.custom))
	if strings.Contains(text, "M") {
		t.Errorf("shown: %s", text)
	}
	if len(c.Extra) != 2 { // "my", and the hash of what assignee is
		t.Errorf("extra %v", c.Extra)
	}
}

func TestDepartments(t *testing.T) {
	for _, c := range []struct {
		table Table
		s     Selection
		text  string
		out   bool
	}{
		{Tickets, Selection{Only: []uint64{1}}, `{"id":"9","departmentId":"1"}`, false},
		{Tickets, Selection{Only: []uint64{1}}, `{"id":"9","departmentId":1}`, false},
		{Tickets, Selection{Only: []uint64{1}}, `{"id":"9","departmentId":"2"}`, true},
		{Tickets, Selection{Only: []uint64{1}}, `{"id":"9","departmentId":null}`, true},
		{Tickets, Selection{Except: []uint64{1}}, `{"id":"9","departmentId":null}`, false},
		{Tickets, Selection{Except: []uint64{1}}, `{"id":"9","departmentId":"1"}`, true},
		{Tickets, Selection{Except: []uint64{1}}, `{"id":"9","departmentId":"2"}`, false},
		{Tickets, Selection{Except: []uint64{1}}, `{"id":"9","departmentId":{"odd":1}}`, true},
		{Tickets, Selection{Except: []uint64{1}}, `{"id":"9"}`, true},
		{Products, Selection{Only: []uint64{1}}, `{"id":"9","departmentIds":["2","1"]}`, false},
		{Products, Selection{Only: []uint64{1}}, `{"id":"9","departmentIds":["2"]}`, true},
		{Products, Selection{Only: []uint64{1}}, `{"id":"9","departmentIds":[]}`, true},
		{Products, Selection{Except: []uint64{1}}, `{"id":"9","departmentIds":["1","2"]}`, false},
		{Products, Selection{Except: []uint64{1}}, `{"id":"9","departmentIds":["1"]}`, true},
	} {
		r := mask(t, c.table, c.s).Record(parsed(t, c.table, c.text))
		if r.LeftOut != c.out {
			t.Errorf("%s with %+v: left out %v", c.text, c.s, r.LeftOut)
		}
	}
	m := mask(t, Tickets, Selection{Only: []uint64{1}})
	whole := parsed(t, Tickets, `{"id":"9","departmentId":"2","subject":"s","modifiedTime":"2026-01-02T03:04:05.000Z","cf":{"cf_a":"b"},"odd":1,"lastThread":{"channel":"EMAIL"}}`)
	r := m.Record(whole)
	for i := range r.Resource.Fields {
		if v := r.Value(i); v != "" && v != null && r.Resource.Fields[i].Name != "id" {
			t.Errorf("%s = %s", r.Resource.Fields[i].Name, v)
		}
	}
	if r.Modified != whole.Modified || r.Fingerprint != whole.Fingerprint || r.Present != whole.Present || r.SideHash(Listed) != 0 || r.Custom != nil || r.Extra != nil {
		t.Errorf("%+v", r)
	}
}

func TestSelectionsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		table Table
		s     Selection
		want  string
	}{
		{Tickets, Selection{Exclude: []string{"descripton"}}, "exclude of tickets: descripton is no column of tickets"},
		{Tickets, Selection{Exclude: []string{"zz_*"}}, "exclude of tickets: zz_* is no column of tickets"},
		{Tickets, Selection{Hash: []string{"departmentId"}}, "hash of tickets: departmentId tells which department a record belongs to"},
		{Tickets, Selection{Exclude: []string{"id"}}, "exclude of tickets: id is the key of the table"},
		{Tickets, Selection{Exclude: []string{"modified_time"}}, "exclude of tickets: modified_time tells which version of a record is the newest"},
		{Departments, Selection{Hash: []string{"name"}}, "hash of departments: name is the name that the views show for an id"},
		{Departments, Selection{Only: []uint64{1}}, "departments of departments:  cannot be selected: its records belong to none"},
		{Departments, Selection{Exclude: []string{"cf_a"}}, "exclude of departments: cf_a is no column of departments"},
		{Tickets, Selection{Exclude: []string{"email"}, Hash: []string{"Email"}}, "hash of tickets: email is left out by exclude already"},
		{Tickets, Selection{Exclude: []string{"cf_new", "*"}}, ""},
		{OrganizationFields, Selection{Exclude: []string{"api_name"}}, "exclude of organization_fields: api_name is the key of the table"},
	} {
		_, err := NewMask(Lookup(c.table), c.s, maskKey)
		if c.want == "" && err == nil {
			continue
		}
		var told *SelectionError
		if !errors.As(err, &told) || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.s, err, c.want)
		}
	}
	m := mask(t, Tickets, Selection{Exclude: []string{"*"}})
	for i, f := range m.res.Fields {
		if m.Excludes(i) != (m.res.needed(&f) == "" && f.Kind != KindCustom) {
			t.Errorf("%s: excluded %v", f.Name, m.Excludes(i))
		}
	}
}

func TestMaskOfNothing(t *testing.T) {
	m, err := NewMask(Lookup(Tickets), Selection{}, nil)
	if m != nil || err != nil {
		t.Fatal(m, err)
	}
	r := parsed(t, Tickets, `{"id":"1"}`)
	if m.Record(r) != r || m.Text("x") != "x" || m.Excludes(0) || m.HashesCustom("a") || !m.Selects(1) || m.KeyID() != "" {
		t.Error("a nil mask does something")
	}
}

func TestEarlierStatesAreMasked(t *testing.T) {
	m := mask(t, Tickets, Selection{Exclude: []string{"description", "cf_b", "contact_email"}, Hash: []string{"email"}, Only: []uint64{1}})
	for in, want := range map[string]string{
		`{"id":"1","description":"d","subject":"s","cf":{"cf_a":"1","cf_b":"2"},"customFields":{"B":"2"},"contact":{"id":"5","email":"e"}}`: `{"id":"1","subject":"s","cf":{"cf_a":"1"},"contact":{"id":"5"}}`,
		`{"email":null,"contact":"e@x"}`:         `{"email":null}`,
		`{"contact":null,"cf":null}`:             `{"contact":null}`,
		`{"departmentId":"2","subject":"other"}`: "",
		`{"departmentId":"1","subject":"own"}`:   `{"departmentId":"1","subject":"own"}`,
		`{"subject":"cut`:                        "",
		`[]`:                                     "",
		`null`:                                   "",
		"":                                       "",
	} {
		if got := m.Text(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestStoredCustomValuesAreMasked(t *testing.T) {
	m := mask(t, Tickets, Selection{Exclude: []string{"cf_b"}, Hash: []string{"cf_c"}})
	if raw, ok := m.StoredCustom("cf_a", `"x"`); !ok || raw != `"x"` {
		t.Errorf("kept as %s, %v", raw, ok)
	}
	if raw, ok := m.StoredCustom("cf_b", `"x"`); ok {
		t.Errorf("left out, yet %s", raw)
	}
	hash, ok := m.StoredCustom("cf_c", `"x"`)
	if again, _ := m.StoredCustom("cf_c", hash); !ok || !isHashed(hash) || again != hash {
		t.Errorf("hashed as %s, then %s", hash, again)
	}
}

// TestNothingOfAMaskedValueIsLeft: whatever the document looks like, the text
// of a value that is left out or hashed is in nothing that a record shows.
func TestNothingOfAMaskedValueIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		res := rapid.SampledFrom(Resources).Draw(t, "resource")
		var s Selection
		secret := map[int]bool{}
		for i := range res.Fields {
			if f := &res.Fields[i]; f.Kind != KindCustom && res.needed(f) == "" && rapid.IntRange(0, 4).Draw(t, f.Name) == 0 {
				secret[i] = true
				name := f.Name
				if rapid.Bool().Draw(t, "column") && alone(res, f.Column) {
					name = f.Column
				}
				if rapid.Bool().Draw(t, "hash") {
					s.Hash = append(s.Hash, name)
				} else {
					s.Exclude = append(s.Exclude, name)
				}
			}
		}
		if res.HasCustom() {
			s.Exclude = append(s.Exclude, "cf_secret*")
		}
		m, err := NewMask(res, s, maskKey)
		if err != nil {
			t.Fatal(err)
		}
		text := document(t, res, secret)
		rec, err := ParseRecord(res, "M", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		c := m.Record(rec)
		var shown strings.Builder
		for i := range res.Fields {
			shown.WriteString(c.Value(i) + "\n")
			plain, _ := ParseString(c.Value(i))
			shown.WriteString(plain + "\n" + c.Text(res.Fields[i].Name))
		}
		fmt.Fprint(&shown, c.Custom, c.Extra, m.Text(text))
		if strings.Contains(shown.String(), "MARK") {
			t.Fatalf("selection %+v of %s shows\n%s", s, text, shown.String())
		}
		if m != nil && (c.Present != rec.Present || c.Key != rec.Key || c.Modified != rec.Modified || c.Deleted != rec.Deleted) {
			t.Fatal("the mask changed what the record is")
		}
	})
}

// alone reports whether a column's name stands for one field: department_id is
// both departmentId and department.id.
func alone(res *Resource, column string) bool {
	n := 0
	for _, f := range res.Fields {
		if f.Column == column {
			n++
		}
	}
	return n == 1
}

// document is an object of the resource with MARK inside the secret values and
// nowhere else, and with any of its members of another kind than usual.
func document(t *rapid.T, res *Resource, secret map[int]bool) string {
	value := func(mark string) string {
		return rapid.SampledFrom([]string{`"` + mark + `"`, `"A \u0041` + mark + `"`, `["` + mark + `"]`, `{"` + mark + `":"` + mark + `"}`, "null", `""`, `["7",{"x":"` + mark + `"}]`}).Draw(t, "value")
	}
	groups := map[string][]string{}
	var members []string
	marked := map[string]bool{}
	for i, f := range res.Fields {
		if f.Name == "id" || f.Name == "apiName" || f.Kind == KindCustom || rapid.IntRange(0, 3).Draw(t, "absent") == 0 {
			continue
		}
		mark := "v"
		if secret[i] {
			mark = "MARK"
		}
		if group, leaf, nested := strings.Cut(f.Name, "."); nested && !strings.Contains(leaf, ".") {
			groups[group] = append(groups[group], fmt.Sprintf("%q:%s", leaf, value(mark)))
			marked[group] = marked[group] || secret[i]
		} else if !nested {
			members = append(members, fmt.Sprintf("%q:%s", f.Name, value(mark)))
		}
	}
	for _, f := range res.Fields {
		group, _, nested := strings.Cut(f.Name, ".")
		if !nested || groups[group] == nil {
			continue
		}
		if marked[group] && rapid.IntRange(0, 4).Draw(t, "misfit") == 0 {
			members = append(members, fmt.Sprintf(`%q:%s`, group, `"MARK"`))
		} else {
			members = append(members, fmt.Sprintf("%q:{%s}", group, strings.Join(groups[group], ",")))
		}
		delete(groups, group)
	}
	if res.HasCustom() {
		members = append(members, `"cf":`+rapid.SampledFrom([]string{`{"cf_a":"x","cf_secret_1":"MARK"}`, `{"CF Secret":"MARK"}`, `"MARK"`, "null"}).Draw(t, "cf"), `"customFields":{"Secret":"MARK"}`)
	}
	members = append(members, `"id":"77"`, `"apiName":"a"`, `"another":{"key":"x"}`)
	return "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), ",") + "}"
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{{"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "abc", true}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "axxcyyb", false}, {"*", "", true}, {"a", "b", false},
		{"ab*ba", "aba", false}, {"*b*", "abc", true}, {"", "", true}, {"a**b", "ab", true}} {
		if got := globs(c.pattern, c.name); got != c.want {
			t.Errorf("%s on %s: %v", c.pattern, c.name, got)
		}
	}
}

func TestEditionFollowsTheColumnsNotTheDepartments(t *testing.T) {
	all := Lookup(Tickets).Edition()
	edition := func(s Selection) uint32 { return mask(t, Tickets, s).Edition() }
	if edition(Selection{Only: []uint64{1}}) != all {
		t.Error("departments change the edition")
	}
	seen := map[uint32]bool{all: true}
	for _, s := range []Selection{{Exclude: []string{"email"}}, {Hash: []string{"email"}}, {Exclude: []string{"cf_a"}}, {Exclude: []string{"email", "cf_a"}}} {
		if e := edition(s); seen[e] {
			t.Errorf("%+v has the edition of another selection", s)
		} else {
			seen[e] = true
		}
	}
}

// A stored record of no department has no value to tell so.
func TestStoredWithoutADepartment(t *testing.T) {
	r := parsed(t, Products, `{"id":"1","productName":"p"}`)
	for _, s := range []struct {
		of                Selection
		read, storedLeave bool
	}{{Selection{Except: []uint64{1}}, true, false}, {Selection{Only: []uint64{1}}, true, true}} {
		m := mask(t, Products, s.of)
		if read, stored := m.Record(r).LeftOut, m.Stored(r).LeftOut; read != s.read || stored != s.storedLeave {
			t.Errorf("%+v: left out %v, stored %v", s.of, read, stored)
		}
	}
}
