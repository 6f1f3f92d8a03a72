package desksim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ProductChange says what to set on a product; nil members stay.
type ProductChange struct {
	Name, Code, Description *string
	Price                   *int64 // hundredths
	CF                      map[string]*string
	Silent                  bool // modifiedTime does not move
}

// storeProduct puts a product into the truth now and into the search index when it is old enough. p.mu is held.
func (p *Portal) storeProduct(r *product) {
	p.products.put(r.id, r)
	p.publish(func() { p.productIndex[r.id] = r })
}

// CreateProduct creates a product now. There are no product events.
func (p *Portal) CreateProduct(ch ProductChange) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.newProduct(p.products.nextSeq(), p.second())
	r.cf = map[uint64]cfCell{}
	for _, f := range p.custom["products"] {
		r.cf[f.id] = cfCell{rev: 1}
	}
	if _, err := p.applyProduct(r, ch); err != nil {
		return 0, err
	}
	p.storeProduct(r)
	return r.id, nil
}

// pick returns the id, or for 0 one of the store's records that fits; 0 when there is none. p.mu is held.
func pick[T any](p *Portal, s *store[T], id uint64, fits func(*T) bool) (*T, error) {
	if id != 0 {
		if r := s.rows[id]; r != nil && fits(r) {
			return r, nil
		}
		return nil, fmt.Errorf("change record %d: %w", id, ErrNoRecord)
	}
	if n := len(s.ids); n > 0 {
		start := p.rng.IntN(n)
		for i := range n {
			if r := s.rows[s.ids[(start+i)%n]]; fits(r) {
				return r, nil
			}
		}
	}
	return nil, fmt.Errorf("pick a record: %w", ErrNoRecord)
}

// UpdateProduct changes a live product; id 0 picks one, an empty change draws one.
func (p *Portal) UpdateProduct(id uint64, ch ProductChange) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := pick(p, &p.products, id, func(r *product) bool { return r.state == Live })
	if err != nil {
		return 0, err
	}
	r := *old
	if r.cf = maps.Clone(r.cf); r.cf == nil {
		r.cf = map[uint64]cfCell{}
	}
	touched, err := p.applyProduct(&r, ch)
	if err != nil {
		return 0, err
	}
	if !touched {
		r.price += int64(1 + p.rng.IntN(9999))
		p.randomCustom("products", r.cf)
	}
	if !ch.Silent {
		r.modified, r.modifiedBy = p.second(), uint16(p.rng.IntN(agentCount))
	}
	p.storeProduct(&r)
	return r.id, nil
}

func (p *Portal) applyProduct(r *product, ch ProductChange) (touched bool, err error) {
	set := func(to *string, v *string) {
		if v != nil {
			*to, touched = *v, true
		}
	}
	set(&r.name, ch.Name)
	set(&r.code, ch.Code)
	set(&r.details, ch.Description)
	if ch.Price != nil {
		r.price, touched = *ch.Price, true
	}
	names, err := p.applyCustom("products", r.cf, ch.CF)
	return touched || len(names) > 0, err
}

// TrashProduct puts a live product into the recycle bin; id 0 picks one.
func (p *Portal) TrashProduct(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := pick(p, &p.products, id, func(r *product) bool { return r.state == Live })
	if err != nil {
		return 0, err
	}
	r := *old
	r.life = life{Trashed, p.second(), uint16(p.rng.IntN(agentCount))}
	p.storeProduct(&r)
	p.addToBin(binItem{"products", r.id, r.name, 0, r.deletedBy, r.deletedAt})
	return r.id, nil
}

// RestoreProduct takes a product out of the recycle bin; id 0 picks one.
func (p *Portal) RestoreProduct(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := pick(p, &p.products, p.binned("products", id), func(r *product) bool { return r.state == Trashed })
	if err != nil {
		return 0, err
	}
	r := *old
	r.life = life{}
	p.storeProduct(&r)
	p.takeFromBin(r.id)
	return r.id, nil
}

// ContractChange says what to set on a contract; nil members stay.
type ContractChange struct {
	Name, Description *string
	ExtendDays        int // moves the end date
	CF                map[string]*string
	Silent            bool // modifiedTime does not move
}

// CreateContract creates a contract now. There are no contract events.
func (p *Portal) CreateContract(ch ContractChange) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.newContract(p.contracts.nextSeq(), p.second())
	r.cf = map[uint64]cfCell{}
	for _, f := range p.custom["contracts"] {
		r.cf[f.id] = cfCell{rev: 1}
	}
	if _, err := p.applyContract(r, ch); err != nil {
		return 0, err
	}
	p.contracts.put(r.id, r)
	return r.id, nil
}

// UpdateContract changes a live contract; id 0 picks one, an empty change draws one.
func (p *Portal) UpdateContract(id uint64, ch ContractChange) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := pick(p, &p.contracts, id, func(r *contract) bool { return r.state == Live })
	if err != nil {
		return 0, err
	}
	r := *old
	if r.cf = maps.Clone(r.cf); r.cf == nil {
		r.cf = map[uint64]cfCell{}
	}
	touched, err := p.applyContract(&r, ch)
	if err != nil {
		return 0, err
	}
	if !touched {
		r.to += daySeconds * int64(1+p.rng.IntN(90))
		p.randomCustom("contracts", r.cf)
	}
	if !ch.Silent {
		r.modified, r.modifiedBy = p.second(), uint16(p.rng.IntN(agentCount))
	}
	p.contracts.put(r.id, &r)
	return r.id, nil
}

