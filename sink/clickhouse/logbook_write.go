package clickhouse

import (
	"context"
	"time"

	"deskhouse/source"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// SavePosition records that every change up to seq is in the tables. Call it
// after Write confirmed them. The last call wins, also with a smaller seq.
func (w *Warehouse) SavePosition(ctx context.Context, name string, seq uint64) error {
	return w.insert(ctx, positionsName, given(positionsTable("").columns), "", func(b chdriver.Batch) error {
		return appendAll(b, []string{name}, []uint64{seq})
	})
}

// Position returns the last position saved under a name; false when none was.
func (w *Warehouse) Position(ctx context.Context, name string) (uint64, bool, error) {
	var seq uint64
	var found bool
	err := w.scan(ctx, "read a position", "SELECT seq FROM "+qualified(w.cfg.Database, positionsName)+" FINAL WHERE name = {name:String}",
		args{"name": name}, func(row scanner) error {
			found = true
			return row.Scan(&seq)
		})
	return seq, found, err
}

// SaveStatus replaces the rows of these tables in sync_status.
func (w *Warehouse) SaveStatus(ctx context.Context, status []source.TableStatus) error {
	if len(status) == 0 {
		return nil
	}
	var tables, phases, faults []string
	var until, event, poll, resync nullable[int64]
	var drift, unplaced []uint64
	values := map[source.Table]uint64{}
	for _, u := range w.Unplaced() {
		values[u.Table] += u.Count
	}
	for _, s := range status {
		tables, phases = append(tables, string(s.Table)), append(phases, s.Phase)
		faults = append(faults, s.Error)
		instant(&until, millis(s.CompleteUntil))
		instant(&event, millis(s.LastEventAt))
		instant(&poll, millis(s.LastPollAt))
		instant(&resync, millis(s.LastResyncAt))
		drift, unplaced = append(drift, s.Drift), append(unplaced, values[s.Table])
	}
	return w.insert(ctx, statusName, given(statusTable().columns), "", func(b chdriver.Batch) error {
		return appendAll(b, tables, phases, until.cells, event.cells, poll.cells, resync.cells, drift, unplaced, faults)
	})
}

// millis is a time as stored, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant adds a time, 0 and what DateTime64 cannot hold as NULL.
func instant(n *nullable[int64], ms int64) {
	if ms == 0 || ms < minTime || ms > maxTime {
		n.null(true)
		return
	}
	n.put(ms)
}

// SaveRun replaces the row of this run and table in sync_runs; it may be
// called again and again while the run goes on.
func (w *Warehouse) SaveRun(ctx context.Context, r source.RunReport) error {
	var started, finished nullable[int64]
	instant(&started, millis(r.Started))
	instant(&finished, millis(r.Finished))
	one := func(n uint64) []uint64 { return []uint64{n} }
	return w.insert(ctx, runsName, given(runsTable().columns), "", func(b chdriver.Batch) error {
		return appendAll(b, []string{r.Run}, []string{string(r.Table)}, []string{r.Trigger}, started.cells, finished.cells,
			one(r.Read), one(r.Unchanged), one(r.Repaired), one(r.Deleted), one(r.Resurrected), one(r.MissedBySearch), one(r.NotVisible),
			[]uint8{bit(r.Incomplete)}, []string{r.Err}, one(r.Backfilled))
	})
}

// WriteChanges adds to the history, as far as each table's mode wants it:
// nothing with HistoryOff, no previous state with HistoryMetadata. Writing a
// change again leaves one row.
func (w *Warehouse) WriteChanges(ctx context.Context, changes []source.Change) error {
	var c changeCells
	for i := range changes {
		if mode := w.cfg.history(changes[i].Table); mode != HistoryOff {
			c.add(w.cfg.OrgID, &changes[i], mode == HistoryFull)
		}
	}
	if len(c.ids) == 0 {
		return nil
	}
	return w.insert(ctx, changesName, given(changesTable().columns), "", c.send)
}

type changeCells struct {
	orgs, ids, records, versions    []uint64
	tables, keys, ops, origins, evs []string
	at                              nullable[int64]
	received                        []int64
	by                              nullable[uint64]
	changed                         [][]string
	before, after                   [][]*string
	previous                        nullable[string]
}

func (c *changeCells) add(org uint64, ch *source.Change, full bool) {
	c.orgs, c.ids, c.records, c.versions = append(c.orgs, org), append(c.ids, ch.ID), append(c.records, ch.Key.ID), append(c.versions, ch.Version)
	c.tables, c.keys, c.ops = append(c.tables, string(ch.Table)), append(c.keys, ch.Key.String()), append(c.ops, string(ch.Op))
	c.origins, c.evs = append(c.origins, ch.Origin), append(c.evs, ch.Event)
	instant(&c.at, ch.At)
	c.received = append(c.received, min(max(ch.Received.UnixMilli(), minTime), maxTime))
	if ch.ModifiedBy != 0 {
		c.by.put(ch.ModifiedBy)
	} else {
		c.by.null(true)
	}
	c.changed, c.before, c.after = append(c.changed, ch.Changed), append(c.before, ch.Old), append(c.after, ch.New)
	if full && ch.Previous != "" {
		c.previous.put(ch.Previous)
	} else {
		c.previous.null(true)
	}
}

func (c *changeCells) send(b chdriver.Batch) error {
	return appendAll(b, c.orgs, c.ids, c.tables, c.records, c.keys, c.ops, c.at.cells, c.received, c.origins, c.evs, c.versions, c.by.cells, c.changed, c.before, c.after, c.previous.cells)
}
