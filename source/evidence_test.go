package source

import (
	"testing"
	"time"
)

func ticketOf(t *testing.T, text string) *Record {
	t.Helper()
	rec, err := ParseRecord(ticketResource, "", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// A bin item without a readable time proves nothing by itself; for a row that is
// visible it is a reason to read the record again.
func TestRule4ABinItemWithoutATimeIsAReasonToReadAgain(t *testing.T) {
	rec := ticketOf(t, `{"id":"1","subject":"x","modifiedTime":"2026-01-01T00:00:00.000Z"}`)
	cov := NewCoverage(ticketResource, rec.Present, rec.Present)
	held := Merge(State{}, cov.FromSearch(rec, Timing{}, "snapshot")).Head
	held.Version = NextVersion(held)
	o := FromBin(BinItem{Key: rec.Key})
	if Merge(State{Head: held}, o).Head != held {
		t.Fatal("an item without a time changed the row")
	}
	if c := Contradicts(held, o); c == NoContradiction {
		t.Fatal("a visible row is in the recycle bin and nothing asks for it")
	}
}

// A deletion that is confirmed later happened when it happened.
func TestAConfirmedDeletionKeepsItsTime(t *testing.T) {
	deleted := Merge(State{}, FromBin(BinItem{Key: Key{ID: 1}, DeletedAt: 1000_000}))
	later := Timing{Date: time.UnixMilli(9000_000)}
	if got := Merge(deleted, Gone(Key{ID: 1}, later, deleted.Head, "re-read")); got.DeletedAt != 1000_000 {
		t.Errorf("GET finds nothing: deleted at %d, was %d", got.DeletedAt, 1000_000)
	}
	trashed := ticketOf(t, `{"id":"1","subject":"x","isTrashed":true}`)
	cov := NewCoverage(ticketResource, trashed.Present, trashed.Present)
	if got := Merge(deleted, cov.FromGet(trashed, later, deleted.Head, "re-read")); got.DeletedAt != 1000_000 {
		t.Errorf("GET finds it trashed: deleted at %d, was %d", got.DeletedAt, 1000_000)
	}
}

// An event from the future is a hint and dates nothing.
func TestAnEventFromTheFutureDatesNothing(t *testing.T) {
	rec := ticketOf(t, `{"id":"1","subject":"x","modifiedTime":"2026-01-01T00:00:00.000Z"}`)
	cov := NewCoverage(ticketResource, rec.Present, rec.Present)
	now := rec.Modified
	o := cov.FromEvent(Event{Type: "Ticket_Update", Time: now + 365*24*3600*1000, ZohoNow: now, Trust: true}, rec)
	if !o.Hint || o.AsOf != 0 || o.SeenAt > now {
		t.Fatalf("hint %v, as of %d, seen at %d; want a hint without a time", o.Hint, o.AsOf, o.SeenAt)
	}
}

// A bare delete of an unknown row, and the update that overtook it, end the
// same in either order: deleted, with the content.
func TestRule3ContentThatComesAfterADeleteStaysHidden(t *testing.T) {
	rec := ticketOf(t, `{"id":"1","subject":"x","modifiedTime":"2026-01-01T00:00:00.000Z"}`)
	cov := NewCoverage(ticketResource, rec.Present, rec.Present)
	update := cov.FromEvent(Event{Type: "Ticket_Update", Time: rec.Modified, Trust: true}, rec)
	gone := ticketOf(t, `{"id":"1"}`)
	del := cov.FromEvent(Event{Type: "Ticket_Delete", Time: rec.Modified + 1, Deleted: true, Trust: true}, gone)
	for _, order := range [][]Observation{{update, del}, {del, update}} {
		st := fold(order)
		if !st.Deleted || st.Record == nil || st.Content.Hash != rec.Fingerprint {
			t.Fatalf("%+v", st)
		}
	}
}

// What a record holds on to counts towards the bounds of queues, unknown keys
// as well.
func TestSizeCountsUnknownKeys(t *testing.T) {
	big := make([]byte, 100_000)
	for i := range big {
		big[i] = 'x'
	}
	rec := ticketOf(t, `{"id":"1","notInTheCatalog":"`+string(big)+`"}`)
	if rec.Size() < len(big) {
		t.Fatalf("size %d of a record of %d bytes", rec.Size(), len(big))
	}
}

// A portal whose search lacks a key that GET carries: search rows must not blank
// it, and must not be read again for ever.
func TestASearchRowThatLacksAKeyOfGetIsAHintOnce(t *testing.T) {
	cov := NewCoverage(ticketResource, FieldSet{}, FieldSet{})
	cov.Learn(EvidenceGet, ticketOf(t, `{"id":"9","subject":"x","language":"English","modifiedTime":"2026-01-01T00:00:00.000Z"}`))
	row := ticketOf(t, `{"id":"1","subject":"x","modifiedTime":"2026-01-01T00:00:00.000Z"}`)
	o := cov.FromSearch(row, Timing{}, "snapshot")
	if o.Carries[Content] || Contradicts(Head{}, o) != Asked {
		t.Fatalf("a row without language is whole: %+v", o)
	}
	whole := ticketOf(t, `{"id":"1","subject":"x","language":"French","modifiedTime":"2026-01-01T00:00:00.000Z"}`)
	held := Merge(State{}, cov.FromGet(whole, Timing{}, Head{}, "re-read"))
	held.Version = NextVersion(held.Head)
	if Merge(held, o) != held {
		t.Error("the row blanked what GET brought")
	}
	if c := Contradicts(held.Head, o); c != NoContradiction {
		t.Errorf("asked again: %s", c)
	}
	held.Deleted = true
	if Contradicts(held.Head, o) == NoContradiction {
		t.Error("a deleted row seen alive asks for nothing")
	}
}

// Two changes within a second cannot be ordered between search, which knows
// only the second, and an event: the record is read again.
func TestAnEventOfTheSameSecondAsASearchRowIsSettledByGet(t *testing.T) {
	held := Head{Content: Stamp{AsOf: 5000, Rank: EvidenceSearch, Hash: 1}, Modified: 5000, Version: 1}
	rec := &Record{Resource: ticketResource, Modified: 5000, Fingerprint: 2}
	o := Observation{Evidence: EvidenceWebhook, AsOf: 5024, Record: rec}
	o.Carries[Content] = true
	if got := Contradicts(held, o); got != OtherContent {
		t.Errorf("after a search row: %q", got)
	}
	held.Content.Rank = EvidenceWebhook
	if got := Contradicts(held, o); got != NoContradiction {
		t.Errorf("after another event, whose time tells: %q", got)
	}
}

// An empty object is as whole as null: its row is stored.
func TestAnEmptyObjectHidesNoKeys(t *testing.T) {
	whole := ticketOf(t, `{"id":"1","subject":"x","lastThread":{"channel":"EMAIL","isDraft":false,"isForward":false,"direction":"in"},"contact":{"id":"5","lastName":"l","account":{"id":"7","accountName":"a"}}}`)
	cov := NewCoverage(ticketResource, whole.Present, whole.Present)
	for sent, carries := range map[string]bool{`"lastThread":null`: true, `"lastThread":{}`: true, `"lastThread":{ }`: true, `"contact":{}`: true, `"contact":{"lastName":"l","account":{}}`: true, `"lastThread":{"channel":"EMAIL"}`: false} {
		text := `{"id":"1","subject":"x",` + sent
		if sent[1] == 'l' {
			text += `,"contact":null}`
		} else {
			text += `,"lastThread":null}`
		}
		rec := ticketOf(t, text)
		if o := cov.FromSearch(rec, Timing{}, "snapshot"); o.Carries[Listed] != carries {
			t.Errorf("%s: carries listed %v", sent, o.Carries[Listed])
		}
		for _, name := range []string{"lastThread.direction", "contact.account.accountName"} {
			if v := value(rec, name); !IsNull(v) {
				t.Errorf("%s: %s is %s", sent, name, v)
			}
		}
	}
}
