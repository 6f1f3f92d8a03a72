package clickhouse

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"deskhouse/source"

	"github.com/rs/zerolog"
)

// ticket is a ticket's row with a subject.
func ticket(t testing.TB, id int, subject string, asOf int64) source.Row {
	t.Helper()
	return content(record(t, source.Tickets, fmt.Sprintf(`{"id":"%d","subject":%q,"departmentId":"11","cf":{"cf_late":"kept"}}`, id, subject)), asOf)
}

// definition is what describes a table besides its data.
func definition(t testing.TB, w *Warehouse, name string) string {
	t.Helper()
	return row(t, w, "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = '%s'", name)
}

func shadowsLeft(t testing.TB, w *Warehouse) []string {
	t.Helper()
	return rows(t, w, "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'rebuild_')")
}

func TestRebuildPutsAnEqualTableIntoPlace(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		must(t, w.Fence(ctx, 3))
		must(t, w.Write(ctx, source.Departments, []source.Row{content(record(t, source.Departments, `{"id":"11","name":"Sales"}`), 1)}, 3))
		unchanged, changed, gone, notRead := ticket(t, 1, "unchanged", 10), ticket(t, 2, "old", 10), ticket(t, 3, "gone", 10), ticket(t, 4, "not read", 10)
		must(t, w.Write(ctx, source.Tickets, []source.Row{unchanged, changed, gone, notRead, ticket(t, 5, "deleted before", 10)}, 3))
		must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(source.Key{ID: 5}, ticket(t, 5, "", 10).Head, 20)}, 3))
		must(t, w.exec(ctx, "a column of others", "ALTER TABLE "+qualified(w.Database(), "tickets_all")+" ADD COLUMN mine String DEFAULT 'x' COMMENT 'mine'"))
		must(t, w.Fence(ctx, 4)) // rows of epoch 3 are copied past this fence

		must(t, w.BeginRebuild(ctx, source.Tickets, "r`1"))
		must(t, w.BeginRebuild(ctx, source.Tickets, "r`1"))
		must(t, w.WriteShadow(ctx, source.Tickets, []source.Row{unchanged}, 4))
		must(t, w.Write(ctx, source.Tickets, []source.Row{ticket(t, 2, "new", 30), deletion(gone.Key, gone.Head, 30)}, 4))
		added, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_late", Label: "Late", Type: "Text"}})
		must(t, err)
		must(t, w.Write(ctx, source.Tickets, []source.Row{ticket(t, 6, "came", 40)}, 4))

		before := definition(t, w, "tickets_all")
		const all = "SELECT arrayStringConcat(groupArray(r), '|') FROM (SELECT concat(toString(id), ' ', ifNull(subject, '-'), ' ', ifNull(cf_late, '-'), ' ', toString(_is_deleted), ' ', toString(_version), mine) AS r FROM tickets_all FINAL ORDER BY id)"
		want := row(t, w, all)
		copied, err := w.SwapRebuild(ctx, source.Tickets)
		must(t, err)
		if copied != 1 || !slices.Equal(added, []string{"cf_late"}) {
			t.Errorf("copied %d, want the one that was not read; added %q", copied, added)
		}
		wantRow(t, w, want, all)
		if after := definition(t, w, "tickets_all"); after != before {
			t.Errorf("definition before\n%s\nafter\n%s", before, after)
		}
		wantRow(t, w, "unchanged,new,not read,came", "SELECT arrayStringConcat(groupArray(subject), ',') FROM (SELECT subject FROM tickets ORDER BY id)")
		wantRow(t, w, "Sales\tkept", "SELECT department_name, cf_late FROM tickets_full WHERE id = 6")
		wantRow(t, w, "1", "SELECT uniqExact(id, _version) = 6 FROM tickets_all") // rebuilt: no older versions; what was copied twice may not be merged yet
		if left := shadowsLeft(t, w); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
		wantErr(t, w.Write(ctx, source.Tickets, []source.Row{ticket(t, 7, "late", 50)}, 3), ErrFenced)
		must(t, w.Write(ctx, source.Tickets, []source.Row{ticket(t, 7, "after", 50)}, 4))
		wantRow(t, w, "5", "SELECT count() FROM tickets")
		must(t, w.Prepare(ctx, allTables))
	})
}

