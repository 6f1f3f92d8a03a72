package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"

	"github.com/ClickHouse/clickhouse-go/v2/ext"
	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"
)

// carryOver writes rows whose content is the one held: INSERT … SELECT inside
// the server, so that types, custom fields and _extra survive exactly. The
// content brings its own stamp along. Should the held row be gone (a table
// emptied by hand), the row is written without content and says so, and the
// next observation fills it.
func (w *Warehouse) carryOver(ctx context.Context, l *layout, name string, rows []source.Row, epoch uint64) error {
	for part := range slices.Chunk(rows, maxBlockRows) {
		held, err := stateTable(l.res.Table, part, epoch)
		if err != nil {
			return err
		}
		op := "carry content over into " + name
		if err := w.execWith(ctx, op, carrySQL(w.cfg.Database, w.cfg.OrgID, l, name), held); err != nil {
			return err
		}
	}
	return nil
}

// fromHeld are the state columns that travel with the content.
var fromHeld = []string{"_content_as_of", "_content_rank", "_content_hash", "_content_modified", "_left_out"}

func carrySQL(database string, org uint64, l *layout, into string) string {
	t := l.res.Table
	target := l.mainTable()
	keys := keyNames(t)
	var cols, list, held []string
	for _, c := range given(target.columns) {
		cols = append(cols, c.name)
		switch {
		case c.name == "org_id":
			list = append(list, number(org))
		case slices.Contains(keys, c.name), slices.Contains(stateNames(state), c.name) && !slices.Contains(fromHeld, c.name):
			list = append(list, "r."+ident(c.name))
		default:
			list = append(list, "h."+ident(c.name))
			held = append(held, c.name)
		}
	}
	for _, name := range l.moved {
		cols, list, held = append(cols, name), append(list, "h."+ident(name)), append(held, name)
	}
	return fmt.Sprintf("INSERT INTO %s (%s)\nSELECT %s\nFROM _rows AS r\nLEFT JOIN (SELECT %s FROM %s FINAL WHERE org_id = %d AND (%s) IN (SELECT %s FROM _rows)) AS h\nUSING (%s)",
		qualified(database, into), idents(cols), strings.Join(list, ", "), idents(append(slices.Clone(keys), held...)), qualified(database, target.name), org, idents(keys), idents(keys), idents(keys))
}

// stateTable is the external table of new states that the statement joins.
func stateTable(t source.Table, rows []source.Row, epoch uint64) (*ext.Table, error) {
	var keys keyCells
	keys.byName = byName(t)
	var s stateCells
	for i := range rows {
		keys.add(0, rows[i].Key)
		s.add(&rows[i], epoch)
	}
	return externalTable("_rows", append(keyColumns(t)[1:], state...), append(keys.slices(), s.slices()...))
}

// keysTable is the external table of keys that queries look rows up by.
func keysTable(t source.Table, keys []source.Key) (*ext.Table, error) {
	var k keyCells
	k.byName = byName(t)
	for _, key := range keys {
		k.add(0, key)
	}
	return externalTable("_keys", keyColumns(t)[1:], k.slices())
}

// externalTable is a table that travels with one query.
func externalTable(name string, cols []column, slices []any) (*ext.Table, error) {
	t, err := ext.NewTable(name)
	if err != nil {
		return nil, classify("build "+name, err)
	}
	for i, c := range cols {
		if err := t.Block().AddColumn(c.name, chcolumn.Type(c.typ)); err != nil {
			return nil, classify("build "+name, err)
		}
		if _, err := t.Block().Columns[i].Append(slices[i]); err != nil {
			return nil, classify("build "+name, err)
		}
	}
	return t, nil
}
