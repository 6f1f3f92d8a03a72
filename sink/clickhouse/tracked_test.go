package clickhouse

import (
	"slices"
	"strings"
	"testing"
	"time"

	"deskhouse/source"

	"pgregory.net/rapid"
)

func allFull(c *Config) {
	c.History = map[source.Table]HistoryMode{source.Tickets: HistoryFull, source.Products: HistoryFull, source.Contracts: HistoryFull}
}

// What is read from a record is what the server shows of its row, or every
// comparison would find a change.
func TestTrackedTextsAreThoseOfTheServer(t *testing.T) {
	w := prepared(t, allFull)
	fields := []source.CustomField{{APIName: "cf_many", Label: "Many", Type: "Multiselect"}, {APIName: "cf_text", Label: "T", Type: "Text"}}
	for api, typ := range propertyTypes {
		fields = append(fields, source.CustomField{APIName: api, Label: api, Type: typ})
	}
	id := 0
	for _, table := range []source.Table{source.Tickets, source.Products, source.Contracts} {
		_, err := w.EnsureCustomFields(ctx, table, fields)
		must(t, err)
		t.Run(string(table), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				id++
				text, _, _, _ := document(rt, source.Lookup(table), id)
				many := quoted(rapid.StringMatching("[a';\\\\\"\n\t\b\fé😀]{0,8}").Draw(rt, "many"))
				text = strings.Replace(text, `"cf":{`, `"cf":{"cf_many":`+many+`,`, 1)
				text = strings.ReplaceAll(text, `,}`, `}`)
				rec := record(t, table, text)
				must(t, w.Write(ctx, table, []source.Row{content(rec, 1)}, 1))
				tracked, err := w.Tracked(ctx, table, []source.Key{rec.Key, {ID: 1 << 50}})
				must(t, err)
				if columns, was, is := tracked.Compare(tracked.Held[rec.Key], tracked.Read(rec)); len(columns) > 0 || len(tracked.Held) != 1 {
					rt.Errorf("%s: %v is held as %q and read as %q", text, columns, shownTexts(was), shownTexts(is))
				}
			})
		})
	}
}

func shownTexts(texts []*string) []string {
	shown := make([]string, len(texts))
	for i, v := range texts {
		if shown[i] = "∅"; v != nil {
			shown[i] = *v
		}
	}
	return shown
}

func TestTrackedFollowsWhatTheModeSays(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		rec := record(t, source.Tickets, fullTicket)
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1000), deletion(source.Key{ID: 99}, source.Head{}, 5)}, 1))
		tracked, err := w.Tracked(ctx, source.Tickets, []source.Key{rec.Key, {ID: 99}, {ID: 98}})
		must(t, err)
		if len(tracked.Held) != 1 {
			t.Errorf("values of %d rows; one has content", len(tracked.Held))
		}
		columns, was, is := tracked.Compare(nil, tracked.Held[rec.Key])
		want := "status=Open status_type=Open channel=Email department_id=11 contact_id=12 product_id=31 is_spam=false is_over_due=true"
		if got := pairs(columns, is); got != want || slices.ContainsFunc(was, func(v *string) bool { return v != nil }) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if slices.Contains(tracked.Columns, "subject") || slices.Contains(tracked.Columns, "description") {
			t.Error("texts are followed without being asked for")
		}
		must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(rec.Key, content(rec, 1000).Head, 2000)}, 1))
		tracked, err = w.Tracked(ctx, source.Tickets, []source.Key{rec.Key})
		must(t, err)
		columns, _, is = tracked.Compare(nil, tracked.Held[rec.Key])
		if got := pairs(columns, is); got != want {
			t.Errorf("of a deleted row got %s", got)
		}
		fields, err := w.Tracked(ctx, source.OrganizationFields, []source.Key{{Name: "tickets/a"}})
		if err != nil || len(fields.Held) != 0 || len(fields.Columns) == 0 {
			t.Errorf("fields: %+v, %v", fields, err)
		}
	})
}

func pairs(columns []string, values []*string) string {
	list := make([]string, len(columns))
	for i, text := range shownTexts(values) {
		list[i] = columns[i] + "=" + text
	}
	return strings.Join(list, " ")
}

