package desksim

import (
	"slices"
	"time"
)

// laggingChange is a change that search and counts do not see yet.
type laggingChange struct {
	at    int64 // unix ms
	id    uint64
	apply func()
}

// publish makes a record's change visible to search, now or when it is old enough. Changes of one record become visible
// in their order, those of different records in the order of their delays. p.mu is held.
func (p *Portal) publish(id uint64, apply func()) {
	lag := p.faults.indexLag()
	last, waits := p.waiting[id]
	if lag <= 0 && !waits {
		apply()
		return
	}
	at := max(p.Now().Add(lag).UnixMilli(), last)
	p.waiting[id] = at
	i, _ := slices.BinarySearchFunc(p.lagging, at+1, func(c laggingChange, at int64) int { return int(c.at - at) })
	p.lagging = slices.Insert(p.lagging, i, laggingChange{at, id, apply})
	p.lagDue.Store(p.lagging[0].at)
}

// catchUp applies what became due since the last request: lagging index changes and expired bin items.
func (p *Portal) catchUp() {
	now := p.Now()
	if due := p.lagDue.Load(); due != 0 && due <= now.UnixMilli() {
		p.mu.Lock()
		p.applyLagging(now.UnixMilli())
		p.mu.Unlock()
	}
	if due := p.binDue.Load(); due != 0 && due <= now.Unix() {
		p.mu.Lock()
		p.expireBin(now.Unix())
		p.mu.Unlock()
	}
}

func (p *Portal) applyLagging(now int64) {
	n := 0
	for n < len(p.lagging) && p.lagging[n].at <= now {
		c := p.lagging[n]
		c.apply()
		if p.waiting[c.id] == c.at {
			delete(p.waiting, c.id)
		}
		n++
	}
	p.lagging = slices.Delete(p.lagging, 0, n)
	p.lagDue.Store(0)
	if len(p.lagging) > 0 {
		p.lagDue.Store(p.lagging[0].at)
	}
}

// SearchLag changes Config.SearchLag for changes made from now on.
func (f *Faults) SearchLag(d time.Duration) { f.with(func() { f.lag = d }) }

// SlowRows changes Config.SlowRows and Config.SlowLag for changes made from now on.
func (f *Faults) SlowRows(share float64, longest time.Duration) {
	f.with(func() { f.timing.slow, f.timing.slowLag = share, longest })
}

// indexLag is how long search does not see the change under way.
func (f *Faults) indexLag() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	lag := f.lag
	if f.timing.slow > 0 && f.timing.rng.Float64() < f.timing.slow {
		lag += time.Duration(f.timing.rng.Int64N(int64(max(f.timing.slowLag, 1))))
	}
	return lag
}
