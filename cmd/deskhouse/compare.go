package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"deskhouse/sink/clickhouse"
	"deskhouse/source"
	"deskhouse/source/desksim"
)

// comparison is what became of one table against the simulator's truth.
type comparison struct {
	Table      string   `json:"table"`
	AtSource   int      `json:"rows_at_source"` // live
	Visible    int      `json:"rows_visible"`
	Deleted    int      `json:"rows_deleted"`
	Mismatches int      `json:"mismatches"`
	Examples   []string `json:"examples,omitempty"` // keys and columns, never values
}

// comparer reads the tables as an analyst would and holds every column against
// the truth. It shares no decoding with the sink: JSON goes through
// encoding/json, and SQL turns each column into text.
type comparer struct {
	wh     *clickhouse.Warehouse
	portal *desksim.Portal
}

// cell is a value as text; NULL and "" are different.
type cell struct {
	text string
	null bool
}

const maxExamples = 10

func (c comparer) table(ctx context.Context, t source.Table) (comparison, error) {
	out := comparison{Table: string(t)}
	columns, err := c.columns(ctx, t)
	if err != nil {
		return out, err
	}
	rows, err := c.rows(ctx, t, columns)
	if err != nil {
		return out, err
	}
	_, deleted, err := c.wh.Counts(ctx, t)
	if err != nil {
		return out, err
	}
	out.Visible, out.Deleted = len(rows), int(deleted)
	for truth := range c.portal.Truth(string(t)) {
		row, visible := rows[truth.Key]
		delete(rows, truth.Key)
		live := truth.State == desksim.Live
		if live {
			out.AtSource++
		}
		switch {
		case live != visible:
			out.mismatch(truth.Key, "visible")
		case live:
			if err := out.compare(columns, row, truth); err != nil {
				return out, err
			}
		}
	}
	for key := range rows {
		out.mismatch(key, "not at source")
	}
	return out, nil
}

func (out *comparison) mismatch(key, column string) {
	if out.Mismatches++; len(out.Examples) < maxExamples {
		out.Examples = append(out.Examples, key+" "+column)
	}
}

// column is a column that is compared and where its value stands in the JSON.
type column struct {
	name string
	path []string // nil for a custom field
	each string   // member of the objects in the array at path, "" for the value itself
	api  string   // custom field
	typ  string   // ClickHouse type
	kind source.Kind
}

// columns are those of the content register and of custom fields.
func (c comparer) columns(ctx context.Context, t source.Table) ([]column, error) {
	types, err := c.types(ctx, t)
	if err != nil {
		return nil, err
	}
	var out []column
	for _, f := range source.Lookup(t).Fields {
		if f.Register != source.Content || f.Kind == source.KindCustom {
			continue
		}
		for _, col := range fieldColumns(f) {
			typ, ok := types[col.name]
			if !ok {
				return nil, fmt.Errorf("view %s has no column %s", t, col.name)
			}
			col.typ = typ
			out = append(out, col)
		}
	}
	for name, typ := range types {
		if strings.HasPrefix(name, "cf_") {
			out = append(out, column{name: name, api: name, typ: typ})
		}
	}
	return out, nil
}

// fieldColumns are the columns of a field. Names of other records inside an
// array are left out: they may be as old as the row.
func fieldColumns(f source.Field) []column {
	path := strings.Split(f.Name, ".")
	if f.Kind != source.KindObjects {
		return []column{{name: f.Column, path: path, kind: f.Kind}}
	}
	var cols []column
	for _, e := range f.Elements {
		if !e.Foreign {
			cols = append(cols, column{name: e.Column, path: path, each: e.Name, kind: f.Kind})
		}
	}
	return cols
}

