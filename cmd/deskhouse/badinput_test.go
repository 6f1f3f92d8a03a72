package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"deskhouse/source/desksim"
)

// TestBadInput holds every mistake to one clear line and an exit code.
func TestBadInput(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 19, Tickets: 20}, settings{})
	good, err := os.ReadFile(h.file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	for _, c := range []struct {
		name     string
		old, new string // what is replaced in the configuration
		args     []string
		code     int
		says     []string // in the one line
	}{
		{"missing file", "", "", []string{"run", "--config", "nowhere.yaml"}, exitUsage, []string{"nowhere.yaml", "no such file", "--config"}},
		{"misspelt key", "client_secret:", "client_secrte:", []string{"run"}, exitUsage, []string{"deskhouse.yaml:", "connections.main.client_secrte", "unknown key", "client_secret"}},
		{"misspelt section", "pipelines:", "pipelins:", []string{"run"}, exitUsage, []string{"pipelins", "unknown key", "pipelines"}},
		{"misspelt table", "warehouse:", "tables: {ticket: false}, warehouse:", []string{"run"}, exitUsage, []string{"pipelines.support.tables.ticket", "unknown key", "tickets"}},
		{"missing key", fmt.Sprintf("org_id: \"%d\",", h.portal.OrgID()), "", []string{"run"}, exitUsage, []string{"connections.main.org_id", "is missing"}},
		{"unknown data centre", "data_center: us", "data_center: mars", []string{"run"}, exitUsage, []string{"connections.main.data_center", "mars", "eu"}},
		{"wrong type", `{listen: "` + h.admin + `"}`, "{listen: [1]}", []string{"run"}, exitUsage, []string{"admin.listen", "single value"}},
		{"wrong number", fmt.Sprintf("org_id: \"%d\"", h.portal.OrgID()), "org_id: many", []string{"run"}, exitUsage, []string{"connections.main.org_id"}},
		{"wrong duration", "warehouse:", "bin: {poll: soon}, warehouse:", []string{"run"}, exitUsage, []string{"pipelines.support.bin.poll"}},
		{"empty secret", "client_secret: simulated-secret", `client_secret: ""`, []string{"run"}, exitUsage, []string{"connections.main.client_secret"}},
		{"secret from an empty variable", "client_secret: simulated-secret", "client_secret: {env: DESKHOUSE_TEST_UNSET}", []string{"run"}, exitUsage, []string{"connections.main.client_secret", "DESKHOUSE_TEST_UNSET"}},
		{"bad URL", "desk_url: \"http", "desk_url: \"gopher", []string{"run"}, exitUsage, []string{"connections.main.desk_url"}},
		{"not YAML", "pipelines:", "\tpipelines: }", []string{"run"}, exitUsage, []string{"deskhouse.yaml:", "YAML"}},
		{"misspelt connection", "connection: main", "connection: mian", []string{"run"}, exitUsage, []string{"pipelines.support.connection", "mian", "main"}},
		{"no state key", `key: "` + h.key + `"`, "", []string{"run"}, exitUsage, []string{"state.key", "is missing", "openssl rand"}},
		{"short state key", h.key, "c2hvcnQ=", []string{"run"}, exitUsage, []string{"state.key", "32 bytes", "openssl rand"}},
		{"state folder too deep for a socket", `dir: "./data"`, `dir: "./` + strings.Repeat("d", 120) + `"`, []string{"run"}, exitUsage, []string{"state.dir"}},
		{"status without a service", "", "", []string{"status"}, exitFailed, []string{"not running"}},
		{"unknown table of a resync", "", "", []string{"resync", "--table", "ticket"}, exitUsage, []string{"--table", "ticket", "tickets"}},
		{"unknown pipeline of a comparison", "", "", []string{"verify", "--pipeline", "nobody"}, exitUsage, []string{"nobody", "support"}},
		{"replay since nothing", "", "", []string{"replay"}, exitUsage, []string{"--since", "48h"}},
		{"replay since an unreadable time", "", "", []string{"replay", "--since", "yesterday"}, exitUsage, []string{"--since", "yesterday", "48h"}},
		{"unknown treatment of missed runs", "warehouse:", `resync: {cron: "@daily", missed: later}, warehouse:`, []string{"run"}, exitUsage, []string{"pipelines.support.resync.missed", "later", "skip"}},
		{"register without a service", "", "", []string{"webhook", "register"}, exitFailed, []string{"deskhouse run"}},
		{"unknown pipeline", "", "", []string{"sql", "--pipeline", "nobody", "SELECT 1"}, exitUsage, []string{"--pipeline", "support"}},
		{"unknown pipeline of a hook", "", "", []string{"webhook", "url", "--pipeline", "nobody"}, exitUsage, []string{"nobody", "support"}},
		{"query before the first run", "", "", []string{"sql", "SELECT 1"}, exitFailed, []string{"desk", "does not exist"}},
		{"no query", "", "", []string{"sql", " ; "}, exitUsage, []string{"no query"}},
		{"unknown connection", "", "", []string{"auth", "exchange", "--connection", "nobody", "--code", "x"}, exitUsage, []string{"nobody", "main"}},
		{"no grant code", "", "", []string{"auth", "exchange"}, exitUsage, []string{"--code", "stdin"}},
		{"two codes in one", "", "", []string{"auth", "exchange", "--code", "1000.a 1000.b"}, exitUsage, []string{"not a grant code"}},
		{"port of a login", "", "", []string{"auth", "login", "--port", "70000"}, exitUsage, []string{"--port 70000"}},
		{"revoke without a yes", "", "", []string{"auth", "revoke"}, exitDecision, []string{"--yes"}},
		{"no connection named", "", "", []string{"connections", "show"}, exitUsage, []string{"arg"}},
		{"unknown connection to forget", "", "", []string{"connections", "forget", "nobody"}, exitUsage, []string{"nobody", "main"}},
		{"unknown command", "", "", []string{"rum"}, exitUsage, []string{"rum"}},
		{"unknown subcommand", "", "", []string{"webhook", "regster"}, exitUsage, []string{"regster"}},
		{"unknown flag", "", "", []string{"run", "--fast"}, exitUsage, []string{"--fast"}},
		{"unknown flag of a subcommand", "", "", []string{"webhook", "list", "--fast"}, exitUsage, []string{"--fast"}},
		{"surplus argument", "", "", []string{"run", "now"}, exitUsage, []string{"now"}},
		{"log level", "", "", []string{"run", "--log-level", "loud"}, exitUsage, []string{"--log-level", "loud"}},
		{"log format", "", "", []string{"run", "--log-format", "xml"}, exitUsage, []string{"--log-format", "xml"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.old != "" && !strings.Contains(text, c.old) {
				t.Fatalf("the configuration has no %q", c.old)
			}
			h.write(strings.Replace(text, c.old, c.new, 1))
			defer h.write(text)
			checkRefusal(t, h.deskhouse(c.args...), c.code, c.says...)
		})
	}
}

