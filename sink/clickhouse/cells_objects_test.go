package clickhouse

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"deskhouse/source"

	"pgregory.net/rapid"
)

var skillElements = []source.Element{{Name: "id", Kind: source.KindID}, {Name: "name", Kind: source.KindString}, {Name: "weight", Kind: source.KindInt}}

// drawn is one element of an array, what its cells must show, and whether they
// show it exactly.
type drawn struct {
	raw    string
	id     uint64
	name   string
	weight int64
	exact  bool
}

// memberOf draws a member's text: absent, null, a value, an empty one or one
// that does not fit.
func memberOf[T any](t *rapid.T, name string, fits *rapid.Generator[T], write func(T) string, misfits ...string) (raw string, v T, exact bool) {
	switch rapid.IntRange(0, 4).Draw(t, "kind of "+name) {
	case 0:
		return "", v, true
	case 1:
		return fmt.Sprintf("%q:null", name), v, true
	case 2:
		return fmt.Sprintf("%q:%s", name, rapid.SampledFrom(misfits).Draw(t, "misfit")), v, false
	}
	v = fits.Draw(t, name)
	return fmt.Sprintf("%q:%s", name, write(v)), v, true
}

func drawElement(t *rapid.T) drawn {
	if odd := rapid.SampledFrom([]string{"", "", "", "null", "5", `"x"`, "[]"}).Draw(t, "odd"); odd != "" {
		return drawn{raw: odd}
	}
	var d drawn
	id, idv, ok1 := memberOf(t, "id", rapid.Uint64Min(1), func(n uint64) string { return fmt.Sprintf("%q", fmt.Sprint(n)) }, `"x"`, "0", `"0"`, "-1", "{}")
	name, namev, ok2 := memberOf(t, "name", rapid.StringN(1, 9, -1), quoted, `""`, "7", "[1]")
	weight, weightv, ok3 := memberOf(t, "weight", rapid.Int64Min(1), func(n int64) string { return fmt.Sprint(n) }, "0", `"1.5"`, "true")
	d.id, d.name, d.weight, d.exact = idv, namev, weightv, ok1 && ok2 && ok3
	members := []string{id, name, weight}
	if rapid.IntRange(0, 3).Draw(t, "another key") == 0 {
		members, d.exact = append(members, `"i\u0064s":{"a":[]}`), false
	}
	members = slices.DeleteFunc(members, func(m string) bool { return m == "" })
	d.raw = "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), " , ") + "}"
	return d
}

// The arrays stay parallel whatever an array of objects holds, they show every
// member that fits, and what they do not show exactly is reported.
func TestObjectsBecomeParallelArrays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		elements := rapid.SliceOfN(rapid.Custom(drawElement), 0, 4).Draw(rt, "elements")
		var raws, names []string
		var ids []uint64
		var weights []int64
		exact := true
		for _, d := range elements {
			raws, ids, names, weights = append(raws, d.raw), append(ids, d.id), append(names, d.name), append(weights, d.weight)
			exact = exact && d.exact
		}
		raw := "[" + strings.Join(raws, ",") + "]"
		c := newObjectCells(skillElements)
		c.add(`[{"id":1,"name":"before"}]`)
		if got := c.add(raw); got != exact {
			rt.Errorf("%s: exact %v, want %v", raw, got, exact)
		}
		if got := c.members[0].(*memberArray[uint64]).cells[1]; !slices.Equal(got, ids) {
			rt.Errorf("%s: ids %v, want %v", raw, got, ids)
		}
		if got := c.members[1].(*memberArray[string]).cells[1]; !slices.Equal(got, names) {
			rt.Errorf("%s: names %q, want %q", raw, got, names)
		}
		if got := c.members[2].(*memberArray[int64]).cells[1]; !slices.Equal(got, weights) {
			rt.Errorf("%s: weights %v, want %v", raw, got, weights)
		}
	})
}

func TestNoArrayLeavesTheColumnsEmpty(t *testing.T) {
	for raw, fits := range map[string]bool{"": true, "null": true, "[]": true, `"x"`: false, "5": false, `{"id":1}`: false} {
		c := newObjectCells(skillElements)
		if got := c.add(raw); got != fits {
			t.Errorf("%q: fits %v, want %v", raw, got, fits)
		}
		for _, m := range c.members {
			if row := fmt.Sprint(m.(interface{ last() any }).last()); row != "[]" {
				t.Errorf("%q: column holds %s", raw, row)
			}
		}
	}
}

func (m *memberArray[T]) last() any { return m.cells[len(m.cells)-1] }

// What the arrays do not show stands in _extra whole, and is counted.
func TestObjectsThatDoNotFitAreKeptWhole(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		odd := `[{"id":"9","name":"x","type":"READ_ONLY","until":"2030"},{"id":"nine","name":""}, null]`
		must(t, w.Write(ctx, source.Tickets, []source.Row{
			content(record(t, source.Tickets, `{"id":"1","sharedDepartments":`+odd+`}`), 1),
			content(record(t, source.Tickets, `{"id":"2","sharedDepartments":[{"id":"9","type":"READ_ONLY"}]}`), 1),
			content(record(t, source.Tickets, `{"id":"3","sharedDepartments":null}`), 1),
		}, 1))
		must(t, w.Write(ctx, source.OrganizationFields, []source.Row{content(record(t, source.OrganizationFields,
			`{"id":"1","apiName":"status","allowedValues":[{"value":"New","statusType":"Open"},{"value":"Done","statusType":"Closed"}],`+
				`"lookup":{"onDelete":"CASCADE","module":{"id":"5","apiName":"accounts","shape":1}},"lookupProperties":{"onDelete":"2"},"properties":{"translatable":true}}`), 1)}, 1))
		cols := "shared_department_ids, shared_department_names, shared_department_types, _extra"
		wantRow(t, w, "[9,0,0]\t['x','','']\t['READ_ONLY','','']\t{\"sharedDepartments\":"+odd+"}", "SELECT %s FROM tickets WHERE id = 1", cols)
		wantRow(t, w, "[9]\t['']\t['READ_ONLY']\t", "SELECT %s FROM tickets WHERE id = 2", cols)
		wantRow(t, w, "[]\t[]\t[]\t", "SELECT %s FROM tickets WHERE id = 3", cols)
		wantRow(t, w, "['New','Done']\t['Open','Closed']\tCASCADE\t5\taccounts\t2\ttrue\t{\"lookup.module.shape\":1}",
			"SELECT allowed_value_values, allowed_value_status_types, lookup_on_delete, lookup_module_id, lookup_module_api_name, lookup_properties_on_delete, properties_translatable, _extra FROM organization_fields")
		want := Unplaced{source.Tickets, string(misfit), "sharedDepartments", 1}
		if got := w.Unplaced(); !slices.Contains(got, want) {
			t.Errorf("counted %v, want %v", got, want)
		}
	})
}
