package clickhouse

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"deskhouse/source"
)

func asDocument(c *Config) { c.Layout = LayoutDocument }

// eachLayout runs a test in both layouts.
func eachLayout(t *testing.T, f func(t *testing.T, w *Warehouse)) {
	for _, layout := range []Layout{LayoutColumns, LayoutDocument} {
		t.Run(string(layout), func(t *testing.T) { f(t, prepared(t, func(c *Config) { c.Layout = layout })) })
	}
}

// eachWay runs a test of the document layout over native and HTTP.
func eachWay(t *testing.T, f func(t *testing.T, w *Warehouse)) {
	for name, url := range map[string]func(testing.TB) string{"native": nativeURL, "http": httpURL} {
		t.Run(name, func(t *testing.T) { f(t, prepared(t, asDocument, func(c *Config) { c.URL = url(t) })) })
	}
}

const documentTicket = `{"id":"1","subject":"S \"q\" \u00e9","status":"Open","departmentId":"11","productId":null,"createdTime":"2024-01-01T10:00:00.123Z",
 "threadCount":"12","isSpam":false,"isArchived":"true","description":"","entitySkills":["7","8"],"sharedDepartments":[{"id":"11","type":"READ"}],
 "cf":{"cf_region":"North","cf_n":"12.50","cf_none":null,"cf.dot":"kept"},"unknown":{"x":1}}`

func TestADocumentIsStoredAsSent(t *testing.T) {
	eachWay(t, func(t *testing.T, w *Warehouse) {
		must(t, w.Write(ctx, source.Departments, []source.Row{content(record(t, source.Departments, `{"id":"11","name":"Sales","isEnabled":true}`), 1)}, 1))
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, documentTicket), 5)}, 1))
		wantRow(t, w, `{"cf":{"cf_n":"12.50","cf_region":"North"},"createdTime":"2024-01-01T10:00:00.123Z","departmentId":"11","description":"","entitySkills":["7","8"],`+
			`"id":"1","isArchived":"true","isSpam":false,"sharedDepartments":[{"id":"11","type":"READ"}],"status":"Open","subject":"S \"q\" é","threadCount":"12"}`,
			"SELECT toString(doc) FROM tickets")
		wantRow(t, w, `S "q" é	North	11	Sales	Open	2024-01-01 10:00:00.123	true	{"cf.cf.dot":"kept","unknown":{"x":1}}`,
			"SELECT doc.subject, doc.cf.cf_region, department_id, department_name, status, created_time, is_archived, _extra FROM tickets")
		wantRow(t, w, "North", "SELECT doc.cf.cf_region FROM tickets_full WHERE doc.subject LIKE 'S %%'")
		wantRow(t, w, `['READ']`, "SELECT doc.sharedDepartments[].type::Array(String) FROM tickets")
		must(t, w.Prepare(ctx, allTables))
		wantRow(t, w, `Open`, "SELECT status FROM tickets")
	})
}

// A document comes to people as JSON.
func TestADocumentIsShownAsJSON(t *testing.T) {
	eachWay(t, func(t *testing.T, w *Warehouse) {
		must(t, w.Write(ctx, source.Departments, []source.Row{content(record(t, source.Departments, `{"id":"11","name":"Sales","isEnabled":true}`), 1)}, 1))
		wantRow(t, w, `{"id":"11","isEnabled":true,"name":"Sales"}	Sales	true	∅`, "SELECT doc, doc.name, doc.isEnabled, doc.none FROM departments")
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, documentTicket), 5)}, 1))
		wantRow(t, w, `[{"id":"11","type":"READ"}]	['7','8']	{"cf_n":"12.50","cf_region":"North"}`, "SELECT doc.sharedDepartments, doc.entitySkills, doc.^cf FROM tickets")
	})
}

func TestCustomFieldsNeedNoColumnsInADocument(t *testing.T) {
	w := prepared(t, asDocument)
	added, err := w.EnsureCustomFields(ctx, source.Tickets, []source.CustomField{{APIName: "cf_region", Label: "Region", Type: "Picklist"}})
	must(t, err)
	if len(added) > 0 || !w.KnowsCustom(source.Tickets, "cf_anything") {
		t.Errorf("added %q", added)
	}
	wantRow(t, w, "0", "SELECT count() FROM system.columns WHERE database = currentDatabase() AND startsWith(name, 'cf_')")
}

