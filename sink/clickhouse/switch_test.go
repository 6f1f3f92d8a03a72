package clickhouse

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"deskhouse/source"
)

// nasty are tickets whose values are hard to carry from one layout to the other,
// by id.
var nasty = []string{
	`{"id":"1","ticketNumber":"7","subject":"S \"q\" \\ \u00e9 \ud83d\ude00 \u0001","status":"Open","departmentId":"11","isSpam":false,"isArchived":true,"threadCount":"12","dueDate":"2024-01-01T10:00:00.123Z",
	 "entitySkills":["7","8"],"secondaryContacts":[],"sharedDepartments":[{"id":"11","name":"Sales","type":"READ"},{"id":"12","type":"WRITE"}],"description":"","resolution":null,
	 "cf":{"cf_region":"North","cf_money":"5.110","cf_many":"a;b","cf_on":"true","cf_day":"2024-02-29","cf_at":"2024-02-29T01:02:03.004Z","cf_n":"5","cf_text":"x","cf_former":"f"}}`,
	"{\"id\":\"2\",\"subject\":\"broken \xff\",\"description\":\"\\ud800 \xff\",\"status\":\"\xfe\",\"cf\":{\"cf_text\":\"\xff\"},\"zz\xff\":1}",
	`{"id":"3","subject":{"a":1},"status":5,"dueDate":"9999-12-31T00:00:00.000Z","threadCount":"x","departmentId":[1],"isSpam":"perhaps","entitySkills":"none","sharedDepartments":[{"id":"11","zz":[1]},5,null],
	  "cf":{"cf_money":"0.1234567891","cf_n":1e3,"cf_on":"maybe","cf_many":["a;b","","c"],"cf_odd":{"a":[{"b":null}]},"cf_none":null,"cf.dot":"d","":"e","cf_text":12.50}}`,
	`{"id":"4","subject":"a","subject":"b","unknown":{"x":[1,{"y":null}]},"contact":{"zz":1},"contact.zz":2,"cf":{"cf_n":"1","cf_n":"2","cf_text":"x","cf_text":null},"cf":5,"isDel":"odd","subStatus":"s","subStatus":"t"}`,
	`{"id":"5","cf":"no object","subject":18446744073709551616,"threadCount":1e400,"status":[true,1],"description":{}}`,
	`{"id":"6"}`,
}

var switchFields = []source.CustomField{
	{APIName: "cf_region", Label: "Region", Type: "Picklist"}, {APIName: "cf_money", Label: "Money", Type: "Currency"}, {APIName: "cf_many", Label: "Many", Type: "Multiselect"},
	{APIName: "cf_on", Label: "On", Type: "Boolean"}, {APIName: "cf_day", Label: "Day", Type: "Date"}, {APIName: "cf_at", Label: "At", Type: "DateTime"},
	{APIName: "cf_n", Label: "N", Type: "Number"}, {APIName: "cf_text", Label: "Text", Type: "Text"}}

func nastyRows(t testing.TB) []source.Row {
	t.Helper()
	var all []source.Row
	for _, text := range nasty {
		all = append(all, content(record(t, source.Tickets, text), 10))
	}
	return all
}

// carried is what a value is on the other side of the change: the same, but the
// layouts do not tell all forms of it apart.
var carried = map[Layout]*strings.Replacer{
	LayoutColumns:  strings.NewReplacer(`1e3`, `1000`, `12.50`, `12.5`, `{"b":null}`, `{}`),
	LayoutDocument: strings.NewReplacer(`"5.110"`, `"5.11"`, `"secondaryContacts":[],`, ``, `12.50`, `"12.50"`),
}

// contents shows all that describes the records of a table.
func contents(t testing.TB, w *Warehouse) []string {
	t.Helper()
	l, err := w.layout(source.Tickets)
	must(t, err)
	doc := "" // as text: the driver cannot read a block with paths such as subject and subject.a
	if l.document {
		doc = "REPLACE (toString(doc) AS doc)"
	}
	all := rows(t, w, "SELECT * EXCEPT (_synced_at, _epoch, _extra) %s FROM tickets_all FINAL ORDER BY id", doc)
	for i, extra := range rows(t, w, "SELECT _extra FROM tickets_all FINAL ORDER BY id") {
		kept, err := membersOf(extra)
		must(t, err)
		slices.SortFunc(kept, func(a, b source.Member) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
		})
		all[i] += fmt.Sprintf("\t%q", kept)
	}
	return all
}

