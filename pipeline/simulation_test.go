package pipeline

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"deskhouse/source"
	"deskhouse/source/desksim"
	"deskhouse/source/webhook"
	"deskhouse/source/zohodesk"
)

var (
	simSeeds = flag.Int("sim.seeds", 8, "number of seeds of the simulation test")
	simSeed  = flag.Int64("sim.seed", 0, "run this seed only")
)

// TestSimulation lets a portal live while webhooks are lost, doubled, delayed
// and reordered, calls fail and the process is stopped at arbitrary moments;
// after it goes quiet and one resync ran, every table must equal the portal's
// own truth. Time is virtual: each seed lives through hours in an instant.
func TestSimulation(t *testing.T) {
	first, last := int64(1), int64(*simSeeds)
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			// Every other seed does without the resync: polls and the recycle
			// bin alone must repair all that they can show.
			synctest.Test(t, func(t *testing.T) { simulate(t, seed, seed%2 == 0) })
		})
	}
}

const hookSecret = "abcdefghijklmnopqrstuvwxyz"

// world is one portal and one sync of it.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	portal  *desksim.Portal
	client  *zohodesk.Client
	wh      *memWarehouse
	kv      *memKV
	log     *memLog
	letters *memLetters
	logger  zerolog.Logger
	loss    float64
	cfg     Config

	p    *Pipeline
	stop func()
}

// shown are the changes that polls or the recycle bin show: all but purges,
// deleted spam, merges, archiving and silent updates, which only a complete
// reading finds.
var shown = desksim.Weights{CreateTicket: 200, UpdateTicket: 500, AutomationUpdate: 20, MoveTicket: 40, TrashTicket: 60, RestoreTicket: 25,
	CreateProduct: 8, UpdateProduct: 20, TrashProduct: 4, RestoreProduct: 2, CreateContract: 6, UpdateContract: 15, TrashContract: 3,
	AddDepartment: 1, UpdateDepartment: 5, AddField: 2}

func simulate(t *testing.T, seed int64, resync bool) {
	w := newWorld(t, seed, resync)
	defer w.portal.Close()
	w.start()
	defer func() { w.stop() }()
	f := w.portal.Faults()
	f.Webhooks(desksim.WebhookFaults{Loss: w.loss, Duplicate: 0.1, Reorder: 0.1, Delay: 0.1, Partial: 0.1})
	f.Rate(desksim.FaultTooMany, 0.02)
	f.Rate(desksim.FaultServerError, 0.02)
	f.Rate(desksim.FaultCutBody, 0.02)
	f.Rate(desksim.FaultHTML, 0.01)
	f.Rate(desksim.FaultStale, 0.05)
	for range 30 {
		w.portal.Mutate(1 + w.rng.IntN(10))
		time.Sleep(time.Duration(w.rng.IntN(300)) * time.Second)
		if w.rng.IntN(6) == 0 {
			w.restart()
		}
		if w.rng.IntN(4) == 0 {
			w.wh.mu.Lock()
			w.wh.failNext = w.rng.IntN(3)
			w.wh.mu.Unlock()
		}
	}
	w.quiet(resync)
	w.compare()
}

// newWorld draws a portal and a way of living from the seed.
func newWorld(t *testing.T, seed int64, resync bool) *world {
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	weights, loss := shown, 0.0
	switch {
	case resync:
		weights, loss = desksim.DefaultWeights, 0.1
		weights.SilentUpdate = 20
	case seed%4 == 1:
		// A ticket whose every event was lost, trashed and restored between
		// two rounds, is shown by nothing: without events no restores here.
		loss, weights.RestoreTicket, weights.RestoreProduct = 0.3, 0, 0
	}
	w := newWorldOf(t, desksim.Config{Seed: seed, Tickets: 300 + rng.IntN(400), ArchivedTickets: 20, Weights: weights,
		DeleteMode: desksim.DeleteMode(rng.IntN(6)), PayloadAtEvent: rng.IntN(2) == 0, QuietRemovals: rng.IntN(2) == 0,
		TrashedIs404: rng.IntN(4) == 0, Burst: rng.IntN(2) * 150, MergedAnswers: rng.IntN(3) == 0})
	w.rng, w.loss, w.cfg.Trust = rng, loss, rng.IntN(3) > 0
	return w
}

