package desksim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"
)

// date is the Date header of a call, as an offset from noon.
func (c *client) date(path string) time.Duration {
	c.t.Helper()
	_, h, _ := c.send(c.request("GET", path, ""))
	at, err := time.Parse(http.TimeFormat, h.Get("Date"))
	if err != nil {
		c.t.Fatal(err)
	}
	return at.Sub(noon)
}

func TestDateNamesTheChosenMoment(t *testing.T) {
	for mode, want := range map[DateMode]time.Duration{DateArrived: 0, DateRead: 10 * time.Second, DateSent: 40 * time.Second} {
		p, clock := newTestPortal(t, Config{Date: mode})
		p.Faults().Latency(func(*http.Request) time.Duration { return 10 * time.Second })
		p.Faults().HoldBack(func(*http.Request) time.Duration { return 30 * time.Second })
		k := newClient(t, p)
		got := make(chan time.Duration, 1)
		go func() { got <- k.date("tickets?limit=1") }()
		for _, d := range []time.Duration{10 * time.Second, 30 * time.Second} {
			if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			clock.Advance(d)
		}
		if d := <-got; d != want {
			t.Errorf("mode %d: Date is %v after the call, want %v", mode, d, want)
		}
	}
}

func TestDateIsSkewed(t *testing.T) {
	p, _ := newTestPortal(t, Config{DateSkew: time.Hour})
	k := newClient(t, p)
	if d := k.date("tickets?limit=1"); d != time.Hour {
		t.Errorf("Config.DateSkew: %v", d)
	}
	p.Faults().DateSkew(-time.Minute, 5*time.Second)
	seen := map[time.Duration]bool{}
	for range 60 {
		d := k.date("tickets?limit=1") + time.Minute
		if seen[d] = true; d < -5*time.Second-time.Second || d > 5*time.Second {
			t.Errorf("jitter of %v", d)
		}
	}
	if len(seen) < 5 {
		t.Errorf("jitter gave %d values", len(seen))
	}
	p.Faults().Clear()
	if d := k.date("tickets?limit=1"); d != time.Hour {
		t.Errorf("after Clear: %v", d)
	}
}

// TestHeldBackReplyIsOvertaken: what a reply says was read before a change whose webhook arrives before the reply.
func TestHeldBackReplyIsOvertaken(t *testing.T) {
	l := newListener()
	p, clock := newTestPortal(t, Config{Deliver: l})
	k := newClient(t, p)
	k.subscribe(allEvents)
	id, later := kindTicket.id(3), "after the read"
	p.Faults().HoldBack(func(*http.Request) time.Duration { return time.Minute })
	body := make(chan string, 1)
	go func() { _, b := k.get(fmt.Sprintf("tickets/%d", id)); body <- string(b) }()
	if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpdateTicket(id, TicketChange{Subject: &later}); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	if len(l.events) != 1 {
		t.Fatalf("%d events before the reply", len(l.events))
	}
	clock.Advance(time.Minute)
	if string(member(t, []byte(<-body), "subject")) == `"after the read"` {
		t.Error("the reply shows what came after it was read")
	}
}

func TestOnCallChangesBetweenPages(t *testing.T) {
	p, _ := newTestPortal(t, Config{Tickets: 50})
	k := newClient(t, p)
	var classes []string
	p.Faults().OnCall(func(class, path string) {
		if classes = append(classes, class); len(classes) == 2 {
			if _, err := p.TrashTicket(kindTicket.id(0)); err != nil {
				t.Error(err)
			}
		}
	})
	page := func() int { return len(k.ids("tickets/search?limit=100&departmentId=" + depts(5))) }
	k.get("departments")
	full := page()
	if less := page(); less != full-1 {
		t.Errorf("%d rows while the change is made, %d after", full, less)
	}
	if fmt.Sprint(classes) != "[departments.list tickets.search tickets.search]" {
		t.Errorf("classes %v", classes)
	}
}

