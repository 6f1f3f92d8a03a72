package clickhouse

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"deskhouse/source"

	"pgregory.net/rapid"
)

func TestCustomFieldsBecomeColumnsWhileWriting(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		rec := record(t, source.Tickets, `{"id":"1","cf":{"cf_region":"North","cf_n":"2","cf_none":null}}`)
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
		wantRow(t, w, `{"cf.cf_region":"North","cf.cf_n":"2"}`, "SELECT _extra FROM tickets")
		if w.KnowsCustom(source.Tickets, "cf_region") {
			t.Error("knows a field without a column")
		}
		fields := []source.CustomField{
			{APIName: "cf_region", Label: "Re'gion 😀", Type: "Picklist"}, {APIName: "cf_n", Label: "N", Type: "Number"},
			{APIName: "cf_money", Label: "Money", Type: "Currency"}, {APIName: "cf_on", Label: "On", Type: "Checkbox"},
			{APIName: "cf_day", Label: "Day", Type: "Date"}, {APIName: "cf_at", Label: "At", Type: "DateTime"},
			{APIName: "cf_many", Label: "Many", Type: "Multiselect"}, {APIName: "cf_text", Label: "Text", Type: "Formula"}}
		added, err := w.EnsureCustomFields(ctx, source.Tickets, fields)
		must(t, err)
		if len(added) != 8 || !w.KnowsCustom(source.Tickets, "cf_region") {
			t.Errorf("added %q", added)
		}
		wantRow(t, w, "∅\t∅\t[]", "SELECT cf_region, cf_n, cf_many FROM tickets") // the old row waits for the next observation
		rec = record(t, source.Tickets, `{"id":"1","cf":{"cf_many":"a;;b","cf_region":"North","cf_n":"2","cf_money":"5.11","cf_on":"true","cf_day":"2024-02-29","cf_at":"2024-02-29T01:02:03.004Z","cf_text":7,"cf_odd":"x"}}`)
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 2)}, 1))
		wantRow(t, w, `North	2	5.11	true	2024-02-29	2024-02-29 01:02:03.004	['a','b']	7	{"cf.cf_odd":"x"}`,
			"SELECT cf_region, cf_n, cf_money, cf_on, toString(cf_day), cf_at, cf_many, cf_text, _extra FROM tickets")
		wantRow(t, w, "custom field \"cf_region\" of type \"Picklist\": Re'gion 😀 (backfill pending)", "SELECT comment FROM system.columns WHERE database = '%s' AND table = 'tickets' AND name = 'cf_region'", w.Database())
		if again, err := w.EnsureCustomFields(ctx, source.Tickets, fields); len(again) > 0 || err != nil {
			t.Errorf("again: %q, %v", again, err)
		}
	})
}

func TestValuesThatDoNotFitACustomField(t *testing.T) {
	w := prepared(t)
	_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_n", Type: "Number"}, {APIName: "cf_d", Type: "Date"}, {APIName: "cf_t", Type: "Text"}, {APIName: "cf_m", Type: "Multiselect"}})
	must(t, err)
	for cf, want := range map[string]string{
		`{"cf_n":"two","cf_d":"","cf_t":{"a":1},"cf_m":5}`: `{"cf.cf_n":"two","cf.cf_d":"","cf.cf_t":{"a":1},"cf.cf_m":5}`,
		`{"cf_n":"1","cf_n":"2"}`:                          `{"cf.cf_n":"2"}`,
		`"text"`:                                           `{"cf":"text"}`,
		`[1]`:                                              `{"cf":[1]}`,
		`null`:                                             ``,
		`{"cf_m":["a;b","c"],"cf_t":"","cf_odd":null}`: ``,
		`{"q\"uo\\te\u0001":"x"}`:                      `{"cf.q\"uo\\te\u0001":"x"}`,
	} {
		rec := record(t, source.Tickets, `{"id":"1","cf":`+cf+`}`)
		must(t, w.Write(ctx, source.Tickets, []source.Row{withVersion(content(rec, 1), nextVersion())}, 1))
		wantRow(t, w, want, "SELECT _extra FROM tickets")
	}
}

