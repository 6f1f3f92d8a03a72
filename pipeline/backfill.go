package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
)

// Columns that are added to a table with rows stay pending until a complete
// reading has written the rows that have a value for them, though nothing in
// them changed. Such a row keeps its content stamp and is told in no history;
// it counts as backfilled, never as drift.

// pendingNames are the columns as people read them, with the table they are in.
func pendingNames(pending []source.PendingColumn) (names []string) {
	for _, c := range pending {
		name := c.Column
		if c.Register != source.Content {
			name = c.Register.String() + "." + name
		}
		names = append(names, name)
	}
	return names
}

// backfill notes what one complete reading fills.
type backfill struct {
	pending  []source.PendingColumn // when it began: what is added meanwhile waits for the next
	unfilled map[source.PendingColumn]bool
}

func newBackfill(pending []source.PendingColumn) backfill {
	return backfill{pending: pending, unfilled: map[source.PendingColumn]bool{}}
}

// miss notes the columns that a row of the reading says nothing about, unless a
// GET will.
func (b backfill) miss(res *source.Resource, f found) {
	for _, p := range b.pending {
		told := f.Carries[p.Register] || f.why != source.NoContradiction && p.Register != source.Listed
		if !told && !carries(res, f.Record, p) {
			b.unfilled[p] = true
		}
	}
}

// carries reports whether a record has the key of a column, null or not.
func carries(res *source.Resource, rec *source.Record, p source.PendingColumn) bool {
	if rec == nil {
		return false
	}
	return slices.ContainsFunc(res.In(p.Register), func(i int) bool {
		own := slices.Contains(res.Fields[i].Columns(), p.Column)
		custom := res.Fields[i].Kind == source.KindCustom && !catalogued(p.Column)
		return (own || custom) && rec.Present.Has(i)
	})
}

// catalogued reports whether a column is of a field of the catalog, hashed or
// not; those of custom fields start with cf_.
func catalogued(column string) bool { return !strings.HasPrefix(column, "cf_") }

// late notes a side row that shows other values than are held and cannot be
// told to be newer: what is held may be of before the column.
func (b backfill) late(reg source.Register) {
	for _, p := range b.pending {
		if p.Register == reg {
			b.unfilled[p] = true
		}
	}
}

// filled are the columns whose rows have all been written.
func (b backfill) filled() []source.PendingColumn {
	return slices.DeleteFunc(slices.Clone(b.pending), func(p source.PendingColumn) bool { return b.unfilled[p] })
}

// fills reports whether a row that is held as it was read has to be written once
// more, for a column that it lacks or because its department was selected or is
// not any more. The shadow of a rebuild gets every row anyway.
func (c *comparison) fills(f found) bool {
	return !c.dry && !f.news && f.why == source.NoContradiction && f.Record != nil && f.Carries[source.Content] &&
		!f.held.Deleted && f.held.Content.AsOf != 0 && f.Record.Fingerprint == f.held.Content.Hash &&
		(f.Record.LeftOut != f.held.LeftOut || !c.shadow && c.wh.Backfills(c.w.table, source.Content, f.Record))
}

// refills gives a row that another edition of the catalog fingerprinted its
// fingerprint of this one: same modifiedTime, so nothing says that Zoho changed
// it. It holds as of what the index shows for certain, at least just after what
// is held, as the reply to a GET would.
func refills(o source.Observation, held source.Head) source.Observation {
	o.Over, o.AsOf = held.Content, max(o.AsOf, o.SeenAt-indexLag, held.Content.AsOf+1)
	return o
}

// ofOtherEdition reports whether a row of a poll contradicts what is held only
// because that was fingerprinted by another edition, as far as modifiedTime
// tells: thousands of rows would be read by id for nothing.
func (w *writer) ofOtherEdition(why source.Contradiction, held source.Head, o source.Observation) bool {
	return why == source.OtherContent && w.otherEdition.Load() && o.Evidence != source.EvidenceWebhook && o.Record.Modified == held.Modified && caughtUp(held, o)
}

