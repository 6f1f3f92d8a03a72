package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"deskhouse/source"

	"github.com/rs/zerolog"
)

func TestWhatIsDueToBeMerged(t *testing.T) {
	const mb, gb = 1 << 20, 1 << 30
	for name, c := range map[string]struct {
		parts parts
		want  bool
	}{
		"no rows":                               {parts{}, false},
		"one merged part":                       {parts{count: 1, level: 1, bytes: mb, newest: time.Hour, whole: time.Hour}, false},
		"one part as it was inserted":           {parts{count: 1, level: 0, bytes: mb, newest: time.Hour, whole: time.Hour}, true},
		"two parts":                             {parts{count: 2, level: 1, bytes: mb, newest: time.Hour, whole: time.Hour}, true},
		"an insert a minute ago":                {parts{count: 2, level: 1, bytes: mb, newest: time.Minute, whole: time.Hour}, false},
		"200 MB merged ten minutes ago":         {parts{count: 3, level: 1, bytes: 200 * mb, newest: 5 * time.Minute, whole: 10 * time.Minute}, false},
		"200 MB merged twelve minutes ago":      {parts{count: 3, level: 1, bytes: 200 * mb, newest: 5 * time.Minute, whole: 12 * time.Minute}, true},
		"1 GB merged fifty minutes ago":         {parts{count: 3, level: 1, bytes: gb, newest: 50 * time.Minute, whole: 50 * time.Minute}, false},
		"1 GB merged an hour ago":               {parts{count: 3, level: 1, bytes: gb, newest: 50 * time.Minute, whole: time.Hour}, true},
		"more than 1 GB merged an hour ago":     {parts{count: 3, level: 1, bytes: gb + 1, newest: time.Hour, whole: time.Hour}, false},
		"40 GB merged yesterday, quiet":         {parts{count: 9, level: 1, bytes: 40 * gb, newest: 15 * time.Minute, whole: 24 * time.Hour}, true},
		"40 GB merged yesterday, changing":      {parts{count: 9, level: 1, bytes: 40 * gb, newest: 5 * time.Minute, whole: 24 * time.Hour}, false},
		"100 GB, which would take half an hour": {parts{count: 9, level: 1, bytes: 100 * gb, newest: 99 * time.Hour, whole: 99 * time.Hour}, false},
	} {
		if got := c.parts.due(); got != c.want {
			t.Errorf("%s: due is %v, want %v", name, got, c.want)
		}
	}
}

// unsettled is due whatever its age.
func unsettled(p parts) bool { return !p.settled() }

// withoutMerges keeps the server from merging a table by itself.
func withoutMerges(t testing.TB, w *Warehouse, name string) {
	t.Helper()
	must(t, w.exec(ctx, "stop merges", "ALTER TABLE "+qualified(w.Database(), name)+" MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1"))
}

func TestSettleLeavesOnePartAndTheSameRows(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		withoutMerges(t, w, "tickets_all")
		for i := range 5 {
			must(t, w.Write(ctx, source.Tickets, []source.Row{
				withVersion(content(record(t, source.Tickets, fmt.Sprintf(`{"id":"1","subject":"version %d"}`, i)), 1), uint64(10+i)),
				withVersion(content(record(t, source.Tickets, fmt.Sprintf(`{"id":"%d","subject":"s"}`, 100+i)), 1), 1)}, 1))
		}
		const state = "SELECT count(), anyIf(subject, id = 1) FROM tickets"
		wantRow(t, w, "6\tversion 4", state)
		merged, err := w.settle(ctx, []source.Table{source.Tickets}, unsettled)
		must(t, err)
		if len(merged) != 1 || merged[0] != "tickets_all" {
			t.Fatalf("merged %v, want tickets_all alone", merged)
		}
		wantRow(t, w, "1\t6", "SELECT count(), sum(rows) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'tickets_all'")
		wantRow(t, w, "6\tversion 4", state)
		if merged, err = w.settle(ctx, []source.Table{source.Tickets}, unsettled); err != nil || len(merged) > 0 {
			t.Fatalf("merged %v once more, %v", merged, err)
		}
	})
}

// A mutation that fails again and again keeps parts from before and after it
// apart, and OPTIMIZE does not say so.
func TestASettleThatTheServerDoesNotCarryOut(t *testing.T) {
	var log bytes.Buffer
	w := prepared(t, func(c *Config) { c.Logger = zerolog.New(&log) })
	const name = "tickets_all"
	withoutMerges(t, w, name)
	must(t, write(w, source.Tickets, `{"id":"1","subject":"a"}`))
	table := qualified(w.Database(), name)
	must(t, w.exec(ctx, "begin a mutation", "ALTER TABLE "+table+" UPDATE subject = toString(throwIf(id > 0)) WHERE 1 SETTINGS mutations_sync = 0"))
	must(t, write(w, source.Tickets, `{"id":"2","subject":"b"}`))
	log.Reset()
	for range 3 {
		merged, err := w.settle(ctx, []source.Table{source.Tickets}, unsettled)
		must(t, err)
		if len(merged) > 0 {
			t.Fatalf("merged %v, said of a table that has two parts", merged)
		}
	}
	if got := log.String(); strings.Count(got, "unmerged") != 1 || !strings.Contains(got, `"table":"tickets_all"`) {
		t.Errorf("three attempts are logged as\n%s", got)
	}
	must(t, w.exec(ctx, "end the mutation", "KILL MUTATION WHERE database = "+literal(w.Database())+" AND table = "+literal(name)+" SYNC"))
	merged, err := w.settle(ctx, []source.Table{source.Tickets}, unsettled)
	must(t, err)
	if len(merged) != 1 {
		t.Errorf("merged %v after the mutation", merged)
	}
	if _, said := w.unmerged.Load(name); said {
		t.Error("the next time would not be logged")
	}
}

func TestSettleWaitsForQuiet(t *testing.T) {
	w := prepared(t)
	for i := range uint64(3) {
		must(t, w.Write(ctx, source.Tickets, []source.Row{withVersion(content(record(t, source.Tickets, `{"id":"1"}`), 1), i+1)}, 1))
	}
	merged, err := w.Settle(ctx, allTables)
	must(t, err)
	if len(merged) > 0 {
		t.Fatalf("merged %v, which have just been written", merged)
	}
	held, err := w.parts(ctx, []table{{name: "tickets_all"}})
	must(t, err)
	if len(held) != 1 || held[0].bytes == 0 || held[0].newest > time.Minute || held[0].newest < 0 || held[0].whole < held[0].newest {
		t.Fatalf("parts %+v", held)
	}
}

func TestASettleThatIsStoppedOrFailsSaysSo(t *testing.T) {
	w := prepared(t)
	withoutMerges(t, w, changesName)
	must(t, w.exec(ctx, "insert", "INSERT INTO "+qualified(w.Database(), changesName)+" (id) SELECT number FROM numbers(1000)"))
	must(t, w.exec(ctx, "insert", "INSERT INTO "+qualified(w.Database(), changesName)+" (id) SELECT number FROM numbers(1000)"))
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := w.settle(stopped, nil, unsettled); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want a cancelled statement", err)
	}
	must(t, w.exec(ctx, "drop", "DROP TABLE "+qualified(w.Database(), "tickets_all")))
	wantErr(t, w.mergeWhole(ctx, "tickets_all"), ErrMissing)
	merged, err := w.settle(ctx, nil, unsettled)
	must(t, err)
	if len(merged) != 1 || merged[0] != changesName {
		t.Fatalf("merged %v", merged)
	}
}
