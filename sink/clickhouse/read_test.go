package clickhouse

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"deskhouse/source"

	"pgregory.net/rapid"
)

func TestHeadsComeBackExactly(t *testing.T) {
	w := prepared(t)
	var id uint64
	rapid.Check(t, func(rt *rapid.T) {
		stamp := rapid.Custom(func(t *rapid.T) source.Stamp {
			return source.Stamp{AsOf: rapid.Int64Range(0, 1<<43).Draw(t, "as of"), Rank: source.Evidence(rapid.IntRange(0, 5).Draw(t, "rank")), Hash: rapid.Uint64().Draw(t, "hash")}
		})
		rec := record(t, source.Tickets, `{"id":"1"}`)
		id++
		h := source.Head{Content: stamp.Draw(rt, "content"), Life: stamp.Draw(rt, "life"), Deleted: rapid.Bool().Draw(rt, "deleted"),
			Modified: rapid.Int64().Draw(rt, "modified"), Version: rapid.Uint64().Draw(rt, "version")}
		if h.Deleted {
			h.DeletedAt = rapid.Int64Range(minTime, maxTime).Draw(rt, "deleted at")
		}
		key := source.Key{ID: id}
		must(t, w.Write(ctx, source.Tickets, []source.Row{{Key: key, State: source.State{Head: h, Record: rec}}}, 1))
		heads, err := w.Heads(ctx, source.Tickets, []source.Key{key, {ID: 1 << 60}})
		must(t, err)
		if len(heads) != 1 || heads[key] != h {
			rt.Fatalf("got %+v, want %+v", heads, h)
		}
	})
}

func TestHeadsOfNothing(t *testing.T) {
	w := prepared(t)
	heads, err := w.Heads(ctx, source.Tickets, nil)
	if len(heads) != 0 || err != nil {
		t.Errorf("%v, %v", heads, err)
	}
}

// A newest row whose _deleted_at is NULL must not show an older one's.
func TestHeadsOfARestoredRow(t *testing.T) {
	w := prepared(t)
	rec := record(t, source.Tickets, `{"id":"1","subject":"s"}`)
	alive := content(rec, 10)
	gone := deletion(rec.Key, alive.Head, 20)
	restored := gone.Head
	restored.Deleted, restored.DeletedAt, restored.Life = false, 0, source.Stamp{AsOf: 30, Rank: source.EvidenceGet}
	restored.Version = source.NextVersion(restored)
	for _, r := range []source.Row{alive, gone, {Key: rec.Key, State: source.State{Head: restored}}} {
		must(t, w.Write(ctx, source.Tickets, []source.Row{r}, 1))
	}
	heads, err := w.Heads(ctx, source.Tickets, []source.Key{rec.Key})
	must(t, err)
	if heads[rec.Key] != restored {
		t.Errorf("got %+v, want %+v", heads[rec.Key], restored)
	}
	wantRow(t, w, "s", "SELECT subject FROM tickets")
}

const sideTicket = `{"id":"1","subject":"s","departmentId":"11","lastThread":{"channel":"EMAIL","isDraft":"no"},"contact":{"id":"12","firstName":"A"},"department":{"name":"said then"},"relationshipType":"parent","sentiment":"POSITIVE","tagCount":"3","contractId":"77"}`

func TestSideTablesAndTheFullView(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		rec := record(t, source.Tickets, sideTicket)
		stamp := func(asOf int64) source.Stamp {
			return source.Stamp{AsOf: asOf, Rank: source.EvidenceSearch, Hash: rec.SideHash(source.Listed)}
		}
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
		wantRow(t, w, "1\t∅\t∅\t∅", "SELECT id, last_thread_channel, listed_as_of, detail_as_of FROM tickets_full")
		must(t, w.WriteSide(ctx, source.Tickets, source.Listed, []source.SideRow{{Key: rec.Key, Stamp: stamp(5000), Record: rec}}, 1))
		older := record(t, source.Tickets, `{"id":"1","relationshipType":"older"}`)
		must(t, w.WriteSide(ctx, source.Tickets, source.Listed, []source.SideRow{{Key: rec.Key, Stamp: stamp(4000), Record: older}}, 1))
		must(t, w.WriteSide(ctx, source.Tickets, source.Detail, []source.SideRow{{Key: rec.Key, Stamp: stamp(6000), Record: rec}}, 1))
		wantRow(t, w, "1\tEMAIL\t∅\t12\tA\tparent\tPOSITIVE\t3\t77", "SELECT id, last_thread_channel, last_thread_is_draft, listed_contact_id, contact_first_name, relationship_type, sentiment, tag_count, contract_id FROM tickets_full")
		wantRow(t, w, "1970-01-01 00:00:05\t1970-01-01 00:00:06\tsaid then", "SELECT listed_as_of, detail_as_of, listed_department_name FROM tickets_full")
		wantRow(t, w, `{"lastThread.isDraft":"no"}`, "SELECT listed_extra FROM tickets_full")
		stamps, err := w.SideStamps(ctx, source.Tickets, source.Listed, []source.Key{rec.Key, {ID: 9}})
		must(t, err)
		if len(stamps) != 1 || stamps[rec.Key] != stamp(5000) {
			t.Errorf("stamps %+v", stamps)
		}
	})
}

