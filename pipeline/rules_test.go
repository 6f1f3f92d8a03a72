package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jonboulle/clockwork"

	"deskhouse/source"
)

const hour = int64(time.Hour / time.Millisecond)

// held is a visible ticket with content as of `at`, seen alive by GET.
func heldTicket(t fail, id uint64, subject string, at int64) source.State {
	st := content(ticket(t, id, subject, at))
	st.Life = source.Stamp{AsOf: at, Rank: source.EvidenceGet}
	return st
}

func deletedTicket(t fail, id uint64, subject string, at int64) source.State {
	st := heldTicket(t, id, subject, at)
	st.Life, st.Deleted, st.DeletedAt = source.Stamp{AsOf: at + hour, Rank: source.EvidenceWebhook, Hash: uint64(at + hour)}, true, at+hour
	return st
}

func TestRule4EachContradictionQueuesAReRead(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	cases := []struct {
		name   string
		held   source.State
		see    func(c *source.Coverage) source.Observation
		reason source.Contradiction
	}{
		{"deleted row seen alive by search", deletedTicket(t, 7, "a", now), func(c *source.Coverage) source.Observation {
			return c.FromSearch(ticket(t, 7, "a", now), timing(), originPoll)
		}, source.DeletedSeenAlive},
		{"an update after the delete", deletedTicket(t, 7, "a", now), func(c *source.Coverage) source.Observation {
			return c.FromEvent(source.Event{Type: "Ticket_Update", Time: now + 2*hour, Trust: true}, ticket(t, 7, "b", now+2*hour))
		}, source.DeletedSeenAlive},
		{"later modifiedTime that loses", func() source.State {
			st := heldTicket(t, 7, "a", now)
			st.Content.AsOf += 2 * hour
			return st
		}(), func(c *source.Coverage) source.Observation {
			return c.FromSearch(ticket(t, 7, "b", now+hour), timing(), originPoll)
		}, source.LaterModified},
		{"older modifiedTime that wins", heldTicket(t, 7, "a", now), func(c *source.Coverage) source.Observation {
			return c.FromEvent(source.Event{Type: "Ticket_Update", Time: now + hour, Trust: true}, ticket(t, 7, "b", now-hour))
		}, source.OlderModified},
		{"same modifiedTime, other content", heldTicket(t, 7, "a", now), func(c *source.Coverage) source.Observation {
			return c.FromSearch(ticket(t, 7, "b", now), timing(), originPoll)
		}, source.OtherContent},
		{"visible row in the bin", heldTicket(t, 7, "a", now), func(*source.Coverage) source.Observation {
			return source.FromBin(source.BinItem{Key: source.Key{ID: 7}, DeletedAt: now - hour})
		}, source.VisibleInBin},
		{"payload that lacks a key", heldTicket(t, 7, "a", now), func(c *source.Coverage) source.Observation {
			return c.FromEvent(source.Event{Type: "Ticket_Update", Time: now + hour, Trust: true},
				parsed(t, source.Tickets, `{"id":"7","modifiedTime":"`+stamp(now+hour)+`"}`))
		}, source.Asked},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, &fakeDesk{}, nil, nil)
				w := newWriter(source.Tickets, r.deps)
				r.mem.hold(source.Tickets, source.Key{ID: 7}, c.held)
				stop := spawn(w.run)
				defer stop()
				out, err := w.write(t.Context(), []source.Observation{c.see(w.cov)})
				if err != nil || out.Hints != 1 {
					t.Fatalf("outcome %+v, error %v, want one hint", out, err)
				}
				if !r.rereads.queued(source.Tickets, source.Key{ID: 7}) {
					t.Fatal("not queued")
				}
				keys := stored(r.kv, "reread.test.")
				if len(keys) != 1 {
					t.Fatalf("stored %v, want one chunk", keys)
				}
				value, err := r.kv.Load(t.Context(), keys[0])
				must(t, err)
				var got chunk
				must(t, json.Unmarshal(value, &got))
				if len(got.Entries) != 1 || got.Entries[0].ID != 7 || got.Entries[0].Reason != c.reason {
					t.Fatalf("stored %s, want reason %q", value, c.reason)
				}
			})
		})
	}
}

