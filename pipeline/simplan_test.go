package pipeline

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// plan is one life of a portal and its sync, drawn from a seed: the knobs that
// are turned, and what happens in order. Leaving parts out leaves the others as
// they were drawn, so that a plan that fails can be made smaller.
type plan struct {
	seed   int64
	resync bool // polls and recycle bin alone must repair it otherwise
	knobs  []drawn
	steps  []happening
	set    settings
	conf   func(*Config)
}

// drawn is a knob as a plan turned it.
type drawn struct{ name, how string }

// happening is one thing that happens.
type happening struct {
	name string // of this part of the plan
	what string
	n    int
	d    time.Duration
}

func (s happening) String() string {
	out := s.what
	if s.n != 0 {
		out += fmt.Sprintf(" %d", s.n)
	}
	if s.d != 0 {
		out += " " + s.d.String()
	}
	return out
}

// draw makes the plan of a seed. A third of the seeds turn one knob alone, the
// others mix many; half of them do without a resync where polls and recycle bin
// can show everything.
func drawPlan(seed int64, without map[string]bool) *plan {
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	p := &plan{seed: seed, resync: rng.IntN(2) == 0}
	p.set.portal = desksim.Config{Seed: seed, Tickets: 60 + rng.IntN(200), ArchivedTickets: 10, Products: 20, Contracts: 12, CreditsPerDay: -1,
		StaleWithin: 3 * time.Minute}
	if rng.IntN(8) == 0 {
		p.set.portal.Tickets = 500 + rng.IntN(300)
	}
	p.set.rates = map[desksim.Fault]float64{}
	p.conf = func(*Config) {}
	chosen := p.choose(rng)
	for _, k := range chosen {
		p.resync = p.resync || k.needs
	}
	p.set.portal.Weights = shownChanges
	if p.resync {
		p.set.portal.Weights = allChanges
	}
	extra := []string{}
	for _, k := range chosen {
		how := "" // drawn even if it is left out, so that the others stay as they are
		if r := own(seed, k.name); !without[k.name] {
			if how = k.turn(p, r); k.steps != nil {
				extra = append(extra, k.steps...)
			}
			p.knobs = append(p.knobs, drawn{k.name, how})
		}
	}
	p.steps = drawSteps(own(seed, "steps"), extra, without)
	return p
}

// choose picks the knobs of a seed.
func (p *plan) choose(rng *rand.Rand) []knob {
	if p.seed%3 == 0 {
		return []knob{knobs[int(p.seed/3)%len(knobs)]}
	}
	share := 0.1 + 0.3*rng.Float64()
	var chosen []knob
	for _, k := range knobs {
		if rng.Float64() < share && (p.resync || !k.needs) {
			chosen = append(chosen, k)
		}
	}
	return chosen
}

// own is a source of chance that only a part's name decides.
func own(seed int64, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(uint64(seed), h.Sum64()))
}

// drawSteps is a portal's life of some hours: changes and pauses, and now and
// then one of the extra steps that knobs ask for.
func drawSteps(rng *rand.Rand, extra []string, without map[string]bool) []happening {
	var steps []happening
	for i := range 14 + rng.IntN(14) {
		r := own(int64(rng.Uint64()), "step")
		round := []happening{{what: "mutate", n: 1 + r.IntN(12)}, {what: "pause", d: time.Duration(1+r.IntN(900)) * time.Second}}
		if r.IntN(4) == 0 {
			round[1].d = time.Duration(1+r.IntN(3000)) * time.Millisecond
		}
		for range 1 + len(extra)/3 {
			if x := r.IntN(4 * max(len(extra), 1)); x < len(extra) {
				round = append(round, happening{what: extra[x], n: 1 + r.IntN(120), d: time.Duration(1+r.IntN(600)) * time.Second})
			}
		}
		for j, s := range round {
			if s.name = fmt.Sprintf("%d.%d", i, j); !without[s.name] {
				steps = append(steps, s)
			}
		}
	}
	return steps
}

// parts names what can be left out.
func (p *plan) parts() []string {
	var names []string
	for _, k := range p.knobs {
		names = append(names, k.name)
	}
	for _, s := range p.steps {
		names = append(names, s.name)
	}
	return names
}

