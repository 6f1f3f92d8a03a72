package clickhouse

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"

	"github.com/rs/zerolog"
)

// someCustom are custom fields for golden files: names that collide, need
// quoting or are not Latin.
var someCustom = planCustom(nil, nil, []source.CustomField{
	{APIName: "cf_region", Label: "Region", Type: "Picklist"},
	{APIName: "cf_Region", Label: "Re'gion \\ `x`", Type: "Text"},
	{APIName: "cf_größe", Label: "Größe 😀", Type: "Number"},
	{APIName: "tags", Label: "Tags", Type: "Multiselect"},
}, map[string]bool{}).custom

func TestDefinitions(t *testing.T) {
	names := nameTables{source.Departments: true, source.Products: true}
	for _, table := range allTables {
		l := &layout{res: source.Lookup(table)}
		if l.res.HasCustom() {
			l.custom = someCustom
		}
		var all []string
		for _, tab := range l.tables() {
			all = append(all, tab.create("desk"))
		}
		for _, v := range l.views("desk", names) {
			all = append(all, v.create("desk"))
		}
		golden(t, string(table)+".sql", strings.Join(all, ";\n\n")+";\n")
	}
}

func TestDocumentDefinitions(t *testing.T) {
	names := nameTables{source.Departments: true, source.Products: true}
	var all []string
	for _, table := range allTables {
		l := (Config{Layout: LayoutDocument}).layout(table, someCustom)
		all = append(all, l.mainTable().create("desk"), l.currentView("desk", names).create("desk"))
		for _, name := range pinned[table] {
			if !slices.ContainsFunc(l.res.Fields, func(f source.Field) bool { return f.Name == name && f.Register == source.Content }) {
				t.Errorf("%s has no field %s", table, name)
			}
		}
	}
	all = append(all, (Config{Layout: LayoutDocument}).layout(source.Contracts, nil).filledMembersExpr())
	all = append(all, carrySQL("desk", 7000, (Config{Layout: LayoutDocument}).layout(source.Departments, nil), "departments_all"))
	golden(t, "document.sql", strings.Join(all, ";\n\n")+";\n")
}

func TestLogbookDefinitions(t *testing.T) {
	var all []string
	for _, tab := range append(logbookTables(), positionsTable(ownerComment("support", 7000)), seenTable("run_1")) {
		all = append(all, tab.create("desk"))
	}
	for _, v := range logbookViews("desk") {
		all = append(all, v.create("desk"))
	}
	golden(t, "logbook.sql", strings.Join(all, ";\n\n")+";\n")
}

func TestStatements(t *testing.T) {
	tickets := &layout{res: source.Lookup(source.Tickets), custom: someCustom[:1]}
	fields := &layout{res: source.Lookup(source.OrganizationFields)}
	golden(t, "statements.sql", strings.Join([]string{
		createDictionary("desk", source.Departments, credentials{}),
		createDictionary("o'desk`", source.Products, credentials{"wri'ter", `pa\ss'word`}),
		carrySQL("desk", 7000, tickets, "tickets_all"),
		carrySQL("desk", 7000, fields, "rebuild_organization_fields_r1"),
		lookupSQL("desk", 7000, source.Tickets, "tickets_all", headExprs),
		lookupSQL("desk", 7000, source.OrganizationFields, "organization_fields_detail", []string{"_as_of", "_rank", "_hash"}),
		keysSQL("desk", 7000, source.OrganizationFields, "_is_deleted = 0"),
		absentSQL("desk", 7000, source.Tickets, "run_1"),
		unhydratedSQL("desk", 7000, source.Tickets),
		unhydratedSQL("desk", 7000, source.OrganizationFields),
		strings.Join((&layout{res: source.Lookup(source.Contracts), custom: someCustom}).filledExprs(), ",\n"),
		shadowSQL("desk", source.Tickets, "rebuild_tickets_r1"),
		copySQL("desk", source.OrganizationFields, "rebuild_organization_fields_r1", []string{"api_name", "_epoch"}, 9, missingSQL("desk", source.OrganizationFields, "rebuild_organization_fields_r1")),
		fenceSQL("desk", "tickets_all", 9),
		addColumn("desk", "tickets_all", someCustom[0].column()),
		commentColumn("desk", "tickets_all", "cf_region", "it's"),
		commentTable("desk", "tickets_all", "x"),
	}, ";\n\n")+";\n")
}

func TestPrepareTwice(t *testing.T) {
	w := prepared(t)
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, fullTicket), 1)}, 1))
	_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_x", Label: "X", Type: "Text"}})
	must(t, err)
	const schema = "SELECT name, engine, comment, create_table_query FROM system.tables WHERE database = '%s' ORDER BY name"
	before := rows(t, w, schema, w.Database())
	must(t, w.Prepare(ctx, allTables))
	again := open(t, w.cfg)
	must(t, again.Prepare(ctx, allTables))
	after := rows(t, w, schema, w.Database())
	if strings.Join(before, "\n") != strings.Join(after, "\n") {
		t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	wantRow(t, again, "121", "SELECT id FROM tickets")
}

