package desksim

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Portal is one simulated portal. Make it with New, serve it with Handler or RoundTripper, end it with Close.
type Portal struct {
	cfg    Config
	gen    generator
	photos [agentCount]string
	routes router

	mu           sync.RWMutex // guards all below up to the next blank line
	tickets      *ticketView
	index        *ticketView // what search sees
	productIndex map[uint64]*product
	departments  store[department]
	products     store[product]
	contracts    store[contract]
	fields       store[field]
	custom       map[string][]*field // live custom fields by module
	archived     []uint32            // ascending
	lagging      []laggingChange     // by time, not yet in the indexes
	bin          []binItem           // by deletion time
	rng          *rand.Rand          // of the mutation engine
	lastChange   int64

	lagDue   atomic.Int64 // unix ms of the first lagging change, 0: none
	binDue   atomic.Int64 // unix second at which the oldest bin item expires, 0: none
	oauth    *tokens
	credits  *credits
	faults   *Faults
	hooks    *webhooks
	delivery *courier
	stats    counters
	signed   sync.Map // the last token made

	closing context.Context
	close   context.CancelFunc
}

type laggingChange struct {
	at    int64 // unix ms
	apply func()
}

// New creates a portal. It starts no goroutine until something is to be delivered.
func New(cfg Config) *Portal {
	cfg = cfg.withDefaults()
	p := &Portal{cfg: cfg, productIndex: map[uint64]*product{},
		departments: newStore[department](cfg.Departments), products: newStore[product](cfg.Products),
		contracts: newStore[contract](cfg.Contracts), fields: newStore[field](128),
		rng: rand.New(rand.NewPCG(uint64(cfg.Seed), 0xde5c))}
	p.closing, p.close = context.WithCancel(context.Background())
	p.gen = generator{seed: mix(uint64(cfg.Seed)), start: cfg.Start.Unix(), tickets: cfg.Tickets + cfg.ArchivedTickets, archived: cfg.ArchivedTickets,
		burstSize: cfg.Burst, departments: cfg.Departments, products: cfg.Products,
		contacts: (cfg.Tickets+cfg.ArchivedTickets)/3 + 10, agents: agentCount}
	for i := range p.photos {
		p.photos[i] = p.photoURL(uint16(i))
	}
	p.seedFields()
	p.seedRecords()
	p.tickets = newTicketView(&p.gen)
	p.index = p.tickets.clone()
	for i := range cfg.ArchivedTickets {
		p.archived = append(p.archived, uint32(i))
	}
	p.faults = newFaults(cfg)
	p.oauth = newTokens(cfg)
	p.credits = newCredits(cfg)
	p.hooks = newWebhooks()
	p.delivery = newCourier(p)
	p.routes = p.newRouter()
	return p
}

// Close stops deliveries, answers hanging requests and waits for the portal's goroutines. Requests fail afterwards.
func (p *Portal) Close() {
	p.close()
	p.delivery.wait()
}

// Faults is the switchboard of everything that can go wrong.
func (p *Portal) Faults() *Faults { return p.faults }

// Now is the portal's time; it is what the Date header says.
func (p *Portal) Now() time.Time { return p.cfg.Clock.Now().UTC() }

// OrgID is the portal's id, the value of the orgId header.
func (p *Portal) OrgID() uint64 { return p.cfg.OrgID }

// Handler serves everything: /oauth/v2/…, /api/v1/… and /.well-known/jwks.json, whatever the host.
func (p *Portal) Handler() http.Handler { return http.HandlerFunc(p.serve) }

// publish makes a change visible to search, now or when it is old enough. p.mu is held.
func (p *Portal) publish(apply func()) {
	lag := p.faults.searchLag()
	if lag == 0 && len(p.lagging) == 0 {
		apply()
		return
	}
	at := p.Now().Add(lag).UnixMilli()
	if n := len(p.lagging); n > 0 {
		at = max(at, p.lagging[n-1].at)
	}
	p.lagging = append(p.lagging, laggingChange{at, apply})
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
		p.lagging[n].apply()
		n++
	}
	p.lagging = slices.Delete(p.lagging, 0, n)
	p.lagDue.Store(0)
	if len(p.lagging) > 0 {
		p.lagDue.Store(p.lagging[0].at)
	}
}

// second is the time a change gets: whole seconds, never before an earlier change. p.mu is held.
func (p *Portal) second() int64 {
	p.lastChange = max(p.lastChange, p.Now().Unix(), p.gen.start)
	return p.lastChange
}
