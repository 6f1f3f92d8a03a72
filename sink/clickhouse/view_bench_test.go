package clickhouse

import (
	"context"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"deskhouse/source"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

var (
	viewRows   = flag.Int("view.rows", 10_000, "tickets of the comparison of views with plain tables; make bench takes a million")
	viewRounds = flag.Int("view.rounds", 2, "how often each query is repeated")
	viewWarm   = flag.Int("view.warm", 3, "writes of a stream before it is measured")
	viewPace   = flag.Duration("view.pace", time.Millisecond, "time between two writes of the stream, each of 100 changes")
)

// What the median of the five queries' ratios should be at most, at a million
// rows: a small table's query is planning and little else.
const (
	aimMerged  = 1.1
	aimSettled = 2.0
	aimStream  = 3.0
)

// TestViewAgainstPlainTable asks the view tickets and a plain MergeTree of the
// same rows the same five questions, in turn, in each state that the table can
// be in. The answers must be equal; `make bench` measures with a million rows.
func TestViewAgainstPlainTable(t *testing.T) {
	b := newViewBench(t)
	b.load()
	b.update()
	b.plainCopy()
	b.compare("left to the server", 0)
	b.merged("settling", func() {
		_, err := b.w.settle(ctx, []source.Table{source.Tickets}, unsettled)
		must(t, err)
		b.count(*viewRows / 5)
	})
	b.compare("settled", aimSettled)
	must(t, b.w.exec(ctx, "merge", "OPTIMIZE TABLE "+qualified(b.w.Database(), "tickets_all")+" FINAL"))
	b.compare("fully merged", aimMerged)
	b.stream(func() { b.compare("100 changes/s", aimStream) })
	t.Log("\n" + b.out.String())
}

// viewBench is one comparison.
type viewBench struct {
	t      *testing.T
	w      *Warehouse
	portal *viewPortal
	out    strings.Builder
	live   bool // rows change, so answers need not be equal
	wrote  int
}

func newViewBench(t *testing.T) *viewBench {
	b := &viewBench{t: t, w: prepared(t), portal: newViewPortal(*viewRows)}
	_, err := b.w.EnsureCustomFields(ctx, source.Tickets, benchCustom)
	must(t, err)
	return b
}

// load writes every ticket, in the batches of the pipeline's writer.
func (b *viewBench) load() {
	all := make([]int, *viewRows)
	for i := range all {
		all[i] = i
	}
	b.merged("load", func() {
		for part := range slices.Chunk(all, benchBatch) {
			must(b.t, b.w.Write(ctx, source.Tickets, b.portal.rows(b.t, 1, part...), 1))
			b.count(len(part))
		}
	})
}

// update changes a fifth of the tickets, whichever: half in the batches of a
// follower that writes once a second, half in those of a resync. One in 200 is
// deleted then.
func (b *viewBench) update() {
	n := *viewRows / 5
	ids := b.portal.some(n)
	b.merged("follower's writes, 100 rows each", func() {
		for part := range slices.Chunk(ids[:n/2], 100) {
			must(b.t, b.w.Write(ctx, source.Tickets, b.portal.rows(b.t, 2, part...), 1))
			b.count(len(part))
		}
	})
	b.merged("a resync's writes", func() {
		for part := range slices.Chunk(ids[n/2:], benchBatch) {
			must(b.t, b.w.Write(ctx, source.Tickets, b.portal.rows(b.t, 3, part...), 1))
			b.count(len(part))
		}
	})
	b.merged("deletions", func() { b.delete(ids[:n/200]) })
}

func (b *viewBench) delete(tickets []int) {
	keys := make([]source.Key, len(tickets))
	for i, n := range tickets {
		keys[i] = source.Key{ID: b.portal.ids[n]}
	}
	heads, err := b.w.Heads(ctx, source.Tickets, keys)
	must(b.t, err)
	gone := make([]source.Row, len(keys))
	for i, k := range keys {
		gone[i] = withVersion(deletion(k, heads[k], viewNow.UnixMilli()), 4)
	}
	must(b.t, b.w.Write(ctx, source.Tickets, gone, 1))
	b.count(len(gone))
}

// plainCopy makes the measure: the rows that the view shows now, in a plain
// table of the same columns, merged.
func (b *viewBench) plainCopy() {
	plain, all := qualified(b.w.Database(), "plain"), qualified(b.w.Database(), "tickets_all")
	must(b.t, b.w.exec(ctx, "make plain", "CREATE TABLE "+plain+" AS "+all+" ENGINE = MergeTree ORDER BY (org_id, id)"))
	must(b.t, b.w.exec(ctx, "fill plain", "INSERT INTO "+plain+" SELECT * FROM "+all+" FINAL WHERE _is_deleted = 0"))
	must(b.t, b.w.mergeWhole(ctx, "plain"))
	wantRow(b.t, b.w, row(b.t, b.w, "SELECT count() FROM plain"), "SELECT count() FROM tickets")
}

// stream changes 100 tickets a write, at the pace, while do runs.
func (b *viewBench) stream(do func()) {
	stop, warm, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	b.live = true
	b.merged("the stream's writes", func() {
		go func() {
			defer close(ended)
			pace := time.NewTicker(*viewPace)
			defer pace.Stop()
			for i := 0; ; i++ {
				if i == *viewWarm {
					close(warm)
				}
				select {
				case <-stop:
					return
				case <-pace.C:
					if err := b.w.Write(ctx, source.Tickets, b.portal.rows(b.t, uint64(5+i), b.portal.some(100)...), 1); err != nil {
						b.t.Error(err)
					}
					b.count(100)
				}
			}
		}()
		<-warm
		do()
		close(stop)
		<-ended
	})
}

func (b *viewBench) count(rows int) { b.wrote += rows }

// merged does some writing, waits until the server has merged what it wants to,
// and reports how much that was for each row written.
func (b *viewBench) merged(what string, do func()) {
	before := b.mergedBytes()
	b.wrote = 0
	do()
	for b.merging() {
		time.Sleep(50 * time.Millisecond) // the server tells nobody when it is done
	}
	fmt.Fprintf(&b.out, "%-34s %9d rows  %6.1f kB merged a row  %s\n", what, b.wrote, float64(b.mergedBytes()-before)/float64(b.wrote)/1000, b.parts())
}

func (b *viewBench) mergedBytes() (n uint64) {
	must(b.t, b.w.scan(ctx, "count merges", "SELECT sum(value) FROM system.events WHERE event = 'MergedUncompressedBytes'", nil,
		func(row scanner) error { return row.Scan(&n) }))
	return n
}

func (b *viewBench) merging() bool {
	return row(b.t, b.w, "SELECT count() > 0 FROM system.merges WHERE database = currentDatabase()") == "1"
}

// parts describes the table's active parts.
func (b *viewBench) parts() string {
	return row(b.t, b.w, "SELECT concat(toString(count()), ' parts, ', toString(sum(rows) - max(rows)), ' rows outside the largest, ', formatReadableSize(sum(bytes_on_disk)))"+
		" FROM system.parts WHERE active AND database = currentDatabase() AND table = 'tickets_all'")
}

// cost is what a query took, in milliseconds: of the server's CPU, and by the
// clock.
type cost struct{ cpu, wall float64 }

// ask runs a query; the CPU time is what the server reports of its threads.
func (b *viewBench) ask(sql string) (answer []string, c cost) {
	var mu sync.Mutex
	micros := int64(0)
	ctx := driver.Context(context.Background(), driver.WithProfileEvents(func(events []driver.ProfileEvent) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			if e.Type == "increment" && (e.Name == "UserTimeMicroseconds" || e.Name == "SystemTimeMicroseconds") {
				micros += e.Value
			}
		}
	}))
	began := time.Now()
	r, err := b.w.into.Query(ctx, sql)
	must(b.t, err)
	for r.Next() {
		dest := make([]any, len(r.ColumnTypes()))
		for i, c := range r.ColumnTypes() {
			dest[i] = reflect.New(c.ScanType()).Interface()
		}
		must(b.t, r.Scan(dest...))
		for i := range dest {
			dest[i] = reflect.Indirect(reflect.Indirect(reflect.ValueOf(dest[i])))
		}
		answer = append(answer, fmt.Sprint(dest...))
	}
	must(b.t, r.Err())
	must(b.t, r.Close())
	c.wall = float64(time.Since(began).Microseconds()) / 1000
	mu.Lock()
	defer mu.Unlock()
	c.cpu = max(float64(micros), 100) / 1000 // less cannot be told from nothing
	return answer, c
}

