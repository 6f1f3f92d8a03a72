package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"deskhouse/source"
	"deskhouse/source/webhook"
)

// fakeDesk answers each call with a function; a nil one gives the answer of an
// empty portal.
type fakeDesk struct {
	search   func(context.Context, source.Table, source.Query) (source.Page, error)
	get      func(context.Context, source.Table, uint64) (*source.Record, source.Timing, error)
	list     func(context.Context, source.Table, source.ListQuery) (source.Page, error)
	archived func(ctx context.Context, department uint64, offset int) (source.Page, error)
	fields   func(ctx context.Context, module string) (source.Page, []source.CustomField, error)
	bin      func(ctx context.Context, t source.Table, offset, limit int) ([]source.BinItem, source.Timing, error)
	now      func() time.Time
}

func (d *fakeDesk) Search(ctx context.Context, _ source.Priority, t source.Table, q source.Query) (source.Page, error) {
	if d.search == nil {
		return pageOf(nil, 0), nil
	}
	return d.search(ctx, t, q)
}

func (d *fakeDesk) Get(ctx context.Context, _ source.Priority, t source.Table, id uint64) (*source.Record, source.Timing, error) {
	if d.get == nil {
		return nil, timing(), notFound
	}
	return d.get(ctx, t, id)
}

func (d *fakeDesk) List(ctx context.Context, _ source.Priority, t source.Table, q source.ListQuery) (source.Page, error) {
	if d.list == nil {
		return pageOf(nil, -1), nil
	}
	return d.list(ctx, t, q)
}

func (d *fakeDesk) Archived(ctx context.Context, _ source.Priority, department uint64, offset, _ int) (source.Page, error) {
	if d.archived == nil {
		return pageOf(nil, -1), nil
	}
	return d.archived(ctx, department, offset)
}

func (d *fakeDesk) Fields(ctx context.Context, _ source.Priority, module string) (source.Page, []source.CustomField, error) {
	if d.fields == nil {
		return source.Page{}, nil, forbidden
	}
	return d.fields(ctx, module)
}

func (d *fakeDesk) Bin(ctx context.Context, _ source.Priority, t source.Table, offset, limit int) ([]source.BinItem, source.Timing, error) {
	if d.bin == nil {
		return nil, timing(), nil
	}
	return d.bin(ctx, t, offset, limit)
}

func (d *fakeDesk) ZohoNow() time.Time {
	if d.now == nil {
		return time.Now()
	}
	return d.now()
}

func (d *fakeDesk) AskTime(context.Context) (time.Time, error) {
	if now := d.ZohoNow(); !now.IsZero() {
		return now, nil
	}
	return time.Time{}, busy
}

var (
	notFound  = &source.CallError{Fault: source.FaultNotFound, Op: "GET", Status: 404, Code: "URL_NOT_FOUND"}
	forbidden = &source.CallError{Fault: source.FaultForbidden, Op: "GET", Status: 403, Code: "FORBIDDEN"}
	busy      = &source.CallError{Fault: source.FaultRetry, Op: "GET", Status: 500}
)

func timing() source.Timing { return source.Timing{Date: time.Now().Truncate(time.Second)} }

func pageOf(recs []*source.Record, count int64) source.Page {
	return source.Page{Records: recs, Rows: len(recs), Count: count, At: timing()}
}

// fail stops a test wherever it runs; testing.T and rapid.T have it.
type fail interface {
	Helper()
	Fatalf(string, ...any)
}

func parsed(t fail, table source.Table, body string) *source.Record {
	t.Helper()
	rec, err := source.ParseRecord(source.Lookup(table), "", []byte(body))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return rec
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// recordOf is a small record of tickets, products or contracts.
func recordOf(t fail, table source.Table, id uint64, subject string, created, modified int64) *source.Record {
	t.Helper()
	name := map[source.Table]string{source.Tickets: "subject", source.Products: "productName", source.Contracts: "contractName", source.Departments: "name"}[table]
	return parsed(t, table, fmt.Sprintf(`{"id":"%d","%s":%q,"createdTime":%q,"modifiedTime":%q}`, id, name, subject, stamp(created), stamp(modified)))
}

func ticket(t fail, id uint64, subject string, modified int64) *source.Record {
	t.Helper()
	return recordOf(t, source.Tickets, id, subject, modified, modified)
}

// rig is the shared parts of a sync around a fake portal, without a Pipeline.
type rig struct {
	deps
	mem     *memWarehouse
	letters *memLetters
}

// newRig takes the parts that a test replaces; nil gives the in-memory ones.
func newRig(t fail, desk *fakeDesk, wh Warehouse, kv KV) *rig {
	t.Helper()
	r := &rig{mem: newMemWarehouse(), letters: &memLetters{}}
	if wh == nil {
		wh = r.mem
	}
	if kv == nil {
		kv = newMemKV()
	}
	clock, log := clockwork.NewRealClock(), zerolog.Nop()
	r.deps = deps{name: "test", desk: desk, wh: wh, kv: kv, dead: r.letters, covs: map[source.Table]*source.Coverage{},
		rereads: newRereads(kv, "test", clock, log), blanks: newBlanks(), misses: newMissGuard(wh, clock, func(context.Context, source.Table, cause) (bool, error) { return false, nil }), schema: newSchema(desk, wh, clock, log),
		history: map[source.Table]bool{source.Tickets: true}, clock: clock, log: log,
		metrics: newMetrics(nil, "test"), progress: newProgress(clock, nil), failing: newFailing(clock)}
	for _, res := range source.Resources {
		seen := source.FieldSet{}
		if res.Table != source.OrganizationFields {
			seen = recordOf(t, res.Table, 1, "", 0, 0).Present
		}
		r.covs[res.Table] = source.NewCoverage(res, seen, seen)
	}
	return r
}

// spawn runs loops until the test calls the returned function, which waits for
// them all.
func spawn(loops ...func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	for _, loop := range loops {
		g.Go(func() error { return loop(ctx) })
	}
	return sync.OnceFunc(func() { cancel(); _ = g.Wait() })
}

func (r *rig) readers(ws ...*writer) []func(context.Context) error {
	writers := map[source.Table]*writer{}
	var loops []func(context.Context) error
	for _, w := range ws {
		writers[w.table] = w
		loops = append(loops, w.run)
	}
	for range rereadWorkers {
		loops = append(loops, (&reader{deps: r.deps, writers: writers}).run)
	}
	return loops
}

// hold puts a row into the warehouse as an earlier run left it.
func (m *memWarehouse) hold(t source.Table, k source.Key, st source.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.main[t] == nil {
		m.main[t] = map[source.Key]source.State{}
	}
	if st.Version == 0 {
		st.Version = source.NextVersion(st.Head)
	}
	m.main[t][k] = st
}

func (m *memWarehouse) row(t source.Table, id uint64) source.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.main[t][source.Key{ID: id}]
}

