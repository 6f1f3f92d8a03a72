package clickhouse

import (
	"slices"
	"strings"
	"testing"

	"deskhouse/source"
)

// waiting are the steps of a plan that wait for a person.
func waiting(t *testing.T, w *Warehouse, tables []source.Table) []Step {
	t.Helper()
	s, err := w.Schema(ctx, tables)
	must(t, err)
	return slices.DeleteFunc(s.Plan, func(s Step) bool { return s.Automatic })
}

func TestApplySchema(t *testing.T) {
	w := prepared(t)
	must(t, write(w, source.Departments, `{"id":"11","name":"Sales"}`))
	must(t, write(w, source.Tickets, `{"id":"1","departmentId":"11","subject":"kept","threadCount":"3"}`))
	for _, sql := range []string{
		"ALTER TABLE tickets_all ADD COLUMN old Nullable(String) COMMENT 'Zoho Desk tickets.old', ADD COLUMN mine String DEFAULT 'x'",
		"ALTER TABLE tickets_all MODIFY COLUMN subject Nullable(FixedString(4)) SETTINGS mutations_sync = 2",
		"ALTER TABLE tickets_all MODIFY COLUMN thread_count Nullable(String) SETTINGS mutations_sync = 2",
		"CREATE VIEW older AS SELECT old FROM tickets_all COMMENT 'deskhouse 1: x'",
	} {
		must(t, w.into.Exec(ctx, sql))
	}
	operator := open(t, w.cfg)
	steps := waiting(t, operator, allTables)
	if got := shortly(steps); got != "change type(subject)!? change type(thread_count)!? drop column(old)? drop table()?" {
		t.Fatalf("plan: %s", got)
	}
	// As long as something blocks a start, nothing is dropped under a view.
	wantErr(t, operator.ApplySchema(ctx, allTables, append(steps[2:3:3], steps[0])), ErrSchema)
	wantRow(t, w, "1", "SELECT count() FROM system.columns WHERE database = '%s' AND table = 'tickets_all' AND name = 'old'", w.Database())
	steps = waiting(t, operator, allTables)
	must(t, operator.ApplySchema(ctx, allTables, steps))
	if _, plan, _ := schemaOf(t, w, allTables); plan != "" {
		t.Errorf("left to do: %s", plan)
	}
	wantRow(t, w, "kept\t3\tx\tSales", "SELECT t.subject, t.thread_count, mine, department_name FROM tickets t JOIN (SELECT id, mine FROM tickets_all FINAL) a USING (id)")
	must(t, operator.ApplySchema(ctx, allTables, nil))
	wantErr(t, operator.ApplySchema(ctx, allTables, steps[1:2]), ErrStep)
}

// A table that cannot be altered goes aside with its rows.
func TestATableOfAnotherOrderIsSetAside(t *testing.T) {
	w := prepared(t)
	must(t, write(w, source.Departments, `{"id":"11","name":"Sales"}`))
	for _, sql := range []string{
		"CREATE TABLE copy ENGINE = ReplacingMergeTree(_version) ORDER BY id COMMENT 'deskhouse 1: x' AS SELECT * FROM departments_all",
		"EXCHANGE TABLES copy AND departments_all", "DROP TABLE copy SYNC",
	} {
		must(t, w.into.Exec(ctx, sql))
	}
	operator := open(t, w.cfg)
	wantErr(t, operator.Prepare(ctx, allTables), ErrSchema)
	must(t, operator.ApplySchema(ctx, allTables, waiting(t, operator, allTables)))
	wantRow(t, w, "0\tSales", "SELECT (SELECT count() FROM departments), name FROM old_departments_all")
	if got := shortly(waiting(t, operator, allTables)); got != "drop table()?" {
		t.Errorf("then: %s", got)
	}
	must(t, operator.ApplySchema(ctx, allTables, waiting(t, operator, allTables)))
	wantRow(t, w, "0", "SELECT count() FROM system.tables WHERE database = '%s' AND name = 'old_departments_all'", w.Database())
}

// A value that a type cannot hold must not be found by the server halfway.
func TestATypeThatAValueDoesNotSurvive(t *testing.T) {
	w := prepared(t)
	must(t, write(w, source.Tickets, `{"id":"1","entitySkills":["5"],"subject":"x"}`))
	for _, c := range []struct{ column, typ, value string }{
		{"thread_count", "Nullable(String)", "'many'"},
		{"contact_id", "Nullable(Int64)", "-1"},
		{"entity_skills", "Array(String)", "['many']"},
		{"created_time", "Nullable(String)", "'soon'"},
	} {
		t.Run(c.column, func(t *testing.T) {
			was := w.typeOf(t, c.column)
			w.alterTickets(t, "MODIFY COLUMN "+c.column+" "+c.typ)
			must(t, w.into.Exec(ctx, "INSERT INTO tickets_all (org_id, id, "+c.column+") VALUES (7000, 2, "+c.value+")"))
			operator := open(t, w.cfg)
			err := operator.ApplySchema(ctx, allTables, waiting(t, operator, allTables))
			wantErr(t, err, ErrStep)
			if !strings.Contains(err.Error(), c.column) || strings.Contains(err.Error(), "many") {
				t.Errorf("%v", err)
			}
			if w.typeOf(t, c.column) != c.typ {
				t.Error("the type was changed")
			}
			// The way out that the error tells.
			w.alterTickets(t, "RENAME COLUMN "+c.column+" TO my_"+c.column)
			must(t, operator.Prepare(ctx, allTables))
			if w.typeOf(t, c.column) != was {
				t.Errorf("type %s instead of %s", w.typeOf(t, c.column), was)
			}
			w.alterTickets(t, "DELETE WHERE id = 2")
		})
	}
}

// Tables that are not synchronised any more are a person's to drop.
func TestTablesThatAreNotConfiguredAnyMore(t *testing.T) {
	w := prepared(t)
	must(t, write(w, source.Products, `{"id":"31","productName":"Pump"}`))
	fewer := []source.Table{source.Departments, source.Tickets}
	operator := open(t, w.cfg)
	must(t, operator.Prepare(ctx, fewer))
	steps := waiting(t, operator, fewer)
	var names []string
	for _, s := range steps {
		names = append(names, s.Table)
	}
	if got := strings.Join(names, " "); got != "contracts contracts_full organization_fields organization_fields_full products products_full product_names "+
		"contracts_all contracts_detail contracts_listed organization_fields_all organization_fields_detail products_all products_detail" {
		t.Errorf("to be dropped: %s", got)
	}
	wantRow(t, w, "Pump", "SELECT product_name FROM products")
	must(t, operator.ApplySchema(ctx, fewer, steps))
	if _, plan, _ := schemaOf(t, operator, fewer); plan != "" {
		t.Errorf("left: %s", plan)
	}
	must(t, write(operator, source.Tickets, `{"id":"1"}`))
	must(t, open(t, w.cfg).Prepare(ctx, allTables))
}

func TestDDLIsWhatPrepareDoes(t *testing.T) {
	cfg := config(t)
	cfg.User, cfg.Password = "default", "s3cret"
	ddl := cfg.DDL(allTables)
	if strings.Contains(strings.Join(ddl, ""), "s3cret") {
		t.Error("the password is shown")
	}
	cfg.Password = ""
	w := open(t, cfg)
	for _, sql := range ddl {
		must(t, w.exec(ctx, "by hand", strings.ReplaceAll(sql, "[HIDDEN]", "")))
	}
	if _, plan, odd := schemaOf(t, w, allTables); plan != "" || odd != "" {
		t.Errorf("what DDL makes needs %s\n%s", plan, odd)
	}
}
