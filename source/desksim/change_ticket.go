package desksim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrNoRecord is returned for an id that is no record of the kind, or not in a state the change needs.
var ErrNoRecord = errors.New("no such record in a fitting state")

// TicketChange says what to set on a ticket; nil members stay. Labels must be of the portal's own (Status "Closed",
// Priority "High", …). CF is keyed by API name, a nil value is null; values are strings whatever the type, as on the wire.
type TicketChange struct {
	Subject, Description, Resolution     *string
	Status, Priority, Category, Language *string
	Department                           uint64 // 0: stays
	Product                              *uint64
	CF                                   map[string]*string
	Silent                               bool // neither modifiedTime moves nor an event is sent
	Automation                           bool // made by a rule: told only to webhooks with includeEventsFrom AUTOMATION
}

// CreateTicket creates a ticket now and returns its id. What the change leaves open is drawn from the seed.
func (p *Portal) CreateTicket(ch TicketChange) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &ticket{}
	now := max(p.second(), p.lastCreated())
	p.gen.fill(t, uint32(len(p.tickets.created)), now, now)
	t.spam, t.archived, t.status, t.closed, t.onhold, t.locked, t.resolution = false, false, statusOpen, 0, 0, 0, 0
	t.customerResponse = now
	t.department = p.standing(t.department)
	t.past = follow(p, nil, t.past)
	t.cf = map[uint64]cfCell{}
	for _, f := range p.custom["tickets"] {
		t.cf[f.id] = cfCell{rev: 1}
	}
	if _, err := p.applyTicket(t, ch); err != nil {
		return 0, err
	}
	p.index.reserve(t)
	p.storeTicket(t)
	p.ticketEvent("Ticket_Add", nil, t, nil, ch.Automation, "")
	return t.id(), nil
}

func (p *Portal) lastCreated() int64 {
	if n := len(p.tickets.created); n > 0 {
		return p.tickets.created[n-1]
	}
	return 0
}

// UpdateTicket changes a live ticket; id 0 picks one. A change that sets nothing draws one from the seed.
func (p *Portal) UpdateTicket(id uint64, ch TicketChange) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, t, err := p.editTicket(id, func(t *ticket) bool { return t.state == Live && !t.archived })
	if err != nil {
		return 0, err
	}
	changed, err := p.applyTicket(t, ch)
	if err != nil {
		return 0, err
	}
	if len(changed) == 0 {
		changed = p.randomEdit(t)
	}
	p.commitTicket(before, t, changed, ch)
	return t.id(), nil
}

// commitTicket stores an edited ticket and tells of it.
func (p *Portal) commitTicket(before, t *ticket, changed []string, ch TicketChange) {
	if !ch.Silent {
		t.modified = p.second()
		t.modifiedBy = uint16(p.rng.IntN(agentCount))
	}
	p.storeTicket(t)
	if !ch.Silent {
		p.ticketEvent("Ticket_Update", before, t, changed, ch.Automation, "")
	}
}

// editTicket returns a ticket that fits and a copy to change. p.mu is held.
func (p *Portal) editTicket(id uint64, fits func(*ticket) bool) (before, after *ticket, err error) {
	before = p.findTicket(id, fits)
	if before == nil {
		return nil, nil, fmt.Errorf("change ticket %d: %w", id, ErrNoRecord)
	}
	t, old := *before, *before
	old.before = nil // one step only
	t.past = follow(p, &old, before.past)
	t.cf = maps.Clone(t.cf)
	if t.cf == nil {
		t.cf = map[uint64]cfCell{}
	}
	return &old, &t, nil
}

// findTicket returns the ticket of an id, or draws one for 0; nil when none fits.
func (p *Portal) findTicket(id uint64, fits func(*ticket) bool) *ticket {
	if id != 0 {
		if t := p.ticketByID(id, new(ticket)); t != nil && fits(t) {
			return t
		}
		return nil
	}
	n := len(p.tickets.created)
	if n == 0 {
		return nil
	}
	start := p.rng.IntN(n)
	for i := range n {
		t := p.tickets.load(&p.gen, uint32((start+i)%n), new(ticket))
		if fits(t) {
			return t
		}
	}
	return nil
}

// storeTicket puts a ticket into the truth now and into the search index when it is old enough. p.mu is held.
func (p *Portal) storeTicket(t *ticket) {
	p.tickets.put(t)
	p.publish(t.id(), func() { p.index.put(t) })
}

// applyTicket sets what ch says and returns the API names of the fields it touched.
func (p *Portal) applyTicket(t *ticket, ch TicketChange) ([]string, error) {
	var changed []string
	texts := ticketText{}
	if t.text != nil {
		texts = *t.text
	}
	for _, s := range []struct {
		name string
		from *string
		to   **string
	}{{"subject", ch.Subject, &texts.subject}, {"description", ch.Description, &texts.description}, {"resolution", ch.Resolution, &texts.resolution}} {
		if s.from != nil {
			*s.to = s.from
			changed = append(changed, s.name)
			t.text = &texts
		}
	}
	labels, err := p.applyLabels(t, ch)
	if err != nil {
		return nil, err
	}
	moved, err := p.applyRefs(t, ch)
	if err != nil {
		return nil, err
	}
	custom, err := p.applyCustom("tickets", t.cf, ch.CF)
	return slices.Concat(changed, labels, moved, custom), err
}

