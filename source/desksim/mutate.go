package desksim

import (
	"maps"
	"strconv"
)

// Weights say how often Mutate draws each kind of change, relative to each other. The zero value means DefaultWeights. Each
// is named for the method it calls; what differs is said.
type Weights struct {
	CreateTicket, UpdateTicket, MoveTicket, TwinUpdate           int
	AutomationUpdate                                             int // UpdateTicket by a rule
	SilentUpdate                                                 int // UpdateTicket without event and modifiedTime
	DetailUpdate                                                 int // UpdateDetail
	TrashTicket, RestoreTicket, PurgeTicket                      int
	MarkSpam, UnmarkSpam, DeleteSpam, MergeTicket, ArchiveTicket int

	CreateProduct, UpdateProduct, TrashProduct, RestoreProduct, PurgeProduct      int
	CreateContract, UpdateContract, TrashContract, RestoreContract, PurgeContract int
	SilentProduct, SilentContract                                                 int // updates that leave modifiedTime
	RenameProduct                                                                 int // UpdateProduct of the name, which tickets show too

	AddDepartment, UpdateDepartment, RemoveDepartment     int
	RenameDepartment                                      int // UpdateDepartment of the name
	RenameContact, RenameAccount, RenameAgent, RenameTeam int

	AddField, RenameField, RetypeField, RemoveField int // of tickets, products and contracts
}

// DefaultWeights is a busy desk: mostly ticket updates, now and then something of everything. What no list or event tells
// of is off, and what redraws or moves many rows at once.
var DefaultWeights = Weights{CreateTicket: 200, UpdateTicket: 500, AutomationUpdate: 20, MoveTicket: 40, TrashTicket: 60, RestoreTicket: 25,
	PurgeTicket: 10, MarkSpam: 10, DeleteSpam: 10, MergeTicket: 10, CreateProduct: 8, UpdateProduct: 20, TrashProduct: 4, RestoreProduct: 2,
	CreateContract: 6, UpdateContract: 15, TrashContract: 3, AddDepartment: 1, UpdateDepartment: 5, AddField: 2}

// Mutate makes n random changes, drawn from the seed. A change that finds no record to work on (nothing to restore, say)
// counts as one of n and does nothing.
func (p *Portal) Mutate(n int) {
	changes := p.changes()
	total := 0
	for _, c := range changes {
		total += c.weight
	}
	if total == 0 {
		return
	}
	for range n {
		p.mu.Lock()
		at := p.rng.IntN(total)
		p.mu.Unlock()
		for _, c := range changes {
			if at -= c.weight; at < 0 {
				p.count(c.name, c.make())
				break
			}
		}
	}
}

// count notes a change that was made; ErrNoRecord means that nothing fitted, which is no failure here.
func (p *Portal) count(name string, err error) {
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made[name]++
}

// Changes is how many changes of each kind Mutate has made, by the names of Weights; what found no record is not counted.
func (p *Portal) Changes() map[string]int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return maps.Clone(p.made)
}

type change struct {
	name   string
	weight int
	make   func() error
}

func (p *Portal) changes() []change {
	w := p.cfg.Weights
	return append(p.ticketChanges(w), p.otherChanges(w)...)
}

// anyOf makes a change to a record of the portal's choice.
func anyOf(change func(uint64) (uint64, error)) func() error {
	return func() error { _, err := change(0); return err }
}

func (p *Portal) ticketChanges(w Weights) []change {
	update := func(ch TicketChange) func() error {
		return func() error { _, err := p.UpdateTicket(0, ch); return err }
	}
	return []change{
		{"CreateTicket", w.CreateTicket, func() error { _, err := p.CreateTicket(TicketChange{}); return err }},
		{"UpdateTicket", w.UpdateTicket, update(TicketChange{})},
		{"AutomationUpdate", w.AutomationUpdate, update(TicketChange{Automation: true})},
		{"SilentUpdate", w.SilentUpdate, update(TicketChange{Silent: true})},
		{"MoveTicket", w.MoveTicket, func() error { _, err := p.MoveTicket(0, 0); return err }},
		{"TrashTicket", w.TrashTicket, anyOf(p.TrashTicket)},
		{"RestoreTicket", w.RestoreTicket, anyOf(p.RestoreTicket)},
		{"PurgeTicket", w.PurgeTicket, anyOf(p.PurgeTicket)},
		{"MarkSpam", w.MarkSpam, anyOf(p.MarkSpam)},
		{"DeleteSpam", w.DeleteSpam, anyOf(p.DeleteSpam)},
		{"MergeTicket", w.MergeTicket, func() error { _, _, err := p.MergeTickets(0, 0); return err }},
		{"ArchiveTicket", w.ArchiveTicket, anyOf(p.ArchiveTicket)},
		{"TwinUpdate", w.TwinUpdate, anyOf(p.TwinUpdate)},
		{"DetailUpdate", w.DetailUpdate, anyOf(p.UpdateDetail)},
		{"UnmarkSpam", w.UnmarkSpam, anyOf(p.UnmarkSpam)},
	}
}