func (p *plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d tickets, resync %v", p.set.portal.Tickets, p.resync)
	for _, k := range p.knobs {
		fmt.Fprintf(&b, "\n  knob %s %s", k.name, k.how)
	}
	for i, s := range p.steps {
		if i%8 == 0 {
			b.WriteString("\n  ")
		}
		fmt.Fprintf(&b, "%s; ", s)
	}
	return b.String()
}

// shownChanges are those that polls or the recycle bin show: all but purges,
// deleted spam, merges, archiving and silent updates, which only a complete
// reading finds.
var shownChanges = desksim.Weights{CreateTicket: 200, UpdateTicket: 500, AutomationUpdate: 20, MoveTicket: 40, TrashTicket: 60, RestoreTicket: 25,
	CreateProduct: 8, UpdateProduct: 20, TrashProduct: 4, RestoreProduct: 2, CreateContract: 6, UpdateContract: 15, TrashContract: 3,
	AddDepartment: 1, AddField: 2}

var allChanges = func() desksim.Weights {
	w := desksim.DefaultWeights
	w.SilentUpdate, w.PurgeTicket, w.DeleteSpam, w.MarkSpam, w.MergeTicket = 25, 20, 15, 20, 15
	return w
}()

// knob is one way in which a life can be hard.
type knob struct {
	name  string
	needs bool     // only a resync repairs what it does
	steps []string // what happens now and then while it is turned
	turn  func(p *plan, r *rand.Rand) string
}

func share(r *rand.Rand, most float64) float64 { return most * (0.1 + 0.9*r.Float64()) }

func rated(name string, f desksim.Fault, most float64) knob {
	return knob{name: name, turn: func(p *plan, r *rand.Rand) string {
		p.set.rates[f] = share(r, most)
		return fmt.Sprintf("%.3f", p.set.rates[f])
	}}
}

// turned is a knob that changes the portal.
func turned(name string, needs bool, turn func(c *desksim.Config, r *rand.Rand) any) knob {
	return knob{name: name, needs: needs, turn: func(p *plan, r *rand.Rand) string { return fmt.Sprint(turn(&p.set.portal, r)) }}
}

