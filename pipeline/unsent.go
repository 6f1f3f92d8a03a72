package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"deskhouse/source"
)

// unsentEvery is how often a field that records lack may cause a look at the
// metadata: where layouts differ, that is no sign of anything. Where there was no
// answer it is sooner, but not with every write: those wait for it.
const (
	unsentEvery = 12 * time.Hour
	unsentAgain = time.Minute
)

func unsentKey(t source.Table, apiName string) string { return string(t) + "/" + apiName + "/unsent" }

// unsent are the known fields whose key some of the records lack, and that were
// not asked for lately.
func (s *schema) unsent(t source.Table, rows []source.Row) []string {
	known := s.wh.CustomFields(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	lacking := lackingFields(slices.DeleteFunc(known, func(name string) bool {
		at, asked := s.asked[unsentKey(t, name)]
		return asked && now.Sub(at) < unsentEvery
	}), rows)
	for _, name := range lacking {
		s.asked[unsentKey(t, name)] = now
	}
	return lacking
}

// askAgain lets a record ask soon: there was no answer.
func (s *schema) askAgain(t source.Table, unsent []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range unsent {
		s.asked[unsentKey(t, name)] = s.clock.Now().Add(unsentAgain - unsentEvery)
	}
}

// lackingFields are those of the names that some record with custom fields does
// not carry, sorted. A record that carries them all costs a look at each of its
// members.
func lackingFields(names []string, rows []source.Row) []string {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	var lacking []string
	for i := 0; i < len(rows) && len(wanted) > 0; i++ {
		rec := rows[i].Record
		if rec == nil || carried(rec, wanted) == len(wanted) || !sendsCustom(rec) {
			continue
		}
		for name := range wanted {
			if !slices.ContainsFunc(rec.Custom, func(m source.Member) bool { return m.Name == name }) {
				lacking = append(lacking, name)
				delete(wanted, name)
			}
		}
	}
	slices.Sort(lacking)
	return lacking
}

// carried counts a record's custom fields that are wanted.
func carried(rec *source.Record, wanted map[string]bool) (n int) {
	for _, m := range rec.Custom {
		if wanted[m.Name] {
			n++
		}
	}
	return n
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
