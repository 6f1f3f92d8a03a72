package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"
	"deskhouse/source/desksim"

	warehouse "deskhouse/sink/clickhouse"
)

// breakage is one thing that is wrong, and the one line that must say so.
type breakage struct {
	name   string
	portal func(*desksim.Config)
	before func(*checked) // before the webhook is registered
	broken func(*checked) // after the webhook was registered
	alone  bool           // no webhook is registered before
	fresh  bool           // and the state does not know a token
	item   string
	result string
	says   []string
	never  []string
}

func refuse(scope string) func(*checked) {
	return func(c *checked) { c.portal.Faults().RefuseScope(scope) }
}

func set(old, new string) func(*checked) { return func(c *checked) { c.replace(old, new) } }

// breakages is everything that check looks at but what TestCheckState and
// TestCheckNATS have.
func breakages() []breakage {
	const conn = "connection main "
	const pipe = "pipeline support "
	missing := func(scope, refused, result string) breakage {
		return breakage{name: "scope " + scope, broken: refuse(refused), item: conn + "scope " + scope, result: result, says: []string{"missing", "auth exchange --connection main", "Desk.tickets.READ,"}}
	}
	return []breakage{
		{name: "nothing"},
		missing("Desk.tickets.READ", "Desk.tickets.READ", resultFailure),
		missing("Desk.search.READ", "Desk.search.READ", resultFailure),
		missing("Desk.basic.READ", "Desk.basic.READ", resultFailure),
		missing("Desk.settings.READ", "Desk.settings.READ", resultFailure),
		missing("Desk.products.READ", "Desk.products.READ", resultFailure),
		missing("Desk.contracts.READ", "Desk.contracts.READ", resultFailure),
		missing("Desk.fields.READ", "Desk.fields.READ", resultFailure),
		missing("Desk.events.ALL", "Desk.events.READ", resultWarning),

		{name: "a consent without a scope", portal: func(p *desksim.Config) {
			p.Scopes = slices.DeleteFunc(slices.Clone(desksim.DefaultScopes), func(s string) bool { return s == "Desk.products.READ" })
		}, item: conn + "scope Desk.products.READ", result: resultFailure, says: []string{"missing: Zoho refuses products", "auth exchange"}},
		{name: "not authorised yet", fresh: true, broken: set("refresh_token: 1000.simulated.refresh, ", ""), item: conn + "credentials", result: resultFailure, says: []string{"auth exchange --connection main"}},
		{name: "client of another data centre", fresh: true, broken: set("1000.SIMULATEDCLIENT", "1000.ELSEWHERE"), item: conn + "data centre", result: resultFailure, says: []string{"invalid_client", "data_center", "127.0.0.1"}},
		{name: "no accounts server", fresh: true, broken: func(c *checked) {
			c.replace(fmt.Sprintf("accounts_url: %q", c.desk), fmt.Sprintf("accounts_url: %q", "http://"+freePort(c.t)))
		}, item: conn + "data centre", result: resultFailure, says: []string{"does not answer", "accounts_url"}},
		{name: "no Desk server", broken: func(c *checked) {
			c.replace(fmt.Sprintf("desk_url: %q", c.desk), fmt.Sprintf("desk_url: %q", "http://"+freePort(c.t)))
		}, item: conn + "data centre", result: resultFailure, says: []string{"does not answer", "data_center"}},
		{name: "wrong client secret", fresh: true, broken: set("simulated-secret", "another-secret"), item: conn + "credentials", result: resultFailure, says: []string{"invalid_client_secret", "client_secret"}},
		{name: "dead refresh token", fresh: true, broken: set("1000.simulated.refresh", "1000.revoked"), item: conn + "credentials", result: resultFailure, says: []string{"invalid_code", "auth exchange"}, never: []string{"wait"}},
		{name: "token requests throttled", fresh: true, broken: func(c *checked) { c.portal.Faults().Rate(desksim.FaultTokenThrottle, 1) }, item: conn + "credentials", result: resultFailure, says: []string{"Access Denied", "wait "}, never: []string{"data_center"}},
		{name: "ten token requests sent already", portal: func(p *desksim.Config) { p.NoTokenThrottle = true }, broken: tenTokenRequests, item: conn + "credentials", result: resultFailure, says: []string{"ten token requests", "wait "}, never: []string{"data_center", "proxy"}},
		{name: "token of a portal that is not ours", broken: func(c *checked) { c.replace(fmt.Sprint(c.portal.OrgID()), "60000000999") }, item: conn + "org id", result: resultFailure, says: []string{"60000000999", "60000000001 (Zylker)", "org_id"}},
		{name: "credits spent", broken: func(c *checked) { c.portal.Faults().Rate(desksim.FaultThreshold, 1) }, item: conn + "credits", result: resultFailure, says: []string{"wait until"}},
		runningOut(0), runningOut(5), runningOut(20), runningOut(35), runningOut(50), runningOut(60), runningOut(68),
		{name: "credits down to the reserve", broken: set("data_center: us,", "data_center: us, credits: {reserve: 110000},"), item: conn + "credits", result: resultWarning, says: []string{"reserve", "credits.reserve"}},
		{name: "clock a minute off", broken: func(c *checked) { c.portal.Faults().DateSkew(time.Minute, 0) }, item: conn + "clock", result: resultWarning, says: []string{"behind", "NTP"}},
		{name: "clock ten minutes off", broken: func(c *checked) { c.portal.Faults().DateSkew(-10*time.Minute, 0) }, item: conn + "clock", result: resultFailure, says: []string{"ahead of", "NTP"}},
		{name: "the older fields endpoint alone", broken: func(c *checked) { c.portal.Faults().FieldEndpoints(desksim.OldFields) }, item: conn + "fields", result: resultWarning, says: []string{"/organizationFields answers for tickets", "nobody answers for", "by itself"}},
		{name: "a field hidden by the profile", broken: func(c *checked) { c.portal.Faults().HideField("subject", true) }, item: conn + "agent's profile", result: resultWarning, says: []string{"tickets: GET lacks subject, search lacks subject", "profile"}},
		{name: "a key that only search lacks", broken: func(c *checked) { c.portal.Faults().HideField("relationshipType", true) }, item: conn + "agent's profile", result: resultWarning, says: []string{"tickets: search lacks relationshipType"}},
		{name: "a department the agent lost", broken: hideDepartment, item: pipe + "departments", result: resultWarning, says: []string{"1 of 5", "give the agent access"}},
		{name: "edition without contracts", broken: func(c *checked) { c.portal.Faults().RefuseLicense("contracts", true) }, item: pipe + "table contracts", result: resultFailure, says: []string{"LICENSE_ACCESS_LIMITED", "{contracts: false}"}},
		{name: "edition without search", broken: func(c *checked) { c.portal.Faults().RefuseLicense("tickets.search", true) }, item: pipe + "table tickets", result: resultWarning, says: []string{"LICENSE_ACCESS_LIMITED", "103 credits"}},
		{name: "no recycle bin", broken: func(c *checked) { c.portal.Faults().RefuseLicense("recycleBin", true) }, item: conn + "recycle bin", result: resultWarning, says: []string{"resync"}},

		{name: "edition without webhooks", alone: true, portal: func(p *desksim.Config) { p.Edition = desksim.Standard }, item: conn + "webhook quota", result: resultWarning, says: []string{"0 of the 0", "STANDARD", "polls"}},
		{name: "no webhook left", alone: true, portal: func(p *desksim.Config) { p.Edition = desksim.Professional }, broken: func(c *checked) {
			for i := range 5 {
				c.foreignHook(i)
			}
		}, item: conn + "webhook quota", result: resultWarning, says: []string{"5 of the 5", "none is ours"}},
		{name: "webhook not registered", alone: true, item: pipe + "webhook", result: resultWarning, says: []string{"not registered", "webhook register"}},
		{name: "webhook removed at Zoho", broken: func(c *checked) { c.portal.RemoveWebhook(c.portal.Webhooks()[0]) }, item: pipe + "webhook", result: resultWarning, says: []string{"gone at Zoho", "webhook register"}},
		{name: "webhook switched off", broken: func(c *checked) { c.hook(`{"isEnabled":false,"subscriptions":` + ourEvents + `}`) }, item: pipe + "webhook", result: resultWarning, says: []string{"switched off", "webhook register"}},
		{name: "webhook that points elsewhere", broken: func(c *checked) { c.hook(`{"url":"https://other.example.org/x","subscriptions":` + ourEvents + `}`) }, item: pipe + "webhook", result: resultWarning, says: []string{"another URL", "other.example.org", "webhook register"}},
		{name: "webhook at another host", before: set("https://"+publicHost, "https://old."+publicHost), broken: set("https://old."+publicHost, "https://"+publicHost), item: pipe + "webhook", result: resultWarning, says: []string{"at another host: old." + publicHost, "webhook register"}},
		{name: "webhook without deletes", broken: func(c *checked) {
			c.hook(`{"subscriptions":` + strings.Replace(ourEvents, `"Ticket_Delete":null,`, "", 1) + `}`)
		}, item: pipe + "webhook", result: resultWarning, says: []string{"Ticket_Delete", "webhook register"}},

		{name: "nobody at the public URL", broken: func(c *checked) {
			c.public = roundTripper(func(*http.Request) (*http.Response, error) {
				c.intakeAnswersAsAdvised()
				return nil, &net.DNSError{Err: "no such host", Name: publicHost}
			})
		}, item: itemPublic, result: resultWarning, says: []string{"cannot be tried from here", "no such host", "/hooks/x/y must answer 404 with an empty body"}},
		{name: "somebody else at the public URL", broken: func(c *checked) {
			c.public = roundTripper(func(r *http.Request) (*http.Response, error) { return httptest.NewRecorder().Result(), nil })
		}, item: itemPublic, result: resultFailure, says: []string{"something else", "intake.listen"}},
		{name: "a proxy that does not pass the path", broken: func(c *checked) {
			c.public = roundTripper(func(r *http.Request) (*http.Response, error) {
				reply := httptest.NewRecorder()
				reply.WriteHeader(http.StatusBadGateway)
				return reply.Result(), nil
			})
		}, item: itemPublic, result: resultFailure, says: []string{"answers 502", "proxy"}},

		{name: "a public port that is not 80 or 443", before: set("https://"+publicHost, "https://"+publicHost+":8443"), item: itemPublic, result: resultWarning, says: []string{"80 and 443", "8443"}},
		{name: "a public URL without TLS", before: set("https://"+publicHost, "http://"+publicHost), item: itemPublic, result: resultWarning, says: []string{"without TLS"}},
		{name: "intake port taken", broken: func(c *checked) {
			taken, err := net.Listen("tcp", c.intake)
			if err != nil {
				c.t.Fatal(err)
			}
			c.t.Cleanup(func() { _ = taken.Close() })
		}, item: itemIntake, result: resultFailure, says: []string{"in use", "intake.listen"}},
		{name: "two connections to one portal", before: func(c *checked) {
			c.replace("connections:\n", fmt.Sprintf("connections:\n  second: {data_center: us, org_id: \"%d\", client_id: 1000.SIMULATEDCLIENT, client_secret: simulated-secret, refresh_token: 1000.simulated.refresh, accounts_url: %q, desk_url: %q}\n", c.portal.OrgID(), c.desk, c.desk))
		}, item: "shared limits", result: resultWarning, says: []string{"main and second", "portal", "client id"}},

		{name: "a department that the portal has not", broken: set("password: pw}}", `password: pw}, tables: {tickets: {departments: {only: ["77"]}}}}`), item: pipe + "selection of tickets", result: resultWarning, says: []string{"1 of its 1", "77", "tables.tickets.departments"}},
		{name: "wrong ClickHouse password", broken: set("password: pw", "password: wrong"), item: pipe + "warehouse", result: resultFailure, says: []string{"refused user or password", "warehouse.password"}},
		{name: "no ClickHouse", broken: func(c *checked) {
			c.replace(c.server(), freePort(c.t))
		}, item: pipe + "warehouse", result: resultFailure, says: []string{"unreachable", "warehouse.url"}},
		{name: "two names of the ClickHouse", broken: func(c *checked) { c.replace(c.server(), c.server()+",localhost:"+portOf(c.server())) }},
		{name: "a second host that is down", broken: func(c *checked) { c.replace(c.server(), freePort(c.t)+","+c.server()) }, item: pipe + "hosts", result: resultWarning, says: []string{"connection refused", "holds no database of deskhouse's yet (ClickHouse ", "nobody to take over"}},
		{name: "ClickHouse over TLS", broken: secured(time.Hour, "127.0.0.1", false, "{ca: %s}")},
		{name: "ClickHouse over TLS with a client certificate", broken: secured(time.Hour, "127.0.0.1", true, "{ca: %s, cert: %s, key: %s}")},
		{name: "ClickHouse of an unknown authority", broken: secured(time.Hour, "127.0.0.1", false, "{}"), item: pipe + "warehouse", result: resultFailure, says: []string{"authority that is unknown", "warehouse.tls.ca"}},
		{name: "ClickHouse of an expired certificate", broken: secured(-time.Hour, "127.0.0.1", false, "{ca: %s}"), item: pipe + "warehouse", result: resultFailure, says: []string{"valid from ", "renewed"}},
		{name: "ClickHouse of another name", broken: secured(time.Hour, "db.example.org", false, "{ca: %s}"), item: pipe + "warehouse", result: resultFailure, says: []string{"is for db.example.org, not for 127.0.0.1", "warehouse.tls.server_name"}},
		{name: "ClickHouse that wants a client certificate", broken: secured(time.Hour, "127.0.0.1", true, "{ca: %s}"), item: pipe + "warehouse", result: resultFailure, says: []string{"asks for a client certificate", "warehouse.tls.cert"}},
		{name: "ClickHouse whose certificate is not looked at", broken: func(c *checked) {
			secured(time.Hour, "127.0.0.1", false, "")(c)
			c.replace(`", database: desk`, `?skip_verify=true", database: desk`)
		}, item: pipe + "warehouse", result: resultWarning, says: []string{"not looked at", "skip_verify"}},
		{name: "a setting that ClickHouse does not know", broken: set("password: pw", "password: pw, settings: {max_thread: 4}"), item: pipe + "warehouse", result: resultFailure, says: []string{"max_thread: ClickHouse code 115"}},
		{name: "a needed grant is missing", broken: set("user: writer", "user: poor"), item: pipe + "grants", result: resultFailure, says: []string{"ALTER ADD COLUMN ON `desk`.*", "GRANT ALTER ADD COLUMN ON `desk`.* TO `poor`;"}},
		{name: "grants that are not needed are missing", broken: set("user: writer", "user: frugal"), item: pipe + "grants", result: resultWarning, says: []string{"not needed", "SELECT ON system.parts", "GRANT SYSTEM RELOAD DICTIONARY ON *.* TO `frugal`;"}},
		{name: "database of another pipeline", broken: ownedByAnother, item: pipe + "warehouse", result: resultFailure, says: []string{"another pipeline", "database of its own"}},
		{name: "tables of somebody else", broken: set("database: desk", "database: taken"), item: pipe + "warehouse", result: resultFailure, says: []string{"tickets_all", "database"}},
	}
}

