package desksim

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is a reading of the portal's counters.
type Stats struct {
	Requests      int64          // API calls, refused ones too
	TokenCalls    int64          // calls to the accounts endpoints
	TokenRequests int64          // of those, for tokens
	TokenThrottle int64          // of those, refused as too many
	TooMany       int64          // calls answered 429, of both kinds
	CreditsSpent  int            // of the current day
	CreditsTotal  int            // since creation
	CreditsFor    map[string]int // since creation, by endpoint class: "tickets.search", "recycleBin", …
	Attempted     int64          // deliveries of one event, failed ones too
	Delivered     int64          // of those, answered with 200
	Failed        int64          // of those, anything else
	Lost          int64          // events dropped by WebhookFaults.Loss
	LastDelivered []Delivery     // oldest first, Config.DeliveryLog of them
}

// Delivery is one attempt to tell one event to one webhook. Times are those of the portal's clock.
type Delivery struct {
	WebhookID         uint64
	EventType         string
	ResourceID        uint64
	EventTime, SentAt time.Time
	AckAt             time.Time // when the answer or the failure was there
	Status            int       // 0: no answer
	Payload           uint64    // hash of a payload that was rendered at the event: equal ones tell the same
	Err               error
}

type counters struct {
	requests, tokens, tooMany, lost     atomic.Int64
	attempted, acked, failed, rotations atomic.Int64

	mu  sync.Mutex
	log []Delivery
}

func (s *counters) delivered(d Delivery, keep int) {
	s.attempted.Add(1)
	if d.Status == 200 {
		s.acked.Add(1)
	} else {
		s.failed.Add(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, d)
	if len(s.log) > 2*keep {
		s.log = append([]Delivery(nil), s.log[len(s.log)-keep:]...)
	}
}

// Stats reads the counters.
func (p *Portal) Stats() Stats {
	s := Stats{Requests: p.stats.requests.Load(), TokenCalls: p.stats.tokens.Load(), TooMany: p.stats.tooMany.Load(), Lost: p.stats.lost.Load(),
		Attempted: p.stats.attempted.Load(), Delivered: p.stats.acked.Load(), Failed: p.stats.failed.Load()}
	p.stats.mu.Lock()
	s.LastDelivered = append(s.LastDelivered, p.stats.log[max(0, len(p.stats.log)-p.cfg.DeliveryLog):]...)
	p.stats.mu.Unlock()
	p.oauth.mu.Lock()
	s.TokenRequests, s.TokenThrottle = p.oauth.requests, p.oauth.throttled
	p.oauth.mu.Unlock()
	p.credits.mu.Lock()
	defer p.credits.mu.Unlock()
	s.CreditsSpent, s.CreditsFor = p.credits.spent, maps.Clone(p.credits.spentFor)
	for _, n := range s.CreditsFor {
		s.CreditsTotal += n
	}
	return s
}
