package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/rs/zerolog"
)

// member is a user of the test's server, with a database of its own.
type member struct {
	enginetest.User
	database string
	lacks    Grant // zero for those who lack nothing needed
}

// members are a writer with all grants, one with the needed ones only, one for
// each grant that lacks it, and a reader of the first one's database.
func members() []member {
	user := func(i int, grants func(database string) []Grant) member {
		m := member{User: enginetest.User{Name: fmt.Sprintf("u%d", i), Password: "pw"}, database: fmt.Sprintf("db_%d", i)}
		for _, g := range grants(m.database) {
			m.Grants = append(m.Grants, "GRANT "+g.String())
		}
		return m
	}
	needed := func(database string) (some []Grant) {
		for _, g := range WriterGrants(database) {
			if !g.Optional {
				some = append(some, g)
			}
		}
		return some
	}
	all := []member{user(0, WriterGrants), user(1, needed)}
	for i := range WriterGrants("") {
		m := user(i+2, func(database string) []Grant {
			g := WriterGrants(database)
			return append(g[:i:i], g[i+1:]...)
		})
		m.lacks = WriterGrants(m.database)[i]
		all = append(all, m)
	}
	reader := user(len(all), func(string) []Grant { return ReaderGrants(all[0].database) })
	reader.database = all[0].database
	return append(all, reader)
}

// TestGrants works as users of a server that asks for a grant for everything.
func TestGrants(t *testing.T) {
	all := members()
	var users []enginetest.User
	for _, m := range all {
		users = append(users, m.User)
	}
	server := enginetest.StartWithUsers(t, enginetest.Config(t), users)
	admin, err := driver.Open(&driver.Options{Addr: []string{server.TCP}})
	must(t, err)
	defer admin.Close()
	for i, m := range all[:len(all)-1] {
		if i > 0 { // the first one may make its own
			must(t, admin.Exec(ctx, "CREATE DATABASE "+m.database))
		}
		t.Run(strings.ReplaceAll(m.lacks.String(), " ", "_"), func(t *testing.T) { m.lives(t, server) })
	}
	t.Run("reader", func(t *testing.T) { all[len(all)-1].reads(t, server) })
}

func (m member) open(t *testing.T, server enginetest.Server) *Warehouse {
	t.Helper()
	return open(t, Config{URL: "clickhouse://" + server.TCP, Database: m.database, User: m.Name, Password: m.Password, OrgID: testOrg, Pipeline: "support", Logger: zerolog.Nop()})
}

func (m member) lives(t *testing.T, server enginetest.Server) {
	w := m.open(t, server)
	missing, err := w.MissingGrants(ctx)
	must(t, err)
	exists := m.Name != "u0"
	switch {
	case m.lacks == Grant{} || exists && m.lacks.Privilege == "CREATE DATABASE":
		for _, g := range missing {
			if m.Name != "u1" || !g.Optional {
				t.Errorf("%s is missing, it is said", g)
			}
		}
	case len(missing) != 1 || missing[0] != m.lacks:
		t.Errorf("missing %v, want %v", missing, m.lacks)
	}
	tables := []source.Table{source.Departments, source.Tickets}
	if !exists {
		tables = allTables // for the reader
	}
	err = wholeLife(w, tables)
	switch {
	case m.lacks != Grant{} && !m.lacks.Optional:
		wantErr(t, err, ErrDenied)
	case err != nil:
		t.Errorf("with all that is needed: %v", err)
	}
}

// wholeLife does everything that a pipeline does with a warehouse.
func wholeLife(w *Warehouse, tables []source.Table) error {
	return firstOf(
		func() error { return w.Prepare(ctx, tables) },
		func() error { _, err := w.Schema(ctx, tables); return err },
		func() error { return w.Fence(ctx, 1) },
		func() error { return w.Fence(ctx, 2) },
		func() error { return write(w, source.Departments, `{"id":"11","name":"Sales"}`) },
		func() error { return write(w, source.Tickets, `{"id":"1","departmentId":"11","subject":"x"}`) },
		func() error {
			_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_a", Label: "A", Type: "Text"}})
			return err
		},
		func() error {
			_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_a", Label: "B", Type: "Text"}})
			return err
		},
		func() error { _, err := w.Heads(ctx, source.Tickets, []source.Key{{ID: 1}}); return err },
		func() error { return w.ReloadNames(ctx, source.Departments) },
		func() error { return w.SavePosition(ctx, "log", 1) },
		func() error { return w.BeginRun(ctx, "r") },
		func() error { return w.Seen(ctx, "r", source.Tickets, []source.Key{{ID: 1}}) },
		func() error { return w.EndRun(ctx, "r") },
		func() error { return w.BeginRebuild(ctx, source.Tickets, "r") },
		func() error { return write(w, source.Tickets, `{"id":"2"}`) },
		func() error { _, err := w.SwapRebuild(ctx, source.Tickets); return err },
		func() error { _, err := w.Settle(ctx, tables); return err },
		func() error { return w.withoutGrant(w.mergeWhole(ctx, "tickets_all")) },
		func() error { return w.Prepare(ctx, tables) },
		func() error {
			rows, err := w.Query(ctx, "SELECT department_name FROM tickets")
			if err != nil {
				return err
			}
			return rows.Close()
		},
	)
}

func firstOf(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func write(w *Warehouse, t source.Table, text string) error {
	rec, err := source.ParseRecord(source.Lookup(t), "", []byte(text))
	if err != nil {
		return err
	}
	return w.Write(ctx, t, []source.Row{content(rec, 1)}, 2)
}

// reads queries every view as an analyst, and fails to write.
func (m member) reads(t *testing.T, server enginetest.Server) {
	w := m.open(t, server)
	for _, table := range []string{"tickets", "tickets_full", "departments", "products_full", "contracts_full", "organization_fields", "changes", "sync_runs", "ticket_changes", "ticket_status_durations", "open_tickets_by_day"} {
		wantRow(t, w, "1", "SELECT count() >= 0 FROM (SELECT * FROM %s)", table)
	}
	wantRow(t, w, "Sales", "SELECT department_name FROM tickets WHERE id = 1")
	wantRow(t, w, "1", "SELECT count() >= 0 FROM sync_status")
	wantErr(t, write(w, source.Tickets, `{"id":"3"}`), errNotPrepared)
	wantErr(t, w.exec(context.Background(), "drop", "DROP TABLE "+qualified(m.database, "tickets_all")), ErrDenied)
	wantErr(t, w.exec(context.Background(), "insert", "INSERT INTO "+qualified(m.database, "sync_state_all")+" (name, seq) VALUES ('x', 1)"), ErrDenied)
}

func TestGrantStatements(t *testing.T) {
	text := "writer\n" + strings.Join(GrantSQL(WriterGrants("desk"), "load`er"), "\n") + "\n\nreader\n" + strings.Join(GrantSQL(ReaderGrants("desk"), ""), "\n") + "\n"
	golden(t, "grants.sql", text)
}
