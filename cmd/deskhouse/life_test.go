package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// livelyPerHour is how many changes an hour a living portal makes: 40 a second.
const livelyPerHour = 40 * 3600

// life is a portal that changes until it is stopped.
type life struct {
	cancel context.CancelFunc
	g      *errgroup.Group
}

func (h *house) live() life {
	ctx, cancel := context.WithCancel(h.t.Context())
	g := &errgroup.Group{}
	g.Go(func() error { live(ctx, h.portal, livelyPerHour); return nil })
	l := life{cancel, g}
	h.t.Cleanup(l.stop)
	return l
}

func (l life) stop() {
	l.cancel()
	_ = l.g.Wait() // it returns nothing
}

// untilLost waits until more deliveries have failed: nobody answers them.
func (h *house) untilLost(more int64) {
	h.t.Helper()
	before := h.portal.Stats().Failed
	h.until("deliveries fail", 30*time.Second, func() bool { return h.portal.Stats().Failed >= before+more })
}

// untilDelivered waits until more deliveries were answered with 200.
func (h *house) untilDelivered(more int64) {
	h.t.Helper()
	before := h.portal.Stats().Delivered
	h.until("deliveries are acknowledged", 60*time.Second, func() bool { return h.portal.Stats().Delivered >= before+more })
}

// untilFollowing waits until events that were stored after this call are
// applied: intake, log, writer and engine all work. The portal has to live.
func (h *house) untilFollowing() {
	h.t.Helper()
	var mark uint64
	h.until("what is stored now is applied", 120*time.Second, func() bool {
		p := h.pipe()
		switch {
		case !p.Running:
			return false
		case mark == 0:
			mark = p.LogLast + 1
			return false
		}
		return p.LogApplied >= mark
	})
}

// untilGone waits until a process that was told to end has ended, however.
func (p *process) untilGone(within time.Duration) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.t.Fatalf("still running %s after it was told to end", within)
	}
}

// stillRuns fails the test if the service ended by itself.
func (p *process) stillRuns(when string) {
	p.t.Helper()
	if !p.running() {
		p.t.Fatalf("%s: the service ended by itself with exit code %d", when, p.cmd.ProcessState.ExitCode())
	}
}
