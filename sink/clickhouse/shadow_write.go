package clickhouse

import (
	"context"
	"errors"

	"deskhouse/source"
)

// WriteShadow writes rows to the shadow alone: those that a reading found
// unchanged, with the version that the main table holds. Errors and repetition
// as with Write; ErrRebuild when no rebuild is under way, or its shadow is
// gone.
func (w *Warehouse) WriteShadow(ctx context.Context, t source.Table, rows []source.Row, epoch uint64) error {
	l, err := w.layout(t)
	if err != nil {
		return err
	}
	w.noteEpoch(epoch)
	s := w.shadows.get(t)
	if s.name == "" {
		return rebuildError(t, "none is under way")
	}
	err = w.writeInto(ctx, l, s, rows, epoch)
	if w.shadowLost(t, s.name, err) {
		return rebuildError(t, "its shadow is gone")
	}
	return err
}

// writeAlso writes what the main table got into the shadow, if there is one. A
// shadow that somebody dropped ends the rebuild, not the sync.
func (w *Warehouse) writeAlso(ctx context.Context, l *layout, rows []source.Row, epoch uint64) error {
	s := w.shadows.get(l.res.Table)
	if s.name == "" {
		return nil
	}
	err := w.writeInto(ctx, l, s, rows, epoch)
	if w.shadowLost(l.res.Table, s.name, err) {
		return nil
	}
	return err
}

// shadowLost reports whether an error of writing a shadow means that the shadow
// is gone, and forgets it then. The main table has been read and written
// before, so it is not the one that is missing.
func (w *Warehouse) shadowLost(t source.Table, name string, err error) bool {
	if !errors.Is(err, ErrMissing) {
		return false
	}
	w.shadows.end(t, name)
	w.cfg.Logger.Warn().Err(err).Str("table", string(t)).Msg("shadow of a rebuild is gone, the rebuild ends")
	return true
}
