package desksim

import (
	"cmp"
	"slices"
	"strings"
)

func (p *Portal) routeContracts(rt router) {
	scopes := all("Desk.contracts.READ", "Desk.settings.READ") // newest OAS Contract.json; older: settings alone
	list := params{"viewId": isID, "filterId": isID, "accountId": isID, "ownerIds": isIDList(10), "departmentIds": isIDList(10), "contractName": anyText,
		"include": listOf("accounts", "products", "slas", "owner", "departments"),
		"sortBy":  sortedBy("accountName", "contractName", "contractEndDate", "contractStartDate", "createdTime", "modifiedTime"),
		"from":    isNumber(0, 1<<30), "limit": isNumber(1, 100)}
	if !p.cfg.RefuseContractFields {
		list["fields"] = atMost(30)
	}
	rt.get("contracts", &endpoint{class: "contracts.list", scopes: scopes, params: list, cost: byOffset, serve: listContracts})
	rt.get("contracts/{id}", &endpoint{class: "contracts.get", scopes: scopes, cost: flat(1), serve: getContract})
	rt.get("contracts/count", &endpoint{class: "contracts.count", scopes: scopes, cost: flat(1), serve: countContracts,
		params: params{"viewId": isID, "departmentId": isID, "ownerId": isID}})
}

// listContracts serves GET /contracts of all departments; a contract whose department is hidden is not listed. Without
// sortBy in order of creation.
func listContracts(c *call) *apiError {
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	account, owners, depts := c.q.id("accountId"), c.q.idSet("ownerIds"), c.q.idSet("departmentIds")
	prefix := strings.ToLower(c.q["contractName"])
	sortBy, descending := c.q.sort("createdTime")
	rows := c.selectContracts(sortBy, descending, func(r *contract) bool {
		return (account == 0 || account == kindAccount.id(r.account)) && (owners == nil || owners[kindAgent.id(uint32(r.owner))]) &&
			(depts == nil || depts[kindDepartment.id(r.department)]) && strings.HasPrefix(strings.ToLower(r.name), prefix)
	})
	bad := false
	c.listReply(func(add func(func([]byte) []byte)) {
		for _, r := range window(rows, c.q.number("from", 0), c.q.number("limit", 10)) {
			add(func(b []byte) []byte {
				b, ok := p.appendContractList(b, r, c.now.Unix(), c.q)
				bad = bad || !ok
				return b
			})
		}
	})
	if bad {
		return errInternal
	}
	return nil
}

func (c *call) selectContracts(sortBy string, descending bool, keep func(*contract) bool) []*contract {
	hidden := c.p.faults.hiddenDepartments()
	var found []*contract
	c.p.contracts.each(func(r *contract) {
		r = seen(c.p, r, r.past, c.staleList)
		if r.state == Live && !hidden[kindDepartment.id(r.department)] && keep(r) {
			found = append(found, r)
		}
	})
	salt := c.p.tieSalt()
	slices.SortStableFunc(found, func(a, b *contract) int {
		n := c.p.compareContracts(a, b, sortBy)
		if descending {
			n = -n
		}
		return cmp.Or(n, tie(salt, a.id, b.id))
	})
	return found
}

func (p *Portal) compareContracts(a, b *contract, by string) int {
	switch by {
	case "accountName":
		return cmp.Compare(p.accountName(a.account), p.accountName(b.account))
	case "contractName":
		return cmp.Compare(a.name, b.name)
	case "contractEndDate":
		return cmp.Compare(a.to, b.to)
	case "contractStartDate":
		return cmp.Compare(a.from, b.from)
	case "modifiedTime":
		return cmp.Compare(a.modified, b.modified)
	}
	return cmp.Compare(a.created, b.created)
}

func getContract(c *call) *apiError {
	c.p.mu.RLock()
	defer c.p.mu.RUnlock()
	r := c.p.contracts.rows[c.id]
	if r != nil {
		r = seen(c.p, r, r.past, c.stale)
	}
	switch {
	case r == nil || c.p.unborn(r.id, r.born) || r.state == Purged || r.state == Trashed && c.p.cfg.TrashedIs404:
		return errNotFound
	case c.p.faults.hiddenDepartments()[kindDepartment.id(r.department)]:
		return c.p.errUnseen()
	}
	c.body = c.p.appendContract(c.body, r, c.now.Unix())
	return nil
}

