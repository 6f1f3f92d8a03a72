package clickhouse

import (
	"context"
	"errors"
	"time"

	"deskhouse/source"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// A settled table is one part. FINAL then has nothing to merge and the views
// read as fast as a plain table; every further part makes FINAL walk through the
// keys of the whole table (docs/benchmarks.md). The server by itself merges parts
// of a similar size and leaves half a dozen. So whoever leads merges the rest
// where a table is quiet, at a price that is bounded: a merge writes the whole
// table anew, be it for one changed row.
const (
	// settleQuiet is how long nothing may have been inserted or merged.
	settleQuiet = 2 * time.Minute
	// settlePace is what merging may write of one table: a table of 200 MB is
	// merged every twelve minutes at most, one of 1 GB every hour.
	settlePace = settleSmall // bytes an hour
	// settleSmall is the compressed size up to which the pace alone counts. A
	// larger table is merged once a day, in a quieter hour.
	settleSmall = 1 << 30
	largeQuiet  = 15 * time.Minute
	largeEvery  = 24 * time.Hour
	// settleMost is where it ends: 64 GB take some twenty minutes of one core
	// (50 MB/s were seen on two cores) and as much free disk.
	settleMost = 64 << 30
	// settleWait bounds waiting for one merge, not the merge: once begun the
	// server ends it, whatever becomes of the statement (seen with 26.7).
	settleWait = 30 * time.Minute
)

// parts is what a table's active parts are like.
type parts struct {
	table  string
	count  uint64
	level  uint32 // the lowest: 0 was inserted as it came, and may repeat a key
	bytes  uint64 // compressed
	newest time.Duration
	whole  time.Duration // age of the largest part: how long ago most rows were merged
}

func (p parts) settled() bool { return p.count == 0 || p.count == 1 && p.level > 0 }

// due reports whether the table should be merged into one part now.
func (p parts) due() bool {
	switch {
	case p.settled(), p.bytes > settleMost, p.newest < settleQuiet:
		return false
	case p.bytes > settleSmall:
		return p.newest >= largeQuiet && p.whole >= largeEvery
	}
	return p.whole.Seconds() >= float64(p.bytes)/settlePace*time.Hour.Seconds()
}

// Settle merges into one part what is due of these tables and of the logbook,
// one after the other, and returns the names of those that have fewer parts
// afterwards. A server that leaves a table as it was is no error: it is logged
// once, until that table is merged again. Settle blocks neither writers nor
// readers. When ctx ends it returns at once, and a merge that has begun is ended
// by the server. Where a grant is missing it does nothing, and the server's own
// merges have to do. Idempotent; errors may pass.
func (w *Warehouse) Settle(ctx context.Context, tables []source.Table) (merged []string, err error) {
	return w.settle(ctx, tables, parts.due)
}

func (w *Warehouse) settle(ctx context.Context, tables []source.Table, due func(parts) bool) (merged []string, err error) {
	want := logbookTables()
	for _, t := range tables {
		l, err := w.layout(t)
		if err != nil {
			return nil, err
		}
		want = append(want, l.tables()...)
	}
	held, err := w.parts(ctx, want)
	if err != nil {
		return nil, w.withoutGrant(err)
	}
	for _, p := range held {
		if !due(p) {
			continue
		}
		fewer, one := w.mergeParts(ctx, p)
		if one != nil {
			err = errors.Join(err, w.withoutGrant(one))
			continue
		}
		if fewer {
			merged = append(merged, p.table)
		}
	}
	return merged, err
}

// mergeParts merges a table and looks whether that left it with fewer parts: the
// server does nothing, and says nothing, where the disk has no room for the
// result, another merge has the parts, or a mutation that cannot end keeps them
// apart (seen with 26.7; docs: OPTIMIZE, optimize_throw_if_noop).
func (w *Warehouse) mergeParts(ctx context.Context, before parts) (fewer bool, err error) {
	if err := w.mergeWhole(ctx, before.table); err != nil {
		return false, err
	}
	held, err := w.parts(ctx, []table{{name: before.table}})
	if err != nil || len(held) == 0 {
		return false, err
	}
	if after := held[0]; after.settled() || after.count < before.count {
		w.unmerged.Delete(before.table)
		return true, nil
	}
	if _, said := w.unmerged.LoadOrStore(before.table, true); !said {
		w.cfg.Logger.Warn().Str("table", before.table).Uint64("parts", held[0].count).
			Msg("the server left the parts unmerged (a full disk, a merge under way, or a mutation that cannot end): views read slower")
	}
	return false, nil
}

// parts looks at the active parts of tables, the smallest table first. Ages are
// by the server's clock alone.
func (w *Warehouse) parts(ctx context.Context, of []table) (all []parts, err error) {
	names := make([]string, len(of))
	for i, t := range of {
		names[i] = t.name
	}
	err = w.scan(ctx, "look at parts", "SELECT table, count(), min(level), sum(bytes_on_disk), toInt64(dateDiff('second', max(modification_time), now())), "+
		"toInt64(dateDiff('second', argMax(modification_time, rows), now())) FROM system.parts "+
		"WHERE active AND database = {db:String} AND table IN {tables:Array(String)} GROUP BY table ORDER BY sum(bytes_on_disk), table",
		args{"db": w.cfg.Database, "tables": names}, func(row scanner) error {
			var p parts
			var newest, whole int64
			err := row.Scan(&p.table, &p.count, &p.level, &p.bytes, &newest, &whole)
			p.newest, p.whole = time.Duration(newest)*time.Second, time.Duration(whole)*time.Second
			all = append(all, p)
			return err
		})
	return all, err
}

// mergeWhole merges all parts of a table into one. The statement is not tagged
// with this process's epoch: the next leader waits for the tagged ones that it
// kills, and this one does not end when it is killed.
func (w *Warehouse) mergeWhole(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	ctx = driver.Context(ctx, driver.WithSettings(driver.Settings{"optimize_skip_merged_partitions": 1}))
	return classify("merge parts of "+name, w.conn.Exec(ctx, "OPTIMIZE TABLE "+qualified(w.cfg.Database, name)+" FINAL"))
}

// withoutGrant takes the lack of a grant for an answer, and says it once.
func (w *Warehouse) withoutGrant(err error) error {
	if !isDenied(err) {
		return err
	}
	w.noSettling.Do(func() {
		w.cfg.Logger.Warn().Err(err).Msg("parts are merged by the server alone: views read slower while there are several")
	})
	return nil
}
