package clickhouse

import (
	"context"
	"fmt"
	"time"

	"deskhouse/source"
)

// DeletedKeys returns the keys of the rows that were deleted at or after since,
// in the order of keys.
func (w *Warehouse) DeletedKeys(ctx context.Context, t source.Table, since time.Time) ([]source.Key, error) {
	return w.keys(ctx, "list deleted keys of "+mainName(t), t,
		keysSQL(w.cfg.Database, w.cfg.OrgID, t, "_is_deleted = 1 AND _deleted_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')"),
		args{"since": since.UnixMilli()})
}

func keysSQL(database string, org uint64, t source.Table, where string) string {
	keys := idents(keyNames(t))
	return fmt.Sprintf("SELECT %s FROM %s FINAL WHERE org_id = %d AND %s ORDER BY %s", keys, qualified(database, mainName(t)), org, where, keys)
}

// keys collects the result of a query that selects keys.
func (w *Warehouse) keys(ctx context.Context, op string, t source.Table, sql string, a args) ([]source.Key, error) {
	var keys []source.Key
	err := w.scan(ctx, op, sql, a, func(row scanner) error {
		var k keyScan
		if err := row.Scan(k.dest(t)...); err != nil {
			return err
		}
		keys = append(keys, k.key(t))
		return nil
	})
	return keys, err
}

// Counts returns how many rows a table shows and how many are deleted.
func (w *Warehouse) Counts(ctx context.Context, t source.Table) (visible, deleted uint64, err error) {
	sql := fmt.Sprintf("SELECT countIf("+shown+"), countIf(_is_deleted = 1) FROM %s FINAL WHERE org_id = %d",
		qualified(w.cfg.Database, mainName(t)), w.cfg.OrgID)
	err = w.scan(ctx, "count rows of "+mainName(t), sql, nil, func(row scanner) error { return row.Scan(&visible, &deleted) })
	return visible, deleted, err
}
