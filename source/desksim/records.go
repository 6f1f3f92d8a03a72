package desksim

import "strconv"

// department is a department. Departments have no modifiedTime, and the API has no call that deletes one (OAS Department.json).
type department struct {
	id                                    uint64
	name, portalName, description, chat   string
	enabled, isDefault, visible, teamwork bool
	creator                               uint16
	created                               int64
	agents                                []uint64
	born                                  int64 // unix ms, 0: there from the start
	removedAt                             int64 // unix second, 0: it stands
}

func (p *Portal) newDepartment(seq uint32, name string, created int64) *department {
	return &department{id: kindDepartment.id(seq), name: name, portalName: name, chat: "NOT_CREATED", enabled: true, isDefault: seq == 0,
		visible: true, teamwork: seq%2 == 0, creator: uint16(seq % agentCount), created: created,
		agents: []uint64{kindAgent.id(seq % agentCount), kindAgent.id((seq + 7) % agentCount)}}
}

// product is a product of the portal; price is in hundredths.
type product struct {
	life
	past[product]
	seq                                         uint32
	id                                          uint64
	name, code, category, manufacturer, details string
	price                                       int64
	departments                                 []uint64
	owner, createdBy, modifiedBy                uint16
	created, modified                           int64
	cf                                          map[uint64]cfCell
}

func (p *Portal) newProduct(seq uint32, created int64) *product {
	d := dice(mix2(p.gen.seed^0x9d0d, uint64(seq)))
	r := &product{seq: seq, id: kindProduct.id(seq), name: goods[d.below(len(goods))] + " " + strconv.Itoa(100+int(seq)), code: "P-" + strconv.Itoa(1000+int(seq)),
		category: groups[d.below(len(groups))], manufacturer: makers[d.below(len(makers))], price: int64(d.below(1_000_000)),
		owner: uint16(d.below(agentCount)), createdBy: uint16(d.below(agentCount)), created: created, modified: created}
	if d.chance(70) {
		r.details = notes[d.below(len(notes))]
	}
	r.modifiedBy = r.createdBy
	r.departments = []uint64{kindDepartment.id(p.standing(uint32(d.below(p.gen.departments))))}
	if p.gen.departments > 1 && d.chance(30) {
		r.departments = append(r.departments, kindDepartment.id(p.standing((seq+1)%uint32(p.gen.departments))))
	}
	return r
}

// contract is a contract; start and end are unix seconds at midnight UTC, its status follows from them and today.
type contract struct {
	life
	past[contract]
	seq                          uint32
	id                           uint64
	name, number, details        string
	account, product, department uint32
	owner, createdBy, modifiedBy uint16
	sla                          uint32
	from, to                     int64
	notifyBefore                 int
	created, modified            int64
	cf                           map[uint64]cfCell
}

const daySeconds = 24 * 3600

func (p *Portal) newContract(seq uint32, created int64) *contract {
	d := dice(mix2(p.gen.seed^0xc0a7, uint64(seq)))
	r := &contract{seq: seq, id: kindContract.id(seq), name: companies[d.below(len(companies))] + " care " + strconv.Itoa(int(seq)), number: strconv.Itoa(9000 + int(seq)),
		account: uint32(d.below(p.gen.contacts)) / 3, department: p.standing(uint32(d.below(p.gen.departments))), owner: uint16(d.below(agentCount)),
		createdBy: uint16(d.below(agentCount)), sla: 1 + uint32(d.below(3)), notifyBefore: 3 + d.below(20), created: created, modified: created}
	if p.gen.products > 0 && d.chance(60) {
		r.product = 1 + uint32(d.below(p.gen.products))
	}
	if d.chance(60) {
		r.details = notes[d.below(len(notes))]
	}
	r.modifiedBy = r.createdBy
	r.from = (created/daySeconds + int64(d.below(60))) * daySeconds
	r.to = r.from + int64(180+d.below(900))*daySeconds
	return r
}

// status follows from the dates, so it can change without any modification (OAS Contract.json names the three values).
func (r *contract) status(now int64) string {
	switch {
	case now < r.from:
		return "FUTURE"
	case now >= r.to+daySeconds:
		return "EXPIRED"
	}
	return "ACTIVE"
}

// seedRecords creates the departments, products and contracts a portal starts with.
func (p *Portal) seedRecords() {
	first := p.gen.start - threeYears
	for i := range p.cfg.Departments {
		name := deptNames[i%len(deptNames)]
		if i >= len(deptNames) {
			name += " " + strconv.Itoa(i)
		}
		d := p.newDepartment(uint32(i), name, first)
		p.departments.put(d.id, d)
	}
	for i := range p.cfg.Products {
		r := p.newProduct(uint32(i), first+int64(i)*threeYears/int64(p.cfg.Products+1))
		p.products.put(r.id, r)
		p.productIndex[r.id] = r
	}
	for i := range p.cfg.Contracts {
		r := p.newContract(uint32(i), first+int64(i)*threeYears/int64(p.cfg.Contracts+1))
		p.contracts.put(r.id, r)
	}
}
