package clickhouse

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"deskhouse/source"
)

// maxParts is how many active parts a table may have: each one is a file more
// for every query, and the server slows inserts down at 1,000.
const maxParts = 60

// partsWatch remembers the most parts that each table was seen with.
type partsWatch struct {
	w    *Warehouse
	most map[string]uint64
}

func (p *partsWatch) look(t testing.TB) {
	t.Helper()
	must(t, p.w.scan(ctx, "count parts", "SELECT table, count() FROM system.parts WHERE active AND database = {db:String} GROUP BY table", p.w.dbArg(),
		func(row scanner) error {
			var name string
			var n uint64
			err := row.Scan(&name, &n)
			p.most[name] = max(p.most[name], n)
			return err
		}))
}

// TestAStreamAndALoadLeaveFewParts writes five minutes of a follower's batches
// without the second of rest between them, then a load of 300,000 rows.
func TestAStreamAndALoadLeaveFewParts(t *testing.T) {
	w := prepared(t)
	watch := &partsWatch{w: w, most: map[string]uint64{}}
	rec := record(t, source.Tickets, `{"id":"1","subject":"printer","status":"Open","lastThread":{"channel":"EMAIL"}}`)
	batch := func(from, n int, version uint64) (main []source.Row, side []source.SideRow, changes []source.Change) {
		for i := range n {
			key := source.Key{ID: uint64(1 + (from+i)*7919%1_000_003)}
			row := withVersion(content(rec, int64(version)), version)
			row.Key = key
			main = append(main, row)
			side = append(side, source.SideRow{Key: key, Stamp: source.Stamp{AsOf: int64(version), Rank: source.EvidenceSearch, Hash: version}, Record: rec})
			changes = append(changes, source.Change{ID: version<<32 | uint64(i), Table: source.Tickets, Key: key, Op: source.OpUpdate, Version: version})
		}
		return main, side, changes
	}
	put := func(from, n int, version uint64, logged bool) {
		main, side, changes := batch(from, n, version)
		must(t, w.Write(ctx, source.Tickets, main, 1))
		must(t, w.WriteSide(ctx, source.Tickets, source.Listed, side, 1))
		if logged {
			must(t, w.WriteChanges(ctx, changes))
		}
		watch.look(t)
	}
	for second := range 300 {
		put(second*100, 100, uint64(second+1), true)
	}
	for from := 0; from < 300_000; from += 25_000 {
		put(from, 25_000, 1000, false)
	}
	t.Logf("most parts seen: %v", watch.most)
	for _, name := range slices.Sorted(maps.Keys(watch.most)) {
		if n := watch.most[name]; n > maxParts {
			t.Errorf("%s had %d parts, want at most %d", name, n, maxParts)
		}
	}
	for _, name := range []string{"tickets_all", "tickets_listed", changesName} {
		if watch.most[name] < 2 {
			t.Errorf("%s had %d parts: nothing was watched", name, watch.most[name])
		}
	}
	wantRow(t, w, "300000", "SELECT count() FROM tickets_all FINAL WHERE _version = 1000")
	wantRow(t, w, fmt.Sprint(30_000), "SELECT count() FROM changes_all FINAL")
}
