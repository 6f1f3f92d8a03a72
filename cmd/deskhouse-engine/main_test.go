package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"deskhouse/sink/embedded"
	"deskhouse/sink/embedded/enginetest"
	"deskhouse/sink/embedded/launch"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func TestArgumentsAndFilesAreChecked(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"none":            {nil, launch.ExitUsage, "usage"},
		"bad port":        {[]string{"l", "d", "h", "1", "x"}, launch.ExitUsage, "http port"},
		"config missing":  {[]string{text, "d", "h", "1", "2", "/nowhere/c.xml"}, launch.ExitUsage, "/nowhere/c.xml"},
		"library missing": {[]string{"/nowhere/lib.so", "d", "h", "1", "2"}, launch.ExitLibraryMissing, "/nowhere/lib.so"},
		"library no ELF":  {[]string{text, "d", "h", "1", "2"}, launch.ExitLibraryUnusable, text},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			code := run(tc.args, &stderr, nil)
			if code != tc.code || !strings.Contains(stderr.String(), tc.says) || strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("got %d %q, want %d and one line with %q", code, &stderr, tc.code, tc.says)
			}
		})
	}
}

func TestFolderIsLockedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, launch.LockFile)); err != nil || string(text) != strconv.Itoa(os.Getpid()) {
		t.Errorf("lock file holds %q, %v, want our pid", text, err)
	}
	var f *failure
	if _, err := lockDir(dir); !errors.As(err, &f) || f.code != launch.ExitInUse {
		t.Errorf("second lock: got %v, want code %d", err, launch.ExitInUse)
	}
	unlock()
	again, err := lockDir(dir)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	again()
}

func TestCStringsAreTerminatedAndStayPut(t *testing.T) {
	want := []string{"clickhouse", "", "--query", "SELECT 'ä'"}
	argv, release := cStrings(want)
	defer release()
	runtime.GC()
	pointers := unsafe.Slice((**byte)(argv), len(want)+1)
	for i, w := range want {
		if got := string(unsafe.Slice(pointers[i], len(w)+1)); got != w+"\x00" {
			t.Errorf("argument %d: got %q, want %q and NUL", i, got, w)
		}
	}
	if pointers[len(want)] != nil {
		t.Error("no NULL at the end")
	}
}

func TestGateClosesOnEndOfStdinOrSignal(t *testing.T) {
	t.Run("stdin", func(t *testing.T) {
		in, out := io.Pipe()
		g, err := newGate(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		out.Write([]byte("ignored\n"))
		if g.closing() {
			t.Error("closed by input")
		}
		out.Close()
		checkClosed(t, g)
	})
	t.Run("signal", func(t *testing.T) {
		in, out := io.Pipe()
		defer out.Close()
		signals := make(chan os.Signal, 1)
		g, err := newGate(in, signals)
		if err != nil {
			t.Fatal(err)
		}
		signals <- syscall.SIGTERM
		checkClosed(t, g)
	})
}

// checkClosed returns when a reader of the gate's path meets its end; nothing may have come before.
func checkClosed(t *testing.T, g *gate) {
	t.Helper()
	if text, err := os.ReadFile(g.path()); err != nil || len(text) > 0 {
		t.Errorf("read %q, %v from the gate, want nothing", text, err)
	}
	if !g.closing() {
		t.Error("the pipe is closed, the gate does not say so")
	}
}

func TestProcessServesUntilToldToStop(t *testing.T) {
	for name, stop := range map[string]func(*exec.Cmd, io.Closer) error{
		"stdin closed": func(_ *exec.Cmd, stdin io.Closer) error { return stdin.Close() },
		"SIGTERM":      func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Signal(syscall.SIGTERM) },
		"SIGINT":       func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Signal(syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := enginetest.Config(t)
			cmd, stdin, stdout := startProcess(t, cfg)
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "26.7.") {
				t.Fatalf("said %q, %v, want a version", line, err)
			}
			if err := stop(cmd, stdin); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("ended with %v, want a clean end", err)
			}
		})
	}
}

// A port that was free when it was looked at may be gone when the engine wants it. One port for both does that every time.
func TestProcessEndsWhenTheEngineCannotListen(t *testing.T) {
	port := freePort(t)
	cmd, _, _ := startOnPorts(t, enginetest.Config(t), port, port)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != launch.ExitEngine {
		t.Errorf("ended with %v, want exit code %d", err, launch.ExitEngine)
	}
}

func startProcess(t *testing.T, cfg embedded.Config) (*exec.Cmd, io.WriteCloser, io.Reader) {
	t.Helper()
	return startOnPorts(t, cfg, freePort(t), freePort(t))
}

func startOnPorts(t *testing.T, cfg embedded.Config, tcp, http int) (*exec.Cmd, io.WriteCloser, io.Reader) {
	t.Helper()
	a := launch.Args{Library: cfg.Library, Dir: cfg.Dir, Host: "127.0.0.1", TCPPort: tcp, HTTPPort: http}
	cmd := exec.Command(cfg.Engine, a.Strings()...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, stdin, stdout
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
