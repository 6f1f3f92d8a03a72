package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"deskhouse/source"
)

var ctx = context.Background()

const fullTicket = `{"id":"121","ticketNumber":"7","subject":"Käse \"quoted\" \\ \n😀","status":"Open","statusType":"Open","priority":null,"channel":"Email",
"email":"","departmentId":"11","contactId":12,"productId":"31","createdTime":"2024-01-02T03:04:05.678Z","modifiedTime":"2024-02-03T04:05:06.000Z",
"closedTime":null,"threadCount":"3","commentCount":0,"isSpam":false,"isOverDue":"true","description":"<div>text</div>",
"entitySkills":["5","6"],"secondaryContacts":[],"sharedDepartments":[{"id":"9","name":"x","type":"READ_ONLY"},{"type":"READ_WRITE","id":8,"name":"y"}],"cf":{},
"contact":{"firstName":"A","lastName":"B","title":"Dr"},"brandNew":{"deep":[1,2]}}`

func TestWriteReadsBackEveryKind(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, fullTicket), 1)}, 1))
		wantRow(t, w, "121\t7\tKäse \"quoted\" \\ \n😀\tOpen\t∅\t\t11\t12\t∅", "SELECT id, ticket_number, subject, status, priority, email, department_id, contact_id, account_id FROM tickets")
		wantRow(t, w, "2024-01-02 03:04:05.678\t2024-02-03 04:05:06\t∅\t3\t0\tfalse\ttrue\t∅", "SELECT created_time, modified_time, closed_time, thread_count, comment_count, is_spam, is_over_due, is_escalated FROM tickets")
		wantRow(t, w, "<div>text</div>\t[5,6]\t[]\t[9,8]\t['x','y']\t['READ_ONLY','READ_WRITE']", "SELECT description, entity_skills, secondary_contacts, shared_department_ids, shared_department_names, shared_department_types FROM tickets")
		wantRow(t, w, `{"contact.title":"Dr","brandNew":{"deep":[1,2]}}`, "SELECT _extra FROM tickets")

		must(t, w.Write(ctx, source.Contracts, []source.Row{content(record(t, source.Contracts,
			`{"id":"5","startDate":"2024-02-29","endDate":null,"notifyBefore":"10","notificationAgentIds":["1"]}`), 1)}, 1))
		wantRow(t, w, "2024-02-29\t∅\t10\t[1]", "SELECT toString(start_date), end_date, notify_before, notification_agent_ids FROM contracts")

		must(t, w.Write(ctx, source.Products, []source.Row{content(record(t, source.Products, `{"id":"6","unitPrice":"122222.111111111"}`), 1)}, 1))
		wantRow(t, w, "122222.111111111", "SELECT unit_price FROM products")

		must(t, w.Write(ctx, source.OrganizationFields, []source.Row{content(record(t, source.OrganizationFields,
			`{"id":"8","apiName":"cf_a/b","displayLabel":"A","isMandatory":true}`), 1)}, 1))
		wantRow(t, w, "tickets\tcf_a/b\t8\tA\ttrue", "SELECT module, api_name, id, display_label, is_mandatory FROM organization_fields")
	})
}

