package desksim

import (
	"encoding/json"
	"iter"
	"strconv"
	"time"
)

// TruthRow is what became of one record.
type TruthRow struct {
	ID        uint64
	Module    string // fields only: the module it belongs to
	APIName   string // fields only
	Key       string // the id in digits; for fields module and API name, "tickets/cf_region"
	State     State
	DeletedAt time.Time // zero while the record lives

	// Get is what GET by id says now, with the default include; of a trashed record it is the last content. Search is a
	// row of search, or of the list where there is no search. For fields they are the rows of /fields and of
	// /organizationFields. Nil where the projection does not exist: Get of purged records, Search of what search and
	// lists do not show, either field resource that does not answer for the module.
	Get, Search json.RawMessage
	// Last is the content a purged record had, in the shape of Get; nil for the others.
	Last     json.RawMessage
	Archived bool // tickets only
	// List is a ticket's row of GET /tickets, or of GET /tickets/archivedTickets when it is archived, without include; nil for
	// what neither shows, and for other tables.
	List json.RawMessage
}

// Truth yields every record of a table, deleted ones too, in order of creation: tickets, departments, products,
// organization_fields or contracts. It shows the portal itself, not the lagging search index, under faults (hidden
// departments) but without hidden keys, stale replicas and Config.CreateLag. Rows are rendered one by one; a change made meanwhile may or may not be seen.
// An unknown table yields nothing.
func (p *Portal) Truth(table string) iter.Seq[TruthRow] {
	return func(yield func(TruthRow) bool) {
		p.catchUp()
		row := map[string]func(int) (TruthRow, bool){"tickets": p.ticketTruth, "departments": p.departmentTruth,
			"products": p.productTruth, "organization_fields": p.fieldTruth, "contracts": p.contractTruth}[table]
		for i := 0; row != nil; i++ {
			r, ok := row(i)
			if !ok || !yield(r) {
				return
			}
		}
	}
}

func (p *Portal) ticketTruth(i int) (TruthRow, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if i >= len(p.tickets.created) {
		return TruthRow{}, false
	}
	t := p.tickets.load(&p.gen, uint32(i), new(ticket))
	r := newTruth(t.id(), t.state, t.deletedAt)
	r.Archived = t.archived
	if t.state == Purged {
		last := *t
		last.state = Live
		r.Last = p.appendTicketGet(nil, &last, 0)
		return r, true
	}
	r.Get = p.appendTicketGet(make([]byte, 0, rowSize), t, 0)
	hidden := p.faults.hiddenDepartments()[kindDepartment.id(t.department)]
	if hidden && t.state == Live {
		r.State, r.Get = Hidden, nil
	}
	mark := markOf(t)
	if !hidden && (mark == markLive || mark == markSpam && !p.cfg.HideSpam || mark == markArchived) {
		r.List = p.appendTicketList(make([]byte, 0, rowSize), t, 0)
	}
	if !hidden && (mark == markLive || mark == markSpam && !p.cfg.HideSpam || mark == markArchived && p.cfg.ArchivedInSearch) {
		r.Search = p.appendTicketSearch(make([]byte, 0, rowSize), t)
	}
	return r, true
}

const rowSize = 4096 // of one rendered ticket, about

func newTruth(id uint64, s State, deletedAt int64) TruthRow {
	r := TruthRow{ID: id, State: s, Key: strconv.FormatUint(id, 10)}
	if deletedAt != 0 {
		r.DeletedAt = time.Unix(deletedAt, 0).UTC()
	}
	return r
}

func (p *Portal) departmentTruth(i int) (TruthRow, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if i >= len(p.departments.ids) {
		return TruthRow{}, false
	}
	d := p.departments.rows[p.departments.ids[i]]
	switch {
	case d.removedAt != 0:
		r := newTruth(d.id, Purged, d.removedAt)
		r.Last = appendDepartment(nil, d, true)
		return r, true
	case p.faults.hiddenDepartments()[d.id]:
		return newTruth(d.id, Hidden, 0), true
	}
	r := newTruth(d.id, Live, 0)
	r.Get, r.Search = appendDepartment(nil, d, true), appendDepartment(nil, d, false)
	return r, true
}

func (p *Portal) productTruth(i int) (TruthRow, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if i >= len(p.products.ids) {
		return TruthRow{}, false
	}
	d := p.products.rows[p.products.ids[i]]
	r := newTruth(d.id, d.state, d.deletedAt)
	switch d.state {
	case Purged:
		last := *d
		last.state = Live
		r.Last = p.appendProduct(nil, &last, true, 0)
	case Live:
		r.Search = p.appendProduct(nil, d, false, 0)
		fallthrough
	default:
		r.Get = p.appendProduct(nil, d, true, 0)
	}
	return r, true
}

func (p *Portal) contractTruth(i int) (TruthRow, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if i >= len(p.contracts.ids) {
		return TruthRow{}, false
	}
	now := p.Now().Unix()
	d := p.contracts.rows[p.contracts.ids[i]]
	r := newTruth(d.id, d.state, d.deletedAt)
	switch {
	case d.state == Purged:
		r.Last = p.appendContract(nil, d, now)
	case d.state == Live && p.faults.hiddenDepartments()[kindDepartment.id(d.department)]:
		r.State = Hidden
	case d.state == Live:
		r.Search, _ = p.appendContractList(nil, d, now, nil)
		fallthrough
	default:
		r.Get = p.appendContract(nil, d, now)
	}
	return r, true
}

func (p *Portal) fieldTruth(i int) (TruthRow, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if i >= len(p.fields.ids) {
		return TruthRow{}, false
	}
	f := p.fields.rows[p.fields.ids[i]]
	r := newTruth(f.id, Live, 0)
	r.Module, r.APIName, r.Key = f.module, f.apiName, f.module+"/"+f.apiName
	if f.removed {
		r.State, r.DeletedAt = Purged, time.Unix(f.removedAt, 0).UTC()
		r.Last = appendField(nil, f, true, false)
		return r, true
	}
	if p.answersFor(f.module, true) {
		r.Get = appendField(nil, f, true, false)
	}
	if p.answersFor(f.module, false) {
		r.Search = appendField(nil, f, false, false)
	}
	return r, true
}