// A table that changes its layout, with rows that no reading brings among them
// deleted ones, is what it would have been had it been made so.
func TestALayoutChangesInARebuild(t *testing.T) {
	for _, to := range []Layout{LayoutColumns, LayoutDocument} {
		eachProtocol(t, func(t *testing.T, of *Warehouse) {
			from := map[Layout]Layout{LayoutColumns: LayoutDocument, LayoutDocument: LayoutColumns}[to]
			cfg := of.cfg
			cfg.Database += "_" + string(to)
			cfg.Layout = to
			want := open(t, cfg) // made in that layout
			t.Cleanup(func() { must(t, of.exec(ctx, "clean up", "DROP DATABASE IF EXISTS "+ident(cfg.Database)+" SYNC")) })
			must(t, want.Prepare(ctx, allTables))
			fill(t, want, carried[to].Replace)

			cfg = of.cfg
			cfg.Layout = from
			must(t, of.exec(ctx, "empty", "DROP DATABASE "+ident(cfg.Database)+" SYNC"))
			before := open(t, cfg)
			must(t, before.Prepare(ctx, allTables))
			fill(t, before, asIs)
			was := contents(t, before)

			cfg.Layout = to
			w := open(t, cfg)
			must(t, w.Prepare(ctx, allTables))
			if other := w.OtherLayouts(); len(other) != len(allTables) || !slices.Contains(other, OtherLayout{source.Tickets, from}) {
				t.Errorf("other layouts: %v", other)
			}
			if now := contents(t, w); !slices.Equal(now, was) {
				t.Errorf("the start changed the rows:\n%q\n%q", now, was)
			}
			must(t, w.Fence(ctx, 4))
			_, err := w.EnsureCustomFields(ctx, source.Tickets, switchFields)
			must(t, err)
			must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
			must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
			must(t, w.WriteShadow(ctx, source.Tickets, nastyRows(t)[3:4], 4))
			gone := nastyRows(t)[4]
			must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(gone.Key, gone.Head, 50), deletion(source.Key{ID: 99}, source.Head{}, 60)}, 4))
			must(t, want.Write(ctx, source.Tickets, []source.Row{deletion(gone.Key, gone.Head, 50), deletion(source.Key{ID: 99}, source.Head{}, 60)}, 4))
			copied, err := w.SwapRebuild(ctx, source.Tickets)
			must(t, err)
			if copied == 0 {
				t.Error("nothing was copied")
			}
			got, expect := contents(t, w), contents(t, want)
			for i := range max(len(got), len(expect)) {
				if i >= len(got) || i >= len(expect) || got[i] != expect[i] {
					t.Errorf("row %d\n got %q\nwant %q", i, rowAt(got, i), rowAt(expect, i))
				}
			}
			for _, v := range []string{"tickets", "tickets_full"} {
				if got, expect := rows(t, w, "SELECT name, type, comment FROM system.columns WHERE database = currentDatabase() AND table = '%s'", v), rows(t, want, "SELECT name, type, comment FROM system.columns WHERE database = currentDatabase() AND table = '%s'", v); !slices.Equal(got, expect) {
					t.Errorf("%s has\n%s\nwant\n%s", v, strings.Join(got, "\n"), strings.Join(expect, "\n"))
				}
			}
			must(t, w.Write(ctx, source.Tickets, []source.Row{ticket(t, 7, "after", 50)}, 4))
			wantErr(t, w.Write(ctx, source.Tickets, []source.Row{ticket(t, 8, "late", 50)}, 3), ErrFenced)
			if other := w.OtherLayouts(); len(other) != len(allTables)-1 {
				t.Errorf("other layouts after: %v", other)
			}
			must(t, w.Prepare(ctx, allTables))
			wantRow(t, w, "after", "SELECT %s FROM tickets WHERE id = 7", map[Layout]string{LayoutColumns: "subject", LayoutDocument: "doc.subject"}[to])
		})
	}
}

