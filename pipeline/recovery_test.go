package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

// estate is a portal and one sync of it, of which any part may be replaced by an
// older copy or by nothing while the sync is stopped.
type estate struct {
	t       *testing.T
	portal  *desksim.Portal
	tables  []source.Table
	wh      *memWarehouse
	kv      *memKV
	log     *memLog
	between func(*Parts) // lets a test put something between a sync and its parts

	p     *Pipeline
	epoch uint64
	stop  func()
}

func newEstate(t *testing.T, cfg desksim.Config) *estate {
	t.Helper()
	s := &estate{t: t, portal: desksim.New(cfg), wh: newMemWarehouse(), kv: newMemKV(), log: newMemLog(), stop: func() {},
		tables: []source.Table{source.OrganizationFields, source.Departments, source.Products, source.Contracts, source.Tickets}}
	return s
}

// end stops everything; a test in virtual time must leave nothing behind.
func (s *estate) end() {
	s.stop()
	s.portal.Close()
}

func (s *estate) newPipeline() *Pipeline {
	client, err := zohodesk.New(zohodesk.Config{Name: "main", AccountsURL: "https://accounts.sim", DeskURL: "https://desk.sim", OrgID: s.portal.OrgID(),
		ClientID: "1000.SIMULATEDCLIENT", ClientSecret: "simulated-secret", RefreshToken: "1000.simulated.refresh",
		Transport: s.portal.RoundTripper(), Logger: zerolog.Nop()})
	must(s.t, err)
	parts := Parts{Desk: client, Warehouse: s.wh, KV: s.kv, Events: s.log, Dead: &memLetters{}, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()}
	if s.between != nil {
		s.between(&parts)
	}
	polls := map[source.Table]time.Duration{}
	for _, t := range s.tables {
		polls[t] = 100 * time.Hour // what is repaired here, no poll repaired
	}
	s.epoch++
	return New(Config{Name: "p", Epoch: s.epoch, OrgID: s.portal.OrgID(), Trust: true, Bin: 100 * time.Hour, Modules: zohodesk.FieldModules(), Tables: s.tables,
		Polls: polls}, parts)
}

// start starts the sync on what is stored.
func (s *estate) start() {
	p := s.newPipeline()
	s.p = p
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stopped := false
	s.stop = func() {
		if cancel(); !stopped {
			stopped = true
			if err := <-ended; !errors.Is(err, context.Canceled) {
				s.t.Errorf("the sync ended with %v", err)
			}
		}
	}
}

// run starts the sync and lets it live for a while: with the minute between the
// two reads of an absent row, a load or a recovery takes a few minutes.
func (s *estate) run() {
	s.t.Helper()
	s.start()
	s.live(30 * time.Minute)
	for _, t := range s.tables {
		if got := s.p.progress.of(t); got.Phase != PhaseFollowing {
			s.t.Errorf("%s is in phase %s: %s", t, got.Phase, got.Reason)
		}
	}
}

