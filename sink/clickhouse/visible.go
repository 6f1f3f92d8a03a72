package clickhouse

import (
	"context"

	"deskhouse/source"
)

// VisibleKeys returns the keys of the rows that a table shows, in the order of
// keys; for tables that are small. It needs no Prepare: ErrMissing says that
// table or database are not there.
func (w *Warehouse) VisibleKeys(ctx context.Context, t source.Table) ([]source.Key, error) {
	return w.keys(ctx, "list keys of "+mainName(t), t, keysSQL(w.cfg.Database, w.cfg.OrgID, t, shown), nil)
}