func rowAt(all []string, i int) string {
	if i < len(all) {
		return all[i]
	}
	return "nothing"
}

// fill writes the nasty rows, of which the third is deleted afterwards.
func fill(t testing.TB, w *Warehouse, change func(string) string) {
	t.Helper()
	_, err := w.EnsureCustomFields(ctx, source.Tickets, switchFields)
	must(t, err)
	all := nastyRows(t)
	for i, text := range nasty {
		all[i].Record = record(t, source.Tickets, change(text))
	}
	must(t, w.Write(ctx, source.Tickets, all, 1))
	must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(all[2].Key, all[2].Head, 20)}, 1))
}

// A process that dies in the middle of a change leaves the old layout, and the
// next one works in it.
func TestAChangeOfLayoutThatIsCutOff(t *testing.T) {
	w := prepared(t)
	fill(t, w, asIs)
	was := contents(t, w)
	cfg := w.cfg
	cfg.Layout = LayoutDocument
	cut := open(t, cfg)
	must(t, cut.Prepare(ctx, allTables))
	must(t, cut.BeginRebuild(ctx, source.Tickets, "r"))
	must(t, cut.WriteShadow(ctx, source.Tickets, nastyRows(t)[:2], 1))
	next := open(t, cfg)
	must(t, next.Prepare(ctx, allTables))
	if now := contents(t, next); !slices.Equal(now, was) {
		t.Errorf("rows changed:\n%q\n%q", now, was)
	}
	must(t, next.Write(ctx, source.Tickets, []source.Row{ticket(t, 7, "goes on", 50)}, 1))
	wantRow(t, next, "goes on", "SELECT subject FROM tickets WHERE id = 7")
	if left := shadowsLeft(t, next); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	// After the exchange, before the views.
	must(t, next.BeginRebuild(ctx, source.Tickets, "s"))
	_, err := next.completeShadow(ctx, source.Tickets, next.shadows.of(source.Tickets))
	must(t, err)
	must(t, next.exec(ctx, "cut", fmt.Sprintf("EXCHANGE TABLES %s AND %s", qualified(cfg.Database, "tickets_all"), qualified(cfg.Database, next.shadows.of(source.Tickets)))))
	_, err = next.SwapRebuild(ctx, source.Tickets) // repeated: the exchange is not taken back
	must(t, err)
	wantRow(t, next, "goes on", "SELECT doc.subject FROM tickets WHERE id = 7")
	must(t, open(t, cfg).Prepare(ctx, allTables))
	wantRow(t, next, "goes on", "SELECT doc.subject FROM tickets WHERE id = 7")
}

// An exchange that was made though SwapRebuild failed, its answer lost, is not
// given up: the old layout would fit nothing any more.
func TestAnExchangeWhoseAnswerIsLost(t *testing.T) {
	w := prepared(t)
	must(t, w.Write(ctx, source.Tickets, []source.Row{ticket(t, 7, "before", 50)}, 1))
	cfg := w.cfg
	cfg.Layout = LayoutDocument
	next := open(t, cfg)
	must(t, next.Prepare(ctx, allTables))
	must(t, next.BeginRebuild(ctx, source.Tickets, "s"))
	_, err := next.completeShadow(ctx, source.Tickets, next.shadows.of(source.Tickets))
	must(t, err)
	must(t, next.exec(ctx, "cut", fmt.Sprintf("EXCHANGE TABLES %s AND %s", qualified(cfg.Database, "tickets_all"), qualified(cfg.Database, next.shadows.of(source.Tickets)))))
	must(t, next.DropRebuild(ctx, source.Tickets))
	must(t, next.Write(ctx, source.Tickets, []source.Row{ticket(t, 8, "after", 50)}, 1))
	if got := rows(t, next, "SELECT doc.subject FROM tickets ORDER BY id"); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("the view shows %q", got)
	}
	must(t, next.BeginRebuild(ctx, source.Tickets, "u"))
	must(t, next.DropRebuild(ctx, source.Tickets))
	if left := shadowsLeft(t, next); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A column that a person added keeps its definition, unless the layout needs
