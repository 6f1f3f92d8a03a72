package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

var (
	longTickets = flag.Int("long.tickets", 20_000, "tickets of the load that takes days")
	longPerDay  = flag.Int("long.credits", 0, "credits a day of that load; 0: 5,000 for 500,000 tickets and in proportion for less, at least 400")
)

// TestLoadOverManyDays loads a portal whose day has far fewer credits than the
// load needs, and five calls at once, while another integration spends credits
// of its own, takes all of them on one day, and the process is killed daily. No
// call goes out that the replies until then forbid, the reserve is not the
// load's, and webhooks are applied all the while.
func TestLoadOverManyDays(t *testing.T) {
	perDay := *longPerDay
	if perDay == 0 {
		perDay = max(*longTickets/100, 400)
	}
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		l := newLongLoad(t, *longTickets, perDay)
		defer l.portal.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var others sync.WaitGroup
		others.Go(func() { l.spendElsewhere(ctx) })
		others.Go(func() { l.live(ctx) })
		l.start()
		l.through()
		cancel()
		others.Wait()
		time.Sleep(time.Hour)
		l.stop()
		l.judge()
	})
	t.Logf("%v of real time", time.Since(began).Round(time.Second))
}

// longLoad is a portal, an intake, and one process after the other.
type longLoad struct {
	*world
	perDay int
	meter  *meter
	kept   *memSpending
	client *zohodesk.Client
	rng    *rand.Rand // of the calendar
	spent  [4]int64   // by priority, of the processes that ended
	kills  int

	mu     sync.Mutex
	others []int // credits of the other integration, by day
}

func newLongLoad(t *testing.T, tickets, perDay int) *longLoad {
	w := newWorldWith(t, settings{latency: 500 * time.Millisecond, portal: desksim.Config{Seed: 77, Tickets: tickets,
		CreditsPerDay: perDay, Concurrency: 5, PayloadAtEvent: true}}, func(what string) { t.Error(what) })
	w.cfg.Modules = []string{"tickets"}
	l := &longLoad{world: w, perDay: perDay, kept: &memSpending{}, rng: rand.New(rand.NewPCG(77, 1))}
	l.meter = newMeter(w.portal.RoundTripper(), int64(perDay))
	return l
}

// start begins a process on what was stored.
func (l *longLoad) start() {
	var err error
	l.client, err = zohodesk.New(zohodesk.Config{Name: "main", AccountsURL: "https://accounts.sim", DeskURL: "https://desk.sim", OrgID: l.portal.OrgID(),
		ClientID: "1000.SIMULATEDCLIENT", ClientSecret: "simulated-secret", RefreshToken: "1000.simulated.refresh",
		Transport: l.meter, Tokens: l.tokens, Spending: l.kept, Logger: l.logger})
	l.must(err)
	l.epoch++
	cfg := l.cfg
	cfg.Epoch = l.epoch
	l.must(l.wh.Fence(context.Background(), l.epoch))
	ctx, cancel := context.WithCancel(context.Background())
	p := New(cfg, Parts{Desk: l.client, Warehouse: leanWarehouse{l.wh}, KV: l.kv, Events: l.log, Dead: l.letters, Purse: l.client, Clock: l.time, Log: l.logger})
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	l.p = p
	l.up.Store(true)
	l.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			l.fail("pipeline ended with %v", err)
		}
		for p, n := range l.client.Credits().ByPriority {
			l.spent[p] += n
		}
	})
}

// through lives day after day until everything is loaded, and kills the process
// on each, without a word to its store. On the third day the other integration
// takes all that is left, at a moment of the load's if it can be had.
func (l *longLoad) through() {
	for day := 0; !l.loaded(); day++ {
		midnight := l.meter.first.Add(time.Duration(day+1) * 24 * time.Hour)
		if day == 2 {
			l.exhaust()
		}
		l.untilLoaded(time.Duration(l.rng.Int64N(int64(time.Until(midnight)))))
		if l.loaded() {
			return
		}
		l.kills++
		l.stop()
		l.start()
		l.untilLoaded(time.Until(midnight.Add(5 * time.Second)))
		if day > 100 {
			l.must(errors.New("the load does not end"))
		}
	}
}

