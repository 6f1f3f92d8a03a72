package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"deskhouse/sink/clickhouse"
	"deskhouse/source/desksim"
)

// someSchema has one of everything that schema shows.
var someSchema = schemaReply{Pipeline: "support", Schema: clickhouse.Schema{Database: "desk", Tables: []clickhouse.SchemaTable{
	{Name: "tickets_all", Kind: "table", Comment: "Zoho Desk tickets, every row", Rows: 1200, Ours: true, Columns: []clickhouse.SchemaColumn{
		{Name: "id", Have: defined("UInt64", "Zoho Desk tickets.id"), Want: defined("UInt64", "Zoho Desk tickets.id"), Field: "tickets.id"},
		{Name: "subject", Have: defined("Nullable(FixedString(9))", "Zoho Desk tickets.subject"), Want: defined("Nullable(String)", "Zoho Desk tickets.subject"), State: clickhouse.ColumnMistyped},
		{Name: "status", Have: defined("Nullable(String)", "to be asked for"), Want: defined("Nullable(String)", "Zoho Desk tickets.status: "+strings.Repeat("long ", 20))},
		{Name: "new", Want: defined("Nullable(Bool)", "Zoho Desk tickets.new"), State: clickhouse.ColumnMissing},
		{Name: "cf_a", Have: defined("Nullable(String)", `custom field "cf_a" of type "Text": Größe 😀`), Want: defined("Nullable(String)", `custom field "cf_a" of type "Text": Größe 😀`), State: clickhouse.ColumnPending},
		{Name: "old", Have: defined("Nullable(String)", "Zoho Desk tickets.old"), State: clickhouse.ColumnRetired},
		{Name: "mine", Have: defined("String", "Dashboard"), State: clickhouse.ColumnForeign}}},
	{Name: "tickets_listed", Kind: "table", Ours: true, Columns: []clickhouse.SchemaColumn{{Name: "id", Want: defined("UInt64", "Zoho Desk tickets.id"), State: clickhouse.ColumnMissing}}},
	{Name: "tickets", Kind: "view", Ours: true, Columns: []clickhouse.SchemaColumn{{Name: "id", Have: defined("UInt64", ""), Want: defined("UInt64", "")}}},
	{Name: "old_products_all", Kind: "table", Ours: true, Columns: []clickhouse.SchemaColumn{{Name: "id", Have: defined("UInt64", ""), State: clickhouse.ColumnRetired}}},
	{Name: "dashboards", Kind: "table", Columns: []clickhouse.SchemaColumn{{Name: "a", Have: defined("UInt8", ""), State: clickhouse.ColumnForeign}}}},
	Plan: []clickhouse.Step{
		{Table: "tickets_all", Kind: clickhouse.RetireColumn, What: `mark as "no longer filled" old`, Why: "not wanted any more", SQL: "ALTER …", Automatic: true},
		{Table: "tickets_all", Kind: clickhouse.AddColumn, What: "add new", Why: "missing", SQL: "ALTER …", Automatic: true},
		{Table: "tickets_all", Kind: clickhouse.ChangeType, What: "change the type of subject back to Nullable(String)", Why: "somebody changed it", SQL: "ALTER TABLE desk.tickets_all MODIFY COLUMN subject Nullable(String)", Command: "deskhouse schema --apply", Blocking: true},
		{Table: "tickets_all", Kind: clickhouse.Rebuild, What: "make the table anew", Why: "another layout is configured", Command: "deskhouse resync --rebuild --table tickets"},
		{Table: "tickets_all", Kind: clickhouse.DropColumn, What: "drop the column old with its values", Why: "no longer filled", SQL: "ALTER TABLE desk.tickets_all DROP COLUMN old", Command: "deskhouse schema --apply --drop"},
		{Table: "tickets_listed", Kind: clickhouse.CreateTable, What: "make the table with 1 column", Why: "it does not exist", SQL: "CREATE …", Automatic: true},
		{Table: "product_names", Kind: clickhouse.MakeDictionary, What: "make the dictionary of names", Why: "it does not exist", SQL: "CREATE …", Automatic: true},
		{Table: "old_products_all", Kind: clickhouse.DropTable, What: "drop the table with 7 rows", Why: "no table that is configured needs it", SQL: "DROP TABLE …", Command: "deskhouse schema --apply --drop"},
	}}}

