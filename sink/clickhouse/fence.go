package clickhouse

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"deskhouse/source"
)

// Fence makes the tables refuse main and side rows of an earlier epoch, for
// good, and kills what an earlier epoch left running: the server itself then
// keeps a leader out that does not know it was replaced. ErrFenced when a
// later epoch is already set. Idempotent; call it on taking over, before
// reading heads. Shadows of an earlier leader's rebuild are dropped first, so
// that it cannot put a table without the fence into place; shadows of this
// Warehouse's own are fenced too.
func (w *Warehouse) Fence(ctx context.Context, epoch uint64) error {
	w.schemaMu.Lock()
	defer w.schemaMu.Unlock()
	if err := w.dropShadows(ctx); err != nil {
		return err
	}
	for _, name := range w.fenced() {
		set, err := w.fenceOf(ctx, name)
		if err != nil {
			return err
		}
		if set > epoch {
			return &Error{Op: "fence " + name, Err: fmt.Errorf("%w: %d is set, %d asked", ErrFenced, set, epoch)}
		}
		if set == epoch && epoch > 0 {
			continue
		}
		if err := w.exec(ctx, "fence "+name, fenceSQL(w.cfg.Database, name, epoch)); err != nil {
			return err
		}
	}
	w.noteEpoch(epoch)
	return w.killOlder(ctx, epoch)
}

// fenced are the tables that carry an epoch.
func (w *Warehouse) fenced() []string {
	w.layoutMu.RLock()
	defer w.layoutMu.RUnlock()
	var names []string
	for _, r := range source.Resources {
		if l := w.layouts[r.Table]; l != nil {
			for _, t := range l.tables() {
				names = append(names, t.name)
			}
		}
	}
	return append(names, w.shadows.all()...)
}

// fenceSQL replaces the constraint in one statement, so that there is no
// moment without one.
func fenceSQL(database, name string, epoch uint64) string {
	return fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS fence, ADD CONSTRAINT fence CHECK _epoch >= %d", qualified(database, name), epoch)
}

var fencePattern = regexp.MustCompile("CONSTRAINT `?fence`? CHECK `?_epoch`? >= ([0-9]+)")

func (w *Warehouse) fenceOf(ctx context.Context, name string) (uint64, error) {
	var sql string
	err := w.scan(ctx, "read the fence of "+name, "SELECT create_table_query FROM system.tables WHERE database = {db:String} AND name = {name:String}",
		args{"db": w.cfg.Database, "name": name}, func(row scanner) error { return row.Scan(&sql) })
	if err != nil {
		return 0, err
	}
	return fenceIn(sql), nil
}

// fenceIn is the epoch in a table's definition, 0 without a fence.
func fenceIn(definition string) uint64 {
	found := fencePattern.FindStringSubmatch(definition)
	if found == nil {
		return 0
	}
	epoch, _ := strconv.ParseUint(found[1], 10, 64)
	return epoch
}

// checkFence is ErrFenced when a table's fence keeps this process out.
func (w *Warehouse) checkFence(ctx context.Context, name string) error {
	set, err := w.fenceOf(ctx, name)
	if own := w.fence.Load(); err == nil && set > own {
		return &Error{Op: "check the fence of " + name, Err: fmt.Errorf("%w: %d is set, this is %d", ErrFenced, set, own)}
	}
	return err
}

// FenceHeld returns the highest epoch that any of deskhouse's tables in the
// database is fenced to, 0 without one. It needs no Prepare; a database that
// does not exist has none. A leader whose lease counts below it (its state was
// restored from a backup) must go above it before it can write.
func (w *Warehouse) FenceHeld(ctx context.Context) (uint64, error) {
	var held uint64
	err := w.scan(ctx, "read the fences", "SELECT create_table_query FROM system.tables WHERE database = {db:String} AND startsWith(comment, {mark:String})",
		args{"db": w.cfg.Database, "mark": mark}, func(row scanner) error {
			var definition string
			err := row.Scan(&definition)
			held = max(held, fenceIn(definition))
			return err
		})
	return held, err
}

// killOlder ends statements of earlier epochs and waits for them. Without the
// grant the fence alone has to do: it refuses rows, not statements that have
// already been checked.
func (w *Warehouse) killOlder(ctx context.Context, epoch uint64) error {
	prefix := literal(w.queryPrefix())
	sql := fmt.Sprintf("KILL QUERY WHERE startsWith(query_id, %s) AND toUInt64OrZero(splitByChar('/', query_id)[3]) < %d SYNC", prefix, epoch)
	err := w.exec(ctx, "kill statements of earlier epochs", sql)
	if isDenied(err) {
		w.cfg.Logger.Warn().Msg("no grant for KILL QUERY: statements of an earlier leader run to their end")
		return nil
	}
	return err
}

// noteEpoch puts the epoch into the ids of statements from now on.
func (w *Warehouse) noteEpoch(epoch uint64) {
	for held := w.fence.Load(); epoch > held && !w.fence.CompareAndSwap(held, epoch); held = w.fence.Load() {
	}
}
