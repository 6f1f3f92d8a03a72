package clickhouse

import (
	"slices"
	"testing"

	"deskhouse/source"
)

// inLayout opens a table's database as one configured for a layout.
func inLayout(t *testing.T, w *Warehouse, to Layout) *Warehouse {
	t.Helper()
	cfg := w.cfg
	cfg.Layout = to
	next := open(t, cfg)
	must(t, next.Prepare(ctx, allTables))
	return next
}

func rebuilt(t *testing.T, w *Warehouse, read ...source.Row) {
	t.Helper()
	must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
	must(t, w.WriteShadow(ctx, source.Tickets, read, 1))
	_, err := w.SwapRebuild(ctx, source.Tickets)
	must(t, err)
}

// What removed and former columns hold goes over into documents, be a row read,
// copied, written or deleted during the change; never as a field's value of now.
// It survives further writes and the way back.
func TestKeptValuesGoAlongWhenTheLayoutChanges(t *testing.T) {
	w := prepared(t)
	a, b, c := source.CustomField{APIName: "cf_a", Label: "A", Type: "Text"}, source.CustomField{APIName: "cf_b", Label: "B", Type: "Number"}, source.CustomField{APIName: "cf_c", Label: "C", Type: "Date"}
	_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{a, b, c})
	must(t, err)
	write := func(w *Warehouse, asOf int64, id, cf string) source.Row {
		row := withVersion(content(record(t, source.Tickets, `{"id":"`+id+`","cf":`+cf+`}`), asOf), nextVersion())
		must(t, w.Write(ctx, source.Tickets, []source.Row{row}, 1))
		return row
	}
	for _, id := range []string{"1", "2", "3", "4"} {
		write(w, 1, id, `{"cf_a":"old","cf_b":"7","cf_c":"never"}`) // cf_c does not fit
	}
	must(t, w.RemoveCustomFields(ctx, source.Tickets, []string{"cf_b", "cf_c"}))
	a.Type = "Number"
	_, err = w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{a})
	must(t, err)
	var rowsNow []source.Row
	for _, id := range []string{"1", "2", "3", "4"} {
		rowsNow = append(rowsNow, write(w, 2, id, `{"cf_a":null}`))
	}
	write(w, 2, "5", `{"cf_a":"5","cf_c":"2024-02-29"}`)

	w = inLayout(t, w, LayoutDocument)
	must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
	must(t, w.WriteShadow(ctx, source.Tickets, rowsNow[:1], 1))
	write(w, 3, "2", `{"cf_a":"6","cf_b":"8"}`) // still sent: replaces what is held
	must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(rowsNow[2].Key, rowsNow[2].Head, 30)}, 1))
	_, err = w.SwapRebuild(ctx, source.Tickets)
	must(t, err)
	const all = `{"former.cf.cf_a":"old","former.cf.cf_b":7,"former.cf.cf_c":"never"}`
	hold := func(w *Warehouse, query string, want ...string) {
		t.Helper()
		if got := rows(t, w, "%s", query); !slices.Equal(got, want) {
			t.Errorf("%s\n got %q\nwant %q", query, got, want)
		}
	}
	const documents = "SELECT id, toString(doc.cf.cf_a), toString(doc.cf.cf_b), _extra FROM tickets_all FINAL ORDER BY id"
	hold(w, documents, "1\t\t\t"+all, "2\t6\t8\t"+`{"former.cf.cf_a":"old","former.cf.cf_c":"never"}`, "3\t\t\t"+all, "4\t\t\t"+all, "5\t5\t\t"+`{"former.cf.cf_c":"2024-02-29"}`)

	w = inLayout(t, w, LayoutDocument) // another process
	write(w, 4, "1", `{"cf_a":"9"}`)
	hold(w, documents+" LIMIT 1", "1\t9\t\t"+all)
	for _, n := range w.Unplaced() {
		t.Errorf("counted once more: %+v", n)
	}

	w = inLayout(t, w, LayoutColumns)
	_, err = w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{a})
	must(t, err)
	rebuilt(t, w, write(w, 5, "4", `{"cf_a":"10"}`))
	write(w, 6, "4", `{"cf_a":"11"}`)
	hold(w, "SELECT id, cf_a, _extra FROM tickets_all FINAL ORDER BY id", "1\t9\t"+all, "2\t6\t"+`{"cf.cf_b":"8","former.cf.cf_a":"old","former.cf.cf_c":"never"}`, "3\t∅\t"+all, "4\t11\t"+all, "5\t5\t"+`{"former.cf.cf_c":"2024-02-29"}`)

	// A field that is there again shows nothing of before; gone again, it takes it back.
	_, err = w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{b})
	must(t, err)
	write(w, 7, "1", `{"cf_a":"9"}`)
	wantRow(t, w, "∅\t"+all, "SELECT cf_b, _extra FROM tickets WHERE id = 1")
	must(t, w.RemoveCustomFields(ctx, source.Tickets, []string{"cf_b"}))
	write(w, 8, "1", `{"cf_a":"9"}`)
	wantRow(t, w, "7\t"+`{"former.cf.cf_a":"old","former.cf.cf_c":"never"}`, "SELECT cf_b, _extra FROM tickets WHERE id = 1")

	// Once more over: cf_a has two former values now, if it changes its type again.
	a.Type = "Date"
	_, err = w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{a})
	must(t, err)
	w = inLayout(t, w, LayoutDocument)
	rebuilt(t, w)
	hold(w, "SELECT _extra FROM tickets WHERE id = 4", `{"former.cf.cf_a":"old","former.cf.cf_b":7,"former.cf.cf_c":"never","former.former.cf.cf_a":11}`)
}

// A department that is not selected any more leaves nothing of what was kept.
func TestKeptValuesOfALeftOutRowGo(t *testing.T) {
	w := prepared(t)
	_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_a", Label: "A", Type: "Text"}})
	must(t, err)
	rec := record(t, source.Tickets, `{"id":"1","cf":{"cf_a":"old"}}`)
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
	must(t, w.RemoveCustomFields(ctx, source.Tickets, []string{"cf_a"}))
	out := withVersion(content(record(t, source.Tickets, `{"id":"1"}`), 2), nextVersion())
	out.LeftOut = true
	must(t, w.Write(ctx, source.Tickets, []source.Row{out}, 1))
	wantRow(t, w, "∅", "SELECT cf_a FROM tickets_all FINAL")
}

func TestFormerValues(t *testing.T) {
	for name, want := range map[string]string{"former.cf.cf_a": "cf_a", "former.former.cf.cf_a": "cf_a", "former.cf.former.cf.x": "former.cf.x", "cf.cf_a": "", "former.cf_a": "", "former.": "", "cf.former.x": ""} {
		if api, ok := formerOf(name); ok != (want != "") || ok && api != want {
			t.Errorf("%s: %q, %v", name, api, ok)
		}
	}
}
