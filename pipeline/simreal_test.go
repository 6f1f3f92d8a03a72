package pipeline

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/sink/clickhouse"
	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"
	"deskhouse/state"
)

var simReal = flag.Int("sim.real", 0, "number of seeds that run on the real engine and log")

// TestSimulationReal carries out the plans of the first seeds on ClickHouse and
// JetStream. Time is a clock that is moved on by hand, seconds for every few
// milliseconds: what waits for a disk takes longer there than in TestSimulation,
// and no run is like another.
func TestSimulationReal(t *testing.T) {
	switch {
	case *simSeed != 0:
		t.Skip("-sim.seed repeats one seed of TestSimulation, which is exact; real parts are not")
	case *simReal == 0:
		t.Skip("about 20 s a seed: make sim and make ci run it, with -sim.real")
	}
	for seed := int64(1); seed <= int64(*simReal); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { liveOnRealParts(t, seed) })
	}
}

func liveOnRealParts(t *testing.T, seed int64) {
	p := drawPlan(seed, nil)
	w := newRealWorld(t, p.set, 5*time.Second)
	p.conf(&w.cfg)
	defer w.portal.Close()
	defer func() {
		if v := recover(); v != nil && v != (giveUp{}) {
			panic(v)
		}
		if t.Failed() {
			t.Logf("the plan was %s", p)
		}
	}()
	l := life{world: w, plan: p, gone: map[uint64]bool{}}
	w.start()
	defer l.close()
	for _, s := range p.steps {
		w.revive()
		l.step(s)
	}
	l.free()
	w.quiet(p.resync)
	w.fetch()
	audit{w, p.resync}.run()
}

// newRealWorld is a world on the shared engine and a state of its own. Its clock
// is moved on by pace every few milliseconds.
func newRealWorld(t *testing.T, set settings, pace time.Duration) *world {
	engine := enginetest.Start(t)
	clock := clockwork.NewFakeClockAt(time.Now().Truncate(time.Second))
	w := &world{t: t, seed: set.portal.Seed, wh: newMemWarehouse(), letters: &memLetters{}, tokens: &memTokens{}, logger: zerolog.Nop(),
		set: set, shown: newShown(), report: func(what string) { t.Helper(); t.Error(what) }, time: clock, real: true}
	store, err := state.Open(t.Context(), state.Config{URL: state.EmbeddedURL, Dir: t.TempDir()})
	w.must(err)
	t.Cleanup(func() { _ = store.Close() })
	events, err := store.Log(t.Context(), "sim")
	w.must(err)
	w.state, w.log = realKV{store}, realLog{events}
	tick(t, clock, pace)
	w.begin(set)
	database := enginetest.Database(t, engine)
	wh, err := clickhouse.Open(t.Context(), clickhouse.Config{URL: "clickhouse://" + engine.Addr(), Database: database, OrgID: w.portal.OrgID(),
		Pipeline: "sim", Select: w.cfg.Select, Logger: zerolog.Nop()})
	w.must(err)
	t.Cleanup(func() { _ = wh.Close() })
	w.must(wh.Prepare(t.Context(), w.cfg.Tables))
	w.sink = wh
	return w
}

// tick moves a clock on until the test ends, in small steps.
func tick(t *testing.T, clock *clockwork.FakeClock, pace time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		for every := time.NewTicker(4 * time.Millisecond); ; {
			select {
			case <-every.C:
				clock.Advance(pace)
			case <-ctx.Done():
				every.Stop()
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); ended.Wait() })
}

// fetch copies what the engine holds of every record, columns as their hash, to
// where the audit looks.
func (w *world) fetch() {
	ctx := context.Background()
	for _, t := range w.cfg.Tables {
		keys := w.everyKey(ctx, t)
		heads, err := w.sink.Heads(ctx, t, keys)
		w.must(err)
		w.wh.main[t] = map[source.Key]source.State{}
		for k, h := range heads {
			w.wh.main[t][k] = source.State{Head: h}
		}
		w.wh.sides[t] = map[source.Register]map[source.Key]source.SideRow{source.Listed: {}, source.Detail: {}}
		for _, reg := range []source.Register{source.Listed, source.Detail} {
			if !source.Lookup(t).Has(reg) {
				continue
			}
			stamps, err := w.sink.SideStamps(ctx, t, reg, keys)
			w.must(err)
			for k, s := range stamps {
				w.wh.sides[t][reg][k] = source.SideRow{Key: k, Stamp: s}
			}
		}
	}
}

// everyKey is every key that the portal ever had or that the engine shows.
func (w *world) everyKey(ctx context.Context, t source.Table) []source.Key {
	w.must(w.sink.BeginRun(ctx, "audit"))
	keys, err := w.sink.Absent(ctx, "audit", t, w.time.Now().Add(1000*time.Hour))
	w.must(err)
	w.must(w.sink.EndRun(ctx, "audit"))
	known := map[source.Key]bool{}
	for _, k := range keys {
		known[k] = true
	}
	for truth := range w.portal.Truth(string(t)) {
		if k := keyOf(t, truth); !known[k] {
			keys = append(keys, k)
		}
	}
	return keys
}

// realKV and realLog are package state as the pipeline sees it.
type realKV struct{ store *state.Store }

func (s realKV) Load(ctx context.Context, key string) ([]byte, error) {
	e, err := s.store.Get(ctx, key)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	return e.Value, err
}

func (s realKV) Save(ctx context.Context, key string, value []byte) error {
	_, err := s.store.Set(ctx, key, value)
	return err
}

func (s realKV) Delete(ctx context.Context, key string) error { return s.store.Delete(ctx, key) }

func (s realKV) List(ctx context.Context, prefix string) (map[string][]byte, error) {
	entries, err := s.store.List(ctx, prefix)
	values := map[string][]byte{}
	for _, e := range entries {
		values[e.Key] = e.Value
	}
	return values, err
}

type realLog struct{ log *state.Log }

func (l realLog) MaxGroupBytes() int { return l.log.MaxGroupBytes() }

func (l realLog) Append(ctx context.Context, group []byte) (uint64, error) {
	return l.log.Append(ctx, group)
}

func (l realLog) Read(ctx context.Context, from uint64) (EventReader, error) {
	r, err := l.log.Read(ctx, from)
	if err != nil {
		return nil, err
	}
	return realReader{r}, nil
}

func (l realLog) Bounds(ctx context.Context) (first, last uint64, err error) {
	first, last, _, err = l.log.Last(ctx)
	return first, last, err
}

func (l realLog) Before(ctx context.Context, t time.Time) (uint64, error) {
	return l.log.Before(ctx, t)
}

// Purge keeps everything: the clock that is moved on is not the log's.
func (l realLog) Purge(context.Context, uint64, time.Time) error { return nil }

type realReader struct{ r *state.Reader }

func (r realReader) Next(ctx context.Context) (Message, error) {
	m, err := r.r.Next(ctx)
	return Message{Seq: m.Seq, Data: m.Data}, err
}

func (r realReader) Close() error { return r.r.Close() }
