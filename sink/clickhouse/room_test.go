package clickhouse

import (
	"testing"

	"deskhouse/source"
)

// Every statement that prepares tables is held against the room on the disk.
func TestPreparationLooksForRoom(t *testing.T) {
	_, want := Config{}.wanted([]source.Table{source.Tickets, source.Departments, source.OrganizationFields}, nil)
	statements, err := plan("db", nil, want)
	if err != nil || len(statements) == 0 {
		t.Fatalf("%d statements, %v", len(statements), err)
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
