package clickhouse

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"deskhouse/source"

	"pgregory.net/rapid"
)

// value is a JSON text and whether its column can hold it.
type value struct {
	raw  string
	fits bool
}

func fitting(g *rapid.Generator[string]) *rapid.Generator[value] {
	return rapid.Map(g, func(raw string) value { return value{raw, true} })
}

func misfitting(raws ...string) *rapid.Generator[value] {
	return rapid.Map(rapid.SampledFrom(raws), func(raw string) value { return value{raw, false} })
}

func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

var (
	anyString = rapid.Map(rapid.String(), quoted)
	anyID     = rapid.Map(rapid.Uint64(), func(n uint64) string { return fmt.Sprint(n) })
	anyInt    = rapid.Map(rapid.Int64(), func(n int64) string { return fmt.Sprint(n) })
	anyTime   = rapid.Map(rapid.Int64Range(minTime, maxTime), func(ms int64) string {
		return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
	})
	anyDay = rapid.Map(rapid.Int64Range(int64(minDay), int64(maxDay)), func(d int64) string {
		return time.Unix(d*86400, 0).UTC().Format(time.DateOnly)
	})
	anyDecimal = rapid.Map(rapid.Int64(), func(n int64) string { return big.NewRat(n, 1_000_000_000).FloatString(9) })
	anyJSON    = rapid.SampledFrom([]string{`{"a":[1,null,"x\\"]}`, `[]`, `[{"b":{}}]`, `"text"`, `12.50`})
)

func maybeQuoted(g *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if text := g.Draw(t, "bare"); rapid.Bool().Draw(t, "quoted") {
			return quoted(text)
		} else {
			return text
		}
	})
}

func arrayOf(g *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOfN(g, 0, 4), func(raws []string) string { return "[" + strings.Join(raws, ",") + "]" })
}

// valuesOf draws values of a column type: those it holds and those it cannot.
func valuesOf(k source.Kind) *rapid.Generator[value] {
	object := misfitting(`{"x":1}`, `{}`)
	switch k {
	case source.KindID:
		return rapid.OneOf(fitting(maybeQuoted(anyID)), object, misfitting(`-1`, `1.5`, `"x"`, `""`, `true`, `18446744073709551616`, `[1]`))
	case source.KindInt:
		return rapid.OneOf(fitting(maybeQuoted(anyInt)), object, misfitting(`1.5`, `"x"`, `""`, `9223372036854775808`, `"1 "`, `false`))
	case source.KindBool:
		return rapid.OneOf(fitting(maybeQuoted(rapid.SampledFrom([]string{"true", "false"}))), object, misfitting(`"yes"`, `2`, `""`, `"TRUE"`))
	case source.KindTime:
		return rapid.OneOf(fitting(rapid.Map(anyTime, quoted)), object, misfitting(`"soon"`, `""`, `"2024-13-01T00:00:00.000Z"`, `"2024-02-30T00:00:00.000Z"`, `"9999-12-31T23:59:59.999Z"`, `"0001-01-01T00:00:00.000Z"`, `true`))
	case source.KindDate:
		return rapid.OneOf(fitting(rapid.Map(anyDay, quoted)), object, misfitting(`"2023-02-29"`, `"1899-12-31"`, `"2300-01-01"`, `""`, `5`))
	case source.KindDecimal:
		return rapid.OneOf(fitting(maybeQuoted(anyDecimal)), object, misfitting(`1e29`, `0.1234567891`, `"NaN"`, `""`, `"1,5"`, `true`))
	case source.KindIDs:
		return rapid.OneOf(fitting(arrayOf(maybeQuoted(anyID))), object, misfitting(`[null]`, `["x"]`, `"1"`, `[[1]]`, `5`))
	case source.KindJSON:
		return fitting(anyJSON)
	case source.KindObjects: // those of sharedDepartments
		return rapid.OneOf(fitting(rapid.SampledFrom([]string{`[]`, `[{"id":"9","name":"x","type":"READ_ONLY"}]`, `[{"id":1},{"type":null,"name":"y","id":"2"}]`, `[{}]`})),
			object, misfitting(`[{"id":"9","more":1}]`, `[{"id":"x"}]`, `[null]`, `[{"name":""}]`, `[{"id":0}]`, `[{"id":1,"id":2}]`, `"x"`, `[[1]]`))
	}
	return rapid.OneOf(fitting(anyString), object, misfitting(`5`, `true`, `["x"]`))
}

