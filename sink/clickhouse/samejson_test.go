package clickhouse

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
)

// sameJSON reports whether two JSON values mean the same where a member that is
// null means nothing: order does not count, numbers compare as numbers.
func sameJSON(t testing.TB, a, b string) bool {
	t.Helper()
	return reflect.DeepEqual(meaning(t, a), meaning(t, b))
}

func meaning(t testing.TB, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return plain(v)
}

func plain(v any) any {
	switch x := v.(type) {
	case json.Number:
		d, err := decimal.NewFromString(x.String())
		if err != nil {
			return x.String()
		}
		return "number " + d.String()
	case []any:
		for i := range x {
			x[i] = plain(x[i])
		}
	case map[string]any:
		for k := range x {
			if x[k] == nil {
				delete(x, k)
				continue
			}
			x[k] = plain(x[k])
		}
	}
	return v
}
