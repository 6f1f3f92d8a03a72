package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"deskhouse/sink/embedded"
	"deskhouse/sink/embedded/enginetest"
)

// The tests of this package run the real programs as processes, against the
// simulated portal over HTTP on this machine and the real engine.

// programs are the paths of what TestMain built.
var programs struct{ deskhouse string }

// seedFlag makes a run of the random tests like an earlier one.
var seedFlag = flag.Int64("seed", 0, "seed of random tests; 0 draws one")

func seedOf(t *testing.T) int64 {
	seed := *seedFlag
	if seed == 0 {
		seed = time.Now().UnixNano() % 1_000_000
	}
	t.Logf("seed %d", seed)
	return seed
}

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "deskhouse-e2e-")
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// build compiles both programs as they are delivered and finds the engine's
// library, which is told to them by the environment.
func build(dir string) error {
	root, err := enginetest.Root()
	if err != nil {
		return err
	}
	if os.Getenv("DESKHOUSE_ENGINE_LIB") == "" {
		library := filepath.Join(root, ".cache", "engine", embedded.LibraryVersion, embedded.PlatformFolder(), "libchdb.so")
		if _, err := os.Stat(library); err != nil {
			return fmt.Errorf("engine library missing: run make deps: %w", err)
		}
		if err := os.Setenv("DESKHOUSE_ENGINE_LIB", library); err != nil {
			return err
		}
	}
	cmd := exec.Command("go", "build", "-o", dir+"/", "./cmd/deskhouse", "./cmd/deskhouse-engine")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	programs.deskhouse = filepath.Join(dir, "deskhouse")
	return nil
}
