package clickhouse

import (
	"slices"
	"strings"
	"testing"

	"deskhouse/source"
)

func (w *Warehouse) alterTickets(t *testing.T, what string) {
	t.Helper()
	must(t, w.exec(ctx, "change the table by hand", "ALTER TABLE "+qualified(w.Database(), "tickets_all")+" "+what+" SETTINGS mutations_sync = 2"))
}

// A column of another type stops the sync only if its values would suffer.
func TestColumnsOfOtherTypes(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		for _, c := range []struct{ column, typ, want string }{
			{"category", "LowCardinality(Nullable(String))", "Bug"},
			{"status", "Nullable(String)", "Open"},
			{"created_time", "Nullable(DateTime64(6, 'UTC'))", "2024-01-02 03:04:05.678"},
			{"created_time", "Nullable(DateTime64(3, 'Asia/Tokyo'))", "2024-01-02 03:04:05.678"},
			{"closed_time", "Nullable(DateTime('UTC'))", ""},
			{"contact_id", "Nullable(Int64)", ""},
			{"thread_count", "Nullable(Int32)", ""},
			{"is_spam", "Nullable(UInt8)", ""},
			{"_life_hash", "UInt128", ""},
		} {
			was := w.typeOf(t, c.column)
			w.alterTickets(t, "MODIFY COLUMN "+c.column+" "+c.typ)
			restarted := open(t, w.cfg)
			err := restarted.Prepare(ctx, allTables)
			switch {
			case c.want == "":
				wantErr(t, err, ErrSchema)
				if !strings.Contains(err.Error(), "tickets_all."+c.column) || !strings.Contains(err.Error(), "schema --diff") {
					t.Errorf("the error does not help: %v", err)
				}
			default:
				must(t, err)
				rec := record(t, source.Tickets, `{"id":"121","category":"Bug","status":"Open","createdTime":"2024-01-02T03:04:05.678Z"}`)
				must(t, restarted.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
				wantRow(t, restarted, c.want, "SELECT %s FROM tickets", c.column)
			}
			w.alterTickets(t, "MODIFY COLUMN "+c.column+" "+was)
		}
	})
}

func (w *Warehouse) typeOf(t *testing.T, col string) string {
	t.Helper()
	return row(t, w, "SELECT type FROM system.columns WHERE database = '%s' AND table = 'tickets_all' AND name = '%s'", w.Database(), col)
}

// schemaOf is the plan in short and every column that is not as usual.
func schemaOf(t *testing.T, w *Warehouse, tables []source.Table) (s Schema, plan, columns string) {
	t.Helper()
	s, err := w.Schema(ctx, tables)
	must(t, err)
	var steps, odd []string
	for _, p := range s.Plan {
		steps = append(steps, p.Table+": "+shortly([]Step{p}))
	}
	for _, table := range s.Tables {
		for _, c := range table.Columns {
			if c.State == "" && (c.Want == nil || c.Have == nil || c.Have.Type != c.Want.Type) {
				t.Errorf("%s.%s is said to be right: %+v, %+v", table.Name, c.Name, c.Have, c.Want)
			}
			if c.State != "" && table.Ours {
				odd = append(odd, table.Name+"."+c.Name+": "+string(c.State))
			}
		}
	}
	return s, strings.Join(steps, "\n"), strings.Join(odd, "\n")
}

func TestSchemaOfAnEmptyServerAndOfAPreparedOne(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		_, err := w.EnsureCustomFields(ctx, source.Tickets, someFields)
		must(t, err)
		for _, who := range []*Warehouse{w, open(t, w.cfg)} {
			s, plan, odd := schemaOf(t, who, allTables)
			if plan != "" || odd != "" {
				t.Errorf("a prepared database needs\n%s\n%s", plan, odd)
			}
			wantColumn(t, s, "tickets_all", "subject", SchemaColumn{Field: "tickets.subject"})
			wantColumn(t, s, "tickets", "cf_region", SchemaColumn{Field: "cf_Region", Label: "Re'gion \\ `x`"})
			wantColumn(t, s, "tickets_all", "_epoch", SchemaColumn{})
		}
		other := w.cfg
		other.Database += "_new"
		s, _, _ := schemaOf(t, open(t, other), allTables)
		kinds := map[StepKind]int{}
		for _, p := range s.Plan {
			kinds[p.Kind]++
			if !p.Automatic || p.Blocking || p.What == "" || p.Why == "" {
				t.Errorf("%+v", p)
			}
		}
		if kinds[CreateDatabase] != 1 || kinds[CreateTable] < 15 || kinds[MakeView] < 10 || kinds[MakeDictionary] != 2 || len(kinds) != 4 {
			t.Errorf("kinds of steps: %v", kinds)
		}
	})
}