func (l *longLoad) loaded() bool {
	select {
	case <-l.p.Loaded():
		return true
	default:
		return false
	}
}

func (l *longLoad) untilLoaded(atMost time.Duration) {
	select {
	case <-l.p.Loaded():
	case <-time.After(atMost):
	}
}

// exhaust takes the day's last credits while the load runs, and checks that
// people are told, that the process can be killed in it, and that webhooks go
// on being applied from their payloads.
func (l *longLoad) exhaust() {
	for left := l.perDay; left > 0; {
		left = l.portal.SpendElsewhere(1)
	}
	l.note(l.perDay)
	time.Sleep(time.Minute)
	midnight := l.meter.first.Add(72 * time.Hour)
	for range 2 {
		until, why := l.client.WaitingUntil()
		if until.Before(midnight) || until.After(midnight.Add(time.Second)) || !strings.Contains(why, "credits of the day are spent") {
			l.fail("with no credits left it waits until %s because %q, want %s", until, why, midnight)
		}
		calls := l.calls()
		for range 5 {
			l.webhookIsApplied()
		}
		if more := l.calls() - calls; more != 0 {
			l.fail("%d calls were made for events while no credits are left", more)
		}
		l.kills++
		l.stop()
		l.start()
		time.Sleep(time.Minute)
	}
}

func (l *longLoad) calls() int {
	l.meter.mu.Lock()
	defer l.meter.mu.Unlock()
	return l.meter.calls
}

// webhookIsApplied changes a ticket and looks for it in the warehouse.
func (l *longLoad) webhookIsApplied() {
	subject := fmt.Sprintf("changed at %s", time.Now())
	id, err := l.portal.UpdateTicket(0, desksim.TicketChange{Subject: &subject})
	l.must(err)
	time.Sleep(time.Minute)
	row := l.wh.row(source.Tickets, id)
	if row.Record == nil || row.Record.Text("subject") != subject || row.Content.Rank != source.EvidenceWebhook {
		l.fail("after %d kills the event of ticket %d is not applied from its payload: content %+v", l.kills, id, row.Content)
	}
}

// spendElsewhere is another integration: a fifth of the day on average, at
// random, never much at once.
func (l *longLoad) spendElsewhere(ctx context.Context) {
	rng := rand.New(rand.NewPCG(77, 2))
	most := max(l.perDay/60, 2)
	for l.sleep(ctx, time.Duration(rng.Int64N(int64(2*time.Hour)))) {
		n := 1 + rng.IntN(most)
		if before := l.portal.Stats().CreditsSpent; before+n <= l.perDay {
			l.portal.SpendElsewhere(n)
			l.note(n)
		}
	}
}

// live changes something every quarter of an hour or so.
func (l *longLoad) live(ctx context.Context) {
	rng := rand.New(rand.NewPCG(77, 3))
	for l.sleep(ctx, time.Duration(rng.Int64N(int64(30*time.Minute)))) {
		_, err := l.portal.UpdateTicket(0, desksim.TicketChange{})
		l.must(err)
	}
}

func (l *longLoad) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (l *longLoad) note(credits int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	day := l.meter.today()
	for len(l.others) <= day {
		l.others = append(l.others, 0)
	}
	l.others[day] = min(l.others[day]+credits, l.perDay)
}

