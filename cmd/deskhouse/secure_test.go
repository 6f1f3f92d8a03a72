package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/sink/clickhouse"
	"deskhouse/sink/embedded"
	"deskhouse/sink/embedded/enginetest"
	"deskhouse/source/desksim"
)

// TestLoadAndFollowOverTLS loads a portal into a ClickHouse of the customer's own, a user of its own on two hosts that ask
// for a client certificate, and follows changes while a host goes; over HTTPS and over the native protocol.
func TestLoadAndFollowOverTLS(t *testing.T) {
	user := enginetest.User{Name: "loader", Password: "warehouse-password"}
	for _, g := range clickhouse.WriterGrants("desk") {
		user.Grants = append(user.Grants, "GRANT "+g.String())
	}
	for i, scheme := range []string{"https", "clickhouse"} {
		t.Run(scheme, func(t *testing.T) {
			cfg := embedded.Config{Library: os.Getenv("DESKHOUSE_ENGINE_LIB"), Engine: filepath.Join(filepath.Dir(programs.deskhouse), "deskhouse-engine"), Dir: filepath.Join(t.TempDir(), "ch")}
			server := enginetest.StartWithUsers(t, cfg, []enginetest.User{user})
			target := map[string]string{"https": server.HTTP, "clickhouse": server.TCP}[scheme]
			ca := enginetest.NewAuthority(t)
			client, secure := ca.Issue(t, time.Hour, "loader"), ca.Issue(t, time.Hour, "db.example.org").Server(ca)
			one, two := enginetest.NewFront(t, target, secure), enginetest.NewFront(t, target, secure)
			h := newHouse(t, desksim.Config{Seed: int64(40 + i), Tickets: 2000}, settings{warehouse: fmt.Sprintf(
				`{url: "%s://%s,%s", database: desk, user: loader, password: warehouse-password, compression: zstd, settings: {max_threads: 2},
    tls: {ca: %q, cert: %q, key: %q, server_name: db.example.org}}`, scheme, one.Addr, two.Addr, ca.File, client.Cert, client.Key)})
			p := h.start()
			h.untilRunning()
			h.must("webhook", "register")
			h.untilLoaded()
			h.change(100)
			h.settle()
			one.Down()
			h.change(100)
			h.settle()
			if two.Sent() == 0 {
				t.Error("the second host was not used")
			}
			wh, err := clickhouse.Open(t.Context(), warehouseConfig(h.pipe().Warehouse.URL, "support", h.config().Pipelines["support"], h.portal.OrgID(), zerolog.Nop()))
			if err != nil {
				t.Fatal(err)
			}
			h.compareIn(wh)
			if err := wh.Close(); err != nil {
				t.Error(err)
			}
			if strings.Contains(h.printed(), "warehouse-password") {
				t.Error("the password is in the log")
			}
			t.Logf("%d bytes to the first host, %d to the second; stopped within %s", one.Sent(), two.Sent(), p.stop())
		})
	}
}
