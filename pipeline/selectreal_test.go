package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/sink/clickhouse"
	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"
	"deskhouse/source/desksim"
)

// selected is a world on the real engine whose selection changes.
type selected struct{ *world }

// use starts the sync anew with another selection, on the same database and
// state.
func (w selected) use(masks map[source.Table]*source.Mask) *clickhouse.Warehouse {
	if w.stop != nil {
		w.stop()
	}
	ctx := context.Background()
	old := w.sink.(*clickhouse.Warehouse)
	full := map[source.Table]clickhouse.HistoryMode{source.Tickets: clickhouse.HistoryFull}
	wh, err := clickhouse.Open(ctx, clickhouse.Config{URL: "clickhouse://" + enginetest.Start(w.t).Addr(), Database: old.Database(), OrgID: w.portal.OrgID(),
		Pipeline: "sim", Select: masks, History: full, Logger: zerolog.Nop()})
	w.must(err)
	w.t.Cleanup(func() { _ = wh.Close() })
	w.must(wh.Prepare(ctx, w.cfg.Tables))
	w.sink, w.cfg.Select = wh, masks
	w.start()
	<-w.p.Loaded()
	return wh
}

// compared resyncs every table and returns the reports; nothing may wait for a
// person, and nothing may be left to do.
func (w selected) compared() map[source.Table]source.RunReport {
	ctx := context.Background()
	w.must(w.portal.Flush(ctx))
	w.must(w.p.Settled(ctx))
	w.time.Sleep(30 * time.Minute) // beyond the lag allowance
	reports := map[source.Table]source.RunReport{}
	for _, t := range resyncOrder {
		before, err := w.p.Verify(ctx, t)
		w.must(err)
		report, err := w.p.Resync(ctx, t, ResyncOptions{Trigger: "test"})
		w.must(err)
		for what, r := range map[string]source.RunReport{"verify": before, "resync": report} {
			if r.Repaired+r.Deleted+r.Resurrected != 0 {
				w.fail("%s of %s found drift: %+v", what, t, r)
			}
		}
		reports[t] = report
	}
	return reports
}

// marked are the tables and views in which a text that begins so stands, with
// the number of rows, but for those that are left out.
func (w selected) marked(wh *clickhouse.Warehouse, text string, but ...string) []string {
	columns := map[string][]string{}
	for _, row := range w.ask(wh, "SELECT table, name FROM system.columns WHERE database = currentDatabase() ORDER BY table, position") {
		columns[row[0]] = append(columns[row[0]], "toString(`"+row[1]+"`)")
	}
	if len(columns["tickets_all"]) < 40 || len(columns["changes"]) == 0 {
		w.fail("%d tables to look through", len(columns))
	}
	var found []string
	for table, texts := range columns {
		if slices.Contains(but, table) {
			continue
		}
		n := w.ask(wh, fmt.Sprintf("SELECT count() FROM `%s` WHERE arrayExists(x -> position(ifNull(x, ''), '%s') > 0, [%s])", table, text, strings.Join(texts, ", ")))[0][0]
		if n == "0" {
			continue
		}
		for _, c := range texts {
			if w.ask(wh, fmt.Sprintf("SELECT count() FROM `%s` WHERE position(ifNull(%s, ''), '%s') > 0", table, c, text))[0][0] != "0" {
				found = append(found, table+": "+c)
			}
		}
	}
	slices.Sort(found)
	return found
}

func (w selected) ask(wh *clickhouse.Warehouse, query string) (rows [][]string) {
	r, err := wh.Query(context.Background(), query)
	w.must(err)
	defer r.Close()
	for {
		values, _, ok := r.Next()
		if !ok {
			w.must(r.Err())
			return rows
		}
		rows = append(rows, values)
	}
}

// change sets the texts of a ticket; those that are not to be stored begin with
// MARK, that of a hashed field is the same for all.
func (w selected) change(id uint64, to desksim.TicketChange, subject string) uint64 {
	text := func(s string) *string { return &s }
	to.Subject, to.Description, to.Resolution = text(subject), text("MARK description"), text("MARK resolution")
	to.CF = map[string]*string{"cf_secret": text("MARK secret"), "cf_hashed": text("MARK hashed")}
	change := w.portal.UpdateTicket
	if id == 0 {
		change = func(_ uint64, ch desksim.TicketChange) (uint64, error) { return w.portal.CreateTicket(ch) }
	}
	id, err := change(id, to)
	w.must(err)
	return id
}

