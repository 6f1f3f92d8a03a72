package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"deskhouse/sink/embedded/launch"
)

// stopWait is what a stop may take before the child is killed: its own deadline and a little for the process to end.
const stopWait = (launch.StopSeconds + 2) * time.Second

// child is one run of deskhouse-engine. One goroutine starts it and waits for it; done is closed when it has ended.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *tail
	ready  <-chan struct{}
	done   chan struct{}

	mu       sync.Mutex
	stopping bool  // a stop was asked for before the end
	end      error // set before done is closed
}

// spawn starts the child. It inherits no environment but what a C library needs: secrets reach deskhouse that way, and the
// engine's table functions can read it.
func spawn(cfg Config, args launch.Args) (*child, error) {
	cmd := exec.Command(cfg.Engine, args.Strings()...)
	cmd.Dir = cfg.Dir
	cmd.Env = childEnv(cfg.Dir)
	cmd.SysProcAttr = procAttr()
	said := &firstLine{seen: make(chan struct{})}
	c := &child{cmd: cmd, stderr: &tail{}, ready: said.seen, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = said, c.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("embedded engine: open stdin: %w", err)
	}
	c.stdin = stdin
	started := make(chan error)
	go c.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("embedded engine: start %s: %w", cfg.Engine, err)
	}
	return c, nil
}

// run keeps its OS thread from start to end: on Linux the death signal set by procAttr is sent when the thread that started
// the child ends, not the process.
func (c *child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.done)
	if err := c.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	err := c.cmd.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = c.exitError(err)
}

// exitError is nil for a clean end that was asked for. c.mu is held.
func (c *child) exitError(err error) error {
	if err == nil && c.stopping {
		return nil
	}
	code, how := 0, "exit status 0"
	if err != nil {
		code, how = -1, err.Error()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	return &ExitError{Code: code, How: how, Stderr: c.stderr.String()}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// stop closes stdin and waits, killing the child after stopWait. It may be called any number of times.
func (c *child) stop() error {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	c.stdin.Close() // fails only if closed already
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		c.kill()
	}
	return c.err()
}

// kill ends the child at once and waits for it.
func (c *child) kill() {
	c.cmd.Process.Kill() // fails only if it has ended already
	<-c.done
}

func childEnv(dir string) []string {
	// GOTRACEBACK=none: a crash of the engine in C++ makes Go dump every goroutine; its first line says as much.
	env := []string{"HOME=" + dir, "TZ=UTC", "GOTRACEBACK=none"}
	for _, name := range []string{"PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