func defined(typ, comment string) *clickhouse.Definition {
	return &clickhouse.Definition{Type: typ, Comment: comment}
}

func TestSchemaTexts(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("$ deskhouse schema\n")
	someSchema.printColumns(&b, false)
	b.WriteString("\n$ deskhouse schema --diff\n")
	someSchema.printDiff(&b)
	one := someSchema
	if err := one.only("dashboards"); err != nil {
		t.Fatal(err)
	}
	b.WriteString("\n$ deskhouse schema dashboards\n")
	one.printColumns(&b, true)
	b.WriteString("\n$ deskhouse schema --diff, of a database that is right\n")
	schemaReply{Schema: clickhouse.Schema{Tables: someSchema.Tables[2:3]}}.printDiff(&b)
	golden(t, "schema.txt", b.String())
	if someSchema.only("nothing") == nil {
		t.Error("a table that is not there was found")
	}
}

func TestSchemaFlags(t *testing.T) {
	h := newHouse(t, desksim.Config{Tickets: 1}, settings{warehouse: `{url: "http://127.0.0.1:1", database: desk, user: loader, password: s3cret}`})
	for _, args := range [][]string{{"--diff", "--apply"}, {"--print", "--diff"}, {"--yes"}, {"--drop"}, {"--diff", "--drop"}, {"--print", "tickets"}, {"a", "b"}, {"-p", "other"}} {
		if r := h.deskhouse(append([]string{"schema"}, args...)...); r.code != exitUsage {
			t.Errorf("%v: exit code %d\n%s", args, r.code, r.stderr.String())
		}
	}
	ddl := h.must("schema", "--print").stdout.String()
	for _, word := range []string{"CREATE DATABASE IF NOT EXISTS `desk`;", "CREATE TABLE IF NOT EXISTS `desk`.`tickets_all`", "USER 'loader' PASSWORD '[HIDDEN]'", "CREATE OR REPLACE VIEW `desk`.`tickets_full`", "pipeline \"support\""} {
		if !strings.Contains(ddl, word) {
			t.Errorf("--print lacks %q", word)
		}
	}
	if strings.Contains(ddl, "s3cret") {
		t.Error("--print shows the password")
	}
	var statements []string
	if err := json.Unmarshal(h.must("schema", "--print", "--json").stdout.Bytes(), &statements); err != nil || len(statements) < 20 {
		t.Errorf("%d statements, %v", len(statements), err)
	}
	if r := h.deskhouse("schema", "--diff"); r.code != exitFailed || len(errorLines(r.stderr.String())) != 1 {
		t.Errorf("a server that does not answer: exit code %d\n%s", r.code, r.stderr.String())
	}
}

// diff runs schema --diff and decodes it.
func (h *house) diff(wantCode int, args ...string) schemaReply {
	h.t.Helper()
	r := h.deskhouse(append([]string{"schema", "--diff", "--json"}, args...)...)
	var reply schemaReply
	if err := json.Unmarshal(r.stdout.Bytes(), &reply); err != nil || r.code != wantCode {
		h.t.Fatalf("schema --diff %v: exit code %d, want %d, %v\n%s%s", args, r.code, wantCode, err, r.stdout.String(), r.stderr.String())
	}
	if reply.Plan == nil {
		h.t.Errorf("schema --diff %v: the plan is no list", args)
	}
	return reply
}