func countContracts(c *call) *apiError {
	for _, name := range []string{"viewId", "departmentId"} {
		if c.q[name] == "" {
			return errMissingQuery(name)
		}
	}
	c.p.mu.RLock()
	defer c.p.mu.RUnlock()
	c.countReply(len(c.selectContracts("", false, func(r *contract) bool {
		return kindDepartment.id(r.department) == c.q.id("departmentId") && (c.q["ownerId"] == "" || kindAgent.id(uint32(r.owner)) == c.q.id("ownerId"))
	})))
	return nil
}

// contractCommon writes what the list row without a view and GET share (OAS Contract.json, second list variant; the first
// adds the support plan).
func (p *Portal) contractCommon(o *object, r *contract, now int64) {
	o.id("id", r.id)
	o.text("contractName", r.name)
	o.plain("contractStatus", r.status(now))
	o.id("accountId", kindAccount.id(r.account))
	o.id("productId", optional(kindProduct, r.product))
	o.id("associatedSLAId", optional(kindSLA, r.sla))
	o.id("departmentId", kindDepartment.id(r.department))
	o.id("ownerId", kindAgent.id(uint32(r.owner)))
	o.date("startDate", r.from)
	o.date("endDate", r.to)
}

func (p *Portal) appendContractList(b []byte, r *contract, now int64, q query) ([]byte, bool) {
	o := openObject(b)
	p.contractCommon(&o, r, now)
	have := []string{"id", "contractName", "contractStatus", "accountId", "productId", "associatedSLAId", "departmentId", "ownerId", "startDate", "endDate"}
	if p.cfg.SupportPlans {
		o.id("associatedSupportPlanId", kindSLA.id(50))
		p.supportPlan(&o)
		have = append(have, "supportPlan")
	}
	p.contractJoins(&o, r, q.includes())
	ok := addFields(&o, q["fields"], have, func() []byte { return p.appendContract(nil, r, now) })
	return o.close(), ok
}

func (p *Portal) supportPlan(o *object) {
	if !p.cfg.SupportPlans {
		o.null("supportPlan")
		return
	}
	o.key("supportPlan")
	n := openObject(o.b)
	n.id("id", kindSLA.id(50))
	n.plain("name", "Gold support")
	n.plain("supportType", "UNLIMITED_SUPPORT")
	n.plain("status", "ACTIVE")
	o.b = n.close()
}

func (p *Portal) contractJoins(o *object, r *contract, inc include) {
	if inc&incAccounts != 0 {
		o.key("account")
		o.b = p.appendAccount(o.b, r.account)
	}
	if inc&incProducts != 0 {
		if o.key("product"); r.product == 0 {
			o.b = append(o.b, "null"...)
		} else {
			o.b = p.appendProductRef(o.b, r.product-1)
		}
	}
	if inc&incSLAs != 0 {
		o.key("sla")
		n := openObject(o.b)
		n.id("id", optional(kindSLA, r.sla))
		n.plain("name", [...]string{"Bronze", "Silver", "Gold"}[r.sla%3])
		o.b = n.close()
	}
	if inc&incOwner != 0 {
		o.key("owner")
		o.b = p.appendOwner(o.b, r.owner, false)
	}
	if inc&incDepartments != 0 {
		o.key("department")
		o.b = p.appendDepartmentRef(o.b, r.department)
	}
}

// appendContract writes GET /contracts/{id} (OAS Contract.json, getContractJson).
func (p *Portal) appendContract(b []byte, r *contract, now int64) []byte {
	o := openObject(b)
	p.contractCommon(&o, r, now)
	o.plain("contractNumber", r.number)
	o.textOrNull("description", notEmpty(r.details))
	o.time("createdTime", r.created)
	o.time("modifiedTime", r.modified)
	o.id("createdBy", kindAgent.id(uint32(r.createdBy)))
	o.id("modifiedBy", kindAgent.id(uint32(r.modifiedBy)))
	o.count("notifyBefore", uint64(r.notifyBefore))
	o.date("notifyOn", r.to-int64(r.notifyBefore)*daySeconds)
	o.ids("notificationAgentIds", []uint64{kindAgent.id(uint32(r.owner))})
	p.recordFields(&o, "contracts", r.id, r.cf)
	o.id("layoutId", kindLayout.id(2000))
	p.supportPlan(&o)
	p.contractJoins(&o, r, incAccounts|incProducts|incSLAs|incOwner)
	return o.close()
}
