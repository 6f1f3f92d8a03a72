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

// naming notes when it is asked for fresh names.
type naming struct {
	*memWarehouse
	began time.Time
	at    []time.Duration
	do    func() error
}

func (n *naming) FreshNames(context.Context, ...source.Table) ([]source.Table, error) {
	n.at = append(n.at, time.Since(n.began))
	return nil, n.do()
}

// named runs the keeper of names for a while and returns when it asked.
func named(t *testing.T, said *strings.Builder, run time.Duration, do func() error) (at []time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		wh := &naming{memWarehouse: newMemWarehouse(), began: time.Now(), do: do}
		p := New(Config{Name: "test", Tables: []source.Table{source.Products}},
			Parts{Desk: &fakeDesk{}, Warehouse: wh, KV: newMemKV(), Clock: clockwork.NewRealClock(), Log: zerolog.New(said)})
		stop := spawn(p.names)
		time.Sleep(run)
		stop()
		at = wh.at
	})
	return at
}

func TestNamesAreKeptFreshWithoutBeingLoadedAllTheTime(t *testing.T) {
	const slow = 2 * time.Second
	for name, c := range map[string]struct {
		do   func() error
		want []time.Duration
	}{
		"quick":                    {func() error { return nil }, []time.Duration{0, namesEvery, 2 * namesEvery, 3 * namesEvery}},
		"slow":                     {func() error { time.Sleep(slow); return nil }, []time.Duration{0}},
		"failing, and again later": {func() error { return errors.New("out of memory") }, []time.Duration{0, namesEvery, 2 * namesEvery, 3 * namesEvery}},
	} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			if got := named(t, &said, 3*namesEvery+namesEvery/2, c.do); !slices.Equal(got, c.want) {
				t.Errorf("asked at %v, want %v", got, c.want)
			}
			if failed := strings.Contains(name, "failing"); failed != strings.Contains(said.String(), "out of memory") {
				t.Errorf("said %s", said.String())
			}
		})
	}
}

func TestNamesAreFreshWhenALoadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wh := &naming{memWarehouse: newMemWarehouse(), began: time.Now(), do: func() error { return nil }}
		p := New(Config{Name: "test", Mode: Once, Tables: []source.Table{source.Products}},
			Parts{Desk: &fakeDesk{}, Warehouse: wh, KV: newMemKV(), Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
		close(p.tables[source.Products].loaded)
		must(t, p.afterLoad(t.Context()))
		<-p.Loaded()
		if len(wh.at) != 1 {
			t.Errorf("asked %d times for fresh names before it called itself loaded", len(wh.at))
		}
	})
}
