package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"deskhouse/source"
)

// SwapRebuild ends a rebuild: it copies from the main table what the shadow
// lacks or holds at an older version, checks that both hold the same keys at
// the same versions, exchanges the two, and drops the old one. copied counts
// the rows that the reading did not bring. Nothing may be written to the table
// meanwhile. ErrRebuild when the two still differ, or no rebuild is under way;
// ErrFenced when a later epoch took over: nothing has been exchanged then.
// After any other error the call may be repeated: exchanging equals is
// harmless.
func (w *Warehouse) SwapRebuild(ctx context.Context, t source.Table) (copied uint64, err error) {
	name := w.shadows.of(t)
	if name == "" {
		return 0, rebuildError(t, "none is under way")
	}
	w.schemaMu.Lock()
	defer w.schemaMu.Unlock()
	if copied, err = w.completeShadow(ctx, t, name); err != nil {
		return 0, err
	}
	if err := w.checkFence(ctx, mainName(t)); err != nil {
		return 0, err
	}
	if err := w.emptySides(ctx, t, name); err != nil {
		return 0, err
	}
	return copied, w.exchange(ctx, t, name)
}

// completeShadow makes the shadow hold what the main table holds.
func (w *Warehouse) completeShadow(ctx context.Context, t source.Table, name string) (copied uint64, err error) {
	behind, ahead, err := w.compareShadow(ctx, t, name)
	if err != nil {
		return 0, err
	}
	if behind > 0 {
		copied = behind
		if err := w.copyRows(ctx, t, name, missingSQL(w.cfg.Database, t, name)); err != nil {
			return 0, err
		}
		if behind, ahead, err = w.compareShadow(ctx, t, name); err != nil {
			return 0, err
		}
	}
	if behind+ahead > 0 {
		return copied, rebuildError(t, "the shadow still lacks %d rows and has %d that the table lacks or has older", behind, ahead)
	}
	return copied, nil
}

// versionsSQL is each key's newest version in the main table and in the shadow,
// 0 for none. Grouping can spill, so its memory has a bound at any size.
func versionsSQL(database string, t source.Table, name string) string {
	order := idents(orderOf(t))
	return fmt.Sprintf("SELECT %[1]s, max(m) AS held, max(s) AS shadowed FROM (SELECT %[1]s, _version AS m, toUInt64(0) AS s FROM %[2]s UNION ALL SELECT %[1]s, toUInt64(0), _version FROM %[3]s) GROUP BY %[1]s",
		order, qualified(database, mainName(t)), qualified(database, name))
}

// missingSQL is the condition for rows that the shadow lacks or has older.
func missingSQL(database string, t source.Table, name string) string {
	order := idents(orderOf(t))
	return fmt.Sprintf("(%s) IN (SELECT %s FROM (%s) WHERE held > shadowed)", order, order, versionsSQL(database, t, name))
}

// compareShadow counts the keys of which the shadow holds an older version, or
// none, and a newer one.
func (w *Warehouse) compareShadow(ctx context.Context, t source.Table, name string) (behind, ahead uint64, err error) {
	err = w.scan(ctx, "compare "+mainName(t)+" with its shadow", "SELECT countIf(held > shadowed), countIf(held < shadowed) FROM ("+
		versionsSQL(w.cfg.Database, t, name)+")"+spill, nil, func(row scanner) error { return row.Scan(&behind, &ahead) })
	return behind, ahead, err
}

// copyRows copies current rows of a main table into its shadow, inside the
// server, exactly as stored but for the epoch: the fence refuses what an
// earlier leader wrote. Rows of another layout, or of a table with a selection,
// are converted instead. Repeating it is harmless.
func (w *Warehouse) copyRows(ctx context.Context, t source.Table, name, where string) error {
	from, err := w.layout(t)
	if err != nil {
		return err
	}
	if s := w.shadows.get(t); s.converts(from) {
		return w.copyAcross(ctx, from, s, where)
	}
	cols, err := w.insertable(ctx, name)
	if err != nil {
		return err
	}
	return w.exec(ctx, "copy rows to the shadow of "+mainName(t), copySQL(w.cfg.Database, t, name, cols, w.fence.Load(), where))
}

// spill bounds what grouping keeps in the server's memory.
var spill = fmt.Sprintf("\nSETTINGS max_bytes_before_external_group_by = %d", spillBytes)

func copySQL(database string, t source.Table, name string, cols []string, epoch uint64, where string) string {
	list := make([]string, len(cols))
	for i, c := range cols {
		list[i] = ident(c)
		if c == "_epoch" {
			list[i] = fmt.Sprintf("greatest(_epoch, %d)", epoch)
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s)\nSELECT %s\nFROM %s FINAL\nWHERE %s%s", qualified(database, name), idents(cols), strings.Join(list, ", "),
		qualified(database, mainName(t)), where, spill)
}

// insertable are the columns of a table that can be inserted, those of others
// too.
func (w *Warehouse) insertable(ctx context.Context, name string) ([]string, error) {
	var cols []string
	err := w.scan(ctx, "list columns of "+name, "SELECT name FROM system.columns WHERE database = {db:String} AND table = {name:String} AND default_kind IN ('', 'DEFAULT') ORDER BY position",
		args{"db": w.cfg.Database, "name": name}, func(row scanner) error {
			var col string
			err := row.Scan(&col)
			cols = append(cols, col)
			return err
		})
	return cols, err
}

// exchange puts the shadow into the main table's place at once and drops the
// old one, which has the shadow's name then. The comment goes with the table,
// so the shadow gets the right one first. Statements that still read the old
// table end in peace: its data goes minutes later.
func (w *Warehouse) exchange(ctx context.Context, t source.Table, name string) error {
	l, err := w.layout(t)
	if err != nil {
		return err
	}
	s := w.shadows.get(t)
	if s.layout != nil {
		return w.exchangeOther(ctx, l, s)
	}
	main := l.mainTable()
	for _, sql := range []string{
		commentTable(w.cfg.Database, name, main.comment),
		fmt.Sprintf("EXCHANGE TABLES %s AND %s", qualified(w.cfg.Database, main.name), qualified(w.cfg.Database, name)),
	} {
		if err := w.exec(ctx, "exchange "+main.name+" and its shadow", sql); err != nil {
			return err
		}
	}
	w.stale.note(t)
	w.shadows.end(t, name)
	if err := w.dropTable(ctx, name, later); err != nil {
		w.cfg.Logger.Warn().Err(err).Str("table", string(t)).Msg("old table of a rebuild stays until the next start")
	}
	return nil
}