func TestARetypedFieldGetsANewColumn(t *testing.T) {
	w := prepared(t)
	ensure := func(w *Warehouse, typ string, want ...string) {
		t.Helper()
		added, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_x", Label: "X", Type: typ}})
		must(t, err)
		if !slices.Equal(added, want) {
			t.Errorf("type %s added %q, want %q", typ, added, want)
		}
	}
	write := func(w *Warehouse, id, value string) {
		t.Helper()
		rec := record(t, source.Tickets, `{"id":"`+id+`","cf":{"cf_x":"`+value+`"}}`)
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
	}
	ensure(w, "Text", "cf_x")
	write(w, "1", "one")
	ensure(w, "Number", "cf_x_2")
	write(w, "2", "2")
	restarted := open(t, w.cfg)
	must(t, restarted.Prepare(ctx, allTables))
	write(restarted, "3", "3")
	ensure(restarted, "Number")
	ensure(restarted, "URL") // back to a String column: the first one is used again
	write(restarted, "4", "four")
	ensure(restarted, "Currency", "cf_x_3")
	write(restarted, "5", "5.5")
	got := strings.Join(rows(t, w, "SELECT id, cf_x, cf_x_2, cf_x_3, _extra FROM tickets ORDER BY id"), "|")
	if want := "1\tone\t∅\t∅\t|2\t∅\t2\t∅\t|3\t∅\t3\t∅\t|4\tfour\t∅\t∅\t|5\t∅\t∅\t5.5\t"; got != want {
		t.Errorf("got %q", got)
	}
	// A delete keeps what former columns hold.
	heads, err := restarted.Heads(ctx, source.Tickets, []source.Key{{ID: 2}})
	must(t, err)
	must(t, restarted.Write(ctx, source.Tickets, []source.Row{deletion(source.Key{ID: 2}, heads[source.Key{ID: 2}], 9)}, 1))
	wantRow(t, w, "2\t1", "SELECT cf_x_2, _is_deleted FROM tickets_all FINAL WHERE id = 2")
}

func TestACustomColumnSomebodyChangedIsLeftAlone(t *testing.T) {
	w := prepared(t)
	field := []source.CustomField{{APIName: "cf_x", Label: "X", Type: "Text"}}
	_, err := w.EnsureCustomFields(ctx, source.Tickets, field)
	must(t, err)
	must(t, w.exec(ctx, "tamper", "ALTER TABLE "+qualified(w.Database(), "tickets_all")+" COMMENT COLUMN cf_x 'my notes'"))
	restarted := open(t, w.cfg)
	must(t, restarted.Prepare(ctx, allTables))
	added, err := restarted.EnsureCustomFields(ctx, source.Tickets, field)
	must(t, err)
	if !slices.Equal(added, []string{"cf_x_2"}) {
		t.Errorf("added %q", added)
	}
}

func TestTablesWithoutCustomFieldsIgnoreThem(t *testing.T) {
	w := prepared(t)
	added, err := w.EnsureCustomFields(ctx, source.Departments, []source.CustomField{{APIName: "cf_x", Type: "Text"}})
	if added != nil || err != nil {
		t.Errorf("added %q, %v", added, err)
	}
}