// server is the host:port of the ClickHouse in the configuration.
func (c *checked) server() string {
	_, rest, _ := strings.Cut(c.text, `warehouse: {url: "http://`)
	server, _, _ := strings.Cut(rest, `"`)
	return server
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// secured puts TLS before the ClickHouse, with a certificate that is valid for
// so long and for a name; keys are those of warehouse.tls.
func secured(valid time.Duration, name string, clients bool, keys string) func(*checked) {
	return func(c *checked) {
		ca := enginetest.NewAuthority(c.t)
		client, asked := ca.Issue(c.t, time.Hour, "loader"), (*enginetest.Authority)(nil)
		if clients {
			asked = ca
		}
		front := enginetest.NewFront(c.t, c.server(), ca.Issue(c.t, valid, name).Server(asked))
		c.replace("http://"+c.server(), "https://"+front.Addr)
		files := []any{ca.File, client.Cert, client.Key}[:strings.Count(keys, "%s")]
		if keys != "" {
			c.replace("password: pw", "password: pw, tls: "+fmt.Sprintf(keys, files...))
		}
	}
}

const ourEvents = `{"Ticket_Add":null,"Ticket_Update":{"includePrevState":true},"Ticket_Delete":null,"Department_Add":null,"Department_Update":{"includePrevState":true}}`

// runningOut is a portal that has so many credits left when the check begins.
// The credits are to blame, and nothing else.
func runningOut(left int) breakage {
	return breakage{name: fmt.Sprintf("%d credits left", left), broken: func(c *checked) {
		c.replace("data_center: us,", "data_center: us, credits: {reserve: 0, per_day: 100},")
		c.portal.AllowCredits(c.portal.Stats().CreditsSpent + left)
	},
		item: "connection main credits", result: resultFailure, says: []string{"calls wait until", "wait, lower credits.reserve"}}
}

// tenTokenRequests starts again and again while Zoho drops every token.
func tenTokenRequests(c *checked) {
	c.t.Helper()
	for range 10 {
		for range 10 { // of the ten that live, these push out ours
			c.portal.AccessToken()
		}
		if asked := c.portal.Stats().TokenRequests; asked == 10 {
			return
		}
		core, err := openCore(c.t.Context(), c.config(), zerolog.Nop())
		if err != nil {
			c.t.Fatal(err)
		}
		_, asking := core.conns["main"].client.Organizations(c.t.Context())
		if err := errors.Join(asking, core.Close()); err != nil {
			c.t.Fatal(err)
		}
	}
	c.t.Fatalf("%d token requests were sent", c.portal.Stats().TokenRequests)
}

// intakeAnswersAsAdvised holds the intake against what a person is told to try.
func (c *checked) intakeAnswersAsAdvised() {
	reply, err := http.Get("http://" + c.intake + "/hooks/x/y")
	if err != nil {
		c.t.Error(err)
		return
	}
	defer reply.Body.Close()
	if body, err := io.ReadAll(reply.Body); err != nil || reply.StatusCode != http.StatusNotFound || len(body) != 0 {
		c.t.Errorf("the intake answers %d with %q, %v", reply.StatusCode, body, err)
	}
}

// hideDepartment fills the departments of a warehouse, then narrows the agent.
func hideDepartment(c *checked) {
	c.t.Helper()
	c.replace("database: desk", "database: held")
	w := c.config().Pipelines["support"].Warehouse
	wh, err := warehouse.Open(c.t.Context(), warehouse.Config{URL: w.URL, Database: w.Database, User: w.User, Password: w.Password.Reveal(), OrgID: c.portal.OrgID(), Pipeline: "support", Logger: zerolog.Nop()})
	if err != nil {
		c.t.Fatal(err)
	}
	defer wh.Close()
	if err := wh.Prepare(c.t.Context(), []source.Table{source.Departments}); err != nil {
		c.t.Fatal(err)
	}
	var rows []source.Row
	for truth := range c.portal.Truth("departments") {
		rec, err := source.ParseRecord(source.Lookup(source.Departments), "", truth.Get)
		if err != nil {
			c.t.Fatal(err)
		}
		head := source.Head{Content: source.Stamp{AsOf: 1, Rank: source.EvidenceGet, Hash: rec.Fingerprint}}
		head.Version = source.NextVersion(head)
		rows = append(rows, source.Row{Key: rec.Key, State: source.State{Head: head, Record: rec}})
	}
	if err := wh.Write(c.t.Context(), source.Departments, rows, 1); err != nil {
		c.t.Fatal(err)
	}
	c.portal.Faults().HideDepartment(rows[2].Key.ID, true)
}

// ownedByAnother lets another pipeline take the database.
func ownedByAnother(c *checked) {
	c.t.Helper()
	c.replace("database: desk", "database: others")
	w := c.config().Pipelines["support"].Warehouse
	wh, err := warehouse.Open(c.t.Context(), warehouse.Config{URL: w.URL, Database: w.Database, User: w.User, Password: w.Password.Reveal(), OrgID: c.portal.OrgID(), Pipeline: "sales", Logger: zerolog.Nop()})
	if err != nil {
		c.t.Fatal(err)
	}
	defer wh.Close()
	if err := wh.Prepare(c.t.Context(), nil); err != nil {
		c.t.Fatal(err)
	}
}