func TestSideVersionsOrderAsStampsDo(t *testing.T) {
	stamp := rapid.Custom(func(t *rapid.T) source.Stamp {
		return source.Stamp{AsOf: rapid.Int64Range(0, 1<<44-1).Draw(t, "as of"), Rank: source.Evidence(rapid.IntRange(0, 5).Draw(t, "rank")), Hash: rapid.Uint64().Draw(t, "hash")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := stamp.Draw(t, "a"), stamp.Draw(t, "b")
		if rapid.Bool().Draw(t, "tie") {
			b.AsOf = a.AsOf
		}
		if a.Compare(b) < 0 && sideVersion(a) > sideVersion(b) {
			t.Fatalf("%+v before %+v", a, b)
		}
	})
}

func TestNamesFollowTheirTables(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		department := func(name string, asOf int64) {
			t.Helper()
			must(t, w.Write(ctx, source.Departments, []source.Row{content(record(t, source.Departments, `{"id":"11","name":`+name+`}`), asOf)}, 1))
		}
		product := func(name string, asOf int64) {
			t.Helper()
			must(t, w.Write(ctx, source.Products, []source.Row{content(record(t, source.Products, `{"id":"31","productName":`+name+`,"departmentIds":["11","99"]}`), asOf)}, 1))
			must(t, w.ReloadNames(ctx, source.Products))
		}
		must(t, w.Write(ctx, source.Tickets, []source.Row{
			content(record(t, source.Tickets, `{"id":"1","departmentId":"11","productId":"31"}`), 1),
			content(record(t, source.Tickets, `{"id":"2","departmentId":null,"productId":"404"}`), 1)}, 1))
		must(t, w.Write(ctx, source.Contracts, []source.Row{content(record(t, source.Contracts, `{"id":"1","departmentId":"11","productId":"31"}`), 1)}, 1))
		const names = "SELECT arrayStringConcat(groupArray(n), ' ') FROM (SELECT concat(ifNull(department_name, '-'), '/', ifNull(product_name, '-')) AS n FROM tickets ORDER BY id)"
		wantRow(t, w, "-/- -/-", names)
		department(`"Sales"`, 1)
		product(`"Phone"`, 1)
		wantRow(t, w, "Sales/Phone -/-", names)
		wantRow(t, w, "Sales\tPhone", "SELECT department_name, product_name FROM contracts")
		wantRow(t, w, "['Sales',NULL]", "SELECT department_names FROM products")
		department(`"Help 'desk'"`, 2)
		product(`null`, 2)
		wantRow(t, w, "Help 'desk'/- -/-", names)
		// The name of a deleted department stays: its tickets are still there.
		must(t, w.Write(ctx, source.Departments, []source.Row{deletion(source.Key{ID: 11}, content(record(t, source.Departments, `{"id":"11"}`), 2).Head, 3)}, 1))
		wantRow(t, w, "Help 'desk'/- -/-", names)
	})
}

func TestFenceRefusesEarlierEpochs(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		rec := record(t, source.Tickets, sideTicket)
		one := []source.Row{content(rec, 1)}
		must(t, w.Write(ctx, source.Tickets, one, 3))
		must(t, w.Fence(ctx, 4))
		must(t, w.Fence(ctx, 4))
		for name, err := range map[string]error{
			"Write":      w.Write(ctx, source.Tickets, one, 3),
			"carry over": w.Write(ctx, source.Tickets, []source.Row{deletion(rec.Key, one[0].Head, 9)}, 3),
			"WriteSide":  w.WriteSide(ctx, source.Tickets, source.Listed, []source.SideRow{{Key: rec.Key, Stamp: source.Stamp{AsOf: 1}, Record: rec}}, 3),
			"Fence":      w.Fence(ctx, 3),
		} {
			if !errors.Is(err, ErrFenced) || Retryable(err) {
				t.Errorf("%s of an earlier epoch: %v", name, err)
			}
		}
		must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(rec.Key, one[0].Head, 9)}, 4))
		must(t, w.Prepare(ctx, allTables))
		wantErr(t, w.Write(ctx, source.Tickets, one, 3), ErrFenced)
	})
}

