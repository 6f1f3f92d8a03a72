package clickhouse

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"deskhouse/source"
)

// formatOne makes a database as the release with format 1 made it, with rows as
// that release wrote them. The statements are frozen: they are never
// regenerated.
func formatOne(t *testing.T) *Warehouse {
	t.Helper()
	w := open(t, config(t))
	for _, file := range []string{"database.sql", "rows.sql"} {
		text, err := os.ReadFile("testdata/format1/" + file)
		must(t, err)
		sql := strings.NewReplacer("`desk`.", ident(w.Database())+".", "'desk.", "'"+w.Database()+".").Replace(string(text))
		for statement := range strings.SplitSeq(strings.TrimSuffix(sql, ";\n"), ";\n\n") {
			if err := w.exec(ctx, "make format 1", statement); err != nil {
				t.Fatalf("%v: %.200s", err, statement)
			}
		}
	}
	return w
}

// retiredNow are the columns of format 1 that nothing fills any more.
var retiredNow = []string{
	"organization_fields_all.allowed_values", "organization_fields_all.lookup", "organization_fields_all.lookup_properties",
	"organization_fields_all.pick_list_values", "organization_fields_all.properties", "organization_fields_detail.associated_departments",
	"products_detail.departments", "products_detail.owner_id", "tickets_all.shared_departments", "tickets_detail.skills_info",
}

// stored is every row of every table, with all its versions, by table: what an
// upgrade must not change. Only the columns of before are read.
func stored(t *testing.T, w *Warehouse, before map[string]haveTable) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for name, h := range before {
		if !strings.HasSuffix(h.engine, "MergeTree") {
			continue
		}
		var cols []string
		for _, c := range h.columns {
			cols = append(cols, ident(c.name))
		}
		list := strings.Join(cols, ", ")
		all[name] = rows(t, w, "SELECT %s FROM %s ORDER BY (%s)", list, qualified(w.Database(), name), list)
	}
	return all
}

func TestFormatOneIsMigratedWithAllItsRows(t *testing.T) {
	w := formatOne(t)
	have, err := w.have(ctx)
	must(t, err)
	before := stored(t, w, have)
	if len(before) != 16 || len(before["tickets_all"]) != 4 {
		t.Fatalf("the frozen database has %d tables and %d versions of tickets", len(before), len(before["tickets_all"]))
	}
	must(t, w.Prepare(ctx, allTables))
	after := stored(t, w, have)
	for name, want := range before {
		if !slices.Equal(after[name], want) {
			t.Errorf("%s was\n%q\nand is\n%q", name, want, after[name])
		}
	}
	checkMigrated(t, w)
	again := open(t, w.cfg)
	must(t, again.Prepare(ctx, allTables))
	checkMigrated(t, again)
}

// checkMigrated looks at comments, columns and views.
func checkMigrated(t *testing.T, w *Warehouse) {
	t.Helper()
	have, err := w.have(ctx)
	must(t, err)
	var retired []string
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if f, ok := formatOf(have[name].comment); !ok || f != format {
			t.Errorf("%s has the comment %q", name, have[name].comment)
		}
		for _, c := range have[name].columns {
			if _, ok := splitRetired(c.comment); ok {
				retired = append(retired, name+"."+c.name)
			}
		}
		if have[name].engine == "View" {
			rows(t, w, "SELECT * FROM %s", qualified(w.Database(), name))
		}
	}
	if slices.Sort(retired); !slices.Equal(retired, retiredNow) {
		t.Errorf("retired are %q", retired)
	}
	for _, path := range retiredNow {
		table, col, _ := strings.Cut(path, ".")
		if path == "products_detail.owner_id" {
			col = "detail_owner_id" // as products_full called it: products has an owner_id of its own
		}
		for _, view := range []string{string(tableWord(table)), string(tableWord(table)) + "_full"} {
			if _, shown := have[view].column(col); shown {
				t.Errorf("view %s still shows %s", view, col)
			}
		}
	}
	for table, want := range map[source.Table]string{
		source.Tickets:  "shared_department_ids shared_department_names shared_department_types skill_ids skill_names skill_type_ids skill_type_names skill_weightages skill_mapping_types",
		source.Products: "owner_agent_id department_ids department_names", source.Contracts: "department_id", source.Departments: "",
	} {
		var pending []string
		for _, p := range w.PendingColumns(table) {
			pending = append(pending, p.Column)
		}
		if got := strings.Join(pending, " "); got != want {
			t.Errorf("%s waits for %q, want %q", table, got, want)
		}
	}
	if _, want := w.cfg.wanted(allTables, have); slices.ContainsFunc(planTables(w.Database(), have, want), func(s Step) bool { return s.Automatic }) {
		t.Error("a migrated database needs more steps")
	}
}