func (s *estate) live(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// change makes changes of every kind behind the back of a stopped sync, and
// returns tickets that are gone: one in the bin, one purged.
func (s *estate) change() (trashed, purged uint64) {
	s.t.Helper()
	s.portal.Mutate(60)
	ids := s.alive()
	s.remove(ids[1], s.portal.TrashTicket)
	return s.remove(ids[0], s.portal.TrashTicket), s.remove(ids[1], s.portal.PurgeTicket)
}

func (s *estate) remove(id uint64, how func(uint64) (uint64, error)) uint64 {
	s.t.Helper()
	id, err := how(id)
	must(s.t, err)
	return id
}

// alive are ids of tickets that exist.
func (s *estate) alive() (ids []uint64) {
	for row := range s.portal.Truth(string(source.Tickets)) {
		if row.State == desksim.Live && !row.Archived {
			ids = append(ids, row.ID)
		}
	}
	return ids
}

// equal holds every table against the portal.
func (s *estate) equal() {
	s.t.Helper()
	for _, t := range s.tables {
		want := map[source.Key]uint64{}
		for row := range s.portal.Truth(string(t)) {
			raw, key := row.Get, source.Key{ID: row.ID}
			if t == source.OrganizationFields {
				key = source.Key{Name: row.Module + "/" + row.APIName}
				if raw == nil {
					raw = row.Search
				}
			}
			if row.State != desksim.Live {
				continue
			}
			rec, err := source.ParseRecord(source.Lookup(t), row.Module, raw)
			must(s.t, err)
			want[key] = rec.Fingerprint
		}
		got := map[source.Key]uint64{}
		for k, st := range s.wh.main[t] {
			if !st.Deleted && st.Record != nil {
				got[k] = st.Record.Fingerprint
			}
		}
		if len(want) == 0 || !maps.Equal(got, want) {
			s.t.Errorf("%s: %d rows visible, %d at the source, or their contents differ", t, len(got), len(want))
		}
	}
}

// resyncs are the triggers of the comparisons that were stored, by table.
func (s *estate) resyncs() map[source.Table][]string {
	runs := map[source.Table][]string{}
	for _, r := range s.wh.reports {
		runs[r.Table] = append(runs[r.Table], r.Trigger)
	}
	return runs
}

// restored wants one recovery of each table that is named, and of no other.
func (s *estate) restored(tables ...source.Table) {
	s.t.Helper()
	runs := s.resyncs()
	for _, t := range s.tables {
		var want []string
		if slices.Contains(tables, t) {
			want = []string{originRestore}
		}
		if !slices.Equal(runs[t], want) {
			s.t.Errorf("%s was compared for %v, want %v", t, runs[t], want)
		}
	}
	if left := stored(s.kv, "run.p.recovery."); len(left) > 0 {
		s.t.Errorf("still to be recovered: %v", left)
	}
}

// tombstone wants a deleted row, with its last content if it had any.
func (s *estate) tombstone(id uint64, content bool) {
	s.t.Helper()
	if st := s.wh.row(source.Tickets, id); !st.Deleted || content && st.Record == nil {
		s.t.Errorf("ticket %d: deleted %v, content %v", id, st.Deleted, st.Record != nil)
	}
}

// searches is what searching for tickets has cost so far.
func (s *estate) searches() int { return s.portal.Stats().CreditsFor["tickets.search"] }

func (s *estate) emptied(t source.Table) {
	s.wh.mu.Lock()
	defer s.wh.mu.Unlock()
	delete(s.wh.main, t)
	delete(s.wh.sides, t)
}

// copied is a backup of a warehouse.
func (m *memWarehouse) copied() *memWarehouse {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newMemWarehouse()
	for t, rows := range m.main {
		c.main[t] = maps.Clone(rows)
	}
	for t, regs := range m.sides {
		c.sides[t] = map[source.Register]map[source.Key]source.SideRow{}
		for reg, rows := range regs {
			c.sides[t][reg] = maps.Clone(rows)
		}
	}
	for t, keys := range m.filled {
		c.filled[t] = maps.Clone(keys)
	}
	c.pos, c.custom, c.changes, c.tokens = maps.Clone(m.pos), maps.Clone(m.custom), maps.Clone(m.changes), maps.Clone(m.tokens)
	return c
}

func (s *memKV) copied() *memKV {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &memKV{m: maps.Clone(s.m)}
}

func (l *memLog) copied() *memLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := newMemLog()
	c.msgs = slices.Clone(l.msgs)
	return c
}

// deleteEvent is a deletion that only the log tells of: the portal does not know
// the ticket.
func (s *estate) deleteEvent(id uint64) {
	s.t.Helper()
	appendEvents(s.t, s.log, ticketEvent("Ticket_Delete", time.Now().UnixMilli(), fmt.Sprintf(`{"id":"%d"}`, id)))
}

// scenario runs a test of a loaded estate in virtual time.
func scenario(t *testing.T, f func(*testing.T, *estate)) {
	synctest.Test(t, func(t *testing.T) {
		s := newEstate(t, desksim.Config{Seed: 3, Tickets: 250, ArchivedTickets: 5})
		defer s.end()
		s.run()
		s.equal()
		f(t, s)
	})
}

func TestFirstStartsAndRestartsRecoverNothing(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		for range 3 {
			s.stop()
			s.run()
		}
		s.restored()
		s.equal()
	})
}

func TestStateLostIsTakenOverFromTheWarehouse(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		load := s.searches()
		s.portal.TrashTicket(s.alive()[5])
		must(t, s.p.BinNow(t.Context(), source.Tickets))
		s.live(time.Minute)
		s.stop()
		var tombs []uint64
		for k, st := range s.wh.main[source.Tickets] {
			if st.Deleted {
				tombs = append(tombs, k.ID)
			}
		}
		if len(tombs) == 0 {
			t.Fatal("no tombstone to keep")
		}
		trashed, purged := s.change()
		s.kv, s.log = newMemKV(), newMemLog()
		s.deleteEvent(77)
		s.run()
		s.equal()
		s.restored(s.tables...)
		for _, id := range append(tombs, trashed, purged) {
			s.tombstone(id, true)
		}
		s.tombstone(77, false)
		if again := s.searches() - load; again > load*5/4 {
			t.Errorf("searching cost %d credits, the load %d: tickets were read twice", again, load)
		}
	})
}

