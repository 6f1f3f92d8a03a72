package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"deskhouse/source/desksim"
)

// engineHouse is a running deskhouse whose engine others may be pointed at.
func engineHouse(t *testing.T) (h *house, url string, conn driver.Conn) {
	h = newHouse(t, desksim.Config{Seed: 11, Tickets: 50}, settings{})
	h.start()
	h.untilLoaded()
	url = h.pipe().Warehouse.URL
	conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{strings.TrimPrefix(url, "clickhouse://")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return h, url, conn
}

// refused runs a second deskhouse on a database and returns the one line it
// ends with, and its exit code.
func refused(t *testing.T, url, database, pipeline string) (line string, code int) {
	t.Helper()
	other := newHouse(t, desksim.Config{Seed: 12, Tickets: 50}, settings{pipeline: pipeline,
		warehouse: fmt.Sprintf("{url: %q, database: %s}", url, database)})
	checked := other.deskhouse("check")
	if checked.code != exitFailed || !strings.Contains(checked.stdout.String(), "failure  pipeline "+pipeline+" warehouse") {
		t.Errorf("check does not tell that run will be refused: exit code %d\n%s", checked.code, checked.stdout.String())
	}
	p := other.start()
	code = p.wait(30 * time.Second)
	said := errorLines(other.printed())
	if len(said) != 1 {
		t.Fatalf("%d error lines: %q", len(said), said)
	}
	return said[0], code
}

// errorLines are what a person reads at the end: not the log.
func errorLines(text string) []string {
	var out []string
	for _, l := range lines(text) {
		if !strings.HasPrefix(l, "{") {
			out = append(out, l)
		}
	}
	return out
}

func TestSecondPipelineRefusedOnSameDatabase(t *testing.T) {
	h, url, conn := engineHouse(t)
	before := tablesIn(t, conn, "desk")
	line, code := refused(t, url, "desk", "other")
	for _, word := range []string{"other", "support", "belongs to another pipeline", "database of its own"} {
		if !strings.Contains(line, word) {
			t.Errorf("%q does not say %q", line, word)
		}
	}
	if code != exitDecision && code != exitUsage {
		t.Errorf("exit code %d, want one that says a person has to act: %s", code, line)
	}
	if after := tablesIn(t, conn, "desk"); after != before {
		t.Errorf("tables before: %s\nafter: %s", before, after)
	}
	if !h.pipe().loaded() {
		t.Error("the first pipeline stopped")
	}
	h.compare()
}

func TestForeignTablesRefused(t *testing.T) {
	_, url, conn := engineHouse(t)
	for _, sql := range []string{"CREATE DATABASE theirs", "CREATE TABLE theirs.tickets (id UInt64, mine String) ENGINE = MergeTree ORDER BY id",
		"INSERT INTO theirs.tickets VALUES (1, 'precious')"} {
		if err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	before := tablesIn(t, conn, "theirs")
	line, code := refused(t, url, "theirs", "other")
	for _, word := range []string{"other", "tickets", "not deskhouse's"} {
		if !strings.Contains(line, word) {
			t.Errorf("%q does not say %q", line, word)
		}
	}
	if code != exitDecision && code != exitUsage {
		t.Errorf("exit code %d, want one that says a person has to act: %s", code, line)
	}
	if after := tablesIn(t, conn, "theirs"); after != before {
		t.Errorf("tables before: %s\nafter: %s", before, after)
	}
	var rows uint64
	if err := conn.QueryRow(t.Context(), "SELECT count() FROM theirs.tickets WHERE mine = 'precious'").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d of 1 foreign rows are left: %v", rows, err)
	}
}

// tablesIn is every table of a database with its definition.
func tablesIn(t *testing.T, conn driver.Conn, database string) string {
	t.Helper()
	var all string
	err := conn.QueryRow(context.WithoutCancel(t.Context()),
		"SELECT arrayStringConcat(arraySort(groupArray(create_table_query)), '\n') FROM system.tables WHERE database = ?", database).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
