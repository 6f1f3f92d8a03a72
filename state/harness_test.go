package state

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// TestMain turns the test binary into a child process when a test asks for one (see process_test.go).
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(runChild(role))
	}
	os.Exit(m.Run())
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func testKey(b byte) []byte { return bytes.Repeat([]byte{b}, keyBytes) }

func testLogger(t testing.TB) zerolog.Logger {
	return zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
}

func embeddedConfig(t testing.TB) Config {
	return Config{URL: EmbeddedURL, Dir: t.TempDir(), Key: testKey(1), Logger: testLogger(t)}
}

// externalServer starts a real nats-server on a loopback port, -1 for any, with its files in dir.
func externalServer(t testing.TB, port int, dir string) *server.Server {
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("external nats-server does not come up")
	}
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	return srv
}

func externalConfig(t testing.TB) Config {
	return Config{URL: externalServer(t, -1, t.TempDir()).ClientURL(), Key: testKey(1), Logger: testLogger(t)}
}

func openStore(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(testContext(t), cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func openTestLog(t testing.TB, s *Store, pipeline string) *Log {
	t.Helper()
	l, err := s.Log(testContext(t), pipeline)
	if err != nil {
		t.Fatalf("open log: %v", err)
	}
	return l
}

// appendAll appends texts one after the other and returns their sequences.
func appendAll(t testing.TB, l *Log, texts ...string) []uint64 {
	t.Helper()
	seqs := make([]uint64, 0, len(texts))
	for _, text := range texts {
		seq, err := l.Append(testContext(t), []byte(text))
		if err != nil {
			t.Fatalf("append: %v", err)
		}
		seqs = append(seqs, seq)
	}
	return seqs
}

func numbered(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("group %d", i)
	}
	return texts
}

func openReader(t testing.TB, l *Log, from uint64) *Reader {
	t.Helper()
	r, err := l.Read(testContext(t), from)
	if err != nil {
		t.Fatalf("open reader: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close reader: %v", err)
		}
	})
	return r
}

// expect reads the given texts in order.
func expect(t testing.TB, r *Reader, texts ...string) (last Message) {
	t.Helper()
	for _, want := range texts {
		m, err := r.Next(testContext(t))
		if err != nil {
			t.Fatalf("next, want %q: %v", want, err)
		}
		if string(m.Data) != want {
			t.Fatalf("next: got %q, want %q", m.Data, want)
		}
		if m.Seq <= last.Seq {
			t.Fatalf("sequence %d after %d", m.Seq, last.Seq)
		}
		last = m
	}
	return last
}

var fakeStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func fakeClock() *clockwork.FakeClock { return clockwork.NewFakeClockAt(fakeStart) }

// eventually repeats do until it succeeds: the server's restart takes its time.
func eventually(t *testing.T, what string, do func() error) {
	t.Helper()
	ctx := testContext(t)
	for {
		err := do()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
