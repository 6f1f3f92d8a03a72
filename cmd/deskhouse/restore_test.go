package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"deskhouse/source/desksim"
)

// estate is a house whose state and warehouse lie in folders of their own, and
// what the tests of loss and restore remember of it.
type estate struct {
	*house
	p    *process
	url  string // of the webhook
	hook string // its id
	kept uint64 // a ticket that was deleted before anything was lost
}

// newEstate is loaded, has a webhook, holds one deleted ticket, and is stopped.
func newEstate(t *testing.T, seed int64) *estate {
	t.Helper()
	changes := desksim.DefaultWeights
	changes.RestoreTicket = 0 // what a test deletes stays deleted
	// What stands in no list is deleted by two GETs a minute apart; one test
	// waits for that.
	changes.PurgeTicket, changes.DeleteSpam, changes.MergeTicket = 0, 0, 0
	h := newHouse(t, desksim.Config{Seed: seed, Tickets: 400, ArchivedTickets: 5, DeliveryTimeout: time.Second, QuietRemovals: true, Weights: changes},
		settings{warehouse: "{url: embedded, database: desk, dir: ./engine}"})
	e := &estate{house: h}
	e.p = h.start()
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	e.url, e.hook = e.serviceURL(), e.pipe().Webhooks[0]
	e.kept = e.trash(0)
	e.settle()
	e.tombstone(e.kept)
	e.p.stop()
	return e
}

func (e *estate) folder(name string) string { return filepath.Join(e.dir, name) }

// backup copies a folder of the stopped service; the function it returns puts
// the copy in the folder's place.
func (e *estate) backup(name string) (restore func()) {
	e.t.Helper()
	e.copyFolder(name, name+".backup")
	return func() {
		e.t.Helper()
		e.lose(name)
		e.copyFolder(name+".backup", name)
	}
}

func (e *estate) copyFolder(from, to string) {
	e.t.Helper()
	if out, err := exec.Command("cp", "-a", e.folder(from), e.folder(to)).CombinedOutput(); err != nil {
		e.t.Fatalf("copy %s: %v\n%s", from, err, out)
	}
}

func (e *estate) lose(name string) {
	e.t.Helper()
	if err := os.RemoveAll(e.folder(name)); err != nil {
		e.t.Fatal(err)
	}
}

// trash deletes a ticket at the source; 0 picks one.
func (e *estate) trash(id uint64) uint64 {
	e.t.Helper()
	id, err := e.portal.TrashTicket(id)
	if err != nil {
		e.t.Fatal(err)
	}
	return id
}

// purge deletes a ticket for good: it stands in no list and in no recycle bin.
func (e *estate) purge() uint64 {
	e.t.Helper()
	id, err := e.portal.PurgeTicket(e.trash(0))
	if err != nil {
		e.t.Fatal(err)
	}
	return id
}

