package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/config"
	"deskhouse/sink/clickhouse"
	"deskhouse/source/desksim"
)

// settings are what a test's configuration file says; zero means as below.
type settings struct {
	pipeline  string // "support"
	warehouse string // "{url: embedded, database: desk}"
	keys      string // further keys of the pipeline, each ending in a comma
	deskURL   string // the portal's
	intake    string // a free port
	stateKey  string // random
	stateDir  string // "./data"
	state     string // further keys of the state, each ending in a comma
}

// house is one simulated portal and one configured deskhouse.
type house struct {
	t      *testing.T
	dir    string
	file   string // the configuration
	portal *desksim.Portal
	desk   string // URL of the portal
	intake string // host:port
	admin  string // host:port
	key    string // of the state
	log    string // file with all that `deskhouse run` printed

	mu     sync.Mutex
	tokens []string // access and refresh tokens and grant codes the portal handed out, and secrets of hook URLs
	jwt    string   // of the last delivery
	said   []string // all that other commands printed
}

// newHouse serves a portal and writes a configuration for it.
func newHouse(t *testing.T, portal desksim.Config, s settings) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "dh-") // short: a socket's path has 107 characters at most
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: dir, file: filepath.Join(dir, "deskhouse.yaml"), log: filepath.Join(dir, "run.log")}
	portal.Deliver = roundTripper(h.deliver)
	h.portal = desksim.New(portal)
	server := httptest.NewServer(h.listening(h.portal.Handler()))
	h.desk = server.URL
	t.Cleanup(func() {
		h.portal.Close()
		server.Close()
		if t.Failed() {
			t.Logf("end of what run printed:\n%s", tail(h.printed(), 6000))
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	h.configure(s)
	return h
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// deliver carries webhooks and keeps the token of the last one, and every secret
// that a URL ends with.
func (h *house) deliver(r *http.Request) (*http.Response, error) {
	h.secret(path.Base(r.URL.Path))
	if token := r.Header.Get("X-ZDesk-JWT"); token != "" {
		h.mu.Lock()
		h.jwt = token
		h.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(r)
}

// handedOut finds tokens in replies, and grant codes in redirects.
var handedOut = regexp.MustCompile(`"(?:access|refresh)_token":"([^"]+)"|[?&]code=([^&]+)`)

// listening keeps every token and grant code that is handed out.
func (h *house) listening(portal http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/oauth/") {
			portal.ServeHTTP(w, r)
			return
		}
		reply := httptest.NewRecorder()
		portal.ServeHTTP(reply, r)
		for _, found := range handedOut.FindAllStringSubmatch(reply.Body.String()+"\n"+reply.Header().Get("Location"), -1) {
			h.secret(found[1] + found[2])
		}
		for k, v := range reply.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(reply.Code)
		_, _ = w.Write(reply.Body.Bytes()) // the client is gone: nobody to tell
	})
}

// secret notes what may never be printed, and hands it on.
func (h *house) secret(s string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.tokens, s) {
		h.tokens = append(h.tokens, s)
	}
	return s
}

// configure writes the file a user would write.
func (h *house) configure(s settings) {
	h.t.Helper()
	h.intake, h.admin = freePort(h.t), freePort(h.t)
	for value, otherwise := range map[*string]string{&s.pipeline: "support", &s.warehouse: "{url: embedded, database: desk}",
		&s.deskURL: h.desk, &s.intake: h.intake, &s.stateKey: newStateKey(), &s.stateDir: "./data"} {
		if *value == "" {
			*value = otherwise
		}
	}
	h.intake, h.key = s.intake, s.stateKey
	h.write(fmt.Sprintf(`connections:
  main: {data_center: us, org_id: "%d", client_id: 1000.SIMULATEDCLIENT, client_secret: simulated-secret,
         refresh_token: 1000.simulated.refresh, accounts_url: %q, desk_url: %q, jwks_url: %q}
pipelines:
  %s: {connection: main, %s warehouse: %s}
intake: {listen: %q, public_url: "http://%s", jwt: required}
admin: {listen: %q}
state: {url: embedded, dir: %q, %s key: %q}
`, h.portal.OrgID(), h.desk, s.deskURL, h.desk+"/.well-known/jwks.json", s.pipeline, s.keys, s.warehouse, s.intake, s.intake, h.admin, s.stateDir, s.state, s.stateKey))
}

func (h *house) write(text string) {
	h.t.Helper()
	if err := os.WriteFile(h.file, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) config() *config.Config {
	h.t.Helper()
	cfg, err := config.Load(h.file, os.Getenv)
	if err != nil {
		h.t.Fatal(err)
	}
	return cfg
}

func newStateKey() string {
	key := make([]byte, config.KeyBytes)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

// freePort is an address nobody listens on at the moment. It is below the ports
// that systems give to outgoing connections: a service that is down for a while
// must find its port again.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+mathrand.IntN(20_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port found")
	return ""
}

// status asks the running service.
func (h *house) status() (statusReply, error) {
	var st statusReply
	ctl, err := dial(h.config())
	if err != nil {
		return st, err
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), 10*time.Second)
	defer cancel()
	if err := ctl.call(ctx, "GET", "/v1/status", nil, &st); err != nil {
		return st, err
	}
	return st, ctl.end()
}

