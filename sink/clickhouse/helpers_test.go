package clickhouse

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"

	"github.com/rs/zerolog"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) { enginetest.Main(m) }

const testOrg = 7000

var allTables = []source.Table{source.OrganizationFields, source.Departments, source.Products, source.Contracts, source.Tickets}

func nativeURL(t testing.TB) string { return "clickhouse://" + enginetest.Start(t).Addr() }
func httpURL(t testing.TB) string   { return "http://" + enginetest.Start(t).HTTPAddr() }

func config(t testing.TB) Config {
	t.Helper()
	return Config{URL: nativeURL(t), Database: enginetest.Database(t, enginetest.Start(t)), OrgID: testOrg, Pipeline: "support", Logger: zerolog.Nop()}
}

func open(t testing.TB, cfg Config) *Warehouse {
	t.Helper()
	w, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// prepared opens a warehouse in a database of its own with all tables.
func prepared(t testing.TB, change ...func(*Config)) *Warehouse {
	t.Helper()
	cfg := config(t)
	for _, f := range change {
		f(&cfg)
	}
	w := open(t, cfg)
	must(t, w.Prepare(context.Background(), allTables))
	return w
}

// eachProtocol runs a test over native and HTTP.
func eachProtocol(t *testing.T, f func(t *testing.T, w *Warehouse)) {
	for name, url := range map[string]func(testing.TB) string{"native": nativeURL, "http": httpURL} {
		t.Run(name, func(t *testing.T) { f(t, prepared(t, func(c *Config) { c.URL = url(t) })) })
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// record parses a record of a table; for organization fields the module is
// tickets.
func record(t testing.TB, table source.Table, text string) *source.Record {
	t.Helper()
	rec, err := source.ParseRecord(source.Lookup(table), "tickets", []byte(text))
	must(t, err)
	return rec
}

// content is a row that holds a record as of an instant.
func content(rec *source.Record, asOf int64) source.Row {
	h := source.Head{Content: source.Stamp{AsOf: asOf, Rank: source.EvidenceGet, Hash: rec.Fingerprint}, Modified: rec.Modified}
	h.Version = source.NextVersion(h)
	return source.Row{Key: rec.Key, State: source.State{Head: h, Record: rec}}
}

// deletion is what a held row becomes when its record is deleted.
func deletion(key source.Key, held source.Head, at int64) source.Row {
	held.Deleted, held.DeletedAt = true, at
	held.Life = source.Stamp{AsOf: at, Rank: source.EvidenceWebhook, Hash: uint64(at)}
	held.Version = source.NextVersion(held)
	return source.Row{Key: key, State: source.State{Head: held}}
}

// rows runs a query and returns its rows, values joined by tabs, NULL as ∅.
func rows(t testing.TB, w *Warehouse, format string, a ...any) []string {
	t.Helper()
	r, err := w.Query(context.Background(), fmt.Sprintf(format, a...))
	must(t, err)
	var all []string
	for values, null, ok := r.Next(); ok; values, null, ok = r.Next() {
		for i := range values {
			if null[i] {
				values[i] = "∅"
			}
		}
		all = append(all, strings.Join(values, "\t"))
	}
	must(t, r.Err())
	must(t, r.Close())
	return all
}

// row is the only row of a query.
func row(t testing.TB, w *Warehouse, format string, a ...any) string {
	t.Helper()
	all := rows(t, w, format, a...)
	if len(all) != 1 {
		t.Fatalf("got %d rows, want 1: %q", len(all), all)
	}
	return all[0]
}

func wantRow(t testing.TB, w *Warehouse, want, format string, a ...any) {
	t.Helper()
	if got := row(t, w, format, a...); got != want {
		t.Errorf("%s\n got %q\nwant %q", fmt.Sprintf(format, a...), got, want)
	}
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if got != string(want) {
		t.Errorf("%s differs (run with -update to accept):\n%s", path, got)
	}
}
