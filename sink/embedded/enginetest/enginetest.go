// Package enginetest gives tests a real ClickHouse: one embedded engine for a test process, started when the first test asks
// for it and shared by all. It builds deskhouse-engine from the tree at hand and takes the library from the repository's
// .cache/engine; without the library tests fail, they are not skipped. A package that uses it has
//
//	func TestMain(m *testing.M) { enginetest.Main(m) }
//
// so that the engine is stopped and its data removed.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/rs/zerolog"

	"deskhouse/sink/embedded"
)

// shared is the process's engine.
var shared struct {
	sync.Mutex
	main   bool // Main runs, so there will be a stop
	engine *embedded.Engine
	err    error // of the one attempt to start
	dir    string
}

var databases atomic.Int64

// Start gives the process's engine, starting it if no test has. Safe for parallel tests. Do not close it. A test that needs
// to stop or kill an engine starts its own, with Config.
func Start(t testing.TB) *embedded.Engine {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.main {
		t.Fatal("enginetest: the package needs func TestMain(m *testing.M) { enginetest.Main(m) }")
	}
	if shared.engine == nil && shared.err == nil {
		shared.engine, shared.err = start()
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.engine
}

func start() (*embedded.Engine, error) {
	cfg, err := config()
	if err != nil {
		return nil, err
	}
	cfg.Dir = filepath.Join(shared.dir, "data")
	return embedded.Start(context.Background(), cfg)
}

// Config gives what is needed to start an engine of one's own: library and program are set, Dir is a new folder that goes
// with the test. It builds the program at first use.
func Config(t testing.TB) embedded.Config {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.main {
		t.Fatal("enginetest: the package needs func TestMain(m *testing.M) { enginetest.Main(m) }")
	}
	cfg, err := config()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Dir = filepath.Join(t.TempDir(), "data")
	return cfg
}

// config needs shared locked.
func config() (embedded.Config, error) {
	if shared.dir == "" {
		dir, err := os.MkdirTemp("", "deskhouse-enginetest-")
		if err != nil {
			return embedded.Config{}, fmt.Errorf("enginetest: %w", err)
		}
		shared.dir = dir
	}
	root, err := Root()
	if err != nil {
		return embedded.Config{}, err
	}
	library, err := library(root)
	if err != nil {
		return embedded.Config{}, err
	}
	engine, err := build(root)
	return embedded.Config{Library: library, Engine: engine, Logger: zerolog.Nop()}, err
}

// Root is the repository's top folder: the nearest parent of the working folder with a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("enginetest: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("enginetest: no go.mod in the working folder or above")
		}
		dir = parent
	}
}

// library finds libchdb; the environment variable DESKHOUSE_ENGINE_LIB goes before the repository's own.
func library(root string) (string, error) {
	if path := os.Getenv("DESKHOUSE_ENGINE_LIB"); path != "" {
		return path, nil
	}
	path := filepath.Join(root, ".cache", "engine", embedded.LibraryVersion, embedded.PlatformFolder(), "libchdb.so")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("enginetest: engine library %s for %s/%s missing: run make deps", embedded.LibraryVersion, runtime.GOOS, runtime.GOARCH)
}

// build compiles deskhouse-engine into the process's temporary folder, so that tests never meet an older one. Later calls
// find it there.
func build(root string) (string, error) {
	path := filepath.Join(shared.dir, "deskhouse-engine")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	cmd := exec.Command("go", "build", "-o", path, "./cmd/deskhouse-engine")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("enginetest: build deskhouse-engine: %w\n%s", err, out)
	}
	return path, nil
}

// Database creates a database of its own for the test and drops it at the end. The name needs no quoting.
func Database(t testing.TB, e *embedded.Engine) (name string) {
	t.Helper()
	name = fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	conn := Open(t, e, "default")
	if err := conn.Exec(context.Background(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create database %s: %v", name, err)
	}
	t.Cleanup(func() {
		// t.Context() is over by now. Only the engine's own end excuses a drop that fails.
		if err := conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+" SYNC"); err != nil && alive(e) {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	return name
}

func alive(e *embedded.Engine) bool {
	select {
	case <-e.Done():
		return false
	default:
		return true
	}
}

// Open gives a native connection pool to a database of e, closed at the end of the test.
func Open(t testing.TB, e *embedded.Engine, database string) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{e.Addr()},
		Auth: clickhouse.Auth{Database: database},
	})
	if err != nil {
		t.Fatalf("open %s: %v", database, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Main runs the tests of a package, then stops the engine and removes its data. It is all a TestMain has to do; when it
// returns, the testing package exits with the tests' result. An engine that died or would not stop fails the run.
func Main(m *testing.M) {
	shared.Lock()
	shared.main = true
	shared.Unlock()
	m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.engine != nil {
		if err := shared.engine.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "enginetest:", err)
			defer os.Exit(1)
		}
	}
	if shared.dir != "" {
		if err := os.RemoveAll(shared.dir); err != nil {
			fmt.Fprintln(os.Stderr, "enginetest:", err)
			defer os.Exit(1)
		}
	}
}