func kinds(r schemaReply) string {
	var all []string
	for _, s := range r.Plan {
		all = append(all, s.Table+" "+string(s.Kind))
	}
	return strings.Join(all, ", ")
}

// TestSchemaOfAPipeline changes a database by hand, with a service and without.
func TestSchemaOfAPipeline(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 77, Tickets: 30}, settings{})
	if made := h.diff(exitDrift); !strings.HasPrefix(kinds(made), " create database, ") {
		t.Errorf("before the first start: %s", kinds(made))
	}
	p := h.start()
	h.untilLoaded()
	if got := h.diff(exitDone); len(got.Plan) != 0 || len(got.Tables) < 25 {
		t.Errorf("while it runs: %d tables, %s", len(got.Tables), kinds(got))
	}
	shown := h.must("schema", "tickets_all").stdout.String()
	if !strings.Contains(shown, "ticket_number") || strings.Contains(shown, "departments_all") {
		t.Errorf("schema tickets_all:\n%s", shown)
	}
	if r := h.deskhouse("schema", "--apply", "--yes"); r.code != exitRunning || !strings.Contains(r.stderr.String(), "stop it") {
		t.Errorf("--apply while it runs: exit code %d, %s", r.code, r.stderr.String())
	}
	h.exec("ALTER TABLE desk.tickets_all MODIFY COLUMN subject Nullable(FixedString(200)), DROP COLUMN channel, ADD COLUMN mine String, " +
		"ADD COLUMN old Nullable(String) COMMENT 'Zoho Desk tickets.old' SETTINGS mutations_sync = 2")
	h.exec("CREATE TABLE desk.dashboards (a UInt8) ENGINE = MergeTree ORDER BY a")
	if got := h.diff(exitDrift, "tickets_all"); kinds(got) != "tickets_all retire column, tickets_all add column, tickets_all change type, tickets_all drop column" {
		t.Errorf("after changes by hand: %s", kinds(got))
	}
	p.stop()
	if p := h.start(); p.wait(startsWithin) != exitUsage || !strings.Contains(h.printed(), "schema --diff") {
		t.Error("a start with a type that cannot be written")
	}
	if r := h.deskhouse("schema", "--apply"); r.code != exitDecision || !strings.Contains(r.stderr.String(), "--yes") {
		t.Errorf("--apply where nobody can be asked: exit code %d\n%s", r.code, r.stderr.String())
	}
	if done := h.must("schema", "--apply", "--yes").stdout.String(); !strings.HasPrefix(done, "1 step done; 1 step to drop") {
		t.Errorf("--apply: %s", done)
	}
	if left := kinds(h.diff(exitDone)); left != "tickets_all drop column" {
		t.Errorf("after --apply there is left: %s", left)
	}
	if done := h.must("schema", "--apply", "--yes").stdout.String(); !strings.HasPrefix(done, "no step waits for this; 1 step to drop") {
		t.Errorf("--apply where only a drop waits: %s", done)
	}
	if done := h.must("schema", "--apply", "--drop", "--yes").stdout.String(); !strings.HasPrefix(done, "1 step done; nothing to do") {
		t.Errorf("--apply --drop: %s", done)
	}
	h.diff(exitDone)
	p = h.start()
	h.untilLoaded()
	if shown := h.must("schema", "--diff").stdout.String(); !strings.Contains(shown, "mine") || !strings.Contains(shown, "dashboards") || !strings.Contains(shown, "nothing to do") {
		t.Errorf("what people made:\n%s", shown)
	}
	if shown := h.must("schema", "tickets").stdout.String(); !strings.Contains(shown, "backfill pending") {
		t.Errorf("channel is not pending:\n%s", shown)
	}
	h.must("resync", "--table", "tickets")
	if shown := h.must("schema", "tickets").stdout.String(); strings.Contains(shown, "backfill pending") {
		t.Errorf("channel is still pending:\n%s", shown)
	}
	h.compare()
	p.stop()
}
