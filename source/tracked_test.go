package source

import (
	"strings"
	"testing"
)

// Names of the list that the catalog does not have would be followed by nobody,
// and a text among them would reach the history of those who did not ask for it.
func TestTrackedFieldsAreLabelsAndNumbersOfTheRecordsOwn(t *testing.T) {
	for _, r := range Resources {
		in := r.Tracked()
		if len(in) == 0 || len(in) != len(tracked[r.Table]) {
			t.Errorf("%s: %d of %d names are content fields", r.Table, len(in), len(tracked[r.Table]))
		}
		for _, i := range in {
			switch f := r.Fields[i]; {
			case f.Foreign:
				t.Errorf("%s.%s is not the record's own", r.Table, f.Name)
			case f.Kind == KindString || f.Kind == KindText || f.Kind == KindJSON || f.Kind == KindCustom:
				t.Errorf("%s.%s may hold text", r.Table, f.Name)
			}
		}
	}
}

func TestTrackedCompares(t *testing.T) {
	text := func(values string) (list []*string) {
		for v := range strings.SplitSeq(values, ",") {
			if v == "∅" {
				list = append(list, nil)
			} else {
				list = append(list, &v)
			}
		}
		return list
	}
	shown := func(list []*string) string {
		parts := make([]string, len(list))
		for i, v := range list {
			if parts[i] = "∅"; v != nil {
				parts[i] = *v
			}
		}
		return strings.Join(parts, ",")
	}
	tracked := Tracked{Columns: []string{"a", "b", "c"}}
	for _, c := range []struct{ was, is, columns, before, after string }{
		{"1,∅,3", "1,∅,3", "", "", ""},
		{"1,∅,3", "2,∅,3", "a", "1", "2"},
		{"1,∅,3", "∅,,3", "a,b", "1,∅", "∅,"},
		{"", "1,∅,3", "a,c", "∅,∅", "1,3"},
	} {
		var was []*string
		if c.was != "" {
			was = text(c.was)
		}
		columns, before, after := tracked.Compare(was, text(c.is))
		if strings.Join(columns, ",") != c.columns || shown(before) != c.before || shown(after) != c.after {
			t.Errorf("%q to %q: %v from %s to %s", c.was, c.is, columns, shown(before), shown(after))
		}
	}
}