func TestHostileCustomFields(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		names := []string{"cf_a", "cf_A", "CF_a", "a", "cf_`; DROP TABLE x; --", `cf_'\"`, "cf_😀", "cf_ä", "", "cf_" + strings.Repeat("x", 200), "cf_" + strings.Repeat("x", 200) + "y", "cf_new\nline", "cf_\x00"}
		var fields []source.CustomField
		for i, n := range names {
			fields = append(fields, source.CustomField{APIName: n, Label: fmt.Sprintf("label %d of %s` \\ ' \n \x00 \xff 😀 custom field: \"", i, n), Type: "Text"})
		}
		added, err := w.EnsureCustomFields(ctx, source.Tickets, fields)
		must(t, err)
		if len(added) != len(names) {
			t.Fatalf("added %q", added)
		}
		restarted := open(t, w.cfg)
		must(t, restarted.Prepare(ctx, allTables))
		for _, n := range names {
			if !restarted.KnowsCustom(source.Tickets, n) {
				t.Errorf("after a restart %q is unknown", n)
			}
		}
		if again, err := restarted.EnsureCustomFields(ctx, source.Tickets, fields); len(again) > 0 || err != nil {
			t.Errorf("again: %q, %v", again, err)
		}
	})
}

func TestPlanCustomIsDeterministicAndStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.Custom(func(t *rapid.T) source.CustomField {
			return source.CustomField{APIName: rapid.SampledFrom([]string{"cf_a", "cf_A", "cf_a_2", "b", "cf_b", "Ü"}).Draw(t, "api"), Label: "l",
				Type: rapid.SampledFrom([]string{"Text", "Number", "Date", "Picklist"}).Draw(t, "type")}
		})
		var have []customColumn
		taken := map[string]bool{"id": true}
		for range rapid.IntRange(1, 5).Draw(t, "rounds") {
			fields := rapid.SliceOfNDistinct(field, 0, 6, func(f source.CustomField) string { return f.APIName }).Draw(t, "fields")
			shuffled := rapid.Permutation(fields).Draw(t, "order")
			p := planCustom(nil, have, fields, copied(taken))
			if q := planCustom(nil, have, shuffled, copied(taken)); !slices.Equal(p.custom, q.custom) {
				t.Fatalf("order matters: %v, %v", p.custom, q.custom)
			}
			checkPlan(t, p, fields)
			have = p.custom
			for _, c := range p.add {
				taken[c.name] = true
			}
			if again := planCustom(nil, have, fields, copied(taken)); len(again.add)+len(again.comment) > 0 {
				t.Fatalf("not settled: %+v", again)
			}
		}
	})
}

