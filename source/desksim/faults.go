package desksim

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is one way an API or token call can go wrong.
type Fault int

const (
	FaultThreshold     Fault = iota // 429 THRESHOLD_EXCEEDED with Retry-After until the portal's midnight
	FaultTooMany                    // 429 TOO_MANY_REQUESTS, no Retry-After
	FaultServerError                // 500 INTERNAL_SERVER_ERROR
	FaultBadGateway                 // 502 with an HTML body
	FaultHTML                       // 200 with an HTML body
	FaultHTMLNotFound               // 404 with an HTML body: not Zoho saying that a record is gone
	FaultCutBody                    // the body ends in the middle
	FaultTimeout                    // no answer until the caller gives up
	FaultTokenExpired               // 401 INVALID_OAUTH; the token is dead from now on
	FaultStale                      // GET by id answered by a replica that has not seen the last change (Config.StaleWithin)
	FaultTokenThrottle              // token endpoint: the "Access Denied" body
	FaultStaleList                  // search or list answered by a replica that has not seen any row's last change
	faultCount
)

// WebhookFaults are rates between 0 and 1 for deliveries.
type WebhookFaults struct {
	Loss, Duplicate, Reorder, Delay float64
	Partial                         float64       // payload with the id only
	TrailingUpdate                  float64       // of told deletions: a Ticket_Update with the live content follows, up to 1 s later
	Within                          time.Duration // longest Reorder or Delay; default 1 minute
}

// Faults switches faults on and off while the portal runs. Rates are drawn from the portal's seed. One-shots come before
// rates, and a call suffers one fault at most.
type Faults struct {
	mu      sync.Mutex
	rng     *rand.Rand
	hookRng *rand.Rand
	rates   [faultCount]float64
	shots   []shot
	latency func(*http.Request) time.Duration
	refused map[string]bool // scopes, lower case
	modules map[string]bool // licence-refused endpoint classes
	hidden  map[uint64]bool // departments
	keys    map[string]bool // hidden fields
	hooks   WebhookFaults
	lag     time.Duration
	fields  FieldEndpoints
	timing  timing
}

type shot struct {
	fault  Fault
	left   int
	prefix string
}

func newFaults(cfg Config) *Faults {
	return &Faults{rng: rand.New(rand.NewPCG(uint64(cfg.Seed), 0xfa17)), hookRng: rand.New(rand.NewPCG(uint64(cfg.Seed), 0x400c)),
		refused: map[string]bool{}, modules: map[string]bool{}, hidden: map[uint64]bool{}, keys: map[string]bool{},
		lag: cfg.SearchLag, fields: cfg.Fields, timing: newTiming(cfg)}
}

// Rate makes a share of all calls suffer f; 0 switches it off.
func (f *Faults) Rate(k Fault, rate float64) { f.with(func() { f.rates[k] = rate }) }

// Next makes the next n calls suffer k.
func (f *Faults) Next(k Fault, n int) { f.NextOn(k, n, "") }

// NextOn is Next for calls whose path starts with prefix, such as "/api/v1/tickets/search".
func (f *Faults) NextOn(k Fault, n int, prefix string) {
	f.with(func() { f.shots = append(f.shots, shot{k, n, prefix}) })
}

// Latency makes each call take a time of the portal's clock before it is looked at; nil: none.
func (f *Faults) Latency(of func(*http.Request) time.Duration) { f.with(func() { f.latency = of }) }

// RefuseScope makes every endpoint that needs the scope answer 403 SCOPE_MISMATCH; AllowScope ends that.
func (f *Faults) RefuseScope(scope string) {
	f.with(func() { f.refused[strings.ToLower(scope)] = true })
}

// AllowScope ends RefuseScope.
func (f *Faults) AllowScope(scope string) {
	f.with(func() { delete(f.refused, strings.ToLower(scope)) })
}

// RefuseLicense makes endpoints whose class starts with the name ("contracts", "tickets.search") answer
// 403 LICENSE_ACCESS_LIMITED; on false they answer again.
func (f *Faults) RefuseLicense(class string, on bool) { f.with(func() { f.modules[class] = on }) }

// HideDepartment narrows the authorising agent's view: the department and its tickets and contracts are listed nowhere,
// GET by id answers 403 FORBIDDEN, and no event tells of them. on false shows them again.
func (f *Faults) HideDepartment(id uint64, on bool) {
	f.with(func() {
		if delete(f.hidden, id); on {
			f.hidden[id] = true
		}
	})
}

