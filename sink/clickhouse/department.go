package clickhouse

import (
	"context"
	"fmt"

	"deskhouse/source"
)

// departmentColumn is the column of the one department a record belongs to;
// resources without it belong to none, or to several.
const departmentColumn = "department_id"

// ofDepartment reports whether a table's rows belong to one department each.
func ofDepartment(t source.Table) bool {
	for _, f := range source.Lookup(t).Fields {
		if f.Register == source.Content && f.Column == departmentColumn {
			return true
		}
	}
	return false
}

// Departments returns the department of each of these keys' visible rows;
// deleted rows, rows without one and tables whose rows belong to no single one
// are left out.
func (w *Warehouse) Departments(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]uint64, error) {
	departments := map[source.Key]uint64{}
	if !ofDepartment(t) {
		return departments, nil
	}
	of := []string{"if(_is_deleted = 1, 0, ifNull(" + departmentColumn + ", 0))"}
	err := w.lookup(ctx, "read departments of "+mainName(t), t, mainName(t), of, keys, func(row scanner) error {
		var k keyScan
		var id uint64
		if err := row.Scan(append(k.dest(t), &id)...); err != nil {
			return err
		}
		if id != 0 {
			departments[k.key(t)] = id
		}
		return nil
	})
	return departments, err
}

// VisibleIn counts the visible rows of each department. Under 0 stand rows
// without one, and all rows of tables whose rows belong to no single one.
func (w *Warehouse) VisibleIn(ctx context.Context, t source.Table) (map[uint64]uint64, error) {
	of := "toUInt64(0)"
	if ofDepartment(t) {
		of = "ifNull(" + departmentColumn + ", 0)"
	}
	sql := fmt.Sprintf("SELECT %s AS department, count() FROM %s FINAL WHERE org_id = %d AND %s GROUP BY department",
		of, qualified(w.cfg.Database, mainName(t)), w.cfg.OrgID, shown)
	visible := map[uint64]uint64{}
	err := w.scan(ctx, "count rows by department of "+mainName(t), sql, nil, func(row scanner) error {
		var id, n uint64
		if err := row.Scan(&id, &n); err != nil {
			return err
		}
		visible[id] = n
		return nil
	})
	return visible, err
}
