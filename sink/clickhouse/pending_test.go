package clickhouse

import (
	"slices"
	"strings"
	"testing"

	"deskhouse/source"
)

const pendingOf = "SELECT count() FROM system.columns WHERE database = '%s' AND table IN ('tickets_all', 'tickets') AND name = '%s' AND endsWith(comment, ' (backfill pending)')"

func TestAColumnOfATableWithRowsIsPendingUntilFilled(t *testing.T) {
	w := prepared(t)
	ensure := func(fields ...source.CustomField) {
		t.Helper()
		_, err := w.EnsureCustomFields(ctx, source.Tickets, fields)
		must(t, err)
	}
	a, b := source.CustomField{APIName: "cf_a", Label: "A", Type: "Text"}, source.CustomField{APIName: "cf_b", Label: "B", Type: "Number"}
	ensure(a)
	wantRow(t, w, "0", pendingOf, w.Database(), "cf_a")
	rec := record(t, source.Tickets, `{"id":"1","cf":{"cf_a":"x","cf_b":"2"}}`)
	if w.Backfills(source.Tickets, source.Content, rec) {
		t.Error("nothing is pending")
	}
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
	ensure(a, b)
	wantRow(t, w, "2", pendingOf, w.Database(), "cf_b") // the table and its view
	if !w.Backfills(source.Tickets, source.Content, rec) || w.Backfills(source.Tickets, source.Content, record(t, source.Tickets, `{"id":"1","cf":{"cf_a":"x","cf_b":null}}`)) {
		t.Error("a record with a value for a pending column, and no other, backfills")
	}
	restarted := open(t, w.cfg)
	must(t, restarted.Prepare(ctx, allTables))
	if got := restarted.PendingColumns(source.Tickets); len(got) != 1 || got[0].Column != "cf_b" || got[0].Register != source.Content {
		t.Errorf("read back: %+v", got)
	}
	b.Label = "renamed"
	if _, err := restarted.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{a, b}); err != nil {
		t.Fatal(err)
	}
	wantRow(t, w, "2", pendingOf, w.Database(), "cf_b")
	must(t, restarted.Backfilled(ctx, source.Tickets, restarted.PendingColumns(source.Tickets)))
	wantRow(t, w, "0", pendingOf, w.Database(), "cf_b")
	if restarted.Backfills(source.Tickets, source.Content, rec) || len(restarted.PendingColumns(source.Tickets)) > 0 {
		t.Error("still pending")
	}
	wantRow(t, w, `custom field "cf_b" of type "Number": renamed`, "SELECT comment FROM system.columns WHERE database = '%s' AND table = 'tickets_all' AND name = 'cf_b'", w.Database())
}

func TestWhatIsAddedDuringAReadingStaysPending(t *testing.T) {
	w := prepared(t)
	ensure := func(fields ...source.CustomField) {
		t.Helper()
		_, err := w.EnsureCustomFields(ctx, source.Tickets, fields)
		must(t, err)
	}
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, `{"id":"1"}`), 1)}, 1))
	a, b := source.CustomField{APIName: "cf_a", Label: "A", Type: "Text"}, source.CustomField{APIName: "cf_b", Label: "B", Type: "Text"}
	ensure(a)
	before := w.PendingColumns(source.Tickets)
	ensure(a, b)
	// A column that was left and taken up again meanwhile was not filled either.
	a.Type = "Number"
	ensure(a, b)
	a.Type = "Text"
	ensure(a, b)
	must(t, w.Backfilled(ctx, source.Tickets, before))
	var names []string
	for _, c := range w.PendingColumns(source.Tickets) {
		names = append(names, c.Column)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "cf_a cf_b" {
		t.Errorf("pending are %q", got)
	}
}

