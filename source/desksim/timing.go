package desksim

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// timing is what Faults holds about when things become visible and what the Date header says.
type timing struct {
	cfg          Config
	rng          *rand.Rand
	skew, jitter time.Duration
	slow         float64
	slowLag      time.Duration
	createLag    time.Duration
	hold         func(*http.Request) time.Duration
	onCall       func(class, path string)
}

func newTiming(cfg Config) timing {
	return timing{cfg: cfg, rng: rand.New(rand.NewPCG(uint64(cfg.Seed), 0x71e)), skew: cfg.DateSkew, jitter: cfg.DateJitter,
		slow: cfg.SlowRows, slowLag: cfg.SlowLag, createLag: cfg.CreateLag}
}

func (t *timing) clear() {
	t.skew, t.jitter = t.cfg.DateSkew, t.cfg.DateJitter
	t.slow, t.createLag, t.hold = 0, 0, nil
}

// DateSkew changes Config.DateSkew and Config.DateJitter.
func (f *Faults) DateSkew(skew, jitter time.Duration) {
	f.with(func() { f.timing.skew, f.timing.jitter = skew, jitter })
}

// CreateLag changes Config.CreateLag, also for records that exist.
func (f *Faults) CreateLag(d time.Duration) { f.with(func() { f.timing.createLag = d }) }

// HoldBack makes each reply wait for a time of the portal's clock after it was rendered, before it is sent: changes and
// their webhooks may overtake it. nil: none.
func (f *Faults) HoldBack(of func(*http.Request) time.Duration) {
	f.with(func() { f.timing.hold = of })
}

// OnCall calls visit after each reply of an endpoint was rendered and before it is sent, in the goroutine of the call, with
// the endpoint's class ("tickets.search") and the path. visit may change the portal: the change is not in this reply, but in
// the next. nil: none.
func (f *Faults) OnCall(visit func(class, path string)) { f.with(func() { f.timing.onCall = visit }) }

// dateError is what the Date header is off by, drawn anew each time.
func (f *Faults) dateError() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	off := f.timing.skew
	if j := int64(f.timing.jitter); j > 0 {
		off += time.Duration(f.timing.rng.Int64N(2*j+1) - j)
	}
	return off
}

// stampDate sets the Date header when m is the moment Config.Date names.
func (p *Portal) stampDate(h http.Header, m DateMode) {
	if m == p.cfg.Date || m == DateArrived {
		h.Set("Date", p.Now().Add(p.faults.dateError()).Format(http.TimeFormat))
	}
}

// holdBack calls the visitor of a rendered reply and waits as HoldBack says.
func (p *Portal) holdBack(c *call) {
	f := p.faults
	f.mu.Lock()
	visit, hold := f.timing.onCall, f.timing.hold
	f.mu.Unlock()
	if visit != nil && c.class != "" {
		visit(c.class, c.r.URL.Path)
	}
	if hold != nil {
		p.pause(c.r, hold(c.r))
	}
}

// unborn tells whether GET by id does not know a record yet that was created at born, unix ms; 0: it always was there.
func (p *Portal) unborn(id uint64, born int64) bool {
	if born == 0 {
		return false
	}
	p.faults.mu.Lock()
	lag := p.faults.timing.createLag.Milliseconds()
	p.faults.mu.Unlock()
	return lag > 0 && p.Now().UnixMilli() < born+int64(mix2(p.gen.seed^0xb0a2, id)%uint64(lag+1))
}
