package desksim

import (
	"context"
	"math/rand/v2"
	"net/http"
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
	waiting      map[uint64]int64    // by record, when its last lagging change is due, unix ms
	bin          []binItem           // by deletion time
	rng          *rand.Rand          // of the mutation engine
	renamed      map[uint64]uint32   // contacts, accounts, agents and teams by id: how often
	made         map[string]int      // what Mutate did, by kind
	lastChange   int64
	moment       moment

	lagDue   atomic.Int64 // unix ms of the first lagging change, 0: none
	binDue   atomic.Int64 // unix second at which the oldest bin item expires, 0: none
	oauth    *tokens
	credits  *credits
	faults   *Faults
	hooks    *webhooks
	delivery *courier
	stats    counters
	signed   sync.Map // the last token made
	salts    atomic.Uint64

	closing context.Context
	close   context.CancelFunc
}

// New creates a portal. It starts no goroutine until something is to be delivered.
func New(cfg Config) *Portal {
	cfg = cfg.withDefaults()
	p := &Portal{cfg: cfg, productIndex: map[uint64]*product{}, waiting: map[uint64]int64{}, renamed: map[uint64]uint32{}, made: map[string]int{},
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

// second is the time a change gets: whole seconds, never before an earlier change. p.mu is held.
func (p *Portal) second() int64 {
	if p.moment.second != 0 {
		return p.moment.second
	}
	p.lastChange = max(p.lastChange, p.Now().Unix(), p.gen.start)
	return p.lastChange
}

// moment bends the time of the change under way; the zero value is now.
type moment struct {
	second int64 // unix second it gets
	ahead  int64 // ms by which its events are later than now
}