func (p *Portal) applyContract(r *contract, ch ContractChange) (touched bool, err error) {
	if ch.Name != nil {
		r.name, touched = *ch.Name, true
	}
	if ch.Description != nil {
		r.details, touched = *ch.Description, true
	}
	if ch.ExtendDays != 0 {
		r.to, touched = r.to+int64(ch.ExtendDays)*daySeconds, true
	}
	names, err := p.applyCustom("contracts", r.cf, ch.CF)
	return touched || len(names) > 0, err
}

// TrashContract puts a live contract into the recycle bin; id 0 picks one. (OAS has no call that deletes a contract, the
// recycle bin knows the module nevertheless.)
func (p *Portal) TrashContract(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := pick(p, &p.contracts, id, func(r *contract) bool { return r.state == Live })
	if err != nil {
		return 0, err
	}
	r := *old
	r.life = life{Trashed, p.second(), uint16(p.rng.IntN(agentCount))}
	p.contracts.put(r.id, &r)
	p.addToBin(binItem{"contracts", r.id, r.name, kindDepartment.id(r.department), r.deletedBy, r.deletedAt})
	return r.id, nil
}

// DepartmentChange says what to set on a department; nil members stay.
type DepartmentChange struct {
	Name, Description *string
	Enabled           *bool
}

// AddDepartment creates a department now; an empty name draws one. It tells Department_Add.
func (p *Portal) AddDepartment(name string) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seq := p.departments.nextSeq()
	if name == "" {
		name = deptNames[int(seq)%len(deptNames)] + " " + strconv.Itoa(int(seq))
	}
	d := p.newDepartment(seq, name, p.second())
	p.departments.put(d.id, d)
	p.departmentEvent("Department_Add", nil, d)
	return d.id, nil
}

// UpdateDepartment changes a department; id 0 picks one, an empty change draws one. It tells Department_Update.
func (p *Portal) UpdateDepartment(id uint64, ch DepartmentChange) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := pick(p, &p.departments, id, func(*department) bool { return true })
	if err != nil {
		return 0, err
	}
	d := *old
	if ch == (DepartmentChange{}) {
		text := "Changed " + strconv.Itoa(p.rng.IntN(1_000_000))
		ch.Description = &text
	}
	if ch.Name != nil {
		d.name, d.portalName = *ch.Name, *ch.Name
	}
	if ch.Description != nil {
		d.description = *ch.Description
	}
	if ch.Enabled != nil {
		d.enabled = *ch.Enabled
	}
	p.departments.put(d.id, &d)
	p.departmentEvent("Department_Update", old, &d)
	return d.id, nil
}

// AddCustomField adds a field to a module ("tickets", "products", …); records have null in it until they are changed. kind
// is one of Text, Number, Decimal, Percent, Currency, Boolean, Date, DateTime, Picklist, Multiselect. There is no event.
func (p *Portal) AddCustomField(module, apiName, label, kind string) (uint64, error) {
	if !slices.Contains(allFieldModules, module) || !strings.HasPrefix(apiName, "cf_") {
		return 0, fmt.Errorf("add custom field %s to %s: %w", apiName, module, ErrNoRecord)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.ContainsFunc(p.custom[module], func(f *field) bool { return f.apiName == apiName || f.label == label }) {
		return 0, fmt.Errorf("add custom field %s to %s: it exists", apiName, module)
	}
	f := newField(p.fields.nextSeq(), module, fieldSpec{apiName, label, kind, ""}, true)
	f.initial = false
	if kind == "Picklist" || kind == "Multiselect" {
		f.values = tagNames
	}
	f.created, f.modified = p.second(), p.second()
	p.putField(f)
	return f.id, nil
}

// RenameField changes a custom field's label, and with it the key of customFields.
func (p *Portal) RenameField(id uint64, label string) error { // the label is not drawn: labels are unique in a module
	return p.changeField(id, func(f *field) { f.label = label })
}

// RetypeField changes a custom field's type; values are drawn anew for the new type.
func (p *Portal) RetypeField(id uint64, kind string) error {
	return p.changeField(id, func(f *field) {
		if f.kind = kind; len(f.values) == 0 && (kind == "Picklist" || kind == "Multiselect") {
			f.values = tagNames
		}
	})
}

// RemoveField deletes a custom field: it leaves the metadata and every record.
func (p *Portal) RemoveField(id uint64) error {
	return p.changeField(id, func(f *field) { f.removed, f.removedAt = true, f.modified })
}

func (p *Portal) changeField(id uint64, change func(*field)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.fields.rows[id]
	if old == nil || !old.custom || old.removed {
		return fmt.Errorf("change field %d: %w", id, ErrNoRecord)
	}
	f := *old
	f.modified = p.second()
	change(&f)
	p.putField(&f)
	return nil
}
