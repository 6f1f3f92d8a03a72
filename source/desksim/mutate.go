package desksim

import "strconv"

// Weights say how often Mutate draws each kind of change, relative to each other. The zero value means DefaultWeights.
type Weights struct {
	CreateTicket, UpdateTicket, AutomationUpdate, SilentUpdate, MoveTicket     int
	TrashTicket, RestoreTicket, PurgeTicket, MarkSpam, DeleteSpam, MergeTicket int
	ArchiveTicket                                                              int
	CreateProduct, UpdateProduct, TrashProduct, RestoreProduct                 int
	CreateContract, UpdateContract, TrashContract                              int
	AddDepartment, UpdateDepartment, AddField                                  int
}

// DefaultWeights is a busy desk: mostly ticket updates, now and then something of everything. Archiving and silent
// updates are off: no list or event tells of them.
var DefaultWeights = Weights{CreateTicket: 200, UpdateTicket: 500, AutomationUpdate: 20, MoveTicket: 40, TrashTicket: 60, RestoreTicket: 25,
	PurgeTicket: 10, MarkSpam: 10, DeleteSpam: 10, MergeTicket: 10, CreateProduct: 8, UpdateProduct: 20, TrashProduct: 4, RestoreProduct: 2,
	CreateContract: 6, UpdateContract: 15, TrashContract: 3, AddDepartment: 1, UpdateDepartment: 5, AddField: 2}

// Mutate makes n random changes, drawn from the seed. A change that finds no record to work on (nothing to restore, say)
// counts as made and does nothing.
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
				_ = c.make() // ErrNoRecord: nothing fits, which is no failure here
				break
			}
		}
	}
}

type change struct {
	weight int
	make   func() error
}

func (p *Portal) changes() []change {
	one := func(_ uint64, err error) error { return err }
	w := p.cfg.Weights
	return []change{
		{w.CreateTicket, func() error { return one(p.CreateTicket(TicketChange{})) }},
		{w.UpdateTicket, func() error { return one(p.UpdateTicket(0, TicketChange{})) }},
		{w.AutomationUpdate, func() error { return one(p.UpdateTicket(0, TicketChange{Automation: true})) }},
		{w.SilentUpdate, func() error { return one(p.UpdateTicket(0, TicketChange{Silent: true})) }},
		{w.MoveTicket, func() error { return one(p.MoveTicket(0, 0)) }},
		{w.TrashTicket, func() error { return one(p.TrashTicket(0)) }},
		{w.RestoreTicket, func() error { return one(p.RestoreTicket(0)) }},
		{w.PurgeTicket, func() error { return one(p.PurgeTicket(0)) }},
		{w.MarkSpam, func() error { return one(p.MarkSpam(0)) }},
		{w.DeleteSpam, func() error { return one(p.DeleteSpam(0)) }},
		{w.MergeTicket, func() error { _, _, err := p.MergeTickets(0, 0); return err }},
		{w.ArchiveTicket, func() error { return one(p.ArchiveTicket(0)) }},
		{w.CreateProduct, func() error { return one(p.CreateProduct(ProductChange{})) }},
		{w.UpdateProduct, func() error { return one(p.UpdateProduct(0, ProductChange{})) }},
		{w.TrashProduct, func() error { return one(p.TrashProduct(0)) }},
		{w.RestoreProduct, func() error { return one(p.RestoreProduct(0)) }},
		{w.CreateContract, func() error { return one(p.CreateContract(ContractChange{})) }},
		{w.UpdateContract, func() error { return one(p.UpdateContract(0, ContractChange{})) }},
		{w.TrashContract, func() error { return one(p.TrashContract(0)) }},
		{w.AddDepartment, func() error { return one(p.AddDepartment("")) }},
		{w.UpdateDepartment, func() error { return one(p.UpdateDepartment(0, DepartmentChange{})) }},
		{w.AddField, p.addRandomField},
	}
}

func (p *Portal) addRandomField() error {
	p.mu.Lock()
	n := int(p.fields.nextSeq())
	kinds := []string{"Text", "Number", "Decimal", "Boolean", "Date", "DateTime", "Picklist", "Multiselect", "Currency", "Percent"}
	kind := kinds[p.rng.IntN(len(kinds))]
	module := [...]string{"tickets", "tickets", "products", "contracts"}[p.rng.IntN(4)]
	p.mu.Unlock()
	_, err := p.AddCustomField(module, "cf_added_"+strconv.Itoa(n), "Added "+strconv.Itoa(n), kind)
	return err
}