func TestValuesThatDoNotFitGoToExtra(t *testing.T) {
	w := prepared(t)
	for _, c := range []struct{ name, field, column, raw, want string }{
		{"text where a number belongs", "threadCount", "thread_count", `"many"`, `{"threadCount":"many"}`},
		{"a fraction where an integer belongs", "threadCount", "thread_count", `1.5`, `{"threadCount":1.5}`},
		{"a negative id", "contactId", "contact_id", `"-1"`, `{"contactId":"-1"}`},
		{"a time before 1900", "closedTime", "closed_time", `"1899-12-31T23:59:59.999Z"`, `{"closedTime":"1899-12-31T23:59:59.999Z"}`},
		{"a time past 2262", "closedTime", "closed_time", `"2262-04-12T00:00:00.000Z"`, `{"closedTime":"2262-04-12T00:00:00.000Z"}`},
		{"no time at all", "closedTime", "closed_time", `""`, `{"closedTime":""}`},
		{"a number where text belongs", "subject", "subject", `5`, `{"subject":5}`},
		{"an object where an enum belongs", "status", "status", `{"a":1}`, `{"status":{"a":1}}`},
		{"a word where a boolean belongs", "isSpam", "is_spam", `"maybe"`, `{"isSpam":"maybe"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := record(t, source.Tickets, `{"id":"1","`+c.field+`":`+c.raw+`}`)
			must(t, w.Write(ctx, source.Tickets, []source.Row{withVersion(content(rec, 1), nextVersion())}, 1))
			wantRow(t, w, "∅\t"+c.want, "SELECT %s, _extra FROM tickets WHERE id = 1", c.column)
		})
	}
	for raw, want := range map[string]string{`"1e29"`: "∅", `0.0000000001`: "∅", `"99999999999999999999999999999.999999999"`: "99999999999999999999999999999.999999999", `1e1000000`: "∅", `-5`: "-5"} {
		rec := record(t, source.Products, `{"id":"1","unitPrice":`+raw+`}`)
		must(t, w.Write(ctx, source.Products, []source.Row{withVersion(content(rec, 1), nextVersion())}, 1))
		wantRow(t, w, want, "SELECT unit_price FROM products")
	}
	seen := map[string]uint64{}
	for _, u := range w.Unplaced() {
		seen[string(u.Table)+" "+u.Reason+" "+u.Key] = u.Count
	}
	if seen["tickets does not fit closedTime"] != 3 || seen["products does not fit unitPrice"] != 3 {
		t.Errorf("counted %v", seen)
	}
}

var versions uint64 = 1 << 40

func nextVersion() uint64 { versions++; return versions }

func withVersion(r source.Row, v uint64) source.Row { r.Version = v; return r }

func TestTimesAtTheEdgesAreKept(t *testing.T) {
	w := prepared(t)
	rec := record(t, source.Tickets, `{"id":"1","closedTime":"1900-01-01T00:00:00.000Z","dueDate":"2262-04-11T23:47:16.000Z","onholdTime":"1969-12-31T23:59:59.999Z"}`)
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
	wantRow(t, w, "1900-01-01 00:00:00.000\t2262-04-11 23:47:16.000\t1969-12-31 23:59:59.999\t", "SELECT toString(closed_time), toString(due_date), toString(onhold_time), _extra FROM tickets")
	must(t, w.Write(ctx, source.Contracts, []source.Row{content(record(t, source.Contracts, `{"id":"5","startDate":"1900-01-01","endDate":"2299-12-31","notifyOn":"2300-01-01"}`), 1)}, 1))
	wantRow(t, w, "1900-01-01\t2299-12-31\t∅", "SELECT toString(start_date), toString(end_date), notify_on FROM contracts")
}

func TestVersionDecidesNotOrder(t *testing.T) {
	w := prepared(t)
	older, newer := record(t, source.Tickets, `{"id":"1","subject":"old"}`), record(t, source.Tickets, `{"id":"1","subject":"new"}`)
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(newer, 2000)}, 1))
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(older, 1000)}, 1))
	wantRow(t, w, "new", "SELECT subject FROM tickets")
	heads, err := w.Heads(ctx, source.Tickets, []source.Key{newer.Key})
	must(t, err)
	if heads[newer.Key].Content.AsOf != 2000 {
		t.Errorf("head %+v", heads[newer.Key])
	}
}

func TestWritingAgainChangesNothing(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		rec := record(t, source.Tickets, fullTicket)
		written := []source.Row{content(rec, 1000), deletion(source.Key{ID: 99}, source.Head{}, 5)}
		must(t, w.Write(ctx, source.Tickets, written, 1))
		before := rows(t, w, "SELECT * EXCEPT _synced_at FROM tickets_all FINAL ORDER BY id")
		must(t, w.Write(ctx, source.Tickets, written, 1))
		after := rows(t, w, "SELECT * EXCEPT _synced_at FROM tickets_all FINAL ORDER BY id")
		if len(before) != 2 || before[0] != after[0] || before[1] != after[1] {
			t.Errorf("before %q\nafter %q", before, after)
		}
	})
}

func TestADeleteCarriesTheContentOver(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		_, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_amount", Label: "Amount", Type: "Currency"}})
		must(t, err)
		rec := record(t, source.Tickets, `{"id":"1","subject":"kept","status":"Open","entitySkills":["7"],"closedTime":"bad","modifiedTime":"2024-02-03T04:05:06.000Z","cf":{"cf_amount":"5.110000001"}}`)
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1000)}, 1))
		const held = "SELECT subject, status, entity_skills, closed_time, modified_time, cf_amount, _extra, _content_as_of, _content_hash, _content_modified FROM tickets_all FINAL"
		before := row(t, w, held)
		heads, err := w.Heads(ctx, source.Tickets, []source.Key{rec.Key})
		must(t, err)
		gone := deletion(rec.Key, heads[rec.Key], 1_700_000_000_123)
		must(t, w.Write(ctx, source.Tickets, []source.Row{gone}, 2))
		wantRow(t, w, before, held)
		wantRow(t, w, "1\t2023-11-14 22:13:20.123\t2", "SELECT _is_deleted, _deleted_at, _epoch FROM tickets_all FINAL")
		if got := rows(t, w, "SELECT id FROM tickets"); len(got) != 0 {
			t.Errorf("deleted row is visible: %q", got)
		}
		heads, err = w.Heads(ctx, source.Tickets, []source.Key{rec.Key})
		must(t, err)
		if heads[rec.Key] != gone.Head {
			t.Errorf("head %+v, want %+v", heads[rec.Key], gone.Head)
		}
	})
}

func TestADeleteByNameCarriesTheContentOver(t *testing.T) {
	w := prepared(t)
	rec := record(t, source.OrganizationFields, `{"id":"8","apiName":"o'clock \\ x","displayLabel":"kept"}`)
	must(t, w.Write(ctx, source.OrganizationFields, []source.Row{content(rec, 1000)}, 1))
	heads, err := w.Heads(ctx, source.OrganizationFields, []source.Key{rec.Key, {Name: "tickets/none"}})
	must(t, err)
	if len(heads) != 1 {
		t.Fatalf("heads %v", heads)
	}
	must(t, w.Write(ctx, source.OrganizationFields, []source.Row{deletion(rec.Key, heads[rec.Key], 2000)}, 1))
	wantRow(t, w, "o'clock \\ x\tkept\t1", "SELECT api_name, display_label, _is_deleted FROM organization_fields_all FINAL")
}

func TestCarryingOverWhatIsGoneSaysSo(t *testing.T) {
	w := prepared(t)
	gone := deletion(source.Key{ID: 5}, source.Head{Content: source.Stamp{AsOf: 10, Rank: source.EvidenceGet, Hash: 3}, Modified: 7}, 20)
	must(t, w.Write(ctx, source.Tickets, []source.Row{gone}, 1))
	heads, err := w.Heads(ctx, source.Tickets, []source.Key{{ID: 5}})
	must(t, err)
	if h := heads[source.Key{ID: 5}]; h.Content != (source.Stamp{}) || h.Modified != 0 || !h.Deleted {
		t.Errorf("head %+v: content must be unknown", h)
	}
}

func TestADeleteOfAnUnknownIDIsARow(t *testing.T) {
	w := prepared(t)
	gone := deletion(source.Key{ID: 5}, source.Head{}, 1_700_000_000_000)
	must(t, w.Write(ctx, source.Tickets, []source.Row{gone}, 1))
	wantRow(t, w, "5\t∅\t1\t0", "SELECT id, subject, _is_deleted, _content_as_of FROM tickets_all FINAL")
	visible, deleted, err := w.Counts(ctx, source.Tickets)
	must(t, err)
	if visible != 0 || deleted != 1 {
		t.Errorf("counts %d, %d", visible, deleted)
	}
}

func TestBlocksAreSplit(t *testing.T) {
	w := prepared(t)
	var many []source.Row
	for i := range maxBlockRows + 10 {
		rec := record(t, source.Tickets, `{"id":"`+number(uint64(i+1))+`","subject":"s"}`)
		many = append(many, content(rec, 1))
	}
	must(t, w.Write(ctx, source.Tickets, many, 1))
	wantRow(t, w, fmt.Sprintf("%d\t%d", maxBlockRows+10, maxBlockRows+10), "SELECT count(), uniqExact(id) FROM tickets")
}

func TestLongRowsAreSplitByBytes(t *testing.T) {
	w := prepared(t)
	long := strings.Repeat("x", 1<<20)
	var many []source.Row
	for i := range 40 {
		many = append(many, content(record(t, source.Tickets, `{"id":"`+number(uint64(i+1))+`","description":"`+long+`"}`), 1))
	}
	must(t, w.exec(ctx, "hold parts", "SYSTEM STOP MERGES "+qualified(w.Database(), "tickets_all")))
	must(t, w.Write(ctx, source.Tickets, many, 1))
	wantRow(t, w, "40\t3", "SELECT count(), uniqExact(_part) FROM tickets_all")
}

// Writers and schema changes go on beside each other.
func TestColumnsAreAddedBesideWriters(t *testing.T) {
	w := prepared(t)
	done := make(chan error, 1)
	go func() {
		for i := range 20 {
			if _, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_" + number(uint64(i)), Type: "Text"}}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range 20 {
		rec := record(t, source.Tickets, `{"id":"`+number(uint64(i+1))+`","cf":{"cf_`+number(uint64(i))+`":"v"}}`)
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
	}
	must(t, <-done)
	var somewhere []string
	for i := range 20 {
		somewhere = append(somewhere, fmt.Sprintf("ifNull(cf_%d, '') = 'v'", i))
	}
	wantRow(t, w, "20", "SELECT countIf(_extra != '' OR %s) FROM tickets", strings.Join(somewhere, " OR "))
}

// Connections to other machines are compressed.
func TestCompressedConnections(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"native": nativeURL, "http": httpURL} {
		t.Run(name, func(t *testing.T) {
			w := prepared(t, func(c *Config) { c.URL = url(t) + "?compress=lz4" })
			rec := record(t, source.Tickets, fullTicket)
			must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 1000)}, 1))
			heads, err := w.Heads(ctx, source.Tickets, []source.Key{rec.Key})
			must(t, err)
			must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(rec.Key, heads[rec.Key], 2000)}, 1))
			wantRow(t, w, "Open\t1", "SELECT status, _is_deleted FROM tickets_all FINAL")
		})
	}
}