// its name.
func TestColumnsOfPeopleInAChangeOfLayout(t *testing.T) {
	w := prepared(t)
	cfg := w.cfg
	cfg.Layout = LayoutDocument
	must(t, w.exec(ctx, "theirs", "ALTER TABLE "+qualified(w.Database(), "tickets_all")+" ADD COLUMN mine String DEFAULT 'x' COMMENT 'mine', ADD COLUMN doc String COMMENT 'theirs'"))
	must(t, w.Write(ctx, source.Tickets, []source.Row{ticket(t, 1, "s", 1)}, 1))
	next := open(t, cfg)
	must(t, next.Prepare(ctx, allTables))
	wantErr(t, next.BeginRebuild(ctx, source.Tickets, "r"), ErrRebuild)
	must(t, w.exec(ctx, "rename", "ALTER TABLE "+qualified(w.Database(), "tickets_all")+" RENAME COLUMN doc TO docs"))
	must(t, next.BeginRebuild(ctx, source.Tickets, "r"))
	_, err := next.SwapRebuild(ctx, source.Tickets)
	must(t, err)
	wantRow(t, next, "s\tx\t", "SELECT doc.subject, mine, docs FROM tickets_all")
}

// A custom field that gets another type while its table becomes one of columns
// has a former column in the shadow alone.
func TestARetypedFieldInAChangeOfLayout(t *testing.T) {
	of := prepared(t, func(c *Config) { c.Layout = LayoutDocument })
	cfg := of.cfg
	cfg.Layout = LayoutColumns
	w := open(t, cfg)
	must(t, w.Prepare(ctx, allTables))
	must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
	for _, step := range []struct {
		asOf      int64
		typ, text string
	}{{10, "Text", `{"id":"1","cf":{"cf_a":"x"}}`}, {20, "Number", `{"id":"1","cf":{"cf_a":"5"}}`}} {
		_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_a", Label: "A", Type: step.typ}})
		must(t, err)
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, step.text), step.asOf)}, 1))
	}
	_, err := w.SwapRebuild(ctx, source.Tickets)
	must(t, err)
	wantRow(t, w, "∅\t5", "SELECT cf_a, cf_a_2 FROM tickets")
}

// A field that gets another type, and a new one, while documents become columns:
// the writer goes on, and what the rows that went over before lack is pending.
func TestCustomFieldsChangeDuringAChangeOfLayout(t *testing.T) {
	w := prepared(t, func(c *Config) { c.Layout = LayoutDocument })
	fields := []source.CustomField{{APIName: "cf_a", Label: "A", Type: "Text"}}
	rec := record(t, source.Tickets, `{"id":"1","cf":{"cf_a":"5","cf_new":"n"}}`)
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
	cfg := w.cfg
	cfg.Layout = LayoutColumns
	w = open(t, cfg)
	must(t, w.Prepare(ctx, allTables))
	_, err := w.EnsureCustomFields(ctx, source.Tickets, fields)
	must(t, err)
	must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
	must(t, w.WriteShadow(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
	fields = []source.CustomField{{APIName: "cf_a", Label: "A", Type: "Number"}, {APIName: "cf_new", Label: "N", Type: "Text"}}
	_, err = w.EnsureCustomFields(ctx, source.Tickets, fields)
	must(t, err)
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, `{"id":"2","cf":{"cf_a":"6"}}`), 1)}, 1))
	_, err = w.SwapRebuild(ctx, source.Tickets)
	must(t, err)
	if got, want := strings.Join(rows(t, w, "SELECT id, cf_a, cf_a_2, cf_new, _extra FROM tickets ORDER BY id"), "|"), "1\t5\t∅\t∅\t{\"cf.cf_new\":\"n\"}|2\t∅\t6\t∅\t"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	var pending []string
	for _, p := range w.PendingColumns(source.Tickets) {
		pending = append(pending, p.Column)
	}
	if !slices.Equal(pending, []string{"cf_a_2", "cf_new"}) || !w.Backfills(source.Tickets, source.Content, rec) {
		t.Errorf("pending are %q", pending)
	}
	if added, err := w.EnsureCustomFields(ctx, source.Tickets, fields); len(added) > 0 || err != nil {
		t.Errorf("added %q, %v", added, err)
	}
}
