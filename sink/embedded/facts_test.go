package embedded_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"deskhouse/sink/embedded"
	"deskhouse/sink/embedded/enginetest"
)

// These tests hold the engine to what the package comment promises to the packages that build on it.

// fill runs statements in which {db} stands for a new database's name, which it returns.
func fill(t *testing.T, e *embedded.Engine, statements ...string) (db string) {
	t.Helper()
	db = enginetest.Database(t, e)
	for _, s := range statements {
		exec(t, e, strings.ReplaceAll(s, "{db}", db))
	}
	return db
}

func TestReplacingTableCheckAlterAndExchange(t *testing.T) {
	e := enginetest.Start(t)
	db := fill(t, e,
		`CREATE TABLE {db}.a (id UInt64, v String, _version UInt64, _epoch UInt64, CONSTRAINT fence CHECK _epoch >= 1)
		 ENGINE = ReplacingMergeTree(_version) ORDER BY id`,
		"INSERT INTO {db}.a VALUES (1, 'old', 1, 1)", "INSERT INTO {db}.a VALUES (1, 'new', 2, 1)",
		"ALTER TABLE {db}.a DROP CONSTRAINT fence, ADD CONSTRAINT fence CHECK _epoch >= 2",
		"ALTER TABLE {db}.a ADD COLUMN IF NOT EXISTS cf_x LowCardinality(Nullable(String)) COMMENT 'label'",
		"CREATE TABLE {db}.b AS {db}.a", "INSERT INTO {db}.b VALUES (7, 'other', 1, 2, NULL)",
	)
	if got := one[string](t, e, "SELECT v FROM "+db+".a FINAL"); got != "new" {
		t.Errorf("FINAL gives %q", got)
	}
	conn := enginetest.Open(t, e, db)
	if err := conn.Exec(t.Context(), "INSERT INTO a SELECT 2, 'late', 3, 1, NULL"); err == nil || !strings.Contains(err.Error(), "469") {
		t.Errorf("an insert of an old epoch: got %v, want code 469", err)
	}
	exec(t, e, "EXCHANGE TABLES "+db+".a AND "+db+".b")
	if got := one[uint64](t, e, "SELECT id FROM "+db+".a"); got != 7 {
		t.Errorf("after EXCHANGE TABLES id %d, want 7", got)
	}
}

func TestDictionaryReadsLocallyWithoutUserOrPort(t *testing.T) {
	e := enginetest.Start(t)
	db := fill(t, e,
		"CREATE TABLE {db}.names (id UInt64, name String, _version UInt64) ENGINE = ReplacingMergeTree(_version) ORDER BY id",
		"INSERT INTO {db}.names VALUES (1, 'Sales', 1)",
		`CREATE DICTIONARY {db}.whole (id UInt64, name String) PRIMARY KEY id
		 SOURCE(CLICKHOUSE(TABLE 'names' DB '{db}')) LAYOUT(HASHED()) LIFETIME(MIN 0 MAX 0)`,
		`CREATE DICTIONARY {db}.chosen (id UInt64, name String) PRIMARY KEY id
		 SOURCE(CLICKHOUSE(QUERY 'SELECT id, name FROM {db}.names FINAL')) LAYOUT(HASHED()) LIFETIME(MIN 0 MAX 0)`,
		"CREATE VIEW {db}.v AS SELECT id, dictGet('{db}.whole', 'name', id) AS a, dictGet('{db}.chosen', 'name', id) AS b FROM {db}.names FINAL",
	)
	names := "SELECT a || '/' || b FROM " + db + ".v"
	if got := one[string](t, e, names); got != "Sales/Sales" {
		t.Errorf("got %q", got)
	}
	exec(t, e, "INSERT INTO "+db+".names VALUES (1, 'Support', 2)")
	exec(t, e, "SYSTEM RELOAD DICTIONARY "+db+".chosen")
	if got := one[string](t, e, names); got != "Sales/Support" {
		t.Errorf("after a reload of one: got %q", got)
	}
}

func TestDeduplicationTokenSwallowsARepeat(t *testing.T) {
	e := enginetest.Start(t)
	insert := "INSERT INTO {db}.t SETTINGS async_insert = 0, insert_deduplication_token = 'block-1' SELECT "
	db := fill(t, e,
		"CREATE TABLE {db}.t (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100",
		insert+"1", insert+"2")
	if got := one[uint64](t, e, "SELECT sum(id) FROM "+db+".t"); got != 1 {
		t.Errorf("sum %d, want 1: the token alone decides, not the rows", got)
	}
}

