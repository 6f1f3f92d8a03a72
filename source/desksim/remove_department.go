package desksim

import "slices"

// standing is the department a new record gets: seq, or the default one when seq was removed. p.mu is held.
func (p *Portal) standing(seq uint32) uint32 {
	if d := p.departments.rows[kindDepartment.id(seq)]; d != nil && d.removedAt != 0 {
		return 0
	}
	return seq
}

// otherDepartment draws a department that stands, another one if there is another. p.mu is held.
func (p *Portal) otherDepartment(seq uint32) uint32 {
	n := p.departments.nextSeq()
	other := (seq + 1 + p.rng.Uint32N(max(n-1, 1))) % n
	for range n {
		if d := p.departments.rows[kindDepartment.id(other)]; d.removedAt == 0 && other != seq {
			return other
		}
		other = (other + 1) % n
	}
	return seq
}

// RemoveDepartment removes a department for good; id 0 picks one, never the default one. What belongs to it is moved to
// other departments first: live tickets with events, archived and trashed ones in silence. There is no Department_Delete
// event (OAS Webhook.json), and no API call that removes one: it is done on the screen.
func (p *Portal) RemoveDepartment(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := pick(p, &p.departments, id, func(d *department) bool { return !d.isDefault && d.removedAt == 0 })
	if err != nil {
		return 0, err
	}
	seq, _ := kindDepartment.seq(old.id)
	p.emptyOfTickets(seq)
	p.emptyOfRecords(seq)
	d := *old
	d.removedAt = p.second()
	p.departments.put(d.id, &d)
	return d.id, nil
}

// emptyOfTickets moves all tickets of a department but the purged ones.
func (p *Portal) emptyOfTickets(dept uint32) {
	var scratch ticket
	for seq := range p.tickets.created {
		t := p.tickets.load(&p.gen, uint32(seq), &scratch)
		if t.department != dept || t.state == Purged {
			continue
		}
		before, moved, err := p.editTicket(t.id(), func(*ticket) bool { return true })
		if err != nil {
			continue
		}
		moved.department = p.otherDepartment(dept)
		p.commitTicket(before, moved, []string{"departmentId"}, TicketChange{Silent: t.archived || t.state != Live})
	}
}

// emptyOfRecords takes a department from products, contracts and the recycle bin.
func (p *Portal) emptyOfRecords(dept uint32) {
	id, now := kindDepartment.id(dept), p.second()
	p.products.each(func(r *product) {
		if r.state != Purged && slices.Contains(r.departments, id) {
			x := *r
			x.departments = slices.DeleteFunc(slices.Clone(r.departments), func(d uint64) bool { return d == id })
			x.modified = now
			p.storeProduct(&x)
		}
	})
	p.contracts.each(func(r *contract) {
		if r.state != Purged && r.department == dept {
			x := *r
			x.department, x.modified = p.otherDepartment(dept), now
			p.storeContract(&x)
		}
	})
	for i := range p.bin {
		if p.bin[i].department == id {
			p.bin[i].department = p.binDepartment(p.bin[i])
		}
	}
}

// binDepartment is the department a bin item's record has now.
func (p *Portal) binDepartment(i binItem) uint64 {
	switch i.module {
	case "tickets":
		return kindDepartment.id(p.ticketByID(i.id, new(ticket)).department)
	case "contracts":
		return kindDepartment.id(p.contracts.rows[i.id].department)
	}
	return 0
}
