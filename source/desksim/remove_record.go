package desksim

import "fmt"

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
	p.storeContract(&r)
	p.addToBin(binItem{"contracts", r.id, r.name, kindDepartment.id(r.department), r.deletedBy, r.deletedAt})
	return r.id, nil
}

// RestoreContract takes a contract out of the recycle bin; id 0 picks one.
func (p *Portal) RestoreContract(id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := pick(p, &p.contracts, p.binned("contracts", id), func(r *contract) bool { return r.state == Trashed })
	if err != nil {
		return 0, err
	}
	r := *old
	r.life = life{}
	p.storeContract(&r)
	p.takeFromBin(r.id)
	return r.id, nil
}

// PurgeTicket deletes a trashed ticket for good, without an event; id 0 picks one. Afterwards its id is unknown.
func (p *Portal) PurgeTicket(id uint64) (uint64, error) { return p.purgeBinned("tickets", id) }

// PurgeProduct deletes a trashed product for good; id 0 picks one. It is in no list and not in the recycle bin any more.
func (p *Portal) PurgeProduct(id uint64) (uint64, error) { return p.purgeBinned("products", id) }

// PurgeContract deletes a trashed contract for good; id 0 picks one.
func (p *Portal) PurgeContract(id uint64) (uint64, error) { return p.purgeBinned("contracts", id) }

func (p *Portal) purgeBinned(module string, id uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id = p.binned(module, id)
	for _, i := range p.bin {
		if i.id == id && i.module == module {
			p.purge(i)
			return id, nil
		}
	}
	return 0, fmt.Errorf("purge record %d of %s: %w", id, module, ErrNoRecord)
}

// purge removes a bin item's record for good. p.mu is held.
func (p *Portal) purge(i binItem) {
	switch i.module {
	case "tickets":
		if _, t, err := p.editTicket(i.id, func(t *ticket) bool { return t.state == Trashed }); err == nil {
			t.state = Purged
			p.storeTicket(t)
		}
	case "products":
		r := *p.products.rows[i.id]
		r.state = Purged
		p.storeProduct(&r)
	case "contracts":
		r := *p.contracts.rows[i.id]
		r.state = Purged
		p.storeContract(&r)
	}
	p.takeFromBin(i.id)
}
