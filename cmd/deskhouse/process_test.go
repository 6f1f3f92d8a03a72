package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// result is what a command that ended printed.
type result struct {
	stdout, stderr bytes.Buffer
	code           int
}

// commandTime bounds the commands of a test; few take a tenth of it.
const commandTime = 90 * time.Second

// deskhouse runs a command on the house's configuration to its end.
func (h *house) deskhouse(args ...string) *result {
	h.t.Helper()
	return h.deskhouseWithin(commandTime, args...)
}

func (h *house) deskhouseWithin(bound time.Duration, args ...string) *result {
	h.t.Helper()
	r := command(h.t, bound, h.dir, append([]string{"--config", h.file}, args...)...)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, r.stdout.String(), r.stderr.String())
	return r
}

// must is deskhouse for a command that has to succeed.
func (h *house) must(args ...string) *result {
	h.t.Helper()
	r := h.deskhouse(args...)
	if r.code != exitDone {
		h.t.Fatalf("deskhouse %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.stdout.String(), r.stderr.String())
	}
	return r
}

// command runs the program in a folder. One that hangs is ended, which fails
// the test.
func command(t *testing.T, bound time.Duration, dir string, args ...string) *result {
	t.Helper()
	r := &result{}
	cmd := exec.CommandContext(t.Context(), programs.deskhouse, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, &r.stdout, &r.stderr, 5*time.Second
	hung := time.AfterFunc(bound, func() {
		t.Errorf("deskhouse %s: no end within %s", strings.Join(args, " "), bound)
		_ = cmd.Process.Kill() // it may have ended just now
	})
	defer hung.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("deskhouse %s: %v", strings.Join(args, " "), err)
	}
	r.code = cmd.ProcessState.ExitCode()
	return r
}

// process is a running deskhouse, mostly `deskhouse run`.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{} // closed when it ended
}

// start runs the service; what it prints goes to the house's log.
func (h *house) start(args ...string) *process {
	h.t.Helper()
	return h.spawn(append([]string{"run"}, args...)...)
}

// spawn is start for any command.
func (h *house) spawn(args ...string) *process {
	h.t.Helper()
	out, err := os.OpenFile(h.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer out.Close()
	p := &process{t: h.t, ended: make(chan struct{})}
	p.cmd = exec.Command(programs.deskhouse, append(args, "--config", h.file)...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = h.dir, out, out
	if err := p.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code tells
	}()
	h.t.Cleanup(p.kill)
	return p
}

// kill ends it without any chance to clean up.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop ends it by SIGTERM and returns how long that took; it must exit with 0.
func (p *process) stop() time.Duration {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("stop: %v", err)
	}
	if code := p.wait(15 * time.Second); code != exitDone {
		p.t.Errorf("exit code %d after SIGTERM", code)
	}
	return time.Since(began)
}

// wait waits for the end and returns the exit code.
func (p *process) wait(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.t.Fatalf("still running after %s", within)
	}
	return p.cmd.ProcessState.ExitCode()
}

// printed is all that the runs of this house printed so far.
func (h *house) printed() string {
	text, err := os.ReadFile(h.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		h.t.Error(err)
	}
	return string(text)
}

var engineStarted = regexp.MustCompile(`"pid":(\d+)[^\n]*"embedded engine started"`)

// enginePID is the process of the engine that was started last.
func (h *house) enginePID() int {
	h.t.Helper()
	all := engineStarted.FindAllStringSubmatch(h.printed(), -1)
	if len(all) == 0 {
		h.t.Fatal("no engine was started")
	}
	pid, err := strconv.Atoi(all[len(all)-1][1])
	if err != nil {
		h.t.Fatal(err)
	}
	return pid
}

// isEngine reports whether pid is a live deskhouse-engine.
func isEngine(pid int) bool {
	exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	return err == nil && strings.HasPrefix(filepath.Base(exe), "deskhouse-engine")
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// lines are the non-empty lines of a text.
func lines(s string) []string {
	var out []string
	for _, l := range strings.Split(s, "\n") {
		if strings.TrimSpace(l) != "" {
			out = append(out, l)
		}
	}
	return out
}
