package pipeline

import (
	"bytes"
	"context"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

// site is a portal and one sync of it whose credits count: no intake, and one
// connection over all its processes.
type site struct {
	t      *testing.T
	portal *desksim.Portal
	client *zohodesk.Client
	wh     *memWarehouse
	kv     *memKV
	log    *memLog // nil: no webhooks
	said   *bytes.Buffer
	cfg    Config
	p      *Pipeline
	stop   func()
}

// newSite has the polls of a portal without webhooks.
func newSite(t *testing.T, portal desksim.Config) *site {
	t.Helper()
	s := &site{t: t, portal: desksim.New(portal), wh: newMemWarehouse(), kv: newMemKV(), said: &bytes.Buffer{}}
	var err error
	s.client, err = zohodesk.New(zohodesk.Config{Name: "main", AccountsURL: "https://accounts.sim", DeskURL: "https://desk.sim", OrgID: s.portal.OrgID(),
		ClientID: "1000.SIMULATEDCLIENT", ClientSecret: "simulated-secret", RefreshToken: "1000.simulated.refresh",
		Transport: s.portal.RoundTripper(), Logger: zerolog.Nop()})
	s.must(err)
	s.cfg = Config{Name: "site", OrgID: s.portal.OrgID(), Trust: true, Bin: time.Hour, Modules: zohodesk.FieldModules(), Hydrate: map[source.Table]Hydrate{},
		Tables: []source.Table{source.OrganizationFields, source.Departments, source.Products, source.Contracts, source.Tickets},
		Polls: map[source.Table]time.Duration{source.OrganizationFields: 12 * time.Hour, source.Departments: 6 * time.Hour,
			source.Products: 2 * time.Hour, source.Contracts: 2 * time.Hour, source.Tickets: 5 * time.Minute}}
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// start runs a process until stop, or until the test's own call of close.
func (s *site) start() {
	ctx, cancel := context.WithCancel(context.Background())
	parts := Parts{Desk: s.client, Warehouse: s.wh, KV: s.kv, Dead: &memLetters{}, Purse: s.client,
		Clock: clockwork.NewRealClock(), Log: zerolog.New(s.said)}
	if s.log != nil {
		parts.Events = s.log
	}
	p := New(s.cfg, parts)
	s.p = p
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != context.Canceled {
			s.t.Errorf("pipeline ended with %v", err)
		}
	})
}

func (s *site) close() {
	s.stop()
	s.portal.Close()
}

// spent is what one purpose has cost so far.
func (s *site) spent(p source.Priority) int { return int(s.client.Credits().ByPriority[p]) }

// progress is what people are told of a table.
func (s *site) progress(t source.Table) Progress {
	s.t.Helper()
	st, err := s.p.Status(context.Background())
	s.must(err)
	for _, pr := range st.Tables {
		if pr.Table == t {
			return pr
		}
	}
	s.t.Fatalf("no progress of %s", t)
	return Progress{}
}

// held copies a table and its detail once nothing is at work at this instant.
func (s *site) held(t source.Table) (rows map[source.Key]source.State, details map[source.Key]source.SideRow) {
	synctest.Wait()
	s.wh.mu.Lock()
	defer s.wh.mu.Unlock()
	return maps.Clone(s.wh.main[t]), maps.Clone(s.wh.sides[t][source.Detail])
}

// missing counts the live rows whose detail is not the portal's.
func (s *site) missing(t source.Table) int {
	s.t.Helper()
	_, details := s.held(t)
	n := 0
	for truth := range s.portal.Truth(string(t)) {
		if truth.State != desksim.Live {
			continue
		}
		want := parsed(s.t, t, string(truth.Get))
		got := details[source.Key{ID: truth.ID}]
		if got.Record == nil || got.Record.SideHash(source.Detail) != want.SideHash(source.Detail) {
			n++
		}
	}
	return n
}
