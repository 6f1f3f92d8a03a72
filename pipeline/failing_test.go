package pipeline

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

// TestWhatFailsIsTold looks at a sync whose warehouse refuses the rows of
// tickets for a while.
func TestWhatFailsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var takes atomic.Bool
		wh := &hookWarehouse{memWarehouse: newMemWarehouse(), write: func([]source.Row) error {
			if takes.Load() {
				return nil
			}
			return errors.New("too many parts")
		}}
		r := newRig(t, &fakeDesk{}, wh, nil)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(w.run)
		defer stop()
		at := time.Now()
		o := w.cov.FromEvent(source.Event{Type: "Ticket_Add", Time: at.UnixMilli(), Trust: true}, ticket(t, 1, "x", at.UnixMilli()))
		must(t, w.submit(t.Context(), []source.Observation{o}, nil))
		time.Sleep(time.Minute)
		all := r.failing.list()
		if len(all) != 1 || all[0].Table != source.Tickets || all[0].What != "write tickets" || !all[0].Since.Equal(at.UTC()) || all[0].Times < 3 || all[0].Err != "write 1 rows: too many parts" {
			t.Fatalf("failing %+v", all)
		}
		if of(all, source.Tickets) == "" || of(all, source.Products) != "" {
			t.Errorf("of tickets %q, of products %q", of(all, source.Tickets), of(all, source.Products))
		}
		takes.Store(true)
		time.Sleep(time.Minute)
		if all := r.failing.list(); len(all) != 0 {
			t.Errorf("%v though rows were written since", all)
		}
	})
}

// TestNobodyWaitsForASyncThatEnded asks one that will never answer.
func TestNobodyWaitsForASyncThatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := settlingSync(&strings.Builder{}, nil)
		asked := make(chan error, 4)
		go func() { asked <- p.PollNow(t.Context(), source.Tickets) }()
		go func() { _, err := p.Resync(t.Context(), source.Tickets, ResyncOptions{}); asked <- err }()
		synctest.Wait()
		close(p.ended)
		for range 2 {
			if err := <-asked; !errors.Is(err, ErrEnded) {
				t.Errorf("got %v", err)
			}
		}
	})
}