func copied(m map[string]bool) map[string]bool {
	c := map[string]bool{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

// checkPlan: every field has exactly one column in use, of its type, no name
// is used twice, and every column can be read back from its comment.
func checkPlan(t *rapid.T, p customPlan, fields []source.CustomField) {
	names, inUse := map[string]bool{}, map[string]string{}
	for _, c := range p.custom {
		if names[c.name] || !c.former && inUse[c.APIName] != "" {
			t.Fatalf("twice: %+v", p.custom)
		}
		names[c.name] = true
		if !c.former {
			inUse[c.APIName] = c.typ
		}
		back, ok := parseCustom(haveColumn{c.name, c.typ, c.comment()})
		if !ok || back != c {
			t.Fatalf("%+v reads back as %+v, %v", c, back, ok)
		}
	}
	for _, f := range fields {
		if inUse[f.APIName] != customType(f.Type) {
			t.Fatalf("%s has %q", f.APIName, inUse[f.APIName])
		}
	}
}

// What a row holds for a field that was removed, or has another type now, stays
// through any number of changes of the row.
func TestValuesOfFormerAndRemovedFieldsStay(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		types := map[string]string{"cf_text": "Text", "cf_int": "Number", "cf_dec": "Decimal", "cf_bool": "Boolean", "cf_day": "Date",
			"cf_at": "DateTime", "cf_pick": "Picklist", "cf_many": "Multiselect"}
		ensure := func(types map[string]string) {
			t.Helper()
			var fields []source.CustomField
			for name, typ := range types {
				fields = append(fields, source.CustomField{APIName: name, Label: name, Type: typ})
			}
			_, err := w.EnsureCustomFields(ctx, source.Tickets, fields)
			must(t, err)
		}
		write := func(asOf int64, cf string) {
			t.Helper()
			rec := record(t, source.Tickets, `{"id":"1","cf":`+cf+`}`)
			must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, asOf)}, 1))
		}
		ensure(types)
		write(1, `{"cf_text":"a \"b\" \\ 😀\n","cf_int":"-7","cf_dec":"12345678901234567890.123456789","cf_bool":"false","cf_day":"1969-02-28","cf_at":"2024-02-29T01:02:03.004Z","cf_pick":"Übersee","cf_many":"a;b\"c"}`)
		const all = "SELECT cf_text, cf_int, cf_dec, cf_bool, toString(cf_day), toString(cf_at), cf_pick, cf_many FROM tickets"
		want := row(t, w, all)
		must(t, w.RemoveCustomFields(ctx, source.Tickets, []string{"cf_text", "cf_int", "cf_dec", "cf_bool", "cf_unknown"}))
		ensure(map[string]string{"cf_day": "Text", "cf_at": "Text", "cf_pick": "Number", "cf_many": "Text"})
		wantRow(t, w, "4\t4", "SELECT countIf(startsWith(comment, 'removed custom field')), countIf(startsWith(comment, 'former custom field')) FROM system.columns WHERE database = '%s' AND table = 'tickets_all'", w.Database())
		write(2, `{"cf_day":"x","cf_pick":"5"}`)
		write(3, `{"cf_text":null,"cf_int":null}`)
		wantRow(t, w, want, all)
		write(4, `{"cf_int":"no number"}`)
		write(5, `{}`)
		wantRow(t, w, `{"cf.cf_int":"no number"}`, "SELECT _extra FROM tickets")
		write(6, `{"cf_int":"-7"}`)
		wantRow(t, w, "", "SELECT _extra FROM tickets")
		wantRow(t, w, "∅\t∅\t∅", "SELECT cf_day_2, cf_pick_2, cf_many_2 FROM tickets")
		// A value that is still sent is taken; a field that is back counts as any other.
		write(7, `{"cf_text":"late"}`)
		wantRow(t, w, "late", "SELECT cf_text FROM tickets")
		ensure(map[string]string{"cf_text": "Text"})
		write(8, `{}`)
		wantRow(t, w, "∅\t-7", "SELECT cf_text, cf_int FROM tickets")
		if got := w.CustomFields(source.Tickets); !slices.Contains(got, "cf_text") || slices.Contains(got, "cf_int") || len(got) != 5 {
			t.Errorf("fields that are there: %q", got)
		}
	})
}

func TestCommentsOfCustomFieldsReadBack(t *testing.T) {
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom(oddTexts), rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	}))
	rapid.Check(t, func(t *rapid.T) {
		readsBack(t, texts.Draw(t, "api"), texts.Draw(t, "label"), rapid.OneOf(texts, rapid.SampledFrom([]string{"Text", "Number", "Multiselect"})).Draw(t, "type"),
			rapid.IntRange(0, 5).Draw(t, "state"))
	})
}

// oddTexts are what a label or an API name may be that looks like something else.
var oddTexts = []string{"", " ", `"`, `""`, `"x"`, `"x" y`, "`", `\`, `\"`, "a\nb", "\x00", "\xff", "SELECT", "__proto__", "cf_", "custom field ", "x (backfill pending)",
	" (backfill pending)", `"x" (backfill pending)`, "no longer filled: x", "former custom field \"a\" of type \"b\": c", ": ", "of type", "😀", strings.Repeat("ü", 250)}

func FuzzCommentsOfCustomFieldsReadBack(f *testing.F) {
	for i, text := range oddTexts {
		f.Add(text, oddTexts[len(oddTexts)-1-i], "Text", i%6)
	}
	f.Fuzz(func(t *testing.T, api, label, typ string, state int) {
		readsBack(t, api, label, typ, max(state, -state)%6)
	})
}