var someFields = []source.CustomField{{APIName: "cf_region", Label: "Region", Type: "Picklist"}, {APIName: "cf_Region", Label: "Re'gion \\ `x`", Type: "Text"}}

func wantColumn(t *testing.T, s Schema, table, col string, want SchemaColumn) {
	t.Helper()
	for _, st := range s.Tables {
		for _, c := range st.Columns {
			if st.Name == table && c.Name == col {
				if c.Field != want.Field || c.Label != want.Label || c.State != want.State || c.Have == nil || c.Want == nil || *c.Have != *c.Want {
					t.Errorf("%s.%s is %+v, have %+v, want %+v", table, col, c, c.Have, c.Want)
				}
				return
			}
		}
	}
	t.Errorf("%s has no column %s", table, col)
}

// What people do to a database, what the plan says to it, and what is left to
// do after the next start.
func TestDriftByHand(t *testing.T) {
	for _, c := range []struct {
		name, sql string // DB stands for the database
		plan      string
		columns   string
		left      string // of the plan after Prepare; "!" when that refuses
	}{
		{"dropped column", "ALTER TABLE DB.tickets_all DROP COLUMN subject",
			"tickets_all: add column(subject)\ntickets: make view(subject)\ntickets_full: make view(subject)", "tickets_all.subject: missing", ""},
		{"changed comments", "ALTER TABLE DB.tickets_all COMMENT COLUMN subject 'x', COMMENT COLUMN status '', MODIFY COMMENT 'deskhouse 1: x'",
			"tickets_all: comment column(subject,status)\ntickets_all: comment table()", "", ""},
		{"changed type", "ALTER TABLE DB.tickets_all MODIFY COLUMN subject Nullable(FixedString(99))",
			"tickets_all: change type(subject)!?", "tickets_all.subject: another type", "!"},
		{"harmless type", "ALTER TABLE DB.tickets_all MODIFY COLUMN subject LowCardinality(Nullable(String))",
			"tickets_all: change type(subject)?", "tickets_all.subject: another type", "tickets_all: change type(subject)?"},
		{"a column of their own", "ALTER TABLE DB.tickets_all ADD COLUMN mine String DEFAULT 'x' COMMENT 'Dashboard'",
			"", "tickets_all.mine: not deskhouse's", ""},
		{"a table of their own", "CREATE TABLE DB.mine (a UInt8) ENGINE = Memory", "", "", ""},
		{"a view of their own", "CREATE VIEW DB.mine AS SELECT subject FROM DB.tickets", "", "", ""},
		{"dropped table", "DROP TABLE DB.sync_runs_all SYNC", "sync_runs_all: create table(", "", ""},
		{"dropped view", "DROP VIEW DB.tickets_full", "tickets_full: make view()", "", ""},
		{"dropped dictionary", "DROP DICTIONARY DB.product_names", "product_names: make dictionary()", "", ""},
		{"replaced view", "CREATE OR REPLACE VIEW DB.departments AS SELECT id FROM DB.departments_all COMMENT 'deskhouse 1: mine now'",
			"departments: make view(", "", ""},
		{"column left out", "ALTER TABLE DB.tickets_all ADD COLUMN old_name Nullable(String) COMMENT 'Zoho Desk tickets.oldName (backfill pending)'",
			"tickets_all: retire column(old_name)\ntickets_all: drop column(old_name)?", "tickets_all.old_name: no longer filled", "tickets_all: drop column(old_name)?"},
		{"column wanted again", "ALTER TABLE DB.tickets_all COMMENT COLUMN subject 'no longer filled: Zoho Desk tickets.subject'",
			"tickets_all: revive column(subject)\ntickets: make view(subject)\ntickets_full: make view(subject)", "tickets_all.subject: no longer filled", ""},
		{"killed resync", "CREATE TABLE DB.run_x (a UInt8) ENGINE = MergeTree ORDER BY a COMMENT 'deskhouse 1: x'", "run_x: drop table()", "", ""},
		{"killed rebuild", "CREATE TABLE DB.rebuild_tickets_x (a UInt8) ENGINE = MergeTree ORDER BY a COMMENT 'deskhouse 1: x'", "rebuild_tickets_x: drop table()", "", ""},
		{"an older release's view", "CREATE VIEW DB.tickets_flat AS SELECT 1 COMMENT 'deskhouse 1: x'", "tickets_flat: drop table()?", "", "tickets_flat: drop table()?"},
		{"another order", "DROP TABLE DB.tickets_listed SYNC; CREATE TABLE DB.tickets_listed (org_id UInt64, id UInt64, _version UInt64) ENGINE = ReplacingMergeTree ORDER BY id COMMENT 'deskhouse 1: x'",
			"tickets_listed: set aside()!?", "", "!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := prepared(t)
			must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, fullTicket), 1)}, 1))
			for _, sql := range strings.Split(c.sql, "; ") {
				must(t, w.exec(ctx, "change by hand", strings.ReplaceAll(sql, "DB.", ident(w.Database())+".")))
			}
			restarted := open(t, w.cfg)
			_, plan, columns := schemaOf(t, restarted, allTables)
			if !starts(plan, c.plan) || c.columns != "" && columns != c.columns {
				t.Errorf("planned\n%s\nwant\n%s\ncolumns\n%s\nwant\n%s", plan, c.plan, columns, c.columns)
			}
			err := restarted.Prepare(ctx, allTables)
			if c.left == "!" {
				wantErr(t, err, ErrSchema)
				return
			}
			must(t, err)
			if _, plan, _ := schemaOf(t, open(t, w.cfg), allTables); plan != c.left {
				t.Errorf("after a start\n%s\nwant\n%s", plan, c.left)
			}
			wantRow(t, restarted, "1", "SELECT count() FROM tickets_full")
		})
	}
}

