package pipeline

import (
	"context"
	"time"

	"deskhouse/source"
)

// simSink is the warehouse behind a process. Writes may be refused, may be
// stored though they fail, and may be stored long after they failed.
type simSink struct {
	x *proc
	Warehouse
}

// lateAfter is how long after its failure a write may still take effect.
const lateAfter = 3 * time.Minute

func (s simSink) faulted(luck float64, do func() error) error {
	w := s.x.w
	if luck < w.rate(w.set.late) {
		w.background.Go(func() { w.time.Sleep(lateAfter); _ = do() })
		return errUnknown
	}
	return s.x.faulted(w.rate(w.set.sinkFails+w.set.late), luck, do)
}

func (s simSink) Write(ctx context.Context, t source.Table, rows []source.Row, epoch uint64) error {
	return pass(s.x, "write "+string(t), func(luck float64) error {
		return s.faulted(luck, func() error { return s.Warehouse.Write(ctx, t, rows, epoch) })
	})
}

func (s simSink) WriteSide(ctx context.Context, t source.Table, reg source.Register, rows []source.SideRow, epoch uint64) error {
	return pass(s.x, "write side "+string(t), func(luck float64) error {
		return s.faulted(luck, func() error { return s.Warehouse.WriteSide(ctx, t, reg, rows, epoch) })
	})
}

func (s simSink) WriteChanges(ctx context.Context, changes []source.Change) error {
	return pass(s.x, "write changes", func(luck float64) error {
		return s.faulted(luck, func() error { return s.Warehouse.WriteChanges(ctx, changes) })
	})
}

func (s simSink) SavePosition(ctx context.Context, name string, seq uint64) error {
	return pass(s.x, "save position", func(luck float64) error {
		return s.x.faulted(s.x.w.rate(s.x.w.set.sinkFails), luck, func() error { return s.Warehouse.SavePosition(ctx, name, seq) })
	})
}

func (s simSink) Seen(ctx context.Context, run string, t source.Table, keys []source.Key) error {
	return pass(s.x, "seen "+string(t), func(luck float64) error {
		return s.x.faulted(s.x.w.rate(s.x.w.set.seenFails), luck, func() error { return s.Warehouse.Seen(ctx, run, t, keys) })
	})
}

func (s simSink) Heads(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]source.Head, error) {
	return through(s.x, "heads "+string(t), func(luck float64) (map[source.Key]source.Head, error) {
		if luck < s.x.w.rate(s.x.w.set.sinkFails)/2 {
			return nil, errRefused
		}
		return s.Warehouse.Heads(ctx, t, keys)
	})
}

func (s simSink) SideStamps(ctx context.Context, t source.Table, reg source.Register, keys []source.Key) (map[source.Key]source.Stamp, error) {
	return through(s.x, "stamps "+string(t), func(float64) (map[source.Key]source.Stamp, error) {
		return s.Warehouse.SideStamps(ctx, t, reg, keys)
	})
}

func (s simSink) Tracked(ctx context.Context, t source.Table, keys []source.Key) (*source.Tracked, error) {
	return through(s.x, "tracked "+string(t), func(luck float64) (*source.Tracked, error) {
		if luck < s.x.w.rate(s.x.w.set.sinkFails)/2 {
			return nil, errRefused
		}
		return s.Warehouse.Tracked(ctx, t, keys)
	})
}

func (s simSink) Position(ctx context.Context, name string) (seq uint64, known bool, err error) {
	seq, err = through(s.x, "position", func(float64) (uint64, error) {
		seq, known, err = s.Warehouse.Position(ctx, name)
		return seq, err
	})
	return seq, known, err
}

func (s simSink) SaveStatus(ctx context.Context, rows []source.TableStatus) error {
	return pass(s.x, "save status", func(float64) error { return s.Warehouse.SaveStatus(ctx, rows) })
}

func (s simSink) SaveRun(ctx context.Context, r source.RunReport) error {
	return pass(s.x, "save run", func(float64) error { return s.Warehouse.SaveRun(ctx, r) })
}

func (s simSink) EnsureCustomFields(ctx context.Context, t source.Table, fields []source.CustomField) ([]string, error) {
	return through(s.x, "ensure fields", func(float64) ([]string, error) { return s.Warehouse.EnsureCustomFields(ctx, t, fields) })
}

func (s simSink) RemoveCustomFields(ctx context.Context, t source.Table, gone []string) error {
	return pass(s.x, "remove fields of "+string(t), func(float64) error { return s.Warehouse.RemoveCustomFields(ctx, t, gone) })
}

func (s simSink) Backfilled(ctx context.Context, t source.Table, filled []source.PendingColumn) error {
	return pass(s.x, "backfilled "+string(t), func(float64) error { return s.Warehouse.Backfilled(ctx, t, filled) })
}

func (s simSink) DeletedKeys(ctx context.Context, t source.Table, since time.Time) ([]source.Key, error) {
	return through(s.x, "deleted keys", func(float64) ([]source.Key, error) { return s.Warehouse.DeletedKeys(ctx, t, since) })
}

func (s simSink) BeginRun(ctx context.Context, run string) error {
	return pass(s.x, "begin run", func(float64) error { return s.Warehouse.BeginRun(ctx, run) })
}

func (s simSink) Absent(ctx context.Context, run string, t source.Table, before time.Time) ([]source.Key, error) {
	return through(s.x, "absent "+string(t), func(float64) ([]source.Key, error) { return s.Warehouse.Absent(ctx, run, t, before) })
}

func (s simSink) EndRun(ctx context.Context, run string) error {
	return pass(s.x, "end run", func(float64) error { return s.Warehouse.EndRun(ctx, run) })
}

func (s simSink) Counts(ctx context.Context, t source.Table) (visible, deleted uint64, err error) {
	visible, err = through(s.x, "counts "+string(t), func(float64) (uint64, error) {
		visible, deleted, err = s.Warehouse.Counts(ctx, t)
		return visible, err
	})
	return visible, deleted, err
}

func (s simSink) Totals(ctx context.Context, t source.Table) (map[source.Register]uint64, error) {
	return through(s.x, "totals "+string(t), func(float64) (map[source.Register]uint64, error) { return s.Warehouse.Totals(ctx, t) })
}

func (s simSink) Departments(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]uint64, error) {
	return through(s.x, "departments of "+string(t), func(float64) (map[source.Key]uint64, error) { return s.Warehouse.Departments(ctx, t, keys) })
}

func (s simSink) VisibleIn(ctx context.Context, t source.Table) (map[uint64]uint64, error) {
	return through(s.x, "visible in "+string(t), func(float64) (map[uint64]uint64, error) { return s.Warehouse.VisibleIn(ctx, t) })
}

func (s simSink) Filled(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]source.FieldSet, error) {
	return through(s.x, "filled "+string(t), func(float64) (map[source.Key]source.FieldSet, error) { return s.Warehouse.Filled(ctx, t, keys) })
}

func (s simSink) Archived(ctx context.Context, keys []source.Key) (map[source.Key]bool, error) {
	return through(s.x, "held as archived", func(float64) (map[source.Key]bool, error) { return s.Warehouse.Archived(ctx, keys) })
}

func (s simSink) Unhydrated(ctx context.Context, t source.Table, since time.Time, limit int) ([]source.Key, error) {
	return through(s.x, "unhydrated", func(float64) ([]source.Key, error) { return s.Warehouse.Unhydrated(ctx, t, since, limit) })
}
