package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"deskhouse/source/desksim"
)

func TestEventsThatWait(t *testing.T) {
	for _, c := range []struct{ last, applied, want uint64 }{{0, 0, 0}, {10, 0, 10}, {10, 4, 6}, {10, 10, 0}, {0, 10, 0}} {
		if got := waiting(pipelineStatus{LogLast: c.last, LogApplied: c.applied}); got != c.want {
			t.Errorf("%d stored, %d applied: %d wait, want %d", c.last, c.applied, got, c.want)
		}
	}
}

// changeTickets gives tickets a subject; webhooks tell of it.
func (h *house) changeTickets(n int, subject string) {
	h.t.Helper()
	changed := map[uint64]bool{}
	for len(changed) < n {
		id, err := h.portal.UpdateTicket(0, desksim.TicketChange{Subject: &subject})
		if err != nil {
			h.t.Fatal(err)
		}
		changed[id] = true
	}
}

func (h *house) withSubject(subject string) int {
	h.t.Helper()
	rows := h.sql(fmt.Sprintf("SELECT toString(count()) AS n FROM tickets WHERE subject = '%s'", subject))
	if len(rows) != 1 {
		h.t.Fatalf("%d rows", len(rows))
	}
	var n int
	_, _ = fmt.Sscan(fmt.Sprint(rows[0]["n"]), &n)
	return n
}

// TestADroppedColumnIsMadeAgain drops a column under a running service.
func TestADroppedColumnIsMadeAgain(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 77, Tickets: 40, DeleteMode: desksim.DeleteNone}, settings{})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	h.must("sql", "ALTER TABLE tickets_all DROP COLUMN status")
	h.changeTickets(5, "changed")
	h.until("the loss is noticed", time.Minute, func() bool { return strings.Contains(h.printed(), "somebody dropped or renamed a column") })
	h.until("it runs again", time.Minute, func() bool { return h.pipe().Running })
	h.until("the events are applied", time.Minute, func() bool { return h.withSubject("changed") >= 5 })
	if n := strings.Count(h.printed(), "somebody dropped or renamed a column"); n != 1 {
		t.Errorf("told of it %d times", n)
	}
	h.must("resync", "--table", "tickets")
	h.must("verify", "--table", "tickets")
	h.compare()
	if !p.running() {
		t.Fatal("the service ended")
	}
	p.stop()
}

// TestWritesThatFailAreTold has a table that takes no rows for a while.
func TestWritesThatFailAreTold(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 78, Tickets: 40, DeleteMode: desksim.DeleteNone}, settings{})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	h.must("sql", "ALTER TABLE tickets_all MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1")
	h.changeTickets(5, "stuck")
	h.until("status tells", 2*time.Minute, func() bool {
		text := h.must("status").stdout.String()
		return strings.Contains(text, "FAILING: write tickets has failed ") && strings.Contains(text, "TOO_MANY_PARTS") && !strings.Contains(text, "events waiting: 0 ")
	})
	asked := make(chan string, 1)
	go func() { asked <- h.must("verify", "--table", "tickets").stderr.String() }()
	h.until("it is not ready any more", 2*time.Minute, func() bool {
		status, body := get(t, "http://"+h.admin+"/readyz")
		return status == 503 && strings.Contains(body, "write tickets has failed")
	})
	h.until("sync_status tells", 2*time.Minute, func() bool {
		rows := h.sql("SELECT error FROM sync_status WHERE table = 'tickets'")
		return len(rows) == 1 && strings.Contains(fmt.Sprint(rows[0]["error"]), "TOO_MANY_PARTS")
	})
	h.must("sql", "ALTER TABLE tickets_all RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
	if said := <-asked; !strings.Contains(said, "waiting, as write tickets has failed ") {
		t.Errorf("verify said %q", said)
	}
	h.until("it is ready again", 2*time.Minute, func() bool {
		status, _ := get(t, "http://"+h.admin+"/readyz")
		return status == 200
	})
	if text := h.must("status").stdout.String(); strings.Contains(text, "FAILING") || h.withSubject("stuck") < 5 {
		t.Errorf("status after that:\n%s", text)
	}
	p.stop()
}
