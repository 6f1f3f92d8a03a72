package desksim

import "strconv"

// include is the set of joined objects a call asked for.
type include uint16

const (
	incContacts include = 1 << iota
	incProducts
	incDepartments
	incTeam
	incAssignee
	incContract
	incIsRead
	incSkills
	incOwner
	incAccounts
	incSLAs
	incDeletedBy
)

var includeNames = map[string]include{
	"contacts": incContacts, "products": incProducts, "departments": incDepartments, "team": incTeam, "assignee": incAssignee,
	"contract": incContract, "isRead": incIsRead, "skills": incSkills, "owner": incOwner, "accounts": incAccounts, "slas": incSLAs,
	"deletedBy": incDeletedBy, "department": incDepartments,
}

// appendTicketList writes the default projection of GET /tickets (OAS Ticket.json, ticketListViewArray): no modifiedTime,
// description or custom fields.
func (p *Portal) appendTicketList(b []byte, t *ticket, inc include) []byte {
	o := openObject(b)
	p.ticketCommon(&o, t)
	o.plainOrNull("channelCode", "")
	o.plainOrNull("sentiment", sentiments[t.sentiment])
	o.plainOrNull("relationshipType", relationships[t.relationship])
	o.time("lockedTime", t.locked)
	o.boolean("isArchived", t.archived)
	ticketSource(&o, t)
	ticketLastThread(&o, t)
	p.ticketIncludes(&o, t, inc, false)
	return o.close()
}

// appendTicketGet writes GET /tickets/{id} (OAS Ticket.json, getTicketResponse): no lastThread, no relationshipType.
func (p *Portal) appendTicketGet(b []byte, t *ticket, inc include) []byte {
	o := openObject(b)
	p.ticketGet(&o, t)
	p.ticketIncludes(&o, t, inc, true)
	return o.close()
}

// appendTicketSearch writes a row of GET /tickets/search (OAS Search.json, searchTicketsResponse): the joined objects are
// always there, most counters, source, sentiment and isTrashed never.
func (p *Portal) appendTicketSearch(b []byte, t *ticket) []byte {
	o := openObject(b)
	p.ticketCommon(&o, t)
	p.ticketContent(&o, t)
	o.boolean("isArchived", t.archived)
	o.plainOrNull("relationshipType", relationships[t.relationship])
	o.count("childTicketCount", uint64(t.children))
	ticketLastThread(&o, t)
	o.boolean("isRead", t.isRead)
	o.key("contact")
	o.b = p.appendContact(o.b, t.contact, false)
	p.ticketJoins(&o, t, incProducts|incDepartments|incTeam|incAssignee, true)
	return o.close()
}

// ticketCommon writes what list, search and GET share.
func (p *Portal) ticketCommon(o *object, t *ticket) {
	o.id("id", t.id())
	o.count("ticketNumber", 101+uint64(t.seq))
	o.key("subject")
	o.b = t.appendSubject(o.b)
	o.plain("status", statuses[t.status].name)
	o.plain("statusType", statuses[t.status].kind)
	o.plainOrNull("priority", priorities[t.priority])
	o.plain("channel", channels[t.channel])
	o.plainOrNull("category", categories[t.category])
	o.plainOrNull("subCategory", subCategories[t.subCategory])
	o.plain("language", languages[t.language])
	o.plain("email", contactPerson(t.contact).email)
	o.plain("phone", contactPhone(t.contact))
	o.id("departmentId", kindDepartment.id(t.department))
	o.id("contactId", kindContact.id(t.contact))
	o.id("accountId", kindAccount.id(t.account))
	o.id("productId", optional(kindProduct, t.product))
	o.id("assigneeId", optional(kindAgent, uint32(t.assignee)))
	o.id("teamId", optional(kindTeam, uint32(t.team)))
	o.id("layoutId", kindLayout.id(t.department))
	o.time("createdTime", t.created)
	o.time("closedTime", t.closed)
	o.time("dueDate", t.due)
	o.time("responseDueDate", t.responseDue)
	o.time("onholdTime", t.onhold)
	o.time("customerResponseTime", t.customerResponse)
	o.count("threadCount", uint64(t.threads))
	o.count("commentCount", uint64(t.comments))
	o.boolean("isSpam", t.spam)
	p.ticketURL(o, t)
}