// until waits for a condition that another process brings about, asking less
// and less often, and fails the test when it does not come.
func (h *house) until(what string, within time.Duration, ok func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(within)
	for pause := 5 * time.Millisecond; !ok(); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(pause)
	}
}

// pipe is the status of the one pipeline; zero while nothing answers.
func (h *house) pipe() pipelineStatus {
	st, err := h.status()
	if err != nil || len(st.Pipelines) != 1 {
		return pipelineStatus{}
	}
	return st.Pipelines[0]
}

func (h *house) untilRunning() {
	h.t.Helper()
	h.until("the pipeline runs", 60*time.Second, func() bool { return h.pipe().Running })
}

// loaded reports whether every table is followed.
func (p pipelineStatus) loaded() bool {
	for _, t := range p.Tables {
		if t.Phase != "following" {
			return false
		}
	}
	return p.Running && len(p.Tables) > 0
}

func (h *house) untilLoaded() {
	h.t.Helper()
	h.until("every table is loaded", 90*time.Second, func() bool { return h.pipe().loaded() })
}

// settle waits until all that was delivered is applied and nothing is to be
// read again.
func (h *house) settle() {
	h.t.Helper()
	if err := h.portal.Flush(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.until("everything is applied", 90*time.Second, func() bool {
		p := h.pipe()
		return p.Running && p.LogApplied == p.LogLast && p.Rereads == 0
	})
}

// warehouse connects to the engine that the running service tells of. Close it
// before the service is stopped: an engine gives open connections 5 s.
func (h *house) warehouse() *clickhouse.Warehouse {
	h.t.Helper()
	p := h.pipe()
	wh, err := clickhouse.Open(h.t.Context(), clickhouse.Config{URL: p.Warehouse.URL, Database: p.Warehouse.Database, OrgID: h.portal.OrgID(),
		Pipeline: p.Name, Logger: zerolog.Nop()})
	if err != nil {
		h.t.Fatal(err)
	}
	return wh
}

// compare holds every column of every table against the portal.
func (h *house) compare() {
	h.t.Helper()
	wh := h.warehouse()
	defer wh.Close()
	h.compareIn(wh)
}

func (h *house) compareIn(wh *clickhouse.Warehouse) {
	h.t.Helper()
	for _, p := range h.config().Pipelines {
		for _, table := range tablesOf(p) {
			c, err := comparer{wh, h.portal}.table(h.t.Context(), table)
			if err != nil {
				h.t.Fatalf("compare %s: %v", table, err)
			}
			h.t.Logf("%s: %d at source, %d visible, %d deleted", table, c.AtSource, c.Visible, c.Deleted)
			if c.Mismatches > 0 || c.AtSource == 0 {
				h.t.Errorf("%s: %d mismatches of %d rows: %v", table, c.Mismatches, c.AtSource, c.Examples)
				h.explain(string(table), c.Examples)
			}
		}
	}
}

// explain tells the story of the first rows that differ: what the history knows,
// what is held, and what the last comparisons found.
func (h *house) explain(table string, examples []string) {
	h.t.Helper()
	for _, example := range examples[:min(3, len(examples))] {
		key, _, _ := strings.Cut(example, " ")
		for truth := range h.portal.Truth(table) {
			if truth.Key == key {
				h.t.Logf("%s %s at the portal: state %v, deleted %v", table, key, truth.State, truth.DeletedAt)
			}
		}
		for _, query := range []string{
			fmt.Sprintf("SELECT op, origin, event_type, toString(at) AS at, toString(received_at) AS received FROM changes WHERE table = '%s' AND key = '%s' ORDER BY changes.received_at", table, key),
			fmt.Sprintf("SELECT toString(COLUMNS('^_(is_deleted|content_as_of|content_modified|life_as_of|version|synced_at)$')) FROM %s_all FINAL WHERE toString(%s) = '%s'", table, keyOf(table), key),
		} {
			h.t.Logf("%s %s: %v", table, key, h.sql(query))
		}
	}
	h.t.Logf("runs: %v", h.sql(fmt.Sprintf("SELECT trigger, toString(started_at) AS started, toString(finished_at) AS finished, toString(deleted) AS deleted, "+
		"toString(not_visible) AS hidden, toString(incomplete) AS incomplete FROM sync_runs WHERE table = '%s' ORDER BY sync_runs.started_at", table)))
}

func keyOf(table string) string {
	if table == "organization_fields" {
		return "(module, api_name)"
	}
	return "id"
}

// sql runs a query with the program; numbers in rows are json.Number.
func (h *house) sql(query string) []map[string]any {
	h.t.Helper()
	r := h.must("sql", "--json", query)
	var rows []map[string]any
	dec := json.NewDecoder(&r.stdout)
	dec.UseNumber()
	for dec.More() {
		var row map[string]any
		if err := dec.Decode(&row); err != nil {
			h.t.Fatalf("%s: %v", query, err)
		}
		rows = append(rows, row)
	}
	return rows
}