// The re-read of an event is durable before its message counts as applied,
// even while the state refuses to be written.
func TestRule5ReReadsAreDurableBeforeTheCheckpointMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		failures := 3
		kv := &journalKV{memKV: newMemKV(), note: func(_, key string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, key)
		}, fail: func(key string) error {
			mu.Lock()
			defer mu.Unlock()
			if strings.HasPrefix(key, "reread.") && failures > 0 {
				failures--
				order = append(order, "failed")
				return errors.New("disk full")
			}
			return nil
		}}
		wh := &hookWarehouse{memWarehouse: newMemWarehouse(), pos: func(uint64) error {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, "position")
			return nil
		}}
		r := newRig(t, &fakeDesk{}, wh, kv)
		w := newWriter(source.Tickets, r.deps)
		l := newMemLog()
		a := newApplier(r.deps, l, map[source.Table]*writer{source.Tickets: w}, false, 0)
		appendEvents(t, l, ticketEvent("Ticket_Update", time.Now().UnixMilli(), ticketJSON(7, "a", time.Now().UnixMilli())))
		stop := spawn(w.run, a.run, a.checkpoints)
		defer stop()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := []string{"failed", "failed", "failed", "reread.test.4", "position", "ckpt.test.log"}
		if !slices.Equal(order, want) {
			t.Fatalf("order %v, want %v", order, want)
		}
	})
}

func TestRule5OneReadInFlightAndEvidenceMeanwhileQueuesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, flying, most atomic.Int32
		desk := &fakeDesk{get: func(ctx context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
			calls.Add(1)
			most.Store(max(most.Load(), flying.Add(1)))
			defer flying.Add(-1)
			time.Sleep(time.Minute)
			return ticket(t, id, "now", time.Now().Add(-time.Hour).UnixMilli()), timing(), nil
		}}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(r.readers(w)...)
		defer stop()
		ask := func() {
			if err := r.rereads.add(t.Context(), source.Tickets, []hint{{key: source.Key{ID: 7}, reason: source.Asked}}); err != nil {
				t.Fatal(err)
			}
		}
		ask()
		synctest.Wait()
		for range 5 { // during the flight: one more read is enough for all
			ask()
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if calls.Load() != 2 || most.Load() != 1 {
			t.Fatalf("%d reads, %d at once; want 2, one at a time", calls.Load(), most.Load())
		}
		if n, keys := r.rereads.pending(), stored(r.kv, "reread."); n != 0 || len(keys) != 0 {
			t.Fatalf("%d pending, stored %v; want nothing left", n, keys)
		}
	})
}

func TestRule5OldOrOtherRepliesAreNoNews(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for name, bad := range map[string]func(t fail) *source.Record{
		"older modifiedTime": func(t fail) *source.Record { return ticket(t, 7, "stale", now-hour) },
		"another record":     func(t fail) *source.Record { return ticket(t, 8, "survivor of a merge", now+hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var at []time.Time
				desk := &fakeDesk{get: func(context.Context, source.Table, uint64) (*source.Record, source.Timing, error) {
					if at = append(at, time.Now()); len(at) <= 4 {
						return bad(t), timing(), nil
					}
					return ticket(t, 7, "fresh", now+hour), timing(), nil
				}}
				r := newRig(t, desk, nil, nil)
				var written []string
				wh := &hookWarehouse{memWarehouse: r.mem, write: func(rows []source.Row) error {
					for _, row := range rows {
						written = append(written, subjectOf(row.Record))
					}
					return nil
				}}
				r.wh = wh
				w := newWriter(source.Tickets, r.deps)
				r.mem.hold(source.Tickets, source.Key{ID: 7}, heldTicket(t, 7, "held", now))
				stop := spawn(r.readers(w)...)
				defer stop()
				if err := r.rereads.add(t.Context(), source.Tickets, []hint{{key: source.Key{ID: 7}, reason: source.Asked}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if !slices.Equal(written, []string{`"fresh"`}) {
					t.Fatalf("written %v, want only the fresh reply", written)
				}
				for i := 2; i < len(at); i++ {
					if at[i].Sub(at[i-1]) <= at[i-1].Sub(at[i-2]) {
						t.Fatalf("no back-off: %v", at)
					}
				}
			})
		})
	}
}

