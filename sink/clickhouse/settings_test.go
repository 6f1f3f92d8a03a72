package clickhouse

import (
	"strings"
	"testing"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// TestSettingsGoWithEveryStatement asks the server which settings it sees:
// both pools, and an insert.
func TestSettingsGoWithEveryStatement(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"native": nativeURL, "http": httpURL} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t)
			cfg.URL = url(t) + "?max_block_size=4321"
			cfg.Settings = map[string]string{"max_threads": "3", "insert_quorum": "auto", "log_comment": "from deskhouse"}
			w := open(t, cfg)
			wantRow(t, w, "3\tfrom deskhouse\t4321", "SELECT getSetting('max_threads'), getSetting('log_comment'), getSetting('max_block_size')")
			must(t, w.exec(ctx, "make a table", "CREATE TABLE "+qualified(cfg.Database, "seen")+
				" (a UInt64, threads UInt64 DEFAULT getSetting('max_threads'), async Bool DEFAULT getSetting('async_insert')) ENGINE = MergeTree ORDER BY a"))
			must(t, w.insert(ctx, "seen", []column{{name: "a", typ: "UInt64"}}, "token", func(b chdriver.Batch) error { return appendAll(b, []uint64{1}) }))
			wantRow(t, w, "1\t3\tfalse", "SELECT a, threads, async FROM seen")
			var threads uint64
			must(t, w.scan(ctx, "ask", "SELECT toUInt64(getSetting('max_threads'))", nil, func(row scanner) error { return row.Scan(&threads) }))
			if threads != 3 {
				t.Errorf("max_threads is %d", threads)
			}
		})
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"native": nativeURL, "http": httpURL} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t)
			cfg.URL = url(t)
			cfg.Settings = map[string]string{"max_threads": "secret words", "no_such_setting": "secret", "max_block_size": "1000"}
			_, err := Open(ctx, cfg)
			wantErr(t, err, ErrConfig)
			text := err.Error()
			if !strings.Contains(text, "no_such_setting: ClickHouse code 115 (UNKNOWN_SETTING)") || !strings.Contains(text, "max_threads: ClickHouse code ") ||
				strings.Contains(text, "max_block_size") || strings.Contains(text, "secret") || Retryable(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}