// checkRefusal wants an exit code and one line a person can act on.
func checkRefusal(t *testing.T, r *result, code int, says ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	said := errorLines(r.stderr.String())
	if len(said) != 1 || len(lines(r.stdout.String())) != 0 {
		t.Fatalf("want one line on stderr:\n%s%s", r.stderr.String(), r.stdout.String())
	}
	if !strings.HasPrefix(said[0], "deskhouse: ") {
		t.Errorf("%q does not say who speaks", said[0])
	}
	for _, word := range says {
		if !strings.Contains(said[0], word) {
			t.Errorf("%q does not say %q", said[0], word)
		}
	}
	for _, no := range []string{"goroutine ", "Usage:", "simulated-secret", "panic"} {
		if strings.Contains(r.stderr.String(), no) {
			t.Errorf("stderr holds %q", no)
		}
	}
}

// TestManyMistakesAtOnce: a line each, in the order of the file.
func TestManyMistakesAtOnce(t *testing.T) {
	h := newHouse(t, desksim.Config{Tickets: 1}, settings{})
	h.write("connections:\n  main: {data_center: mars, org_id: 5, client_id: x, client_secret: y, colour: red}\npipelines:\n  p: {connection: mian, warehouse: {url: embeded}}\n")
	r := h.deskhouse("check")
	said := lines(r.stderr.String())
	if r.code != exitUsage || len(said) != 4 {
		t.Fatalf("exit code %d, %d lines: %q", r.code, len(said), said)
	}
	for i, key := range []string{"connections.main", "connections.main", "pipelines.p", "pipelines.p"} {
		if !strings.Contains(said[i], key) || !strings.Contains(said[i], h.file+":") {
			t.Errorf("line %d names neither %s nor the place: %s", i, key, said[i])
		}
	}
}

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	h := newHouse(t, desksim.Config{Tickets: 1}, settings{intake: taken.Addr().String()})
	checkRefusal(t, h.deskhouse("run"), exitUsage, "intake.listen", taken.Addr().String(), "in use")
	h.configure(settings{stateKey: h.key})
	text, err := os.ReadFile(h.file)
	if err != nil {
		t.Fatal(err)
	}
	h.write(strings.Replace(string(text), h.admin, taken.Addr().String(), 1))
	checkRefusal(t, h.deskhouse("run"), exitUsage, "admin.listen", taken.Addr().String(), "in use")
}