func TestJSONColumn(t *testing.T) {
	e := enginetest.Start(t)
	db := fill(t, e, "CREATE TABLE {db}.t (id UInt64, doc JSON) ENGINE = ReplacingMergeTree ORDER BY id",
		`INSERT INTO {db}.t VALUES (1, '{"a":{"b":5}}')`)
	if got := one[int64](t, e, "SELECT doc.a.b::Int64 FROM "+db+".t"); got != 5 {
		t.Errorf("got %d", got)
	}
}

func TestSettingsOfTheEngine(t *testing.T) {
	e := enginetest.Start(t)
	exec(t, e, "SYSTEM FLUSH LOGS")
	for query, want := range map[string]string{
		"SELECT currentUser()": "default",
		"SELECT timezone()":    "UTC",
		"SELECT value FROM system.merge_tree_settings WHERE name = 'fsync_after_insert'":                 "1",
		"SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage_to_ram_ratio'":   "0.5",
		"SELECT toString(count()) FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log'":  "0",
		"SELECT toString(count() > 0) FROM system.columns WHERE database = 'system' AND table = 'parts'": "1",
	} {
		if got := one[string](t, e, query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}

func TestNoUsersCanBeCreated(t *testing.T) {
	conn := enginetest.Open(t, enginetest.Start(t), "default")
	if err := conn.Exec(t.Context(), "CREATE USER analyst"); err == nil {
		t.Error("CREATE USER works: say so in the package comment")
	} else {
		t.Log(err)
	}
}

func TestManyConnectionsOverBothProtocols(t *testing.T) {
	e := enginetest.Start(t)
	db := fill(t, e, "CREATE TABLE {db}.t (id UInt64) ENGINE = MergeTree ORDER BY id")
	const workers, inserts = 64, 3
	var g errgroup.Group
	for w := range workers {
		conn := enginetest.Open(t, e, db) // a pool each, so a connection each
		g.Go(func() error {
			for i := range inserts {
				batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO t")
				if err != nil {
					return err
				}
				if err := batch.Append(uint64(w*inserts + i)); err != nil {
					return err
				}
				if err := batch.Send(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got, want := httpQuery(t, e, "SELECT uniqExact(id) FROM "+db+".t"), fmt.Sprint(workers*inserts); got != want {
		t.Errorf("%s rows, want %s", got, want)
	}
}

// endless runs until something stops it.
const endless = "SELECT sum(cityHash64(number)) FROM system.numbers"

func TestCancelledContextEndsTheQuery(t *testing.T) {
	e := enginetest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	conn := enginetest.Open(t, e, "default")
	go func() { ended <- conn.Exec(ctx, endless) }()
	waitRunning(t, e, 1)
	cancel()
	if err := <-ended; err == nil {
		t.Error("an endless query ended well")
	}
	waitRunning(t, e, 0)
}

func TestKillQueryEndsTheQuery(t *testing.T) {
	e := enginetest.Start(t)
	ended := make(chan error, 1)
	conn := enginetest.Open(t, e, "default")
	go func() { ended <- conn.Exec(t.Context(), endless) }()
	waitRunning(t, e, 1)
	exec(t, e, "KILL QUERY WHERE query = '"+endless+"' SYNC")
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "394") {
		t.Errorf("got %v, want code 394 (cancelled)", err)
	}
}

// waitRunning asks until want endless queries run; each question is a round trip, and the engine answers between.
func waitRunning(t *testing.T, e *embedded.Engine, want uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn := enginetest.Open(t, e, "default")
	for {
		var n uint64
		if err := conn.QueryRow(ctx, "SELECT count() FROM system.processes WHERE query = '"+endless+"'").Scan(&n); err != nil {
			t.Fatalf("waiting for %d endless queries: %v", want, err)
		}
		if n == want {
			return
		}
	}
}

func TestCloseDoesNotWaitForAnEndlessQuery(t *testing.T) {
	e := startOwn(t, enginetest.Config(t))
	conn := enginetest.Open(t, e, "default")
	ended := make(chan error, 1)
	go func() { ended <- conn.Exec(t.Context(), endless) }()
	waitRunning(t, e, 1)
	if err := e.Close(); err != nil {
		t.Errorf("close: %v, want a clean end", err)
	}
	if err := <-ended; err == nil {
		t.Error("an endless query ended well")
	}
}
