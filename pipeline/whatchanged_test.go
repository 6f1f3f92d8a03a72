package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/sink/clickhouse"
	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"
)

// statusTicket is a ticket with two tracked fields and a text.
func statusTicket(t fail, id uint64, status, priority string, modified int64) *source.Record {
	t.Helper()
	return parsed(t, source.Tickets, fmt.Sprintf(`{"id":"%d","subject":"text at %d","status":%q,"priority":%s,"createdTime":%q,"modifiedTime":%q}`,
		id, modified, status, priority, stamp(shelfStart), stamp(modified)))
}

// statusEvents is the life of two tickets, told by webhooks and a poll.
func statusEvents(t fail, w *writer) []source.Observation {
	event := func(id uint64, status, priority string, at int64) source.Observation {
		return w.cov.FromEvent(source.Event{Type: "Ticket_Update", Time: at, Trust: true}, statusTicket(t, id, status, priority, at))
	}
	deletion := w.cov.FromEvent(source.Event{Type: "Ticket_Delete", Time: shelfStart + 5*hour, Deleted: true, Trust: true}, parsed(t, source.Tickets, `{"id":"1"}`))
	return []source.Observation{event(1, "On Hold", "null", shelfStart+hour), event(2, "New", `"High"`, shelfStart+hour), event(1, "Closed", `"Low"`, shelfStart+2*hour),
		event(1, "Closed", `"Low"`, shelfStart+2*hour), // once more
		w.cov.FromSearch(statusTicket(t, 1, "Open", `""`, shelfStart+3*hour), timing(), originPoll),
		event(1, "Open", `""`, shelfStart+4*hour), // nothing that is followed
		deletion}
}

// told is what the history says, in the order it happened.
func told(m *memWarehouse) []string {
	changes := slices.SortedFunc(maps.Values(m.changes), func(a, b source.Change) int {
		return strings.Compare(fmt.Sprint(a.Key, a.At), fmt.Sprint(b.Key, b.At))
	})
	var lines []string
	for _, ch := range changes {
		line := fmt.Sprintf("%s %s %s:", ch.Key, ch.Op, ch.Origin)
		for i, column := range ch.Changed {
			line += fmt.Sprintf(" %s %s>%s", column, orNull(ch.Old[i]), orNull(ch.New[i]))
		}
		lines = append(lines, strings.ReplaceAll(line, `"`, "'"))
	}
	return lines
}

func orNull(v *string) string {
	if v == nil {
		return "∅"
	}
	return *v
}

var wantTold = []string{"1 update webhook: status 'Open'>'On Hold' priority 'Low'>∅", "1 update webhook: status 'On Hold'>'Closed' priority ∅>'Low'",
	"1 update poll: status 'Closed'>'Open' priority 'Low'>''", "1 update webhook:", "1 delete webhook:", "2 insert webhook: status ∅>'New' priority ∅>'High'"}

// Whether they come one by one or all in one batch, after a load whose row is
// held or is written with them, changes lead from one to the next.
func TestChangesSayWhatChanged(t *testing.T) {
	for name, batches := range map[string]func(load source.Observation, events []source.Observation) [][]source.Observation{
		"one by one": func(load source.Observation, events []source.Observation) [][]source.Observation {
			return slices.Collect(slices.Chunk(append([]source.Observation{load}, events...), 1))
		},
		"in one batch": func(load source.Observation, events []source.Observation) [][]source.Observation {
			return [][]source.Observation{{load}, events}
		},
		"with the load": func(load source.Observation, events []source.Observation) [][]source.Observation {
			return [][]source.Observation{append([]source.Observation{load}, events...)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, &fakeDesk{}, nil, nil)
				w := newWriter(source.Tickets, r.deps)
				stop := spawn(w.run)
				defer stop()
				load := w.cov.FromSearch(statusTicket(t, 1, "Open", `"Low"`, shelfStart), timing(), originSnapshot)
				for _, batch := range batches(load, statusEvents(t, w)) {
					_, err := w.write(t.Context(), batch)
					must(t, err)
				}
				if got := told(r.mem); !slices.Equal(got, wantTold) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wantTold, "\n"))
				}
			})
		})
	}
}