func TestAViewWithAnotherQueryIsMadeAnew(t *testing.T) {
	w := prepared(t)
	mine := strings.Replace(logbookView(w.Database(), runsTable()).create(w.Database()), " FINAL", "", 1)
	must(t, w.exec(ctx, "replace a view", mine))
	if s, plan, _ := schemaOf(t, w, allTables); plan != "sync_runs: make view()" || s.Plan[0].Why != "somebody changed its query" {
		t.Errorf("plan %s", plan)
	}
	must(t, w.Prepare(ctx, allTables))
	if _, plan, _ := schemaOf(t, w, allTables); plan != "" {
		t.Errorf("plan %s", plan)
	}
}

// starts compares a plan; one that is cut at a bracket need only begin so.
func starts(got, want string) bool {
	if strings.HasSuffix(want, "(") {
		return strings.HasPrefix(got, want) && !strings.Contains(got, "\n")
	}
	return got == want
}

// A column that is filled again waits for its values.
func TestAColumnWantedAgainIsPending(t *testing.T) {
	w := prepared(t)
	rec := record(t, source.Tickets, fullTicket)
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
	w.alterTickets(t, "COMMENT COLUMN subject 'no longer filled: Zoho Desk tickets.subject'")
	restarted := open(t, w.cfg)
	must(t, restarted.Prepare(ctx, allTables))
	if pending := restarted.PendingColumns(source.Tickets); len(pending) != 1 || pending[0].Column != "subject" || !restarted.Backfills(source.Tickets, source.Content, rec) {
		t.Errorf("pending are %+v", pending)
	}
	if _, plan, odd := schemaOf(t, restarted, allTables); plan != "" || odd != "tickets_all.subject: backfill pending\ntickets.subject: backfill pending\ntickets_full.subject: backfill pending" {
		t.Errorf("plan %q, columns\n%s", plan, odd)
	}
}

// A person's column that has the name of one that deskhouse makes later keeps
// its values: they rename it as the plan says, and both are there.
func TestAColumnOfAPersonWithANewName(t *testing.T) {
	w := prepared(t, selecting(source.Selection{Exclude: []string{"description"}}, hashKey))
	put(t, w, 1, `{"id":"5","subject":"s"}`)
	w.alterTickets(t, "ADD COLUMN description Nullable(String) DEFAULT 'mine'")
	_, err := again(t, w, func(*Config) {})
	must(t, err) // nobody needs the name yet
	operator, err := again(t, w, func(c *Config) { c.Select = nil })
	wantErr(t, err, ErrSchema)
	wantErr(t, operator.Check(ctx, allTables), ErrSchema)
	s, plan, odd := schemaOf(t, operator, allTables)
	const taken = "tickets_all: name taken(description)!?"
	if !strings.Contains(plan, taken) || !strings.Contains(odd, "tickets_all.description: not deskhouse's") || !strings.Contains(err.Error(), "RENAME COLUMN") {
		t.Fatalf("planned\n%s\ncolumns\n%s\n%v", plan, odd, err)
	}
	steps := slices.DeleteFunc(s.Plan, func(s Step) bool { return s.Kind != NameTaken })
	wantErr(t, operator.ApplySchema(ctx, allTables, steps), ErrStep)
	wantRow(t, w, "mine\t", "SELECT description, (SELECT comment FROM system.columns WHERE database = '%s' AND table = 'tickets_all' AND name = 'description') FROM tickets_all", w.Database())
	must(t, operator.exec(ctx, "rename", steps[0].Command))
	must(t, operator.Prepare(ctx, allTables))
	put(t, operator, 2, `{"id":"5","subject":"s","description":"Zoho's"}`)
	wantRow(t, operator, "Zoho's\tmine", "SELECT description, my_description FROM tickets_all FINAL")
}

