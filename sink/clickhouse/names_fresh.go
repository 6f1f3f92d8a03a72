package clickhouse

import (
	"context"
	"errors"
	"slices"
	"sync"

	"deskhouse/source"
)

// staleNames are the tables of names that were written since their dictionary
// was last loaded. A server looks by itself every 10 to 30 seconds; the embedded
// engine never does (seen with 26.7: clickhouse local has no such thread).
type staleNames struct {
	mu     sync.Mutex
	tables []source.Table
}

func (s *staleNames) note(t source.Table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if nameColumn[t] != "" && !slices.Contains(s.tables, t) {
		s.tables = append(s.tables, t)
	}
}

// take empties the list.
func (s *staleNames) take() []source.Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	tables := s.tables
	s.tables = nil
	return tables
}

// namesChanged shows new department names at once: there are few. Products may
// be a hundred thousand and come in many writes; they wait for FreshNames.
func (w *Warehouse) namesChanged(ctx context.Context, t source.Table, rows int) {
	if rows == 0 {
		return
	}
	w.stale.note(t)
	if t != source.Departments {
		return
	}
	if _, err := w.FreshNames(ctx, t); err != nil {
		w.cfg.Logger.Warn().Err(err).Str("table", string(t)).Msg("names show the change somewhat later")
	}
}

// FreshNames makes the names in the views those of the tables, where rows of
// departments or products were written, or the table exchanged, since the last
// call; only limits it to some tables. It returns the tables whose names it
// loaded. Loading reads every name of a table, beside writers and readers and
// without blocking either. What fails is tried again by the next call.
func (w *Warehouse) FreshNames(ctx context.Context, only ...source.Table) (loaded []source.Table, err error) {
	for _, t := range w.stale.take() {
		if len(only) > 0 && !slices.Contains(only, t) {
			w.stale.note(t)
			continue
		}
		if one := w.ReloadNames(ctx, t); one != nil {
			w.stale.note(t)
			err = errors.Join(err, one)
			continue
		}
		loaded = append(loaded, t)
	}
	return loaded, err
}
