package state

import (
	"errors"
	"net"
	"testing"

	"github.com/rs/zerolog"
)

// An external server that goes away and comes back is waited for: store and reader go on without being reopened.
func TestExternalServerComesBack(t *testing.T) {
	dir := t.TempDir()
	srv := externalServer(t, -1, dir)
	s := openStore(t, Config{URL: srv.ClientURL(), Key: testKey(1), Logger: zerolog.Nop()})
	l := openTestLog(t, s, "p")
	r := openReader(t, l, 0)
	appendAll(t, l, "before")
	expect(t, r, "before")
	if err := s.Healthy(); err != nil {
		t.Fatalf("healthy: %v", err)
	}
	port := srv.Addr().(*net.TCPAddr).Port
	srv.Shutdown()
	srv.WaitForShutdown()
	eventually(t, "notice that the server is gone", func() error {
		if !errors.Is(s.Healthy(), ErrUnavailable) {
			return errors.New("still healthy")
		}
		return nil
	})
	externalServer(t, port, dir)
	eventually(t, "reconnect", s.Healthy)
	done := make(chan string, 1)
	go func() {
		m, err := r.Next(testContext(t))
		if err != nil {
			done <- err.Error()
		}
		done <- string(m.Data)
	}()
	appendAll(t, l, "after")
	if got := <-done; got != "after" {
		t.Errorf("read %q", got)
	}
}

// Several replicas append to one log and see one order.
func TestReplicasShareALog(t *testing.T) {
	cfg := externalConfig(t)
	a, b := openTestLog(t, openStore(t, cfg), "p"), openTestLog(t, openStore(t, cfg), "p")
	ra, rb := openReader(t, a, 0), openReader(t, b, 0)
	for range 10 {
		appendAll(t, a, "from a")
		appendAll(t, b, "from b")
		expect(t, ra, "from a", "from b")
		expect(t, rb, "from a", "from b")
	}
}
