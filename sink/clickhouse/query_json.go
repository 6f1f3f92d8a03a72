package clickhouse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// jsonText shows a JSON value, or an array of them, as JSON text.
func jsonText(v reflect.Value) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(jsonValue(v)); err != nil {
		return fmt.Sprint(v.Interface()) // no number of JSON: NaN
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// jsonValue turns what the driver makes of a JSON column into what
// encoding/json writes. The driver gives every path of the whole block; those
// that a row lacks are nil.
func jsonValue(v reflect.Value) any {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() {
		return nil
	}
	switch x := v.Interface().(type) {
	case driver.Dynamic:
		return jsonValue(reflect.ValueOf(x.Any()))
	case driver.JSON:
		return jsonObject(x.ValuesByPath())
	case time.Time:
		return timeText(x)
	case fmt.Stringer:
		return x.String()
	}
	if v.Kind() != reflect.Slice {
		return v.Interface()
	}
	all := make([]any, v.Len())
	for i := range all {
		all[i] = jsonValue(v.Index(i))
	}
	return all
}

func jsonObject(values map[string]any) map[string]any {
	top := map[string]any{}
	for path, v := range values {
		value := jsonValue(reflect.ValueOf(v))
		if value == nil {
			continue
		}
		into := top
		steps := strings.Split(path, ".")
		for _, step := range steps[:len(steps)-1] {
			inner, ok := into[step].(map[string]any)
			if !ok {
				inner = map[string]any{}
				into[step] = inner
			}
			into = inner
		}
		into[steps[len(steps)-1]] = value
	}
	return top
}