func TestStateRestoredFromABackup(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		s.deleteEvent(70)
		s.live(time.Minute)
		s.stop()
		kv, log := s.kv.copied(), s.log.copied()
		s.run()
		s.deleteEvent(71)
		s.live(time.Minute)
		s.stop()
		trashed, purged := s.change()
		s.kv, s.log = kv, log
		s.deleteEvent(72) // under the sequence of 71
		s.run()
		s.equal()
		s.restored(s.tables...)
		s.tombstone(trashed, true)
		s.tombstone(purged, true)
		for _, id := range []uint64{70, 71, 72} {
			s.tombstone(id, false)
		}
		s.wh.reports = nil
		s.stop()
		s.run()
		s.restored() // the next start has nothing to recover
	})
}

// A backup from before the last start is told from a crash even when nothing
// else happened in between.
func TestStateRestoredAfterAQuietRun(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		s.stop()
		kv := s.kv.copied()
		s.start()
		s.live(time.Minute)
		s.stop()
		s.kv = kv
		s.run()
		s.restored(s.tables...)
	})
}

func TestWarehouseRestoredFromABackup(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		s.deleteEvent(70)
		s.live(time.Minute)
		s.stop()
		wh := s.wh.copied()
		s.run()
		s.deleteEvent(71)
		s.live(time.Minute)
		s.stop()
		trashed, purged := s.change()
		s.wh = wh
		s.run()
		s.equal()
		s.restored(s.tables...)
		s.tombstone(trashed, true)
		s.tombstone(purged, true)
		s.tombstone(70, false)
		s.tombstone(71, false)
	})
}

// The warehouse's position comes from a log that the state has not followed
// since: its sequences mean other events.
func TestWarehouseFromBeforeTheStateWasRestored(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		s.stop()
		kv, log := s.kv.copied(), s.log.copied()
		s.run()
		for id := range uint64(3) {
			s.deleteEvent(70 + id)
		}
		s.live(time.Minute)
		s.stop()
		wh := s.wh.copied() // knows sequence 3 of the first life
		s.kv, s.log = kv, log
		s.run()
		for id := range uint64(5) {
			s.deleteEvent(80 + id)
		}
		s.live(time.Minute)
		s.stop()
		s.wh = wh
		s.run()
		s.equal()
		for _, id := range []uint64{70, 71, 72, 80, 81, 82, 83, 84} {
			s.tombstone(id, false)
		}
	})
}

func TestWarehouseDroppedIsLoadedAgain(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		s.stop()
		s.change()
		s.wh = newMemWarehouse()
		s.run()
		s.equal()
		s.restored() // a load, no comparison
	})
}

func TestDroppedTableIsLoadedAgain(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		s.stop()
		s.change()
		before := s.searches()
		s.emptied(source.Contracts)
		s.emptied(source.Tickets)
		s.run()
		// What changed elsewhere is a matter of polls, not of recovery.
		for _, table := range s.tables {
			must(t, s.p.PollNow(t.Context(), table))
			must(t, s.p.BinNow(t.Context(), table))
		}
		s.live(10 * time.Minute)
		s.equal()
		s.restored()
		if s.searches() == before {
			t.Error("tickets were not read")
		}
	})
}

// Rows of any register that are missing make their table be compared.
func TestTruncatedTables(t *testing.T) {
	for _, c := range []struct {
		name     string
		truncate func(s *estate)
	}{
		{"half of the rows", func(s *estate) {
			for i, id := range s.alive() {
				if i%2 == 0 {
					delete(s.wh.main[source.Tickets], source.Key{ID: id})
				}
			}
		}},
		{"listed columns", func(s *estate) { delete(s.wh.sides[source.Tickets], source.Listed) }},
	} {
		t.Run(c.name+", stopped", func(t *testing.T) {
			scenario(t, func(t *testing.T, s *estate) {
				s.stop()
				listed := len(s.wh.sides[source.Tickets][source.Listed])
				c.truncate(s)
				s.run()
				s.equal()
				s.restored(source.Tickets)
				if now := len(s.wh.sides[source.Tickets][source.Listed]); now < listed || listed == 0 {
					t.Errorf("%d listed rows, %d before", now, listed)
				}
			})
		})
		t.Run(c.name+", running", func(t *testing.T) {
			scenario(t, func(t *testing.T, s *estate) {
				s.wh.mu.Lock()
				c.truncate(s)
				clear(s.wh.tokens) // ClickHouse forgets those of what it drops
				s.wh.mu.Unlock()
				s.live(countEvery + 30*time.Minute)
				s.equal()
				s.restored(source.Tickets)
			})
		})
	}
}

