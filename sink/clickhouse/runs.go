package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"deskhouse/source"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// seenColumns are the columns of a run's table; repeats collapse.
var seenColumns = []column{
	{name: "table", typ: typeLabel, comment: "Table of this database"},
	{name: "id", typ: typeID, comment: "Id of the record; 0 in tables keyed by name"},
	{name: "module", typ: typePlain, comment: "Module, in tables keyed by name"},
	{name: "api_name", typ: typePlain, comment: "API name, in tables keyed by name"},
	versionNow,
}

func seenTable(name string) table {
	return table{name: name, order: []string{"table", "id", "module", "api_name"}, columns: seenColumns,
		comment: "keys seen by a comparison that is under way; dropped when it ends"}
}

const runPrefix = "run_"

func runTable(run string) string { return runPrefix + run }

// BeginRun opens the record of keys that one complete reading sees, in a table
// of its own, so that ten million of them need no memory here. Beginning a run
// again continues it.
func (w *Warehouse) BeginRun(ctx context.Context, run string) error {
	return w.exec(ctx, "begin run "+run, seenTable(runTable(run)).create(w.cfg.Database))
}

// Seen records keys that exist at Zoho. Recording one again changes nothing.
// Safe for concurrent use; each call is one insert, so callers gather keys.
func (w *Warehouse) Seen(ctx context.Context, run string, t source.Table, keys []source.Key) error {
	for part := range slices.Chunk(keys, maxBlockRows) {
		n := len(part)
		tables, ids, modules, apis := make([]string, n), make([]uint64, n), make([]string, n), make([]string, n)
		for i, k := range part {
			tables[i], ids[i] = string(t), k.ID
			if byName(t) {
				modules[i], apis[i] = splitName(k)
			}
		}
		err := w.insert(ctx, runTable(run), given(seenColumns), "", func(b chdriver.Batch) error {
			return appendAll(b, tables, ids, modules, apis)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Absent returns the keys of visible rows that the run has not seen and about
// which nothing is known from before or later (Zoho's clock): candidates for
// deletion, not proof.
func (w *Warehouse) Absent(ctx context.Context, run string, t source.Table, before time.Time) ([]source.Key, error) {
	return w.keys(ctx, "look for absent keys of "+mainName(t), t, absentSQL(w.cfg.Database, w.cfg.OrgID, t, runTable(run)),
		args{"before": before.UnixMilli(), "table": string(t)})
}

func absentSQL(database string, org uint64, t source.Table, run string) string {
	keys := idents(keyNames(t))
	return keysSQL(database, org, t, fmt.Sprintf(shown+" AND greatest(_content_as_of, _life_as_of) < {before:Int64} AND (%s) NOT IN (SELECT %s FROM %s WHERE table = {table:String})",
		keys, keys, qualified(database, run)))
}

// EndRun forgets the keys of a run; one that does not exist is no error.
func (w *Warehouse) EndRun(ctx context.Context, run string) error {
	return w.exec(ctx, "end run "+run, "DROP TABLE IF EXISTS "+qualified(w.cfg.Database, runTable(run))+" SYNC")
}

// endRuns forgets the runs that a process left behind: an interrupted reading
// is never continued by another process.
func (w *Warehouse) endRuns(ctx context.Context) error {
	names, err := w.ours(ctx, runPrefix)
	for _, name := range names {
		err = errors.Join(err, w.EndRun(ctx, name[len(runPrefix):]))
	}
	return err
}
