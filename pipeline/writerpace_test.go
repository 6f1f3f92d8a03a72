package pipeline

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

// A stream of changes makes one insert a second into each table, however many
// submissions it consists of, and no change waits longer than that second.
func TestAStreamMakesOneWriteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		writes := map[string][]time.Time{}
		note := func(table string) error {
			mu.Lock()
			defer mu.Unlock()
			writes[table] = append(writes[table], time.Now())
			return nil
		}
		wh := &hookWarehouse{memWarehouse: newMemWarehouse(), write: func([]source.Row) error { return note("main") },
			side: func([]source.SideRow) error { return note("listed") }, changed: func([]source.Change) error { return note("changes") }}
		r := newRig(t, &fakeDesk{}, wh, nil)
		w := newWriter(source.Tickets, r.deps)
		present := listedTicket(t, 1, "", 0).Present
		w.cov = source.NewCoverage(w.res, present, present)
		stop := spawn(w.run)
		defer stop()
		var slowest time.Duration
		const seconds, perSecond = 60, 100
		for i := range seconds * perSecond {
			o := poll(w, listedTicket(t, uint64(i%500+1), fmt.Sprint(i), shelfStart+int64(i)*1000))
			sent := time.Now()
			must(t, w.submit(t.Context(), []source.Observation{o}, func(outcome) {
				mu.Lock()
				slowest = max(slowest, time.Since(sent))
				mu.Unlock()
			}))
			time.Sleep(time.Second / perSecond)
		}
		time.Sleep(writeInterval)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, table := range []string{"main", "listed", "changes"} {
			at := writes[table]
			if len(at) < seconds || len(at) > seconds+2 {
				t.Errorf("%s: %d writes in %d seconds", table, len(at), seconds)
			}
			for i := 1; i < len(at); i++ {
				if apart := at[i].Sub(at[i-1]); apart < writeInterval {
					t.Errorf("%s: writes %v apart", table, apart)
				}
			}
		}
		if slowest == 0 || slowest > writeInterval {
			t.Errorf("a change waited %v to be stored", slowest)
		}
	})
}