// A recovery that is stopped again and again goes on after each start, for as
// many tables as are left.
func TestRecoverySurvivesKills(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		s.stop()
		trashed, purged := s.change()
		s.kv, s.log = newMemKV(), newMemLog()
		for range 12 {
			s.start()
			time.Sleep(3 * time.Second)
			s.stop()
		}
		if len(stored(s.kv, "run.p.recovery.")) == 0 {
			t.Fatal("nothing was left to recover: the kills came too late to test anything")
		}
		s.run()
		s.equal()
		s.tombstone(trashed, true)
		s.tombstone(purged, true)
		if left := stored(s.kv, "run.p.recovery."); len(left) > 0 {
			t.Errorf("still to be recovered: %v", left)
		}
	})
}

// A process that dies between any two saves of its start is no loss.
func TestCrashBetweenTheSavesOfAStartIsNoLoss(t *testing.T) {
	for _, first := range []bool{true, false} {
		for n := range 12 {
			t.Run(fmt.Sprintf("first %v, save %d", first, n), func(t *testing.T) {
				kv, wh, log := newMemKV(), newMemWarehouse(), newMemLog()
				open := func(failAt int) error {
					saves := 0
					fault := func() error {
						if saves++; saves-1 == failAt {
							return errors.New("killed")
						}
						return nil
					}
					p := New(Config{Name: "p", Tables: []source.Table{source.Tickets}}, Parts{Desk: &fakeDesk{}, Events: log, Dead: &memLetters{},
						Warehouse: savesOf{wh, fault}, KV: &journalKV{memKV: kv, fail: func(string) error { return fault() }},
						Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
					_, err := p.position(t.Context())
					return err
				}
				if !first {
					must(t, open(-1))
				}
				wh.hold(source.Tickets, source.Key{ID: 1}, content(ticket(t, 1, "a", 1000)))
				if first {
					delete(wh.main, source.Tickets) // a first start finds no rows
				}
				for range 3 {
					_ = open(n) // dies, unless it has fewer saves
				}
				must(t, open(-1))
				if noted := stored(kv, "run."); len(noted) > 0 {
					t.Errorf("taken for a loss: %v", noted)
				}
			})
		}
	}
}

// savesOf fails saves of positions, before they are stored.
type savesOf struct {
	*memWarehouse
	fault func() error
}

func (s savesOf) SavePosition(ctx context.Context, name string, seq uint64) error {
	if err := s.fault(); err != nil {
		return err
	}
	return s.memWarehouse.SavePosition(ctx, name, seq)
}

func TestGuardEndsARecovery(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		s.stop()
		ids := s.alive()
		for _, id := range ids[:len(ids)/2] {
			s.remove(id, s.portal.TrashTicket)
			s.remove(id, s.portal.PurgeTicket)
		}
		s.kv, s.log = newMemKV(), newMemLog()
		s.run()
		s.restored(s.tables...)
		refused := false
		for _, r := range s.wh.reports {
			refused = refused || r.Table == source.Tickets && strings.Contains(r.Err, ErrGuard.Error())
		}
		if st := s.wh.row(source.Tickets, ids[0]); !refused || st.Deleted {
			t.Errorf("half of the tickets are gone: refused %v, deleted %v", refused, st.Deleted)
		}
	})
}

func TestMissingTableEndsTheSync(t *testing.T) {
	scenario(t, func(t *testing.T, s *estate) {
		s.stop()
		s.between = func(p *Parts) { p.Warehouse = missing{s.wh} }
		p := s.newPipeline()
		s.deleteEvent(77)
		if err := p.Run(t.Context()); !permanent(err) {
			t.Errorf("the sync ended with %v, want the error that no retry heals", err)
		}
	})
}

// missing is a warehouse one of whose tables is gone.
type missing struct{ *memWarehouse }

type goneError struct{ error }

func (goneError) Permanent() bool { return true }

func (missing) Heads(context.Context, source.Table, []source.Key) (map[source.Key]source.Head, error) {
	return nil, goneError{errors.New("no such table")}
}
