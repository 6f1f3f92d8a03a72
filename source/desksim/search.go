package desksim

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// ticketSearchParams are those of OAS Search.json, newest. Free text matches anywhere, without regard to case.
func (p *Portal) ticketSearchParams() params {
	ps := params{"createdTimeRange": isRange, "modifiedTimeRange": isRange, "dueDateRange": isRange, "customerResponseTimeRange": isRange,
		"sortBy": sortedBy("relevance", "modifiedTime", "createdTime", "customerResponseTime"), "limit": isNumber(1, 100), "from": isNumber(0, p.cfg.SearchDepth),
		"id": isID, "ticketNumber": isID, "departmentId": isIDList(20), "status": anyText, "priority": anyText, "assigneeId": isID, "contactId": isID,
		"accountId": isID, "productId": isID, "tag": anyText, "channel": anyText, "category": anyText, "_all": anyText, "subject": anyText, "description": anyText}
	for i := range 10 {
		ps["customField"+strconv.Itoa(i+1)] = isCustomFilter
	}
	return ps
}

func isCustomFilter(s string) bool {
	name, _, ok := strings.Cut(s, ":")
	return ok && strings.HasPrefix(name, "cf_")
}

// searchTickets serves GET /tickets/search: {"data":[…],"count":N}, count being all that match (OAS Search.json). Without
// sortBy, and for relevance, the newest come first.
func searchTickets(c *call) *apiError {
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	f := p.newTicketFilter(c.q)
	f.archived = p.cfg.ArchivedInSearch
	sortBy, descending := c.q.sort("relevance")
	if sortBy == "relevance" {
		sortBy, descending = "createdTime", !descending
	}
	n := c.openList()
	count := c.ticketPage(p.index, f, sortBy, descending, c.q.number("from", 0), c.q.number("limit", 10), func(t *ticket) {
		if n > 0 {
			c.body = append(c.body, ',')
		}
		n++
		c.body = p.appendTicketSearch(c.body, t)
	})
	c.closeSearch(n, count)
	return nil
}

// closeSearch ends a search reply; nothing found is 204 without a body.
func (c *call) closeSearch(n, count int) {
	if c.closeList(n); n > 0 {
		c.body = append(c.body[:len(c.body)-1], `,"count":`...)
		c.body = strconv.AppendInt(c.body, int64(count), 10)
		c.body = append(c.body, '}')
	}
}

// ticketFilter is what a list, search or count selects. Zero members select everything.
type ticketFilter struct {
	created, modified, due, answered         span
	id                                       uint64
	number                                   uint64
	departments                              map[uint64]bool
	teams                                    map[uint64]bool
	assignee, contact, account, product      uint64
	status, priority, channel, category, tag string
	all, subject, description                string
	custom                                   []customFilter
	hidden                                   map[uint64]bool
	archived, spam                           bool // also those
	salt                                     uint64
	p                                        *Portal
}

type customFilter struct {
	field *field
	value string
}

func (p *Portal) newTicketFilter(q query) *ticketFilter {
	f := &ticketFilter{p: p, salt: p.tieSalt(), created: p.span(q, "createdTimeRange"), modified: p.span(q, "modifiedTimeRange"),
		due: p.span(q, "dueDateRange"), answered: p.span(q, "customerResponseTimeRange"), id: q.id("id"), number: q.id("ticketNumber"), departments: q.idSet("departmentId"),
		assignee: q.id("assigneeId"), contact: q.id("contactId"), account: q.id("accountId"), product: q.id("productId"), status: q["status"],
		priority: q["priority"], channel: q["channel"], category: q["category"], tag: q["tag"], all: strings.ToLower(q["_all"]),
		subject: strings.ToLower(q["subject"]), description: strings.ToLower(q["description"]), hidden: p.faults.hiddenDepartments(), spam: !p.cfg.HideSpam}
	for i := range 10 {
		if v, ok := q["customField"+strconv.Itoa(i+1)]; ok {
			name, value, _ := strings.Cut(v, ":")
			at := slices.IndexFunc(p.custom["tickets"], func(x *field) bool { return x.apiName == name })
			if at < 0 {
				f.number = 1 // no such field: nothing matches, ticket numbers start at 101
				continue
			}
			f.custom = append(f.custom, customFilter{p.custom["tickets"][at], value})
		}
	}
	return f
}

// timesOnly is true when marks and times decide, so that no row has to be generated.
func (f *ticketFilter) timesOnly() bool {
	return f.due == always && f.answered == always && f.id == 0 && f.number == 0 && f.departments == nil && f.teams == nil && f.assignee == 0 &&
		f.contact == 0 && f.account == 0 && f.product == 0 && f.status == "" && f.priority == "" && f.channel == "" && f.category == "" && f.tag == "" &&
		f.all == "" && f.subject == "" && f.description == "" && len(f.custom) == 0 && f.hidden == nil
}

func (f *ticketFilter) listed(m ticketMark) bool {
	switch m {
	case markLive:
		return true
	case markSpam:
		return f.spam
	case markArchived:
		return f.archived
	}
	return false
}

// matches looks at everything but marks, created and modified.
func (f *ticketFilter) matches(t *ticket) bool {
	return (f.id == 0 || f.id == t.id()) && (f.number == 0 || f.number == uint64(t.seq)+101) &&
		(f.departments == nil || f.departments[kindDepartment.id(t.department)]) && !f.hidden[kindDepartment.id(t.department)] &&
		(f.teams == nil || f.teams[optional(kindTeam, uint32(t.team))]) &&
		(f.assignee == 0 || f.assignee == optional(kindAgent, uint32(t.assignee))) && (f.contact == 0 || f.contact == kindContact.id(t.contact)) &&
		(f.account == 0 || f.account == kindAccount.id(t.account)) && (f.product == 0 || f.product == optional(kindProduct, t.product)) &&
		(f.due == always || t.due != 0 && f.due.has(t.due)) && (f.answered == always || f.answered.has(t.customerResponse)) &&
		matchStatus(f.status, t.status) && matchLabel(f.priority, priorities[t.priority]) && matchLabel(f.channel, channels[t.channel]) &&
		matchLabel(f.category, categories[t.category]) && matchTag(f.tag, t) && f.matchesText(t) && f.matchesCustom(t)
}

