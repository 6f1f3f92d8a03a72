package clickhouse

import (
	"context"
	"fmt"

	"deskhouse/source"
)

// Totals returns how many records each register's table knows, deleted ones
// too: one a key, however often it was written. The numbers shrink only when
// rows were lost. Registers that the resource lacks are absent from the map.
func (w *Warehouse) Totals(ctx context.Context, t source.Table) (map[source.Register]uint64, error) {
	l, err := w.layout(t)
	if err != nil {
		return nil, err
	}
	totals := map[source.Register]uint64{}
	for _, reg := range append([]source.Register{source.Content}, l.sides()...) {
		var n uint64
		name := tableOf(t, reg)
		err := w.scan(ctx, "count records of "+name, fmt.Sprintf("SELECT count() FROM %s FINAL WHERE org_id = %d", qualified(w.cfg.Database, name), w.cfg.OrgID),
			nil, func(row scanner) error { return row.Scan(&n) })
		if err != nil {
			return nil, err
		}
		totals[reg] = n
	}
	return totals, nil
}

// Sizes returns what a table takes on disk: the rows stored in the main table,
// replaced versions included, and the compressed bytes of the main, listed and
// detail tables together, so bytes / rows is the disk a record takes. Both are
// 0 for tables that do not exist.
func (w *Warehouse) Sizes(ctx context.Context, t source.Table) (rows, bytes uint64, err error) {
	names := []string{mainName(t), sideName(t, source.Listed), sideName(t, source.Detail)}
	err = w.scan(ctx, "measure "+string(t), "SELECT sumIf(rows, table = {main:String}), sum(bytes_on_disk) FROM system.parts WHERE active AND database = {db:String} AND table IN {tables:Array(String)}",
		args{"db": w.cfg.Database, "main": names[0], "tables": names}, func(row scanner) error { return row.Scan(&rows, &bytes) })
	return rows, bytes, err
}

// Archived returns those of these tickets that are held as archived, deleted
// ones too.
func (w *Warehouse) Archived(ctx context.Context, keys []source.Key) (map[source.Key]bool, error) {
	archived := map[source.Key]bool{}
	err := w.lookup(ctx, "look for archived tickets", source.Tickets, mainName(source.Tickets), []string{"ifNull(is_archived, false)"}, keys, func(row scanner) error {
		var k keyScan
		var is bool
		if err := row.Scan(append(k.dest(source.Tickets), &is)...); err != nil {
			return err
		}
		if is {
			archived[k.key(source.Tickets)] = true
		}
		return nil
	})
	return archived, err
}
