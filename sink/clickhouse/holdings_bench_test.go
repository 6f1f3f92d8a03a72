package clickhouse

import (
	"fmt"
	"testing"
	"time"

	"deskhouse/source"
)

// hydrated fills 200,000 tickets in four parts, a tenth of them updated, of
// which the older half has its detail.
func hydrated(b *testing.B) *Warehouse {
	b.Helper()
	w := prepared(b)
	const insert = "INSERT INTO %s.tickets_all (org_id, id, subject, _version, _content_as_of) SELECT 7000, cityHash64(number), repeat('x', 100), %d, 1700000000000 + number FROM numbers(%d, %d)"
	for _, part := range []struct{ version, from, rows int }{{1, 0, 100_000}, {1, 100_000, 100_000}, {2, 50_000, 10_000}, {2, 150_000, 10_000}} {
		must(b, w.exec(ctx, "fill", fmt.Sprintf(insert, ident(w.Database()), part.version, part.from, part.rows)))
	}
	must(b, w.exec(ctx, "fill", "INSERT INTO "+qualified(w.Database(), "tickets_detail")+" (org_id, id, _version, _as_of) SELECT 7000, cityHash64(number), 1, 1700000000000 + number FROM numbers(100000)"))
	return w
}

// BenchmarkUnhydrated asks for the next 1,000 rows to hydrate.
func BenchmarkUnhydrated(b *testing.B) {
	w := hydrated(b)
	for b.Loop() {
		keys, err := w.Unhydrated(ctx, source.Tickets, time.Time{}, 1000)
		must(b, err)
		if len(keys) != 1000 {
			b.Fatal(len(keys))
		}
	}
}

// BenchmarkSwap exchanges 200,000 rows, all of which the shadow has: the time
// for which nothing may be written.
func BenchmarkSwap(b *testing.B) {
	w := hydrated(b)
	for run := 0; b.Loop(); run++ {
		must(b, w.BeginRebuild(ctx, source.Tickets, fmt.Sprint(run)))
		must(b, w.copyRows(ctx, source.Tickets, w.shadows.of(source.Tickets), "1"))
		began := time.Now()
		copied, err := w.SwapRebuild(ctx, source.Tickets)
		must(b, err)
		if copied != 0 {
			b.Fatal(copied)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "swap-ms")
	}
}