// Tables with a dictionary over them are exchanged too.
func TestRebuildOfTablesWithNames(t *testing.T) {
	w := prepared(t)
	department := func(name string, asOf int64) source.Row {
		return content(record(t, source.Departments, `{"id":"11","name":"`+name+`"}`), asOf)
	}
	must(t, w.Write(ctx, source.Departments, []source.Row{department("Sales", 1)}, 1))
	must(t, w.Write(ctx, source.Tickets, []source.Row{ticket(t, 1, "s", 1)}, 1))
	must(t, w.BeginRebuild(ctx, source.Departments, "r"))
	must(t, w.WriteShadow(ctx, source.Departments, []source.Row{department("Sales", 1)}, 1))
	_, err := w.SwapRebuild(ctx, source.Departments)
	must(t, err)
	wantRow(t, w, "Sales", "SELECT department_name FROM tickets")
	must(t, w.Write(ctx, source.Departments, []source.Row{department("Support", 2)}, 1))
	wantRow(t, w, "Support", "SELECT department_name FROM tickets")
	fields := record(t, source.OrganizationFields, `{"id":"8","apiName":"cf_a/b"}`)
	must(t, w.Write(ctx, source.OrganizationFields, []source.Row{content(fields, 1)}, 1))
	must(t, w.BeginRebuild(ctx, source.OrganizationFields, "r"))
	must(t, w.Write(ctx, source.OrganizationFields, []source.Row{deletion(fields.Key, content(fields, 1).Head, 9)}, 1))
	copied, err := w.SwapRebuild(ctx, source.OrganizationFields)
	must(t, err)
	wantRow(t, w, "0\t1", "SELECT %d, sum(_is_deleted) FROM organization_fields_all FINAL", copied)
}

// A table that is not its shadow's equal stays where it is.
func TestSwapRefusesWhatDiffers(t *testing.T) {
	w := prepared(t)
	one := ticket(t, 1, "held", 10)
	must(t, w.Write(ctx, source.Tickets, []source.Row{one}, 1))
	must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
	must(t, w.WriteShadow(ctx, source.Tickets, []source.Row{ticket(t, 1, "from the future", 11), ticket(t, 2, "from nowhere", 11)}, 1))
	_, err := w.SwapRebuild(ctx, source.Tickets)
	wantErr(t, err, ErrRebuild)
	if !strings.Contains(err.Error(), "has 2 that the table lacks or has older") || Retryable(err) {
		t.Errorf("error %v", err)
	}
	wantRow(t, w, "1\theld", "SELECT id, subject FROM tickets")
	must(t, w.DropRebuild(ctx, source.Tickets))
	must(t, w.DropRebuild(ctx, source.Tickets))
	if left := shadowsLeft(t, w); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	_, err = w.SwapRebuild(ctx, source.Tickets)
	wantErr(t, err, ErrRebuild)
	wantErr(t, w.WriteShadow(ctx, source.Tickets, []source.Row{one}, 1), ErrRebuild)
}

func TestOneRebuildATable(t *testing.T) {
	w := prepared(t)
	must(t, w.BeginRebuild(ctx, source.Tickets, "a"))
	must(t, w.BeginRebuild(ctx, source.Products, "b"))
	wantErr(t, w.BeginRebuild(ctx, source.Tickets, "b"), ErrRebuild)
	must(t, w.DropRebuild(ctx, source.Tickets))
	must(t, w.BeginRebuild(ctx, source.Tickets, "b"))
}

// A shadow that somebody drops ends the rebuild and nothing else.
func TestALostShadowDoesNotStopTheSync(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		for name, lost := range map[string]func() error{
			"Write": func() error {
				must(t, w.Write(ctx, source.Tickets, []source.Row{ticket(t, 1, "written", 10)}, 1))
				_, err := w.SwapRebuild(ctx, source.Tickets)
				return err
			},
			"carry over": func() error {
				must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(source.Key{ID: 1}, ticket(t, 1, "written", 10).Head, 20)}, 1))
				return w.WriteShadow(ctx, source.Tickets, nil, 1)
			},
			"WriteShadow": func() error {
				return w.WriteShadow(ctx, source.Tickets, []source.Row{ticket(t, 1, "written", 10)}, 1)
			},
			"EnsureCustomFields": func() error {
				_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_x", Label: "X", Type: "Text"}})
				must(t, err)
				return w.WriteShadow(ctx, source.Tickets, nil, 1)
			},
		} {
			must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
			must(t, w.exec(ctx, "damage", "DROP TABLE "+qualified(w.Database(), "rebuild_tickets_r")+" SYNC"))
			if err := lost(); !errors.Is(err, ErrRebuild) || errors.Is(err, ErrMissing) {
				t.Errorf("%s: %v", name, err)
			}
		}
		wantRow(t, w, "1", "SELECT count() FROM tickets_all FINAL")
	})
}