func tableWord(name string) source.Table {
	return source.Table(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_all"), "_detail"), "_listed"))
}

func TestMigratedTablesGoOn(t *testing.T) {
	w := formatOne(t)
	must(t, w.Prepare(ctx, allTables))
	must(t, w.ReloadNames(ctx, source.Departments))
	wantRow(t, w, "Käse\tEU\t7\t['a','b']\tBüro\t[]\t{\"odd\":1}", "SELECT subject, cf_region, cf_size, cf_tags, department_name, shared_department_ids, _extra FROM tickets WHERE id = 101")
	wantRow(t, w, "newer", "SELECT subject FROM tickets WHERE id = 102")
	wantRow(t, w, "2", "SELECT count() FROM tickets")
	wantRow(t, w, "Lovelace\tPOSITIVE\t{\"id\":\"9\"}", "SELECT contact_last_name, sentiment, first_thread FROM tickets_full WHERE id = 101")
	wantRow(t, w, "delete\twebhook", "SELECT op, origin FROM changes")

	heads, err := w.Heads(ctx, source.Tickets, []source.Key{{ID: 101}, {ID: 103}})
	must(t, err)
	if h := heads[source.Key{ID: 101}]; h.Content.Hash != 1234 || h.Modified != 90 || h.Version != 5 || !heads[source.Key{ID: 103}].Deleted {
		t.Errorf("heads are %+v", heads)
	}
	if names, known := w.KnowsCustom(source.Tickets, "cf_region"), w.KnowsCustom(source.Tickets, "cf_none"); !names || known {
		t.Errorf("cf_region known %v, cf_none known %v", names, known)
	}

	old := `[{"id":"11","name":"Büro","type":"READ_ONLY"}]`
	must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(source.Key{ID: 101}, heads[source.Key{ID: 101}], 200)}, 3))
	wantRow(t, w, "1\tKäse\t['a','b']\t"+old, "SELECT _is_deleted, subject, cf_tags, shared_departments FROM tickets_all FINAL WHERE id = 101")

	must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, `{"id":"102","subject":"read again","sharedDepartments":[{"id":"12","name":"y","type":"READ_WRITE"}]}`), 300)}, 3))
	wantRow(t, w, "read again\t[12]\t['y']\t['READ_WRITE']\t∅", "SELECT subject, shared_department_ids, shared_department_names, shared_department_types, shared_departments FROM tickets_all FINAL WHERE id = 102")

	must(t, w.BeginRebuild(ctx, source.Tickets, "r9"))
	_, err = w.SwapRebuild(ctx, source.Tickets)
	must(t, err)
	wantRow(t, w, old, "SELECT shared_departments FROM tickets_all FINAL WHERE id = 101")
	wantRow(t, w, `[{"id":"12","type":"READ_WRITE"}]`, "SELECT shared_departments FROM tickets_all FINAL WHERE id = 103")
}

// A start that ends anywhere in the migration leaves what the next one
// completes.
func TestMigrationMayEndAnywhere(t *testing.T) {
	w := formatOne(t)
	have, err := w.have(ctx)
	must(t, err)
	before := stored(t, w, have)
	_, want := w.cfg.wanted(allTables, have)
	steps := planTables(w.Database(), have, want)
	for n, s := range steps {
		if !s.Automatic || n%3 == 1 {
			continue // as if the process had died before some
		}
		must(t, w.exec(ctx, s.did(), s.SQL))
	}
	must(t, w.Prepare(ctx, allTables))
	checkMigrated(t, w)
	if after := stored(t, w, have); !maps.EqualFunc(after, before, slices.Equal) {
		t.Error("rows changed")
	}
}

// What the selection leaves out, or keeps only a hash of, does not travel with
// a row that is carried over.
func TestMovedColumnsAreThoseOfAnOlderRelease(t *testing.T) {
	l := Config{}.layout(source.Tickets, nil)
	have := haveTable{columns: []haveColumn{
		{"subject", typeString, "Zoho Desk tickets.subject"},
		{"shared_departments", typeString, retiredMark + "Zoho Desk tickets.sharedDepartments"},
		{"shared_twice", typeString, "Zoho Desk tickets.sharedDepartments: a note"},
		{"email", typeString, retiredMark + "Zoho Desk tickets.email"},
		{"gone", typeString, retiredMark + "Zoho Desk tickets.gone"},
		{"skills_info", typeString, retiredMark + "Zoho Desk tickets.skillsInfo"},
		{"cf_x", typeString, customMark + "x"},
		{"mine", typeString, "shared"},
	}}
	if got := fmt.Sprint(l.movedIn(have)); got != "[shared_departments shared_twice]" {
		t.Errorf("moved are %s", got)
	}
	fields := Config{}.layout(source.OrganizationFields, nil)
	if got := fields.movedIn(haveTable{columns: []haveColumn{{"lookup", typeString, retiredMark + "Zoho Desk organization_fields.lookup"}}}); len(got) != 1 {
		t.Errorf("a flattened object was moved to its members: %q", got)
	}
}