func subjectOf(rec *source.Record) string {
	if rec == nil {
		return ""
	}
	for i, f := range rec.Resource.Fields {
		if f.Name == "subject" {
			return rec.Value(i)
		}
	}
	return ""
}

func TestRule5OpenReReadsSurviveARestartAndSettledOnesDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := newMemKV()
		asked := map[uint64]int{}
		var mu sync.Mutex
		answer := map[uint64]bool{1: true, 2: true} // the others time out for now
		desk := &fakeDesk{get: func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
			mu.Lock()
			defer mu.Unlock()
			asked[id]++
			if !answer[id] {
				return nil, timing(), busy
			}
			return ticket(t, id, "x", time.Now().UnixMilli()), timing(), nil
		}}
		first := newRig(t, desk, nil, kv)
		stop := spawn(first.readers(newWriter(source.Tickets, first.deps))...)
		for _, ids := range [][]uint64{{1, 2}, {3}, {4, 5}} {
			var hints []hint
			for _, id := range ids {
				hints = append(hints, hint{key: source.Key{ID: id}, reason: source.OtherContent, modified: 5})
			}
			if err := first.rereads.add(t.Context(), source.Tickets, hints); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		stop()
		if keys := stored(kv, "reread."); !slices.Equal(keys, []string{"reread.test.2", "reread.test.3"}) {
			t.Fatalf("stored at the stop: %v, want the chunks of 3 and of 4, 5", keys)
		}
		asked, answer = map[uint64]int{}, map[uint64]bool{3: true, 4: true, 5: true}
		second := newRig(t, desk, first.mem, kv)
		if err := second.rereads.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := second.rereads.pending(); n != 3 {
			t.Fatalf("%d loaded, want 3", n)
		}
		if it := second.rereads.items[rereadID{source.Tickets, source.Key{ID: 3}}]; it.modified != 5 {
			t.Fatalf("wanted modifiedTime %d after the restart, want 5", it.modified)
		}
		stop = spawn(second.readers(newWriter(source.Tickets, second.deps))...)
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(asked) != 3 || asked[1]+asked[2] != 0 || len(stored(kv, "reread.")) != 0 {
			t.Fatalf("asked after the restart: %v, stored %v", asked, stored(kv, "reread."))
		}
	})
}

func TestRule6EventsAreAppliedDuringTheLoadAndThePollStartsAtItsFirstReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var polls []source.Query
		var started time.Time
		desk := &fakeDesk{search: func(ctx context.Context, _ source.Table, q source.Query) (source.Page, error) {
			switch {
			case q.By == source.ByModified:
				polls = append(polls, q)
				return pageOf(nil, 0), nil
			case q.Limit == 1:
				started = timing().Date
				return pageOf([]*source.Record{ticket(t, 1, "old", started.UnixMilli()-hour)}, 1), nil
			}
			<-release
			return pageOf([]*source.Record{ticket(t, 1, "old", started.UnixMilli()-hour)}, 1), nil
		}}
		wh, kv, l := newMemWarehouse(), newMemKV(), newMemLog()
		seen := ticket(t, 1, "", 0).Present
		if err := (deps{kv: kv}).saveJSON(t.Context(), keysKey("p", source.Tickets), struct{ Search, Get source.FieldSet }{seen, seen}); err != nil {
			t.Fatal(err)
		}
		at := time.Now().UnixMilli()
		appendEvents(t, l, ticketEvent("Ticket_Update", at, ticketJSON(2, "before the load", at)))
		p := New(Config{Name: "p", OrgID: 1, Trust: true, Tables: []source.Table{source.Tickets}, Bin: time.Hour,
			Polls: map[source.Table]time.Duration{source.Tickets: 20 * time.Minute}},
			Parts{Desk: desk, Warehouse: wh, KV: kv, Events: l, Dead: &memLetters{}, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
		stop := spawn(p.Run)
		defer stop()
		time.Sleep(time.Minute)
		at = time.Now().UnixMilli()
		appendEvents(t, l, ticketEvent("Ticket_Update", at, ticketJSON(3, "during the load", at)))
		time.Sleep(3 * time.Hour)
		for id, want := range map[uint64]string{2: `"before the load"`, 3: `"during the load"`} {
			if got := subjectOf(wh.row(source.Tickets, id).Record); got != want {
				t.Errorf("ticket %d while the load hangs: %s, want %s", id, got, want)
			}
		}
		close(release)
		time.Sleep(25 * time.Minute)
		synctest.Wait()
		if len(polls) == 0 || polls[0].From > started.Add(-pollOverlap).UnixMilli() {
			t.Fatalf("first poll %+v, want it to begin %v before the load's first reply at %v", polls, pollOverlap, started)
		}
		if wh.row(source.Tickets, 1).Version == 0 {
			t.Fatal("ticket 1 was not loaded")
		}
	})
}

