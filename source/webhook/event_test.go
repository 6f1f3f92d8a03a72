package webhook

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func TestEventTimeUnits(t *testing.T) {
	const want = 1789000000123
	for sent, want := range map[string]int64{
		`"1789000000123"`: want, `1789000000123`: want, `"1789000000"`: 1789000000000, `"1789000000123456"`: want, `1.789000000123e12`: want,
		`"2026-09-10T00:26:40.123Z"`: want, `null`: 0, `""`: 0, `"soon"`: 0, `"-5"`: 0, `"0"`: 0, `"178900000012345678"`: 0, `{}`: 0, `1e300`: 0, `"NaN"`: 0,
	} {
		env, err := scan([]byte(`{"eventTime":` + sent + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := eventMillis(env.eventTime); got != want {
			t.Errorf("%s: %d, want %d", sent, got, want)
		}
	}
}

func TestDecode(t *testing.T) {
	raw := jsontext.Value(` {"prevState": {"id":"7","status":"Open"}, "payload":{"a":[1,{"id":"no"}],"id":"7"}, "x":null}`)
	p, err := Event{Kind: Delivered, EventTime: "1789000000", Raw: raw}.Decode()
	if err != nil {
		t.Fatal(err)
	}
	if p.TimeMS != 1789000000000 || string(p.Record) != `{"a":[1,{"id":"no"}],"id":"7"}` || string(p.Prev) != `{"id":"7","status":"Open"}` || p.TicketID != 0 {
		t.Errorf("got %+v", p)
	}
	if id, err := p.ID(); id != 7 || err != nil {
		t.Errorf("id %d, %v", id, err)
	}
	hint, err := Event{Kind: Hint, Raw: jsontext.Value(`{"id":"5","ticketId":900100000000012345}`)}.Decode()
	if err != nil || hint.TicketID != 900100000000012345 || hint.Record != nil {
		t.Errorf("hint %+v, %v", hint, err)
	}
	if id, err := hint.ID(); id != hint.TicketID || err != nil {
		t.Errorf("id %d, %v", id, err)
	}
	for _, bad := range []Event{
		{Kind: Delivered, Raw: jsontext.Value(`{"payload":[]}`)}, {Kind: Delivered, Raw: jsontext.Value(`{"payload":{}`)},
		{Kind: Hint, Raw: jsontext.Value(`{"ticketId":"x","id":"5"}`)}, {Kind: 9, Raw: jsontext.Value(`{"payload":{}}`)}, {},
	} {
		if p, err := bad.Decode(); err == nil {
			t.Errorf("%s decodes to %+v", bad.Raw, p)
		}
	}
	if id, err := (Payload{Record: jsontext.Value(`{"id":"seven"}`)}).ID(); err == nil {
		t.Errorf("id %d", id)
	}
}

func events() *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		e := Event{
			Kind: rapid.SampledFrom([]Kind{Delivered, Hint}).Draw(t, "kind"), Type: rapid.String().Draw(t, "type"), EventTime: rapid.String().Draw(t, "time"),
			OrgID: rapid.Uint64().Draw(t, "org"), Verified: rapid.Bool().Draw(t, "verified"), Raw: rapid.SliceOf(rapid.Byte()).Draw(t, "raw"),
		}
		if us := rapid.Int64Range(-1<<50, 1<<50).Draw(t, "received"); us != 0 {
			e.Received = time.UnixMicro(us).UTC()
		}
		return e
	})
}

func TestGroupRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(events()).Draw(t, "events")
		group := EncodeGroup(want)
		got, err := DecodeGroup(group)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d events of %d, %v", len(got), len(want), err)
		}
		for i := range want {
			if len(want[i].Raw) == 0 {
				want[i].Raw, got[i].Raw = nil, nil
			}
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Fatalf("event %d: %+v, want %+v", i, got[i], want[i])
			}
		}
		cut := rapid.IntRange(0, len(group)-1).Draw(t, "cut")
		if short, err := DecodeGroup(group[:cut]); err == nil && len(short) >= len(want) && len(want) > 0 {
			t.Fatalf("%d bytes of %d give all events", cut, len(group))
		}
	})
}