// TestSecondRun starts a second service on the state of the first.
func TestSecondRun(t *testing.T) {
	h := newHouse(t, desksim.Config{Tickets: 20}, settings{})
	p := h.start()
	h.untilLoaded()
	checkRefusal(t, h.deskhouse("run"), exitRunning, filepath.Join(h.dir, "data"), fmt.Sprint(p.cmd.Process.Pid))
	if !h.pipe().loaded() {
		t.Error("the first service suffered")
	}
	p.stop()
}

// TestQueryMistakes asks while the service runs and after it ended, when the
// command starts the engine itself.
func TestQueryMistakes(t *testing.T) {
	h := newHouse(t, desksim.Config{Tickets: 20}, settings{})
	p := h.start()
	h.untilLoaded()
	ask := func() {
		t.Helper()
		checkRefusal(t, h.deskhouse("sql", "SELEC 1"), exitFailed, "Syntax error")
		checkRefusal(t, h.deskhouse("sql", "SELECT subjct FROM tickets"), exitFailed, "subjct")
		checkRefusal(t, h.deskhouse("sql", "--json", "SELECT 1 FROM nowhere"), exitFailed, "nowhere")
		if rows := h.sql("SELECT toString(count()) AS n, NULL AS nothing FROM tickets"); len(rows) != 1 || rows[0]["n"] != "20" || rows[0]["nothing"] != nil {
			t.Errorf("got %v", rows)
		}
	}
	ask()
	p.stop()
	ask()
}

// TestRefusedSessions: a client with a wrong database or password may take the
// engine down (libchdb aborts on a native handshake it refuses, seen with
// 26.7.2.1), but the service brings it back and loses nothing.
func TestRefusedSessions(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 29, Tickets: 100, Weights: demoChanges}, settings{})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	living := h.live()
	for _, auth := range []clickhouse.Auth{{Database: "nowhere"}, {Username: "nobody"}, {Username: "default", Password: "wrong"}} {
		conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{strings.TrimPrefix(h.pipe().Warehouse.URL, "clickhouse://")}, Auth: auth})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Ping(t.Context()); err == nil {
			t.Errorf("%+v is let in", auth)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		h.until("queries are answered again", 30*time.Second, func() bool { return h.deskhouse("sql", "SELECT count() FROM tickets").code == exitDone })
	}
	living.stop()
	h.settle()
	h.must("resync")
	h.settle()
	t.Logf("the engine ended %d times", strings.Count(h.printed(), "the embedded engine ended"))
	h.compare()
	p.stop()
}

// TestWrongStateKey starts with another key than the one the state was sealed
// with.
func TestWrongStateKey(t *testing.T) {
	h := newHouse(t, desksim.Config{Tickets: 20}, settings{})
	p := h.start()
	h.untilLoaded()
	p.stop()
	h.configure(settings{})
	checkRefusal(t, h.deskhouse("run"), exitUsage, "key")
}

// TestUnreachableDesk: check says what does not answer and ends; run waits, and
// takes webhooks meanwhile.
func TestUnreachableDesk(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 23, Tickets: 20}, settings{deskURL: "http://" + freePort(t)})
	began := time.Now()
	r := h.deskhouseWithin(45*time.Second, "check")
	t.Logf("check took %s\n%s", time.Since(began).Round(time.Millisecond), r.stdout.String())
	if r.code != exitFailed {
		t.Errorf("exit code %d", r.code)
	}
	said := lines(r.stdout.String())
	items := map[string]bool{}
	for _, line := range said {
		items[strings.TrimSpace(line[:min(len(line), 53)])] = true
	}
	if len(items) != len(said) {
		t.Errorf("%d items on %d lines", len(items), len(said))
	}
	for _, item := range []string{"failure  connection main data centre", "skipped  pipeline support table tickets", "ok       pipeline support warehouse"} {
		if !strings.Contains(r.stdout.String(), item) {
			t.Errorf("check does not say %q", item)
		}
	}
	if len(errorLines(r.stderr.String())) != 0 {
		t.Errorf("stderr: %s", r.stderr.String())
	}

	p := h.start("--log-level", "debug")
	h.untilRunning()
	hook := strings.TrimSpace(h.must("webhook", "url").stdout.String())
	if got := send(t, "GET", hook, "", "", false); got != 200 {
		t.Errorf("intake answers %d to a validation", got)
	}
	h.until("the log says what is waited for", 30*time.Second, func() bool { return strings.Contains(h.printed(), "call is repeated") })
	if st := h.pipe(); !st.Running || st.loaded() {
		t.Errorf("running %v, loaded %v", st.Running, st.loaded())
	}
	if !p.running() {
		t.Fatal("the service ended")
	}
	p.stop()
}