// content is the state of a row whose content came from a search.
func content(rec *source.Record) source.State {
	cov := source.NewCoverage(rec.Resource, rec.Present, rec.Present)
	return source.Merge(source.State{}, cov.FromSearch(rec, source.Timing{}, originSnapshot))
}

// journalKV notes what is saved, in order, and fails as told.
type journalKV struct {
	*memKV
	note func(op, key string)
	fail func(key string) error
}

func (s *journalKV) Save(ctx context.Context, key string, value []byte) error {
	if s.fail != nil {
		if err := s.fail(key); err != nil {
			return err
		}
	}
	if s.note != nil {
		s.note("save", key)
	}
	return s.memKV.Save(ctx, key, value)
}

// hookWarehouse lets a test fail or watch single calls before they reach the
// memory.
type hookWarehouse struct {
	*memWarehouse
	heads   func(keys []source.Key) error
	write   func(rows []source.Row) error
	side    func(rows []source.SideRow) error
	changed func(changes []source.Change) error
	tracked func(keys []source.Key)
	pos     func(seq uint64) error
}

func (h *hookWarehouse) Heads(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]source.Head, error) {
	if h.heads != nil {
		if err := h.heads(keys); err != nil {
			return nil, err
		}
	}
	return h.memWarehouse.Heads(ctx, t, keys)
}

func (h *hookWarehouse) Write(ctx context.Context, t source.Table, rows []source.Row, epoch uint64) error {
	if h.write != nil {
		if err := h.write(rows); err != nil {
			return err
		}
	}
	return h.memWarehouse.Write(ctx, t, rows, epoch)
}

func (h *hookWarehouse) WriteSide(ctx context.Context, t source.Table, reg source.Register, rows []source.SideRow, epoch uint64) error {
	if h.side != nil {
		if err := h.side(rows); err != nil {
			return err
		}
	}
	return h.memWarehouse.WriteSide(ctx, t, reg, rows, epoch)
}

func (h *hookWarehouse) WriteChanges(ctx context.Context, changes []source.Change) error {
	if h.changed != nil {
		if err := h.changed(changes); err != nil {
			return err
		}
	}
	return h.memWarehouse.WriteChanges(ctx, changes)
}

func (h *hookWarehouse) Tracked(ctx context.Context, t source.Table, keys []source.Key) (*source.Tracked, error) {
	if h.tracked != nil {
		h.tracked(keys)
	}
	return h.memWarehouse.Tracked(ctx, t, keys)
}

func (h *hookWarehouse) SavePosition(ctx context.Context, name string, seq uint64) error {
	if h.pos != nil && !strings.HasSuffix(name, beatOf) && !strings.HasPrefix(name, editionOf) {
		if err := h.pos(seq); err != nil {
			return err
		}
	}
	return h.memWarehouse.SavePosition(ctx, name, seq)
}

// ticketEvent is a delivery's event about a ticket.
func ticketEvent(kind string, at int64, payload string) webhook.Event {
	return webhook.Event{Kind: webhook.Delivered, Type: kind, EventTime: fmt.Sprint(at), OrgID: 1,
		Raw: fmt.Appendf(nil, `{"eventType":%q,"eventTime":"%d","orgId":"1","payload":%s}`, kind, at, payload)}
}

func ticketJSON(id uint64, subject string, modified int64) string {
	return fmt.Sprintf(`{"id":"%d","subject":%q,"createdTime":%q,"modifiedTime":%q}`, id, subject, stamp(modified), stamp(modified))
}

func appendEvents(t *testing.T, l *memLog, events ...webhook.Event) uint64 {
	t.Helper()
	seq, err := l.Append(context.Background(), webhook.EncodeGroup(events))
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func stored(kv KV, prefix string) []string {
	m, _ := kv.List(context.Background(), prefix)
	var keys []string
	for k := range m {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// bubble runs f in virtual time, for properties: rapid itself must stay
// outside.
func bubble(t *testing.T, f func(*testing.T) error) (err error) {
	synctest.Test(t, func(t *testing.T) { err = f(t) })
	return err
}
