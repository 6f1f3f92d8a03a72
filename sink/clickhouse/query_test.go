package clickhouse

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestValuesOfQueriesAsJSON compares with what the server's own JSON format
// makes of the same values.
func TestValuesOfQueriesAsJSON(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		for expr, want := range map[string]string{
			"true":                                   `true`,
			"toNullable(false)":                      `false`,
			"5":                                      `5`,
			"toInt64(-9007199254740993)":             `-9007199254740993`,
			"toUInt64(18446744073709551615)":         `18446744073709551615`,
			"toInt256('-9007199254740993000000000')": `-9007199254740993000000000`,
			"toDecimal64(1.5, 3)":                    `1.5`,
			"0.25":                                   `0.25`,
			"nan":                                    `null`,
			"NULL":                                   `null`,
			"'a<\"é'":                                `"a<\"é"`,
			"toLowCardinality(toNullable('x'))":      `"x"`,
			"[1, 2]":                                 `[1,2]`,
			"[toUInt8(1), 2]":                        `[1,2]`,
			"['a', NULL]":                            `["a",null]`,
			"[[true], []]":                           `[[true],[]]`,
			"map('k', 1, 'b', 2)":                    `{"b":2,"k":1}`,
			"map(toUInt64(7), [toDate('2026-02-28')])":          `{"7":["2026-02-28"]}`,
			"CAST((1, 'x'), 'Tuple(a UInt8, b String)')":        `{"a":1,"b":"x"}`,
			"toDate32('2026-02-28')":                            `"2026-02-28"`,
			"toNullable(toDate('2026-02-28'))":                  `"2026-02-28"`,
			"toDateTime64('2026-01-01 00:00:00.125', 3, 'UTC')": `"2026-01-01 00:00:00.125"`,
			"toDateTime('2026-01-01 00:00:00', 'UTC')":          `"2026-01-01 00:00:00"`,
			"toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')":    `"61f0c404-5cb3-11e7-907b-a6006ad3dba0"`,
		} {
			got := asJSON(t, w, "SELECT "+expr+" AS v")
			if got != want {
				t.Errorf("%s: %s, want %s", expr, got, want)
			}
			if theirs := row(t, w, "SELECT formatRowNoNewline('JSONEachRow', v) FROM (SELECT %s AS v) SETTINGS output_format_json_quote_64bit_integers = 0", expr); sorted(t, theirs) != sorted(t, `{"v":`+got+`}`) {
				t.Errorf("%s: the server says %s", expr, theirs)
			}
		}
	})
}

// sorted is JSON with the members of objects in order.
func sorted(t *testing.T, text string) string {
	t.Helper()
	var v any
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	must(t, dec.Decode(&v))
	out, err := json.Marshal(v)
	must(t, err)
	return string(out)
}

func asJSON(t *testing.T, w *Warehouse, query string) string {
	t.Helper()
	r, err := w.Query(ctx, query)
	must(t, err)
	defer r.Close()
	values, ok := r.NextJSON()
	if !ok || len(values) != 1 {
		t.Fatalf("%s: %v, %v", query, values, r.Err())
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	must(t, enc.Encode(values[0]))
	return strings.TrimSpace(b.String())
}

func TestDaysAreShownWithoutATime(t *testing.T) {
	w := prepared(t)
	wantRow(t, w, "2026-02-28\t['x',NULL]\t[2026-02-28]\t2026-01-01 00:00:00\t{\"k\":1}",
		"SELECT toDate32('2026-02-28'), ['x', NULL], [toNullable(toDate('2026-02-28'))], toDateTime('2026-01-01 00:00:00', 'UTC'), map('k', 1)")
}
