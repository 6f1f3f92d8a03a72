package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

// Failed calls are no replies: after many of them a stale reply is still no
// news.
func TestFailuresDoNotMakeAStaleReplyBelievable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UnixMilli()
		calls := 0
		desk := &fakeDesk{get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
			calls++
			switch {
			case calls <= maxNoNews:
				return nil, timing(), busy
			case calls == maxNoNews+1:
				return ticket(t, id, "stale", now-hour), timing(), nil
			}
			return ticket(t, id, "fresh", now+hour), timing(), nil
		}}
		r, stop := rereadOf(t, desk, heldTicket(t, 7, "held", now))
		defer stop()
		for range 100 {
			time.Sleep(time.Minute)
			if got := subjectOf(r.mem.row(source.Tickets, 7).Record); got == `"stale"` {
				t.Fatalf("a stale reply was applied at the first sight of it, after %d failed calls", maxNoNews)
			}
		}
	})
}

// A record that Zoho refuses to answer for, for good, is settled in the end:
// whoever waits for the verdict (a sweep) must not wait for ever.
func TestAReReadThatCanNeverBeAnsweredIsGivenUp(t *testing.T) {
	for name, fault := range map[string]source.Fault{"refused as it stands": source.FaultInvalid, "a body that cannot be read": source.FaultBadReply} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				desk := &fakeDesk{get: func(context.Context, source.Table, uint64) (*source.Record, source.Timing, error) {
					return nil, timing(), &source.CallError{Fault: fault, Op: "GET tickets/7"}
				}}
				r := newRig(t, desk, nil, nil)
				stop := spawn(r.readers(newWriter(source.Tickets, r.deps))...)
				defer stop()
				p := &Pipeline{deps: r.deps}
				ctx, cancel := context.WithTimeout(t.Context(), 7*24*time.Hour)
				defer cancel()
				verdicts, err := p.ask(ctx, source.Tickets, hintsOf([]source.Key{{ID: 7}}, absent))
				if err != nil || verdicts[source.Key{ID: 7}] == verdictDeleted {
					t.Fatalf("after a week: verdicts %v, error %v; want it given up and kept", verdicts, err)
				}
			})
		})
	}
}

// Settled re-reads are forgotten while others still wait, so that a restart in
// the middle of a long queue does not begin it anew.
func TestSettledReReadsAreForgottenWhileOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := &fakeDesk{get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
			time.Sleep(10 * time.Second)
			return ticket(t, id, "x", time.Now().UnixMilli()), timing(), nil
		}}
		r := newRig(t, desk, nil, nil)
		for i := range uint64(40) {
			var hints []hint
			for j := range uint64(50) {
				hints = append(hints, hint{key: source.Key{ID: i*50 + j + 1}, reason: source.Asked})
			}
			must(t, r.rereads.add(t.Context(), source.Tickets, hints))
		}
		stop := spawn(r.readers(newWriter(source.Tickets, r.deps))...)
		defer stop()
		for r.rereads.pending() > 1000 {
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := len(stored(r.kv, "reread.")); n > 25 {
			t.Fatalf("half of 2,000 re-reads are settled and %d of 40 chunks are still stored", n)
		}
	})
}

// One record that may not be seen is no reason to skip its table.
func TestOneForbiddenRecordDoesNotRefuseTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &contracts{t: t, modified: map[uint64]int64{}, gone: map[uint64]bool{}}
		for id := range uint64(20) {
			c.modified[id+1] = time.Now().UnixMilli() - int64(id)*1000
		}
		desk := c.desk(50)
		get := desk.get
		desk.get = func(ctx context.Context, table source.Table, id uint64) (*source.Record, source.Timing, error) {
			if id == 3 {
				return nil, timing(), forbidden
			}
			return get(ctx, table, id)
		}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Contracts, r.deps)
		stop := spawn(r.readers(w)...)
		defer stop()
		keys := make([]source.Key, 20)
		for i := range keys {
			keys[i] = source.Key{ID: uint64(i + 1)}
		}
		obs, err := r.getEach(t.Context(), w, source.ForSnapshot, keys, originSnapshot)
		must(t, err)
		_, err = w.write(t.Context(), obs)
		must(t, err)
		if n := len(r.mem.main[source.Contracts]); n != 19 {
			t.Fatalf("%d contracts of the 19 that can be seen", n)
		}
	})
}
