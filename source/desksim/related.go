package desksim

import "strconv"

// Contacts, accounts, agents and teams are not tables of the portal, only objects inside other records. Only their names
// change (renames.go).

const agentCount = 25

func accountOf(contact uint32) uint32 { return contact / 3 }

type person struct{ first, last, email string }

func contactPerson(seq uint32) person {
	d := dice(mix2(0xc0c0, uint64(seq)))
	return person{firstNames[d.below(len(firstNames))], lastNames[d.below(len(lastNames))],
		"c" + strconv.Itoa(int(seq)) + "@customer" + strconv.Itoa(int(accountOf(seq))) + ".example.org"}
}

func agentPerson(seq uint16) person {
	d := dice(mix2(0xa6e7, uint64(seq)))
	return person{firstNames[d.below(len(firstNames))], lastNames[d.below(len(lastNames))], "agent" + strconv.Itoa(int(seq)) + "@desk.example.org"}
}

func contactPhone(seq uint32) string { return strconv.FormatUint(mix2(0xf0e, uint64(seq))%9e9+1e9, 10) }

// appendAccount writes the account inside a contact: exactly id, accountName, website (OAS Ticket.json, Search.json).
func (p *Portal) appendAccount(b []byte, seq uint32) []byte {
	o := openObject(b)
	o.id("id", kindAccount.id(seq))
	o.plain("accountName", p.accountName(seq))
	o.plain("website", "https://www.customer"+strconv.Itoa(int(seq))+".example.org")
	return o.close()
}

// appendContact writes a ticket's contact. GET and webhooks carry isSpam, search and archived lists do not (OAS).
func (p *Portal) appendContact(b []byte, seq uint32, withSpam bool) []byte {
	c := p.contactName(seq)
	o := openObject(b)
	o.id("id", kindContact.id(seq))
	o.plain("firstName", c.first)
	o.plain("lastName", c.last)
	o.plain("email", c.email)
	o.plain("phone", contactPhone(seq))
	o.null("mobile")
	o.null("type")
	if withSpam {
		o.boolean("isSpam", false)
	}
	o.key("account")
	o.b = p.appendAccount(o.b, accountOf(seq))
	return o.close()
}

// appendAssignee writes an agent as list and GET do; search names the mail field emailId and adds zuid (OAS Search.json).
func (p *Portal) appendAssignee(b []byte, seq uint16, search bool) []byte {
	a := p.agentName(seq)
	o := openObject(b)
	o.id("id", kindAgent.id(uint32(seq)))
	o.plain("firstName", a.first)
	o.plain("lastName", a.last)
	o.plain("photoURL", p.agentPhoto(seq))
	if search {
		o.plain("emailId", a.email)
		o.count("zuid", 640_000_000+uint64(seq))
	} else {
		o.plain("email", a.email)
	}
	return o.close()
}

func (p *Portal) agentPhoto(seq uint16) string { return p.photos[seq] }

func (p *Portal) photoURL(seq uint16) string {
	return p.cfg.PublicURL + "/api/v1/agents/" + strconv.FormatUint(kindAgent.id(uint32(seq)), 10) + "/photo?orgId=" + strconv.FormatUint(p.cfg.OrgID, 10)
}

func (p *Portal) appendTeam(b []byte, seq uint16) []byte {
	o := openObject(b)
	id := kindTeam.id(uint32(seq))
	o.id("id", id)
	o.plain("name", p.teamName(seq))
	o.key("logoUrl")
	o.b = append(o.b, '"')
	o.b = append(o.b, p.cfg.PublicURL...)
	o.b = append(o.b, "/api/v1/teams/"...)
	o.b = strconv.AppendUint(o.b, id, 10)
	o.b = append(o.b, "/logo?orgId="...)
	o.b = strconv.AppendUint(o.b, p.cfg.OrgID, 10)
	o.b = append(o.b, '"')
	return o.close()
}

func (p *Portal) appendDepartmentRef(b []byte, seq uint32) []byte {
	d := p.departments.rows[kindDepartment.id(seq)]
	o := openObject(b)
	o.id("id", d.id)
	o.text("name", d.name)
	return o.close()
}

func (p *Portal) appendProductRef(b []byte, seq uint32) []byte {
	d := p.products.rows[kindProduct.id(seq)]
	o := openObject(b)
	o.id("id", d.id)
	o.text("productName", d.name)
	return o.close()
}
