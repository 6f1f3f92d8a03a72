package main

import (
	"syscall"
	"time"
)

// engineUp is in the line that a started engine leaves in the log.
const engineUp = `"embedded engine started"`

// stopBound is how long a stop may take, a killed engine or a pause included.
const stopBound = 40 * time.Second

// strike lets the blow of a round fall. Where the service lives on it has to go
// on by itself; where it does not, deliveries fail until the next start.
func (c *crash) strike(r round) {
	c.t.Helper()
	switch r.blow {
	case killService:
		c.p.kill()
	case killBoth:
		c.killEngineOf(r.moment)
		c.p.kill()
	case killEngine:
		c.killEngineOf(r.moment)
	case pauseIt:
		c.pause()
	}
	switch {
	case r.moment == alone:
		c.p.untilGone(longResync)
	case r.moment == stopping:
		c.p.untilGone(stopBound)
	case r.blow == killService || r.blow == killBoth: // it is gone
	default:
		c.untilFollowing()
		c.p.stillRuns(r.String())
		return
	}
	c.untilLost(3)
}

// killEngineOf kills the engine that runs now. One that is being stopped, or
// whose command has ended, may be gone already.
func (c *crash) killEngineOf(m moment) {
	c.t.Helper()
	pid := c.enginePID()
	if !isEngine(pid) {
		if m != stopping && m != alone {
			c.t.Fatalf("process %d is no engine", pid)
		}
		return
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		c.t.Fatalf("kill engine %d: %v", pid, err)
	}
}

// pause stops the service for a while, dead to the world: the kernel still takes
// deliveries, nobody answers them.
func (c *crash) pause() {
	c.t.Helper()
	if err := c.p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return // it has ended already
	}
	c.untilLost(2)
	if err := c.p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		c.t.Fatalf("continue: %v", err)
	}
}