// reread asks for one ticket that is held, and returns when it is settled.
func rereadOf(t *testing.T, desk *fakeDesk, hold source.State) (*rig, func()) {
	r := newRig(t, desk, nil, nil)
	r.mem.hold(source.Tickets, source.Key{ID: 7}, hold)
	stop := spawn(r.readers(newWriter(source.Tickets, r.deps))...)
	if err := r.rereads.add(t.Context(), source.Tickets, []hint{{key: source.Key{ID: 7}, reason: absent}}); err != nil {
		t.Fatal(err)
	}
	return r, stop
}

func TestRule7AbsenceIsBelievedTheSecondTimeOnly(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	found := func(t fail) *source.Record { return ticket(t, 7, "here", now) }
	for _, c := range []struct {
		name    string
		answers []error // nil: found; the last one repeats
		deleted bool
	}{
		{"404 once is nothing", []error{notFound, nil}, false},
		{"404 twice deletes", []error{notFound, notFound}, true},
		{"403 keeps", []error{forbidden}, false},
		{"404 and then 403 keeps", []error{notFound, forbidden}, false},
		{"failures between two 404s", []error{notFound, busy, busy, notFound}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var misses []time.Time
				calls := 0
				desk := &fakeDesk{get: func(context.Context, source.Table, uint64) (*source.Record, source.Timing, error) {
					err := c.answers[min(calls, len(c.answers)-1)]
					if calls++; err == notFound {
						misses = append(misses, time.Now())
					}
					if err != nil {
						return nil, timing(), err
					}
					return found(t), timing(), nil
				}}
				r, stop := rereadOf(t, desk, heldTicket(t, 7, "here", now))
				defer stop()
				time.Sleep(time.Hour)
				synctest.Wait()
				if got := r.mem.row(source.Tickets, 7); got.Deleted != c.deleted || subjectOf(got.Record) != `"here"` {
					t.Fatalf("deleted %v with subject %s, want %v and the content kept", got.Deleted, subjectOf(got.Record), c.deleted)
				}
				if n := r.rereads.pending(); n != 0 {
					t.Fatalf("%d re-reads left", n)
				}
				if len(misses) > 1 && misses[1].Sub(misses[0]) < time.Minute {
					t.Fatalf("asked twice within %v", misses[1].Sub(misses[0]))
				}
			})
		})
	}
}

