package pipeline

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
	"deskhouse/source/webhook"
)

// shown is what the portal has shown of each record: the hash of each register
// and when it was last served.
type shown struct {
	mu    sync.Mutex
	quiet time.Time // no change was made after this
	masks masks     // what is shown is what passes them
	recs  map[source.Table]map[source.Key]*shownRecord
}

type shownRecord struct {
	served [3]map[uint64]time.Time // by register
}

func newShown() *shown { return &shown{recs: map[source.Table]map[source.Key]*shownRecord{}} }

func (s *shown) from(quiet time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = quiet
}

func (s *shown) page(t source.Table, page source.Page, at time.Time) {
	for _, rec := range page.Records {
		s.note(t, rec, at)
	}
}

func (s *shown) note(t source.Table, rec *source.Record, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec = s.masks[t].Record(rec)
	if s.recs[t] == nil {
		s.recs[t] = map[source.Key]*shownRecord{}
	}
	r := s.recs[t][rec.Key]
	if r == nil {
		r = &shownRecord{}
		s.recs[t][rec.Key] = r
	}
	for _, reg := range []source.Register{source.Content, source.Listed, source.Detail} {
		if r.served[reg] == nil {
			r.served[reg] = map[uint64]time.Time{}
		}
		if hash := hashOf(rec, reg); r.served[reg][hash].Before(at) {
			r.served[reg][hash] = at
		}
	}
}

// events notes what the deliveries in the log carried.
func (s *shown) events(log EventLog) error {
	ctx := context.Background()
	_, last, err := log.Bounds(ctx)
	if err != nil || last == 0 {
		return err
	}
	r, err := log.Read(ctx, 1)
	if err != nil {
		return err
	}
	defer r.Close()
	for at := uint64(0); at < last; {
		m, err := r.Next(ctx)
		if err != nil {
			return err
		}
		at = m.Seq
		group, _ := webhook.DecodeGroup(m.Data)
		for _, ev := range group {
			p, err := ev.Decode()
			if err != nil {
				continue
			}
			for kind, of := range eventTables {
				if rec, err := source.ParseRecord(source.Lookup(of.table), "", p.Record); err == nil && kind == ev.Type {
					s.note(of.table, rec, time.UnixMilli(max(p.TimeMS, rec.Modified)))
				}
			}
		}
	}
	return nil
}

func hashOf(rec *source.Record, reg source.Register) uint64 {
	if reg == source.Content {
		return rec.Fingerprint
	}
	return rec.SideHash(reg)
}

func (s *shown) of(t source.Table, k source.Key) *shownRecord {
	if r := s.recs[t][k]; r != nil {
		return r
	}
	return &shownRecord{}
}

// audit holds the warehouse against the portal's truth after it went
// quiet. Main rows must equal it column by column; a tombstone must hold content
// that the portal once showed; a row of a side table must be one that the portal
// showed, at or after its as_of, and the truth itself where a reading since then
// has shown it.
type audit struct {
	*world
	resynced bool
}

// compare holds every row against the portal's truth.
func (w *world) compare() { audit{world: w}.run() }

func (c audit) run() {
	c.must(c.shown.events(c.log))
	for _, t := range c.cfg.Tables {
		rows := map[source.Key]source.State{}
		for k, st := range c.wh.main[t] {
			rows[k] = st
		}
		for truth := range c.portal.Truth(string(t)) {
			key := keyOf(t, truth)
			c.row(t, key, rows[key], truth)
			c.sides(t, key, truth)
			delete(rows, key)
		}
		for k, st := range rows {
			if !st.Deleted && !st.LeftOut {
				c.fail("%s %s is visible and not at the source", t, k)
			}
		}
	}
	c.books()
}

func (c audit) row(t source.Table, key source.Key, got source.State, truth desksim.TruthRow) {
	visible := got.Version != 0 && !got.Deleted
	if c.leavesOut(t, truth) {
		if visible && (!got.LeftOut || got.Record != nil && !got.Record.LeftOut) {
			c.fail("%s %s is of a department that is not selected, and shown (held %+v)", t, key, got.Head)
		}
		return
	}
	if visible && got.LeftOut { // nobody sees it, so nobody asks whether it is still there
		if truth.State == desksim.Live {
			c.fail("%s %s is of a selected department, and left out (held %+v)", t, key, got.Head)
		}
		return
	}
	if !visible && c.unlisted(t, truth) {
		return
	}
	if live := truth.State == desksim.Live; live != visible {
		c.fail("%s %s: visible %v, at the source %v (archived %v; life %+v content %+v)", t, key, visible, truth.State, truth.Archived, got.Life, got.Content)
		return
	}
	if !visible {
		c.tombstone(t, key, got)
		return
	}
	if truth.Archived && truth.Search == nil {
		// Read once when it is archived; what changes without a word after that
		// costs a GET for each to find.
		c.once(t, key, got)
		return
	}
	want := c.truth(t, truth)
	if c.print(got) != want.Fingerprint {
		c.fail("%s %s: content differs (held %+v): %s", t, key, got.Content, differing(got.Record, want))
	}
}

// unlisted are records that no list shows: spam where that is hidden (what did
// not come by event is not known), and fields of modules that the portal's field
// resource does not answer for.
func (c audit) unlisted(t source.Table, truth desksim.TruthRow) bool {
	if t == source.OrganizationFields {
		return truth.Get == nil && truth.Search == nil
	}
	return c.set.portal.HideSpam && truth.Search == nil && !truth.Archived
}

// leavesOut are live records of departments that are not selected.
func (c audit) leavesOut(t source.Table, truth desksim.TruthRow) bool {
	return c.cfg.Select[t] != nil && truth.State == desksim.Live && c.truth(t, truth).LeftOut
}

