package desksim

import "slices"

// stalePage is page as a replica answers that has not seen any row's last change (FaultStaleList). It looks at every row.
// p.mu is held.
func (p *Portal) stalePage(v *ticketView, f *ticketFilter, sortBy string, descending bool, skip, limit int) ([]*ticket, int) {
	var found []*ticket
	for seq, m := range v.state {
		if m == markAbsent {
			continue
		}
		t := v.load(&p.gen, uint32(seq), new(ticket))
		t = seen(p, t, t.past, true)
		if f.listed(markOf(t)) && f.created.has(t.created) && f.modified.has(t.modified) && f.matches(t) {
			found = append(found, t)
		}
	}
	slices.SortStableFunc(found, func(a, b *ticket) int {
		return f.inOrder(a.seq, b.seq, sortKey(a, sortBy), sortKey(b, sortBy), descending)
	})
	return window(found, skip, limit), len(found)
}

// ticketPage gives each row of a page of what f selects in v, as the replica that answers c sees it, to write. count is how
// many f selects in all.
func (c *call) ticketPage(v *ticketView, f *ticketFilter, sortBy string, descending bool, skip, limit int, write func(*ticket)) (count int) {
	p := c.p
	if c.staleList {
		page, count := p.stalePage(v, f, sortBy, descending, skip, limit)
		for _, t := range page {
			write(t)
		}
		return count
	}
	page, count := v.page(&p.gen, f, sortBy, descending, skip, limit)
	c.body = slices.Grow(c.body, 2048*len(page)+64)
	var scratch ticket
	for _, seq := range page {
		write(v.load(&p.gen, seq, &scratch))
	}
	return count
}
