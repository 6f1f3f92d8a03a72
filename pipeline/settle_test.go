package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

func (m *memWarehouse) FreshNames(context.Context, ...source.Table) ([]source.Table, error) {
	return nil, nil
}
func (m *memWarehouse) Settle(context.Context, []source.Table) ([]string, error) { return nil, nil }

// settling notes when it is asked to merge which tables.
type settling struct {
	*memWarehouse
	asked [][]source.Table
	at    []time.Time
	do    func(context.Context) error
}

func (s *settling) Settle(ctx context.Context, tables []source.Table) ([]string, error) {
	s.asked, s.at = append(s.asked, tables), append(s.at, time.Now())
	return []string{"x_all"}, s.do(ctx)
}

func settlingSync(said *strings.Builder, do func(context.Context) error) (*Pipeline, *settling) {
	wh := &settling{memWarehouse: newMemWarehouse(), do: do}
	p := New(Config{Name: "test", Tables: []source.Table{source.Departments, source.Products, source.Tickets}},
		Parts{Desk: &fakeDesk{}, Warehouse: wh, KV: newMemKV(), Clock: clockwork.NewRealClock(), Log: zerolog.New(said)})
	return p, wh
}

func TestTablesAreMergedWhileNobodyLoadsOrComparesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, wh := settlingSync(&strings.Builder{}, func(context.Context) error { return nil })
		stop := spawn(p.settle)
		defer stop()
		time.Sleep(30 * time.Second)
		close(p.tables[source.Products].loaded)
		close(p.tables[source.Tickets].loaded)
		p.progress.phase(source.Tickets, PhaseResync, "")
		time.Sleep(settleEvery)
		p.progress.phase(source.Tickets, PhaseFollowing, "")
		time.Sleep(settleEvery)
		synctest.Wait()
		want := [][]source.Table{{}, {source.Products}, {source.Products, source.Tickets}}
		if !slices.EqualFunc(wh.asked, want, slices.Equal) {
			t.Fatalf("asked to merge %v, want %v", wh.asked, want)
		}
	})
}

func TestAFailedMergeIsSaidOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		p, wh := settlingSync(&said, func(context.Context) error { return errors.New("no room") })
		stop := spawn(p.settle)
		time.Sleep(10*settleAgain - time.Second)
		stop()
		if lines := strings.Count(said.String(), "not merged"); len(wh.at) != 10 || lines != 10 {
			t.Fatalf("asked %d times in ten hours, %d lines: %s", len(wh.at), lines, said.String())
		}
	})
}

func TestAStopDoesNotWaitForAMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		p, wh := settlingSync(&said, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		stop := spawn(p.settle)
		time.Sleep(time.Hour)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 0 || len(wh.at) != 1 || said.Len() > 0 {
			t.Fatalf("stopping took %v after %d calls, said %q", took, len(wh.at), said.String())
		}
	})
}
