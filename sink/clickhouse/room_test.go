package clickhouse

import (
	"testing"

	"deskhouse/source"
)

// Every statement that prepares tables is held against the room on the disk.
func TestPreparationLooksForRoom(t *testing.T) {
	_, want := Config{}.wanted([]source.Table{source.Tickets, source.Departments, source.OrganizationFields}, nil)
	var statements []string
	for _, s := range planTables("db", nil, want) {
		statements = append(statements, s.SQL)
	}
	if len(statements) == 0 {
		t.Fatal("no statements")
	}
	statements = append(statements, createDictionary("db", source.Departments, credentials{}), fenceSQL("db", "t", 1),
		logbookViews("db")[0].create("db"), seenTable("s").create("db"))
	for _, sql := range statements {
		if !defines(sql) {
			t.Errorf("not taken for a definition: %.60s", sql)
		}
	}
	for _, sql := range []string{"DROP TABLE t", "KILL QUERY WHERE 1", "INSERT INTO t SELECT 1", "SYSTEM RELOAD DICTIONARY d"} {
		if defines(sql) {
			t.Errorf("taken for a definition: %s", sql)
		}
	}
}