// What the document cannot hold exactly goes to _extra as a whole, and no other
// row of the block suffers.
func TestWhatADocumentCannotHoldIsKept(t *testing.T) {
	bad := []string{`1e400`, `18446744073709551616`, `-9223372036854775809`, `0.1234567890123456789`, `{}`, `{"x":null}`, `{"x":{}}`, `{"a.b":1}`, `{"":1}`, `{"a":1,"a":1}`,
		`"\ud800"`, "\"\xff\"", `{"` + "\xff" + `":1}`, `[true,1]`, `[1,"x"]`, `[null]`, `[[null]]`, `{"a":[null]}`, `[1,2.5]`, `[{"a":1},null]`, `[[1],null]`, `[[1],["a"]]`, `[18446744073709551615]`,
		strings.Repeat("[", 40) + strings.Repeat("]", 40), `[0.1234567890123456789]`, `{"a":[1e400]}`}
	good := []string{`"x"`, `"2024-01-01"`, `"2024-01-01T10:00:00.123Z"`, `""`, `"\u0000\ud83d\ude00"`, `5`, `-9223372036854775808`, `18446744073709551615`, `12.50`, `5e-324`, `true`, `[]`,
		`[{}]`, `[[]]`, `["a",null]`, `[1,null]`, `[1.5,2.5]`, `[true,null]`, `[[1],[]]`, `[["a"],[null]]`, `[{"a":1},{"a":"x","b":[{"c":null}]}]`, `{"a":{"b":1,"c":null}}`, `{"😀 %2E [] ^":1}`}
	eachWay(t, func(t *testing.T, w *Warehouse) {
		var batch []source.Row
		for i, raw := range append(bad, good...) {
			batch = append(batch, content(record(t, source.Tickets, fmt.Sprintf(`{"id":"%d","status":"Open","subject":%s,"cf":{"a":%s}}`, i+1, raw, raw)), 1))
		}
		must(t, w.Write(ctx, source.Tickets, batch, 1))
		for i, raw := range bad {
			wantRow(t, w, "Open\t"+`{"subject":`+raw+`,"cf.a":`+raw+`}`+"\t"+fmt.Sprintf(`{"id":"%d","status":"Open"}`, i+1), "SELECT status, _extra, toString(doc) FROM tickets WHERE id = %d", i+1)
		}
		for i, raw := range good {
			wantRow(t, w, "", "SELECT _extra FROM tickets WHERE id = %d", len(bad)+i+1)
			got := row(t, w, "SELECT toString(doc) FROM tickets WHERE id = %d", len(bad)+i+1)
			if want := fmt.Sprintf(`{"id":"%d","status":"Open","subject":%s,"cf":{"a":%s}}`, len(bad)+i+1, raw, raw); !sameJSON(t, got, want) {
				t.Errorf("%s came back as %s", want, got)
			}
		}
	})
}

func TestDocumentNeedsARecentServer(t *testing.T) {
	for version, want := range map[string]error{"24.8.1.1": ErrTooOld, "25.2.9": ErrTooOld, "25.3.1": nil, "26.7.3": nil, "what": ErrTooOld} {
		if err := LayoutDocument.check(version); !errors.Is(err, want) {
			t.Errorf("%s: %v", version, err)
		}
	}
	must(t, LayoutColumns.check("24.8"))
	wantErr(t, Layout("wide").check("26.7"), ErrConfig)
}

// What deskhouse asks a table is answered alike in both layouts.
func TestQuestionsHaveTheSameAnswersInBothLayouts(t *testing.T) {
	eachLayout(t, func(t *testing.T, w *Warehouse) {
		rec := record(t, source.Tickets, documentTicket)
		blank := record(t, source.Tickets, `{"id":"2","subject":"","entitySkills":[],"description":{"odd":1},"threadCount":[],"status":5,"cf":{"cf_a":"","cf_b":null,"cf_c":[]},"resolution":{}}`)
		contract := record(t, source.Contracts, `{"id":"3","supportPlan":{"id":"9"},"departmentId":"11","contractName":"c"}`)
		plain := record(t, source.Contracts, `{"id":"4","supportPlan":{"id":""}}`)
		field := record(t, source.OrganizationFields, `{"id":"8","apiName":"cf_a/b","allowedValues":[{"value":"x","y":null}],"pickListValues":{"a":"b"},"lookup":{"module":{"id":"5","apiName":""}}}`)
		must(t, w.Write(ctx, source.Tickets, []source.Row{content(rec, 5), content(blank, 5)}, 1))
		must(t, w.Write(ctx, source.Contracts, []source.Row{content(contract, 5), content(plain, 5)}, 1))
		must(t, w.Write(ctx, source.OrganizationFields, []source.Row{content(field, 5)}, 1))
		for _, r := range []*source.Record{rec, blank, contract, plain, field} {
			got, err := w.Filled(ctx, r.Resource.Table, []source.Key{r.Key})
			must(t, err)
			if got[r.Key] != r.Filled() {
				t.Errorf("%s %s: filled %s, want %s", r.Resource.Table, r.Key, fieldNames(r.Resource, got[r.Key]), fieldNames(r.Resource, r.Filled()))
			}
		}
		departments, err := w.Departments(ctx, source.Tickets, []source.Key{rec.Key, blank.Key})
		must(t, err)
		in, err := w.VisibleIn(ctx, source.Tickets)
		must(t, err)
		archived, err := w.Archived(ctx, []source.Key{rec.Key, blank.Key})
		must(t, err)
		if got := fmt.Sprint(departments, in, archived); got != "map[1:11] map[0:1 11:1] map[1:true]" {
			t.Errorf("departments, visible, archived: %s", got)
		}
		missing, err := w.Unhydrated(ctx, source.Tickets, time.Time{}, 10)
		must(t, err)
		heads, err := w.Heads(ctx, source.Tickets, []source.Key{rec.Key})
		must(t, err)
		if len(missing) != 2 || heads[rec.Key] != content(rec, 5).Head {
			t.Errorf("without detail %v, head %+v", missing, heads[rec.Key])
		}
		gone := deletion(rec.Key, heads[rec.Key], 50)
		was := row(t, w, "SELECT * EXCEPT (`_is_deleted`, `_deleted_at`, `_version`, `_epoch`, `_synced_at`, `_life_as_of`, `_life_rank`, `_life_hash`) FROM tickets_all FINAL WHERE id = 1")
		must(t, w.Write(ctx, source.Tickets, []source.Row{gone}, 1))
		wantRow(t, w, was, "SELECT * EXCEPT (`_is_deleted`, `_deleted_at`, `_version`, `_epoch`, `_synced_at`, `_life_as_of`, `_life_rank`, `_life_hash`) FROM tickets_all FINAL WHERE id = 1 AND _is_deleted = 1")
	})
}

func fieldNames(res *source.Resource, set source.FieldSet) string {
	var names []string
	for i, f := range res.Fields {
		if set.Has(i) {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, " ")
}
