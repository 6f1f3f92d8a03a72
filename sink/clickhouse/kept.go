package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"deskhouse/source"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Custom fields that Zoho does not have any more, and columns that a field left
// for one of another type, keep what they hold: a row that is written anew
// takes those values along. Only a value that is still sent for a removed field
// replaces the one held.

// kept reports whether a column's values outlive what its record says.
func (c customColumn) kept() bool { return c.former || c.removed }

// keptValues are what a row holds for fields that are no more: by column, as JSON
// that the column's decoder reads, and what did not fit one and stands in _extra.
type keptValues struct {
	byColumn map[string]string
	extra    []source.Member // by API name
	former   []source.Member // by name in _extra
}

// keptOf reads what the rows about to be written hold in kept columns. Without
// such columns, or former values in _extra, it asks nothing.
func (w *Warehouse) keptOf(ctx context.Context, l *layout, rows []source.Row) (map[source.Key]keptValues, error) {
	var names, exprs []string
	for _, c := range l.custom {
		if c.kept() {
			names, exprs = append(names, c.name), append(exprs, c.asJSON())
		}
	}
	if len(names) == 0 && !l.keeps {
		return nil, nil
	}
	exprs = append(exprs, `if(position(_extra, '"cf.') > 0 OR `+holdsFormer+`, _extra, NULL)`)
	var keys []source.Key
	for i := range rows {
		if rows[i].Record != nil && !rows[i].LeftOut {
			keys = append(keys, rows[i].Key)
		}
	}
	t, held := l.res.Table, map[source.Key]keptValues{}
	err := w.lookup(ctx, "read former custom fields of "+mainName(t), t, mainName(t), exprs, keys, func(row scanner) error {
		var key keyScan
		values := make([]*string, len(names)+1)
		dest := key.dest(t)
		for i := range values {
			dest = append(dest, &values[i])
		}
		if err := row.Scan(dest...); err != nil {
			return err
		}
		kept := keptValues{byColumn: map[string]string{}}
		for i, name := range names {
			if values[i] != nil {
				kept.byColumn[name] = *values[i]
			}
		}
		if extra := values[len(names)]; extra != nil {
			kept.extra, kept.former = l.keptExtra(*extra)
		}
		if len(kept.byColumn)+len(kept.extra)+len(kept.former) > 0 {
			held[key.key(t)] = kept
		}
		return nil
	})
	return held, err
}

// extraMembers reads an _extra back, nil where there is none and for what cannot
// be read.
func extraMembers(extra *string) (members map[string]jsontext.Value) {
	if extra == nil {
		return nil
	}
	if err := json.Unmarshal([]byte(*extra), &members, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil
	}
	return members
}

// keptExtra are the values of custom fields in an _extra that belong to no field
// there is now. In a document those under cf. do: they did not fit it. What
// cannot be read is not carried along.
func (l *layout) keptExtra(extra string) (kept, former []source.Member) {
	members := extraMembers(&extra)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m := source.Member{Name: name, Value: string(members[name])}
		if api, custom := strings.CutPrefix(name, "cf."); custom && !l.document && !l.inUseNow(api) {
			if raw, selected := l.mask.StoredCustom(api, m.Value); selected {
				kept = append(kept, source.Member{Name: api, Value: raw})
			}
		} else if m, is := l.formerMember(m); is {
			former = append(former, m)
		}
	}
	return kept, former
}

// inUseNow reports whether a custom field has a column, and Zoho has the field.
func (l *layout) inUseNow(api string) bool {
	return slices.ContainsFunc(l.custom, func(c customColumn) bool { return c.APIName == api && !c.kept() })
}

// asJSON is the column as JSON text, NULL where it holds nothing.
func (c customColumn) asJSON() string {
	col := ident(c.name)
	switch c.typ {
	case typeStrings:
		return fmt.Sprintf("if(empty(%s), NULL, toJSONString(%s))", col, col)
	case typeTime: // 2024-02-29 01:02:03.004, without the zone
		return fmt.Sprintf(`if(isNull(%s), NULL, concat('"', replaceOne(toString(%s), ' ', 'T'), 'Z"'))`, col, col)
	}
	return fmt.Sprintf("if(isNull(%s), NULL, toJSONString(%s))", col, col)
}
