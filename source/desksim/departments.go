package desksim

import (
	"slices"
	"strings"
)

func (p *Portal) routeDepartments(rt router) {
	// OAS Department.json: settings and basic; the newest names Desk.departments.READ for the latter.
	scopes := all("Desk.settings.READ", "Desk.basic.READ|Desk.departments.READ")
	rt.get("departments", &endpoint{class: "departments.list", scopes: scopes, cost: byOffset, serve: listDepartments, params: params{
		"isEnabled": isBool, "chatStatus": oneOf("AVAILABLE", "DISABLED", "NOT_CREATED", "${UNAVAILABLE}"), "searchStr": anyText,
		"from": isNumber(0, 1<<30), "limit": isNumber(0, 200)}})
	rt.get("departments/{id}", &endpoint{class: "departments.get", scopes: scopes, cost: flat(1), serve: getDepartment})
	rt.get("departments/count", &endpoint{class: "departments.count", scopes: scopes, cost: flat(1), serve: func(c *call) *apiError {
		c.p.mu.RLock()
		defer c.p.mu.RUnlock()
		c.countReply(len(c.p.listedDepartments(nil)))
		return nil
	}})
	rt.get("departmentsByIds", &endpoint{class: "departments.list", scopes: scopes, cost: flat(3), serve: departmentsByIDs,
		params: params{"departmentIds": isIDList(50)}})
}

// listDepartments serves GET /departments: enabled and disabled ones unless isEnabled is given, in order of creation.
func listDepartments(c *call) *apiError {
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	rows := p.listedDepartments(func(d *department) bool {
		want, given := c.q["isEnabled"]
		chat := c.q["chatStatus"]
		return (!given || (want == "true") == d.enabled) && (chat == "" || chat == d.chat || chat == "${UNAVAILABLE}" && d.chat != "AVAILABLE") &&
			strings.Contains(strings.ToLower(d.name), strings.ToLower(c.q["searchStr"]))
	})
	c.listReply(func(add func(func([]byte) []byte)) {
		for _, d := range window(rows, c.q.number("from", 0), c.q.number("limit", 10)) {
			add(func(b []byte) []byte { return appendDepartment(b, d, false) })
		}
	})
	return nil
}

// window is the page of rows from a start, of at most limit rows.
func window[T any](rows []T, from, limit int) []T {
	return rows[min(from, len(rows)):min(from+limit, len(rows))]
}

// listedDepartments are those the agent may see and keep accepts. p.mu is held.
func (p *Portal) listedDepartments(keep func(*department) bool) []*department {
	hidden := p.faults.hiddenDepartments()
	var rows []*department
	p.departments.each(func(d *department) {
		if d.removedAt == 0 && !hidden[d.id] && (keep == nil || keep(d)) {
			rows = append(rows, d)
		}
	})
	return rows
}

func getDepartment(c *call) *apiError {
	c.p.mu.RLock()
	defer c.p.mu.RUnlock()
	d := c.p.departments.rows[c.id]
	switch {
	case d == nil || d.removedAt != 0 || c.p.unborn(d.id, d.born):
		return errNotFound
	case c.p.faults.hiddenDepartments()[d.id]:
		return c.p.errUnseen()
	}
	c.body = appendDepartment(c.body, d, true)
	return nil
}

func departmentsByIDs(c *call) *apiError {
	if c.q["departmentIds"] == "" {
		return errMissingQuery("departmentIds")
	}
	c.p.mu.RLock()
	defer c.p.mu.RUnlock()
	want := c.q.idSet("departmentIds")
	c.listReply(func(add func(func([]byte) []byte)) {
		for _, d := range c.p.listedDepartments(func(d *department) bool { return want[d.id] }) {
			add(func(b []byte) []byte { return appendDepartment(b, d, false) })
		}
	})
	return nil
}

// appendDepartment writes a list row; GET and webhooks add associatedAgentIds (OAS Department.json).
func appendDepartment(b []byte, d *department, whole bool) []byte {
	o := openObject(b)
	o.id("id", d.id)
	o.text("name", d.name)
	o.text("nameInCustomerPortal", d.portalName)
	o.text("sanitizedName", sanitize(d.name))
	if d.description == "" {
		o.null("description")
	} else {
		o.text("description", d.description)
	}
	o.boolean("isEnabled", d.enabled)
	o.boolean("isDefault", d.isDefault)
	o.boolean("isVisibleInCustomerPortal", d.visible)
	o.boolean("isAssignToTeamEnabled", d.teamwork)
	o.boolean("hasLogo", false)
	o.plain("chatStatus", d.chat)
	o.id("creatorId", kindAgent.id(uint32(d.creator)))
	o.time("createdTime", d.created)
	if whole {
		o.ids("associatedAgentIds", d.agents)
	}
	return o.close()
}

// sanitize makes the URL-safe name: lower case, one dash for whatever is neither letter nor digit.
func sanitize(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127) })
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), "-")
}