func (p *Portal) otherChanges(w Weights) []change {
	product := func(ch ProductChange) func(uint64) (uint64, error) {
		return func(id uint64) (uint64, error) { return p.UpdateProduct(id, ch) }
	}
	contract := func(ch ContractChange) func(uint64) (uint64, error) {
		return func(id uint64) (uint64, error) { return p.UpdateContract(id, ch) }
	}
	return []change{
		{"CreateProduct", w.CreateProduct, func() error { _, err := p.CreateProduct(ProductChange{}); return err }},
		{"UpdateProduct", w.UpdateProduct, anyOf(product(ProductChange{}))},
		{"TrashProduct", w.TrashProduct, anyOf(p.TrashProduct)},
		{"RestoreProduct", w.RestoreProduct, anyOf(p.RestoreProduct)},
		{"CreateContract", w.CreateContract, func() error { _, err := p.CreateContract(ContractChange{}); return err }},
		{"UpdateContract", w.UpdateContract, anyOf(contract(ContractChange{}))},
		{"TrashContract", w.TrashContract, anyOf(p.TrashContract)},
		{"AddDepartment", w.AddDepartment, func() error { _, err := p.AddDepartment(""); return err }},
		{"UpdateDepartment", w.UpdateDepartment, func() error { _, err := p.UpdateDepartment(0, DepartmentChange{}); return err }},
		{"AddField", w.AddField, p.addRandomField},
		{"PurgeProduct", w.PurgeProduct, anyOf(p.PurgeProduct)},
		{"RestoreContract", w.RestoreContract, anyOf(p.RestoreContract)},
		{"PurgeContract", w.PurgeContract, anyOf(p.PurgeContract)},
		{"SilentProduct", w.SilentProduct, anyOf(product(ProductChange{Silent: true}))},
		{"SilentContract", w.SilentContract, anyOf(contract(ContractChange{Silent: true}))},
		{"RenameProduct", w.RenameProduct, func() error { _, err := p.UpdateProduct(0, ProductChange{Name: p.drawnName("Product")}); return err }},
		{"RemoveDepartment", w.RemoveDepartment, anyOf(p.RemoveDepartment)},
		{"RenameDepartment", w.RenameDepartment, func() error {
			_, err := p.UpdateDepartment(0, DepartmentChange{Name: p.drawnName("Department")})
			return err
		}},
		{"RenameContact", w.RenameContact, anyOf(p.RenameContact)},
		{"RenameAccount", w.RenameAccount, anyOf(p.RenameAccount)},
		{"RenameAgent", w.RenameAgent, anyOf(p.RenameAgent)},
		{"RenameTeam", w.RenameTeam, anyOf(p.RenameTeam)},
		{"RenameField", w.RenameField, func() error { return p.RenameField(p.anyField(), *p.drawnName("Renamed")) }},
		{"RetypeField", w.RetypeField, p.retypeRandomField},
		{"RemoveField", w.RemoveField, func() error { return p.RemoveField(p.anyField()) }},
	}
}

// drawnName is a name that no other record has, as good as.
func (p *Portal) drawnName(what string) *string {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := what + " " + strconv.FormatUint(p.rng.Uint64()>>20, 10)
	return &name
}

var fieldKinds = []string{"Text", "Number", "Decimal", "Boolean", "Date", "DateTime", "Picklist", "Multiselect", "Currency", "Percent"}

func (p *Portal) addRandomField() error {
	p.mu.Lock()
	n := int(p.fields.nextSeq())
	kind := fieldKinds[p.rng.IntN(len(fieldKinds))]
	module := [...]string{"tickets", "tickets", "products", "contracts"}[p.rng.IntN(4)]
	p.mu.Unlock()
	_, err := p.AddCustomField(module, "cf_added_"+strconv.Itoa(n), "Added "+strconv.Itoa(n), kind)
	return err
}

// retypeRandomField gives a custom field another type.
func (p *Portal) retypeRandomField() error {
	id := p.anyField()
	p.mu.Lock()
	kind := fieldKinds[p.rng.IntN(len(fieldKinds))]
	if f := p.fields.rows[id]; f != nil && f.kind == kind {
		kind = map[bool]string{true: "Number", false: "Text"}[kind == "Text"]
	}
	p.mu.Unlock()
	return p.RetypeField(id, kind)
}

// anyField draws a custom field of tickets, products or contracts; an id no field has when there is none.
func (p *Portal) anyField() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := pick(p, &p.fields, 0, func(f *field) bool {
		return f.custom && !f.removed && (f.module == "tickets" || f.module == "products" || f.module == "contracts")
	})
	if err != nil {
		return 1
	}
	return f.id
}
