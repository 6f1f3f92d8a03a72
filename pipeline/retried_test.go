package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

// A change whose history row could not be written at first is in the history in
// the end: the row that the first attempt stored must not hide it.
func TestAFailedHistoryWriteLosesNoChange(t *testing.T) {
	for name, fault := range map[string]func(*hookWarehouse){
		"the history write fails": func(h *hookWarehouse) {
			failures := 1
			h.changed = func([]source.Change) error {
				if failures > 0 {
					failures--
					return errors.New("connection lost")
				}
				return nil
			}
		},
		"the row write fails after it stored": func(h *hookWarehouse) { h.failNext = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wh := &hookWarehouse{memWarehouse: newMemWarehouse()}
				fault(wh)
				r := newRig(t, &fakeDesk{}, wh, nil)
				w := newWriter(source.Tickets, r.deps)
				stop := spawn(w.run)
				defer stop()
				at := time.Now().UnixMilli()
				o := w.cov.FromEvent(source.Event{Type: "Ticket_Add", Time: at, Trust: true}, ticket(t, 1, "x", at))
				out, err := w.write(t.Context(), []source.Observation{o})
				must(t, err)
				if out.Changed != 1 || len(wh.changes) != 1 {
					t.Fatalf("outcome %+v with %d changes recorded, want one row written and one change", out, len(wh.changes))
				}
			})
		})
	}
}

// A page of deletions whose first write failed after it stored is news still:
// the next page must be read.
func TestARetriedWriteDoesNotEndTheBinEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, reader, stop := newTrash(t)
		defer stop()
		must(t, reader.round(t.Context(), true))
		for id := range uint64(150) {
			b.throw(id+1, time.Now().UnixMilli()+int64(id))
		}
		r.mem.failNext = 1
		must(t, reader.round(t.Context(), false))
		if _, deleted, _ := r.mem.Counts(t.Context(), source.Tickets); deleted != 150 {
			t.Fatalf("%d deleted, want 150", deleted)
		}
	})
}

// The re-read that an observation asks for decides over that observation,
// however soon it is answered.
func TestAReReadOutranksTheEvidenceThatAskedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UnixMilli()
		desk := &fakeDesk{get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
			return ticket(t, id, "the truth", now-hour), timing(), nil
		}}
		wh := &hookWarehouse{memWarehouse: newMemWarehouse(), write: func([]source.Row) error { time.Sleep(100 * time.Millisecond); return nil }}
		r := newRig(t, desk, wh, nil)
		w := newWriter(source.Tickets, r.deps)
		wh.hold(source.Tickets, source.Key{ID: 7}, heldTicket(t, 7, "the truth", now-hour))
		stop := spawn(r.readers(w)...)
		defer stop()
		// a late event with an old state: later as_of, older modifiedTime
		o := w.cov.FromEvent(source.Event{Type: "Ticket_Update", Time: now, Trust: true}, ticket(t, 7, "an old state", now-2*hour))
		out, err := w.write(t.Context(), []source.Observation{o})
		must(t, err)
		if out.Hints != 1 {
			t.Fatalf("outcome %+v, want a re-read asked for", out)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := subjectOf(wh.row(source.Tickets, 7).Record); got != `"the truth"` || r.rereads.pending() != 0 {
			t.Fatalf("held %s after the re-read settled, want what GET answered", got)
		}
	})
}

// New custom fields must not hold up rows: Zoho may be out of credits for
// hours.
func TestFieldMetadataDoesNotHoldUpRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := &fakeDesk{fields: func(ctx context.Context, _ string) (source.Page, []source.CustomField, error) {
			<-ctx.Done()
			return source.Page{}, nil, ctx.Err()
		}}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(w.run)
		defer stop()
		rec := parsed(t, source.Tickets, `{"id":"1","subject":"x","createdTime":"2000-01-01T00:00:00.000Z","modifiedTime":"2000-01-01T00:00:00.000Z","cf":{"cf_new":"y"}}`)
		must(t, w.submit(t.Context(), []source.Observation{poll(w, rec)}, nil))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if r.mem.row(source.Tickets, 1).Version == 0 {
			t.Fatal("the row waits for field metadata, longer than five minutes")
		}
	})
}
