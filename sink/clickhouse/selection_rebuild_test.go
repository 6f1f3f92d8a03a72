package clickhouse

import (
	"slices"
	"strings"
	"testing"

	"deskhouse/source"
)

var noted = []source.CustomField{{APIName: "cf_note", Label: "Note", Type: "Text"}, {APIName: "cf_mail", Label: "Mail", Type: "Text"}}

// markedTicket is a ticket with a marker wherever the narrowed selection takes off a
// value: in fields, custom fields and _extra.
func markedTicket(t testing.TB, id, department string) *source.Record {
	t.Helper()
	return record(t, source.Tickets, `{"id":"`+id+`","subject":"kept","departmentId":"`+department+`","isArchived":true,"email":"MARKER@x","description":{"a":"MARKER"},"resolution":"MARKER",
		"phone":"7","secretKey":{"b":"MARKER"},"odd":"kept too","firstThread":{"id":"5","content":"MARKER"},"cf":{"cf_note":"MARKER","cf_mail":"MARKER@x","cf_none":"MARKER"}}`)
}

const markers = "SELECT count() FROM (SELECT formatRow('JSONEachRow', *) AS r FROM %s) WHERE position(r, 'MARKER') > 0"

// After a rebuild nothing of a main table holds what the selection leaves out,
// be it of rows that no reading brings any more.
func TestARebuildStripsEveryRow(t *testing.T) {
	eachLayout(t, func(t *testing.T, w *Warehouse) {
		_, err := w.EnsureCustomFields(ctx, source.Tickets, noted)
		must(t, err)
		var all []source.Row
		for _, of := range [][2]string{{"1", "1"}, {"2", "1"}, {"3", "2"}, {"4", "1"}, {"5", "2"}, {"6", "2"}} {
			all = append(all, content(markedTicket(t, of[0], of[1]), 10))
		}
		must(t, w.Write(ctx, source.Tickets, all, 1))
		must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(all[1].Key, all[1].Head, 20), deletion(all[2].Key, all[2].Head, 20)}, 1))
		for _, row := range all {
			must(t, w.WriteSide(ctx, source.Tickets, source.Detail, []source.SideRow{{Key: row.Key, Stamp: source.Stamp{AsOf: 50, Rank: source.EvidenceGet}, Record: row.Record}}, 1))
		}
		w, err = again(t, w, selecting(source.Selection{Exclude: []string{"description", "resolution", "first_thread", "cf_note", "cf_none", "*secret*"}, Hash: []string{"email", "cf_mail"}, Only: []uint64{1}}, hashKey))
		must(t, err)
		_, err = w.EnsureCustomFields(ctx, source.Tickets, noted)
		must(t, err)
		wantRow(t, w, "6", markers, "tickets_all FINAL")
		wantRow(t, w, "6", markers, "tickets_detail FINAL")

		must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
		read := all[3]
		read.Record = w.cfg.Select[source.Tickets].Record(read.Record)
		must(t, w.WriteShadow(ctx, source.Tickets, []source.Row{read}, 1))
		must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(all[4].Key, all[4].Head, 60)}, 1))
		_, err = w.SwapRebuild(ctx, source.Tickets)
		must(t, err)
		wantRow(t, w, "0", markers, "tickets_all")
		wantRow(t, w, "1", "SELECT _extra LIKE '%%kept too%%' FROM tickets_all FINAL WHERE id = 1")
		got := rows(t, w, "SELECT id, ifNull(%s::Nullable(String), ''), _is_deleted, _left_out FROM tickets_all FINAL ORDER BY id", map[bool]string{true: "doc.subject", false: "subject"}[w.cfg.Layout == LayoutDocument])
		if want := []string{"1\tkept\t0\t0", "2\tkept\t1\t0", "3\t\t1\t1", "4\tkept\t0\t0", "5\t\t1\t1", "6\t\t0\t1"}; !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if got, want := rows(t, w, "SELECT id FROM tickets_detail FINAL WHERE _left_out = 1 ORDER BY id"), []string{"3", "5", "6"}; !slices.Equal(got, want) {
			t.Errorf("emptied side rows %q, want %q", got, want)
		}
		wantRow(t, w, "0", markers, "tickets_detail FINAL WHERE id IN (3, 5, 6)")
		must(t, w.Prepare(ctx, allTables))
		if left := shadowsLeft(t, w); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// What a selection does not concern comes through its rebuild as it was: values
// that are hard to carry, and those of removed and former custom fields.
func TestARebuildUnderASelectionChangesNothingElse(t *testing.T) {
	eachLayout(t, func(t *testing.T, w *Warehouse) {
		w, err := again(t, w, selecting(source.Selection{Exclude: []string{"cf_zzz"}}, ""))
		must(t, err)
		fill(t, w, asIs)
		for i, typ := range []string{"Text", "Date", ""} { // cf_n changes its type twice and is removed then
			fields := slices.Clone(switchFields)
			if fields[6].Type = typ; typ == "" {
				fields = slices.Delete(fields, 6, 7)
			}
			_, err = w.EnsureCustomFields(ctx, source.Tickets, fields)
			must(t, err)
			must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, `{"id":"6","cf":{"cf_n":"2024-02-0`+string(rune('1'+i))+`"}}`), int64(30+i))}, 1))
		}
		was := contents(t, w)
		must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
		copied, err := w.SwapRebuild(ctx, source.Tickets)
		must(t, err)
		if copied != 5 {
			t.Errorf("copied %d", copied)
		}
		was[4] = strings.Replace(was[4], `{"cf" "\"no object\""} `, "", 1) // of which cannot be told what is in it
		now := contents(t, w)
		for i := range max(len(was), len(now)) {
			if rowAt(was, i) != rowAt(now, i) {
				t.Errorf("row %d\n got %q\nwant %q", i, rowAt(now, i), rowAt(was, i))
			}
		}
	})
}