// compare asks every question of both tables in turn and reports the medians. An
// aim of 0 is none.
func (b *viewBench) compare(state string, aim float64) {
	var cpus, walls []float64
	fmt.Fprintf(&b.out, "\n%s: %s\n", state, b.parts())
	for _, q := range benchQueries {
		var view, plain, ratio [2][]float64
		for range *viewRounds {
			want, p := b.ask(fmt.Sprintf(q.sql, "plain"))
			got, v := b.ask(fmt.Sprintf(q.sql, "tickets"))
			if !b.live && (!slices.Equal(got, want) || len(got) == 0) {
				b.t.Errorf("%s, %s: the view answers %q, the plain table %q", state, q.name, got, want)
			}
			for i, c := range [2][2]float64{{v.cpu, p.cpu}, {v.wall, p.wall}} {
				view[i], plain[i], ratio[i] = append(view[i], c[0]), append(plain[i], c[1]), append(ratio[i], c[0]/c[1])
			}
		}
		cpus, walls = append(cpus, median(ratio[0])), append(walls, median(ratio[1]))
		fmt.Fprintf(&b.out, "  %-34s CPU %6.1f : %6.1f ms = %5.2f   wall %6.1f : %6.1f ms = %5.2f\n", q.name,
			median(view[0]), median(plain[0]), median(ratio[0]), median(view[1]), median(plain[1]), median(ratio[1]))
	}
	fmt.Fprintf(&b.out, "  %-34s CPU %25.2f   wall %25.2f", "median of the five", median(cpus), median(walls))
	if aim > 0 {
		fmt.Fprintf(&b.out, "   aim %.1f", aim)
	}
	b.out.WriteByte('\n')
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return (sorted[len(sorted)/2] + sorted[(len(sorted)-1)/2]) / 2
}
