package main

import (
	"strings"
	"syscall"
	"time"
)

// moment is what the service does when the blow falls.
type moment string

const (
	starting   moment = "starting"
	loading    moment = "load"
	following  moment = "following"
	resyncing  moment = "resync"
	rebuilding moment = "rebuild"
	stopping   moment = "stopping"
	alone      moment = "resync without a service"
)

// blow is what falls.
type blow string

const (
	killService blow = "kill -9 the service"
	killEngine  blow = "kill -9 the engine"
	killBoth    blow = "kill -9 both"
	pauseIt     blow = "pause the service"
)

// round is one crash.
type round struct {
	moment moment
	blow   blow
}

func (r round) String() string { return string(r.blow) + ", " + string(r.moment) }

// plan draws the rounds of a chapter: some loads first, then every moment in
// turn; each blow as often as the others.
func (c *crash) plan(n int) []round {
	moments := []moment{loading, loading}
	if n >= chapterRounds {
		moments = append(moments, loading, loading)
	}
	others := []moment{resyncing, rebuilding, stopping, following, starting, alone}
	for _, i := range c.turns(n-len(moments), len(others)) {
		moments = append(moments, others[i])
	}
	var rounds []round
	for i, b := range c.turns(n, 4) {
		rounds = append(rounds, round{moments[i], []blow{killService, killEngine, killBoth, pauseIt}[b]})
	}
	return rounds
}

// turns are n numbers below of: all of them in some order, again and again.
func (c *crash) turns(n, of int) []int {
	var out []int
	for len(out) < n {
		out = append(out, c.rng.Perm(of)...)
	}
	return out[:max(n, 0)]
}

// round brings the service to the moment, lets the blow fall and waits until
// the aftermath is over.
func (c *crash) round(r round) {
	c.t.Helper()
	var end func()
	switch r.moment {
	case starting:
		c.restart(r.blow)
	case loading:
		c.slow(300 * time.Millisecond)
		c.up()
		c.while(time.Second)
	default:
		c.slow(15 * time.Millisecond)
		c.up()
		c.sawLoaded()
		end = c.begin(r.moment)
	}
	c.note(r.moment)
	c.strike(r)
	if end != nil {
		end()
	}
}

// restart stops the service and is on the way up with it again.
func (c *crash) restart(b blow) {
	c.t.Helper()
	started := strings.Count(c.printed(), engineUp)
	if c.p != nil && c.p.running() {
		c.p.stop()
	}
	c.p = c.start()
	if b == killEngine || b == killBoth {
		c.until("an engine is started", 60*time.Second, func() bool { return strings.Count(c.printed(), engineUp) > started })
	}
	c.while(time.Second)
}

// begin starts what is to be hit and returns what waits for its end, if anything
// has to.
func (c *crash) begin(m moment) (end func()) {
	c.t.Helper()
	switch m {
	case resyncing, rebuilding:
		c.slow(100 * time.Millisecond)
		args := []string{"resync", "--json"}
		if m == rebuilding {
			args = append(args, "--rebuild")
		}
		end = c.compareMeanwhile(args...)
		c.while(1500 * time.Millisecond)
	case alone:
		c.resyncAlone()
	case stopping:
		if err := c.p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			c.t.Fatalf("stop: %v", err)
		}
		c.while(500 * time.Millisecond)
	default:
		c.while(2 * time.Second)
	}
	return end
}

// resyncAlone puts a resync that does everything itself in the service's place.
func (c *crash) resyncAlone() {
	c.t.Helper()
	c.p.stop()
	started := strings.Count(c.printed(), engineUp)
	c.slow(100 * time.Millisecond)
	c.p = c.spawn("resync", "--json")
	c.until("an engine is started", 60*time.Second, func() bool { return strings.Count(c.printed(), engineUp) > started })
	c.while(3 * time.Second)
}

// compareMeanwhile begins a resync and returns once the service is at it, or is
// done with it. The function it returns waits for the command's end, which is a
// failure when the service died.
func (c *crash) compareMeanwhile(args ...string) (end func()) {
	c.t.Helper()
	done := make(chan *result, 1)
	go func() { done <- c.deskhouseWithin(longResync, args...) }()
	var ended *result
	c.until("the resync runs", 60*time.Second, func() bool {
		select {
		case ended = <-done:
			return true
		default:
			return c.at("resync")
		}
	})
	return func() {
		if ended == nil {
			ended = <-done
		}
		if ended.code == exitUsage {
			c.t.Fatalf("deskhouse %v: %s", args, ended.stderr.String())
		}
	}
}

// at reports whether a table is in a phase.
func (c *crash) at(phase string) bool {
	for _, t := range c.pipe().Tables {
		if t.Phase == phase {
			return true
		}
	}
	return false
}

// note counts what was really going on when the blow fell.
func (c *crash) note(m moment) {
	switch {
	case m == loading && c.pipe().loaded():
		c.hit["following"]++
	case (m == resyncing || m == rebuilding) && !c.at("resync"):
		c.hit["following"]++
	default:
		c.hit[string(m)]++
	}
}
