package zohodesk

import (
	"compress/gzip"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"deskhouse/source"
)

// The client's own transport keeps its connections and reads compressed
// replies.
func TestOwnTransportOverSockets(t *testing.T) {
	var dialled atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/oauth/v2/token" {
			_, _ = w.Write([]byte(granted("tok", 3600)))
			return
		}
		if r.Header.Get("Accept-Encoding") != "gzip" || r.Header.Get("orgId") == "" {
			w.WriteHeader(400)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte(onePage))
		_ = z.Close()
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			dialled.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c := newClient(t, nil, func(cfg *Config) { cfg.AccountsURL, cfg.DeskURL = server.URL, server.URL })
	for range 5 {
		page, err := c.Search(t.Context(), source.ForSnapshot, source.Tickets, source.Query{})
		if err != nil || page.Rows != 1 || page.At.Date.IsZero() {
			t.Fatalf("%+v, %v", page, err)
		}
	}
	if n := dialled.Load(); n != 1 {
		t.Errorf("%d connections for calls one after the other, want 1", n)
	}
}
