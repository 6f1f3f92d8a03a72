package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/rs/zerolog"

	"deskhouse/config"
	"deskhouse/sink/embedded"
	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source/desksim"

	warehouse "deskhouse/sink/clickhouse"
)

const publicHost = "hooks.example.org"

// checked is one deskhouse that is checked in this process: a simulated portal
// over HTTP, a ClickHouse with users, and a public name for the intake.
type checked struct {
	t      *testing.T
	dir    string
	file   string
	text   string // the configuration
	portal *desksim.Portal
	desk   string // URL of the portal
	intake string // host:port
	public http.RoundTripper
}

// newChecked writes a configuration with which nothing is wrong.
func newChecked(t *testing.T, server enginetest.Server, portal desksim.Config) *checked {
	t.Helper()
	dir, err := os.MkdirTemp("", "dh-") // short: a socket's path has 107 characters at most
	if err != nil {
		t.Fatal(err)
	}
	c := &checked{t: t, dir: dir, file: filepath.Join(dir, "deskhouse.yaml"), intake: freePort(t)}
	c.public = roundTripper(c.fromOutside)
	portal.Deliver = c.public
	c.portal = desksim.New(portal)
	serving := httptest.NewServer(c.portal.Handler())
	c.desk = serving.URL
	t.Cleanup(func() {
		c.portal.Close()
		serving.Close()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c.text = fmt.Sprintf(`connections:
  main: {data_center: us, org_id: "%d", client_id: 1000.SIMULATEDCLIENT, client_secret: simulated-secret,
         refresh_token: 1000.simulated.refresh, accounts_url: %q, desk_url: %q, jwks_url: %q}
pipelines:
  support: {connection: main, warehouse: {url: "http://%s", database: desk, user: writer, password: pw}}
intake: {listen: %q, public_url: "https://%s", jwt: required}
state: {url: embedded, dir: ./data, key: %q}
`, c.portal.OrgID(), c.desk, c.desk, c.desk+"/.well-known/jwks.json", server.HTTP, c.intake, publicHost, newStateKey())
	return c
}

// fromOutside carries what is sent to the public name to the intake, and
// answers for other hosts as any web server does.
func (c *checked) fromOutside(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Hostname(), publicHost) {
		reply := httptest.NewRecorder()
		return reply.Result(), nil
	}
	inside := r.Clone(r.Context())
	inside.URL = &url.URL{Scheme: "http", Host: c.intake, Path: r.URL.Path}
	return http.DefaultTransport.RoundTrip(inside)
}

// replace changes the configuration.
func (c *checked) replace(old, new string) {
	c.t.Helper()
	if strings.Count(c.text, old) == 0 {
		c.t.Fatalf("the configuration has no %q", old)
	}
	c.text = strings.ReplaceAll(c.text, old, new)
}

func (c *checked) config() *config.Config {
	c.t.Helper()
	if err := os.WriteFile(c.file, []byte(c.text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	cfg, err := config.Load(c.file, func(string) string { return "" })
	if err != nil {
		c.t.Fatal(err)
	}
	return cfg
}

// check is the command without its process.
func (c *checked) check() []finding {
	c.t.Helper()
	return checker{&options{config: c.file, logLevel: "disabled"}, c.config(), c.public}.everything(c.t.Context())
}

// register registers the webhook, as the command does while the service runs.
func (c *checked) register() {
	c.t.Helper()
	core, err := openCore(c.t.Context(), c.config(), zerolog.Nop())
	if err != nil {
		c.t.Fatal(err)
	}
	defer core.Close()
	listener, err := net.Listen("tcp", c.intake)
	if err != nil {
		c.t.Fatal(err)
	}
	intake, err := core.intake()
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(c.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- core.serveIntake(ctx, intake, listener) }()
	defer func() { stop(); <-ended }()
	ctl := &control{http: &http.Client{Transport: inProcess{core.controlHandler()}}}
	if err := ctl.call(ctx, "POST", "/v1/webhooks", nil, &hookReply{}); err != nil {
		c.t.Fatal(err)
	}
}

// hook changes the one webhook at Zoho.
func (c *checked) hook(body string) {
	c.t.Helper()
	all := c.portal.Webhooks()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPatch, fmt.Sprintf("%s/api/v1/webhooks/%d", c.desk, all[len(all)-1]), strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	c.send(req)
}

// foreignHook makes a webhook that is none of ours.
func (c *checked) foreignHook(n int) {
	c.t.Helper()
	body := fmt.Sprintf(`{"url":"https://other.example.org/%d","subscriptions":{"Ticket_Add":null}}`, n)
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.desk+"/api/v1/webhooks", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	c.send(req)
}

func (c *checked) send(req *http.Request) {
	c.t.Helper()
	req.Header.Set("Authorization", "Zoho-oauthtoken "+c.portal.AccessToken())
	req.Header.Set("orgId", fmt.Sprint(c.portal.OrgID()))
	req.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %d", req.URL.Path, reply.StatusCode)
	}
}

// checkServer starts the ClickHouse of the test: a writer with all grants, one
// without a needed one, one without the others.
func checkServer(t *testing.T) enginetest.Server {
	t.Helper()
	cfg := embedded.Config{Library: os.Getenv("DESKHOUSE_ENGINE_LIB"), Engine: filepath.Join(filepath.Dir(programs.deskhouse), "deskhouse-engine"), Dir: filepath.Join(t.TempDir(), "ch")}
	databases := []string{"desk", "held", "taken", "others"}
	users := []enginetest.User{{Name: "writer", Password: "pw"}, {Name: "poor", Password: "pw"}, {Name: "frugal", Password: "pw"}}
	for _, db := range databases {
		for _, g := range warehouse.WriterGrants(db) {
			users[0].Grants = append(users[0].Grants, "GRANT "+g.String())
			if g.Privilege != "ALTER ADD COLUMN" {
				users[1].Grants = append(users[1].Grants, "GRANT "+g.String())
			}
			if !g.Optional {
				users[2].Grants = append(users[2].Grants, "GRANT "+g.String())
			}
		}
	}
	server := enginetest.StartWithUsers(t, cfg, users)
	admin, err := clickhouse.Open(&clickhouse.Options{Addr: []string{server.TCP}})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, db := range databases {
		if err := admin.Exec(t.Context(), "CREATE DATABASE "+db); err != nil {
			t.Fatal(err)
		}
	}
	if err := admin.Exec(t.Context(), "CREATE TABLE taken.tickets_all (id UInt64) ENGINE = MergeTree ORDER BY id COMMENT 'of somebody else'"); err != nil {
		t.Fatal(err)
	}
	return server
}
