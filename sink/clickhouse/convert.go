package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"

	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/go-json-experiment/json/jsontext"
)

// Rows change their layout on their way through this process: a stored row
// becomes a record again, which is written as any other. So both ways go
// through the code that knows which value fits where, and _extra empties or
// fills as the new layout can hold more or less.

// convert reads current rows of a main table as records, with the heads they
// have, and what they keep for fields that are no more. A row without content has
// no record.
func (w *Warehouse) convert(ctx context.Context, from *layout, retired map[string]string, where string, each func(source.Row, keptValues) error, tables ...*ext.Table) error {
	t := from.res.Table
	r := newStoredRow(from, retired)
	exprs := slices.Concat(keyNames(t), headExprs, r.exprs())
	sql := fmt.Sprintf("SELECT %s\nFROM %s FINAL\nWHERE org_id = %d AND (%s)%s, max_block_size = %d", strings.Join(exprs, ", "), qualified(w.cfg.Database, mainName(t)),
		w.cfg.OrgID, where, spill, convertRows)
	return w.scan(ctx, "read rows of "+mainName(t)+" for another layout", sql, nil, func(row scanner) error {
		var key keyScan
		var head headScan
		if err := row.Scan(slices.Concat(key.dest(t), head.dest(), r.dest())...); err != nil {
			return err
		}
		out := source.Row{Key: key.key(t), State: source.State{Head: head.head()}}
		if out.Content.AsOf > 0 {
			rec, err := r.record(out.Key)
			if err != nil {
				return fmt.Errorf("row %s: %w", out.Key, err)
			}
			out.Record = from.mask.Stored(rec)
			out.LeftOut = out.LeftOut || out.Record.LeftOut
		}
		if out.Record == nil || out.LeftOut {
			r.kept = keptValues{}
		}
		return each(out, r.kept)
	}, tables...)
}

// convertRows bounds a block of the server's: documents are long.
const convertRows = 4096

// copyAcross is copyRows for a shadow of another layout, or under a selection.
func (w *Warehouse) copyAcross(ctx context.Context, from *layout, s shadow, where string) error {
	out := w.stream(s.writes(from), source.Content, s.name)
	err := w.convert(ctx, from, s.retired, where, func(row source.Row, kept keptValues) error {
		out.filling.custom.held = s.keeps(from, kept)
		out.filling.addMain(&row, w.fence.Load())
		return out.next(ctx)
	})
	return out.close(ctx, err)
}

// carryAcross is carryOver into a shadow of another layout, or under a selection.
func (w *Warehouse) carryAcross(ctx context.Context, from *layout, s shadow, rows []source.Row, epoch uint64) error {
	for part := range slices.Chunk(rows, maxKeys) {
		if err := w.carryPart(ctx, from, s, part, epoch); err != nil {
			return err
		}
	}
	return nil
}

func (w *Warehouse) carryPart(ctx context.Context, from *layout, s shadow, rows []source.Row, epoch uint64) error {
	t := from.res.Table
	wanted := make(map[source.Key]source.Row, len(rows))
	keys := make([]source.Key, len(rows))
	for i, r := range rows {
		wanted[r.Key], keys[i] = r, r.Key
	}
	held, err := keysTable(t, keys)
	if err != nil {
		return err
	}
	out := w.stream(s.writes(from), source.Content, s.name)
	add := func(row source.Row, kept keptValues) error {
		out.filling.custom.held = s.keeps(from, kept)
		out.filling.addMain(&row, epoch)
		return out.next(ctx)
	}
	names := idents(keyNames(t))
	err = w.convert(ctx, from, s.retired, fmt.Sprintf("(%s) IN (SELECT %s FROM _keys)", names, names), func(have source.Row, kept keptValues) error {
		row := wanted[have.Key]
		delete(wanted, have.Key)
		row.Record, row.Content, row.Modified, row.LeftOut = have.Record, have.Content, have.Modified, have.LeftOut
		return add(row, kept)
	}, held)
	for _, row := range wanted { // the held row is gone: it says so, as with carryOver
		if err == nil {
			row.Content, row.Modified = source.Stamp{}, 0
			err = add(row, keptValues{})
		}
	}
	return out.close(ctx, err)
}

// membersOf reads the members of a JSON object as leniently as records are read.
func membersOf(object string) ([]source.Member, error) {
	if object == "" {
		return nil, nil
	}
	dec := jsontext.NewDecoder(strings.NewReader(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var all []source.Member
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		all = append(all, source.Member{Name: key, Value: string(value)})
	}
	return all, nil
}
