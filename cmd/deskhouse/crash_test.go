package main

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"deskhouse/source/desksim"
)

// Rounds of TestCrash. One portal lives through a chapter of them, so that there
// is a first load to crash more than once.
const (
	ciRounds      = 6
	chapterRounds = 10
)

var crashRounds = flag.Int("crash.rounds", ciRounds, "how often TestCrash crashes something")

// everyChange is what a portal lives through when there is time for a resync
// that asks twice, a minute apart, about what is gone without a trace.
var everyChange = func() desksim.Weights {
	w := desksim.DefaultWeights
	w.SilentUpdate = 10
	return w
}()

// TestCrash crashes service and engine while they load, follow, compare,
// rebuild, start and stop, and a resync without a service, beside a portal that never rests and whose deliveries
// fail while nothing listens. What is done is drawn from the seed; at which
// instruction it happens is not. In the end every acknowledged event is in the
// tables and once in the history, and after one resync every column of every
// table is what the portal says.
func TestCrash(t *testing.T) {
	seed := seedOf(t)
	weights := demoChanges
	if *crashRounds > ciRounds {
		weights = everyChange
	}
	for first := 0; first < *crashRounds; first += chapterRounds {
		n := min(chapterRounds, *crashRounds-first)
		t.Run(fmt.Sprintf("%d-%d", first+1, first+n), func(t *testing.T) {
			crashChapter(t, seed+int64(first), n, weights)
		})
	}
}

func crashChapter(t *testing.T, seed int64, rounds int, weights desksim.Weights) {
	h := newHouse(t, desksim.Config{Seed: seed, Weights: weights, Tickets: 3000, ArchivedTickets: 10, PayloadAtEvent: true,
		DeliveryTimeout: time.Second, DeliveryLog: 1 << 20}, settings{})
	c := &crash{house: h, rng: rand.New(rand.NewPCG(uint64(seed), 9)), hit: map[string]int{}}
	living := h.live()
	for i, r := range c.plan(rounds) {
		t.Logf("round %d: %s", i+1, r)
		c.round(r)
	}
	c.up()
	h.untilLoaded()
	t.Logf("hit: %s", c.hits())
	if c.hit["load"] == 0 || c.loaded.IsZero() {
		t.Error("not both load and follow were hit")
	}
	living.stop()
	h.settle()
	h.checkAcknowledged()
	h.checkHistory(c.loaded)
	if r := h.deskhouseWithin(longResync, "resync", "--json"); r.code != exitDone {
		t.Fatalf("resync: exit code %d\n%s", r.code, r.stderr.String())
	}
	h.settle()
	h.compare()
	c.p.stop()
	c.up() // what a comparison left behind whose engine died is forgotten at the next start
	if now := c.tables(); now != c.first {
		t.Errorf("tables after the first load: %s\nafter the last start: %s", c.first, now)
	}
	engine := h.enginePID()
	c.p.stop()
	if isEngine(engine) {
		t.Errorf("engine %d is left behind", engine)
	}
}

// longResync bounds a resync that waits for the second of two answers a minute
// apart, and once more for what it missed.
const longResync = 5 * time.Minute

// crash is one chapter.
type crash struct {
	*house
	rng    *rand.Rand
	p      *process       // nil before the first start
	loaded time.Time      // by the portal's clock, when the first load was seen done
	first  string         // the tables at that moment
	hit    map[string]int // what was going on when the blows fell
}

func (c *crash) hits() string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(c.hit)) {
		all = append(all, fmt.Sprintf("%s %d", k, c.hit[k]))
	}
	return strings.Join(all, ", ")
}

// up starts the service unless it runs, and has it run.
func (c *crash) up() {
	c.t.Helper()
	if c.p == nil || !c.p.running() {
		c.p = c.start()
	}
	c.untilRunning()
	if len(c.pipe().Webhooks) == 0 {
		c.must("webhook", "register")
	}
}

// slow makes every call to the portal take a while, so that what is to be hit
// lasts.
func (c *crash) slow(d time.Duration) {
	c.portal.Faults().Latency(func(*http.Request) time.Duration { return d })
}

// while waits a random time: the moment of the blow.
func (c *crash) while(most time.Duration) {
	time.Sleep(time.Duration(c.rng.Int64N(int64(most))))
}

// sawLoaded notes the first time that everything was loaded.
func (c *crash) sawLoaded() {
	c.t.Helper()
	c.untilLoaded()
	if c.loaded.IsZero() {
		c.loaded, c.first = c.portal.Now(), c.tables()
	}
}

// tables are the names of all tables and views: shadows and lists of what a run
// has seen must not be left behind.
func (c *crash) tables() string {
	c.t.Helper()
	rows := c.sql("SELECT arrayStringConcat(arraySort(groupArray(name)), ' ') AS names FROM system.tables WHERE database = 'desk'")
	if len(rows) != 1 {
		c.t.Fatalf("%d rows of names", len(rows))
	}
	return textsOf(rows[0])["names"]
}