func (p *Portal) applyLabels(t *ticket, ch TicketChange) ([]string, error) {
	var changed []string
	if ch.Status != nil {
		at := slices.IndexFunc(statuses, func(s status) bool { return s.name == *ch.Status })
		if at < 0 {
			return nil, fmt.Errorf("set status of ticket %d: %w", t.id(), ErrNoRecord)
		}
		p.setStatus(t, uint8(at))
		changed = append(changed, "status")
	}
	for _, l := range []struct {
		name  string
		label *string
		words []string
		to    *uint8
	}{{"priority", ch.Priority, priorities, &t.priority}, {"category", ch.Category, categories, &t.category}, {"language", ch.Language, languages, &t.language}} {
		if l.label == nil {
			continue
		}
		at := slices.Index(l.words, *l.label)
		if at < 0 {
			return nil, fmt.Errorf("set %s of ticket %d: %w", l.name, t.id(), ErrNoRecord)
		}
		*l.to = uint8(at)
		changed = append(changed, l.name)
	}
	return changed, nil
}

func (p *Portal) applyRefs(t *ticket, ch TicketChange) ([]string, error) {
	var changed []string
	if ch.Department != 0 {
		seq, ok := kindDepartment.seq(ch.Department)
		if d := p.departments.rows[ch.Department]; !ok || d == nil || d.removedAt != 0 {
			return nil, fmt.Errorf("move ticket %d: department: %w", t.id(), ErrNoRecord)
		}
		t.department = seq
		changed = append(changed, "departmentId")
	}
	if ch.Product != nil {
		seq, ok := kindProduct.seq(*ch.Product)
		if *ch.Product != 0 && (!ok || p.products.rows[*ch.Product] == nil) {
			return nil, fmt.Errorf("set product of ticket %d: %w", t.id(), ErrNoRecord)
		}
		if t.product = 0; ok {
			t.product = seq + 1
		}
		changed = append(changed, "productId")
	}
	return changed, nil
}

// setStatus keeps the times that follow from the status.
func (p *Portal) setStatus(t *ticket, s uint8) {
	now := p.second()
	t.status, t.closed, t.onhold = s, 0, 0
	switch statuses[s].kind {
	case "Closed":
		t.closed = now
	case "On Hold":
		t.onhold = now
	}
}

// applyCustom sets custom fields by API name.
func (p *Portal) applyCustom(module string, cells map[uint64]cfCell, values map[string]*string) ([]string, error) {
	names := sortedKeys(values)
	for _, name := range names {
		at := slices.IndexFunc(p.custom[module], func(f *field) bool { return f.apiName == name })
		if at < 0 {
			return nil, fmt.Errorf("set custom field %s of %s: %w", name, module, ErrNoRecord)
		}
		cells[p.custom[module][at].id] = cfCell{null: values[name] == nil, given: values[name]}
	}
	return names, nil
}

// randomEdit changes one to three things and returns their names.
func (p *Portal) randomEdit(t *ticket) []string {
	var changed []string
	for range 1 + p.rng.IntN(3) {
		changed = append(changed, p.randomField(t))
	}
	return changed
}

func (p *Portal) randomField(t *ticket) string {
	draw := func(n int) uint8 { return uint8(p.rng.IntN(n)) }
	switch p.rng.IntN(12) {
	case 0:
		t.subject, t.text = p.rng.Uint32(), nil
		return "subject"
	case 1:
		t.body, t.text = p.rng.Uint32(), nil
		return "description"
	case 2:
		t.resolution, t.text = 1+p.rng.Uint32N(1<<31), nil
		return "resolution"
	case 3:
		t.priority = draw(len(priorities))
		return "priority"
	case 4:
		t.category = draw(len(categories))
		return "category"
	case 5:
		t.assignee = uint16(p.rng.IntN(agentCount + 1))
		return "assigneeId"
	case 6, 7:
		p.setStatus(t, draw(len(statuses)))
		return "status"
	case 8:
		t.threads++
		t.customerResponse = p.second()
		return "threadCount"
	case 9:
		t.due = p.second() + int64(3600*(1+p.rng.IntN(96)))
		return "dueDate"
	}
	return p.randomCustom("tickets", t.cf)
}

// randomCustom redraws one custom field of a module's record, now and then to null.
func (p *Portal) randomCustom(module string, cells map[uint64]cfCell) string {
	if len(p.custom[module]) == 0 {
		return ""
	}
	f := p.custom[module][p.rng.IntN(len(p.custom[module]))]
	cells[f.id] = cfCell{rev: 1 + p.rng.Uint32N(1<<30), null: p.rng.IntN(10) == 0}
	return f.apiName
}

// MoveTicket moves a live ticket to a department; id 0 picks a ticket, department 0 another department.
func (p *Portal) MoveTicket(id, department uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, t, err := p.editTicket(id, func(t *ticket) bool { return t.state == Live && !t.archived })
	if err != nil {
		return 0, err
	}
	if department == 0 {
		department = kindDepartment.id(p.otherDepartment(t.department))
	}
	ch := TicketChange{Department: department}
	changed, err := p.applyTicket(t, ch)
	if err != nil {
		return 0, err
	}
	p.commitTicket(before, t, changed, ch)
	return t.id(), nil
}

// ArchiveTicket archives a closed live ticket, without an event and without a new modifiedTime; id 0 picks one.
func (p *Portal) ArchiveTicket(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, t, err := p.editTicket(id, func(t *ticket) bool {
		return t.state == Live && !t.archived && statuses[t.status].kind == "Closed"
	})
	if err != nil {
		return 0, err
	}
	t.archived = true
	p.storeTicket(t)
	at, _ := slices.BinarySearch(p.archived, t.seq)
	p.archived = slices.Insert(p.archived, at, t.seq)
	return t.id(), nil
}

// unquoted is a rendered JSON string as text.
func unquoted(quoted []byte) string {
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return strings.Trim(string(quoted), `"`)
	}
	return string(text)
}
