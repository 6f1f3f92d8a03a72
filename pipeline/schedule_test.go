package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/robfig/cron/v3"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// shifted is a clock whose wall time can be moved without any timer noticing, as
// it is when a machine sleeps or its clock is set.
type shifted struct {
	clockwork.Clock
	by atomic.Int64
}

func (c *shifted) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.by.Load())) }

// agenda is a sync of one small table with a schedule; what it keeps outlives
// its restarts.
type agenda struct {
	t     *testing.T
	clock *shifted
	wh    *memWarehouse
	kv    *memKV
	desk  *fakeDesk
	list  atomic.Pointer[func(context.Context) (source.Page, error)] // nil: an empty portal
	cfg   Config
	p     *Pipeline
	stop  func()
}

func newAgenda(t *testing.T, catchUp bool) *agenda {
	t.Helper()
	schedule, err := cron.ParseStandard("CRON_TZ=UTC 0 3 * * *")
	if err != nil {
		t.Fatal(err)
	}
	a := &agenda{t: t, clock: &shifted{Clock: clockwork.NewRealClock()}, wh: newMemWarehouse(), kv: newMemKV(), desk: &fakeDesk{},
		cfg: Config{Name: "test", OrgID: 1, Tables: []source.Table{source.Departments}, Resync: schedule, CatchUp: catchUp,
			Polls: map[source.Table]time.Duration{source.Departments: 1000 * time.Hour}, Bin: 1000 * time.Hour}}
	a.desk.list = func(ctx context.Context, _ source.Table, _ source.ListQuery) (source.Page, error) {
		if list := a.list.Load(); list != nil {
			return (*list)(ctx)
		}
		return pageOf(nil, -1), nil
	}
	return a
}

func (a *agenda) start() {
	ctx, cancel := context.WithCancel(context.Background())
	a.p = New(a.cfg, Parts{Desk: a.desk, Warehouse: a.wh, KV: a.kv, Dead: &memLetters{}, Clock: a.clock, Log: zerolog.Nop()})
	ended, p := make(chan error, 1), a.p
	go func() { ended <- p.Run(ctx) }()
	a.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			a.t.Errorf("pipeline ended with %v", err)
		}
	})
}

// runs is how many scheduled runs have ended.
func (a *agenda) runs() int {
	a.wh.mu.Lock()
	defer a.wh.mu.Unlock()
	n := 0
	for _, r := range a.wh.reports {
		if r.Trigger == "cron" {
			n++
		}
	}
	return n
}

func (a *agenda) want(when string, runs int) {
	a.t.Helper()
	synctest.Wait()
	if got := a.runs(); got != runs {
		a.t.Errorf("%s: %d runs, want %d", when, got, runs)
	}
}

// Time in a bubble begins at midnight UTC.
func TestScheduledRunsComeEveryDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgenda(t, false)
		a.start()
		defer a.stop()
		time.Sleep(3*time.Hour - time.Second)
		a.want("a second before the first", 0)
		s, err := a.p.Schedule(t.Context())
		if err != nil || s.Next != time.Date(2000, 1, 1, 3, 0, 0, 0, time.UTC) || !s.Last.IsZero() {
			t.Errorf("schedule %+v, %v", s, err)
		}
		time.Sleep(2 * time.Second)
		a.want("a second after it", 1)
		time.Sleep(48 * time.Hour)
		a.want("two days on", 3)
		s, err = a.p.Schedule(t.Context())
		if err != nil || s.Next != time.Date(2000, 1, 4, 3, 0, 0, 0, time.UTC) || s.Last != time.Date(2000, 1, 3, 3, 0, 0, 0, time.UTC) {
			t.Errorf("schedule %+v, %v", s, err)
		}
	})
}

func TestMissedRuns(t *testing.T) {
	for _, c := range []struct {
		name      string
		down      time.Duration // from 02:00 on
		run, skip int           // runs an hour after the return
	}{
		{"back before its time", 30 * time.Minute, 1, 1},
		{"back a minute late", time.Hour + time.Minute, 1, 1},
		{"back in the morning", 7 * time.Hour, 1, 0},
		{"back after a week", 7*24*time.Hour + 7*time.Hour, 1, 0},
	} {
		for _, catchUp := range []bool{true, false} {
			want := c.skip
			if catchUp {
				want = c.run
			}
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := newAgenda(t, catchUp)
					a.start()
					time.Sleep(2 * time.Hour)
					a.stop()
					time.Sleep(c.down)
					a.start()
					defer func() { a.stop() }()
					time.Sleep(time.Hour)
					a.want("an hour after the return", want)
					s, err := a.p.Schedule(t.Context())
					if err != nil || !s.Next.After(time.Now()) || time.Until(s.Next) > 24*time.Hour {
						t.Errorf("schedule %+v, %v at %s", s, err, time.Now().UTC())
					}
					time.Sleep(24 * time.Hour)
					a.want("a day later", want+1)
				})
			})
		}
	}
}