func happens(name string, needs bool, steps ...string) knob {
	return knob{name: name, needs: needs, steps: steps, turn: func(*plan, *rand.Rand) string { return "" }}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// knobs are all of them.
var knobs = slices.Concat(portalKnobs, hookKnobs, connectorKnobs, sinkKnobs)

var portalKnobs = []knob{
	turned("delete-mode", false, func(c *desksim.Config, r *rand.Rand) any {
		c.DeleteMode = desksim.DeleteMode(1 + r.IntN(5))
		return c.DeleteMode
	}),
	turned("payload-at-event", false, func(c *desksim.Config, _ *rand.Rand) any { c.PayloadAtEvent = true; return "" }),
	turned("quiet-removals", false, func(c *desksim.Config, _ *rand.Rand) any { c.QuietRemovals = true; return "" }),
	turned("trash-touches", false, func(c *desksim.Config, _ *rand.Rand) any { c.TrashTouches = true; return "" }),
	turned("trashed-404", false, func(c *desksim.Config, _ *rand.Rand) any { c.TrashedIs404 = true; return "" }),
	turned("burst", false, func(c *desksim.Config, r *rand.Rand) any {
		c.Burst = pick(r, 50, 120, 1150)
		c.Tickets = max(c.Tickets, c.Burst+20)
		return c.Burst
	}),
	turned("merged-answers", true, func(c *desksim.Config, _ *rand.Rand) any { c.MergedAnswers = true; return "" }),
	turned("search-lag", false, func(c *desksim.Config, r *rand.Rand) any {
		c.SearchLag = time.Duration(1+r.IntN(540)) * time.Second
		return c.SearchLag
	}),
	turned("long-search-lag", true, func(c *desksim.Config, r *rand.Rand) any {
		c.SearchLag = time.Duration(10+r.IntN(50)) * time.Minute
		return c.SearchLag
	}),
	turned("hide-spam", true, func(c *desksim.Config, _ *rand.Rand) any { c.HideSpam = true; return "" }),
	turned("archived-in-search", false, func(c *desksim.Config, _ *rand.Rand) any { c.ArchivedInSearch = true; return "" }),
	turned("archiving", true, func(c *desksim.Config, _ *rand.Rand) any { c.Weights.ArchiveTicket = 40; return "" }),
	turned("list-base", false, func(c *desksim.Config, _ *rand.Rand) any { c.ListBase = 1; return "" }),
	turned("list-limit", false, func(c *desksim.Config, r *rand.Rand) any { c.ListLimit = pick(r, 50, 99); return c.ListLimit }),
	turned("no-list-fields", false, func(c *desksim.Config, _ *rand.Rand) any {
		c.RefuseListFields, c.RefuseContractFields, c.RefuseProductFields = true, true, true
		return ""
	}),
	turned("field-endpoints", false, func(c *desksim.Config, r *rand.Rand) any {
		c.Fields = pick(r, desksim.NewFields, desksim.OldFields)
		return c.Fields
	}),
	turned("support-plans", false, func(c *desksim.Config, _ *rand.Rand) any { c.SupportPlans = true; return "" }),
	turned("short-tokens", false, func(c *desksim.Config, r *rand.Rand) any {
		c.TokenLife = time.Duration(5+r.IntN(10)) * time.Minute
		return c.TokenLife
	}),
	turned("few-calls-in-flight", false, func(c *desksim.Config, r *rand.Rand) any { c.Concurrency = 1 + r.IntN(4); return c.Concurrency }),
	rated("too-many", desksim.FaultTooMany, 0.1),
	rated("server-errors", desksim.FaultServerError, 0.1),
	rated("bad-gateway", desksim.FaultBadGateway, 0.1),
	rated("html", desksim.FaultHTML, 0.08),
	rated("html-404", desksim.FaultHTMLNotFound, 0.08),
	rated("cut-bodies", desksim.FaultCutBody, 0.08),
	rated("time-outs", desksim.FaultTimeout, 0.02),
	rated("dead-tokens", desksim.FaultTokenExpired, 0.01),
	rated("token-throttle", desksim.FaultTokenThrottle, 0.2),
	rated("stale-replica", desksim.FaultStale, 0.2),
	rated("stale-index", desksim.FaultStaleList, 0.1),
	turned("very-stale", true, func(c *desksim.Config, _ *rand.Rand) any { c.StaleWithin = 0; return "" }),
	turned("date-of", false, func(c *desksim.Config, r *rand.Rand) any {
		c.Date = pick(r, desksim.DateRead, desksim.DateSent)
		return c.Date
	}),
	turned("date-skew", false, func(c *desksim.Config, r *rand.Rand) any {
		c.DateSkew = time.Duration(r.IntN(480)-240) * time.Second
		return c.DateSkew
	}),
	turned("date-jitter", false, func(c *desksim.Config, r *rand.Rand) any {
		c.DateJitter = time.Duration(r.IntN(8000)) * time.Millisecond
		return c.DateJitter
	}),
	turned("range-ends", false, func(c *desksim.Config, r *rand.Rand) any {
		c.Ends = pick(r, desksim.EndExcluded, desksim.EndsExcluded)
		return c.Ends
	}),
	turned("unstable-ties", false, func(c *desksim.Config, _ *rand.Rand) any { c.UnstableTies = true; return "" }),
	turned("slow-rows", true, func(c *desksim.Config, r *rand.Rand) any { c.SlowRows = share(r, 0.3); return c.SlowRows }),
	{name: "late-creations", turn: func(p *plan, r *rand.Rand) string {
		p.set.portal.CreateLag = time.Duration(1+r.IntN(50)) * time.Second
		trust := r.IntN(2) == 0
		p.then(func(c *Config) { c.Trust = trust })
		return fmt.Sprint(p.set.portal.CreateLag, trust)
	}},
	turned("very-late-creations", true, func(c *desksim.Config, r *rand.Rand) any {
		c.CreateLag = time.Duration(1+r.IntN(10)) * time.Minute
		return c.CreateLag
	}),
	turned("other-field-ids", false, func(c *desksim.Config, _ *rand.Rand) any { c.OtherFieldIDs = true; return "" }),
	{name: "held-back", turn: func(p *plan, r *rand.Rand) string {
		p.set.holdBack = time.Duration(100+r.IntN(20_000)) * time.Millisecond
		return p.set.holdBack.String()
	}},
	{name: "changes-while-read", turn: func(p *plan, r *rand.Rand) string { p.set.meddle = 1 + r.IntN(12); return fmt.Sprint(p.set.meddle) }},
	turned("twins", false, func(c *desksim.Config, _ *rand.Rand) any { c.Weights.TwinUpdate = 150; return "" }),
	turned("counters", false, func(c *desksim.Config, _ *rand.Rand) any { c.Weights.DetailUpdate = 150; return "" }),
	turned("renames", false, func(c *desksim.Config, _ *rand.Rand) any {
		w := &c.Weights
		w.RenameContact, w.RenameAccount, w.RenameAgent, w.RenameTeam, w.RenameProduct = 30, 20, 20, 10, 10
		return ""
	}),
	turned("department-renames", true, func(c *desksim.Config, _ *rand.Rand) any { c.Weights.RenameDepartment = 20; return "" }),
	turned("field-changes", true, func(c *desksim.Config, _ *rand.Rand) any {
		c.Weights.AddField, c.Weights.RemoveField, c.Weights.RenameField = 20, 15, 10
		return ""
	}),
	turned("field-types", true, func(c *desksim.Config, _ *rand.Rand) any { c.Weights.RetypeField = 20; return "" }),
	turned("departments-go", true, func(c *desksim.Config, _ *rand.Rand) any {
		c.Weights.AddDepartment, c.Weights.RemoveDepartment = 8, 10
		return ""
	}),
	turned("restored-contracts", false, func(c *desksim.Config, _ *rand.Rand) any {
		c.Weights.TrashContract, c.Weights.RestoreContract = 10, 15
		return ""
	}),
	turned("purges", true, func(c *desksim.Config, _ *rand.Rand) any {
		c.Weights.PurgeProduct, c.Weights.PurgeContract, c.Weights.PurgeTicket, c.Weights.UnmarkSpam = 10, 10, 30, 10
		return ""
	}),
	turned("silent", true, func(c *desksim.Config, _ *rand.Rand) any {
		c.Weights.SilentUpdate, c.Weights.SilentProduct, c.Weights.SilentContract = 100, 10, 10
		return ""
	}),
	{name: "slow-portal", turn: func(p *plan, r *rand.Rand) string {
		p.set.latency = time.Duration(20+r.IntN(4000)) * time.Millisecond
		return p.set.latency.String()
	}},
	{name: "no-search", turn: func(p *plan, _ *rand.Rand) string { p.set.refuse = "Desk.search.READ"; return "" }, needs: true},
	happens("hidden-field", true, "hide field"),
	happens("hidden-department", true, "hide department"),
	{name: "hidden-is-404", needs: true, steps: []string{"hide department"}, turn: func(p *plan, _ *rand.Rand) string {
		p.set.portal.HiddenIs404 = true
		return ""
	}},
}

var hookKnobs = []knob{
	{name: "lost-hooks", needs: true, turn: func(p *plan, r *rand.Rand) string {
		p.set.hooks.Loss = pick(r, 0.1, 0.5, 1)
		return fmt.Sprint(p.set.hooks.Loss)
	}},
	// A ticket whose every event was lost, trashed and restored between two
	// rounds, is shown by nothing: without events no restores here.
	{name: "lost-hooks-no-restores", turn: func(p *plan, r *rand.Rand) string {
		p.set.hooks.Loss, p.set.portal.Weights.RestoreTicket, p.set.portal.Weights.RestoreProduct = share(r, 1), 0, 0
		return fmt.Sprintf("%.2f", p.set.hooks.Loss)
	}},
	{name: "doubled-hooks", turn: func(p *plan, r *rand.Rand) string { p.set.hooks.Duplicate = share(r, 0.6); return "" }},
	{name: "reordered-hooks", turn: func(p *plan, r *rand.Rand) string {
		p.set.hooks.Reorder, p.set.hooks.Within = share(r, 0.6), time.Duration(1+r.IntN(20))*time.Minute
		return p.set.hooks.Within.String()
	}},
	{name: "delayed-hooks", turn: func(p *plan, r *rand.Rand) string {
		p.set.hooks.Delay, p.set.hooks.Within = share(r, 0.6), time.Duration(1+r.IntN(20))*time.Minute
		return p.set.hooks.Within.String()
	}},
	{name: "partial-hooks", turn: func(p *plan, r *rand.Rand) string { p.set.hooks.Partial = share(r, 0.6); return "" }},
	{name: "trailing-updates", turn: func(p *plan, r *rand.Rand) string { p.set.hooks.TrailingUpdate = share(r, 1); return "" }},
	turned("event-times", false, func(c *desksim.Config, r *rand.Rand) any {
		c.EventTime = pick(r, desksim.EventSeconds, desksim.EventMicros, desksim.EventFuture, desksim.EventMixed)
		return c.EventTime
	}),
	turned("grouped-hooks", false, func(c *desksim.Config, r *rand.Rand) any { c.EventsPerPost = 2 + r.IntN(9); return c.EventsPerPost }),
	{name: "no-hooks", needs: true, turn: func(p *plan, r *rand.Rand) string {
		p.set.noHooks = true
		p.then(func(c *Config) { c.Polls[source.Tickets] = 5 * time.Minute })
		return ""
	}},
	{name: "log-fails", needs: true, turn: func(p *plan, r *rand.Rand) string { p.set.logFails = share(r, 0.3); return "" }},
	{name: "deaf-while-down", needs: true, steps: []string{"kill", "kill", "down"}, turn: func(p *plan, _ *rand.Rand) string { p.set.deafDown = true; return "" }},
	{name: "hints", steps: []string{"hint", "hint", "hint", "kill"}, turn: func(p *plan, r *rand.Rand) string {
		if p.set.latency == 0 { // so that hints meet a read that is under way
			p.set.latency = time.Duration(20+r.IntN(1500)) * time.Millisecond
		}
		return p.set.latency.String()
	}},
	happens("spoilt-hooks", false, "spoil"),
}

// then adds to what the plan changes in the sync's configuration.
func (p *plan) then(change func(*Config)) {
	before := p.conf
	p.conf = func(c *Config) { before(c); change(c) }
}

func configured(name string, change func(*Config)) knob {
	return knob{name: name, turn: func(p *plan, _ *rand.Rand) string { p.then(change); return "" }}
}

var connectorKnobs = []knob{
	configured("payload-reread", func(c *Config) { c.Trust = false }),
	configured("no-history", func(c *Config) { c.History = nil }),
	configured("rare-polls", func(c *Config) { c.Polls[source.Tickets], c.Bin = 3*time.Hour, 5*time.Hour }),
	configured("frequent-polls", func(c *Config) {
		c.Polls[source.Tickets], c.Polls[source.Products], c.Bin = 2*time.Minute, 3*time.Minute, 4*time.Minute
	}),
	happens("restarts", false, "restart", "restart"),
	happens("kills", false, "kill", "kill", "kill"),
	happens("old-leader", false, "take over"),
	happens("resyncs", false, "resync", "cancelled resync"),
	happens("verifies", false, "verify"),
	{name: "wrong-clock", steps: []string{"shift clock"}, turn: func(p *plan, r *rand.Rand) string {
		p.set.clockOff = time.Duration(r.IntN(48)-24) * time.Hour
		return p.set.clockOff.String()
	}},
}

var sinkKnobs = []knob{
	{name: "sink-fails", turn: func(p *plan, r *rand.Rand) string {
		p.set.sinkFails = share(r, 0.4)
		return fmt.Sprintf("%.2f", p.set.sinkFails)
	}},
	{name: "sink-late", turn: func(p *plan, r *rand.Rand) string { p.set.late = share(r, 0.3); return fmt.Sprintf("%.2f", p.set.late) }},
	{name: "state-fails", turn: func(p *plan, r *rand.Rand) string {
		p.set.stateFails = share(r, 0.3)
		return fmt.Sprintf("%.2f", p.set.stateFails)
	}},
	happens("sink-down", false, "sink down"),
	{name: "selection", turn: func(p *plan, _ *rand.Rand) string { p.set.selects = true; return "" }},
}