// liveOn lets the portal change while nobody listens, and returns a ticket that
// is deleted since.
func (e *estate) liveOn() uint64 {
	e.t.Helper()
	trashed := e.trash(0)
	e.portal.Mutate(40)
	if err := e.portal.Flush(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	return trashed
}

// recovers starts the service and wants it to put right by itself whatever is
// wrong, to hold the given tickets as deleted, and to hear the webhook as before.
func (e *estate) recovers(deleted ...uint64) {
	e.t.Helper()
	e.p = e.start()
	e.untilLoaded()
	e.settle()
	e.compare()
	for _, id := range deleted {
		e.tombstone(id)
	}
	if url := e.serviceURL(); url != e.url {
		e.t.Errorf("the service URL is %s, was %s", url, e.url)
	}
	e.until("the webhook at Zoho is known", 20*time.Second, func() bool { return slices.Equal(e.pipe().Webhooks, []string{e.hook}) })
	if hooks := e.portal.Webhooks(); len(hooks) != 1 {
		e.t.Errorf("%d webhooks at Zoho, want the one that was there", len(hooks))
	}
	e.hears()
}

// hears wants changes that webhooks tell of to be applied.
func (e *estate) hears() {
	e.t.Helper()
	subject := "changed after all that"
	if _, err := e.portal.UpdateTicket(0, desksim.TicketChange{Subject: &subject}); err != nil {
		e.t.Fatal(err)
	}
	e.trash(0)
	e.settle()
	e.compare()
}

func (e *estate) serviceURL() string {
	e.t.Helper()
	return strings.TrimSpace(e.must("webhook", "url").stdout.String())
}

// tombstone wants a deleted row with its last content.
func (e *estate) tombstone(id uint64) {
	e.t.Helper()
	rows := e.sql(fmt.Sprintf("SELECT subject FROM tickets_all FINAL WHERE id = %d AND _is_deleted = 1 AND subject != ''", id))
	if len(rows) != 1 {
		e.t.Errorf("ticket %d: no deleted row with content", id)
	}
}

// triggers are the comparisons that were run, as "table trigger".
func (e *estate) triggers() []string {
	e.t.Helper()
	var runs []string
	for _, row := range e.sql("SELECT concat(table, ' ', trigger) AS run FROM sync_runs ORDER BY run") {
		runs = append(runs, row["run"].(string))
	}
	return runs
}

var everyTable = []string{"contracts restore", "departments restore", "organization_fields restore", "products restore", "tickets restore"}

func (e *estate) wantTriggers(want ...string) {
	e.t.Helper()
	if got := e.triggers(); !slices.Equal(got, want) {
		e.t.Errorf("comparisons %q, want %q", got, want)
	}
}

// exec runs a statement in the running service's engine.
func (e *estate) exec(statement string) {
	e.t.Helper()
	wh := e.warehouse()
	defer wh.Close()
	if err := wh.Conn().Exec(e.t.Context(), statement); err != nil {
		e.t.Fatalf("%s: %v", statement, err)
	}
}

func (e *estate) searches() int { return e.portal.Stats().CreditsFor["tickets.search"] }

func TestStateWiped(t *testing.T) {
	t.Parallel()
	e := newEstate(t, 61)
	load := e.searches()
	purged, trashed := e.purge(), e.liveOn()
	e.lose("data")
	e.recovers(purged, trashed, e.kept)
	e.wantTriggers(everyTable...)
	if again := e.searches() - load; again > load*3/2 {
		t.Errorf("searching cost %d credits, the load %d: tickets were read twice", again, load)
	}
	e.p.stop()
}

func TestStateFromYesterday(t *testing.T) {
	t.Parallel()
	e := newEstate(t, 62)
	restore := e.backup("data")
	e.p = e.start()
	e.untilLoaded()
	e.portal.Mutate(20)
	since := e.trash(0) // only the log that is about to be lost tells of it
	e.settle()
	e.p.stop()
	trashed := e.liveOn()
	restore()
	e.recovers(trashed, since, e.kept)
	e.wantTriggers(everyTable...)
	e.p.stop()
	e.p = e.start() // above the fence from now on, and with nothing to recover
	e.untilLoaded()
	e.hears()
	e.wantTriggers(everyTable...)
	e.p.stop()
}

func TestWarehouseFromYesterday(t *testing.T) {
	t.Parallel()
	e := newEstate(t, 63)
	restore := e.backup("engine")
	e.p = e.start()
	e.untilLoaded()
	e.portal.Mutate(20)
	since := e.trash(0)
	e.settle()
	e.p.stop()
	trashed := e.liveOn()
	restore()
	e.recovers(trashed, since, e.kept)
	e.wantTriggers(everyTable...)
	e.p.stop()
}

func TestWarehouseLost(t *testing.T) {
	t.Parallel()
	e := newEstate(t, 64)
	e.liveOn()
	e.lose("engine")
	e.recovers()
	e.wantTriggers() // a load, no comparison
	e.p.stop()
}

// TestTableDropped drops a table under the running service: it ends, says what to
// do, and its next start makes and fills the table.
func TestTableDropped(t *testing.T) {
	t.Parallel()
	e := newEstate(t, 65)
	e.p = e.start()
	e.untilLoaded()
	e.exec("DROP TABLE desk.tickets_all SYNC")
	e.trash(0)
	if code := e.p.wait(60 * time.Second); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	said := errorLines(e.printed())
	if len(said) != 1 || !strings.Contains(said[0], "tickets") || !strings.Contains(said[0], "start deskhouse again") {
		t.Errorf("the service said %q", said)
	}
	e.recovers()
	e.p.stop()
}

// TestRowsMissing: tables that lost all rows are loaded, those that lost some, of
// whatever register, are compared.
func TestRowsMissing(t *testing.T) {
	for _, c := range []struct {
		name       string
		statements []string
	}{
		{"of main tables", []string{"TRUNCATE TABLE desk.contracts_all",
			"ALTER TABLE desk.tickets_all DELETE WHERE id % 2 = 0 AND _is_deleted = 0 SETTINGS mutations_sync = 2"}},
		{"of listed columns", []string{"TRUNCATE TABLE desk.products_all", "TRUNCATE TABLE desk.tickets_listed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEstate(t, 66)
			e.p = e.start()
			e.untilLoaded()
			for _, statement := range c.statements {
				e.exec(statement)
			}
			e.p.stop()
			e.recovers(e.kept)
			e.wantTriggers("tickets restore")
			bare := e.sql("SELECT toString(count()) AS n FROM tickets WHERE NOT is_archived AND id NOT IN (SELECT id FROM tickets_listed)")
			if n := bare[0]["n"]; n != "0" {
				t.Errorf("%s visible tickets have no listed columns", n)
			}
			e.p.stop()
		})
	}
}

// TestForeignTables: a table of our name that is somebody else's is refused, and
// one of another name is none of our business.
func TestForeignTables(t *testing.T) {
	_, url, conn := engineHouse(t)
	for _, sql := range []string{"CREATE DATABASE theirs", "CREATE TABLE theirs.tickets_all (id UInt64, mine String) ENGINE = MergeTree ORDER BY id",
		"INSERT INTO theirs.tickets_all VALUES (1, 'precious')",
		"CREATE DATABASE shared", "CREATE TABLE shared.notes (id UInt64, mine String) ENGINE = MergeTree ORDER BY id",
		"INSERT INTO shared.notes VALUES (1, 'precious')"} {
		if err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	before := tablesIn(t, conn, "theirs")
	line, code := refused(t, url, "theirs", "other")
	if code != exitUsage || !strings.Contains(line, "tickets_all") || !strings.Contains(line, "another database") {
		t.Errorf("exit code %d: %s", code, line)
	}
	if after := tablesIn(t, conn, "theirs"); after != before {
		t.Errorf("tables before: %s\nafter: %s", before, after)
	}

	guest := newHouse(t, desksim.Config{Seed: 13, Tickets: 50}, settings{pipeline: "guest", warehouse: fmt.Sprintf("{url: %q, database: shared}", url)})
	p := guest.start()
	guest.untilLoaded()
	guest.compare()
	p.stop()
	for _, table := range []string{"theirs.tickets_all", "shared.notes"} {
		var rows uint64
		if err := conn.QueryRow(t.Context(), "SELECT count() FROM "+table+" WHERE mine = 'precious'").Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%s: %d of 1 foreign rows are left: %v", table, rows, err)
		}
	}
}