// A resync whose reading fails, is incomplete, or finds too much absent, asks
// for nothing and deletes nothing.
func TestRule7NoAbsenceFromAnIncompleteOrUnbelievableReading(t *testing.T) {
	const rows = 200
	for _, c := range []struct {
		name   string
		search func(q source.Query, first *source.Record) (source.Page, error)
		check  func(source.RunReport, error) bool
	}{
		{"reading refused midway", func(q source.Query, first *source.Record) (source.Page, error) {
			if q.Limit == 1 {
				return pageOf([]*source.Record{first}, rows), nil
			}
			return source.Page{}, forbidden
		}, func(r source.RunReport, err error) bool {
			return source.IsFault(err, source.FaultForbidden) && r.Err != ""
		}},
		{"a second that cannot be read whole", func(q source.Query, first *source.Record) (source.Page, error) {
			return pageOf(slices.Repeat([]*source.Record{first}, min(q.Limit, 100)), 5000), nil
		}, func(r source.RunReport, err error) bool { return err == nil && r.Incomplete }},
		{"too many absent", func(q source.Query, first *source.Record) (source.Page, error) {
			return pageOf([]*source.Record{first}, 1), nil
		}, func(r source.RunReport, err error) bool { return errors.Is(err, ErrGuard) && r.Err != "" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := time.Now().UnixMilli() - hour
				gets := 0
				desk := &fakeDesk{
					search: func(_ context.Context, _ source.Table, q source.Query) (source.Page, error) {
						return c.search(q, ticket(t, 1, "x", old))
					},
					get: func(context.Context, source.Table, uint64) (*source.Record, source.Timing, error) {
						gets++
						return nil, timing(), notFound
					}}
				wh, kv := newMemWarehouse(), newMemKV()
				for id := range uint64(rows) {
					wh.hold(source.Tickets, source.Key{ID: id + 1}, heldTicket(t, id+1, "x", old))
				}
				p := New(Config{Name: "p", Tables: []source.Table{source.Tickets}, Bin: 1000 * time.Hour,
					Polls: map[source.Table]time.Duration{source.Tickets: 1000 * time.Hour}},
					Parts{Desk: desk, Warehouse: wh, KV: kv, Dead: &memLetters{}, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
				if err := (deps{kv: kv}).saveJSON(t.Context(), rangeKey("p", source.Tickets), snapshotState{Done: true}); err != nil {
					t.Fatal(err)
				}
				if err := p.savePosition(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				stop := spawn(p.Run)
				defer stop()
				<-p.Loaded()
				report, err := p.Resync(t.Context(), source.Tickets, ResyncOptions{Trigger: "test"})
				if !c.check(report, err) {
					t.Fatalf("report %+v, error %v", report, err)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				// One GET is the probe that a reading begins with.
				if _, deleted, _ := wh.Counts(t.Context(), source.Tickets); deleted != 0 || gets > 1 || p.rereads.pending() != 0 {
					t.Fatalf("%d deleted, %d asked for, %d queued; want none but the probe", deleted, gets, p.rereads.pending())
				}
			})
		})
	}
}

func TestRule9WhatCannotBePlacedIsADeadLetterAndSpoilsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeDesk{}, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		l := newMemLog()
		a := newApplier(r.deps, l, map[source.Table]*writer{source.Tickets: w}, true, 0)
		now := time.Now().UnixMilli()
		if _, err := l.Append(t.Context(), []byte("no group at all")); err != nil {
			t.Fatal(err)
		}
		appendEvents(t, l,
			ticketEvent("Ticket_Update", now, ticketJSON(1, "one", now)),
			ticketEvent("Ticket_Update", now, `{"subject":"without an id"}`),
			ticketEvent("Ticket_Update", now, `"no object"`),
			ticketEvent("Agent_Add", now, `{"id":"9"}`),
			ticketEvent("Ticket_Update", now, ticketJSON(2, "two", now)))
		stop := spawn(w.run, a.run, a.checkpoints)
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(r.letters.reasons) != 3 {
			t.Fatalf("dead letters %q, want the group, the event without id and the one without object", r.letters.reasons)
		}
		for id, want := range map[uint64]string{1: `"one"`, 2: `"two"`} {
			if got := subjectOf(r.mem.row(source.Tickets, id).Record); got != want {
				t.Errorf("ticket %d: %s, want %s", id, got, want)
			}
		}
		if seq, _, _ := r.mem.Position(t.Context(), "test"); seq != 2 {
			t.Fatalf("position %d, want 2: a bad event must not hold up the log", seq)
		}
	})
}

func TestRule9ASearchRowWithoutIDIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().UnixMilli() - hour
		desk := &fakeDesk{search: func(_ context.Context, _ source.Table, q source.Query) (source.Page, error) {
			page := pageOf([]*source.Record{ticket(t, 1, "good", at)}, 2)
			page.Bad, page.Rows = [][]byte{[]byte(`{"subject":"without id"}`)}, 2
			return page, nil
		}}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Tickets, r.deps)
		stop := spawn(w.run)
		defer stop()
		f := &fullRead{deps: r.deps, w: w, put: w.submit, keys: &keyReader{desk: desk, table: source.Tickets, by: source.ByCreated}, ranges: newRanges(at, at+60_000), origin: originResync}
		if err := f.run(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		if len(r.letters.reasons) != 1 || r.mem.row(source.Tickets, 1).Version == 0 {
			t.Fatalf("dead letters %q, good row %+v", r.letters.reasons, r.mem.row(source.Tickets, 1).Head)
		}
	})
}
