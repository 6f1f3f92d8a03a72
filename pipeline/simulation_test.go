package pipeline

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

var (
	simSeeds   = flag.Int("sim.seeds", 8, "number of seeds of the simulation test")
	simSeed    = flag.Int64("sim.seed", 0, "run this seed only")
	simWithout = flag.String("sim.without", "", "leave these parts out of the plan, comma-separated")
	simVerbose = flag.Bool("sim.log", false, "print the log of the sync")
	simShrink  = flag.Duration("sim.shrink", time.Minute, "how long to look for a smaller plan that fails")
)

// TestSimulation lets a portal live while webhooks are lost, doubled, delayed
// and reordered, calls fail and the process is killed at arbitrary moments;
// after it goes quiet and one resync ran, every table must equal the portal's
// own truth. Time is virtual: each seed lives through hours in an instant.
func TestSimulation(t *testing.T) {
	first, last := int64(1), int64(*simSeeds)
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	without := map[string]bool{}
	for _, name := range strings.FieldsFunc(*simWithout, func(r rune) bool { return r == ',' }) {
		without[name] = true
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			if wrong := simulate(t, seed, without); len(wrong) > 0 {
				explain(t, seed, without, wrong)
			}
		})
	}
}

// explain reports a failure and the smallest plan that still fails.
func explain(t *testing.T, seed int64, without map[string]bool, wrong []string) {
	t.Errorf("seed %d:\n%s", seed, strings.Join(wrong, "\n"))
	small, still := shrunk(t, seed, without)
	p := drawPlan(seed, small)
	if len(still) == 0 {
		t.Errorf("it did not fail again when it was repeated; the plan was %s", p)
		return
	}
	t.Errorf("the smallest plan found that fails: %s\nwith: %s\nrepeat: go test ./pipeline -run TestSimulation -sim.log -sim.seed=%d -sim.without=%s",
		p, strings.Join(still, "\n"), seed, strings.Join(slices.Sorted(maps.Keys(small)), ","))
}

// shrunk leaves out as many parts of a plan as it finds while the plan still
// fails: halves first, then smaller groups, then single parts.
func shrunk(t *testing.T, seed int64, without map[string]bool) (small map[string]bool, wrong []string) {
	until := time.Now().Add(*simShrink)
	small = maps.Clone(without)
	if wrong = simulate(t, seed, small); len(wrong) == 0 {
		wrong = simulate(t, seed, small)
	}
	full := drawPlan(seed, small)
	parts := full.parts()
	for size := len(parts) / 2; size > 0 && len(wrong) > 0; size /= 2 {
		for at := 0; at < len(parts) && time.Now().Before(until); {
			group := parts[at:min(at+size, len(parts))]
			try := maps.Clone(small)
			for _, name := range group {
				try[name] = true
			}
			if still := simulate(t, seed, try); len(still) > 0 {
				small, wrong, parts = try, still, slices.Delete(parts, at, at+len(group))
			} else {
				at += size
			}
		}
	}
	return small, wrong
}

// maxWrong is how many differences one run reports.
const maxWrong = 8

// simulate carries out the plan of a seed and returns what went wrong.
func simulate(t *testing.T, seed int64, without map[string]bool) (wrong []string) {
	synctest.Test(t, func(t *testing.T) {
		report := func(what string) {
			if len(wrong) < maxWrong {
				wrong = append(wrong, what)
			}
		}
		p := drawPlan(seed, without)
		w := newWorldWith(t, p.set, report)
		p.conf(&w.cfg)
		defer w.portal.Close()
		defer func() {
			if v := recover(); v != nil && v != (giveUp{}) {
				panic(v)
			}
		}()
		l := life{world: w, plan: p, gone: map[uint64]bool{}}
		w.start()
		defer func() { l.close() }()
		for _, s := range p.steps {
			w.revive()
			l.step(s)
			l.watch()
		}
		l.free()
		w.quiet(p.resync)
		audit{w, p.resync}.run()
	})
	return wrong
}

// life is a plan being carried out.
type life struct {
	*world
	plan *plan
	old  *proc // a leader that stands still
	ends []func()
	// gone are tickets that were once seen in the bin or purged.
	gone map[uint64]bool
}

// watch notices a ticket that a GET is said to have found missing though it
// always lived. Where the portal itself says so for minutes, nothing can.
func (l *life) watch() {
	c := l.set.portal
	if c.CreateLag > time.Minute || c.HiddenIs404 || l.set.meddle > 0 || l.set.rates[desksim.FaultStale] > 0 {
		return
	}
	l.wh.mu.Lock()
	defer l.wh.mu.Unlock()
	for truth := range l.portal.Truth(string(source.Tickets)) {
		if truth.State == desksim.Trashed || truth.State == desksim.Purged {
			l.gone[truth.ID] = true
		}
		held := l.wh.main[source.Tickets][source.Key{ID: truth.ID}]
		if held.Deleted && held.Life.Rank == source.EvidenceGet && !l.gone[truth.ID] {
			l.fail("tickets %d is deleted by GET and always lived", truth.ID)
		}
	}
}

// close ends what runs.
func (l *life) close() {
	l.free()
	l.stop()
}

