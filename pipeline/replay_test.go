package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"deskhouse/source"
	"deskhouse/source/webhook"
)

// logged is a sync that does nothing but apply its log.
type logged struct {
	wh      *memWarehouse
	kv      *memKV
	log     *memLog
	letters *memLetters
	desk    *fakeDesk
	p       *Pipeline
	stop    func()
}

func newLogged(t fail) *logged {
	t.Helper()
	l := &logged{wh: newMemWarehouse(), kv: newMemKV(), log: newMemLog(), letters: &memLetters{}, desk: &fakeDesk{}}
	whole := recordOf(t, source.Tickets, 1, "", 1, 1).Present
	seen, err := json.Marshal(source.Seen{Search: whole, Get: whole})
	if err != nil {
		t.Fatalf("%v", err)
	}
	_ = l.kv.Save(context.Background(), keysKey("test", source.Tickets), seen) // into memory
	cfg := Config{Name: "test", OrgID: 1, Tables: []source.Table{source.Tickets, source.Departments}, Trust: true, Mode: Passive}
	l.p = New(cfg, Parts{Desk: l.desk, Warehouse: l.wh, KV: l.kv, Events: l.log, Dead: l.letters, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
	l.stop = spawn(l.p.Run)
	return l
}

func (l *logged) append(t fail, events ...webhook.Event) {
	t.Helper()
	if _, err := l.log.Append(context.Background(), webhook.EncodeGroup(events)); err != nil {
		t.Fatalf("%v", err)
	}
}

func (l *logged) settle(t fail) {
	t.Helper()
	synctest.Wait()
	if err := l.p.Settled(context.Background()); err != nil {
		t.Fatalf("%v", err)
	}
}

// told is what a reader of the table sees: life and content, not evidence.
func (l *logged) told() map[source.Key]string {
	l.wh.mu.Lock()
	defer l.wh.mu.Unlock()
	out := map[source.Key]string{}
	for k, st := range l.wh.main[source.Tickets] {
		out[k] = fmt.Sprint(st.Deleted)
		if st.Record != nil {
			out[k] += fmt.Sprintf(" %x", st.Record.Fingerprint)
		}
	}
	return out
}

// Replaying any part of the log, any time, changes nothing (rule 1).
func TestReplayChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type change struct {
			id      uint64
			kind    string
			late    int // seconds between the change and its delivery
			pause   int // seconds after it
			subject string
		}
		changes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) change {
			return change{rapid.Uint64Range(1, 4).Draw(t, "id"), rapid.SampledFrom([]string{"Ticket_Add", "Ticket_Update", "Ticket_Delete"}).Draw(t, "kind"),
				rapid.IntRange(0, 60).Draw(t, "late"), rapid.IntRange(0, 300).Draw(t, "pause"), rapid.StringMatching(`[a-c]{1,2}`).Draw(t, "subject")}
		}), 1, 20).Draw(rt, "changes")
		back := rapid.IntRange(-10, 7200).Draw(rt, "seconds back")
		var failed string
		_ = bubble(t, func(t *testing.T) error {
			l := newLogged(t)
			defer l.stop()
			var mu sync.Mutex // guards the portal's truth
			newest, truth := map[uint64]int64{}, map[uint64]change{}
			l.desk.get = func(_ context.Context, _ source.Table, id uint64) (*source.Record, source.Timing, error) {
				mu.Lock()
				defer mu.Unlock()
				if truth[id].kind == "Ticket_Delete" {
					return nil, timing(), notFound
				}
				return ticketOf(t, id, truth[id].subject, newest[id]), timing(), nil
			}
			for _, c := range changes {
				at := time.Now().Add(-time.Duration(c.late) * time.Second).UnixMilli()
				mu.Lock()
				if at >= newest[c.id] {
					newest[c.id], truth[c.id] = at, c
				}
				mu.Unlock()
				l.append(t, ticketEvent(c.kind, at, ticketJSON(c.id, c.subject, at)))
				time.Sleep(time.Duration(c.pause) * time.Second)
			}
			l.settle(t)
			before, pos := l.told(), l.wh.pos["test"]
			report, err := l.p.Replay(t.Context(), time.Now().Add(-time.Duration(back)*time.Second), []source.Table{source.Tickets})
			if err != nil {
				t.Fatal(err)
			}
			l.settle(t)
			if report.Changed != 0 || !maps.Equal(before, l.told()) || l.wh.pos["test"] != pos {
				failed = fmt.Sprintf("%+v\nbefore %v at %d\nafter  %v at %d", report, before, pos, l.told(), l.wh.pos["test"])
			}
			return nil
		})
		if failed != "" {
			rt.Fatal(failed)
		}
	})
}

