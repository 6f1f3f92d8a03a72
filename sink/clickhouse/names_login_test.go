package clickhouse

import (
	"testing"

	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"

	"github.com/rs/zerolog"
)

// TestNamesOfUsersTheServerCannotBe has a user that may come from this machine
// only. The server loads dictionaries as a user from nowhere, so not as that
// one; as its default user if that has no password.
func TestNamesOfUsersTheServerCannotBe(t *testing.T) {
	near := enginetest.User{Name: "near", Password: "pw", From: "127.0.0.1"}
	for _, g := range WriterGrants("desk") {
		near.Grants = append(near.Grants, "GRANT "+g.String())
	}
	server := enginetest.StartWithUsers(t, enginetest.Config(t), []enginetest.User{near})
	w := open(t, Config{URL: "clickhouse://" + server.TCP, Database: "desk", User: near.Name, Password: near.Password,
		OrgID: testOrg, Pipeline: "support", Logger: zerolog.Nop()})
	must(t, namedTicket(w))
	wantRow(t, w, "Sales", "SELECT department_name FROM tickets")
}

// TestNamesThatNobodyMayLoad leaves the views without names, and working.
func TestNamesThatNobodyMayLoad(t *testing.T) {
	w := prepared(t)
	must(t, namedTicket(w))
	wantRow(t, w, "Sales", "SELECT department_name FROM tickets")
	must(t, w.namesAs(ctx, source.Departments, []credentials{{"nobody", "x"}, {"nobody", "y"}}))
	l, err := w.layout(source.Tickets)
	must(t, err)
	must(t, w.createViews(ctx, l.views(w.cfg.Database, w.names)))
	wantRow(t, w, "1", "SELECT count() FROM tickets WHERE department_id = 11")
	wantRow(t, w, "0", "SELECT count() FROM system.columns WHERE database = '%s' AND table = 'tickets' AND name = 'department_name'", w.cfg.Database)
	must(t, write(w, source.Departments, `{"id":"12","name":"Service"}`))
}

// namedTicket makes tables, names, and a row that has one.
func namedTicket(w *Warehouse) error {
	return firstOf(
		func() error { return w.Prepare(ctx, []source.Table{source.Departments, source.Tickets}) },
		func() error { return write(w, source.Departments, `{"id":"11","name":"Sales"}`) },
		func() error { return write(w, source.Tickets, `{"id":"1","departmentId":"11","subject":"x"}`) },
		func() error { return w.ReloadNames(ctx, source.Departments) },
	)
}