func TestFenceKillsEarlierStatements(t *testing.T) {
	w := prepared(t)
	old := open(t, w.cfg)
	must(t, old.Prepare(ctx, allTables))
	old.noteEpoch(3)
	slow := make(chan error, 1)
	go func() {
		slow <- old.exec(ctx, "run for ever", "INSERT INTO "+qualified(old.Database(), "sync_state_all")+" (name, seq) SELECT 'x', sleepEachRow(0.1) FROM numbers(100000) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0")
	}()
	for len(rows(t, w, "SELECT 1 FROM system.processes WHERE startsWith(query_id, '%s3/')", w.queryPrefix())) == 0 {
	}
	must(t, w.Fence(ctx, 4))
	err := <-slow
	var e *Error
	if !errors.As(err, &e) || e.Code != 394 {
		t.Errorf("the old statement ended with %v", err)
	}
}

func TestRunsFindWhatIsAbsent(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		var written []source.Row
		for _, c := range []struct {
			id   string
			asOf int64
		}{{"1", 100}, {"2", 100}, {"3", 100}, {"4", 500}} {
			written = append(written, content(record(t, source.Tickets, `{"id":"`+c.id+`"}`), c.asOf))
		}
		written[2] = deletion(source.Key{ID: 3}, source.Head{}, 100)
		must(t, w.Write(ctx, source.Tickets, written, 1))
		must(t, w.Write(ctx, source.OrganizationFields, []source.Row{content(record(t, source.OrganizationFields, `{"id":"1","apiName":"a"}`), 100), content(record(t, source.OrganizationFields, `{"id":"2","apiName":"b/c"}`), 100)}, 1))
		const run = "2024-01-01T00:00 `x`"
		must(t, w.BeginRun(ctx, run))
		must(t, w.Seen(ctx, run, source.Tickets, []source.Key{{ID: 1}, {ID: 1}}))
		must(t, w.Seen(ctx, run, source.OrganizationFields, []source.Key{{Name: "tickets/b/c"}}))
		must(t, w.BeginRun(ctx, run)) // once more keeps what was seen
		absent := func(table source.Table) []source.Key {
			t.Helper()
			keys, err := w.Absent(ctx, run, table, time.UnixMilli(500))
			must(t, err)
			return keys
		}
		if got := absent(source.Tickets); !slices.Equal(got, []source.Key{{ID: 2}}) {
			t.Errorf("absent tickets %v", got)
		}
		if got := absent(source.OrganizationFields); !slices.Equal(got, []source.Key{{Name: "tickets/a"}}) {
			t.Errorf("absent fields %v", got)
		}
		must(t, w.BeginRun(ctx, "left behind"))
		must(t, w.EndRun(ctx, run))
		must(t, w.EndRun(ctx, run))
		must(t, w.endRuns(ctx))
		wantRow(t, w, "0", "SELECT count() FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'run_')")
	})
}

func TestDeletedKeysAndCounts(t *testing.T) {
	w := prepared(t)
	must(t, w.exec(ctx, "fill", "INSERT INTO "+qualified(w.Database(), "tickets_all")+
		" (org_id, id, _is_deleted, _deleted_at, _version) SELECT 7000, number + 1, number % 5 = 0, fromUnixTimestamp64Milli(toInt64(number)), 1 FROM numbers(25000)"))
	all, err := w.DeletedKeys(ctx, source.Tickets, time.UnixMilli(0))
	must(t, err)
	late, err := w.DeletedKeys(ctx, source.Tickets, time.UnixMilli(24_990))
	must(t, err)
	visible, gone, err := w.Counts(ctx, source.Tickets)
	must(t, err)
	if len(all) != 5000 || !slices.Equal(late, []source.Key{{ID: 24_991}, {ID: 24_996}}) || visible != 20_000 || gone != 5000 {
		t.Errorf("deleted %d, late %v, counts %d %d", len(all), late, visible, gone)
	}
}