func TestAReleaseWithNewColumnsMarksThem(t *testing.T) {
	w := prepared(t)
	rec := record(t, source.Tickets, fullTicket)
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
	must(t, w.WriteSide(ctx, source.Tickets, source.Listed, []source.SideRow{{Key: rec.Key, Stamp: source.Stamp{AsOf: 1, Rank: source.EvidenceSearch, Hash: 1}, Record: rec}}, 1))
	listed := w.layouts[source.Tickets].fieldColumns(source.Listed)[0].name
	for _, drop := range []string{"tickets_all DROP COLUMN subject", "tickets_listed DROP COLUMN " + listed, "products_all DROP COLUMN product_name"} {
		table, rest, _ := strings.Cut(drop, " ")
		must(t, w.exec(ctx, "be an older release", "ALTER TABLE "+qualified(w.Database(), table)+" "+rest))
	}
	upgraded := open(t, w.cfg)
	must(t, upgraded.Prepare(ctx, allTables))
	wantRow(t, w, "2", pendingOf, w.Database(), "subject")
	if got := upgraded.PendingColumns(source.Tickets); len(got) != 2 {
		t.Errorf("pending are %+v", got)
	}
	if got := upgraded.PendingColumns(source.Products); len(got) != 0 { // it has no rows
		t.Errorf("of products: %+v", got)
	}
	if !upgraded.Backfills(source.Tickets, source.Content, rec) {
		t.Error("the ticket has a subject")
	}
	must(t, upgraded.Backfilled(ctx, source.Tickets, upgraded.PendingColumns(source.Tickets)))
	wantRow(t, w, "0", "SELECT count() FROM system.columns WHERE database = '%s' AND comment LIKE '%%pending%%'", w.Database())
}

// A field that comes back, after it was removed or had another type, may be
// empty where its column kept a value: every row is written once more.
func TestAColumnThatIsUsedAgainKeepsNothingOfBefore(t *testing.T) {
	text, number := source.CustomField{APIName: "cf_a", Label: "A", Type: "Text"}, source.CustomField{APIName: "cf_a", Label: "A", Type: "Number"}
	for name, leave := range map[string]func(*testing.T, *Warehouse){
		"removed": func(t *testing.T, w *Warehouse) {
			must(t, w.RemoveCustomFields(ctx, source.Tickets, []string{"cf_a"}))
		},
		"retyped": func(t *testing.T, w *Warehouse) {
			_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{number})
			must(t, err)
			must(t, w.Backfilled(ctx, source.Tickets, w.PendingColumns(source.Tickets)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := prepared(t)
			_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{text})
			must(t, err)
			rec := record(t, source.Tickets, `{"id":"1","cf":{"cf_a":"x"}}`)
			must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
			leave(t, w)
			empty := record(t, source.Tickets, `{"id":"1","cf":{"cf_a":null}}`)
			must(t, w.Write(ctx, source.Tickets, []source.Row{withVersion(content(empty, 2), nextVersion())}, 1))
			wantRow(t, w, "x", "SELECT cf_a FROM tickets")
			_, err = w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{text})
			must(t, err)
			w = open(t, w.cfg)
			must(t, w.Prepare(ctx, allTables))
			text.Label = "renamed"
			_, err = w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{text})
			must(t, err)
			if !w.Backfills(source.Tickets, source.Content, empty) {
				t.Error("nothing would take the value away")
			}
			if !w.PendingColumns(source.Tickets)[0].Kept {
				t.Error("nobody can tell that the column kept values")
			}
			must(t, w.Write(ctx, source.Tickets, []source.Row{withVersion(content(empty, 2), nextVersion())}, 1))
			wantRow(t, w, "∅", "SELECT cf_a FROM tickets")
			w.BackfilledRead(source.Tickets, w.PendingColumns(source.Tickets)) // but for archived tickets
			text.Label = "again"
			_, err = w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{text})
			must(t, err)
			wantRow(t, w, `revived custom field "cf_a" of type "Text": again (backfill pending)`, "SELECT comment FROM system.columns WHERE database = '%s' AND table = 'tickets' AND name = 'cf_a'", w.Database())
			if w.Backfills(source.Tickets, source.Content, empty) || len(w.PendingColumns(source.Tickets)) != 1 {
				t.Errorf("rows that were read are written for ever, or nothing is pending: %+v", w.PendingColumns(source.Tickets))
			}
			text.Label = "renamed"
			_, err = w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{text})
			must(t, err)
			must(t, w.Backfilled(ctx, source.Tickets, w.PendingColumns(source.Tickets)))
			wantRow(t, w, `custom field "cf_a" of type "Text": renamed`, "SELECT comment FROM system.columns WHERE database = '%s' AND table = 'tickets' AND name = 'cf_a'", w.Database())
			if w.Backfills(source.Tickets, source.Content, empty) {
				t.Error("still pending")
			}
			if added, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{text}); len(added) > 0 || err != nil {
				t.Errorf("added %q, %v", added, err)
			}
			wantRow(t, w, `custom field "cf_a" of type "Text": renamed`, "SELECT comment FROM system.columns WHERE database = '%s' AND table = 'tickets' AND name = 'cf_a'", w.Database())
		})
	}
}