func TestCreateLag(t *testing.T) {
	p, clock := newTestPortal(t, Config{CreateLag: 10 * time.Second})
	k := newClient(t, p)
	missing := func(ids []uint64) (n int) {
		for _, id := range ids {
			status, body := k.get(fmt.Sprintf("tickets/%d", id))
			if status == 404 {
				n++
				checkCode(t, "young ticket", body, "URL_NOT_FOUND")
			}
		}
		return n
	}
	var ids []uint64
	for range 40 {
		id, err := p.CreateTicket(TicketChange{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if status, _ := k.get(fmt.Sprintf("tickets/search?id=%d", ids[0])); status != 200 {
		t.Errorf("search: %d", status)
	}
	atOnce := missing(ids)
	clock.Advance(5 * time.Second)
	if _, err := p.UpdateTicket(ids[0], TicketChange{}); err != nil {
		t.Fatal(err)
	}
	later := missing(ids)
	clock.Advance(6 * time.Second)
	if n := missing(ids); atOnce != 40 || later == 0 || later > 35 || n != 0 {
		t.Errorf("missing: %d at once, %d after 5 s, %d after 11 s", atOnce, later, n)
	}
	if n := missing([]uint64{kindTicket.id(1)}); n != 0 {
		t.Error("an old ticket is missing")
	}
}

func TestSlowRowsLagLonger(t *testing.T) {
	p, clock := newTestPortal(t, Config{SearchLag: time.Minute, SlowRows: 0.3, SlowLag: time.Hour})
	k := newClient(t, p)
	var ids []uint64
	for range 60 {
		id, err := p.CreateTicket(TicketChange{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	seen := func() (n int) {
		k.token = p.AccessToken()
		for _, id := range ids {
			if status, _ := k.get(fmt.Sprintf("tickets/search?id=%d", id)); status == 200 {
				n++
			}
		}
		return n
	}
	if n := seen(); n != 0 {
		t.Errorf("%d seen at once", n)
	}
	clock.Advance(time.Minute)
	first := seen()
	clock.Advance(30 * time.Minute)
	second := seen()
	clock.Advance(30 * time.Minute)
	if third := seen(); first < 30 || first >= second || second >= 60 || third != 60 {
		t.Errorf("seen: %d after a minute, %d after half an hour, %d after an hour", first, second, third)
	}
}

// TestSlowRowKeepsItsOrder: a later change of a row never becomes visible before an earlier one, and never is undone by one.
func TestSlowRowKeepsItsOrder(t *testing.T) {
	for _, wait := range []time.Duration{0, 2 * time.Hour} { // the first change is not due, or due and nobody looked since
		p, clock := newTestPortal(t, Config{Seed: 4, SlowRows: 1})
		k := newClient(t, p)
		subjects := []string{"first", "second", "third"}
		for i := range subjects {
			if i == 2 {
				clock.Advance(wait)
				p.Faults().SlowRows(0, 0)
			}
			if _, err := p.UpdateTicket(kindTicket.id(2), TicketChange{Subject: &subjects[i]}); err != nil {
				t.Fatal(err)
			}
		}
		last := 0
		for range 70 {
			k.token = p.AccessToken()
			row := k.rows(fmt.Sprintf("tickets/search?id=%d", kindTicket.id(2)))[0]
			now := slices.Index(subjects, unquoted(member(t, row, "subject")))
			if now < last-1 {
				t.Fatalf("%s is seen after %s", subjects[max(now, 0)], subjects[last-1])
			}
			last = max(last, now+1)
			clock.Advance(time.Minute)
		}
		if last != 3 || wait > 0 && p.waiting[kindTicket.id(2)] != 0 {
			t.Errorf("after %v: the last change seen is %d", wait, last)
		}
	}
}

func TestEventTimeUnits(t *testing.T) {
	at := noon.UnixMilli() + 1500
	units := map[EventTimes]int64{EventMillis: at, EventSeconds: at / 1000, EventMicros: at * 1000, EventFuture: at + 3_600_000}
	run := func(unit EventTimes, n int) map[string]int {
		l := newListener()
		p, clock := newTestPortal(t, Config{Deliver: l, EventTime: unit})
		newClient(t, p).subscribe(allEvents)
		clock.Advance(1500 * time.Millisecond)
		for range n {
			if _, err := p.UpdateTicket(0, TicketChange{}); err != nil {
				t.Fatal(err)
			}
		}
		flush(t, p)
		times := map[string]int{}
		for _, e := range l.events {
			times[e.EventTime]++
			if got := string(e.Payload["modifiedTime"]); got != `"2026-10-01T12:00:01.000Z"` {
				t.Fatalf("payload modifiedTime %s", got)
			}
		}
		return times
	}
	for unit, want := range units {
		if got := run(unit, 1); got[strconv.FormatInt(want, 10)] != 1 {
			t.Errorf("unit %d: %v, want %d", unit, got, want)
		}
	}
	if mixed := run(EventMixed, 60); len(mixed) != 4 {
		t.Errorf("mixed: %v", mixed)
	}
}

func TestTrailingUpdateFollowsTheDelete(t *testing.T) {
	for mode, want := range map[DeleteMode]string{DeleteEvent: "Ticket_Delete Ticket_Update", DeleteNone: ""} {
		l := newListener()
		p, clock := newTestPortal(t, Config{Deliver: l, DeleteMode: mode})
		newClient(t, p).subscribe(allEvents)
		p.Faults().Webhooks(WebhookFaults{TrailingUpdate: 1})
		id, err := p.TrashTicket(0)
		if err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
		flush(t, p)
		if kinds(l.events) != want {
			t.Fatalf("mode %d: got %s", mode, kinds(l.events))
		}
		if mode == DeleteNone {
			continue
		}
		gone, trailing := l.events[0], l.events[1]
		if trailing.id() != strconv.FormatUint(id, 10) || string(trailing.Payload["isTrashed"]) != "false" || trailing.EventTime <= gone.EventTime {
			t.Errorf("at %s of %s, isTrashed %s, deleted at %s", trailing.EventTime, trailing.id(), trailing.Payload["isTrashed"], gone.EventTime)
		}
	}
}
