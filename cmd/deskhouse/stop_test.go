package main

import (
	"net/http"
	"testing"
	"time"

	"deskhouse/source/desksim"
)

// searchCredits is what 100 rows of a search cost.
const searchCredits = 3

// TestGracefulStop stops a load in the middle; the next start goes on there.
func TestGracefulStop(t *testing.T) {
	const tickets = 3000
	h := newHouse(t, desksim.Config{Seed: 7, Tickets: tickets}, settings{})
	h.portal.Faults().Latency(func(*http.Request) time.Duration { return 600 * time.Millisecond })
	p := h.start()
	h.until("most of the load is in the warehouse", 60*time.Second, func() bool {
		st := h.pipe()
		return st.Running && !st.loaded() && ticketRows(st) > tickets*2/3
	})
	engine := h.enginePID()
	if !isEngine(engine) {
		t.Fatalf("process %d is no engine", engine)
	}
	took := p.stop()
	if isEngine(engine) {
		t.Errorf("engine %d is left behind", engine)
	}
	first := h.portal.Stats().CreditsFor["tickets.search"]
	h.portal.Faults().Clear()

	p = h.start()
	h.untilLoaded()
	second := h.portal.Stats().CreditsFor["tickets.search"] - first
	t.Logf("stopped within %s; search credits %d before the stop, %d after it", took, first, second)
	if fresh := tickets / 100 * searchCredits; second > fresh*3/4 {
		t.Errorf("the second run spent %d credits on searches; a load from the start costs at least %d", second, fresh)
	}
	h.must("webhook", "register")
	h.settle()
	h.compare()
	p.stop()
}

func ticketRows(p pipelineStatus) int64 {
	for _, t := range p.Tables {
		if t.Table == "tickets" {
			return t.Rows
		}
	}
	return 0
}
