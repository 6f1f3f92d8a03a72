package main

import (
	"io"
	"os"
	"strconv"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"deskhouse/sink/embedded/launch"
)

// terminal stands where the engine looks for stdin. Unless clickhouse local believes that a person is at a terminal, it ends
// the whole process when a client resets its connection or sends what is no packet (ClickHouse issue 115666, mended after 26.7).
type terminal struct{ engine, far *os.File }

// newTerminal reads away what the engine may write to it: nothing must ever block there.
func newTerminal() (*terminal, error) {
	far, engine, err := pty.Open()
	if err != nil {
		return nil, fail(launch.ExitEngine, "open a terminal for the engine: %w", err)
	}
	go io.Copy(io.Discard, far)
	return &terminal{engine, far}, nil
}

// hangUp ends the engine's session: it reads the terminal once its last query is over.
func (t *terminal) hangUp() { t.far.Close() }

// stdio is what the process was started with, kept apart from what the engine finds at descriptors 0 and 1.
type stdio struct {
	in, out  *os.File
	terminal *terminal
}

// takeStdio gives the engine a terminal to read, and nothing to write to: a session at a terminal greets its user.
func takeStdio() (*stdio, error) {
	t, err := newTerminal()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, fail(launch.ExitEngine, "redirect stdout: %w", err)
	}
	s := &stdio{terminal: t}
	if s.in, err = replace(0, t.engine); err != nil {
		return nil, fail(launch.ExitEngine, "redirect stdin: %w", err)
	}
	if s.out, err = replace(1, null); err != nil {
		return nil, fail(launch.ExitEngine, "redirect stdout: %w", err)
	}
	return s, nil
}

// readyPath is where the engine writes that it is ready.
func (s *stdio) readyPath() string { return "/dev/fd/" + strconv.Itoa(int(s.out.Fd())) }

// replace puts f at a descriptor and returns what was there.
func replace(fd int, f *os.File) (*os.File, error) {
	old, err := unix.Dup(fd)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(old)
	return os.NewFile(uintptr(old), "fd "+strconv.Itoa(fd)), dupOnto(int(f.Fd()), fd)
}
