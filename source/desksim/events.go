package desksim

import "strconv"

// event is something that happened, to be told to the webhooks that want it. Of tickets and departments there are
// events; of products, contracts and fields there are none, and none tells of a restore (OAS Webhook.json).
type event struct {
	kind       string // Ticket_Add, …
	id         uint64
	department uint64
	at         int64 // unix ms
	changed    []string
	automation bool
	prev       func() []byte         // content before the change, nil where there is none
	payload    func(b []byte) []byte // content at the event
	current    func(b []byte) []byte // content when called; takes p.mu
}

func (e *event) module() string {
	if e.kind[0] == 'D' {
		return "departments"
	}
	return "tickets"
}

// emit hands an event to every webhook that wants it. p.mu is held for writing, so events are in the order of changes.
func (p *Portal) emit(e *event) {
	e.at = p.Now().UnixMilli() + p.moment.ahead
	if p.faults.hiddenDepartments()[e.department] {
		return
	}
	var payload, prev []byte
	for _, w := range p.hooks.all() {
		s, ok := w.wants(e)
		if !ok {
			continue
		}
		if payload == nil && (p.cfg.PayloadAtEvent || e.current == nil) {
			payload = e.payload(nil)
		}
		if s.prevState && e.prev != nil && prev == nil {
			prev = e.prev()
		}
		d := &delivery{webhook: w.id, event: e, payload: payload}
		if s.prevState {
			d.prev = prev
		}
		p.delivery.enqueue(d)
	}
}

// appendEvent writes one element of a delivery (WEBHOOKDOC).
func (p *Portal) appendEvent(b []byte, d *delivery) []byte {
	o := openObject(b)
	o.plain("eventType", d.event.kind)
	o.count("eventTime", p.eventTime(d.event))
	o.count("orgId", p.cfg.OrgID)
	o.key("payload")
	switch {
	case d.partial:
		o.b = append(o.b, `{"id":"`...)
		o.b = strconv.AppendUint(o.b, d.event.id, 10)
		o.b = append(o.b, `"}`...)
	case d.payload != nil:
		o.b = append(o.b, d.payload...)
	default:
		o.b = d.event.current(o.b)
	}
	if d.prev != nil {
		o.raw("prevState", d.prev)
	}
	return o.close()
}

// ticketEvent tells of a ticket's change from before to after; before is nil for a new one.
func (p *Portal) ticketEvent(kind string, before, after *ticket, changed []string, automation bool, extra string) {
	e := &event{kind: kind, id: after.id(), department: kindDepartment.id(after.department), changed: changed, automation: automation}
	e.payload = func(b []byte) []byte { return p.appendTicketPayload(b, after, kind, extra) }
	e.current = func(b []byte) []byte {
		p.mu.RLock()
		defer p.mu.RUnlock()
		return p.appendTicketPayload(b, p.tickets.rows[after.seq], kind, extra)
	}
	if before != nil {
		e.prev = func() []byte { return p.appendTicketPayload(nil, before, kind, "") }
	}
	p.emit(e)
}

// appendTicketPayload writes a ticket as webhooks carry it: GET with contact and assignee (WEBHOOKDOC sample); captures of
// adds also show firstThread.
func (p *Portal) appendTicketPayload(b []byte, t *ticket, kind, extra string) []byte {
	o := openObject(b)
	p.ticketGet(&o, t)
	p.ticketIncludes(&o, t, incContacts|incAssignee, true)
	if kind == "Ticket_Add" {
		o.key("firstThread")
		n := openObject(o.b)
		n.plain("channel", channels[t.channel])
		n.plain("direction", "in")
		n.key("content")
		n.b = t.appendDescription(n.b)
		n.time("createdTime", t.created)
		o.b = n.close()
	}
	o.b = append(o.b, extra...)
	return o.close()
}

// deleteEvents tells of a removed ticket the way Config.DeleteMode says.
func (p *Portal) deleteEvents(before, after *ticket) {
	update := func(extra string) { p.ticketEvent("Ticket_Update", before, after, []string{"isTrashed"}, false, extra) }
	switch p.cfg.DeleteMode {
	case UpdateIsDelTrue:
		update(`,"IsDel":true`)
	case UpdateIsDelString:
		update(`,"IsDel":"true"`)
	case UpdateIsDelOne:
		update(`,"IsDel":1`)
	case DeleteBoth:
		update("")
	}
	if p.cfg.DeleteMode == DeleteEvent || p.cfg.DeleteMode == DeleteBoth {
		e := &event{kind: "Ticket_Delete", id: after.id(), department: kindDepartment.id(after.department)}
		e.payload = func(b []byte) []byte {
			o := openObject(b)
			o.id("id", e.id)
			return o.close()
		}
		p.emit(e)
	}
	if p.cfg.DeleteMode != DeleteNone {
		p.trailingUpdate(before)
	}
}

// eventTime is what an event's envelope says (Config.EventTime).
func (p *Portal) eventTime(e *event) uint64 {
	unit := p.cfg.EventTime
	if unit == EventMixed {
		unit = EventTimes(mix2(p.gen.seed^e.id, uint64(e.at)) % uint64(eventTimesCount))
	}
	switch unit {
	case EventSeconds:
		return uint64(e.at / 1000)
	case EventMicros:
		return uint64(e.at) * 1000
	case EventFuture:
		return uint64(e.at + p.cfg.EventAhead.Milliseconds())
	}
	return uint64(e.at)
}

func (p *Portal) departmentEvent(kind string, before, after *department) {
	e := &event{kind: kind, id: after.id, department: after.id}
	e.payload = func(b []byte) []byte { return appendDepartment(b, after, true) }
	e.current = func(b []byte) []byte {
		p.mu.RLock()
		defer p.mu.RUnlock()
		return appendDepartment(b, p.departments.rows[after.id], true)
	}
	if before != nil {
		e.prev = func() []byte { return appendDepartment(nil, before, true) }
	}
	p.emit(e)
}
