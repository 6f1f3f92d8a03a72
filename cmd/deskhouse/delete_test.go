package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"deskhouse/sink/clickhouse"
	"deskhouse/source/desksim"
)

// TestDeleteModes trashes tickets in each way Zoho may tell of it.
func TestDeleteModes(t *testing.T) {
	for _, mode := range []struct {
		name string
		mode desksim.DeleteMode
	}{{"Ticket_Delete", desksim.DeleteEvent}, {"IsDel true", desksim.UpdateIsDelTrue}, {"IsDel text", desksim.UpdateIsDelString},
		{"IsDel 1", desksim.UpdateIsDelOne}, {"both", desksim.DeleteBoth}, {"nothing", desksim.DeleteNone}} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, desksim.Config{Seed: 5, Tickets: 200, DeleteMode: mode.mode}, settings{keys: binKeys(mode.mode)})
			p := h.start()
			h.untilRunning()
			h.must("webhook", "register")
			h.untilLoaded()
			deletes(t, h, mode.mode != desksim.DeleteNone)
			t.Logf("stopped within %s", p.stop())
		})
	}
}

// binKeys polls the recycle bin where nothing else tells of a deletion.
func binKeys(m desksim.DeleteMode) string {
	if m == desksim.DeleteNone {
		return "bin: {poll: 1s},"
	}
	return ""
}

const (
	deletedTickets = 3
	// goneWithin is what is promised, goneBound what a busy machine is allowed.
	goneWithin = 2 * time.Second
	goneBound  = 10 * time.Second
)

func deletes(t *testing.T, h *house, told bool) {
	wh := h.warehouse()
	defer wh.Close()
	ids := plant(t, h, wh)
	var took []time.Duration
	for i, id := range ids {
		trashed := time.Now()
		if _, err := h.portal.TrashTicket(id); err != nil {
			t.Fatal(err)
		}
		h.until(fmt.Sprintf("ticket %d is gone from the view", id), goneBound+5*time.Second, func() bool { return count(t, wh, "tickets", id) == 0 })
		gone := time.Now()
		if told {
			trashed = acknowledged(t, h, id, trashed)
		}
		took = append(took, gone.Sub(trashed))
		if took[i] > goneBound {
			t.Errorf("ticket %d was gone only after %s", id, took[i])
		}
		checkKept(t, h, i, id)
	}
	t.Logf("gone after %v", took)
	slices.Sort(took)
	if median := took[len(took)/2]; told && median >= goneWithin && !underRace {
		t.Errorf("median until gone %s, promised %s", median, goneWithin)
	}
}

// plant gives some tickets texts that can be recognised, and waits for them.
func plant(t *testing.T, h *house, wh *clickhouse.Warehouse) []uint64 {
	var ids []uint64
	for i := range deletedTickets {
		subject, description := texts(i)
		id, err := h.portal.CreateTicket(desksim.TicketChange{Subject: &subject, Description: &description})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		h.until("a new ticket is visible", 30*time.Second, func() bool { return count(t, wh, "tickets", id) == 1 })
	}
	return ids
}

func texts(i int) (subject, description string) {
	return fmt.Sprintf("last 'subject' \\ %d", i), fmt.Sprintf("<p>last description\n%d</p>", i)
}

func count(t *testing.T, wh *clickhouse.Warehouse, table string, id uint64) int64 {
	t.Helper()
	rows, err := wh.Query(t.Context(), fmt.Sprintf("SELECT count() FROM %s WHERE id = %d", table, id))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	values, _, ok := rows.Next()
	if !ok {
		t.Fatalf("count has no row: %v", rows.Err())
	}
	return number(t, values[0])
}

// acknowledged is when the first delivery since then about a ticket was
// answered with 200.
func acknowledged(t *testing.T, h *house, id uint64, since time.Time) (at time.Time) {
	t.Helper()
	h.until("the deletion is acknowledged", goneBound, func() bool {
		for _, d := range h.portal.Stats().LastDelivered {
			if d.ResourceID == id && d.Status == http.StatusOK && d.AckAt.After(since) {
				at = d.AckAt
				return true
			}
		}
		return false
	})
	return at
}

// checkKept asks the way a person would for what is left of a deleted ticket.
func checkKept(t *testing.T, h *house, i int, id uint64) {
	t.Helper()
	rows := h.sql(fmt.Sprintf(`SELECT subject, description, toString(_is_deleted) AS deleted,
toString(abs(dateDiff('second', _deleted_at, now('UTC'))) < 120) AS recent FROM tickets_all FINAL WHERE id = %d`, id))
	if len(rows) != 1 {
		t.Errorf("ticket %d: %d rows in tickets_all", id, len(rows))
		return
	}
	subject, description := texts(i)
	for column, want := range map[string]string{"subject": subject, "description": description, "deleted": "1", "recent": "1"} {
		if rows[0][column] != want {
			t.Errorf("ticket %d: %s is %q, want %q", id, column, rows[0][column], want)
		}
	}
}
