package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"deskhouse/source/desksim"
	"deskhouse/state"
)

// TestCheckState breaks what is on this machine, one thing at a time.
func TestCheckState(t *testing.T) {
	ch := checkServer(t)
	for _, b := range []breakage{
		{name: "another key", broken: func(c *checked) { c.newKey() }, item: itemKey, result: resultFailure, says: []string{"not the one", "give the key"}},
		{name: "no key", broken: func(c *checked) { c.replace(", key: "+c.key(), "") }, item: itemKey, result: resultFailure, says: []string{"missing", "openssl rand", "deskhouse init"}},
		{name: "held by another process", broken: holdState, item: itemState, result: resultFailure, says: []string{"in use", "stop that process"}},
		{name: "a file in the way", alone: true, broken: func(c *checked) {
			if err := os.WriteFile(filepath.Join(c.dir, "data"), nil, 0o600); err != nil {
				c.t.Fatal(err)
			}
		}, item: itemState, result: resultFailure, says: []string{"cannot be written to", "state.dir"}},
	} {
		t.Run(b.name, func(t *testing.T) {
			c := newChecked(t, ch, desksim.Config{Tickets: 20})
			if !b.alone {
				c.register()
			}
			b.broken(c)
			wantOnly(t, c.check(), b)
		})
	}
}

// key is the state key as the configuration spells it.
func (c *checked) key() string {
	_, after, _ := strings.Cut(c.text, "key: ")
	key, _, _ := strings.Cut(after, "}")
	return key
}

func (c *checked) newKey() { c.replace(c.key(), fmt.Sprintf("%q", newStateKey())) }

// holdState opens the state as a process does that answers nobody.
func holdState(c *checked) {
	c.t.Helper()
	cfg := c.config()
	key, err := cfg.State.RequireKey()
	if err != nil {
		c.t.Fatal(err)
	}
	held, err := state.Open(c.t.Context(), state.Config{URL: cfg.State.URL, Dir: cfg.State.Dir, Key: key, Logger: zerolog.Nop()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := held.Close(); err != nil {
			c.t.Error(err)
		}
	})
}

// TestCheckNATS: the state is on a server of one's own. A healthy cluster of
// three is not made here; package state asks for replicas in its own test.
func TestCheckNATS(t *testing.T) {
	ch := checkServer(t)
	for _, b := range []breakage{
		{name: "one replica", broken: func(*checked) {}, item: "NATS replicas", result: resultWarning, says: []string{"has 1", "nats stream edit", "--replicas 3"}},
		{name: "no server", broken: func(c *checked) { c.replace("nats://127.0.0.1", "nats://localhost.invalid") }, item: "state server", result: resultFailure, says: []string{"state.url"}},
	} {
		t.Run(b.name, func(t *testing.T) {
			c := newChecked(t, ch, desksim.Config{Tickets: 20})
			c.replace("url: embedded", "url: "+fmt.Sprintf("%q", natsServer(t)))
			c.register()
			b.broken(c)
			wantOnly(t, c.check(), b)
		})
	}
}

func natsServer(t *testing.T) string {
	t.Helper()
	nats, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	nats.Start()
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	if !nats.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return nats.ClientURL()
}

// TestCheckOffline: with --offline nothing is asked over a network, and what is
// wrong on this machine is still found.
func TestCheckOffline(t *testing.T) {
	h := newHouse(t, desksim.Config{Tickets: 1}, settings{})
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	var asked atomic.Int64
	go func() {
		for {
			conn, err := trap.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = conn.Close()
		}
	}()
	at := trap.Addr().String()
	text := fmt.Sprintf(`connections:
  main: {data_center: us, org_id: "1", client_id: a, client_secret: b, refresh_token: c, accounts_url: "http://%[1]s", desk_url: "http://%[1]s", jwks_url: "http://%[1]s"}
pipelines:
  support: {connection: main, warehouse: {url: "http://%[1]s", database: desk}}
intake: {listen: %[2]q, public_url: "http://%[1]s"}
state: {url: %[3]q, dir: ./data, key: %[4]q}
`, at, h.intake, "nats://"+at, h.key)
	h.write(text)
	offline := func(args ...string) *result {
		return h.deskhouse(append([]string{"check", "--offline"}, args...)...)
	}
	if r := offline(); r.code != exitDone || !strings.Contains(r.stdout.String(), itemState) || strings.Contains(r.stdout.String(), "warehouse") {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout.String(), r.stderr.String())
	}
	h.write(strings.Replace(text, "nats://"+at, "embedded", 1))
	if r := offline(); r.code != exitDone || !strings.Contains(r.stdout.String(), itemDisk) {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout.String(), r.stderr.String())
	}
	h.write(strings.Replace(text, ", key: \""+h.key+"\"", "", 1))
	var findings []finding
	r := offline("--json")
	if err := json.Unmarshal(r.stdout.Bytes(), &findings); err != nil || r.code != exitFailed {
		t.Fatalf("exit code %d, %v\n%s", r.code, err, r.stdout.String())
	}
	if !slices.ContainsFunc(findings, func(f finding) bool { return f.Item == itemKey && f.Result == resultFailure && f.Remedy != "" }) {
		t.Errorf("no key, and %+v", findings)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// TestCheckProcesses is check as a program: before the first run, while the
// service runs, and without the embedded engine's library.
func TestCheckProcesses(t *testing.T) {
	h := newHouse(t, desksim.Config{Tickets: 20}, settings{})
	wantLines := func(when string, code int, says ...string) {
		t.Helper()
		r := h.deskhouse("check")
		if r.code != code || len(errorLines(r.stderr.String())) != 0 {
			t.Errorf("%s: exit code %d\n%s%s", when, r.code, r.stdout.String(), r.stderr.String())
		}
		for _, word := range says {
			if !strings.Contains(r.stdout.String(), word) {
				t.Errorf("%s: no %q\n%s", when, word, r.stdout.String())
			}
		}
	}
	wantLines("before the first run", exitDone, "made at the first start", "is free", "embedded engine", "warning  pipeline support webhook", "warning  public URL")
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	wantLines("while it runs", exitDone, fmt.Sprintf("held by the running deskhouse (pid %d)", p.cmd.Process.Pid), "tells of every event", "reaches the intake")
	if r := h.deskhouse("check", "--offline"); r.code != exitDone {
		t.Errorf("offline while it runs: exit code %d\n%s", r.code, r.stdout.String())
	}
	p.stop()
	wantLines("after it ran", exitDone, "opens the state")
	t.Setenv("DESKHOUSE_ENGINE_LIB", filepath.Join(h.dir, "nowhere.so"))
	wantLines("without the library", exitFailed, "failure  pipeline support embedded engine", "make deps")
}

// TestCheckGrants holds the statements of `check --grants` against a file.
func TestCheckGrants(t *testing.T) {
	h := newHouse(t, desksim.Config{Tickets: 1}, settings{warehouse: `{url: "http://127.0.0.1:1", database: desk, user: loader, password: pw}`})
	golden(t, "grants.txt", h.must("check", "--grants", "--reader", "analyst").stdout.String())
	var replies []grantsReply
	r := h.must("check", "--grants", "--json", "--writer", "w")
	if err := json.Unmarshal(r.stdout.Bytes(), &replies); err != nil || len(replies) != 1 || !strings.HasSuffix(replies[0].Writer[0], "TO `w`;") || !strings.HasSuffix(replies[0].Reader[0], "TO <user>;") {
		t.Errorf("%v, %+v", err, replies)
	}
}
