package desksim

import (
	"fmt"
	"maps"
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
	r.past = follow[product](p, nil, r.past)
	if old := p.products.rows[r.id]; old != nil {
		last := *old
		last.before = nil // one step only
		r.past = follow(p, &last, old.past)
	}
	p.products.put(r.id, r)
	p.publish(r.id, func() { p.productIndex[r.id] = r })
}

// storeContract puts a contract into the truth. p.mu is held.
func (p *Portal) storeContract(r *contract) {
	r.past = follow[contract](p, nil, r.past)
	if old := p.contracts.rows[r.id]; old != nil {
		last := *old
		last.before = nil // one step only
		r.past = follow(p, &last, old.past)
	}
	p.contracts.put(r.id, r)
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
	p.storeContract(r)
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
	p.storeContract(&r)
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
