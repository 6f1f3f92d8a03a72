package pipeline

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"deskhouse/sink/clickhouse"
	"deskhouse/source"
	"deskhouse/source/desksim"
)

var proofFlow = flag.Duration("proof.flow", 20*time.Second, "how long changes flow before and after each change of a custom field, on the simulated clock")

// flow changes tickets' custom fields 1,000 times a minute of the simulated
// clock, and remembers the last value it gave each.
type flow struct {
	w       *world
	tickets []uint64
	rng     *rand.Rand
	ended   sync.WaitGroup
	stop    chan struct{}

	mu     sync.Mutex
	fields map[string]string // API name → type, of those that are changed
	sent   map[string]map[uint64]string
	made   int
}

func newFlow(w *world, fields map[string]string) *flow {
	f := &flow{w: w, rng: rand.New(rand.NewPCG(1, 2)), stop: make(chan struct{}), fields: fields, sent: map[string]map[uint64]string{}}
	for truth := range w.portal.Truth("tickets") {
		f.tickets = append(f.tickets, truth.ID)
	}
	f.ended.Go(func() {
		for {
			select {
			case <-f.stop:
				return
			case <-w.time.After(600 * time.Millisecond):
			}
			for range 10 {
				f.change()
			}
		}
	})
	return f
}

func (f *flow) end() { close(f.stop); f.ended.Wait() }

// change sets one field of one ticket.
func (f *flow) change() {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := make([]string, 0, len(f.fields))
	for name := range f.fields {
		names = append(names, name)
	}
	slices.Sort(names)
	id, name := f.tickets[f.rng.IntN(len(f.tickets))], names[f.rng.IntN(len(names))]
	f.made++
	value := strconv.Itoa(f.made)
	switch {
	case f.fields[name] == "Text":
		value = fmt.Sprintf("it's `%d` \\ \"😀\"\n", f.made)
	case f.made%20 == 0:
		value = "no number " + value
	}
	_, err := f.w.portal.UpdateTicket(id, desksim.TicketChange{CF: map[string]*string{name: &value}})
	f.w.must(err)
	if f.sent[name] == nil {
		f.sent[name] = map[uint64]string{}
	}
	f.sent[name][id] = value
}

// take has a field left alone from now on and returns what was last sent of it.
// When it returns, that has been delivered and applied: the flow stands still
// for that moment, and goes on while the field itself is changed.
func (f *flow) take(name string) map[uint64]string {
	f.w.time.Sleep(*proofFlow)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.fields, name)
	sent := f.sent[name]
	delete(f.sent, name)
	f.w.must(f.w.portal.Flush(f.w.t.Context()))
	f.w.settled(f.w.t.Context())
	return sent
}

func (f *flow) give(name, kind string) {
	f.mu.Lock()
	f.fields[name] = kind
	f.mu.Unlock()
	f.w.time.Sleep(*proofFlow)
}