// matchStatus takes names, or ${open}, ${onhold}, ${closed} for the types (OAS Search.json).
func matchStatus(want string, have uint8) bool {
	if want == "" {
		return true
	}
	for w := range strings.SplitSeq(want, ",") {
		kind := strings.ToLower(strings.ReplaceAll(statuses[have].kind, " ", ""))
		if strings.EqualFold(w, statuses[have].name) || strings.EqualFold(w, "${"+kind+"}") {
			return true
		}
	}
	return false
}

// matchLabel takes a comma list of labels, or ${Empty} and ${NotEmpty}.
func matchLabel(want, have string) bool {
	switch {
	case want == "":
		return true
	case strings.EqualFold(want, "${Empty}"):
		return have == ""
	case strings.EqualFold(want, "${NotEmpty}"):
		return have != ""
	}
	return slices.ContainsFunc(strings.Split(want, ","), func(w string) bool { return strings.EqualFold(w, have) })
}

// matchTag knows only whether there are tags: no reply carries their names.
func matchTag(want string, t *ticket) bool {
	switch {
	case want == "":
		return true
	case strings.EqualFold(want, "${Empty}"):
		return t.tags == 0
	case strings.EqualFold(want, "${NotEmpty}"):
		return t.tags > 0
	}
	return false
}

func (f *ticketFilter) matchesText(t *ticket) bool {
	has := func(want string, write func([]byte) []byte) bool {
		return want == "" || bytes.Contains(bytes.ToLower(write(nil)), []byte(want))
	}
	return has(f.subject, t.appendSubject) && has(f.description, t.appendDescription) &&
		has(f.all, func(b []byte) []byte { return f.p.appendTicketSearch(b, t) })
}

func (f *ticketFilter) matchesCustom(t *ticket) bool {
	for _, c := range f.custom {
		o := openObject(nil)
		f.p.ticketFields(&o, t)
		if !bytes.Contains(o.b, appendQuoted([]byte(`"`+c.field.apiName+`":`), c.value)) {
			return false
		}
	}
	return true
}

// page returns the rows skip to skip+limit of what f selects, in the order of sortBy with equal values by ascending id,
// and how many there are in all.
func (v *ticketView) page(g *generator, f *ticketFilter, sortBy string, descending bool, skip, limit int) (rows []uint32, count int) {
	visit := v.collector(g, f, skip, limit, &rows, &count)
	switch {
	case f.timesOnly() && f.modified == always && sortBy == "createdTime":
		v.byCreated(f.created, descending, f.salt, func(seq uint32) bool { return visit(seq) && len(rows) < limit })
		lo, hi := v.createdSpan(f.created)
		return rows, v.listedWithin(f, lo, hi)
	case f.id != 0:
		if seq, ok := kindTicket.seq(f.id); ok && int(seq) < len(v.created) {
			visit(seq)
		}
	case sortBy == "modifiedTime":
		v.byModified(f.modified, descending, f.salt, visit)
	case sortBy == "createdTime":
		v.byCreated(f.created, descending, f.salt, visit)
	default:
		return v.sortedPage(g, f, sortBy, descending, skip, limit)
	}
	return rows, count
}

// collector returns a visitor that counts what f selects and keeps one page of it.
func (v *ticketView) collector(g *generator, f *ticketFilter, skip, limit int, rows *[]uint32, count *int) func(uint32) bool {
	timesOnly := f.timesOnly()
	var scratch ticket
	return func(seq uint32) bool {
		if !f.listed(v.state[seq]) || !f.created.has(v.created[seq]) || !f.modified.has(v.modified[seq]) {
			return true
		}
		if !timesOnly && !f.matches(v.load(g, seq, &scratch)) {
			return true
		}
		if *count >= skip && len(*rows) < limit {
			*rows = append(*rows, seq)
		}
		*count++
		return true
	}
}

// sortedPage is page for orders without an index.
func (v *ticketView) sortedPage(g *generator, f *ticketFilter, sortBy string, descending bool, skip, limit int) ([]uint32, int) {
	var found []uint32
	var count int
	v.byCreated(f.created, false, 0, v.collector(g, f, 0, 1<<40, &found, &count))
	var scratch ticket
	keys := make(map[uint32]int64, len(found))
	for _, seq := range found {
		keys[seq] = sortKey(v.load(g, seq, &scratch), sortBy)
	}
	slices.SortStableFunc(found, func(a, b uint32) int { return f.inOrder(a, b, keys[a], keys[b], descending) })
	return window(found, skip, limit), count
}

// inOrder compares two tickets by their sort keys.
func (f *ticketFilter) inOrder(a, b uint32, keyA, keyB int64, descending bool) int {
	if descending {
		keyA, keyB = keyB, keyA
	}
	return cmp.Or(cmp.Compare(keyA, keyB), tie(f.salt, uint64(a), uint64(b)))
}

func sortKey(t *ticket, by string) int64 {
	switch by {
	case "createdTime":
		return t.created
	case "modifiedTime":
		return t.modified
	case "dueDate":
		return t.due
	case "responseDueDate":
		return t.responseDue
	}
	return t.customerResponse // customerResponseTime, recentThread
}