// HideField narrows the agent's profile: the key is dropped silently from every reply and payload, at any depth. It is
// slow: rows are parsed again.
func (f *Faults) HideField(key string, on bool) {
	f.with(func() {
		if delete(f.keys, key); on {
			f.keys[key] = true
		}
	})
}

// Webhooks sets the faults of deliveries from now on; the zero value ends them.
func (f *Faults) Webhooks(w WebhookFaults) {
	def(&w.Within, time.Minute)
	f.with(func() { f.hooks = w })
}

// FieldEndpoints changes Config.Fields.
func (f *Faults) FieldEndpoints(m FieldEndpoints) { f.with(func() { f.fields = m }) }

// Clear ends all faults of calls and deliveries, hidden departments and fields included; the Date header is again what
// Config says, OnCall stays.
func (f *Faults) Clear() {
	f.with(func() {
		f.rates, f.shots, f.latency, f.hooks, f.lag = [faultCount]float64{}, nil, nil, WebhookFaults{}, 0
		clear(f.refused)
		clear(f.modules)
		clear(f.hidden)
		clear(f.keys)
		f.timing.clear()
	})
}

func (f *Faults) with(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// draw decides what a call suffers: -1 for nothing.
func (f *Faults) draw(path string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.shots {
		if s := &f.shots[i]; s.fault != FaultTokenThrottle && strings.HasPrefix(path, s.prefix) {
			hit := s.fault
			f.use(i)
			return hit
		}
	}
	for k, rate := range f.rates {
		if Fault(k) != FaultTokenThrottle && rate > 0 && f.rng.Float64() < rate {
			return Fault(k)
		}
	}
	return -1
}

func (f *Faults) use(i int) {
	if f.shots[i].left--; f.shots[i].left <= 0 {
		f.shots = slices.Delete(f.shots, i, i+1)
	}
}

func (f *Faults) throttleToken() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.shots {
		if f.shots[i].fault == FaultTokenThrottle {
			f.use(i)
			return true
		}
	}
	return f.rates[FaultTokenThrottle] > 0 && f.rng.Float64() < f.rates[FaultTokenThrottle]
}

func (f *Faults) wait(r *http.Request) time.Duration {
	f.mu.Lock()
	latency := f.latency
	f.mu.Unlock()
	if latency == nil {
		return 0
	}
	return latency(r)
}

func (f *Faults) scopeRefused(scope string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused[strings.ToLower(scope)]
}

func (f *Faults) licenseRefused(class string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for prefix, on := range f.modules {
		if on && strings.HasPrefix(class, prefix) {
			return true
		}
	}
	return false
}

func (f *Faults) fieldEndpoints() FieldEndpoints {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fields
}

// hiddenDepartments returns a copy, nil when there are none.
func (f *Faults) hiddenDepartments() map[uint64]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.hidden) == 0 {
		return nil
	}
	hidden := make(map[uint64]bool, len(f.hidden))
	for id := range f.hidden {
		hidden[id] = true
	}
	return hidden
}

// hiddenKeys returns a copy, nil when there are none.
func (f *Faults) hiddenKeys() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.keys) == 0 {
		return nil
	}
	keys := make(map[string]bool, len(f.keys))
	for k := range f.keys {
		keys[k] = true
	}
	return keys
}

// hookFate is what happens to one event on its way.
type hookFate struct {
	lost, partial, reorder bool
	copies                 int
	delay                  time.Duration
}

func (f *Faults) hookFate() hookFate {
	f.mu.Lock()
	defer f.mu.Unlock()
	fate := hookFate{copies: 1}
	if f.hooks == (WebhookFaults{}) {
		return fate
	}
	hit := func(rate float64) bool { return f.hookRng.Float64() < rate }
	fate.lost, fate.partial = hit(f.hooks.Loss), hit(f.hooks.Partial)
	if hit(f.hooks.Duplicate) {
		fate.copies = 2
	}
	fate.reorder = hit(f.hooks.Reorder)
	if hit(f.hooks.Delay) || fate.reorder {
		fate.delay = time.Duration(f.hookRng.Int64N(int64(max(f.hooks.Within, 1))))
	}
	return fate
}