// A reading by id is dated by what it reads: a change happened when the record
// was modified, not when somebody looked. What moves no modifiedTime, a deletion
// and a restore are dated by the reading.
func TestChangesAreDatedByTheRecord(t *testing.T) {
	get := func(status string, modified int64, life source.Life, deleted bool) source.Observation {
		o := source.Observation{Key: source.Key{ID: 1}, Evidence: source.EvidenceGet, AsOf: shelfStart + 9*hour, Life: life}
		if !deleted {
			o.Record = statusTicket(t, 1, status, "null", modified)
		}
		return o
	}
	held := source.Head{Content: source.Stamp{AsOf: shelfStart + hour}, Modified: shelfStart + hour}
	for _, c := range []struct {
		name string
		op   source.Op
		o    source.Observation
		want int64
	}{
		{"modified since", source.OpUpdate, get("Open", shelfStart+2*hour, source.LifeAlive, false), shelfStart + 2*hour},
		{"not modified since", source.OpUpdate, get("Open", shelfStart+hour, source.LifeAlive, false), shelfStart + 9*hour},
		{"restored", source.OpRestore, get("Open", shelfStart+2*hour, source.LifeAlive, false), shelfStart + 9*hour},
		{"gone", source.OpDelete, get("", 0, source.LifeDeleted, true), shelfStart + 9*hour},
	} {
		if got := happened(held, c.o, c.op); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, stamp(got), stamp(c.want))
		}
	}
	by := get("Open", shelfStart, source.LifeAlive, false)
	by.Record = parsed(t, source.Tickets, `{"id":"1","modifiedBy":"77"}`)
	if a, b := change(source.Tickets, by, source.OpUpdate), change(source.Tickets, by, source.OpDelete); a.ModifiedBy != 77 || b.ModifiedBy != 0 {
		t.Errorf("modified by %d, deleted by %d", a.ModifiedBy, b.ModifiedBy)
	}
}

// A process that ends between the history and the rows leaves changes that the
// next one writes once more, the same ones with the same content.
func TestChangesAreTheSameAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails error
		wh := &hookWarehouse{memWarehouse: newMemWarehouse(), write: func([]source.Row) error { return fails }}
		r := newRig(t, &fakeDesk{}, wh, nil)
		r.mem = wh.memWarehouse
		run := func(batches ...[]source.Observation) {
			w := newWriter(source.Tickets, r.deps)
			defer spawn(w.run)()
			for _, batch := range batches {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				_, err := w.write(ctx, batch)
				cancel()
				if (err != nil) != (fails != nil) {
					t.Fatalf("wrote with %v", err)
				}
			}
		}
		w := newWriter(source.Tickets, r.deps)
		run([]source.Observation{w.cov.FromSearch(statusTicket(t, 1, "Open", `"Low"`, shelfStart), timing(), originSnapshot)})
		fails = errors.New("connection lost")
		run(statusEvents(t, w))
		before := maps.Clone(r.mem.changes)
		fails = nil
		run(slices.Collect(slices.Chunk(statusEvents(t, w), 2))...)
		if len(before) != len(wantTold) || len(r.mem.changes) != len(before) {
			t.Errorf("%d changes, then %d, want %d", len(before), len(r.mem.changes), len(wantTold))
		}
		for id, ch := range r.mem.changes {
			was := before[id]
			if !reflect.DeepEqual(was.Changed, ch.Changed) || !reflect.DeepEqual(was.Old, ch.Old) || !reflect.DeepEqual(was.New, ch.New) || was.At != ch.At || was.Op != ch.Op {
				t.Errorf("%+v became %+v", was, ch)
			}
		}
	})
}