// newWorldOf is a given portal with an intake and a webhook.
func newWorldOf(t *testing.T, portal desksim.Config) *world {
	w := &world{t: t, wh: newMemWarehouse(), kv: newMemKV(), log: newMemLog(), letters: &memLetters{}, logger: zerolog.Nop()}
	if *simSeed != 0 {
		w.logger = zerolog.New(zerolog.NewTestWriter(t))
	}
	intake, err := webhook.New(webhook.Config{Logger: zerolog.Nop()})
	w.must(err)
	portal.Deliver = handlerTransport{intake}
	w.portal = desksim.New(portal)
	w.must(intake.SetRoutes([]webhook.Route{{Pipeline: "sim", Secrets: []string{hookSecret}, OrgID: w.portal.OrgID(),
		JWT: webhook.JWTOff, Log: w.log, DeadLetters: w.letters}}))
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return intake.Run(ctx) })
	t.Cleanup(func() { cancel(); _ = g.Wait() })
	w.client, err = zohodesk.New(zohodesk.Config{Name: "main", AccountsURL: "https://accounts.sim", DeskURL: "https://desk.sim", OrgID: w.portal.OrgID(),
		ClientID: "1000.SIMULATEDCLIENT", ClientSecret: "simulated-secret", RefreshToken: "1000.simulated.refresh",
		Transport: w.portal.RoundTripper(), Logger: zerolog.Nop()})
	w.must(err)
	_, err = w.client.CreateWebhook(ctx, zohodesk.WebhookSpec{Name: "sim", URL: "https://cdc.example.org" + webhook.Path("sim", hookSecret), PrevState: true})
	w.must(err)
	w.cfg = Config{Name: "sim", OrgID: w.portal.OrgID(), Trust: true, Bin: time.Hour, Modules: zohodesk.FieldModules(),
		Tables:  []source.Table{source.OrganizationFields, source.Departments, source.Products, source.Contracts, source.Tickets},
		History: map[source.Table]bool{source.Tickets: true},
		Polls: map[source.Table]time.Duration{source.OrganizationFields: 12 * time.Hour, source.Departments: 6 * time.Hour,
			source.Products: 2 * time.Hour, source.Contracts: 2 * time.Hour, source.Tickets: 20 * time.Minute}}
	return w
}

// handlerTransport answers requests by calling a handler.
type handlerTransport struct{ h http.Handler }

func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	t.h.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.p = New(w.cfg, Parts{Desk: w.client, Warehouse: w.wh, KV: w.kv, Events: w.log, Dead: w.letters, Clock: clockwork.NewRealClock(), Log: w.logger})
	ended := make(chan error, 1)
	p := w.p
	go func() { ended <- p.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != context.Canceled {
			w.t.Errorf("pipeline ended with %v", err)
		}
	})
}

// restart stops the sync wherever it stands and starts another on what was
// stored.
func (w *world) restart() {
	w.stop()
	w.start()
}

// quiet heals everything, lets one round of everything run, and waits.
func (w *world) quiet(resync bool) {
	f := w.portal.Faults()
	f.Clear()
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Hour)
	defer cancel()
	w.must(w.portal.Flush(ctx))
	select {
	case <-w.p.Loaded():
	case <-ctx.Done():
		w.t.Fatal("never loaded")
	}
	time.Sleep(time.Hour) // beyond the lag allowance of the sweep
	for _, t := range w.cfg.Tables {
		w.must(w.p.PollNow(ctx, t))
		w.must(w.p.BinNow(ctx, t))
	}
	w.must(w.p.Settled(ctx))
	if !resync {
		return
	}
	for _, t := range w.cfg.Tables {
		report, err := w.p.Resync(ctx, t, "test")
		w.must(err)
		if report.Incomplete {
			w.t.Errorf("resync of %s is incomplete", t)
		}
	}
	w.must(w.p.Settled(ctx))
}

// compare holds every row against the portal's truth.
func (w *world) compare() {
	for _, t := range w.cfg.Tables {
		rows := map[source.Key]source.State{}
		for k, st := range w.wh.main[t] {
			rows[k] = st
		}
		for truth := range w.portal.Truth(string(t)) {
			key := source.Key{ID: truth.ID}
			if t == source.OrganizationFields {
				key = source.Key{Name: truth.Module + "/" + truth.APIName}
			}
			w.compareRow(t, key, rows[key], truth)
			delete(rows, key)
		}
		for k, st := range rows {
			if !st.Deleted {
				w.t.Errorf("%s %s is visible and not at the source", t, k)
			}
		}
	}
}

func (w *world) compareRow(t source.Table, key source.Key, got source.State, truth desksim.TruthRow) {
	visible := got.Version != 0 && !got.Deleted
	if live := truth.State == desksim.Live; live != visible {
		w.t.Errorf("%s %s: visible %v, at the source %v (life %+v content %+v)", t, key, visible, truth.State, got.Life, got.Content)
		return
	}
	if !visible {
		return
	}
	raw := truth.Get
	if t == source.OrganizationFields && raw == nil {
		raw = truth.Search
	}
	want, err := source.ParseRecord(source.Lookup(t), truth.Module, raw)
	w.must(err)
	if got.Record == nil || got.Record.Fingerprint != want.Fingerprint {
		w.t.Errorf("%s %s: content differs (held %+v): %s", t, key, got.Content, difference(got.Record, want))
	}
}

// difference names the fields that differ.
func difference(got, want *source.Record) string {
	if got == nil {
		return "no content"
	}
	var names []string
	for i, f := range want.Resource.Fields {
		if f.Register == source.Content && f.Kind != source.KindCustom && got.Value(i) != want.Value(i) {
			names = append(names, fmt.Sprintf("%s: %s, want %s", f.Name, got.Value(i), want.Value(i)))
		}
	}
	if fmt.Sprint(got.Custom) != fmt.Sprint(want.Custom) {
		names = append(names, fmt.Sprintf("cf: %v, want %v", got.Custom, want.Custom))
	}
	return strings.Join(names, "; ")
}