// free lets an old leader go and ends what was switched on for a while.
func (l *life) free() {
	if l.old != nil {
		l.release(l.old)
		l.old = nil
	}
	for _, end := range l.ends {
		end()
	}
	l.ends = nil
}

// hidden are keys that an agent's profile may hide.
var hiddenKeys = []string{"subject", "description", "cf", "priority", "productId", "email", "dueDate", "statusType"}

func (l *life) step(s happening) {
	f := l.portal.Faults()
	switch s.what {
	case "mutate":
		l.portal.Mutate(s.n)
	case "pause":
		l.time.Sleep(s.d)
	case "restart":
		l.restart()
	case "kill":
		l.cur.dieIn(s.n, s.n%2 == 0)
		l.time.Sleep(s.d / 4)
	case "down":
		l.stop()
		l.time.Sleep(s.d)
		l.start()
	case "take over":
		if l.free(); s.n%3 > 0 {
			l.old = l.takeover()
		}
	case "shift clock":
		l.offset = time.Duration(s.n-60) * 17 * time.Minute // a process keeps its clock for life: its monotonic clock is right
	case "sink down":
		l.sinkDown(s.d)
	case "hide field":
		key := hiddenKeys[s.n%len(hiddenKeys)]
		f.HideField(key, true)
		l.later(s.d, func() { f.HideField(key, false) })
	case "hide department":
		l.hideDepartment(s)
	case "spoil":
		l.spoil(s.n)
	case "hint":
		l.hint(s)
	case "resync":
		l.background.Go(l.resync(l.cur, 24*time.Hour))
	case "cancelled resync":
		l.background.Go(l.resync(l.cur, s.d/100))
	case "verify":
		l.background.Go(l.verify(l.cur))
	default:
		l.fail("unknown step %q", s.what)
	}
}

// later ends something after a while, at the latest when the portal goes quiet.
func (l *life) later(d time.Duration, end func()) {
	l.time.AfterFunc(d, end)
	l.ends = append(l.ends, end)
}

// resync and verify may end in any way here: what matters is what they leave.
func (l *life) resync(x *proc, within time.Duration) func() {
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		for _, t := range l.cfg.Tables {
			stopOn(ctx, x, func(ctx context.Context) { _, _ = x.p.Resync(ctx, t, ResyncOptions{Trigger: "test"}) })
		}
	}
}

func (l *life) verify(x *proc) func() {
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Hour)
		defer cancel()
		for _, t := range l.cfg.Tables {
			stopOn(ctx, x, func(ctx context.Context) { _, _ = x.p.Verify(ctx, t) })
		}
	}
}

// stopOn ends a call into a process with that process.
func stopOn(ctx context.Context, x *proc, do func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); do(ctx) }()
	select {
	case <-done:
	case <-x.ended:
	}
	cancel()
	<-done
}

func (l *life) sinkDown(d time.Duration) {
	l.wh.down.Store(true)
	l.later(d, func() { l.wh.down.Store(false) })
}

func (l *life) hideDepartment(s happening) {
	var ids []uint64
	for truth := range l.portal.Truth(string(source.Departments)) {
		ids = append(ids, truth.ID)
	}
	id := ids[s.n%len(ids)]
	l.portal.Faults().HideDepartment(id, true)
	l.later(10*s.d, func() { l.portal.Faults().HideDepartment(id, false) })
}

// hint changes a ticket without a trace, twice, and tells of each by a workflow
// notification: re-reads are all that can find these changes. A replica that
// lags would hide them, so there are none with one.
func (l *life) hint(s happening) {
	if l.set.noHooks || l.set.rates[desksim.FaultStale] > 0 && !l.plan.resync {
		return
	}
	var id uint64
	dies := s.n%3 == 0 // once the events count as applied, and before the record was read
	if dies {
		l.portal.Faults().NextOn(desksim.FaultServerError, 12, "/api/v1/tickets/")
	}
	for i := range 2 {
		changed, err := l.portal.UpdateTicket(id, desksim.TicketChange{Silent: true})
		if err != nil {
			return // no ticket fits
		}
		id = changed
		for !l.post(fmt.Sprintf(`{"ticketId":"%d"}`, id)) && !l.plan.resync {
			l.time.Sleep(time.Second)
		}
		if i == 0 {
			l.time.Sleep(time.Duration(s.n) * 7 * time.Millisecond)
		}
	}
	if dies {
		l.time.Sleep(2500 * time.Millisecond)
		l.cur.dieIn(1+s.n%5, false)
	}
}

// spoil puts events into the log that cannot be placed.
func (l *life) spoil(n int) {
	if l.set.noHooks {
		return
	}
	bodies := []string{`[{"eventType":"Ticket_Update","eventTime":"1","orgId":"%d","payload":{"id":"x"}}]`,
		`[{"eventType":"Ticket_Add","eventTime":"1","orgId":"%d","payload":null}]`,
		`[{"eventType":"Ticket_Update","eventTime":"1","orgId":"%d","payload":{"subject":"no id"}}]`}
	if l.post(fmt.Sprintf(bodies[n%len(bodies)], l.portal.OrgID())) {
		l.planted++
	}
}
