package clickhouse

import (
	"fmt"
	"strings"
	"testing"

	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source"
)

// TestCompression counts what travels for the same rows.
func TestCompression(t *testing.T) {
	engine := enginetest.Start(t)
	for protocol, target := range map[string]string{"clickhouse": engine.Addr(), "http": engine.HTTPAddr()} {
		t.Run(protocol, func(t *testing.T) {
			sent, received := map[string]int64{}, map[string]int64{}
			for _, method := range []string{"", "none", "lz4", "zstd", "gzip"} {
				front := enginetest.NewFront(t, target, nil)
				cfg := config(t)
				cfg.URL, cfg.Compression = protocol+"://"+front.Addr, method
				if method == "gzip" && protocol == "clickhouse" {
					_, err := Open(t.Context(), cfg)
					wantErr(t, err, ErrConfig)
					continue
				}
				w := open(t, cfg)
				must(t, w.Prepare(ctx, []source.Table{source.Tickets}))
				before := front.Sent()
				must(t, w.Write(ctx, source.Tickets, tickets(t, 2000), 1))
				sent[method] = front.Sent() - before
				before = front.Received()
				wantRow(t, w, "2000", "SELECT count() FROM tickets WHERE subject LIKE 'the same%%'")
				if n := len(rows(t, w, "SELECT subject FROM tickets")); n != 2000 {
					t.Errorf("%d rows", n)
				}
				received[method] = front.Received() - before
			}
			t.Logf("sent %v, received %v", sent, received)
			for _, bytes := range []map[string]int64{sent, received} {
				if bytes["lz4"]*2 > bytes["none"] || bytes["zstd"]*2 > bytes["none"] || bytes[""]*2 < bytes["none"] {
					t.Errorf("lz4, zstd and the default on one machine take %d, %d and %d of %d bytes", bytes["lz4"], bytes["zstd"], bytes[""], bytes["none"])
				}
			}
			if protocol == "http" && (sent["gzip"]*2 > sent["none"] || received["gzip"]*2 > received["none"]) {
				t.Errorf("gzip sends %d, receives %d", sent["gzip"], received["gzip"])
			}
		})
	}
}

func tickets(t testing.TB, n int) []source.Row {
	all := make([]source.Row, n)
	for i := range all {
		all[i] = content(record(t, source.Tickets, fmt.Sprintf(`{"id":"%d","subject":"the same text %s"}`, i+1, strings.Repeat("again and ", 20))), 1)
	}
	return all
}
