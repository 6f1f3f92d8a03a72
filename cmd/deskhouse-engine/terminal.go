package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"deskhouse/sink/embedded/launch"
)

// session is what the engine has in place of the process's own descriptors 0 and 1: a terminal to read, and nothing to write
// to. Unless clickhouse local believes that a person is at a terminal, it ends the whole process when a client resets its
// connection or sends what is no packet (ClickHouse issue 115666, mended after 26.7). In return it greets that person, goes on
// after a query that failed, and asks for more when the last one is over; so it is told to say when that is, and hung up on.
type session struct {
	stdin, stdout *os.File // what the process was started with
	far           *os.File // the other end of the engine's terminal
	heard, say    *os.File // a pipe for what the engine has to say
}

// over is what the engine says when its last query has ended, well or badly.
const over = "over"

// newSession moves the process's stdin and stdout away and takes their place. It starts two goroutines that live as long as
// the process.
func newSession() (*session, error) {
	far, terminal, err := pty.Open()
	if err != nil {
		return nil, fail(launch.ExitEngine, "open a terminal for the engine: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, fail(launch.ExitEngine, "redirect stdout: %w", err)
	}
	s := &session{far: far}
	if s.heard, s.say, err = os.Pipe(); err != nil {
		return nil, fail(launch.ExitEngine, "open pipe: %w", err)
	}
	if s.stdin, err = replace(0, terminal); err != nil {
		return nil, fail(launch.ExitEngine, "redirect stdin: %w", err)
	}
	if s.stdout, err = replace(1, null); err != nil {
		return nil, fail(launch.ExitEngine, "redirect stdout: %w", err)
	}
	go io.Copy(io.Discard, far) // nothing may ever block on the terminal
	go s.listen()
	return s, nil
}

// listen passes on what the engine says, and hangs up once that is over.
func (s *session) listen() {
	lines := bufio.NewScanner(s.heard)
	for lines.Scan() && lines.Text() != over {
		fmt.Fprintln(s.stdout, lines.Text()) // fails only when nobody reads it any more
	}
	s.hangUp()
}

// hangUp ends the questions that follow the last query. It may be called again.
func (s *session) hangUp() { s.far.Close() }

// sayPath is where the engine writes what it has to say.
func (s *session) sayPath() string { return "/dev/fd/" + strconv.Itoa(int(s.say.Fd())) }

// replace puts f at a descriptor and returns what was there.
func replace(fd int, f *os.File) (*os.File, error) {
	old, err := unix.Dup(fd)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(old)
	return os.NewFile(uintptr(old), "fd "+strconv.Itoa(fd)), dupOnto(int(f.Fd()), fd)
}
