package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// TestLayoutIsChangedByARebuild takes a portal's tables from columns to
// documents and back, with changes in between.
func TestLayoutIsChangedByARebuild(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 41, Tickets: 300}, settings{warehouse: "{url: embedded, database: desk, layout: columns}"})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	gone := h.liveTickets()[0]
	if _, err := h.portal.TrashTicket(gone); err != nil {
		t.Fatal(err)
	}
	h.settle()
	h.compare()
	subject := fmt.Sprint(h.sql(fmt.Sprintf("SELECT subject FROM tickets_all FINAL WHERE id = %d AND _is_deleted = 1", gone))[0]["subject"])
	p.stop()

	h.rewrite("layout: columns", "layout: document")
	p = h.start()
	h.untilLoaded()
	if shown := h.must("status").stdout.String(); strings.Count(shown, "is columns, the configuration asks for document") != 5 || !strings.Contains(shown, "--table tickets --rebuild") {
		t.Errorf("status shows\n%s", shown)
	}
	wantDrift(t, "resync before", h.compared(exitDone, "resync"), nil)
	h.compare()
	wantDrift(t, "rebuild", h.compared(exitDone, "resync", "--rebuild"), nil)
	h.documents("tickets", "products", "contracts", "departments")
	if kept := fmt.Sprint(h.sql(fmt.Sprintf("SELECT doc.subject::String AS s FROM tickets_all FINAL WHERE id = %d AND _is_deleted = 1", gone))[0]["s"]); kept != subject {
		t.Errorf("the deleted ticket's subject was %q and is %q", subject, kept)
	}
	h.change(5)
	h.settle()
	h.documents("tickets")
	wantDrift(t, "verify", h.compared(exitDone, "verify"), nil)
	if shown := h.must("status").stdout.String(); strings.Contains(shown, "the configuration asks for") {
		t.Errorf("status shows\n%s", shown)
	}
	p.stop()

	h.rewrite("layout: document", "layout: columns")
	p = h.start()
	h.untilLoaded()
	wantDrift(t, "rebuild back", h.compared(exitDone, "resync", "--rebuild"), nil)
	h.compare()
	if kept := fmt.Sprint(h.sql(fmt.Sprintf("SELECT subject FROM tickets_all FINAL WHERE id = %d AND _is_deleted = 1", gone))[0]["subject"]); kept != subject {
		t.Errorf("the deleted ticket's subject was %q and is %q", subject, kept)
	}
	p.stop()
}

// documents holds what documents say against the portal.
func (h *house) documents(tables ...string) {
	h.t.Helper()
	for _, table := range tables {
		held := map[string]map[string]any{}
		for _, row := range h.sql("SELECT toString(id) AS id, toString(doc) AS doc, _extra FROM " + table) {
			held[fmt.Sprint(row["id"])] = row
		}
		live := 0
		for row := range h.portal.Truth(table) {
			if row.State != desksim.Live {
				continue
			}
			live++
			doc, _ := held[fmt.Sprint(row.ID)]["doc"].(string)
			if !strings.Contains(doc, fmt.Sprintf(`"id":"%d"`, row.ID)) || fmt.Sprint(held[fmt.Sprint(row.ID)]["_extra"]) != "" {
				h.t.Errorf("%s %d is held as %v", table, row.ID, held[fmt.Sprint(row.ID)])
				continue
			}
			h.sameDocument(table, row, doc)
		}
		if live != len(held) || live == 0 {
			h.t.Errorf("%s: %d documents of %d records", table, len(held), live)
		}
	}
}

// sameDocument compares the content fields of a document with what GET says.
func (h *house) sameDocument(table string, row desksim.TruthRow, doc string) {
	h.t.Helper()
	var got, want map[string]any
	if err := errors.Join(json.Unmarshal([]byte(doc), &got), json.Unmarshal(row.Get, &want)); err != nil {
		h.t.Fatal(err)
	}
	for _, f := range source.Lookup(source.Table(table)).Fields {
		if f.Register != source.Content || strings.Contains(f.Name, ".") || want[f.Name] == nil {
			continue
		}
		if cf, ok := want[f.Name].(map[string]any); ok && f.Kind == source.KindCustom {
			maps.DeleteFunc(cf, func(_ string, v any) bool { return v == nil })
			if len(cf) == 0 {
				continue
			}
		}
		if !reflect.DeepEqual(got[f.Name], want[f.Name]) {
			h.t.Errorf("%s %d: %s is %v in the document, %v at the portal", table, row.ID, f.Name, got[f.Name], want[f.Name])
		}
	}
}