func TestPositions(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		if _, ok, err := w.Position(ctx, "events"); ok || err != nil {
			t.Errorf("a position before any was saved: %v", err)
		}
		for _, seq := range []uint64{5, 9, 7} { // a restored state may stand earlier
			must(t, w.SavePosition(ctx, "events", seq))
			must(t, w.SavePosition(ctx, "other's", 1))
			if got, ok, err := w.Position(ctx, "events"); got != seq || !ok || err != nil {
				t.Errorf("got %d, %v, %v, want %d", got, ok, err, seq)
			}
		}
		wantRow(t, w, "1", "SELECT seq FROM sync_state WHERE name = 'other''s'")
	})
}

func TestStatusAndReports(t *testing.T) {
	w := prepared(t)
	s := source.TableStatus{Table: source.Tickets, Phase: "snapshot"}
	must(t, w.SaveStatus(ctx, nil))
	must(t, w.SaveStatus(ctx, []source.TableStatus{s, {Table: source.Products, Phase: "following"}}))
	s.Phase, s.CompleteUntil, s.Drift = "following", time.UnixMilli(1000), 3
	must(t, w.SaveStatus(ctx, []source.TableStatus{s}))
	wantRow(t, w, "following\t1970-01-01 00:00:01\t∅\t3\t0", "SELECT phase, complete_until, last_poll_at, drift, unplaced FROM sync_status WHERE table = 'tickets'")
	wantRow(t, w, "2", "SELECT count() FROM sync_status")
	r := source.RunReport{Run: "r1", Table: source.Tickets, Trigger: "cron", Started: time.UnixMilli(1000)}
	must(t, w.SaveRun(ctx, r))
	r.Finished, r.Unchanged, r.Repaired, r.Deleted, r.Resurrected, r.MissedBySearch, r.NotVisible, r.Incomplete, r.Read, r.Err = time.UnixMilli(2000), 1, 2, 3, 4, 5, 6, true, 9, "guard"
	must(t, w.SaveRun(ctx, r))
	wantRow(t, w, "cron\t1970-01-01 00:00:01\t1970-01-01 00:00:02\t9\t1\t2\t3\t4\t5\t6\t1\tguard", "SELECT trigger, started_at, finished_at, read, unchanged, repaired, deleted, resurrected, missed_by_search, not_visible, incomplete, error FROM sync_runs")
}

func TestHistoryKeepsWhatItsModeSays(t *testing.T) {
	w := prepared(t, func(c *Config) {
		c.History = map[source.Table]HistoryMode{source.Tickets: HistoryFull, source.Products: HistoryOff}
	})
	now := time.Now()
	change := func(id uint64, table source.Table, key source.Key) source.Change {
		return source.Change{ID: id, Table: table, Key: key, Op: source.OpUpdate, At: 1000, Received: now, Origin: "webhook", Event: "Ticket_Update", Version: 7, Previous: `{"subject":"before"}`}
	}
	changes := []source.Change{change(1, source.Tickets, source.Key{ID: 5}), change(2, source.Contracts, source.Key{ID: 6}), change(3, source.Products, source.Key{ID: 7}), change(4, source.OrganizationFields, source.Key{Name: "tickets/a"})}
	must(t, w.WriteChanges(ctx, changes))
	must(t, w.WriteChanges(ctx, changes)) // a replay
	must(t, w.WriteChanges(ctx, changes[2:3]))
	got := strings.Join(rows(t, w, "SELECT change_id, table, id, key, op, at, origin, event_type, row_version, previous FROM changes ORDER BY change_id"), "|")
	want := "1\ttickets\t5\t5\tupdate\t1970-01-01 00:00:01\twebhook\tTicket_Update\t7\t{\"subject\":\"before\"}|" +
		"2\tcontracts\t6\t6\tupdate\t1970-01-01 00:00:01\twebhook\tTicket_Update\t7\t∅|" +
		"4\torganization_fields\t0\ttickets/a\tupdate\t1970-01-01 00:00:01\twebhook\tTicket_Update\t7\t∅"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestStatementsWithoutAResult(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		for _, statement := range []string{"CREATE TABLE mine (a Int8) ENGINE = Memory", "insert into mine values (7)"} {
			r, err := w.Query(ctx, statement)
			must(t, err)
			if _, _, ok := r.Next(); ok || r.Err() != nil || r.Close() != nil {
				t.Errorf("%s: %v", statement, r.Err())
			}
		}
		wantRow(t, w, "7", "SELECT a FROM mine")
	})
}

func TestNotPrepared(t *testing.T) {
	w := open(t, config(t))
	if err := w.Write(ctx, source.Tickets, nil, 1); !errors.Is(err, errNotPrepared) {
		t.Errorf("got %v", err)
	}
}
