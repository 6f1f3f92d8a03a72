// Command deskhouse-engine is the embedded engine's process: it loads ClickHouse as a library, lets it listen on one data
// folder, and ends when its stdin is closed. It knows nothing of deskhouse. Arguments, exit codes and the line it writes
// when ready are described in package launch; package embedded starts and stops it.
//
// It is a program of its own because purego links to glibc even with CGO off, while deskhouse itself stays static, and
// because a crash of the engine must not be a crash of deskhouse.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"deskhouse/sink/embedded/launch"
)

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	os.Exit(run(os.Args[1:], os.Stderr, signals))
}

// failure is an error with the exit code it leads to.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }

func fail(code int, format string, args ...any) error {
	return &failure{code, fmt.Errorf(format, args...)}
}

// run is the whole program but for the process: it returns the exit code after writing at most one line of its own to stderr.
func run(args []string, stderr io.Writer, signals <-chan os.Signal) int {
	err := serve(args, signals)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "deskhouse-engine:", strings.ReplaceAll(err.Error(), "\n", " "))
	var f *failure
	if errors.As(err, &f) {
		return f.code
	}
	return launch.ExitEngine
}

func serve(args []string, signals <-chan os.Signal) error {
	a, err := launch.Parse(args)
	if err != nil {
		return &failure{launch.ExitUsage, err}
	}
	if a.ConfigFile != "" {
		if _, err := os.Stat(a.ConfigFile); err != nil { // the engine takes an absent file for an empty one
			return fail(launch.ExitUsage, "config file: %w", err)
		}
	}
	lib, err := load(a.Library)
	if err != nil {
		return err
	}
	unlock, err := lockDir(a.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := portsFree(a); err != nil {
		return err
	}
	session, err := newSession()
	if err != nil {
		return err
	}
	gate, err := newGate(session.stdin, signals)
	if err != nil {
		return err
	}
	return serveUntilClosed(lib, a, session, gate)
}

// serveUntilClosed runs the engine in a goroutine of its own, since the call blocks for as long as the engine lives, and
// gives it a bounded time to end once the gate is closed. Past that the process exits around it.
func serveUntilClosed(lib *library, a launch.Args, s *session, g *gate) error {
	ended := make(chan struct{})
	go func() {
		lib.run(engineArgs(a, s.sayPath(), g.path()))
		close(ended)
	}()
	select {
	case <-ended:
		if g.closing() {
			return nil
		}
		if err := portsFree(a); err != nil { // the engine's own message names the port too, but carries no code
			return err
		}
		return fail(launch.ExitEngine, "the engine ended by itself")
	case <-g.closed:
		s.hangUp()
	}
	select {
	case <-ended:
		return nil
	case <-time.After(launch.StopSeconds * time.Second):
		return fail(launch.ExitStuck, "the engine did not stop within %d s", launch.StopSeconds)
	}
}
