package source

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const ticketJSON = `{"id":"900100000000012345","ticketNumber":"417","subject":"Printer \"on\" fire","status":"Open","statusType":"Open",
 "priority":null,"departmentId":"900100000000006907","createdTime":"2026-09-10T00:26:40.000Z","modifiedTime":"2026-09-10T00:26:41.000Z",
 "threadCount":"3","isSpam":false,"cf":{"cf_region":"North","cf_n":null},"customFields":{"Region":"North"},
 "contact":{"id":"7","email":"a@example.org","account":{"id":"8","accountName":"ACME"},"nick":"x"},"lastThread":null,
 "unknownKey":{"a":[1,2]},"entitySkills":[]}`

func parseTicket(t *testing.T, text string) *Record {
	t.Helper()
	r, err := ParseRecord(ticketResource, "", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func value(r *Record, name string) string {
	for i, f := range r.Resource.Fields {
		if f.Name == name {
			return r.Value(i)
		}
	}
	panic("no field " + name)
}

func TestParseRecord(t *testing.T) {
	r := parseTicket(t, ticketJSON)
	if r.Key.ID != 900100000000012345 || r.Modified != 1789000001000 || r.Created != 1789000000000 {
		t.Errorf("key %v modified %d created %d", r.Key, r.Modified, r.Created)
	}
	for name, want := range map[string]string{
		"subject": `"Printer \"on\" fire"`, "priority": "null", "email": "", "contact.account.accountName": `"ACME"`,
		"lastThread.direction": "null", "cf": `{"cf_region":"North","cf_n":null}`, "entitySkills": "[]",
	} {
		if got := value(r, name); strings.TrimSpace(got) != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if len(r.Custom) != 2 || r.Custom[0] != (Member{"cf_region", `"North"`}) {
		t.Errorf("custom = %v", r.Custom)
	}
	if len(r.Extra) != 2 || r.Extra[0] != (Member{"contact.nick", `"x"`}) || r.Extra[1].Name != "unknownKey" {
		t.Errorf("extra = %v", r.Extra)
	}
	if r.Deleted {
		t.Error("deleted without a life flag")
	}
}

func TestFingerprintIgnoresFormAndForeignValues(t *testing.T) {
	base := parseTicket(t, ticketJSON).Fingerprint
	for name, change := range map[string][2]string{
		"counter unquoted":      {`"threadCount":"3"`, `"threadCount":3`},
		"absent equals null":    {`"priority":null,`, ``},
		"order of keys":         {`"cf_region":"North","cf_n":null`, `"cf_n":null,"cf_region":"North"`},
		"label-keyed twin":      {`{"Region":"North"}`, `{"Area":"South"}`},
		"name of a contact":     {`"a@example.org"`, `"b@example.org"`},
		"escaped the other way": {`Printer \"on\" fire`, `\u0050rinter \"on\" fire`},
		"empty array is null":   {`,"entitySkills":[]`, ``},
	} {
		if got := parseTicket(t, strings.Replace(ticketJSON, change[0], change[1], 1)).Fingerprint; got != base {
			t.Errorf("%s changed the fingerprint", name)
		}
	}
	for name, change := range map[string][2]string{
		"status":        {`"status":"Open"`, `"status":"Closed"`},
		"custom field":  {`"cf_region":"North"`, `"cf_region":"South"`},
		"modifiedTime":  {`00:26:41`, `00:26:42`},
		"null to empty": {`"priority":null`, `"priority":""`},
		"swapped":       {`"status":"Open","statusType":"Open"`, `"status":"Open","statusType":null,"channel":"Open"`},
	} {
		if got := parseTicket(t, strings.Replace(ticketJSON, change[0], change[1], 1)).Fingerprint; got == base {
			t.Errorf("%s did not change the fingerprint", name)
		}
	}
}

func TestLifeFlags(t *testing.T) {
	for text, want := range map[string]bool{
		`{"id":"1","IsDel":true}`: true, `{"id":"1","isDel":"true"}`: true, `{"id":"1","isDeleted":1}`: true,
		`{"id":"1","isTrashed":true}`: true, `{"id":"1","isTrashed":false,"IsDel":"false"}`: false, `{"id":"1","isDel":null}`: false,
	} {
		if r := parseTicket(t, text); r.Deleted != want || len(r.Extra) != 0 {
			t.Errorf("%s: deleted %v, extra %v", text, r.Deleted, r.Extra)
		}
	}
}

func TestParsePage(t *testing.T) {
	page, err := ParsePage(ticketResource, "", []byte(`{"data":[{"id":"1","subject":"a"},{"subject":"no id"},7,{"id":2}],"count":"9","x":{}}`))
	if err != nil || len(page.Records) != 2 || page.Rows != 4 || len(page.Bad) != 2 || page.Count != 9 {
		t.Fatalf("%+v %v", page, err)
	}
	if string(page.Bad[0]) != `{"subject":"no id"}` || page.Records[1].Key.ID != 2 {
		t.Errorf("bad %q records %v", page.Bad, page.Records[1].Key)
	}
	for _, cut := range []string{``, `null`, `[]`, `{"data":[{"id":"1"}`, `{"data":[{"id":"1"},{"id":`, `<html>`, `{}`, `{"data":[{"id":"1",}]}`} {
		if page, err := ParsePage(ticketResource, "", []byte(cut)); err == nil || len(page.Records) != 0 {
			t.Errorf("%q: %d records, error %v", cut, len(page.Records), err)
		}
	}
}

func TestFieldKeyHoldsTheModule(t *testing.T) {
	r, err := ParseRecord(fieldResource, "contracts", []byte(`{"id":"5","apiName":"cf_x","type":"Text"}`))
	if err != nil || r.Key != (Key{Name: "contracts/cf_x"}) {
		t.Fatalf("%v %v", r, err)
	}
	if _, err := ParseRecord(fieldResource, "contracts", []byte(`{"id":"5"}`)); !errors.Is(err, ErrNoKey) {
		t.Errorf("error %v", err)
	}
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{"associatedSLAId": "associated_sla_id", "isOverDue": "is_over_due", "webUrl": "web_url",
		"source.appPhotoURL": "source_app_photo_url", "id": "id", "layoutDetails.layoutName": "layout_details_layout_name"} {
		if got := snake(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestColumnsAreUniqueWithinARegister(t *testing.T) {
	for _, res := range Resources {
		seen := map[string]bool{}
		for _, f := range res.Fields {
			key := f.Register.String() + "/" + f.Column
			if seen[key] {
				t.Errorf("%s: %s twice", res.Table, key)
			}
			seen[key] = true
		}
	}
}

func TestRule2NoProjectionBlanksAnother(t *testing.T) {
	cov := NewCoverage(ticketResource, FieldSet{}, FieldSet{})
	full := ticketResource.required[Content].Union(ticketResource.required[Listed])
	search := &Record{Resource: ticketResource, Present: full, Modified: 5}
	if o := cov.FromSearch(search, Timing{}, "snapshot"); !o.Carries[Content] || !o.Carries[Listed] || o.Carries[Detail] || o.Hint {
		t.Errorf("search row: %+v", o)
	}
	partial := parseTicket(t, `{"id":"1","status":"Closed","modifiedTime":"2026-09-10T00:26:41.000Z"}`)
	o := cov.FromEvent(Event{Type: "Ticket_Update", Time: 1789000001000, Trust: true}, partial)
	if o.Carries[Content] || o.Carries[Listed] || o.Carries[Detail] || !o.Hint {
		t.Errorf("a payload that lacks keys must only be a hint: %+v", o)
	}
	if Merge(State{}, o) != (State{}) {
		t.Error("a hint changed a register")
	}
}

// A key that this portal never sends must not turn every row into a hint.
func TestCoverageLearnsHiddenKeys(t *testing.T) {
	cov := NewCoverage(ticketResource, FieldSet{}, FieldSet{})
	var hidden FieldSet
	for i, f := range ticketResource.Fields {
		if f.Register == Content && f.Name != "accountId" {
			hidden = hidden.With(i)
		}
	}
	rec := &Record{Resource: ticketResource, Present: hidden, Modified: 5}
	if o := cov.FromSearch(rec, Timing{}, "snapshot"); !o.Carries[Content] {
		t.Error("key hidden from all search rows makes every row a hint")
	}
	rec2 := &Record{Resource: ticketResource, Present: ticketResource.required[Content], Modified: 5}
	cov.FromSearch(rec2, Timing{}, "snapshot")
	if o := cov.FromSearch(rec, Timing{}, "snapshot"); o.Carries[Content] {
		t.Error("a row that lacks a key others have is whole")
	}
}

func TestEventsFromTheFutureAreHints(t *testing.T) {
	cov := NewCoverage(ticketResource, FieldSet{}, FieldSet{})
	rec := &Record{Resource: ticketResource, Present: ticketResource.required[Content], Modified: 1000}
	now := int64(10_000_000)
	if o := cov.FromEvent(Event{Type: "Ticket_Update", Time: now + maxEventLead, ZohoNow: now, Trust: true}, rec); o.Hint || o.AsOf == 0 {
		t.Errorf("inside the bound: %+v", o)
	}
	if o := cov.FromEvent(Event{Type: "Ticket_Delete", Deleted: true, Time: now + maxEventLead + 1, ZohoNow: now, Trust: true}, rec); !o.Hint || o.AsOf != 0 || o.Life != LifeDeleted {
		t.Errorf("beyond the bound: %+v", o)
	}
}

func FuzzParsePage(f *testing.F) {
	f.Add([]byte(`{"data":[` + ticketJSON + `],"count":1}`))
	f.Add([]byte(`{"data":[{"id":1,"cf":{"a":{"b":1}}},null],"count":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, res := range Resources {
			page, err := ParsePage(res, "tickets", body)
			if err != nil && len(page.Records) != 0 {
				t.Fatal("error with rows")
			}
			for _, r := range page.Records {
				if r.Key == (Key{}) {
					t.Fatal("record without key")
				}
				for i := range res.Fields {
					_ = r.Value(i)
				}
				r.SideHash(Listed)
			}
		}
	})
}

func BenchmarkParsePage(b *testing.B) {
	row := strings.Replace(ticketJSON, `"unknownKey"`, `"description":"`+strings.Repeat("<p>text</p>", 60)+`","unknownKey"`, 1)
	body := []byte(`{"data":[` + strings.Repeat(row+",", 99) + row + `],"count":100}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePage(ticketResource, "", body); err != nil {
			b.Fatal(err)
		}
	}
}

// What a key that stands twice said first is not lost.
func TestRepeatedKeysAreKept(t *testing.T) {
	for text, want := range map[string][]Member{
		`{"id":"1","subject":"a","subject":"b"}`:                                 {{"subject", `"a"`}},
		`{"id":"7","id":"1"}`:                                                    {{"id", `"7"`}},
		`{"id":"1","subject":"a","subject":null}`:                                {{"subject", `"a"`}},
		`{"id":"1","subject":null,"subject":"b"}`:                                nil,
		`{"id":"1","contact":{"lastName":"a"},"contact":{"lastName":"b"}}`:       {{"contact.lastName", `"a"`}},
		`{"id":"1","contact":{"lastName":"a"},"contact":null}`:                   nil,
		`{"id":"1","cf":5,"cf":{"cf_a":"x"},"cf":{"cf_b":"y"},"cf":"z"}`:         {{"cf", `5`}},
		`{"id":"1","isDel":{"x":1},"IsDel":null,"isDel":false}`:                  {{"isDel", `{"x":1}`}},
		`{"id":"1","zz":1,"zz":2,"contact":{"zz":3},"contact":4}`:                {{"zz", `1`}, {"zz", `2`}, {"contact.zz", `3`}, {"contact", `4`}},
		`{"id":"1","customFields":{"Label":"a copy of cf, known and left out"}}`: nil,
	} {
		rec, err := ParseRecord(Lookup(Tickets), "", []byte(text))
		if err != nil || !slices.Equal(rec.Extra, want) || rec.Key.ID != 1 {
			t.Errorf("%s: kept %q of key %s, want %q (%v)", text, rec.Extra, rec.Key, want, err)
		}
		if strings.Contains(text, `"lastName":"a"},"contact":null`) && rec.Text("contact.lastName") != "a" {
			t.Errorf("%s: a null took the name away", text)
		}
	}
}
