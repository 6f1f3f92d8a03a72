package pipeline

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// schemaEvery is how often an unknown custom field may cause a look at the
// field metadata; a value that still has no column is kept in _extra.
const schemaEvery = 10 * time.Minute

// schemaWait bounds that look: the rows of the whole table wait for it.
const schemaWait = 10 * time.Second

// schema keeps the custom-field columns in step with the portal while rows
// flow. Safe for concurrent use.
type schema struct {
	desk  Desk
	wh    Warehouse
	clock clockwork.Clock
	log   zerolog.Logger
	// usual is the resource that lists each module's fields; nil = not known, then
	// nothing is derived from what a list lacks.
	usual func(context.Context) (map[string]string, error)

	mu    sync.Mutex
	asked map[string]time.Time // table/apiName → when its metadata was last asked for
}

func newSchema(desk Desk, wh Warehouse, clock clockwork.Clock, log zerolog.Logger) *schema {
	return &schema{desk: desk, wh: wh, clock: clock, log: log, asked: map[string]time.Time{}}
}

// ensure gives the custom fields of rows about to be written their columns. A
// key that the warehouse does not know yet is looked up at Zoho first; that
// must not hold up the rows for long, so a failure only leaves the value in
// _extra. A key that is known and not sent any more is looked up too: if its
// field was removed, the rows keep what they hold of it.
func (s *schema) ensure(ctx context.Context, t source.Table, rows []source.Row) error {
	if !source.Lookup(t).HasCustom() {
		return nil
	}
	unsent := s.unsent(t, rows)
	if !s.unknown(t, rows) && len(unsent) == 0 {
		return nil
	}
	ask, cancel := clockwork.WithTimeout(ctx, s.clock, schemaWait)
	defer cancel()
	page, fields, err := s.desk.Fields(ask, source.ForPoll, source.Lookup(t).Module)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.askAgain(t, unsent)
		s.log.Warn().Err(err).Str("table", string(t)).Msg("field metadata not readable; values of new custom fields go to _extra")
		return nil
	}
	if err := s.apply(ctx, t, fields); err != nil {
		return err
	}
	return s.remove(ctx, t, page.Resource, notListed(unsent, fields))
}

// unknown reports whether rows hold a custom field without a column that was
// not asked for recently.
func (s *schema) unknown(t source.Table, rows []source.Row) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, found := s.clock.Now(), false
	for i := range rows {
		if rows[i].Record == nil {
			continue
		}
		for _, m := range rows[i].Record.Custom {
			if s.wh.KnowsCustom(t, m.Name) {
				continue
			}
			key := string(t) + "/" + m.Name
			if at, ok := s.asked[key]; !ok || now.Sub(at) >= schemaEvery {
				s.asked[key] = now
				found = true
			}
		}
	}
	return found
}

// apply adds the columns that the metadata asks for.
func (s *schema) apply(ctx context.Context, t source.Table, fields []source.CustomField) error {
	if _, err := s.wh.EnsureCustomFields(ctx, t, fields); err != nil {
		return fmt.Errorf("add custom-field columns to %s: %w", t, err)
	}
	return nil
}