// Values are asked for where the history tells of a change of content, and not
// in a load.
func TestTheSnapshotAsksForNoValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := map[uint64]int{}
		wh := &hookWarehouse{memWarehouse: newMemWarehouse(), tracked: func(keys []source.Key) {
			for _, k := range keys {
				asked[k.ID]++
			}
		}}
		r := newRig(t, &fakeDesk{}, wh, nil)
		w := newWriter(source.Tickets, r.deps)
		defer spawn(w.run)()
		load := func(id uint64) source.Observation {
			return w.cov.FromSearch(statusTicket(t, id, "Open", "null", shelfStart), timing(), originSnapshot)
		}
		for _, batch := range [][]source.Observation{{load(1), load(2), load(3)}, {load(1)}, statusEvents(t, w)} {
			_, err := w.write(t.Context(), batch)
			must(t, err)
		}
		if want := map[uint64]int{1: 1, 2: 1}; !maps.Equal(asked, want) {
			t.Errorf("asked for %v, want %v", asked, want)
		}
	})
}

// historyMeter takes the time that the history needs of a warehouse.
type historyMeter struct {
	Warehouse
	compare, write time.Duration
}

func (m *historyMeter) Tracked(ctx context.Context, t source.Table, keys []source.Key) (*source.Tracked, error) {
	defer func(began time.Time) { m.compare += time.Since(began) }(time.Now())
	return m.Warehouse.Tracked(ctx, t, keys)
}

func (m *historyMeter) WriteChanges(ctx context.Context, changes []source.Change) error {
	defer func(began time.Time) { m.write += time.Since(began) }(time.Now())
	return m.Warehouse.WriteChanges(ctx, changes)
}

// BenchmarkHistory is what a batch of 1,000 events costs a writer on the real
// engine, without history and with each mode, on 100,000 tickets.
func BenchmarkHistory(b *testing.B) {
	const held, batch = 100_000, 1000
	for _, mode := range []clickhouse.HistoryMode{clickhouse.HistoryOff, clickhouse.HistoryMetadata, clickhouse.HistoryFull} {
		b.Run(string(mode), func(b *testing.B) {
			engine := enginetest.Start(b)
			wh, err := clickhouse.Open(b.Context(), clickhouse.Config{URL: "clickhouse://" + engine.Addr(), Database: enginetest.Database(b, engine), OrgID: 1,
				Pipeline: "bench", History: map[source.Table]clickhouse.HistoryMode{source.Tickets: mode}, Logger: zerolog.Nop()})
			must(b, err)
			defer wh.Close()
			must(b, wh.Prepare(b.Context(), []source.Table{source.Tickets}))
			m := &historyMeter{Warehouse: wh}
			r := newRig(b, &fakeDesk{}, m, nil)
			r.deps.history[source.Tickets] = mode != clickhouse.HistoryOff
			w := newWriter(source.Tickets, r.deps)
			w.clock = clockwork.NewRealClock()
			event := func(id int, n int64) source.Observation {
				status := []string{"Open", "On Hold", "Closed"}[n%3]
				return w.cov.FromEvent(source.Event{Type: "Ticket_Update", Time: shelfStart + n*1000, Trust: true}, statusTicket(b, uint64(id+1), status, `"Low"`, shelfStart+n*1000))
			}
			events := func(from, n int, at int64) []submission {
				var obs []source.Observation
				for i := range n {
					obs = append(obs, event((from+i*97)%held, at))
				}
				return []submission{{obs: obs}}
			}
			for from := range held / 10_000 {
				var obs []source.Observation
				for i := range 10_000 {
					o := event(from*10_000+i, 0)
					o.Origin = originSnapshot
					obs = append(obs, o)
				}
				must(b, w.flush(b.Context(), []submission{{obs: obs}}))
			}
			at := int64(0)
			for b.Loop() {
				at++
				must(b, w.flush(b.Context(), events(int(at), batch, at)))
			}
			// Shares of one run: other work on the machine slows all alike.
			b.ReportMetric(100*m.compare.Seconds()/b.Elapsed().Seconds(), "%looking")
			b.ReportMetric(100*m.write.Seconds()/b.Elapsed().Seconds(), "%writing")
		})
	}
}
