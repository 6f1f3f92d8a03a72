package oascheck

import "testing"

func TestStarred(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"/url", "/url", true}, {"/url", "/url/x", false}, {"/data/*/a", "/data/*/a", true}, {"/data/*/a", "/data/*/ab", false},
		{"*/cf/*", "/data/*/cf/cf_x", true}, {"*/cf/*", "/cf/cf_x", true}, {"*/cf/*", "/data/cfx", false}, {"*", "", true}, {"a*", "b", false},
	} {
		if got := starred(c.pattern, c.text); got != c.want {
			t.Errorf("%s on %s: %v", c.pattern, c.text, got)
		}
	}
}

func TestEveryDepartureHasAReason(t *testing.T) {
	for _, d := range Departures {
		if d.Reason == "" || d.Path == "" || d.Kind == "" {
			t.Errorf("incomplete departure %+v", d)
		}
	}
}

func TestSchemaUnion(t *testing.T) {
	closed := map[string]any{"type": "object", "properties": map[string]any{"a": map[string]any{"type": "string"}}, "required": []any{"a"}, "additionalProperties": false}
	open := map[string]any{"type": "object", "properties": map[string]any{"b": map[string]any{"type": []any{"integer", "null"}}}}
	schema := node{"x.json", map[string]any{"allOf": []any{closed, open}}}
	s := &Spec{files: map[string]map[string]any{}}
	for body, problems := range map[string]int{`{"a":"x","b":3}`: 0, `{"a":"x","b":null}`: 0, `{"a":"x","c":1}`: 1, `{"b":1}`: 1, `{"a":1,"b":"x"}`: 2, `[]`: 2} {
		v, err := decode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if found := s.check([]node{schema}, v, ""); len(found) != problems {
			t.Errorf("%s: %v, want %d problems", body, found, problems)
		}
	}
}
