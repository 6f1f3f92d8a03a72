package desksim

// UpdateDetail changes one of the members that only GET and webhooks carry (counters, sentiment, lockedTime,
// isResponseOverdue) of a live ticket, without an event and without a new modifiedTime; id 0 picks one.
func (p *Portal) UpdateDetail(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, t, err := p.editTicket(id, isWorkable)
	if err != nil {
		return 0, err
	}
	p.commitTicket(before, t, []string{p.detailField(t)}, TicketChange{Silent: true})
	return t.id(), nil
}

// isWorkable is true for tickets an agent can change.
func isWorkable(t *ticket) bool { return t.state == Live && !t.archived }

func (p *Portal) detailField(t *ticket) string {
	switch p.rng.IntN(9) {
	case 0:
		t.tasks++
		return "taskCount"
	case 1:
		t.followers++
		return "followerCount"
	case 2:
		t.attachments++
		return "attachmentCount"
	case 3:
		t.approvals++
		return "approvalCount"
	case 4:
		t.timeEntries++
		return "timeEntryCount"
	case 5:
		t.tags++
		return "tagCount"
	case 6:
		t.responseOverdue = !t.responseOverdue
		return "isResponseOverdue"
	case 7:
		t.sentiment = (t.sentiment + 1) % uint8(len(sentiments))
		return "sentiment"
	}
	t.locked = max(p.second(), t.locked+1)
	return "lockedTime"
}

// TwinUpdate changes a live ticket twice within one second: both contents have the same modifiedTime. The two events are up
// to the rest of that second apart. id 0 picks a ticket.
func (p *Portal) TwinUpdate(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.moment = moment{} }()
	p.moment.second = p.second()
	for range 2 {
		before, t, err := p.editTicket(id, isWorkable)
		if err != nil {
			return 0, err
		}
		id = t.id()
		changed := append(p.randomEdit(t), "subject")
		t.subject, t.text = t.subject+1+p.rng.Uint32N(1<<30), nil
		p.commitTicket(before, t, changed, TicketChange{})
		p.moment.ahead = p.rng.Int64N(1000 - p.Now().UnixMilli()%1000)
	}
	return id, nil
}

// UnmarkSpam takes the spam mark from a live ticket; id 0 picks one.
func (p *Portal) UnmarkSpam(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, t, err := p.editTicket(id, func(t *ticket) bool { return isWorkable(t) && t.spam })
	if err != nil {
		return 0, err
	}
	t.spam = false
	p.commitTicket(before, t, []string{"isSpam"}, TicketChange{})
	return t.id(), nil
}

// trailingUpdate tells a Ticket_Update with the content before a deletion, later than that deletion: an update that was on
// its way. p.mu is held.
func (p *Portal) trailingUpdate(live *ticket) {
	ahead, ok := p.faults.trailing()
	if !ok {
		return
	}
	p.moment.ahead = ahead
	defer func() { p.moment.ahead = 0 }()
	p.emit(&event{kind: "Ticket_Update", id: live.id(), department: kindDepartment.id(live.department), changed: []string{"isOverDue"},
		payload: func(b []byte) []byte { return p.appendTicketPayload(b, live, "Ticket_Update", "") }})
}

// trailing draws whether and how many ms later an update trails a deletion.
func (f *Faults) trailing() (ahead int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hooks.TrailingUpdate <= 0 || f.hookRng.Float64() >= f.hooks.TrailingUpdate {
		return 0, false
	}
	return 1 + f.hookRng.Int64N(1000), true
}