func (c audit) truth(t source.Table, truth desksim.TruthRow) *source.Record {
	raw := truth.Get
	if t == source.OrganizationFields && raw == nil {
		raw = truth.Search
	}
	want, err := source.ParseRecord(source.Lookup(t), truth.Module, raw)
	c.must(err)
	return masks(c.cfg.Select)[t].Record(want)
}

// print is the fingerprint of a row's content; of the real engine's rows it is
// the one that was stored with them.
func (c audit) print(got source.State) uint64 {
	switch {
	case c.real:
		return got.Content.Hash
	case got.Record == nil:
		return 0
	}
	return got.Record.Fingerprint
}

// tombstone: a delete keeps the last known content (rule 3).
func (c audit) tombstone(t source.Table, key source.Key, got source.State) {
	if c.real && got.Content.AsOf == 0 || !c.real && !c.wh.filled[t][key] {
		return
	}
	c.once(t, key, got)
}

// once: the content is one that the portal showed.
func (c audit) once(t source.Table, key source.Key, got source.State) {
	if got.Record == nil && !c.real {
		c.fail("%s %s (deleted %v): its content is gone", t, key, got.Deleted)
		return
	}
	if _, ok := c.shown.of(t, key).served[source.Content][c.print(got)]; !ok {
		c.fail("%s %s (deleted %v): content that the portal never showed", t, key, got.Deleted)
	}
}

func (c audit) sides(t source.Table, key source.Key, truth desksim.TruthRow) {
	for reg, raw := range map[source.Register][]byte{source.Listed: truth.Search, source.Detail: truth.Get} {
		held, ok := c.wh.sides[t][reg][key]
		if !ok {
			if reg == source.Listed && raw != nil && c.resynced && c.wh.main[t][key].Version != 0 && !c.wh.main[t][key].LeftOut && source.Lookup(t).Has(reg) && listedBySearch(t) {
				c.fail("%s %s: no row of listed columns", t, key)
			}
			continue
		}
		if held.Record != nil && held.Record.SideHash(reg) != held.Stamp.Hash {
			c.fail("%s %s: %s columns are not those of their stamp", t, key, reg)
		}
		seen := c.shown.of(t, key)
		at, ok := seen.served[reg][held.Stamp.Hash]
		switch {
		case !ok:
			c.fail("%s %s: %s columns that the portal never showed", t, key, reg)
		case c.zoho(at)+1 < held.Stamp.AsOf: // a GET counts as 1 ms after what was held
			c.fail("%s %s: %s columns as of %d were last shown at %d", t, key, reg, held.Stamp.AsOf, at.UnixMilli())
		}
		// Listed columns are what the last complete reading showed; detail columns
		// are the truth if they claim to be as of now.
		if raw == nil || truth.State != desksim.Live || reg == source.Listed && !(c.resynced && listedBySearch(t)) || reg == source.Detail && held.Stamp.AsOf < c.zoho(c.shown.quiet) {
			continue
		}
		want, err := source.ParseRecord(source.Lookup(t), truth.Module, raw)
		c.must(err)
		if c.leavesOut(t, truth) {
			if held.Stamp.Hash != 0 || held.Record != nil && !held.Record.LeftOut {
				c.fail("%s %s: %s columns of a row that is left out (held %+v)", t, key, reg, held.Stamp)
			}
			continue
		}
		want = masks(c.cfg.Select)[t].Record(want)
		if held.Stamp.Hash != want.SideHash(reg) {
			c.fail("%s %s: %s columns (held %+v) differ: %s", t, key, reg, held.Stamp, sideDifference(held.Record, want, reg))
		}
	}
}

func keyOf(t source.Table, truth desksim.TruthRow) source.Key {
	if t == source.OrganizationFields {
		return source.Key{Name: truth.Module + "/" + truth.APIName}
	}
	return source.Key{ID: truth.ID}
}

// zoho is the latest that the portal's Date may have said at a time.
func (c audit) zoho(at time.Time) int64 {
	return at.Add(max(c.set.portal.DateSkew, 0) + c.set.portal.DateJitter).UnixMilli()
}

func listedBySearch(t source.Table) bool { return t == source.Tickets || t == source.Products }

// books: what was written was in order.
func (c audit) books() {
	if !c.real {
		c.history()
	}
	for _, what := range c.wh.broken {
		c.fail("warehouse: %s", what)
	}
	c.letters.mu.Lock()
	defer c.letters.mu.Unlock()
	if len(c.letters.reasons) < c.planted || c.planted == 0 && len(c.letters.reasons) > 0 {
		c.fail("%d events were spoilt, %d dead letters: %v", c.planted, len(c.letters.reasons), c.letters.reasons)
	}
}

// differing names the fields of the content that differ.
func differing(got, want *source.Record) string {
	if got == nil {
		return "no content"
	}
	names := sideDifference(got, want, source.Content)
	if fmt.Sprint(got.Custom) != fmt.Sprint(want.Custom) {
		names += fmt.Sprintf("; cf: %v, want %v", got.Custom, want.Custom)
	}
	return names
}

func sideDifference(got, want *source.Record, reg source.Register) string {
	if got == nil {
		return "no columns at hand"
	}
	var names []string
	for i, f := range want.Resource.Fields {
		if f.Register == reg && f.Kind != source.KindCustom && got.Value(i) != want.Value(i) {
			names = append(names, fmt.Sprintf("%s: %s, want %s", f.Name, got.Value(i), want.Value(i)))
		}
	}
	return strings.Join(names, "; ")
}