// A timer that was set before a machine fell asleep fires too late by as long as
// it slept.
func TestScheduleHoldsAgainstTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgenda(t, true)
		a.start()
		defer a.stop()
		time.Sleep(time.Hour)
		a.clock.by.Store(int64(8 * time.Hour)) // 01:00, asleep until 09:00
		time.Sleep(2 * time.Minute)
		a.want("two minutes after it woke", 1)

		a.clock.by.Store(int64(10 * 24 * time.Hour)) // wrong by days: owed days are run once
		time.Sleep(2 * time.Minute)
		a.want("with the clock ten days ahead", 2)
		a.clock.by.Store(0) // and right again: 01:04 of the first day
		time.Sleep(2 * time.Minute)
		a.want("with the clock set back", 2)
		time.Sleep(2 * time.Hour)
		a.want("at the next 03:00", 3)
	})
}

// A run that a stop cuts short is owed like one that was missed.
func TestInterruptedRunIsRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgenda(t, true)
		a.start()
		time.Sleep(2 * time.Hour)
		hang := func(ctx context.Context) (source.Page, error) {
			<-ctx.Done()
			return source.Page{}, ctx.Err()
		}
		a.list.Store(&hang)
		time.Sleep(2 * time.Hour)
		a.want("while it hangs", 0)
		a.stop()
		a.wh.reports = nil // of the run that was cut short
		a.list.Store(nil)
		time.Sleep(time.Hour)
		a.start()
		defer func() { a.stop() }()
		time.Sleep(time.Minute)
		a.want("after the restart", 1)
	})
}

// A table is compared once at a time, whoever asks.
func TestScheduledRunWaitsForACommandedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgenda(t, false)
		a.start()
		defer a.stop()
		time.Sleep(2 * time.Hour)
		var reading, most atomic.Int32
		slow := func(context.Context) (source.Page, error) {
			most.Store(max(most.Load(), reading.Add(1)))
			time.Sleep(2 * time.Hour)
			reading.Add(-1)
			return pageOf(nil, -1), nil
		}
		a.list.Store(&slow)
		commanded := make(chan error, 1)
		go func() {
			_, err := a.p.Resync(context.Background(), source.Departments, ResyncOptions{Trigger: "command"})
			commanded <- err
		}()
		time.Sleep(90 * time.Minute)
		a.want("at 03:30, half an hour into its time", 0)
		if err := <-commanded; err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Hour)
		a.want("after the commanded one", 1)
		if most.Load() != 1 {
			t.Errorf("%d readings at once", most.Load())
		}
	})
}

// A portal that shows nothing any more is a decision, over restarts, until a
// resync of that table went through.
func TestGuardOfAScheduledRunWaitsForADecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgenda(t, false)
		for id := uint64(1); id <= 100; id++ {
			a.wh.hold(source.Departments, source.Key{ID: id}, content(recordOf(t, source.Departments, id, "", 1, 1)))
		}
		a.start()
		time.Sleep(4 * time.Hour)
		a.want("after the first", 1)
		a.stop()
		a.start()
		defer func() { a.stop() }()
		synctest.Wait()
		d, err := a.p.Decisions(t.Context())
		if err != nil || len(d) != 1 || d[0].Table != source.Departments || d[0].Reason == "" || d[0].Run == "" || d[0].Since.IsZero() {
			t.Fatalf("decisions %+v, %v", d, err)
		}
		if _, err := a.p.Resync(t.Context(), source.Departments, ResyncOptions{Trigger: "command"}); !errors.Is(err, ErrGuard) {
			t.Fatalf("resync without accepting the loss: %v", err)
		}
		if d, err = a.p.Decisions(t.Context()); err != nil || len(d) != 1 {
			t.Fatalf("decisions %+v, %v", d, err)
		}
		if _, err := a.p.Resync(t.Context(), source.Departments, ResyncOptions{Trigger: "command", AcceptLoss: true}); err != nil {
			t.Fatal(err)
		}
		if d, err = a.p.Decisions(t.Context()); err != nil || len(d) != 0 {
			t.Errorf("decisions %+v, %v", d, err)
		}
	})
}
