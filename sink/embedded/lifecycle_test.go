package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"deskhouse/sink/embedded"
	"deskhouse/sink/embedded/enginetest"
	"deskhouse/sink/embedded/launch"
)

// startOwn starts an engine that belongs to the test.
func startOwn(t *testing.T, cfg embedded.Config) *embedded.Engine {
	t.Helper()
	e, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// query opens a connection for one use: an open one makes a stop slow.
func query(t *testing.T, e *embedded.Engine, use func(driver.Conn) error) {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{e.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := use(conn); err != nil {
		t.Fatal(err)
	}
}

func exec(t *testing.T, e *embedded.Engine, queries ...string) {
	t.Helper()
	query(t, e, func(conn driver.Conn) error {
		for _, q := range queries {
			if err := conn.Exec(t.Context(), q); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
		return nil
	})
}

// one runs a query that gives one value of type T.
func one[T any](t *testing.T, e *embedded.Engine, q string) (v T) {
	t.Helper()
	query(t, e, func(conn driver.Conn) error {
		if err := conn.QueryRow(t.Context(), q).Scan(&v); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
		return nil
	})
	return v
}

// A client whose connection ends in a reset is any that is killed, or gives up on a reply it did not read.
func TestClientsThatMisbehaveDoNotEndTheEngine(t *testing.T) {
	e := startOwn(t, enginetest.Config(t))
	for _, addr := range []string{e.Addr(), e.HTTPAddr()} {
		for _, sent := range []string{"", "\x00\x0aclick", "\x07", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\xff", 300)} {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatalf("after a reset: %v", err)
			}
			if _, err := conn.Write([]byte(sent)); err != nil {
				t.Fatal(err)
			}
			one[uint8](t, e, "SELECT 1") // the engine has time to read
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestStartTellsPortsAndVersionAndCloses(t *testing.T) {
	e := startOwn(t, enginetest.Config(t))
	if got := one[string](t, e, "SELECT version()"); got != e.Version() || !strings.HasPrefix(got, "26.7.") {
		t.Errorf("version %q, engine says %q", e.Version(), got)
	}
	if got := httpQuery(t, e, "SELECT 6 * 7"); got != "42" {
		t.Errorf("over HTTP: got %q", got)
	}
	select {
	case <-e.Done():
		t.Fatal("done while running")
	default:
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	<-e.Done()
	if e.Err() != nil {
		t.Errorf("err after a close: %v", e.Err())
	}
	if _, err := net.Dial("tcp", e.Addr()); err == nil {
		t.Error("still listening after close")
	}
}

func TestPortsGivenAreUsed(t *testing.T) {
	cfg := enginetest.Config(t)
	cfg.TCPPort, cfg.HTTPPort = freePort(t), freePort(t)
	e := startOwn(t, cfg)
	if want := net.JoinHostPort("127.0.0.1", itoa(cfg.TCPPort)); e.Addr() != want {
		t.Errorf("addr %s, want %s", e.Addr(), want)
	}
	if want := net.JoinHostPort("127.0.0.1", itoa(cfg.HTTPPort)); e.HTTPAddr() != want {
		t.Errorf("http addr %s, want %s", e.HTTPAddr(), want)
	}
}

func TestTakenPortIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for name, set := range map[string]func(*embedded.Config){
		"tcp":  func(c *embedded.Config) { c.TCPPort = port },
		"http": func(c *embedded.Config) { c.HTTPPort = port },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := enginetest.Config(t)
			set(&cfg)
			e, err := embedded.Start(t.Context(), cfg)
			if !errors.Is(err, embedded.ErrPort) || !strings.Contains(err.Error(), itoa(port)) {
				t.Errorf("got %v, %v, want ErrPort naming %d", e, err, port)
			}
		})
	}
}

func TestSecondStartIsRefused(t *testing.T) {
	cfg := enginetest.Config(t)
	first := startOwn(t, cfg)
	_, err := embedded.Start(t.Context(), cfg)
	var inUse *embedded.InUseError
	if !errors.Is(err, embedded.ErrInUse) || !errors.As(err, &inUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
	if inUse.Dir != cfg.Dir || inUse.PID != first.PID() {
		t.Errorf("got %+v, want %s and pid %d", inUse, cfg.Dir, first.PID())
	}
	if got := one[uint8](t, first, "SELECT 1"); got != 1 {
		t.Error("the first engine suffered")
	}
}

func TestOfTwoStartsAtOnceOneWins(t *testing.T) {
	cfg := enginetest.Config(t)
	type result struct {
		e   *embedded.Engine
		err error
	}
	results := make(chan result)
	for range 2 {
		go func() {
			e, err := embedded.Start(t.Context(), cfg)
			results <- result{e, err}
		}()
	}
	started := 0
	for range 2 {
		r := <-results
		if r.err == nil {
			started++
			defer r.e.Close()
		} else if !errors.Is(r.err, embedded.ErrInUse) {
			t.Errorf("got %v, want ErrInUse", r.err)
		}
	}
	if started != 1 {
		t.Errorf("%d engines on one folder", started)
	}
}

func TestRestartKeepsData(t *testing.T) {
	cfg := enginetest.Config(t)
	e := startOwn(t, cfg)
	exec(t, e, "CREATE DATABASE desk", "CREATE TABLE desk.t (id UInt64) ENGINE = MergeTree ORDER BY id",
		"INSERT INTO desk.t SELECT number FROM numbers(1000)")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	again := startOwn(t, cfg)
	if n := one[uint64](t, again, "SELECT count() FROM desk.t"); n != 1000 {
		t.Errorf("%d rows after a restart, want 1000", n)
	}
}

func TestKillKeepsAcknowledgedData(t *testing.T) {
	cfg := enginetest.Config(t)
	e := startOwn(t, cfg)
	exec(t, e, "CREATE DATABASE desk", "CREATE TABLE desk.t (id UInt64) ENGINE = MergeTree ORDER BY id")
	acknowledged := insertUntilKilled(t, e, 20)
	<-e.Done()
	var exit *embedded.ExitError
	if !errors.As(e.Err(), &exit) || exit.Code != -1 || !strings.Contains(exit.How, "killed") {
		t.Errorf("err %v, want an *ExitError that says killed", e.Err())
	}
	if err := e.Close(); !errors.As(err, &exit) {
		t.Errorf("close of a dead engine: got %v, want its *ExitError", err)
	}
	again := startOwn(t, cfg)
	if n := one[uint64](t, again, "SELECT uniqExact(id) FROM desk.t"); n < acknowledged {
		t.Errorf("%d rows after the kill, %d were acknowledged", n, acknowledged)
	}
	if engine := one[string](t, again, "SELECT engine FROM system.databases WHERE name = 'desk'"); engine != "Atomic" {
		t.Errorf("database engine %s, want Atomic", engine)
	}
}

// insertUntilKilled inserts a row at a time and sends SIGKILL after the given number of acknowledgements, while inserts go on.
func insertUntilKilled(t *testing.T, e *embedded.Engine, killAfter uint64) (acknowledged uint64) {
	conn := enginetest.Open(t, e, "desk")
	for {
		err := conn.Exec(t.Context(), "INSERT INTO t SETTINGS async_insert = 0 SELECT "+itoa(int(acknowledged)))
		if err != nil {
			return acknowledged
		}
		if acknowledged++; acknowledged == killAfter {
			if err := syscall.Kill(e.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestCancelledStartLeavesNothingBehind(t *testing.T) {
	cfg := enginetest.Config(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := embedded.Start(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	startOwn(t, cfg) // the folder is free again
}

func TestMissingAndBadParts(t *testing.T) {
	text := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(text, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*embedded.Config)
		want   error
		says   string
	}{
		"library missing":   {func(c *embedded.Config) { c.Library = "/nowhere/libchdb.so" }, embedded.ErrLibraryMissing, "/nowhere/libchdb.so"},
		"library no ELF":    {func(c *embedded.Config) { c.Library = text }, embedded.ErrLibraryUnusable, text},
		"another library":   {func(c *embedded.Config) { c.Library = libc(t) }, embedded.ErrLibraryUnusable, "chdb_query_cmdline"},
		"program missing":   {func(c *embedded.Config) { c.Engine = "/nowhere/deskhouse-engine" }, embedded.ErrEngineMissing, "make build"},
		"program no binary": {func(c *embedded.Config) { c.Engine = text }, os.ErrPermission, text},
		"folder is a file":  {func(c *embedded.Config) { c.Dir = text }, syscall.ENOTDIR, text},
		"no folder":         {func(c *embedded.Config) { c.Dir = "" }, nil, "no data folder"},
		"memory ratio":      {func(c *embedded.Config) { c.MemoryRatio = 2 }, nil, "memory ratio 2"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := enginetest.Config(t)
			tc.change(&cfg)
			e, err := embedded.Start(t.Context(), cfg)
			if err == nil {
				e.Close()
				t.Fatal("started")
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("message %q, want one line with %q", err, tc.says)
			}
		})
	}
}

func TestDamagedFolderGivesTheEnginesReason(t *testing.T) {
	cfg := enginetest.Config(t)
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "status"), 0o700); err != nil { // wants to be a file
		t.Fatal(err)
	}
	e, err := embedded.Start(t.Context(), cfg)
	if err == nil {
		e.Close()
		t.Fatal("started on a folder whose status file is a folder")
	}
	var exit *embedded.ExitError
	if !errors.As(err, &exit) || exit.Code != launch.ExitEngine || !strings.Contains(exit.Stderr, "status") {
		t.Errorf("got %v, want an *ExitError with the reason", err)
	}
}

func TestDamagedTableStopsTheStartInsteadOfVanishing(t *testing.T) {
	cfg := enginetest.Config(t)
	e := startOwn(t, cfg)
	exec(t, e, "CREATE DATABASE desk", "CREATE TABLE desk.t (id UInt64) ENGINE = MergeTree ORDER BY id")
	path := one[string](t, e, "SELECT metadata_path FROM system.tables WHERE database = 'desk' AND name = 't'")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(cfg.Dir, path)
	}
	if err := os.WriteFile(path, []byte("ATTACH nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := embedded.Start(t.Context(), cfg)
	if err == nil {
		defer again.Close()
		t.Fatalf("started; tables in desk: %d", one[uint64](t, again, "SELECT count() FROM system.tables WHERE database = 'desk'"))
	}
	var exit *embedded.ExitError
	if !errors.As(err, &exit) || !strings.Contains(exit.Stderr, "t.sql") {
		t.Errorf("got %v, want an *ExitError naming the file", err)
	}
}
