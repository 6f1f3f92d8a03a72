package pipeline

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/sink/clickhouse"
	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"
	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

const smokeTickets = 100_000

// BenchmarkSmokeLoad is the whole pipeline at zero latency: a full load of
// tickets from the simulator, in process, into the real engine. The simulator
// renders its rows (2.7 KB each) on the same cores.
func BenchmarkSmokeLoad(b *testing.B) {
	ctx := context.Background()
	engine := enginetest.Start(b)
	portal := desksim.New(desksim.Config{Seed: 1, Tickets: smokeTickets, CreditsPerDay: -1, Concurrency: -1})
	defer portal.Close()
	for b.Loop() {
		load(ctx, b, "clickhouse://"+engine.Addr(), enginetest.Database(b, engine), portal)
	}
	b.ReportMetric(float64(smokeTickets*b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(portal.Stats().CreditsFor["tickets.search"])/float64(smokeTickets*b.N)*100, "credits/100")
}

// load runs one sync until its tickets are loaded.
func load(ctx context.Context, b *testing.B, url, database string, portal *desksim.Portal) {
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	client, err := zohodesk.New(zohodesk.Config{Name: "main", AccountsURL: "https://accounts.sim", DeskURL: "https://desk.sim", OrgID: portal.OrgID(),
		ClientID: "1000.SIMULATEDCLIENT", ClientSecret: "simulated-secret", RefreshToken: "1000.simulated.refresh",
		Transport: portal.RoundTripper(), Logger: zerolog.Nop()})
	must(err)
	wh, err := clickhouse.Open(ctx, clickhouse.Config{URL: url, Database: database, OrgID: portal.OrgID(), Pipeline: "bench", Logger: zerolog.Nop()})
	must(err)
	defer wh.Close()
	tables := []source.Table{source.Tickets}
	must(wh.Prepare(ctx, tables))
	_, fields, err := client.Fields(ctx, source.ForSnapshot, "tickets")
	must(err)
	_, err = wh.EnsureCustomFields(ctx, source.Tickets, fields)
	must(err)
	p := New(Config{Name: "bench", OrgID: portal.OrgID(), Tables: tables, Trust: true, Bin: time.Hour,
		Polls: map[source.Table]time.Duration{source.Tickets: time.Hour}},
		Parts{Desk: client, Warehouse: wh, KV: newMemKV(), Dead: &memLetters{}, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(run) }()
	<-p.Loaded()
	stop()
	<-ended
	visible, _, err := wh.Counts(ctx, source.Tickets)
	must(err)
	if visible != smokeTickets {
		b.Fatal(fmt.Errorf("%d rows loaded, want %d", visible, smokeTickets))
	}
}