func (c comparer) types(ctx context.Context, t source.Table) (map[string]string, error) {
	rows, err := c.wh.Query(ctx, "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '"+string(t)+"'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types := map[string]string{}
	for {
		v, _, ok := rows.Next()
		if !ok {
			return types, rows.Err()
		}
		types[v[0]] = v[1]
	}
}

// asText is SQL that gives a column as the text that expect produces.
func (c column) asText() string {
	name := "`" + c.name + "`"
	switch {
	case strings.HasPrefix(c.typ, "Array(String"):
		return "arrayStringConcat(" + name + ", '\x1f')"
	case strings.HasPrefix(c.typ, "Array"):
		return "arrayStringConcat(arrayMap(x -> toString(x), " + name + "), '\x1f')"
	case strings.Contains(c.typ, "DateTime64"):
		return "toString(toUnixTimestamp64Milli(" + name + "))"
	}
	return "toString(" + name + ")"
}

func keySQL(t source.Table) string {
	if t == source.OrganizationFields {
		return "concat(module, '/', api_name)"
	}
	return "toString(id)"
}

func (c comparer) rows(ctx context.Context, t source.Table, columns []column) (map[string][]cell, error) {
	sel := []string{keySQL(t)}
	for _, col := range columns {
		sel = append(sel, col.asText())
	}
	rows, err := c.wh.Query(ctx, "SELECT "+strings.Join(sel, ", ")+" FROM `"+string(t)+"`")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string][]cell{}
	for {
		values, null, ok := rows.Next()
		if !ok {
			return out, rows.Err()
		}
		cells := make([]cell, len(columns))
		for i := range columns {
			cells[i] = cell{values[i+1], null[i+1]}
		}
		out[values[0]] = cells
	}
}

// compare holds one row against the record that a GET would show now.
func (out *comparison) compare(columns []column, row []cell, truth desksim.TruthRow) error {
	raw := truth.Get
	if raw == nil {
		raw = truth.Search // fields of a portal with the older resource only
	}
	record := map[string]any{}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	if err := dec.Decode(&record); err != nil {
		return fmt.Errorf("truth of %s %s: %w", out.Table, truth.Key, err)
	}
	custom, _ := record["cf"].(map[string]any)
	for i, col := range columns {
		want := expect(col, at(record, col.path))
		if col.path == nil {
			want = expect(col, custom[col.api])
		}
		if col.kind == source.KindJSON {
			row[i] = canonicalJSON(row[i])
		}
		if row[i] != want {
			out.mismatch(truth.Key, col.name)
		}
	}
	return nil
}

// at follows a path of keys; nil when it leads nowhere.
func at(record map[string]any, path []string) any {
	var v any = record
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// expect is the text that a JSON value must have become.
func expect(col column, v any) cell {
	array := strings.HasPrefix(col.typ, "Array")
	if v == nil {
		return cell{null: !array}
	}
	switch {
	case array && col.path == nil: // a multi-select: labels joined by ;
		parts := slices.DeleteFunc(strings.Split(fmt.Sprint(v), ";"), func(s string) bool { return s == "" })
		return cell{text: strings.Join(parts, "\x1f")}
	case array:
		var parts []string
		for _, e := range v.([]any) {
			if col.each != "" {
				e = member(e, col.each)
			}
			parts = append(parts, fmt.Sprint(e))
		}
		return cell{text: strings.Join(parts, "\x1f")}
	case col.kind == source.KindJSON:
		return marshal(v)
	case strings.Contains(col.typ, "DateTime64"):
		when, err := time.Parse("2006-01-02T15:04:05.000Z", fmt.Sprint(v))
		if err != nil {
			return cell{text: "not a time"}
		}
		return cell{text: strconv.FormatInt(when.UnixMilli(), 10)}
	case strings.Contains(col.typ, "Decimal"):
		d, err := decimal.NewFromString(fmt.Sprint(v))
		if err != nil {
			return cell{text: "not a number"}
		}
		return cell{text: d.String()}
	}
	return cell{text: fmt.Sprint(v)}
}

// member is what an object in an array shows of a member: the empty text where
// it has none.
func member(object any, name string) any {
	members, _ := object.(map[string]any)
	if v := members[name]; v != nil {
		return v
	}
	return ""
}

// canonicalJSON makes two spellings of one JSON value the same.
func canonicalJSON(c cell) cell {
	if c.null {
		return c
	}
	dec := json.NewDecoder(strings.NewReader(c.text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return cell{text: "not JSON"}
	}
	return marshal(v)
}

// marshal writes maps with sorted keys.
func marshal(v any) cell {
	text, err := json.Marshal(v)
	if err != nil {
		return cell{text: "cannot be written as JSON"}
	}
	return cell{text: string(text)}
}