// TestCustomFieldsChangeUnderLoad: a custom field is added, renamed, retyped and
// removed on the real engine and log while 1,000 changes a minute arrive as
// webhooks (of a clock that runs ten times as fast as a real one). In the end
// every field of every ticket is what the simulator says, in its column or in
// _extra, and what was last sent of a field before it was retyped or removed is
// still there. Longer: go test ./pipeline -run TestCustomFieldsChange -proof.flow=5m
func TestCustomFieldsChangeUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("some 25 s on the real engine: left out with -short, make test and make ci run it")
	}
	w := newRealWorld(t, settings{portal: desksim.Config{Seed: 41, Tickets: 120, CreditsPerDay: -1}}, 40*time.Millisecond)
	defer w.portal.Close()
	for table := range w.cfg.Polls {
		w.cfg.Polls[table] = 1000 * time.Hour // nothing but what the test asks for
	}
	w.cfg.Bin = 1000 * time.Hour
	w.start()
	defer func() { w.stop() }()
	<-w.p.Loaded()
	f := newFlow(w, map[string]string{"cf_serial_number": "Text", "cf_number_of_items": "Number"})
	ask := func() { w.must(w.p.PollNow(t.Context(), source.OrganizationFields)) }

	id, err := w.portal.AddCustomField("tickets", "cf_story", "Story", "Text")
	w.must(err)
	f.give("cf_story", "Text") // its first value makes the column
	w.must(w.portal.RenameField(id, "\"Story\" `of` it (backfill pending)"))
	ask()
	texts := f.take("cf_story")
	w.must(w.portal.RetypeField(id, "Number"))
	ask()
	f.give("cf_story", "Number")
	numbers, serials := f.take("cf_story"), f.take("cf_serial_number")
	w.must(w.portal.RemoveField(id))
	w.must(w.portal.RemoveField(w.fieldID("cf_serial_number")))
	w.time.Sleep(*proofFlow) // rows change before anybody lists the fields
	ask()
	w.time.Sleep(*proofFlow)
	f.end()
	w.must(w.portal.Flush(t.Context()))
	w.settled(t.Context())
	report, err := w.resync(source.Tickets, ResyncOptions{})
	w.must(err)
	w.settled(t.Context())
	t.Logf("%d changes, %d texts and %d numbers of the retyped field, %d of the removed one; %+v", f.made, len(texts), len(numbers), len(serials), report)

	w.fetch()
	audit{w, true}.run()
	w.heldFields(map[string]map[uint64]string{"cf_story": texts, "cf_story_2": numbers, "cf_serial_number": serials})
	w.columnsSay(`former custom field "cf_story" of type "Text": "\"Story\" `+"`of`"+` it (backfill pending)"`, `removed custom field "cf_story" of type "Number"`,
		`removed custom field "cf_serial_number"`)
}

// ask runs a query of an analyst.
func (w *world) ask(query string) (rows [][]string) {
	result, err := w.sink.(*clickhouse.Warehouse).Query(w.t.Context(), query)
	w.must(err)
	for values, _, ok := result.Next(); ok; values, _, ok = result.Next() {
		rows = append(rows, values)
	}
	w.must(result.Err())
	w.must(result.Close())
	return rows
}

// heldFields holds every custom value that the portal has now, and what was last
// sent for columns that are no field's any more, against the view.
func (w *world) heldFields(last map[string]map[uint64]string) {
	truths := map[uint64]map[string]*string{}
	for truth := range w.portal.Truth("tickets") {
		var rec struct{ CF map[string]*string }
		w.must(json.Unmarshal(truth.Get, &rec))
		truths[truth.ID] = rec.CF
	}
	compared := 0
	for _, row := range w.ask("SELECT id, _extra, ifNull(cf_story, ''), ifNull(toString(cf_story_2), ''), ifNull(cf_serial_number, ''), ifNull(toString(cf_number_of_items), ''), ifNull(cf_region, '') FROM tickets") {
		id, err := strconv.ParseUint(row[0], 10, 64)
		w.must(err)
		var extra map[string]string
		if row[1] != "" {
			w.must(json.Unmarshal([]byte(row[1]), &extra))
		}
		holds := func(column, field, got, want string) {
			if compared++; got != want && extra["cf."+field] != want {
				w.fail("ticket %d: %s is %q and %q in _extra, last sent was %q", id, column, got, extra["cf."+field], want)
			}
		}
		for i, column := range []string{"cf_story", "cf_story_2", "cf_serial_number"} {
			if want, sent := last[column][id]; sent {
				holds(column, strings.TrimSuffix(column, "_2"), row[2+i], want)
			}
		}
		for i, field := range []string{"cf_number_of_items", "cf_region"} {
			want := ""
			if v := truths[id][field]; v != nil {
				want = *v
			}
			holds(field, field, row[5+i], want)
		}
	}
	if compared < 3*len(truths) {
		w.fail("only %d values were compared", compared)
	}
}

// columnsSay: each of these begins the comment of a column of tickets.
func (w *world) columnsSay(comments ...string) {
	rows := w.ask("SELECT comment FROM system.columns WHERE database = currentDatabase() AND table = 'tickets_all'")
	for _, want := range comments {
		if !slices.ContainsFunc(rows, func(row []string) bool { return strings.HasPrefix(row[0], want) }) {
			w.fail("no column says %s", want)
		}
	}
	if marked := w.ask("SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'tickets_all' AND comment LIKE '%(backfill pending)'"); len(marked) > 0 {
		w.fail("a backfill is still pending: %v", marked)
	}
}