// The types this package asks for must be spelt as the server spells them, or
// every start would refuse its own tables.
func TestTypesAreSpeltAsTheServerDoes(t *testing.T) {
	w := prepared(t)
	have, err := w.have(ctx)
	must(t, err)
	_, want := w.cfg.wanted(allTables, have)
	if steps := planTables(w.Database(), have, want); len(steps) > 0 {
		t.Errorf("a prepared database needs %+v", steps)
	}
}

// A table that is made between the two questions is not there: it would have
// columns and no comment, so be somebody else's.
func TestATableMadeWhileTheSchemaIsReadIsNotThere(t *testing.T) {
	w := prepared(t)
	tables := map[string]haveTable{"tickets_all": {}}
	must(t, w.haveColumns(ctx, tables))
	if _, there := tables["tickets_all"].column("subject"); !there || len(tables) > 1 {
		t.Errorf("%d tables, subject there: %v", len(tables), there)
	}
}

func TestPrepareAddsMissingColumns(t *testing.T) {
	w := prepared(t)
	must(t, w.exec(ctx, "damage", "DROP VIEW "+qualified(w.Database(), "tickets")))
	must(t, w.exec(ctx, "damage", "ALTER TABLE "+qualified(w.Database(), "tickets_all")+" DROP COLUMN subject, COMMENT COLUMN status 'x'"))
	must(t, w.Prepare(ctx, allTables))
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, fullTicket), 1)}, 1))
	wantRow(t, w, "Open", "SELECT status FROM tickets WHERE subject LIKE 'Käse%%'")
	wantRow(t, w, "Zoho Desk tickets.status: label configured in the portal; statusType is its class", "SELECT comment FROM system.columns WHERE database = '%s' AND table = 'tickets_all' AND name = 'status'", w.Database())
}

// A database of a deskhouse in which isArchived was a listed column, and reports
// had no error.
func TestPrepareUpgradesAnOlderDatabase(t *testing.T) {
	w := prepared(t)
	for _, sql := range []string{
		"ALTER TABLE tickets_all DROP COLUMN is_archived",
		"ALTER TABLE tickets_listed ADD COLUMN is_archived Nullable(Bool) COMMENT 'Zoho Desk tickets.isArchived'",
		"INSERT INTO tickets_all (org_id, id, subject, _version, _content_as_of) VALUES (7000, 1, 'from before', 1, 1)",
		"INSERT INTO tickets_listed (org_id, id, is_archived, _version, _as_of) VALUES (7000, 1, true, 1, 1)",
		"ALTER TABLE sync_runs_all DROP COLUMN error, DROP COLUMN read",
		"INSERT INTO sync_runs_all (run, table, repaired) VALUES ('old', 'tickets', 3)",
	} {
		must(t, w.into.Exec(ctx, sql))
	}
	must(t, w.Check(ctx, allTables))
	must(t, w.Prepare(ctx, allTables))
	must(t, w.Prepare(ctx, allTables))
	wantRow(t, w, "from before\t∅\t1970-01-01 00:00:00.001", "SELECT subject, is_archived, listed_as_of FROM tickets_full")
	rec := record(t, source.Tickets, `{"id":"1","isArchived":true}`)
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 5)}, 1))
	must(t, w.WriteSide(ctx, source.Tickets, source.Listed, []source.SideRow{{Key: rec.Key, Stamp: source.Stamp{AsOf: 5}, Record: rec}}, 1))
	wantRow(t, w, "true", "SELECT is_archived FROM tickets_full")
	must(t, w.SaveRun(ctx, source.RunReport{Run: "new", Table: source.Tickets, Read: 7, Err: "guard"}))
	wantRow(t, w, "7 3 guard", "SELECT arrayStringConcat([toString(sum(read)), toString(sum(repaired)), max(error)], ' ') FROM sync_runs")
}

func TestPrepareRefusesAnotherType(t *testing.T) {
	w := prepared(t)
	must(t, w.exec(ctx, "damage", "ALTER TABLE "+qualified(w.Database(), "tickets_all")+" MODIFY COLUMN subject Nullable(FixedString(9))"))
	wantErr(t, w.Prepare(ctx, allTables), ErrSchema)
}

func TestPrepareRefusesForeignTables(t *testing.T) {
	for _, name := range []string{"tickets_all", "tickets", "changes", "ticket_changes", "ticket_status_durations", "open_tickets_by_day", "department_names", "sync_state_all"} {
		t.Run(name, func(t *testing.T) {
			w := open(t, config(t))
			must(t, w.exec(ctx, "foreign table", "CREATE TABLE "+qualified(w.Database(), name)+" (id UInt64) ENGINE = MergeTree ORDER BY id COMMENT 'mine'"))
			wantErr(t, w.Prepare(ctx, allTables), ErrForeign)
			if got := rows(t, w, "SELECT name FROM system.tables WHERE database = '%s'", w.Database()); len(got) != 1 {
				t.Errorf("objects were made: %q", got)
			}
		})
	}
}