// caughtUp reports whether a row certainly shows what is held or later: what a
// GET or an event brought a moment ago the index may not show yet.
func caughtUp(held source.Head, o source.Observation) bool {
	return o.Evidence == source.EvidenceGet || o.SeenAt-indexLag >= held.Content.AsOf
}

// ofOtherEdition is the same of a complete reading, whatever its evidence.
func (c *comparison) ofOtherEdition(f found) bool {
	return c.w.otherEdition.Load() && (f.why == source.NoContradiction || f.why == source.OtherContent) && f.Record != nil &&
		f.Carries[source.Content] && f.Life != source.LifeDeleted && !f.held.Deleted && f.held.Content.AsOf != 0 &&
		f.Record.Fingerprint != f.held.Content.Hash && f.Record.Modified == f.held.Modified && caughtUp(f.held, f.Observation)
}

// refill writes a row once more with the values of the record read. It does
// nothing when newer content arrived since: that was written with all columns.
func (w *writer) refill(b *merged, out *outcome, st source.State, o source.Observation) source.State {
	out.Seen++
	b.addSide(source.Listed, o)
	b.addSide(source.Detail, o)
	if o.Carries[source.Content] && (st.Content != o.Over || st.Deleted || st.Record != nil) {
		out.Unchanged++
		return st
	}
	if !unseen(st.Head, source.Head{LeftOut: o.Record.LeftOut}) {
		out.Backfilled++
	}
	if !o.Carries[source.Content] {
		return st
	}
	w.cameBack(b, st.Head, o)
	st.Record, st.LeftOut = o.Record, o.Record.LeftOut
	if o.Record.Fingerprint != st.Content.Hash {
		st.Content = source.Stamp{AsOf: o.AsOf, Rank: o.Evidence, Hash: o.Record.Fingerprint}
	}
	return st
}

// editionName is the position under which the warehouse remembers which edition
// of the catalog the fingerprints of a table have.
func editionName(t source.Table) string { return editionOf + string(t) }

const editionOf = "edition."

// learnEdition finds out, before anything is written, whether the rows of a
// table were fingerprinted by another edition. A release that did not say counts
// as another one; an empty table is this one's, and lacks nothing.
func (w *writer) learnEdition(ctx context.Context) error {
	held, known, err := w.wh.Position(ctx, editionName(w.table))
	if err != nil {
		return fmt.Errorf("read the edition of %s: %w", w.table, err)
	}
	w.otherEdition.Store(!known || held != uint64(w.edition))
	totals, err := w.wh.Totals(ctx, w.table)
	if err != nil {
		return fmt.Errorf("count the rows of %s: %w", w.table, err)
	}
	for _, n := range totals {
		if n > 0 {
			return nil
		}
	}
	return errors.Join(w.wh.Backfilled(ctx, w.table, w.wh.PendingColumns(w.table)), w.keepEdition(ctx))
}

// keepEdition notes that all rows have fingerprints of this edition.
func (w *writer) keepEdition(ctx context.Context) error {
	if !w.otherEdition.Load() {
		return nil
	}
	if err := w.wh.SavePosition(ctx, editionName(w.table), uint64(w.edition)); err != nil {
		return fmt.Errorf("note the edition of %s: %w", w.table, err)
	}
	w.otherEdition.Store(false)
	return nil
}

// backfilled ends what a complete reading filled. Archived tickets that are held
// are not read again, so they lack what a release or a selection added, and show
// what a custom field held before that uses its column again; another custom
// field is newer than they are.
func (r *run) backfilled(ctx context.Context) error {
	if r.report.Incomplete || !r.whole {
		return nil
	}
	filled := r.cmp.backfill.filled()
	if r.reading.passed {
		archivedLack := func(p source.PendingColumn) bool { return catalogued(p.Column) || p.Kept }
		r.wh.BackfilledRead(r.tp.w.table, slices.DeleteFunc(slices.Clone(filled), func(p source.PendingColumn) bool { return !archivedLack(p) }))
		filled = slices.DeleteFunc(filled, archivedLack)
	}
	if err := r.wh.Backfilled(ctx, r.tp.w.table, filled); err != nil {
		return fmt.Errorf("end the backfill: %w", err)
	}
	return r.tp.w.keepEdition(ctx)
}
