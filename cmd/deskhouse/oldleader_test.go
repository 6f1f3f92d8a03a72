package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"deskhouse/source/desksim"
)

// TestOldLeader stops the service without ending it. A second one is refused as
// long as the first holds the state, harms nothing, and the first goes on where
// it stood.
func TestOldLeader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, desksim.Config{Seed: 23, Weights: demoChanges, Tickets: 300, PayloadAtEvent: true, DeliveryTimeout: time.Second, DeliveryLog: 1 << 20}, settings{})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	living := h.live()
	h.untilFollowing()
	loaded := h.portal.Now()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.untilLost(2)

	second := h.start()
	if code := second.wait(30 * time.Second); code != exitRunning {
		t.Errorf("the second service: exit code %d, want %d", code, exitRunning)
	}
	said := errorLines(h.printed())
	if len(said) != 1 || !strings.Contains(said[0], "in use by another process") {
		t.Errorf("the second service said %q", said)
	}
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	h.untilFollowing()
	living.stop()
	h.settle()
	h.checkAcknowledged()
	h.checkHistory(loaded)
	h.must("resync", "--json")
	h.settle()
	h.compare()
	p.stop()
}