// What is not selected is nowhere in the database, whatever brings it: load,
// webhooks with their earlier states, polls, resyncs. A wider selection is
// filled, a narrower one emptied, and neither is drift.
func TestNothingUnselectedReachesTheWarehouse(t *testing.T) {
	w := selected{newRealWorld(t, settings{portal: desksim.Config{Seed: 51, Tickets: 60, Products: 10, Contracts: 10, ArchivedTickets: -1, CreditsPerDay: -1}}, 5*time.Second)}
	defer w.portal.Close()
	for _, api := range []string{"cf_secret", "cf_hashed"} {
		_, err := w.portal.AddCustomField("tickets", api, api, "Text")
		w.must(err)
	}
	all := w.departments()
	in, out := all[:len(all)/2], all[len(all)/2:]
	narrow := map[source.Table]*source.Mask{
		source.Tickets:   w.mask(source.Tickets, source.Selection{Exclude: []string{"description", "first_thread", "resolution", "cf_secret", "contact_*"}, Hash: []string{"email", "cf_hashed"}, Only: in}),
		source.Contracts: w.mask(source.Contracts, source.Selection{Except: out}),
		source.Products:  w.mask(source.Products, source.Selection{Only: in}),
	}
	var inside, outside []uint64
	for i := range 6 {
		inside = append(inside, w.change(0, desksim.TicketChange{Department: in[i%len(in)]}, "seen"))
		outside = append(outside, w.change(0, desksim.TicketChange{Department: out[i%len(out)]}, "MARK subject"))
	}
	wh := w.use(narrow)
	defer func() { w.stop() }()
	for i := range 3 { // followed: changed where they are, moved out, moved in
		w.change(inside[i], desksim.TicketChange{}, "seen again")
		w.change(outside[i], desksim.TicketChange{}, "MARK subject again")
	}
	w.change(inside[4], desksim.TicketChange{Department: out[0]}, "MARK moved out")
	w.change(outside[4], desksim.TicketChange{Department: in[0]}, "seen now")
	w.compared()
	if found := w.marked(wh, "MARK"); found != nil {
		t.Errorf("what is not selected stands in %v", found)
	}
	count := func(wh *clickhouse.Warehouse, where string) string {
		return w.ask(wh, "SELECT count() FROM tickets_full WHERE "+where)[0][0]
	}
	if got := count(wh, "startsWith(subject, 'seen') AND length(cf_hashed_hash) = 32"); got != "6" {
		t.Errorf("%s tickets of those made in or moved to selected departments", got)
	}
	ids := strings.Trim(strings.ReplaceAll(fmt.Sprint(in), " ", ","), "[]")
	if got := count(wh, "department_id NOT IN ("+ids+")"); got != "0" {
		t.Errorf("%s tickets of other departments", got)
	}
	if rows := w.ask(wh, "SELECT uniqExact(email_hash) > 1, countIf(isNotNull(department_name)) > 0 FROM tickets"); rows[0][0] != "1" && rows[0][0] != "true" {
		t.Errorf("hashes of addresses: %v", rows)
	}
	live := 0
	for truth := range w.portal.Truth("tickets") {
		if truth.State == desksim.Live {
			live++
		}
	}

	wide := w.use(nil)
	w.change(inside[3], desksim.TicketChange{}, "seen, and more is selected")
	w.must(w.portal.Flush(t.Context()))
	w.must(w.p.Settled(t.Context()))
	w.time.Sleep(30 * time.Minute)
	w.must(w.p.Settled(t.Context()))
	if told := w.ask(wide, fmt.Sprintf("SELECT changed FROM changes WHERE id = %d ORDER BY row_version DESC LIMIT 1", inside[3])); len(told) != 1 || !strings.Contains(told[0][0], "subject") || strings.Contains(told[0][0], "description") || strings.Contains(told[0][0], "cf_") {
		t.Errorf("a change of subject before the columns are filled is told as %v", told)
	}
	reports := w.compared()
	if r := reports[source.Tickets]; r.Backfilled == 0 || r.Read != uint64(live) {
		t.Errorf("widened: %+v, %d tickets", r, live)
	}
	if got := count(wide, "isNotNull(description) OR isNotNull(subject)"); got != fmt.Sprint(live) {
		t.Errorf("%s of %d tickets are filled", got, live)
	}
	if got := count(wide, "description = 'MARK description' AND cf_secret = 'MARK secret' AND cf_hashed = 'MARK hashed' AND resolution = 'MARK resolution'"); got != "12" {
		t.Errorf("%s of 12 tickets have their texts", got)
	}
	if got := count(wide, "isNull(listed_as_of)"); got != "0" {
		t.Errorf("%s tickets have no listed columns", got)
	}
	if again := w.compared()[source.Tickets]; again.Backfilled != 0 {
		t.Errorf("filled twice: %+v", again)
	}

	last := w.use(narrow)
	if r := w.compared()[source.Tickets]; r.Backfilled == 0 {
		t.Errorf("narrowed: %+v", r)
	}
	if again := w.compared()[source.Tickets]; again.Backfilled != 0 {
		t.Errorf("emptied twice: %+v", again)
	}
	schema, err := last.Schema(t.Context(), w.cfg.Tables)
	w.must(err)
	w.stop()
	w.must(last.ApplySchema(t.Context(), w.cfg.Tables, slices.DeleteFunc(schema.Plan, func(s clickhouse.Step) bool { return s.Automatic })))
	for _, table := range []string{"tickets_all", "tickets_listed", "tickets_detail", "contracts_all", "contracts_detail", "products_all", "products_detail"} {
		w.ask(last, "OPTIMIZE TABLE "+table+" FINAL")
	}
	if found := w.marked(last, "MARK", "changes", "changes_all"); found != nil { // the history of while it was selected stays
		t.Errorf("after the old columns are dropped and the rows merged, %v", found)
	}
}
