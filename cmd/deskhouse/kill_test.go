package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"deskhouse/source/desksim"
)

const kills = 10

// TestKill9 kills the service ten times while it loads and follows a portal
// that never rests, whose deliveries fail while nothing listens.
func TestKill9(t *testing.T) {
	seed := seedOf(t)
	rng := rand.New(rand.NewPCG(uint64(seed), 9))
	h := newHouse(t, desksim.Config{Seed: seed, Weights: demoChanges, Tickets: 3000, ArchivedTickets: 10, DeliveryLog: 1 << 20}, settings{})
	h.portal.Faults().Latency(func(*http.Request) time.Duration { return 15 * time.Millisecond })
	living := h.live()

	loading, following := 0, 0
	for n := range kills {
		p := h.start()
		if n == 0 {
			h.untilRunning()
			h.must("webhook", "register")
		}
		if n >= kills-4 {
			h.untilLoaded()
		}
		moment := 100*time.Millisecond + time.Duration(rng.Int64N(int64(2*time.Second)))
		select {
		case <-p.ended:
			t.Fatalf("run %d ended by itself with exit code %d", n, p.cmd.ProcessState.ExitCode())
		case <-time.After(moment):
		}
		if st := h.pipe(); st.loaded() {
			following++
		} else {
			loading++
		}
		p.kill()
		h.untilLost(3)
	}
	t.Logf("killed %d times before and while loading, %d times while following", loading, following)
	if loading == 0 || following == 0 {
		t.Error("not both load and follow were killed")
	}
	p := h.start()
	h.untilLoaded()
	living.stop()
	h.settle()
	h.checkAcknowledged()
	h.must("resync", "--json")
	h.settle()
	h.compare()
	p.stop()
}

// untilLost waits until more deliveries have failed: nobody listens.
func (h *house) untilLost(more int64) {
	h.t.Helper()
	before := h.portal.Stats().Failed
	h.until("deliveries fail while the service is down", 20*time.Second, func() bool { return h.portal.Stats().Failed >= before+more })
}

// life is a portal that changes until it is stopped.
type life struct {
	cancel context.CancelFunc
	g      *errgroup.Group
}

func (h *house) live() life {
	ctx, cancel := context.WithCancel(h.t.Context())
	g := &errgroup.Group{}
	g.Go(func() error { live(ctx, h.portal, 3600*40); return nil })
	l := life{cancel, g}
	h.t.Cleanup(l.stop)
	return l
}

func (l life) stop() {
	l.cancel()
	_ = l.g.Wait() // it returns nothing
}

// checkAcknowledged fails for every ticket event that was answered with 200 and
// that the warehouse does not know of. It is to be asked before a resync, which
// would repair a loss.
func (h *house) checkAcknowledged() {
	h.t.Helper()
	known := map[uint64]map[string]string{}
	for _, row := range h.sql(`SELECT toString(id) AS id, toString(_content_as_of) AS content, toString(_life_as_of) AS life,
toString(_content_modified) AS modified FROM tickets_all FINAL`) {
		values := map[string]string{}
		for k, v := range row {
			values[k], _ = v.(string)
		}
		known[uint64(number(h.t, values["id"]))] = values
	}
	acked, missing := 0, 0
	for _, d := range h.portal.Stats().LastDelivered {
		if d.Status != http.StatusOK || !strings.HasPrefix(d.EventType, "Ticket_") {
			continue
		}
		acked++
		if row := known[d.ResourceID]; row == nil || !knows(h.t, row, d) {
			if missing++; missing <= 10 {
				h.t.Errorf("%s of %d at %d was acknowledged and is not in the warehouse: %v", d.EventType, d.ResourceID, d.EventTime.UnixMilli(), row)
			}
		}
	}
	stats := h.portal.Stats()
	h.t.Logf("%d ticket events acknowledged, %d missing; %d deliveries, %d failed", acked, missing, stats.Attempted, stats.Failed)
	if acked == 0 || stats.Failed < kills {
		h.t.Error("nothing was acknowledged or nothing failed: the test did not test")
	}
}

// knows reports whether a row is at least as new as an event. A row that search
// or GET brought may say so by its modifiedTime alone, in whole seconds; a
// deletion shows in the life of the row only.
func knows(t *testing.T, row map[string]string, d desksim.Delivery) bool {
	at := d.EventTime.UnixMilli()
	if number(t, row["life"]) >= at {
		return true
	}
	return d.EventType != "Ticket_Delete" && (number(t, row["content"]) >= at || number(t, row["modified"]) >= at/1000*1000)
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatalf("%q is no number: %v", s, err)
	}
	return n
}