// TestGroupFormat pins the stored bytes: they are read by later releases.
func TestGroupFormat(t *testing.T) {
	e := Event{Received: time.UnixMicro(5).UTC(), Kind: Hint, Type: "ab", EventTime: "c", OrgID: 300, Verified: true, Raw: jsontext.Value("{}")}
	want := []byte{1, 12, 2, 1, 10, 0xac, 0x02, 2, 'a', 'b', 1, 'c', '{', '}'}
	if got := EncodeGroup([]Event{e}); !bytes.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, bad := range map[string][]byte{
		"empty": {}, "newer format": {2}, "unknown kind": {1, 6, 3, 0, 0, 0, 0, 0}, "unknown flag": {1, 6, 1, 2, 0, 0, 0, 0}, "short record": {1, 1, 1},
		"length beyond the end": {1, 200, 1}, "huge length": {1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, "type beyond the record": {1, 6, 1, 0, 0, 0, 9, 0},
	} {
		if events, err := DecodeGroup(bad); err == nil || events != nil {
			t.Errorf("%s: %v, %v", name, events, err)
		}
	}
}

func FuzzDecodeGroup(f *testing.F) {
	f.Add(EncodeGroup([]Event{{Received: now, Kind: Delivered, Type: "Ticket_Add", EventTime: "1", OrgID: org, Verified: true, Raw: jsontext.Value(ticketAdd)}, {Kind: Hint, Raw: jsontext.Value(workflow)}}))
	f.Add([]byte{1})
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, group []byte) {
		decoded, err := DecodeGroup(group)
		if err != nil {
			return
		}
		again, err := DecodeGroup(EncodeGroup(decoded))
		if err != nil || !reflect.DeepEqual(again, decoded) {
			t.Fatalf("%+v, %v, want %+v", again, err, decoded)
		}
	})
}

func FuzzEventDecode(f *testing.F) {
	for _, seed := range []string{ticketAdd, workflow, `{"payload":{"id":1},"prevState":null}`, `{"payload":`, `{"ticketId":"9","ticketId":null}`, `[]`, ``} {
		f.Add([]byte(seed), "1789000000123")
	}
	f.Fuzz(func(t *testing.T, raw []byte, at string) {
		for _, kind := range []Kind{Delivered, Hint} {
			p, err := Event{Kind: kind, EventTime: at, Raw: raw}.Decode()
			if err != nil {
				continue
			}
			if _, err := p.ID(); err == nil && kind == Hint && p.TicketID == 0 {
				t.Fatal("a hint without a ticket")
			}
			if p.TimeMS < 0 || kind == Delivered && (p.Record.Kind() != '{' || !bytes.Contains(raw, p.Record)) {
				t.Fatalf("%+v", p)
			}
		}
	})
}

// FuzzBody sends bodies through the whole handler: it never panics, answers from its list, and stores only what decodes.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{ticketAdd, "[" + ticketAdd + "," + foreignAdd + ",1]", workflow, "{}", "", "[", `[{"eventType":"x","payload":{"a":1,"a":2}}]`, "\xff", `{"eventType":"\ud800","payload":{}}`} {
		f.Add([]byte(seed))
	}
	fix := start(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		fix.log.mu.Lock()
		fix.log.groups = nil
		fix.log.mu.Unlock()
		fix.dead.mu.Lock()
		fix.dead.kept = nil
		fix.dead.mu.Unlock()
		status := fix.post("", string(body))
		if status != 200 && status != 400 && status != 403 && status != 413 {
			t.Fatalf("status %d", status)
		}
		stored, _ := fix.log.events(t)
		for _, e := range stored {
			if _, err := e.Decode(); err != nil {
				t.Fatalf("stored event %s: %v", e.Raw, err)
			}
		}
		if status == 400 && len(fix.dead.kept[ReasonMalformed]) != 1 {
			t.Fatal("refused without a dead letter")
		}
		if json.Valid(body) && status == 400 && strings.HasPrefix(strings.TrimSpace(string(body)), "{") {
			t.Fatal("a JSON object is called malformed")
		}
	})
}