// ticketContent writes what search and GET share beyond the list.
func (p *Portal) ticketContent(o *object, t *ticket) {
	o.time("modifiedTime", t.modified)
	o.id("modifiedBy", kindAgent.id(uint32(t.modifiedBy)))
	o.id("createdBy", kindAgent.id(uint32(t.createdBy)))
	o.key("description")
	o.b = t.appendDescription(o.b)
	o.key("resolution")
	o.b = t.appendResolution(o.b)
	o.plainOrNull("classification", classifications[t.classification])
	p.ticketFields(o, t)
	o.id("slaId", t.slaID())
	o.boolean("isOverDue", t.overdue)
	o.boolean("isEscalated", t.escalated)
	ticketLists(o, t)
	o.key("sharedDepartments")
	o.b = p.appendShared(o.b, t)
}

func (p *Portal) ticketGet(o *object, t *ticket) {
	p.ticketCommon(o, t)
	p.ticketContent(o, t)
	o.plainOrNull("channelCode", "")
	o.plainOrNull("sentiment", sentiments[t.sentiment])
	o.time("lockedTime", t.locked)
	o.boolean("isArchived", t.archived)
	o.boolean("isResponseOverdue", t.responseOverdue)
	o.boolean("isDeleted", false)
	o.boolean("isTrashed", t.state == Trashed)
	o.boolean("isFollowing", t.following)
	o.count("approvalCount", uint64(t.approvals))
	o.count("timeEntryCount", uint64(t.timeEntries))
	o.count("taskCount", uint64(t.tasks))
	o.count("attachmentCount", uint64(t.attachments))
	o.count("tagCount", uint64(t.tags))
	o.count("followerCount", uint64(t.followers))
	ticketSource(o, t)
	o.key("layoutDetails")
	o.b = appendLayout(o.b, t.department, "Ticket Layout")
	o.key("channelRelatedInfo")
	o.b = p.appendForum(o.b, t)
	o.null("sourceTicket")
}

// ticketIncludes writes the objects asked for with include.
func (p *Portal) ticketIncludes(o *object, t *ticket, inc include, get bool) {
	if inc == 0 {
		return
	}
	if inc&incContacts != 0 {
		o.key("contact")
		o.b = p.appendContact(o.b, t.contact, get)
	}
	p.ticketJoins(o, t, inc, false)
	if inc&incIsRead != 0 {
		o.boolean("isRead", t.isRead)
	}
	if inc&incContract != 0 {
		o.null("contractId")
	}
	if inc&incSkills != 0 {
		o.key("skillsInfo")
		o.b = appendSkills(o.b, t)
	}
}

func (p *Portal) ticketJoins(o *object, t *ticket, inc include, search bool) {
	if inc&incProducts != 0 {
		if o.key("product"); t.product == 0 {
			o.b = append(o.b, "null"...)
		} else {
			o.b = p.appendProductRef(o.b, t.product-1)
		}
	}
	if inc&incDepartments != 0 {
		o.key("department")
		o.b = p.appendDepartmentRef(o.b, t.department)
	}
	if inc&incTeam != 0 {
		if o.key("team"); t.team == 0 {
			o.b = append(o.b, "null"...)
		} else {
			o.b = p.appendTeam(o.b, t.team-1)
		}
	}
	if inc&incAssignee != 0 {
		if o.key("assignee"); t.assignee == 0 {
			o.b = append(o.b, "null"...)
		} else {
			o.b = p.appendAssignee(o.b, t.assignee-1, search)
		}
	}
}

func optional(k kind, n uint32) uint64 {
	if n == 0 {
		return 0
	}
	return k.id(n - 1)
}

func (t *ticket) slaID() uint64 {
	if t.due == 0 {
		return 0
	}
	return kindSLA.id(t.department % 3)
}