func TestPrepareRefusesANewerFormat(t *testing.T) {
	w := prepared(t)
	must(t, w.exec(ctx, "newer", "ALTER TABLE "+qualified(w.Database(), "tickets_all")+fmt.Sprintf(" MODIFY COMMENT 'deskhouse %d: x'", format+1)))
	wantErr(t, w.Prepare(ctx, allTables), ErrNewerFormat)
}

func TestPrepareRefusesAnotherPipeline(t *testing.T) {
	w := prepared(t, func(c *Config) { c.Pipeline = `su"pp\ort'` })
	for _, change := range []func(*Config){
		func(c *Config) { c.Pipeline = "sales" },
		func(c *Config) { c.OrgID++ },
	} {
		cfg := w.cfg
		change(&cfg)
		wantErr(t, open(t, cfg).Prepare(ctx, allTables), ErrOtherPipeline)
	}
	must(t, open(t, w.cfg).Prepare(ctx, allTables))
}

// Hostile names end up as names, over both protocols.
func TestHostileDatabaseNames(t *testing.T) {
	for _, name := range []string{"a`b", `a\b`, "a'b", "a b (x)", "ünï😀", "x;DROP TABLE y", "a/b", `"q"`, "{a:String}", "?", strings.Repeat("n", 60), "VALUES", "x VALUES (1)", "-- x", "settings a=1"} {
		for _, url := range []func(testing.TB) string{nativeURL, httpURL} {
			name := name + url(t)[:1]
			t.Run(name, func(t *testing.T) {
				w := open(t, Config{URL: url(t), Database: name, OrgID: testOrg, Pipeline: "p", Logger: zerolog.Nop()})
				t.Cleanup(func() { must(t, w.exec(ctx, "clean up", "DROP DATABASE "+ident(name)+" SYNC")) })
				must(t, w.Prepare(ctx, allTables))
				must(t, w.Write(ctx, source.Departments, []source.Row{content(record(t, source.Departments, `{"id":"11","name":"Sales"}`), 1)}, 1))
				must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, fullTicket), 1)}, 1))
				must(t, w.Fence(ctx, 2))
				wantRow(t, w, "121\tSales", "SELECT id, department_name FROM tickets_full")
			})
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	good := config(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closed := l.Addr().String()
	must(t, l.Close())
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   error
	}{
		{"no scheme", func(c *Config) { c.URL = "localhost:9000" }, ErrConfig},
		{"another scheme", func(c *Config) { c.URL = "mysql://localhost" }, ErrConfig},
		{"unreadable", func(c *Config) { c.URL = "clickhouse://u:p%zz@host" }, ErrConfig},
		{"no database", func(c *Config) { c.Database = "" }, ErrConfig},
		{"no pipeline", func(c *Config) { c.Pipeline = "" }, ErrConfig},
		{"nobody listens", func(c *Config) { c.URL = "clickhouse://" + closed }, ErrUnreachable},
		{"nobody listens, HTTP", func(c *Config) { c.URL = "http://" + closed }, ErrUnreachable},
		// Over HTTP only: the embedded engine (26.7.3-stable.1) aborts when a native client names an unknown user.
		{"wrong user", func(c *Config) { c.URL, c.User, c.Password = httpURL(t), "nobody", "s3cret" }, ErrAuth},
		{"wrong user in the URL", func(c *Config) { c.URL = strings.Replace(httpURL(t), "://", "://nobody:s3cret@", 1) }, ErrAuth},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			_, err := Open(ctx, cfg)
			wantErr(t, err, c.want)
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error shows the password: %v", err)
			}
			if Retryable(err) != errors.Is(err, ErrUnreachable) {
				t.Errorf("retryable: %v", err)
			}
		})
	}
}

func TestOldServersAreRefused(t *testing.T) {
	for version, ok := range map[string]bool{"24.8.1.1": true, "24.7.9.1": false, "23.12.1": false, "25.1.0": true, "26.7.2.1": true, "x": false} {
		if err := checkVersion(version); (err == nil) != ok || err != nil && !errors.Is(err, ErrTooOld) {
			t.Errorf("%s: %v", version, err)
		}
	}
	if v := open(t, config(t)).Version(); v != enginetest.Start(t).Version() {
		t.Errorf("version %q", v)
	}
}

func TestErrorsHoldNoRowValues(t *testing.T) {
	w := prepared(t)
	must(t, w.Fence(ctx, 5))
	err := w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, `{"id":"1","subject":"confidential"}`), 1)}, 4)
	wantErr(t, err, ErrFenced)
	err2 := w.exec(ctx, "probe", "SELECT throwIf(1, 'confidential')")
	if err2 == nil || strings.Contains(err.Error()+err2.Error(), "confidential") || strings.Contains(err.Error(), "_epoch") {
		t.Errorf("errors %v, %v", err, err2)
	}
	r, err := w.Query(ctx, "SELECT throwIf(1, 'said to whoever asked')")
	if err == nil {
		r.Next()
		err = errors.Join(r.Err(), r.Close())
	}
	if err == nil || !strings.Contains(err.Error(), "said to whoever asked") {
		t.Errorf("query error %v", err)
	}
}
