package desksim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

func (p *Portal) routeProducts(rt router) {
	scopes := all("Desk.products.READ", "Desk.settings.READ")
	list := params{"viewId": isID, "departmentId": isID, "ownerId": isID, "include": oneOf("owner"),
		"sortBy": sortedBy("productName", "productCode", "unitPrice", "createdTime", "modifiedTime"), "from": isNumber(0, 1<<30), "limit": isNumber(1, 100)}
	if !p.cfg.RefuseProductFields {
		list["fields"] = atMost(30)
	}
	rt.get("products", &endpoint{class: "products.list", scopes: scopes, params: list, cost: byOffset, serve: listProducts})
	rt.get("products/{id}", &endpoint{class: "products.get", scopes: scopes, params: params{"include": listOf("departments", "owner")}, cost: flat(1), serve: getProduct})
	rt.get("products/search", &endpoint{class: "products.search", scopes: append(scopes, []string{"Desk.search.READ"}), cost: searchCost, serve: searchProducts, params: params{
		"createdTimeRange": isRange, "modifiedTimeRange": isRange, "sortBy": sortedBy("relevance", "modifiedTime", "createdTime", "productName"),
		"limit": isNumber(1, 100), "from": isNumber(0, p.cfg.SearchDepth), "id": isID, "departmentId": isID, "productName": anyText, "productCode": anyText, "_all": anyText}})
}

// selectProducts returns the live products keep accepts, sorted, equal values by ascending id or as tieSalt says. p.mu is
// held.
func (c *call) selectProducts(rows map[uint64]*product, sortBy string, descending bool, keep func(*product) bool) []*product {
	var found []*product
	for _, id := range c.p.products.ids {
		r := rows[id]
		if r != nil {
			r = seen(c.p, r, r.past, c.staleList)
		}
		if r != nil && r.state == Live && keep(r) {
			found = append(found, r)
		}
	}
	salt := c.p.tieSalt()
	slices.SortStableFunc(found, func(a, b *product) int {
		n := compareProducts(a, b, sortBy)
		if descending {
			n = -n
		}
		return cmp.Or(n, tie(salt, a.id, b.id))
	})
	return found
}

func compareProducts(a, b *product, by string) int {
	switch by {
	case "productName":
		return cmp.Compare(a.name, b.name)
	case "productCode":
		return cmp.Compare(a.code, b.code)
	case "unitPrice":
		return cmp.Compare(a.price, b.price)
	case "modifiedTime":
		return cmp.Compare(a.modified, b.modified)
	}
	return cmp.Compare(a.created, b.created)
}

