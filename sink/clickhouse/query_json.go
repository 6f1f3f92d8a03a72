package clickhouse

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/shopspring/decimal"
)

// jsonText shows a JSON value, or an array of them, as JSON text.
func (s shows) jsonText(v reflect.Value) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s.json(v)); err != nil {
		return fmt.Sprint(v.Interface()) // no number of JSON: NaN
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// json turns what the driver makes of a value into what encoding/json writes. Of a JSON column the
// driver gives every path of the whole block; those that a row lacks are nil.
func (s shows) json(v reflect.Value) any {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() {
		return nil
	}
	switch x := v.Interface().(type) {
	case driver.Dynamic:
		return s.json(reflect.ValueOf(x.Any()))
	case driver.JSON:
		return s.object(x.ValuesByPath())
	case time.Time:
		return s.time(x)
	case sql.NullString:
		if !x.Valid {
			return nil
		}
		return x.String
	case decimal.Decimal:
		return json.Number(x.String())
	case big.Int:
		return json.Number(x.String())
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil
		}
	case reflect.Slice, reflect.Array:
		return s.array(v)
	case reflect.Map:
		return s.members(v)
	}
	return v.Interface()
}

func (s shows) array(v reflect.Value) []any {
	all := make([]any, v.Len())
	for i := range all {
		all[i] = s.json(v.Index(i))
	}
	return all
}

// members are a map or a named tuple as an object; keys become text.
func (s shows) members(v reflect.Value) map[string]any {
	all := map[string]any{}
	for each := v.MapRange(); each.Next(); {
		key, _ := s.text(each.Key())
		all[key] = s.json(each.Value())
	}
	return all
}

func (s shows) object(values map[string]any) map[string]any {
	top := map[string]any{}
	for path, v := range values {
		value := s.json(reflect.ValueOf(v))
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
