package desksim

import (
	"strconv"
	"sync"
	"testing"
)

// TestConcurrentUse changes, reads, delivers and switches faults at once; the race detector is the judge, and at the end the
// API still agrees with the truth.
func TestConcurrentUse(t *testing.T) {
	l := newListener()
	p, clock := newTestPortal(t, Config{Seed: 21, Tickets: 400, CreditsPerDay: -1, Concurrency: -1, Deliver: l})
	k := newClient(t, p)
	k.subscribe(allEvents)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { p.Mutate(150) })
		wg.Go(func() {
			for n := range 60 {
				for _, path := range []string{"tickets/search?limit=20&sortBy=-modifiedTime", "tickets/" + strconv.FormatUint(kindTicket.id(uint32(n)), 10), "recycleBin", "departments"} {
					r := k.request("GET", path, "")
					reply, err := p.RoundTripper().RoundTrip(r)
					if err != nil {
						t.Error(err)
						return
					}
					_ = reply.Body.Close()
				}
				p.Faults().Webhooks(WebhookFaults{Duplicate: float64(i) / 10})
				p.Stats()
			}
		})
	}
	wg.Wait()
	flush(t, p)
	clock.Advance(1)
	if s := p.Stats(); s.Attempted == 0 || s.Attempted != s.Delivered || int(s.Attempted) != len(l.events) {
		t.Errorf("attempted %d, delivered %d, received %d", s.Attempted, s.Delivered, len(l.events))
	}
	for r := range p.Truth("tickets") {
		if r.State != Purged {
			k.compareGet(p.cfg, "tickets/"+r.Key, r)
		}
	}
}