// listProducts serves GET /products; departmentId 0 means all (OAS Product.json).
func listProducts(c *call) *apiError {
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	dept, owner := c.q.id("departmentId"), c.q.id("ownerId")
	sortBy, descending := c.q.sort("createdTime")
	rows := c.selectProducts(p.products.rows, sortBy, descending, func(r *product) bool {
		return (dept == 0 || slices.Contains(r.departments, dept)) && (owner == 0 || owner == kindAgent.id(uint32(r.owner)))
	})
	bad := false
	c.listReply(func(add func(func([]byte) []byte)) {
		for _, r := range window(rows, c.q.number("from", 0), c.q.number("limit", 25)) {
			add(func(b []byte) []byte {
				b, ok := p.appendProductList(b, r, c.q)
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

// appendProductList writes the narrow list row (OAS Product.json); fields adds members of GET to it. An unknown name is
// not ok.
func (p *Portal) appendProductList(b []byte, r *product, q query) ([]byte, bool) {
	o := openObject(b)
	o.id("id", r.id)
	o.text("productName", r.name)
	o.plainOrNull("productCode", r.code)
	o.plain("unitPrice", money(r.price))
	if q.includes()&incOwner != 0 {
		o.key("owner")
		o.b = p.appendOwner(o.b, r.owner, true)
	}
	ok := addFields(&o, q["fields"], []string{"id", "productName", "productCode", "unitPrice"}, func() []byte { return p.appendProduct(nil, r, true, 0) })
	return o.close(), ok
}

// addFields adds the named members of a record's GET that the list row does not have yet.
func addFields(o *object, names string, have []string, get func() []byte) bool {
	if names == "" {
		return true
	}
	picked, ok := pickFields(get(), names)
	members := map[string]rawValue{}
	if !ok || !splitObject(picked, members) {
		return false
	}
	for name := range strings.SplitSeq(names, ",") {
		if !slices.Contains(have, name) {
			o.raw(name, members[name])
			have = append(have, name)
		}
	}
	return true
}

func money(hundredths int64) string {
	whole := strconv.FormatInt(hundredths/100, 10)
	if hundredths%10 == 0 {
		return whole + "." + strconv.FormatInt(hundredths/10%10, 10)
	}
	return whole + "." + string(appendTwo(nil, int(hundredths%100)))
}

func getProduct(c *call) *apiError {
	c.p.mu.RLock()
	defer c.p.mu.RUnlock()
	r := c.p.products.rows[c.id]
	if r != nil {
		r = seen(c.p, r, r.past, c.stale)
	}
	if r == nil || c.p.unborn(r.id, r.born) || r.state == Purged || r.state == Trashed && c.p.cfg.TrashedIs404 {
		return errNotFound
	}
	c.body = c.p.appendProduct(c.body, r, true, c.q.includes())
	return nil
}

func searchProducts(c *call) *apiError {
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	created, modified := p.span(c.q, "createdTimeRange"), p.span(c.q, "modifiedTimeRange")
	id, dept, text := c.q.id("id"), c.q.id("departmentId"), strings.ToLower(c.q["_all"]+c.q["productName"])
	sortBy, descending := c.q.sort("relevance")
	rows := c.selectProducts(p.productIndex, sortBy, descending, func(r *product) bool {
		return created.has(r.created) && modified.has(r.modified) && (id == 0 || id == r.id) && (dept == 0 || slices.Contains(r.departments, dept)) &&
			strings.Contains(strings.ToLower(r.name), text) && strings.Contains(r.code, c.q["productCode"])
	})
	page := window(rows, c.q.number("from", 0), c.q.number("limit", 10))
	c.openList()
	for i, r := range page {
		if i > 0 {
			c.body = append(c.body, ',')
		}
		c.body = p.appendProduct(c.body, r, false, 0)
	}
	c.closeSearch(len(page), len(rows))
	return nil
}

// appendProduct writes GET /products/{id}, or a search row, which has neither isDeleted nor layoutDetails.
func (p *Portal) appendProduct(b []byte, r *product, get bool, inc include) []byte {
	o := openObject(b)
	o.id("id", r.id)
	o.text("productName", r.name)
	o.plainOrNull("productCode", r.code)
	o.plain("unitPrice", money(r.price))
	o.ids("departmentIds", r.departments)
	o.id("ownerId", kindAgent.id(uint32(r.owner)))
	o.textOrNull("description", notEmpty(r.details))
	o.plainOrNull("productCategory", r.category)
	o.plainOrNull("manufacturer", r.manufacturer)
	p.recordFields(&o, "products", r.id, r.cf)
	o.time("createdTime", r.created)
	o.time("modifiedTime", r.modified)
	o.id("createdBy", kindAgent.id(uint32(r.createdBy)))
	o.id("modifiedBy", kindAgent.id(uint32(r.modifiedBy)))
	o.id("layoutId", kindLayout.id(1000))
	if get {
		o.boolean("isDeleted", r.state == Trashed)
		o.key("layoutDetails")
		o.b = appendLayout(o.b, 1000, "Product Layout")
	}
	if inc&incDepartments != 0 {
		o.key("departments")
		o.b = p.appendDepartmentRefs(o.b, r.departments)
	}
	if inc&incOwner != 0 {
		o.key("owner")
		o.b = p.appendOwner(o.b, r.owner, true)
	}
	return o.close()
}

func notEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (p *Portal) appendDepartmentRefs(b []byte, ids []uint64) []byte {
	b = append(b, '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		seq, _ := kindDepartment.seq(id)
		b = p.appendDepartmentRef(b, seq)
	}
	return append(b, ']')
}

// appendOwner writes an owner; products add the two name parts (OAS Product.json, Contract.json).
func (p *Portal) appendOwner(b []byte, agent uint16, parts bool) []byte {
	a := p.agentName(agent)
	o := openObject(b)
	o.id("id", kindAgent.id(uint32(agent)))
	o.plain("name", a.first+" "+a.last)
	if parts {
		o.plain("firstName", a.first)
		o.plain("lastName", a.last)
	}
	o.plain("photoURL", p.agentPhoto(agent))
	return o.close()
}
