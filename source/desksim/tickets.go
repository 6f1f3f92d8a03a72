package desksim

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

func (p *Portal) routeTickets(rt router) {
	read := all("Desk.tickets.READ")
	search := all("Desk.tickets.READ", "Desk.search.READ")
	rt.get("tickets", &endpoint{class: "tickets.list", scopes: read, params: p.ticketListParams(), cost: byOffset, serve: listTickets})
	rt.get("tickets/{id}", &endpoint{class: "tickets.get", scopes: read, cost: flat(1), serve: getTicket, params: params{
		"include": listOf("contacts", "products", "departments", "team", "assignee", "contract", "isRead", "skills")}})
	rt.get("tickets/search", &endpoint{class: "tickets.search", scopes: search, cost: searchCost, serve: searchTickets, params: p.ticketSearchParams()})
	rt.get("tickets/archivedTickets", &endpoint{class: "tickets.archived", scopes: search, cost: byOffset, serve: listArchived, params: params{
		"departmentId": isID, "viewType": oneOf("1", "2", "4"), "limit": isNumber(1, p.cfg.ListLimit), "from": isNumber(0, p.cfg.ListDepth),
		"include": listOf("products", "contacts", "isRead", "departments", "team", "assignee")}})
	rt.get("ticketsCount", &endpoint{class: "tickets.count", scopes: search, cost: flat(3), serve: countTickets, params: params{
		"departmentId": isID, "contactId": isID, "createdTimeRange": isRange, "modifiedTimeRange": isRange, "category": anyText, "assigneeId": isID,
		"customField1": isCustomFilter, "customField2": isCustomFilter, "customField3": isCustomFilter}})
}

// ticketListParams are those of OAS Ticket.json, newest. `filters` is not simulated and refused like an unknown one.
func (p *Portal) ticketListParams() params {
	sorts := []string{"dueDate", "createdTime", "recentThread", "responseDueDate", "customerResponseTime"}
	if p.cfg.ListSortModified {
		sorts = append(sorts, "modifiedTime")
	}
	ps := params{"departmentId": isID, "departmentIds": isIDList(20), "viewId": isID, "assignee": isID, "teamIds": isIDList(20), "status": anyText,
		"priority": atMost(20), "channel": anyText, "receivedInDays": oneOf("15", "30", "90", "-1"), "sortBy": sortedBy(sorts...),
		"from": isNumber(0, p.cfg.ListDepth), "limit": isNumber(1, p.cfg.ListLimit),
		"include": listOf("contacts", "products", "departments", "team", "assignee")}
	if !p.cfg.RefuseListFields {
		ps["fields"] = atMost(30)
	}
	return ps
}

// listTickets serves GET /tickets: neither trashed nor archived tickets. Without sortBy the newest come first.
func listTickets(c *call) *apiError {
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	f := p.newTicketFilter(c.q)
	f.departments = c.q.idSet("departmentIds")
	f.assignee, f.teams = c.q.id("assignee"), c.q.idSet("teamIds")
	if days := c.q.number("receivedInDays", -1); days > 0 {
		f.answered.from = c.now.Unix() - int64(days)*daySeconds
	}
	sortBy, descending := c.q.sort("-createdTime")
	skip := max(c.q.number("from", p.cfg.ListBase)-p.cfg.ListBase, 0)
	bad := false
	c.listReply(func(add func(func([]byte) []byte)) {
		c.ticketPage(p.tickets, f, sortBy, descending, skip, c.q.number("limit", 25), func(t *ticket) {
			add(func(b []byte) []byte {
				b, ok := p.appendListRow(b, t, c.q)
				bad = bad || !ok
				return b
			})
		})
	})
	if bad {
		return errInternal // an unknown name gave 500 on a live portal
	}
	return nil
}

// appendListRow writes a row of GET /tickets, with `fields` the members it names; an unknown name is not ok.
func (p *Portal) appendListRow(b []byte, t *ticket, q query) ([]byte, bool) {
	names, picked := q["fields"]
	if !picked {
		return p.appendTicketList(b, t, q.includes()), true
	}
	row, ok := pickFields(p.appendTicketGet(nil, t, q.includes()), names)
	return append(b, row...), ok
}

// pickFields replaces a projection by the named members and id; cf is accepted but null (seen on a live portal).
func pickFields(row []byte, names string) ([]byte, bool) {
	members := map[string]rawValue{}
	if !splitObject(row, members) {
		return nil, false
	}
	o := openObject(nil)
	o.raw("id", members["id"])
	for name := range strings.SplitSeq(names, ",") {
		v, known := members[name]
		switch {
		case name == "id":
		case !known:
			return nil, false
		case name == "cf" || name == "customFields":
			o.null(name)
		default:
			o.raw(name, v)
		}
	}
	return o.close(), true
}

