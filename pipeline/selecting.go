package pipeline

import (
	"context"

	"deskhouse/source"
)

// masks are what of each table is stored; a table without one is stored whole.
type masks map[source.Table]*source.Mask

// page masks the records of a page. What could not be placed has no record and
// stays as it was sent, for the dead letters.
func (m masks) page(t source.Table, page source.Page, err error) (source.Page, error) {
	if mask := m[t]; mask != nil {
		for i, r := range page.Records {
			page.Records[i] = mask.Record(r)
		}
	}
	return page, err
}

// selecting is a portal whose records are masked before anybody else sees them:
// what is not to be stored enters neither a comparison nor a queue nor a write.
type selecting struct {
	Desk
	masks masks
}

func (s selecting) Search(ctx context.Context, p source.Priority, t source.Table, q source.Query) (source.Page, error) {
	page, err := s.Desk.Search(ctx, p, t, q)
	return s.masks.page(t, page, err)
}

func (s selecting) Get(ctx context.Context, p source.Priority, t source.Table, id uint64) (*source.Record, source.Timing, error) {
	rec, at, err := s.Desk.Get(ctx, p, t, id)
	return s.masks[t].Record(rec), at, err
}

func (s selecting) List(ctx context.Context, p source.Priority, t source.Table, q source.ListQuery) (source.Page, error) {
	page, err := s.Desk.List(ctx, p, t, q)
	return s.masks.page(t, page, err)
}

func (s selecting) Archived(ctx context.Context, p source.Priority, departmentID uint64, offset, limit int) (source.Page, error) {
	page, err := s.Desk.Archived(ctx, p, departmentID, offset, limit)
	return s.masks.page(source.Tickets, page, err)
}

func (s selecting) Fields(ctx context.Context, p source.Priority, module string) (source.Page, []source.CustomField, error) {
	page, custom, err := s.Desk.Fields(ctx, p, module)
	page, err = s.masks.page(source.OrganizationFields, page, err)
	return page, custom, err
}

// edition is the edition of the fingerprints of a table's records.
func (m masks) edition(t source.Table) uint32 {
	if mask := m[t]; mask != nil {
		return mask.Edition()
	}
	return source.Lookup(t).Edition()
}

// leavesByChoice reports whether a record is empty because its department is not
// selected, and not because it hides which one that is.
func leavesByChoice(rec *source.Record) bool { return rec.LeftOut && rec.TellsDepartment() }

// unseen reports whether nobody was shown a row before a merge, or is after it,
// because of its department: that counts as no change, and no history tells it.
func unseen(was, is source.Head) bool {
	return is.LeftOut && (was.LeftOut || was.Deleted || was.Content.AsOf == 0)
}

// cameBack notes the side rows of a row that is selected again: whatever is held
// of them is empty.
func (w *writer) cameBack(b *merged, was source.Head, o source.Observation) {
	if !was.LeftOut || o.Record == nil || o.Record.LeftOut {
		return
	}
	for _, sides := range b.sides {
		if s, ok := sides[o.Key]; ok && s.record == o.Record {
			s.over = true
			sides[o.Key] = s
		}
	}
}

// emptySides makes the side rows of a row that is left out empty as well: those
// that were read before it was, or of another state of it, are not written, and
// what is held is written over.
func (w *writer) emptySides(b *merged, k source.Key, st source.State) {
	for _, reg := range []source.Register{source.Listed, source.Detail} {
		if !w.res.Has(reg) {
			continue
		}
		s, told := b.sides[reg][k]
		delete(b.sides[reg], k)
		switch {
		case st.Record != nil:
			s = side{stamp: source.Stamp{AsOf: st.Content.AsOf, Rank: st.Content.Rank}, record: st.Record}
		case !told || !s.record.LeftOut:
			continue
		}
		if b.empty[reg] == nil {
			b.empty[reg] = map[source.Key]side{}
		}
		s.over = true
		b.empty[reg][k] = s
	}
}
