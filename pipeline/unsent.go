package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"deskhouse/source"
)

// unsentEvery is how often a field that records lack may cause a look at the
// metadata: where layouts differ, that is no sign of anything.
const unsentEvery = 12 * time.Hour

func unsentKey(t source.Table, apiName string) string { return string(t) + "/" + apiName + "/unsent" }

// unsent are the known fields whose key some of the records lack, and that were
// not asked for lately.
func (s *schema) unsent(t source.Table, rows []source.Row) []string {
	lacking := lackingFields(s.wh.CustomFields(t), rows)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	return slices.DeleteFunc(lacking, func(name string) bool {
		at, asked := s.asked[unsentKey(t, name)]
		if asked && now.Sub(at) < unsentEvery {
			return true
		}
		s.asked[unsentKey(t, name)] = now
		return false
	})
}

// askAgain lets the next record ask: there was no answer.
func (s *schema) askAgain(t source.Table, unsent []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range unsent {
		delete(s.asked, unsentKey(t, name))
	}
}

// lackingFields are the known fields that some record with custom fields does not
// carry, sorted.
func lackingFields(known []string, rows []source.Row) []string {
	lacking := map[string]bool{}
	for i := range rows {
		rec := rows[i].Record
		if rec == nil || len(rec.Custom) >= len(known) || !sendsCustom(rec) {
			continue
		}
		for _, name := range known {
			if !slices.ContainsFunc(rec.Custom, func(m source.Member) bool { return m.Name == name }) {
				lacking[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(lacking))
}

// sendsCustom reports whether a record carries its custom fields at all.
func sendsCustom(rec *source.Record) bool {
	return slices.ContainsFunc(rec.Resource.In(source.Content), func(i int) bool {
		return rec.Resource.Fields[i].Kind == source.KindCustom && !source.IsNull(rec.Value(i))
	})
}

// remove marks fields that neither records nor the module's usual list show,
// unless so many are missing that the agent may have been narrowed.
func (s *schema) remove(ctx context.Context, t source.Table, resource string, gone []string) error {
	if len(gone) == 0 || s.usual == nil || tooMany(len(gone), len(s.wh.CustomFields(t))) {
		return nil
	}
	usual, err := s.usual(ctx)
	if err != nil || usual[source.Lookup(t).Module] != resource {
		return err
	}
	if err := s.wh.RemoveCustomFields(ctx, t, gone); err != nil {
		return fmt.Errorf("mark removed custom fields of %s: %w", t, err)
	}
	s.log.Info().Str("table", string(t)).Strs("fields", gone).Msg("custom fields were removed at Zoho: their columns stay, with their values")
	return nil
}