func TestPrepareDropsShadowsLeftBehind(t *testing.T) {
	w := prepared(t)
	must(t, w.BeginRebuild(ctx, source.Tickets, "r"))
	must(t, w.exec(ctx, "foreign table", "CREATE TABLE "+qualified(w.Database(), "rebuild_house")+" (id UInt64) ENGINE = MergeTree ORDER BY id COMMENT 'mine'"))
	must(t, open(t, w.cfg).Prepare(ctx, allTables))
	if left := shadowsLeft(t, w); !slices.Equal(left, []string{"rebuild_house"}) {
		t.Errorf("left %q", left)
	}
	must(t, w.Prepare(ctx, allTables))
	wantErr(t, w.WriteShadow(ctx, source.Tickets, nil, 1), ErrRebuild)
}

// A leader that was replaced can neither fill nor exchange a shadow, whenever
// it began.
func TestAnEarlierLeaderCannotRebuild(t *testing.T) {
	old := prepared(t)
	must(t, old.Fence(ctx, 3))
	must(t, old.Write(ctx, source.Tickets, []source.Row{ticket(t, 1, "s", 1)}, 3))
	must(t, old.BeginRebuild(ctx, source.Tickets, "r"))
	must(t, old.Fence(ctx, 4)) // the same process leads again: its rebuild goes on, fenced
	wantErr(t, old.WriteShadow(ctx, source.Tickets, []source.Row{ticket(t, 1, "s", 1)}, 3), ErrFenced)

	fresh := open(t, old.cfg)
	fresh.publish(&layout{res: source.Lookup(source.Tickets)})
	must(t, fresh.Fence(ctx, 5)) // Prepare did not see the shadow yet
	if left := shadowsLeft(t, old); len(left) > 0 {
		t.Errorf("the new leader left %q", left)
	}
	_, err := old.SwapRebuild(ctx, source.Tickets)
	if err == nil {
		t.Error("a shadow that the new leader dropped was exchanged")
	}
	must(t, old.DropRebuild(ctx, source.Tickets))
	must(t, old.BeginRebuild(ctx, source.Tickets, "r")) // after the fence
	_, err = old.SwapRebuild(ctx, source.Tickets)
	wantErr(t, err, ErrFenced)
	must(t, old.DropRebuild(ctx, source.Tickets))
	must(t, old.exec(ctx, "empty", "TRUNCATE TABLE "+qualified(old.Database(), "tickets_all")))
	must(t, old.BeginRebuild(ctx, source.Tickets, "r")) // nothing that the fence could refuse
	_, err = old.SwapRebuild(ctx, source.Tickets)
	wantErr(t, err, ErrFenced)
}

func TestRebuildNeedsADatabaseThatExchanges(t *testing.T) {
	const name = "test_memory_engine"
	admin := open(t, config(t))
	must(t, admin.exec(ctx, "database", "CREATE DATABASE "+name+" ENGINE = Memory"))
	t.Cleanup(func() { must(t, admin.exec(ctx, "clean up", "DROP DATABASE "+name)) })
	w := open(t, Config{URL: nativeURL(t), Database: name, OrgID: testOrg, Pipeline: "p", Logger: zerolog.Nop()})
	w.publish(&layout{res: source.Lookup(source.Tickets)})
	err := w.BeginRebuild(ctx, source.Tickets, "r")
	wantErr(t, err, ErrRebuild)
	if !strings.Contains(err.Error(), "has the engine Memory") {
		t.Errorf("error %v", err)
	}
}

// Readers get the same answer throughout, whether they began before or after
// the exchange.
func TestReadersSeeARightTableWhileItIsExchanged(t *testing.T) {
	w := prepared(t)
	const n = 1000
	var all []source.Row
	for id := 1; id <= n; id++ {
		all = append(all, ticket(t, id, "s", 10))
	}
	must(t, w.Write(ctx, source.Tickets, all, 1))
	stop, done := make(chan struct{}), make(chan error, 2)
	for range cap(done) {
		reader := open(t, w.cfg)
		go func() { done <- readUntil(reader, stop, n) }()
	}
	for run := range 8 {
		must(t, w.BeginRebuild(ctx, source.Tickets, fmt.Sprint(run)))
		must(t, w.WriteShadow(ctx, source.Tickets, all[:n/2], 1))
		copied, err := w.SwapRebuild(ctx, source.Tickets)
		must(t, err)
		if copied != n/2 {
			t.Errorf("copied %d", copied)
		}
	}
	close(stop)
	for range cap(done) {
		must(t, <-done)
	}
}

func readUntil(w *Warehouse, stop chan struct{}, want uint64) error {
	for reads := 0; ; reads++ {
		var got uint64
		err := w.scan(ctx, "read", "SELECT count() FROM "+qualified(w.Database(), "tickets")+" WHERE subject = 's'", nil, func(r scanner) error { return r.Scan(&got) })
		if err != nil || got != want {
			return errors.Join(err, fmt.Errorf("read %d: %d rows, want %d", reads, got, want))
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}