// ticketOf is a ticket as its GET shows it, with the keys of ticketJSON.
func ticketOf(t fail, id uint64, subject string, modified int64) *source.Record {
	t.Helper()
	return parsed(t, source.Tickets, ticketJSON(id, subject, modified))
}

// What the warehouse lost comes back as far as events tell it: those since the
// given time, of the chosen tables.
func TestReplayBringsBackWhatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged(t)
		defer l.stop()
		began := time.Now()
		l.append(t, ticketEvent("Ticket_Add", began.UnixMilli(), ticketJSON(1, "one", began.UnixMilli())))
		time.Sleep(time.Hour)
		now := time.Now().UnixMilli()
		l.append(t, ticketEvent("Ticket_Add", now, ticketJSON(2, "two", now)), ticketEvent("Ticket_Add", now, `{"no":"id"}`))
		time.Sleep(time.Hour)
		l.settle(t)
		whole, letters := l.told(), len(l.letters.reasons)
		if len(whole) != 2 || letters != 1 {
			t.Fatalf("%d rows, %d dead letters", len(whole), letters)
		}
		lost := func() {
			l.wh.mu.Lock()
			clear(l.wh.main[source.Tickets])
			clear(l.wh.tokens) // tables that are not replicated keep none
			l.wh.mu.Unlock()
		}
		for _, c := range []struct {
			name                              string
			back                              time.Duration
			tables                            []source.Table
			messages, events, changed, letter int
		}{
			{"since the second", 90 * time.Minute, []source.Table{source.Tickets}, 1, 1, 1, 1},
			{"since the first", 2 * time.Hour, []source.Table{source.Tickets}, 2, 2, 2, 1},
			{"another table", 2 * time.Hour, []source.Table{source.Departments}, 2, 0, 0, 1},
			{"nothing", 30 * time.Minute, []source.Table{source.Tickets}, 0, 0, 0, 0},
		} {
			lost()
			got, err := l.p.Replay(t.Context(), began.Add(2*time.Hour-c.back), c.tables)
			if err != nil {
				t.Fatal(err)
			}
			want := ReplayReport{From: got.From, To: 2, Messages: c.messages, Events: c.events, Changed: c.changed, Letters: c.letter}
			if got != want || int(got.To+1-got.From) != c.messages {
				t.Errorf("%s: %+v, want %+v", c.name, got, want)
			}
			if len(l.told()) != c.changed {
				t.Errorf("%s: %d rows, want %d", c.name, len(l.told()), c.changed)
			}
		}
		lost()
		if _, err := l.p.Replay(t.Context(), began, []source.Table{source.Tickets}); err != nil || !maps.Equal(l.told(), whole) {
			t.Errorf("%v after the replay, want %v: %v", l.told(), whole, err)
		}
		if len(l.letters.reasons) != letters {
			t.Errorf("%d dead letters, want %d: a replay makes no new ones", len(l.letters.reasons), letters)
		}
	})
}

func TestReplayRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged(t)
		defer l.stop()
		if _, err := l.p.Replay(t.Context(), time.Now(), []source.Table{source.Contracts}); err == nil {
			t.Error("a table that is off is replayed")
		}
		without := New(Config{Name: "none", Tables: []source.Table{source.Tickets}}, Parts{Desk: l.desk, Warehouse: l.wh, KV: l.kv, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
		if _, err := without.Replay(t.Context(), time.Now(), []source.Table{source.Tickets}); !errors.Is(err, errNoLog) {
			t.Errorf("without a log: %v", err)
		}
	})
}