// property fields of tickets, products and contracts, with custom fields.
var propertyCustom = map[string]source.Kind{"cf_number": source.KindInt, "cf_money": source.KindDecimal, "cf_flag": source.KindBool,
	"cf_day": source.KindDate, "cf_at": source.KindTime, "cf_pick": source.KindEnum}

var propertyTypes = map[string]string{"cf_number": "Number", "cf_money": "Currency", "cf_flag": "Boolean", "cf_day": "Date", "cf_at": "DateTime", "cf_pick": "Picklist"}

// document draws a record and what each of its paths holds.
func document(t *rapid.T, res *source.Resource, id int) (text string, values map[string]value, kinds map[string]source.Kind, columns map[string]string) {
	values, kinds, columns = map[string]value{}, map[string]source.Kind{}, map[string]string{}
	members := []string{fmt.Sprintf(`"id":"%d"`, id)}
	for _, f := range res.Fields {
		if f.Register != source.Content || f.Name == "id" || f.Kind == source.KindCustom || strings.Contains(f.Name, ".") {
			continue
		}
		if f.Kind != source.KindObjects { // whose several columns have a test of their own
			kinds[f.Name], columns[f.Name] = f.Kind, f.Column
		}
		switch rapid.IntRange(0, 3).Draw(t, "presence of "+f.Name) {
		case 0:
		case 1:
			members = append(members, fmt.Sprintf(`%q:null`, f.Name))
		default:
			values[f.Name] = valuesOf(f.Kind).Draw(t, f.Name)
			members = append(members, fmt.Sprintf(`%q:%s`, f.Name, values[f.Name].raw))
		}
	}
	if cf := customMembers(t, values, kinds, columns); cf != "" {
		members = append(members, `"cf":{`+cf+`}`)
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`zz[a-z"\\😀]{0,6}`), 0, 3, rapid.ID).Draw(t, "unknown keys") {
		values[name] = value{anyJSON.Draw(t, "unknown value"), false}
		members = append(members, quoted(name)+":"+values[name].raw)
	}
	return "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), ",") + "}", values, kinds, columns
}

func customMembers(t *rapid.T, values map[string]value, kinds map[string]source.Kind, columns map[string]string) string {
	var members []string
	for api, k := range propertyCustom {
		kinds["cf."+api], columns["cf."+api] = k, api
		if rapid.Bool().Draw(t, "has "+api) {
			values["cf."+api] = valuesOf(k).Draw(t, api)
			members = append(members, quoted(api)+":"+values["cf."+api].raw)
		}
	}
	if rapid.Bool().Draw(t, "has unknown cf") {
		values["cf.cf_none"] = value{anyString.Draw(t, "unknown cf"), false}
		members = append(members, `"cf_none":`+values["cf.cf_none"].raw)
	}
	return strings.Join(members, ",")
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a`b", `a\`, "'", "\x00", "😀", "a\nb", "`); DROP TABLE x", strings.Repeat("x", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, quote := range []byte{'`', '\''} {
			if got, rest, ok := unquote(quote, quoteWith(quote, s)); !ok || rest != "" || got != s {
				t.Errorf("%q comes back as %q, %q left, %v", s, got, rest, ok)
			}
		}
	})
}

// unquote reads a quoted text as ClickHouse's lexer does.
func unquote(quote byte, s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteString(map[byte]string{'n': "\n", 'r': "\r", 't': "\t", '0': "\x00", '\\': `\`, quote: string(quote)}[s[i]])
		case c == quote:
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

func TestQuotedTextsMeanThemselvesToTheServer(t *testing.T) {
	w := open(t, config(t))
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringN(1, 50, 200).Draw(rt, "text")
		r, err := w.Query(ctx, "SELECT "+literal(text)+" AS "+ident(text))
		must(t, err)
		values, _, _ := r.Next()
		if len(values) != 1 || values[0] != text || r.Columns[0] != text {
			rt.Errorf("%q came back as %q, column %q", text, values, r.Columns)
		}
		must(t, r.Close())
	})
}
