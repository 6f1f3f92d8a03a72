package desksim

// TrashTicket puts a live ticket into the recycle bin; id 0 picks one.
func (p *Portal) TrashTicket(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, t, err := p.editTicket(id, func(t *ticket) bool { return t.state == Live && !t.archived })
	if err != nil {
		return 0, err
	}
	t.state, t.deletedAt, t.deletedBy = Trashed, p.second(), uint16(p.rng.IntN(agentCount))
	if p.cfg.TrashTouches {
		t.modified = t.deletedAt
	}
	p.storeTicket(t)
	p.addToBin(binItem{"tickets", t.id(), unquoted(t.appendSubject(nil)), kindDepartment.id(t.department), t.deletedBy, t.deletedAt})
	p.deleteEvents(before, t)
	return t.id(), nil
}

// RestoreTicket takes a ticket out of the recycle bin, without any event; id 0 picks one.
func (p *Portal) RestoreTicket(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, t, err := p.editTicket(p.binned("tickets", id), func(t *ticket) bool { return t.state == Trashed })
	if err != nil {
		return 0, err
	}
	t.state, t.deletedAt, t.deletedBy = Live, 0, 0
	if p.cfg.TrashTouches {
		t.modified = p.second()
	}
	p.storeTicket(t)
	p.takeFromBin(t.id())
	return t.id(), nil
}

// binned draws an id of a module from the bin for 0; it returns a value no record has when there is none.
func (p *Portal) binned(module string, id uint64) uint64 {
	if id != 0 {
		return id
	}
	var ids []uint64
	for _, i := range p.bin {
		if i.module == module {
			ids = append(ids, i.id)
		}
	}
	if len(ids) == 0 {
		return 1
	}
	return ids[p.rng.IntN(len(ids))]
}

// DeleteSpam marks a live ticket as spam and deletes it for good in one go: it never is in the recycle bin. id 0 picks one.
func (p *Portal) DeleteSpam(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, t, err := p.editTicket(id, func(t *ticket) bool { return t.state == Live && !t.archived })
	if err != nil {
		return 0, err
	}
	t.spam = true
	p.remove(before, t)
	return t.id(), nil
}

// remove takes a ticket away without the recycle bin.
func (p *Portal) remove(before, t *ticket) {
	t.state, t.deletedAt = Purged, p.second()
	p.storeTicket(t)
	if !p.cfg.QuietRemovals {
		p.deleteEvents(before, t)
	}
}

// MarkSpam sets isSpam of a live ticket; id 0 picks one.
func (p *Portal) MarkSpam(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, t, err := p.editTicket(id, func(t *ticket) bool { return t.state == Live && !t.archived && !t.spam })
	if err != nil {
		return 0, err
	}
	t.spam = true
	p.commitTicket(before, t, []string{"isSpam"}, TicketChange{})
	return t.id(), nil
}

// MergeTickets merges source into target: source is gone, target's counters grow. 0 picks either. It returns both ids.
func (p *Portal) MergeTickets(target, source uint64) (kept, gone uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	live := func(t *ticket) bool { return t.state == Live && !t.archived }
	beforeKept, keep, err := p.editTicket(target, live)
	if err != nil {
		return 0, 0, err
	}
	beforeGone, drop, err := p.editTicket(source, func(t *ticket) bool { return live(t) && t.seq != keep.seq })
	if err != nil {
		return 0, 0, err
	}
	drop.merged = keep.seq + 1
	p.remove(beforeGone, drop)
	keep.threads += drop.threads
	keep.comments += drop.comments
	p.commitTicket(beforeKept, keep, []string{"threadCount", "commentCount"}, TicketChange{})
	return keep.id(), drop.id(), nil
}