func splitObject(row []byte, members map[string]rawValue) bool {
	in := jsontext.NewDecoder(strings.NewReader(string(row)))
	if _, err := in.ReadToken(); err != nil {
		return false
	}
	for in.PeekKind() == '"' {
		name, err := in.ReadToken()
		if err != nil {
			return false
		}
		key := name.String()
		v, err := in.ReadValue()
		if err != nil {
			return false
		}
		members[key] = slices.Clone(v)
	}
	return true
}

// getTicket serves GET /tickets/{id}, archived and trashed tickets too.
func getTicket(c *call) *apiError {
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	var scratch ticket
	t := p.readable(c.id, c.stale, &scratch)
	if t == nil || p.unborn(t.id(), t.born) {
		return errNotFound
	}
	if p.faults.hiddenDepartments()[kindDepartment.id(t.department)] {
		return p.errUnseen()
	}
	c.body = p.appendTicketGet(c.body, t, c.q.includes())
	return nil
}

// readable returns the ticket a GET of id answers with, nil for 404. p.mu is held.
func (p *Portal) readable(id uint64, stale bool, scratch *ticket) *ticket {
	t := p.ticketByID(id, scratch)
	if t != nil {
		t = seen(p, t, t.past, stale)
	}
	if t != nil && t.merged != 0 && p.cfg.MergedAnswers {
		t = p.ticketByID(kindTicket.id(t.merged-1), scratch)
	}
	if t == nil || t.state == Purged || t.state == Trashed && p.cfg.TrashedIs404 {
		return nil
	}
	return t
}

// ticketByID returns the ticket whatever its state, nil for an id that never was one. p.mu is held.
func (p *Portal) ticketByID(id uint64, scratch *ticket) *ticket {
	seq, ok := kindTicket.seq(id)
	if !ok || int(seq) >= len(p.tickets.created) {
		return nil
	}
	return p.tickets.load(&p.gen, seq, scratch)
}

// listArchived serves GET /tickets/archivedTickets of one department, newest first, with the pagination member that OAS
// Ticket.json adds.
func listArchived(c *call) *apiError {
	p := c.p
	dept := c.q.id("departmentId")
	if dept == 0 {
		return errMissingQuery("departmentId")
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	rows := p.archivedOf(dept)
	skip, limit := max(c.q.number("from", p.cfg.ListBase)-p.cfg.ListBase, 0), c.q.number("limit", 25)
	page := rows[min(skip, len(rows)):min(skip+limit, len(rows))]
	c.openList()
	for i, t := range page {
		if i > 0 {
			c.body = append(c.body, ',')
		}
		c.body = p.appendTicketList(c.body, t, c.q.includes())
	}
	if c.closeList(len(page)); len(page) > 0 {
		c.body = append(c.body[:len(c.body)-1], `,"pagination":{"next":`...)
		c.body = appendPageToken(c.body, skip+limit < len(rows), skip+limit)
		c.body = append(c.body, `,"prev":`...)
		c.body = appendPageToken(c.body, skip > 0, max(skip-limit, 0))
		c.body = append(c.body, "}}"...)
	}
	return nil
}

func appendPageToken(b []byte, there bool, from int) []byte {
	if !there {
		return append(b, "null"...)
	}
	return append(append(append(b, '"', 'f'), strconv.Itoa(from)...), '"')
}

// archivedOf returns a department's archived tickets, newest first, equal seconds by ascending id. p.mu is held.
func (p *Portal) archivedOf(dept uint64) []*ticket {
	var rows []*ticket
	if p.faults.hiddenDepartments()[dept] {
		return nil
	}
	for _, seq := range p.archived {
		t := p.tickets.load(&p.gen, seq, new(ticket))
		if p.tickets.state[seq] == markArchived && kindDepartment.id(t.department) == dept {
			rows = append(rows, t)
		}
	}
	salt := p.tieSalt()
	slices.SortStableFunc(rows, func(a, b *ticket) int {
		return cmp.Or(cmp.Compare(b.created, a.created), tie(salt, uint64(a.seq), uint64(b.seq)))
	})
	return rows
}

// countTickets serves GET /ticketsCount from the search index.
func countTickets(c *call) *apiError {
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	f := p.newTicketFilter(c.q)
	_, n := p.index.page(&p.gen, f, "createdTime", false, 0, 0)
	c.countReply(n)
	return nil
}

func (c *call) countReply(n int) {
	o := openObject(c.body)
	o.count("count", uint64(n))
	c.body, c.status = o.close(), http.StatusOK
}

// rawValue is one JSON value as it was written.
type rawValue = jsontext.Value