// readsBack: comment and parseCustom are each other's inverse, in every state and
// with the mark of a backfill.
func readsBack(t interface {
	Fatalf(string, ...any)
}, api, label, typ string, state int) {
	c := customColumn{CustomField: source.CustomField{APIName: api, Label: label, Type: typ}, name: "cf_x", typ: customType(typ), former: state%3 == 1, removed: state%3 == 2}
	col := c.column()
	if state >= 3 {
		col = col.pending()
	}
	back, ok := parseCustom(haveColumn{c.name, c.typ, col.comment})
	if !ok || back != c {
		t.Fatalf("%+v in %q reads back as %+v, %v", c, col.comment, back, ok)
	}
	if _, pending := splitPending(col.comment); pending != (state >= 3) {
		t.Fatalf("%q: pending %v", col.comment, pending)
	}
}

// Names that a portal may choose never meet columns that are not theirs.
func TestCustomColumnsNeverCollide(t *testing.T) {
	w := prepared(t)
	names := slices.Concat(oddTexts, []string{"subject", "Subject", "cf_subject", "department_name", "cf_department_name", "_version", "_extra", "org_id", "id",
		"CF_Subject", "cf-subject", "cf subject", "cf_subject_2", "cf_select", "select", "cf_İ", "cf_" + strings.Repeat("x", 97), "cf_" + strings.Repeat("x", 98)})
	var fields []source.CustomField
	for i, n := range names {
		fields = append(fields, source.CustomField{APIName: n, Label: names[len(names)-1-i], Type: "Text"})
	}
	added, err := w.EnsureCustomFields(ctx, source.Tickets, fields)
	must(t, err)
	if len(added) != len(names) {
		t.Fatalf("%d columns for %d fields", len(added), len(names))
	}
	cf := map[string]string{}
	for i, n := range names {
		cf[n] = fmt.Sprint("value ", i)
	}
	body, err := json.Marshal(map[string]any{"id": "1", "subject": "s", "cf": cf})
	must(t, err)
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, string(body)), 1)}, 1))
	restarted := open(t, w.cfg)
	must(t, restarted.Prepare(ctx, allTables))
	values := map[string]bool{}
	for _, c := range restarted.layouts[source.Tickets].custom {
		if !strings.HasPrefix(c.name, "cf_") {
			t.Errorf("%q has the column %q", c.APIName, c.name)
		}
		values[row(t, w, "SELECT ifNull(%s, '') FROM tickets_full", ident(c.name))] = true
	}
	delete(values, "")
	// JSON cannot say "\xff": that value came under another name, and is kept all the same.
	if extra := row(t, w, "SELECT _extra FROM tickets"); len(values) != len(names)-1 || !strings.Contains(extra, "value ") {
		t.Errorf("%d of %d fields have their value, _extra %s", len(values), len(names), extra)
	}
}

// Thousands of fields cost some statements, not one each.
func TestManyCustomFields(t *testing.T) {
	w := prepared(t)
	fields := make([]source.CustomField, 1200)
	for i := range fields {
		fields[i] = source.CustomField{APIName: fmt.Sprintf("cf_%d", i), Label: strings.Repeat("l", 200), Type: "Text"}
	}
	before := w.queries.Load()
	_, err := w.EnsureCustomFields(ctx, source.Tickets, fields)
	must(t, err)
	if n := w.queries.Load() - before; n > 30 {
		t.Errorf("%d statements for %d fields", n, len(fields))
	}
	restarted := open(t, w.cfg)
	must(t, restarted.Prepare(ctx, allTables))
	if again, err := restarted.EnsureCustomFields(ctx, source.Tickets, fields); len(again) > 0 || err != nil {
		t.Errorf("again: %d, %v", len(again), err)
	}
	must(t, restarted.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, `{"id":"1","cf":{"cf_1199":"x"}}`), 1)}, 1))
	wantRow(t, w, "1\tx", "SELECT id, cf_1199 FROM tickets")
	must(t, restarted.Fence(ctx, 3))
}