// A database of a deskhouse whose history did not say what changed.
func TestHistoryGainsWhatChanged(t *testing.T) {
	w := prepared(t)
	for _, sql := range []string{
		"ALTER TABLE changes_all DROP COLUMN changed, DROP COLUMN old, DROP COLUMN new, DROP COLUMN modified_by",
		"INSERT INTO changes_all (org_id, change_id, table, id, key, op, received_at) VALUES (7000, 1, 'tickets', 5, '5', 'update', now())",
	} {
		must(t, w.into.Exec(ctx, sql))
	}
	must(t, w.Prepare(ctx, allTables))
	open, closed := "Open", "Closed"
	must(t, w.WriteChanges(ctx, []source.Change{
		{ID: 2, Table: source.Tickets, Key: source.Key{ID: 5}, Op: source.OpUpdate, At: 1000, Received: time.Now(), ModifiedBy: 77, Changed: []string{"status", "closed_time"}, Old: []*string{&open, nil}, New: []*string{&closed, nil}},
		{ID: 3, Table: source.Tickets, Key: source.Key{ID: 5}, Op: source.OpDelete, At: 2000, Received: time.Now()}}))
	got := strings.Join(rows(t, w, "SELECT change_id, modified_by, changed, old, new FROM changes ORDER BY change_id"), "|")
	if want := "1\t∅\t[]\t[]\t[]|2\t77\t['status','closed_time']\t['Open',NULL]\t['Closed',NULL]|3\t∅\t[]\t[]\t[]"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Of documents the columns beside them are followed, in every mode.
func TestTrackedBesideADocument(t *testing.T) {
	w := prepared(t, allFull, func(c *Config) { c.Layout = LayoutDocument })
	_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_a", Label: "A", Type: "Text"}})
	must(t, err)
	rec := record(t, source.Tickets, strings.Replace(fullTicket, `"cf":{}`, `"cf":{"cf_a":"x"}`, 1))
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
	tracked, err := w.Tracked(ctx, source.Tickets, []source.Key{rec.Key})
	must(t, err)
	if columns, _, _ := tracked.Compare(tracked.Held[rec.Key], tracked.Read(rec)); len(columns) > 0 {
		t.Errorf("held and read differ in %v", columns)
	}
	if columns, _, _ := tracked.Compare(nil, tracked.Held[rec.Key]); !slices.Contains(columns, "status") {
		t.Errorf("of a document %v is followed", columns)
	}
	wantRow(t, w, "Open\tfalse", "SELECT status, start_known FROM ticket_status_durations")
}

// What a removed field or a former column keeps is no change of any row, and
// neither is what only fills a pending column; a value that is new is told, once.
func TestTrackedTellsWhatIsNewInPendingCustomFields(t *testing.T) {
	w := prepared(t, allFull)
	ensure := func(fields ...source.CustomField) {
		t.Helper()
		_, err := w.EnsureCustomFields(ctx, source.Tickets, fields)
		must(t, err)
	}
	text := func(names ...string) (fields []source.CustomField) {
		for _, name := range names {
			fields = append(fields, source.CustomField{APIName: name, Type: "Text"})
		}
		return fields
	}
	write := func(doc string, at int64) {
		t.Helper()
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, doc), at)}, 1))
	}
	ensure(text("cf_gone", "cf_typed", "cf_x", "cf_back")...)
	write(`{"id":"1","subject":"a","cf":{"cf_gone":"kept","cf_typed":"5","cf_x":"x","cf_back":"kept","cf_late":"l"}}`, 10)
	must(t, w.RemoveCustomFields(ctx, source.Tickets, []string{"cf_gone", "cf_back"}))
	ensure(append(text("cf_back", "cf_late", "cf_new"), source.CustomField{APIName: "cf_typed", Type: "Number"})...)
	if n := len(w.PendingColumns(source.Tickets)); n != 4 {
		t.Fatalf("%d columns are pending", n)
	}
	says := func(name, doc, want string, filled bool) {
		t.Helper()
		next := record(t, source.Tickets, doc)
		tracked, err := w.Tracked(ctx, source.Tickets, []source.Key{next.Key})
		must(t, err)
		columns, was, is := tracked.CompareHeld(next.Key, tracked.Read(next), filled)
		if got := pairs(columns, was) + " -> " + pairs(columns, is); got != want {
			t.Errorf("%s: got  %s\nwant %s", name, got, want)
		}
	}
	says("another column changed", `{"id":"1","subject":"b","cf":{"cf_typed":"5","cf_x":"y","cf_back":null,"cf_late":"l","cf_new":null}}`, "subject=a cf_x=x -> subject=b cf_x=y", true)
	says("new values", `{"id":"1","subject":"a","cf":{"cf_typed":"6","cf_x":"x","cf_back":"b","cf_late":"m","cf_new":"n"}}`,
		"cf_back=kept cf_late=l cf_new=∅ cf_typed_2=∅ -> cf_back=b cf_late=m cf_new=n cf_typed_2=6", true)
	says("a value that came before its column goes", `{"id":"1","subject":"a","cf":{"cf_typed":null,"cf_x":"x","cf_back":"kept","cf_late":null,"cf_new":null}}`, "cf_late=l -> cf_late=∅", true)
	says("values that were left out when the row was written", `{"id":"1","subject":"a","cf":{"cf_typed":"6","cf_x":"x","cf_back":"kept","cf_late":"m","cf_new":"n"}}`, "cf_late=l -> cf_late=m", false)
	write(`{"id":"1","subject":"a","cf":{"cf_typed":"6","cf_x":"x","cf_back":"b","cf_late":"m","cf_new":"n"}}`, 20)
	says("once more", `{"id":"1","subject":"b","cf":{"cf_typed":"6","cf_x":"x","cf_back":"b","cf_late":"m","cf_new":"n"}}`, "subject=a -> subject=b", true)
	says("the row is filled", `{"id":"1","subject":"a","cf":{"cf_typed":null,"cf_x":"x","cf_back":"c","cf_late":"n","cf_new":null}}`,
		"cf_back=b cf_late=m cf_new=n cf_typed_2=6 -> cf_back=c cf_late=n cf_new=∅ cf_typed_2=∅", true)
	write(`{"id":"1","subject":"a","cf":{"cf_typed":null,"cf_x":"x","cf_back":"b","cf_late":null,"cf_new":null}}`, 30)
	says("what went is not told again", `{"id":"1","subject":"b","cf":{"cf_typed":null,"cf_x":"x","cf_back":"b","cf_late":null,"cf_new":null}}`, "subject=a -> subject=b", true)
}
