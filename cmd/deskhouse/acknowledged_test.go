package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"deskhouse/source/desksim"
)

// acknowledged are the ticket events that were answered with 200, in the order
// they were delivered.
func (h *house) acknowledged() []desksim.Delivery {
	h.t.Helper()
	var acked []desksim.Delivery
	stats := h.portal.Stats()
	for _, d := range stats.LastDelivered {
		if d.Status == http.StatusOK && strings.HasPrefix(d.EventType, "Ticket_") {
			acked = append(acked, d)
		}
	}
	h.t.Logf("%d deliveries, %d failed; %d ticket events acknowledged", stats.Attempted, stats.Failed, len(acked))
	if len(acked) == 0 {
		h.t.Error("nothing was acknowledged: the test did not test")
	}
	return acked
}

// checkAcknowledged fails for every ticket event that was answered with 200 and
// that the warehouse does not know of. It is to be asked before a resync, which
// would repair a loss.
func (h *house) checkAcknowledged() {
	h.t.Helper()
	known := map[uint64]map[string]string{}
	for _, row := range h.sql(`SELECT toString(id) AS id, toString(_content_as_of) AS content, toString(_life_as_of) AS life,
toString(_content_modified) AS modified FROM tickets_all FINAL`) {
		values := textsOf(row)
		known[uint64(number(h.t, values["id"]))] = values
	}
	missing := 0
	for _, d := range h.acknowledged() {
		if row := known[d.ResourceID]; row == nil || !knows(h.t, row, d) {
			if missing++; missing <= 10 {
				h.t.Errorf("%s of %d at %d was acknowledged and is not in the warehouse: %v", d.EventType, d.ResourceID, d.EventTime.UnixMilli(), row)
			}
		}
	}
	h.t.Logf("%d acknowledged events are missing in the tables", missing)
}

// knows reports whether a row is at least as new as an event. A row that search
// or GET brought may say so by its modifiedTime alone, in whole seconds; a
// deletion shows in the life of the row only.
func knows(t *testing.T, row map[string]string, d desksim.Delivery) bool {
	at := d.EventTime.UnixMilli()
	if number(t, row["life"]) >= at {
		return true
	}
	return d.EventType != "Ticket_Delete" && (number(t, row["content"]) >= at || number(t, row["modified"]) >= wholeSecond(at))
}

// wholeSecond is an instant as modifiedTime and deletedTime show it.
func wholeSecond(ms int64) int64 { return ms / 1000 * 1000 }

// pastChange is a row of the history.
type pastChange struct {
	at                int64
	op, event, origin string
}

// checkHistory fails for every acknowledged ticket event that the history holds
// twice, and for every one since then that it does not hold at all, unless the
// event was no news: another way (poll, re-read, resync) had told of the change
// before and stands in the history itself, a deletion of what was deleted
// already, or an update within the second of another that changed nothing but
// modifiedTime, which it shares. What the first load brought is no change. The
// portal has to render payloads at the event.
func (h *house) checkHistory(since time.Time) {
	h.t.Helper()
	past := map[uint64][]pastChange{}
	for _, row := range h.sql(`SELECT toString(id) AS id, toString(toUnixTimestamp64Milli(at)) AS at, op, event_type AS event, origin
FROM changes WHERE table = 'tickets' ORDER BY changes.at`) {
		v := textsOf(row)
		id := uint64(number(h.t, v["id"]))
		past[id] = append(past[id], pastChange{number(h.t, v["at"]), v["op"], v["event"], v["origin"]})
	}
	own, noNews, twice, missing := 0, 0, 0, 0
	acked := h.acknowledged()
	for _, d := range acked {
		switch n := told(past[d.ResourceID], d); {
		case n == 1:
			own++
		case n > 1:
			twice++
			h.t.Errorf("%s of %d at %d stands %d times in the history", d.EventType, d.ResourceID, d.EventTime.UnixMilli(), n)
		case d.EventTime.Before(since) || toldOtherwise(past[d.ResourceID], d) || deletedBefore(past[d.ResourceID], d) || repeats(acked, d):
			noNews++
		default:
			missing++
			h.t.Errorf("%s of %d at %d was acknowledged and is not in the history: %v", d.EventType, d.ResourceID, d.EventTime.UnixMilli(), past[d.ResourceID])
		}
	}
	h.t.Logf("history: %d acknowledged events once, %d were no news, %d twice, %d missing", own, noNews, twice, missing)
	if own == 0 {
		h.t.Error("no event stands in the history: the test did not test")
	}
}

// told counts an event in the history of its ticket.
func told(past []pastChange, d desksim.Delivery) int {
	n := 0
	for _, c := range past {
		if c.event == d.EventType && c.at == d.EventTime.UnixMilli() {
			n++
		}
	}
	return n
}

// toldOtherwise reports whether something as new as an event came another way.
func toldOtherwise(past []pastChange, d desksim.Delivery) bool {
	for _, c := range past {
		if c.origin != "webhook" && c.at >= wholeSecond(d.EventTime.UnixMilli()) {
			return true
		}
	}
	return false
}

// deletedBefore reports whether a deletion found its ticket deleted.
func deletedBefore(past []pastChange, d desksim.Delivery) bool {
	op := ""
	for _, c := range past {
		if c.at <= d.EventTime.UnixMilli() {
			op = c.op
		}
	}
	return d.EventType == "Ticket_Delete" && op == "delete"
}

// repeats reports whether an event tells what the one before it told already.
func repeats(acked []desksim.Delivery, d desksim.Delivery) bool {
	var before desksim.Delivery
	for _, e := range acked {
		if e.ResourceID == d.ResourceID && e.EventTime.Before(d.EventTime) && e.EventTime.After(before.EventTime) {
			before = e
		}
	}
	return before.EventType == d.EventType && before.Payload == d.Payload
}

// textsOf are the values of a row; NULL becomes the empty text.
func textsOf(row map[string]any) map[string]string {
	values := map[string]string{}
	for k, v := range row {
		values[k], _ = v.(string)
	}
	return values
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatalf("%q is no number: %v", s, err)
	}
	return n
}
