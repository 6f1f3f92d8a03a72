package main

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

// session is a command on a terminal.
type session struct {
	h    *house
	cmd  *exec.Cmd
	term *os.File
	read chan struct{} // closed at the end of what it printed

	mu     sync.Mutex
	screen strings.Builder
}

// terminal starts a command that has a terminal for everything.
func (h *house) terminal(args ...string) *session {
	h.t.Helper()
	s := &session{h: h, read: make(chan struct{}), cmd: exec.CommandContext(h.t.Context(), programs.deskhouse, append(args, "--config", h.file)...)}
	s.cmd.Dir = h.dir
	var err error
	if s.term, err = pty.Start(s.cmd); err != nil {
		h.t.Fatal(err)
	}
	go s.watch()
	return s
}

func (s *session) watch() {
	defer close(s.read)
	for buf := make([]byte, 1024); ; {
		n, err := s.term.Read(buf)
		s.mu.Lock()
		s.screen.Write(buf[:n])
		s.mu.Unlock()
		if err != nil { // the command has ended
			return
		}
	}
}

func (s *session) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screen.String()
}

// types waits for a prompt and answers it.
func (s *session) types(prompt, answer string) {
	s.h.t.Helper()
	s.h.until("the prompt "+prompt, 20*time.Second, func() bool { return strings.Contains(s.shown(), prompt) })
	if _, err := s.term.WriteString(answer); err != nil {
		s.h.t.Fatal(err)
	}
}

// end waits for the exit code; the terminal must echo again.
func (s *session) end() int {
	s.h.t.Helper()
	hung := time.AfterFunc(commandTime, func() { _ = s.cmd.Process.Kill() })
	defer hung.Stop()
	_ = s.cmd.Wait() // the exit code tells
	if mode, err := unix.IoctlGetTermios(int(s.term.Fd()), getTermios); err != nil || mode.Lflag&unix.ECHO == 0 {
		s.h.t.Errorf("the terminal is left without echo: %v", err)
	}
	<-s.read
	_ = s.term.Close()
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.said = append(s.h.said, s.screen.String())
	return s.cmd.ProcessState.ExitCode()
}

// TestPrompts answers every question that is asked at a terminal.
func TestPrompts(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 48, Tickets: 5}, settings{})
	h.unauthorised()
	state := func() string { return asJSON[connectionReply](h, exitDone, "connections", "show", "main").State }

	for name, stop := range map[string]func(*session){
		"Ctrl-C": func(s *session) { s.types("Grant code", "1000.half\x03") },
		"Ctrl-D": func(s *session) { s.types("Grant code", "\x04") },
		"SIGTERM": func(s *session) {
			s.types("Grant code", "1000.half")
			if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		},
	} {
		s := h.terminal("auth", "exchange")
		stop(s)
		if code := s.end(); code != exitFailed || !strings.Contains(s.shown(), "nothing was changed") || strings.Contains(s.shown(), "1000.half") {
			t.Errorf("%s: exit code %d\n%s", name, code, s.shown())
		}
	}
	s := h.terminal("auth", "exchange")
	s.types("Grant code", "\r")
	if code := s.end(); code != exitUsage {
		t.Errorf("no code: exit code %d\n%s", code, s.shown())
	}

	code := h.code()
	s = h.terminal("auth", "exchange")
	s.types("Grant code", " "+code+"\r")
	if exit := s.end(); exit != exitDone || !strings.Contains(s.shown(), "connection main: connected") || strings.Contains(s.shown(), code) {
		t.Errorf("exit code %d\n%s", exit, s.shown())
	}
	for answer, want := range map[string]string{"\r": zohodesk.StateConnected, "no\r": zohodesk.StateConnected, "\x03": zohodesk.StateConnected} {
		s = h.terminal("auth", "revoke")
		s.types("[y/N]", answer)
		if exit := s.end(); exit == exitDone || state() != want {
			t.Errorf("answer %q: exit code %d, %s\n%s", answer, exit, state(), s.shown())
		}
	}
	s = h.terminal("auth", "revoke")
	s.types("Revoke main? [y/N]", "Yes\r")
	if exit := s.end(); exit != exitDone || state() != zohodesk.StateRevoked || !strings.Contains(s.shown(), "authorised again: support.") {
		t.Errorf("exit code %d, %s\n%s", exit, state(), s.shown())
	}
}

// TestPipedCode: no terminal, the code comes through stdin.
func TestPipedCode(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 49, Tickets: 5}, settings{})
	h.unauthorised()
	cmd := exec.CommandContext(t.Context(), programs.deskhouse, "auth", "exchange", "--config", h.file)
	cmd.Dir, cmd.Stdin = h.dir, strings.NewReader(h.code()+"\n")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "connection main: connected") {
		t.Errorf("%v\n%s", err, out)
	}
}
