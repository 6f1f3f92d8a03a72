package pipeline

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"deskhouse/sink/clickhouse"
	"deskhouse/source"
	"deskhouse/source/desksim"
)

// TestCookbook runs every query of docs/queries.md on a portal that was loaded
// and then followed through all kinds of changes, and compares the answers with
// those that follow from the portal's own records and from a log of what the
// test saw change in them. Nothing of the expected answers comes from the
// warehouse.
//
// Time passes slowly: a delivery must be stored within 5 s, and disks do not
// know of the clock that is moved on.
func TestCookbook(t *testing.T) {
	w := newRealWorld(t, settings{portal: desksim.Config{Seed: 21, Tickets: 200, ArchivedTickets: 5, Products: 12, Contracts: 40, CreditsPerDay: -1, EventTime: desksim.EventSeconds,
		Weights: desksim.Weights{CreateTicket: 6, UpdateTicket: 30, TrashTicket: 2, MoveTicket: 2, UpdateContract: 1, TrashContract: 1, UpdateProduct: 1, UpdateDepartment: 1}}}, 100*time.Millisecond)
	defer w.portal.Close()
	w.cfg.Polls[source.Tickets] = 1000 * time.Hour
	w.start()
	defer w.stop()
	<-w.p.Loaded()
	w.settled(t.Context())
	seen := newWitness(w.portal)
	for range 180 {
		w.portal.Mutate(1)
		w.next(seen)
	}
	w.closeAndReopen(seen)
	w.heal()
	w.settled(t.Context())
	w.round(t.Context())
	wh := w.sink.(*clickhouse.Warehouse)
	w.must(wh.ReloadNames(t.Context(), source.Departments))
	w.must(wh.ReloadNames(t.Context(), source.Products))
	now := w.portal.Now().UTC()
	truth := newAnswers(w.portal, seen, now)
	queries := cookbook(t)
	if len(queries) != len(truth.all()) {
		t.Errorf("%d queries, %d answers", len(queries), len(truth.all()))
	}
	for title, query := range queries {
		answer := truth.all()[title]
		if answer == nil {
			t.Errorf("nobody works out the answer to %q", title)
			continue
		}
		at := fmt.Sprintf("toDateTime64('%s', 3, 'UTC')", now.Format("2006-01-02 15:04:05.000"))
		got, want := answered(t, wh, strings.ReplaceAll(query, "now()", at)), answer()
		if len(want) == 0 {
			t.Errorf("%s: nothing to find; the portal must give every query something to answer", title)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s\ngot %d\n%s\nwant %d\n%s", title, len(got), strings.Join(got, "\n"), len(want), strings.Join(want, "\n"))
		}
	}
}

// closeAndReopen gives an old and a new ticket a life with all turns.
func (w *world) closeAndReopen(seen *witness) {
	created, err := w.portal.CreateTicket(desksim.TicketChange{})
	w.must(err)
	w.next(seen)
	for _, id := range []uint64{0, created} {
		for _, status := range []string{"Closed", "Open", "Closed", "In Progress"} {
			changed, err := w.portal.UpdateTicket(id, desksim.TicketChange{Status: &status})
			w.must(err)
			id = changed
			w.next(seen)
		}
	}
}

// next looks at what a change made and lets time pass. What overtakes an event
// makes it change nothing any more, so the history would not have it: each is
// delivered before the next, and tickets are not polled.
func (w *world) next(seen *witness) {
	seen.look()
	w.must(w.portal.Flush(w.t.Context()))
	w.time.Sleep(2 * time.Second)
}

var (
	cookbookBlock = regexp.MustCompile("(?s)```sql\n(.*?)```")
)

// cookbook is the queries of docs/queries.md by the questions above them.
func cookbook(t *testing.T) map[string]string {
	text, err := os.ReadFile("../docs/queries.md")
	must(t, err)
	queries := map[string]string{}
	parts := strings.Split(string(text), "\n## ")
	for _, part := range parts[1:] {
		title, body, _ := strings.Cut(part, "\n")
		blocks := cookbookBlock.FindAllStringSubmatch(body, -1)
		if len(blocks) != 1 {
			t.Fatalf("%q has %d queries, want one", title, len(blocks))
		}
		queries[title] = blocks[0][1]
	}
	if len(queries) < 10 {
		t.Fatalf("%d queries found", len(queries))
	}
	return queries
}

// answered is the answer to a query, a line a row.
func answered(t *testing.T, wh *clickhouse.Warehouse, query string) []string {
	t.Helper()
	r, err := wh.Query(t.Context(), query)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return nil
	}
	defer r.Close()
	var lines []string
	for values, null, ok := r.Next(); ok; values, null, ok = r.Next() {
		for i := range values {
			if null[i] {
				values[i] = "∅"
			}
		}
		lines = append(lines, strings.Join(values, " | "))
	}
	if err := r.Err(); err != nil {
		t.Errorf("%s: %v", query, err)
	}
	return lines
}

// fact is a record as the portal shows it, read with the standard library.
type fact struct {
	ID, TicketNumber, Status, StatusType, Channel, ModifiedBy string
	Priority, DepartmentID, AssigneeID, ProductID, ContactID  *string
	CreatedTime, ModifiedTime                                 time.Time
	ClosedTime                                                *time.Time
	IsOverDue                                                 bool
	SecondaryContacts                                         []string
	CF                                                        map[string]*string `json:"cf"`
	// of departments, products and contracts
	Name, ProductName, ContractName, EndDate string

	row desksim.TruthRow
}

func facts(portal *desksim.Portal, table source.Table) []fact {
	var all []fact
	for row := range portal.Truth(string(table)) {
		f := fact{row: row}
		raw := row.Get
		if raw == nil {
			raw = row.Last
		}
		if err := json.Unmarshal(raw, &f); err != nil {
			panic(err)
		}
		all = append(all, f)
	}
	return all
}

// live are the records that exist.
func live(all []fact) []fact {
	var alive []fact
	for _, f := range all {
		if f.row.State == desksim.Live {
			alive = append(alive, f)
		}
	}
	return alive
}

// witness looks at the portal after every change and notes what is different.
type witness struct {
	portal *desksim.Portal
	last   map[string]fact
	loaded map[string]bool // tickets that were there at the beginning
	shifts []shift
}

// shift is a ticket before and after a change; before is nil for a new one.
type shift struct {
	before *fact
	after  fact
}

func newWitness(portal *desksim.Portal) *witness {
	s := &witness{portal: portal, last: map[string]fact{}, loaded: map[string]bool{}}
	for _, f := range facts(portal, source.Tickets) {
		s.last[f.ID], s.loaded[f.ID] = f, true
	}
	return s
}

func (s *witness) look() {
	for _, f := range facts(s.portal, source.Tickets) {
		was, known := s.last[f.ID]
		s.last[f.ID] = f
		switch {
		case !known:
			s.shifts = append(s.shifts, shift{nil, f})
		case string(was.row.Get) != string(f.row.Get):
			s.shifts = append(s.shifts, shift{&was, f})
		}
	}
}
