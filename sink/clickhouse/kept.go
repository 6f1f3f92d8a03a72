package clickhouse

import (
	"context"
	"fmt"

	"deskhouse/source"
)

// Custom fields that Zoho does not have any more, and columns that a field left
// for one of another type, keep what they hold: a row that is written anew
// takes those values along. Only a value that is still sent for a removed field
// replaces the one held.

// kept reports whether a column's values outlive what its record says.
func (c customColumn) kept() bool { return c.former || c.removed }

// keptValues are the kept columns' values that a row holds, by column, as JSON
// that the column's decoder reads.
type keptValues map[string]string

// keptOf reads what the rows about to be written hold in kept columns. Without
// such columns it asks nothing.
func (w *Warehouse) keptOf(ctx context.Context, l *layout, rows []source.Row) (map[source.Key]keptValues, error) {
	var names, exprs []string
	for _, c := range l.custom {
		if c.kept() {
			names, exprs = append(names, c.name), append(exprs, c.asJSON())
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	var keys []source.Key
	for i := range rows {
		if rows[i].Record != nil {
			keys = append(keys, rows[i].Key)
		}
	}
	t, held := l.res.Table, map[source.Key]keptValues{}
	err := w.lookup(ctx, "read former custom fields of "+mainName(t), t, mainName(t), exprs, keys, func(row scanner) error {
		var key keyScan
		values := make([]*string, len(names))
		dest := key.dest(t)
		for i := range values {
			dest = append(dest, &values[i])
		}
		if err := row.Scan(dest...); err != nil {
			return err
		}
		for i, v := range values {
			if v == nil {
				continue
			}
			k := key.key(t)
			if held[k] == nil {
				held[k] = keptValues{}
			}
			held[k][names[i]] = *v
		}
		return nil
	})
	return held, err
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