// Where no view tells whose a column is, putting its comment back does.
func TestAChangedCommentWithoutAViewIsPutBackByHand(t *testing.T) {
	w := prepared(t)
	put(t, w, 1, `{"id":"5","subject":"s"}`)
	w.alterTickets(t, "COMMENT COLUMN subject ''")
	for _, view := range []string{"tickets", "tickets_full"} {
		must(t, w.exec(ctx, "drop a view", "DROP VIEW "+qualified(w.Database(), view)))
	}
	operator, err := again(t, w, func(*Config) {})
	wantErr(t, err, ErrSchema)
	steps := waiting(t, operator, allTables)
	if len(steps) != 1 || steps[0].Kind != NameTaken {
		t.Fatalf("waiting are %+v", steps)
	}
	_, restore, _ := strings.Cut(steps[0].What, "put that back: ")
	must(t, operator.exec(ctx, "put the comment back", restore))
	must(t, operator.Prepare(ctx, allTables))
	wantRow(t, operator, "s", "SELECT subject FROM tickets")
}

// A start that ends after any step is made whole by the next one.
func TestAPlanMayEndAnywhere(t *testing.T) {
	damage := "ALTER TABLE DB.tickets_all DROP COLUMN subject, DROP COLUMN channel, COMMENT COLUMN status 'x', COMMENT COLUMN priority 'no longer filled: x', ADD COLUMN old Nullable(String) COMMENT 'Zoho Desk tickets.old', MODIFY COMMENT 'deskhouse 0: x'"
	for steps := 0; ; steps++ {
		w := prepared(t)
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, fullTicket), 1)}, 1))
		must(t, w.exec(ctx, "change by hand", strings.ReplaceAll(damage, "DB.", ident(w.Database())+".")))
		must(t, w.exec(ctx, "drop a table", "DROP TABLE "+qualified(w.Database(), "sync_runs_all")+" SYNC"))
		have, err := w.have(ctx)
		must(t, err)
		_, want := w.cfg.wanted(allTables, have)
		plan := planTables(w.Database(), have, want)
		must(t, w.carryOut(ctx, plan[:steps]))
		restarted := open(t, w.cfg)
		must(t, restarted.Prepare(ctx, allTables))
		_, left, odd := schemaOf(t, restarted, allTables)
		if left != "tickets_all: drop column(old)?" || strings.Count(odd, "backfill pending") != 9 || strings.Count(odd, "\n") != 9 {
			t.Fatalf("after %d steps\n%s\n%s", steps, left, odd)
		}
		if steps == len(plan) {
			return
		}
	}
}

// A configuration that asks for another layout changes nothing by itself.
func TestAnotherLayoutIsAStepForARebuild(t *testing.T) {
	w := prepared(t)
	must(t, write(w, source.Tickets, `{"id":"1","subject":"x"}`))
	other := w.cfg
	other.Layout = LayoutDocument
	operator := open(t, other)
	few := []source.Table{source.Departments, source.Tickets}
	must(t, w.Prepare(ctx, few))
	steps := slices.DeleteFunc(waiting(t, operator, few), Step.Cleanup)
	if got := shortly(steps); got != "rebuild()? rebuild()?" || steps[1].Table != "tickets_all" || steps[1].Command != "deskhouse resync --rebuild --table tickets" {
		t.Errorf("plan: %+v", steps)
	}
	wantErr(t, operator.ApplySchema(ctx, few, steps), ErrStep)
	must(t, operator.Prepare(ctx, few))
	wantRow(t, operator, "x", "SELECT subject FROM tickets")
	other.Database += "_new"
	fresh := open(t, other)
	t.Cleanup(func() { must(t, fresh.exec(ctx, "clean up", "DROP DATABASE "+ident(other.Database)+" SYNC")) })
	must(t, fresh.Prepare(ctx, few))
	if _, plan, odd := schemaOf(t, fresh, few); plan != "" || odd != "" {
		t.Errorf("a database in the document layout needs %s\n%s", plan, odd)
	}
}