// judge compares what was loaded, and what it took.
func (l *longLoad) judge() {
	m, t := l.meter, l.t
	t.Logf("%d tickets with %d credits a day and 5 calls at once: %d days, %d kills, %d calls", *longTickets, l.perDay, len(m.days), l.kills, m.calls)
	t.Logf("429: %d for too many at once, %d for spent credits (%.2f %% of the calls)", m.many, m.gone, 100*float64(m.many+m.gone)/float64(m.calls))
	t.Logf("credits by purpose (re-read, poll, snapshot, hydration): %v; lowest figure a page of the load saw: %d of %d", l.spent, m.lowest, m.every)
	t.Logf("credits by endpoint: %v", l.portal.Stats().CreditsFor)
	for i, d := range m.days {
		others := 0
		if i < len(l.others) {
			others = l.others[i]
		}
		t.Logf("day %d: load %d, rest %d, another integration %d, 429 %d", i+1, d.load, d.rest, others, d.refused)
		if d.load > m.every-m.keep {
			t.Errorf("day %d: the load spent %d credits, and %d of %d are reserved", i+1, d.load, m.keep, m.every)
		}
	}
	for _, b := range m.blunder {
		t.Error(b)
	}
	if m.lowest < m.keep {
		t.Errorf("a page of the load left %d credits, and %d are reserved", m.lowest, m.keep)
	}
	// Five calls may be on their way when the other integration takes all, and
	// finding out how many go at once takes three.
	if refused := m.many + m.gone; refused > max(m.calls/100, 8) || int64(refused) != l.portal.Stats().TooMany {
		t.Errorf("%d of %d calls were refused (the portal counts %d), want 1 %% at most", refused, m.calls, l.portal.Stats().TooMany)
	}
	if len(m.days) < 4 {
		t.Errorf("the load took %d days: nothing is shown", len(m.days))
	}
	l.sameTickets()
}

// sameTickets checks that every ticket is there as it was changed last.
func (l *longLoad) sameTickets() {
	l.wh.mu.Lock()
	defer l.wh.mu.Unlock()
	held, missing, old := l.wh.main[source.Tickets], 0, 0
	for truth := range l.portal.Truth(string(source.Tickets)) {
		var want struct{ ModifiedTime time.Time }
		if err := json.Unmarshal(truth.Get, &want); err != nil {
			l.t.Fatal(err)
		}
		switch row, ok := held[source.Key{ID: truth.ID}]; {
		case !ok:
			missing++
		case row.Content.AsOf < want.ModifiedTime.UnixMilli():
			old++
		}
	}
	if missing+old > 0 || len(held) != *longTickets {
		l.t.Errorf("%d tickets held of %d, %d missing, %d as they were before", len(held), *longTickets, missing, old)
	}
}

// leanWarehouse keeps no content of tickets but what webhooks brought, so that
// half a million fit into memory.
type leanWarehouse struct{ *memWarehouse }

func (w leanWarehouse) Write(ctx context.Context, t source.Table, rows []source.Row, epoch uint64) error {
	if t == source.Tickets {
		rows = append([]source.Row(nil), rows...)
		for i := range rows {
			if rows[i].Content.Rank != source.EvidenceWebhook {
				rows[i].Record = nil
			}
		}
	}
	return w.memWarehouse.Write(ctx, t, rows, epoch)
}

func (w leanWarehouse) WriteSide(ctx context.Context, t source.Table, reg source.Register, rows []source.SideRow, epoch uint64) error {
	rows = append([]source.SideRow(nil), rows...)
	for i := range rows {
		rows[i].Record = nil
	}
	return w.memWarehouse.WriteSide(ctx, t, reg, rows, epoch)
}

// memSpending keeps a connection's credits over kills, as JSON.
type memSpending struct {
	mu    sync.Mutex
	value []byte
}

func (m *memSpending) LoadSpending(context.Context) (s zohodesk.Spending, found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.value == nil {
		return s, false, nil
	}
	return s, true, json.Unmarshal(m.value, &s)
}

func (m *memSpending) SaveSpending(_ context.Context, s zohodesk.Spending) error {
	value, err := json.Marshal(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.value = value
	return err
}

var _ http.RoundTripper = (*meter)(nil)
