package desksim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
)

// memberDiff names the members in which two JSON objects differ.
func memberDiff(t *testing.T, a, b []byte) []string {
	t.Helper()
	var x, y map[string]json.RawMessage
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(x, func(k string, v json.RawMessage) bool { return string(y[k]) == string(v) })
	return slices.Sorted(maps.Keys(x))
}

func TestDetailChangesInSilence(t *testing.T) {
	l := newListener()
	p, clock := newTestPortal(t, Config{Deliver: l})
	k := newClient(t, p)
	k.subscribe(allEvents)
	id := kindTicket.id(8)
	changed := map[string]bool{}
	for range 60 {
		clock.Advance(time.Second)
		_, before := k.get(fmt.Sprintf("tickets/%d", id))
		shown := k.rows(fmt.Sprintf("tickets/search?id=%d", id))[0]
		if _, err := p.UpdateDetail(id); err != nil {
			t.Fatal(err)
		}
		_, after := k.get(fmt.Sprintf("tickets/%d", id))
		diff := memberDiff(t, before, after)
		if len(diff) != 1 || string(k.rows(fmt.Sprintf("tickets/search?id=%d", id))[0]) != string(shown) {
			t.Fatalf("changed %v in GET, and search", diff)
		}
		changed[diff[0]] = true
	}
	flush(t, p)
	if len(changed) != 9 || len(l.events) != 0 {
		t.Errorf("changed %v, %d events", changed, len(l.events))
	}
}

func TestTwinUpdateSharesItsSecond(t *testing.T) {
	for seed := range int64(20) {
		l := newListener()
		p, clock := newTestPortal(t, Config{Seed: seed, Deliver: l, PayloadAtEvent: true})
		newClient(t, p).subscribe(allEvents)
		clock.Advance(1400 * time.Millisecond)
		id, err := p.TwinUpdate(0)
		if err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
		flush(t, p)
		if kinds(l.events) != "Ticket_Update Ticket_Update" || l.events[0].id() != strconv.FormatUint(id, 10) || l.events[1].id() != l.events[0].id() {
			t.Fatalf("got %s", kinds(l.events))
		}
		a, b := l.events[0], l.events[1]
		if string(a.Payload["modifiedTime"]) != `"2026-10-01T12:00:01.000Z"` || string(b.Payload["modifiedTime"]) != string(a.Payload["modifiedTime"]) {
			t.Errorf("modifiedTime %s and %s", a.Payload["modifiedTime"], b.Payload["modifiedTime"])
		}
		if string(a.Payload["subject"]) == string(b.Payload["subject"]) || a.EventTime[:10] != b.EventTime[:10] || b.EventTime < a.EventTime {
			t.Errorf("subjects %s and %s, at %s and %s", a.Payload["subject"], b.Payload["subject"], a.EventTime, b.EventTime)
		}
	}
}

// restless is a clock that a quarter of a second passes on whenever it is read.
type restless struct{ *clockwork.FakeClock }

func (c restless) Now() time.Time {
	c.Advance(250 * time.Millisecond)
	return c.FakeClock.Now()
}

func TestTwinUpdateSharesItsSecondWhileTimePasses(t *testing.T) {
	p := New(Config{Clock: restless{clockwork.NewFakeClockAt(noon)}, Deliver: newListener(), DeliveryTimeout: time.Hour})
	t.Cleanup(p.Close)
	id, err := p.TwinUpdate(0)
	if err != nil {
		t.Fatal(err)
	}
	last := p.tickets.load(&p.gen, first(kindTicket.seq(id)), new(ticket))
	if last.before == nil || last.before.modified != last.modified || last.before.subject == last.subject {
		t.Errorf("modified %d after %+v", last.modified, last.before)
	}
}

func first(n uint32, _ bool) uint32 { return n }

func TestRestoreIsSilent(t *testing.T) {
	l := newListener()
	p, clock := newTestPortal(t, Config{Deliver: l})
	k := newClient(t, p)
	k.subscribe(`{"Ticket_Add":null,"Ticket_Update":null}`)
	path := fmt.Sprintf("tickets/%d", kindTicket.id(4))
	_, before := k.get(path)
	for _, step := range []func() (uint64, error){func() (uint64, error) { return p.TrashTicket(kindTicket.id(4)) }, func() (uint64, error) { return p.RestoreTicket(0) }} {
		clock.Advance(time.Minute)
		if _, err := step(); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, p)
	if _, after := k.get(path); string(after) != string(before) || len(l.events) != 0 {
		t.Errorf("%d events, changed %v", len(l.events), memberDiff(t, before, after))
	}
}

