package pipeline

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

var unauthorised = &source.CallError{Fault: source.FaultUnauthorized, Op: "GET"}

// authority is a connection that is refused everything until it is authorised.
type authority struct {
	mu    sync.Mutex
	given bool
	again chan struct{}
}

func (a *authority) regained() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.again
}

func (a *authority) set(given bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.given = given
	if given {
		close(a.again)
		a.again = make(chan struct{})
	}
}

func (a *authority) refuses() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.given
}

// A connection that is authorised, for the first time or again, is used at once:
// the load that was refused, polls and queued re-reads do not wait for their turn.
func TestWorkGoesOnAtOnceWhenAuthorisedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{again: make(chan struct{})}
		var mu sync.Mutex
		searches, gets := 0, 0
		desk := &fakeDesk{search: func(context.Context, source.Table, source.Query) (source.Page, error) {
			if a.refuses() {
				return source.Page{}, unauthorised
			}
			mu.Lock()
			defer mu.Unlock()
			searches++
			return pageOf(nil, 0), nil
		}, get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
			if a.refuses() {
				return nil, source.Timing{}, unauthorised
			}
			mu.Lock()
			defer mu.Unlock()
			gets++
			return ticket(t, id, "x", time.Now().UnixMilli()), timing(), nil
		}}
		made := func() (int, int) { mu.Lock(); defer mu.Unlock(); return searches, gets }
		p := New(Config{Name: "p", OrgID: 1, Tables: []source.Table{source.Tickets}, Bin: 1000 * time.Hour,
			Polls: map[source.Table]time.Duration{source.Tickets: 1000 * time.Hour}},
			Parts{Desk: desk, Warehouse: newMemWarehouse(), KV: newMemKV(), Dead: &memLetters{}, Clock: clockwork.NewRealClock(), Log: zerolog.Nop(), Regained: a.regained})
		stop := spawn(p.Run)
		defer stop()
		soon := func() { time.Sleep(5 * time.Second); synctest.Wait() }

		soon()
		a.set(true)
		soon()
		if st, _ := p.Status(t.Context()); st.Tables[0].Phase != PhaseFollowing {
			t.Fatalf("seconds after the first authorisation: %s, %s", st.Tables[0].Phase, st.Tables[0].Reason)
		}
		a.set(false)
		must(t, p.rereads.add(t.Context(), source.Tickets, []hint{{key: source.Key{ID: 7}, reason: absent}}))
		soon()
		searched, got := made()
		a.set(true)
		soon()
		if s, g := made(); s == searched || g == got {
			t.Fatalf("seconds after it came back: %d searches and %d reads by id, as many as before", s-searched, g-got)
		}
	})
}
