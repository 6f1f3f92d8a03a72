package desksim

import "strconv"

// Contacts, accounts, agents and teams are no tables here, but their names stand in other records and change without them:
// neither modifiedTime moves nor a ticket event is sent.

// RenameContact gives a contact another name; id 0 picks the contact of a live ticket. Mail and phone stay.
func (p *Portal) RenameContact(id uint64) (uint64, error) {
	return p.rename(kindContact, id, func(t *ticket) uint64 { return kindContact.id(t.contact) },
		func(seq uint32) string { return p.contactName(seq).first + " " + p.contactName(seq).last })
}

// RenameAccount gives an account another name; id 0 picks the account of a live ticket's contact.
func (p *Portal) RenameAccount(id uint64) (uint64, error) {
	return p.rename(kindAccount, id, func(t *ticket) uint64 { return kindAccount.id(accountOf(t.contact)) }, p.accountName)
}

// RenameAgent gives an agent another name; id 0 picks the assignee of a live ticket.
func (p *Portal) RenameAgent(id uint64) (uint64, error) {
	return p.rename(kindAgent, id, func(t *ticket) uint64 { return optional(kindAgent, uint32(t.assignee)) },
		func(seq uint32) string { return p.agentName(uint16(seq)).first + " " + p.agentName(uint16(seq)).last })
}

// RenameTeam gives a team another name; id 0 picks the team of a live ticket.
func (p *Portal) RenameTeam(id uint64) (uint64, error) {
	return p.rename(kindTeam, id, func(t *ticket) uint64 { return optional(kindTeam, uint32(t.team)) },
		func(seq uint32) string { return p.teamName(uint16(seq)) })
}

// rename draws names for what id means, or what of a live ticket refers to, until the name is another.
func (p *Portal) rename(k kind, id uint64, of func(*ticket) uint64, name func(uint32) string) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id == 0 {
		t := p.findTicket(0, func(t *ticket) bool { return t.state == Live && of(t) != 0 })
		if t == nil {
			return 0, ErrNoRecord
		}
		id = of(t)
	}
	seq, ok := k.seq(id)
	if !ok || k == kindAgent && seq >= agentCount || k == kindTeam && int(seq) >= len(teamNames) {
		return 0, ErrNoRecord
	}
	for old := name(seq); name(seq) == old; {
		p.renamed[id]++
	}
	return id, nil
}

// renamings is how often a contact, account, agent or team got another name. p.mu is held.
func (p *Portal) renamings(k kind, seq uint32) uint64 {
	if len(p.renamed) == 0 {
		return 0
	}
	return uint64(p.renamed[k.id(seq)])
}

func (p *Portal) contactName(seq uint32) person {
	c := contactPerson(seq)
	if n := p.renamings(kindContact, seq); n > 0 {
		d := dice(mix2(0xc0c1+n, uint64(seq)))
		c.first, c.last = firstNames[d.below(len(firstNames))], lastNames[d.below(len(lastNames))]
	}
	return c
}

func (p *Portal) agentName(seq uint16) person {
	a := agentPerson(seq)
	if n := p.renamings(kindAgent, uint32(seq)); n > 0 {
		d := dice(mix2(0xa6e8+n, uint64(seq)))
		a.first, a.last = firstNames[d.below(len(firstNames))], lastNames[d.below(len(lastNames))]
	}
	return a
}

func (p *Portal) accountName(seq uint32) string {
	at := (uint64(seq) + p.renamings(kindAccount, seq)) % uint64(len(companies))
	return companies[at] + " " + strconv.Itoa(int(seq))
}

func (p *Portal) teamName(seq uint16) string {
	if n := p.renamings(kindTeam, uint32(seq)); n > 0 {
		return teamNames[seq] + " " + strconv.FormatUint(n, 10)
	}
	return teamNames[seq]
}