func (p *Portal) ticketURL(o *object, t *ticket) {
	o.key("webUrl")
	o.b = append(o.b, '"')
	o.b = append(o.b, p.cfg.PublicURL...)
	o.b = append(o.b, "/support/zylker/ShowHomePage.do#Cases/dv/"...)
	o.b = strconv.AppendUint(o.b, mix2(0x3b, uint64(t.seq))|1<<63, 16)
	o.b = append(o.b, '"')
}

func ticketSource(o *object, t *ticket) {
	kind := "SYSTEM"
	if t.links%16 == 3 {
		kind = "INTEGRATION"
	}
	o.key("source")
	o.b = append(o.b, `{"appName":null,"extId":null,"type":"`...)
	o.b = append(o.b, kind...)
	o.b = append(o.b, `","permalink":null,"appPhotoURL":null,"uuid":null}`...)
}

func ticketLastThread(o *object, t *ticket) {
	if t.threads == 0 || t.links%16 == 5 {
		o.null("lastThread")
		return
	}
	direction := "in"
	if t.threads%2 == 0 {
		direction = "out"
	}
	o.key("lastThread")
	n := openObject(o.b)
	n.plain("channel", channels[t.channel])
	n.boolean("isDraft", t.links%8 == 7)
	n.boolean("isForward", t.links%8 == 6)
	n.plain("direction", direction)
	o.b = n.close()
}

func ticketLists(o *object, t *ticket) {
	o.key("entitySkills")
	o.b = append(o.b, '[')
	for i := range t.skills {
		o.b = appendListed(o.b, kindSkill.id(t.links%5+uint32(i)), i == 0)
	}
	o.b = append(o.b, ']')
	o.key("secondaryContacts")
	o.b = append(o.b, '[')
	if t.links%12 == 1 {
		o.b = appendListed(o.b, kindContact.id(t.contact/2), true)
		o.b = appendListed(o.b, kindContact.id(t.contact/3), false)
	}
	o.b = append(o.b, ']')
}

func appendListed(b []byte, id uint64, first bool) []byte {
	if !first {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = strconv.AppendUint(b, id, 10)
	return append(b, '"')
}

func (p *Portal) appendShared(b []byte, t *ticket) []byte {
	if t.links%20 != 2 {
		return append(b, "[]"...)
	}
	d := p.departments.rows[kindDepartment.id(0)]
	o := openObject(append(b, '['))
	o.id("id", d.id)
	o.text("name", d.name)
	o.plain("type", [...]string{"READ_ONLY", "READ_WRITE", "RESTRICTED_ACCESS"}[t.links/20%3])
	return append(o.close(), ']')
}

func (p *Portal) appendForum(b []byte, t *ticket) []byte {
	if channels[t.channel] != "Forums" {
		return append(b, "null"...)
	}
	o := openObject(b)
	o.id("topicId", kindTicket.id(t.seq)+5)
	o.boolean("isTopicDeleted", false)
	o.plain("forumStatus", "ANSWERED")
	o.plain("sourceLink", p.cfg.PublicURL+"/support/zylker/ShowHomePage.do#Community/singlepost/topic")
	o.plain("topicType", "PROBLEM")
	return o.close()
}

func appendSkills(b []byte, t *ticket) []byte {
	b = append(b, '[')
	for i := range t.skills {
		if i > 0 {
			b = append(b, ',')
		}
		o := openObject(b)
		o.id("skillId", kindSkill.id(t.links%5+uint32(i)))
		o.plain("skillName", "Skill")
		o.id("skillTypeId", kindSkill.id(100))
		o.plain("skillTypeName", "Product")
		o.count("weightage", uint64(1+i))
		o.plain("mappingType", "SYSTEM")
		b = o.close()
	}
	return append(b, ']')
}

func appendLayout(b []byte, seq uint32, name string) []byte {
	o := openObject(b)
	o.id("id", kindLayout.id(seq))
	o.plain("layoutName", name)
	return o.close()
}