// TestRenamesChangeOtherRecordsInSilence: the new name shows in the joined objects, and nothing of the records' own moves.
func TestRenamesChangeOtherRecordsInSilence(t *testing.T) {
	for name, c := range map[string]struct {
		rename func(*Portal) (uint64, error)
		joined string
	}{
		"contact": {func(p *Portal) (uint64, error) { return p.RenameContact(0) }, "contact"},
		"account": {func(p *Portal) (uint64, error) { return p.RenameAccount(0) }, "contact"},
		"agent":   {func(p *Portal) (uint64, error) { return p.RenameAgent(0) }, "assignee"},
		"team":    {func(p *Portal) (uint64, error) { return p.RenameTeam(0) }, "team"},
	} {
		l := newListener()
		p, clock := newTestPortal(t, Config{Tickets: 300, Deliver: l})
		newClient(t, p).subscribe(allEvents)
		own := p.Digest("tickets")
		before := map[string]json.RawMessage{}
		for r := range p.Truth("tickets") {
			before[r.Key] = r.Search
		}
		clock.Advance(time.Minute)
		if _, err := c.rename(p); err != nil {
			t.Fatal(err)
		}
		flush(t, p)
		touched := 0
		for r := range p.Truth("tickets") {
			if string(r.Search) == string(before[r.Key]) {
				continue
			}
			if touched++; !slices.Equal(memberDiff(t, before[r.Key], r.Search), []string{c.joined}) {
				t.Errorf("%s: changed %v", name, memberDiff(t, before[r.Key], r.Search))
			}
		}
		if touched == 0 || len(l.events) != 0 || !maps.Equal(own, p.Digest("tickets")) {
			t.Errorf("%s: %d rows changed, %d events, own content equal %v", name, touched, len(l.events), maps.Equal(own, p.Digest("tickets")))
		}
	}
	p, _ := newTestPortal(t, Config{Tickets: 3, Contracts: 400})
	own, shown := p.Digest("contracts"), digest(p)
	for range 20 {
		if _, err := p.RenameAccount(0); err != nil {
			t.Fatal(err)
		}
		if _, err := p.RenameAgent(0); err != nil {
			t.Fatal(err)
		}
	}
	if digest(p) == shown || !maps.Equal(own, p.Digest("contracts")) {
		t.Errorf("contracts: shown as before %v, own content equal %v", digest(p) == shown, maps.Equal(own, p.Digest("contracts")))
	}
	for _, rename := range []func(uint64) (uint64, error){p.RenameContact, p.RenameAccount, p.RenameAgent, p.RenameTeam} {
		if _, err := rename(kindTicket.id(1)); err == nil {
			t.Error("renamed what a ticket's id names")
		}
	}
}

func TestSilentRecordChanges(t *testing.T) {
	for table, w := range map[string]Weights{"products": {SilentProduct: 1}, "contracts": {SilentContract: 1}} {
		p, clock := newTestPortal(t, Config{Weights: w})
		before := map[string]json.RawMessage{}
		for r := range p.Truth(table) {
			before[r.Key] = r.Get
		}
		clock.Advance(time.Minute)
		p.Mutate(20)
		touched := 0
		for r := range p.Truth(table) {
			diff := memberDiff(t, before[r.Key], r.Get)
			if len(diff) > 0 {
				touched++
			}
			if slices.Contains(diff, "modifiedTime") {
				t.Errorf("%s %s: modifiedTime moved", table, r.Key)
			}
		}
		if touched < 5 {
			t.Errorf("%s: %d changed", table, touched)
		}
	}
}

func TestUnmarkSpam(t *testing.T) {
	p, _ := newTestPortal(t, Config{HideSpam: true})
	k := newClient(t, p)
	id, err := p.UnmarkSpam(0)
	if err != nil {
		t.Fatal(err)
	}
	if rows := k.rows(fmt.Sprintf("tickets/search?id=%d", id)); len(rows) != 1 {
		t.Error("search does not show it")
	}
	if _, err := p.UnmarkSpam(id); err == nil {
		t.Error("unmarked twice")
	}
	if _, err := p.MarkSpam(id); err != nil {
		t.Fatal(err)
	}
	if rows := k.rows(fmt.Sprintf("tickets/search?id=%d", id)); len(rows) != 0 {
		t.Error("search shows spam")
	}
}

// TestHiddenFieldIsHiddenEverywhere: GET, search, list and payload lose the key from that moment on.
func TestHiddenFieldIsHiddenEverywhere(t *testing.T) {
	l := newListener()
	p, _ := newTestPortal(t, Config{Deliver: l})
	k := newClient(t, p)
	k.subscribe(allEvents)
	id := kindTicket.id(6)
	rows := func() map[string]string {
		if _, err := p.UpdateTicket(id, TicketChange{}); err != nil {
			t.Fatal(err)
		}
		flush(t, p)
		_, get := k.get(fmt.Sprintf("tickets/%d", id))
		payload, err := json.Marshal(l.events[len(l.events)-1])
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{"GET": string(get), "search": string(k.rows(fmt.Sprintf("tickets/search?id=%d", id))[0]),
			"list": string(k.rows("tickets?limit=1")[0]), "payload and prevState": string(payload)}
	}
	for where, row := range rows() {
		if !strings.Contains(row, `"category"`) {
			t.Errorf("%s has no category: %s", where, row)
		}
	}
	p.Faults().HideField("category", true)
	for where, row := range rows() {
		if strings.Contains(row, `"category"`) || !strings.Contains(row, `"subject"`) {
			t.Errorf("%s still shows category, or nothing: %s", where, row)
		}
	}
}
