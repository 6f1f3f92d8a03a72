package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"deskhouse/config"
	"deskhouse/source/desksim"
)

// script answers the questions of init in their order.
type script struct {
	answers []string
	said    []string
}

func (s *script) line(question string) (string, error) {
	s.said = append(s.said, question)
	if len(s.answers) == 0 {
		return "", errInterrupted
	}
	next := s.answers[0]
	s.answers = s.answers[1:]
	return next, nil
}

func (s *script) hidden(question string) (string, error) { return s.line("hidden: " + question) }
func (s *script) say(text string)                        { s.said = append(s.said, text) }

// initIn runs init in a folder of its own and returns it.
func initIn(t *testing.T, f initFlags, ask questions) (string, error) {
	t.Helper()
	dir := t.TempDir()
	f.out = filepath.Join(dir, "deskhouse.yaml")
	if f.listen == "" {
		f.listen, f.database = ":8080", "desk"
	}
	return dir, runInit(f, ask, true, io.Discard)
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// setups are an ordinary one without and one with everything.
func setups(t *testing.T) map[string]initFlags {
	password := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(password, []byte("pa55\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]initFlags{
		"plain": {dataCenter: "eu", orgID: "60000000001", clientID: "1000.ABC"},
		"full": {dataCenter: "https://desk.zoho.com.au", orgID: "60000000002", clientID: "1000.DEF", clientSecretFile: password, tables: "tickets,departments",
			publicURL: "https://hooks.example.org/", listen: "127.0.0.1:9000", warehouse: "https://ch.example.org:8443", database: "support", warehouseUser: "loader", warehousePwdFile: password},
	}
}

// TestInitWritesWhatLoads holds the file against testdata, loads it, takes the #
// away from every default, and loads it again: the defaults it names are the
// real ones.
func TestInitWritesWhatLoads(t *testing.T) {
	for name, f := range setups(t) {
		t.Run(name, func(t *testing.T) {
			dir, err := initIn(t, f, nil)
			if err != nil {
				t.Fatal(err)
			}
			text := read(t, dir, "deskhouse.yaml")
			shown := text
			if f.clientSecretFile != "" {
				shown = strings.ReplaceAll(text, filepath.Dir(f.clientSecretFile), "/run/secrets")
			}
			golden(t, "init."+name+".yaml", shown)
			getenv := func(string) string { return "from-the-environment" }
			plain, err := config.Load(filepath.Join(dir, "deskhouse.yaml"), getenv)
			if err != nil {
				t.Fatal(err)
			}
			key, err := plain.State.RequireKey()
			if err != nil || len(key) != config.KeyBytes {
				t.Errorf("%d bytes of key, %v", len(key), err)
			}
			info, err := os.Stat(filepath.Join(dir, "deskhouse.key"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the key's file: %v, %v", info.Mode(), err)
			}
			all, err := config.Parse([]byte(regexp.MustCompile(`(?m)^(\s*)#([a-z_]+:)`).ReplaceAllString(text, "$1$2")), dir, getenv)
			if err != nil {
				t.Fatalf("with every default written out: %v", err)
			}
			if !reflect.DeepEqual(plain.State, all.State) || plain.Admin != all.Admin {
				t.Errorf("a default of state or admin is not the real one: %+v, %+v", plain, all)
			}
			a, b := plain.Pipelines["support"], all.Pipelines["support"]
			if f.publicURL == "" { // the intake of the example changes the tickets' poll
				a.Tables, b.Tables = nil, nil
			} else if !reflect.DeepEqual(plain.Intake, all.Intake) {
				t.Errorf("a default of the intake is not the real one: %+v, %+v", plain.Intake, all.Intake)
			}
			if a.Resync == nil || b.Resync == nil || a.Resync.Missed != b.Resync.Missed {
				t.Errorf("resync %+v, %+v", a.Resync, b.Resync)
			}
			a.Resync, b.Resync = nil, nil
			a.Warehouse, b.Warehouse = config.Warehouse{Dir: a.Warehouse.Dir}, config.Warehouse{Dir: b.Warehouse.Dir}
			a.HashKey, b.HashKey = config.Secret{}, config.Secret{}
			if !reflect.DeepEqual(a, b) {
				t.Errorf("a default of the pipeline is not the real one:\n%+v\n%+v", a, b)
			}
			wantPollsIn(t, text, plain)
		})
	}
}

// wantPollsIn holds the polls that stand in comments against the real ones.
func wantPollsIn(t *testing.T, text string, cfg *config.Config) {
	t.Helper()
	n := 0
	for name, table := range cfg.Pipelines["support"].Tables {
		found := regexp.MustCompile(`(?m)^ +` + name + `: true +# \{poll: (\S+), hydrate: (\S+), history: (\S+)\}$`).FindStringSubmatch(text)
		if (found != nil) != table.Enabled {
			t.Errorf("%s: enabled %v, line %q", name, table.Enabled, found)
		}
		if found == nil {
			continue
		}
		n++
		poll, err := time.ParseDuration(found[1])
		if err != nil || poll != table.Poll || string(table.Hydrate) != found[2] || string(table.History) != found[3] {
			t.Errorf("%s: %q, want %+v", name, found, table)
		}
	}
	if n == 0 {
		t.Error("no table is on")
	}
}

// TestInitAsks puts a dialogue with mistakes through.
func TestInitAsks(t *testing.T) {
	ask := &script{answers: []string{"mars", "zoho.in", "abc", "60000000001", "", "1000.ABC", "typed-secret ", "tickets, contrcts", "tickets contracts",
		"ftp://x", "https://hooks.example.org", "http://u:p@h", "https://ch.example.org", "loader", "typed-password"}}
	dir, err := initIn(t, initFlags{}, ask)
	if err != nil {
		t.Fatalf("%v after %q", err, ask.said)
	}
	cfg, err := config.Load(filepath.Join(dir, "deskhouse.yaml"), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	conn, p := cfg.Connections["main"], cfg.Pipelines["support"]
	if conn.DataCenter != "in" || conn.OrgID != 60000000001 || conn.ClientID != "1000.ABC" || conn.ClientSecret.Reveal() != "typed-secret" {
		t.Errorf("connection %+v", conn)
	}
	if p.Tables["products"].Enabled || !p.Tables["contracts"].Enabled || p.Warehouse.User != "loader" || p.Warehouse.Password.Reveal() != "typed-password" || cfg.Intake.PublicURL != "https://hooks.example.org" {
		t.Errorf("pipeline %+v, intake %+v", p, cfg.Intake)
	}
	if text := read(t, dir, "deskhouse.yaml"); strings.Contains(text, "typed-") {
		t.Error("the configuration holds a secret")
	}
	for _, name := range []string{"deskhouse.client-secret", "deskhouse.warehouse-password", "deskhouse.key"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	said := strings.Join(ask.said, "\n")
	for _, word := range []string{"mars", "digits only", "contrcts", "https://host", "leave user and password out", "api-console.zoho.in", "hidden: Client secret"} {
		if !strings.Contains(said, word) {
			t.Errorf("nothing said of %q:\n%s", word, said)
		}
	}
}

// TestInitLeavesNothingBehind: a refusal, an interruption or a mistake writes no
// file, and what exists is never overwritten.
func TestInitLeavesNothingBehind(t *testing.T) {
	good := initFlags{dataCenter: "eu", orgID: "1", clientID: "1000.A"}
	for name, c := range map[string]struct {
		change func(*initFlags)
		ask    questions
		code   int
		says   string
	}{
		"a flag is missing":        {func(f *initFlags) { f.orgID = "" }, nil, exitUsage, "--org-id"},
		"a flag is wrong":          {func(f *initFlags) { f.dataCenter = "mars" }, nil, exitUsage, "mars"},
		"a table is wrong":         {func(f *initFlags) { f.tables = "tickts" }, nil, exitUsage, "tickts"},
		"a password in the URL":    {func(f *initFlags) { f.warehouse = "http://u:pa55@h" }, nil, exitUsage, "leave user and password out"},
		"a user for the embedded":  {func(f *initFlags) { f.warehouseUser = "u" }, nil, exitUsage, "--warehouse"},
		"no such secret file":      {func(f *initFlags) { f.clientSecretFile = "/nowhere/secret" }, nil, exitUsage, "client_secret"},
		"a database of ClickHouse": {func(f *initFlags) { f.listen, f.database = ":8080", "system" }, nil, exitUsage, "system"},
		"interrupted":              {func(f *initFlags) { f.clientID = "" }, &script{}, exitFailed, "interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			f := good
			c.change(&f)
			dir, err := initIn(t, f, c.ask)
			if err == nil || exitCode(err) != c.code || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "pa55") {
				t.Errorf("exit code %d, %v", exitCode(err), err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	for _, name := range []string{"deskhouse.yaml", "deskhouse.key", "deskhouse.client-secret", "deskhouse.warehouse-password"} {
		f := good
		f.out, f.listen, f.database = filepath.Join(t.TempDir(), "deskhouse.yaml"), ":8080", "desk"
		held := filepath.Join(filepath.Dir(f.out), name)
		if err := os.WriteFile(held, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := runInit(f, nil, true, io.Discard)
		var exit *exitError
		if !errors.As(err, &exit) || exit.Code != exitUsage || !strings.Contains(err.Error(), held) || read(t, held) != "mine" {
			t.Errorf("%s: %v, holds %q", name, err, read(t, held))
		}
	}
}

// TestInitProcess is init as a program: what it prints, and that check accepts
// what it wrote.
func TestInitProcess(t *testing.T) {
	dir := t.TempDir()
	r := command(t, commandTime, dir, "init", "--data-center", "cn", "--org-id", "60000000001", "--client-id", "1000.ABC", "--public-url", "https://hooks.example.org")
	if r.code != exitDone || r.stderr.Len() > 0 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout.String(), r.stderr.String())
	}
	golden(t, "init.steps.txt", r.stdout.String())
	t.Setenv(secretEnv, "a-secret")
	if r := command(t, commandTime, dir, "check", "--offline"); r.code != exitDone {
		t.Errorf("check --offline: exit code %d\n%s%s", r.code, r.stdout.String(), r.stderr.String())
	}
	if r := command(t, commandTime, dir, "init", "--yes"); r.code != exitUsage || !strings.Contains(r.stderr.String(), "deskhouse.yaml exists") {
		t.Errorf("a second time: exit code %d\n%s", r.code, r.stderr.String())
	}
	if r := command(t, commandTime, t.TempDir(), "init", "--yes"); r.code != exitUsage || !strings.Contains(r.stderr.String(), "--data-center, --org-id, --client-id") {
		t.Errorf("without answers: exit code %d\n%s", r.code, r.stderr.String())
	}
}

// TestInitOnATerminal answers as a person does: secrets are not shown.
func TestInitOnATerminal(t *testing.T) {
	h := newHouse(t, desksim.Config{Tickets: 1}, settings{})
	out := filepath.Join(h.dir, "mine.yaml")
	s := h.terminal("init", "--out", out)
	for _, step := range []struct{ prompt, answer string }{
		{"Data centre", "eu\r"}, {"Portal id", "60000000001\r"}, {"Client id", "1000.ABC\r"}, {"Client secret", h.secret("typed-client-secret") + "\r"},
		{"Tables", "\r"}, {"Public https address", "\r"}, {"ClickHouse:", "\r"},
	} {
		s.types(step.prompt, step.answer)
	}
	if code := s.end(); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, s.shown())
	}
	if strings.Contains(s.shown(), "typed-client-secret") || !strings.Contains(s.shown(), "auth exchange -c "+out) {
		t.Errorf("shown:\n%s", s.shown())
	}
	cfg, err := config.Load(out, os.Getenv)
	if err != nil || cfg.Connections["main"].ClientSecret.Reveal() != "typed-client-secret" || cfg.Intake != nil {
		t.Errorf("%v, %+v", err, cfg)
	}
}
