package desksim

import (
	"cmp"
	"slices"
)

// binItem is one record in the recycle bin. Purged records and deleted spam are not in it.
type binItem struct {
	module     string // as the module parameter names it
	id         uint64
	name       string
	department uint64 // 0: null
	by         uint16
	at         int64 // unix second of deletion
}

const binDays = 60 // tickets are kept 60 days (OAS Ticket.json, moveToTrash); for the others nothing is documented

var binModules = []string{"accounts", "contacts", "tickets", "tasks", "timeEntry", "calls", "events", "contracts", "products", "topics", "solutions"}

// binTypes is how an item names its module (OAS Recyclebin.json example).
var binTypes = map[string]string{"tickets": "Tickets", "products": "Products", "contracts": "Contracts"}

func (p *Portal) routeRecycleBin(rt router) {
	rt.get("recycleBin", &endpoint{class: "recycleBin", scopes: all("Desk.settings.READ"), cost: byOffset, serve: listBin, params: params{
		"module": oneOf(binModules...), "moduleId": isID, "departmentId": isID, "limit": isNumber(1, 100), "from": isNumber(0, 1<<30),
		"sortBy": sortedBy("name", "type", "department", "deletedBy", "deletedTime"), "include": listOf("deletedBy", "department")}})
}

// ModuleID is what the moduleId parameter of the recycle bin takes for "tickets", "products" or "contracts".
func ModuleID(module string) uint64 {
	return kindModule.id(100 + uint32(slices.Index(binModules, module)))
}

// listBin serves GET /recycleBin. An empty bin is 200 with an empty list: OAS Recyclebin.json lists no 204. Without sortBy
// the latest deletions come first.
func listBin(c *call) *apiError {
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	hidden := p.faults.hiddenDepartments()
	rows := slices.Clone(p.bin)
	rows = slices.DeleteFunc(rows, func(i binItem) bool {
		return c.q["module"] != "" && c.q["module"] != i.module || c.q["moduleId"] != "" && c.q.id("moduleId") != ModuleID(i.module) ||
			c.q["departmentId"] != "" && c.q.id("departmentId") != i.department || hidden[i.department]
	})
	sortBy, descending := c.q.sort("-deletedTime")
	salt := p.tieSalt()
	slices.SortFunc(rows, func(a, b binItem) int {
		n := compareBin(a, b, sortBy)
		if descending {
			n = -n
		}
		return cmp.Or(n, tie(salt, a.id, b.id), cmp.Compare(a.id, b.id))
	})
	c.body = append(c.body, `{"data":[`...)
	for i, item := range window(rows, c.q.number("from", 0), c.q.number("limit", 10)) {
		if i > 0 {
			c.body = append(c.body, ',')
		}
		c.body = p.appendBinItem(c.body, item, c.q.includes())
	}
	c.body = append(c.body, "]}"...)
	return nil
}

func compareBin(a, b binItem, by string) int {
	switch by {
	case "name":
		return cmp.Compare(a.name, b.name)
	case "type":
		return cmp.Compare(a.module, b.module)
	case "department":
		return cmp.Compare(a.department, b.department)
	case "deletedBy":
		return cmp.Compare(a.by, b.by)
	}
	return cmp.Compare(a.at, b.at)
}

func (p *Portal) appendBinItem(b []byte, i binItem, inc include) []byte {
	o := openObject(b)
	o.id("id", i.id)
	o.plain("type", binTypes[i.module])
	o.text("displayName", firstRunes(i.name, 100)) // OAS Recyclebin.json: 100 characters
	o.id("departmentId", i.department)
	o.id("deletedById", kindAgent.id(uint32(i.by)))
	o.time("deletedTime", i.at)
	if inc&incDepartments != 0 {
		if o.key("department"); i.department == 0 {
			o.b = append(o.b, "null"...)
		} else {
			seq, _ := kindDepartment.seq(i.department)
			o.b = p.appendDepartmentRef(o.b, seq)
		}
	}
	if inc&incDeletedBy != 0 {
		o.key("deletedBy")
		o.b = p.appendAssignee(o.b, i.by, false)
	}
	return o.close()
}

// addToBin puts a record into the bin. p.mu is held.
func (p *Portal) addToBin(i binItem) {
	p.bin = append(p.bin, i)
	p.binDue.Store(p.bin[0].at + binDays*daySeconds)
}

// takeFromBin removes a record, because it was restored or purged. p.mu is held.
func (p *Portal) takeFromBin(id uint64) {
	p.bin = slices.DeleteFunc(p.bin, func(i binItem) bool { return i.id == id })
	p.binDue.Store(0)
	if len(p.bin) > 0 {
		p.binDue.Store(p.bin[0].at + binDays*daySeconds)
	}
}

// expireBin purges what was deleted more than sixty days ago, without any event. p.mu is held.
func (p *Portal) expireBin(now int64) {
	for len(p.bin) > 0 && p.bin[0].at+binDays*daySeconds <= now {
		p.purge(p.bin[0])
	}
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}
