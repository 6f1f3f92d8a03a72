package clickhouse

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"deskhouse/source"

	"github.com/go-json-experiment/json/jsontext"
)

// benchRows is the size of the table, benchBatch of one call.
const (
	benchRows  = 50_000
	benchBatch = 25_000
)

// benchTicket is a search row of some 1.5 KB that fills the ticket's content,
// the same for every seed.
func benchTicket(r *rand.Rand, id int) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	at := func() string {
		return fmt.Sprintf("2024-%02d-%02dT%02d:%02d:%02d.000Z", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	}
	ref := func() string { return fmt.Sprint(900100000000000000 + r.IntN(100_000)) }
	words := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(pick("printer", "invoice", "please", "the", "order", "cannot", "again", "since", "update", "customer", "of", "to"))
			b.WriteByte(' ')
		}
		return b.String()
	}
	return fmt.Sprintf(`{"id":"%d","ticketNumber":"%d","subject":"%s","status":"%s","statusType":"Open","priority":"%s","channel":"%s","category":"%s",`+
		`"subCategory":null,"classification":null,"language":"English","email":"user%d@example.org","phone":"%d","departmentId":"%s","contactId":"%s",`+
		`"accountId":"%s","productId":null,"assigneeId":"%s","teamId":null,"layoutId":"%s","slaId":null,"createdTime":"%s","modifiedTime":"%s",`+
		`"closedTime":null,"dueDate":"%s","responseDueDate":null,"onholdTime":null,"customerResponseTime":"%s","createdBy":"%s","modifiedBy":"%s",`+
		`"threadCount":"%d","commentCount":"%d","isSpam":false,"isOverDue":%t,"isEscalated":false,"description":"%s","resolution":null,`+
		`"webUrl":"https://desk.example.org/support/x/ShowHomePage.do#Cases/dv/%d","entitySkills":[],"secondaryContacts":["%s"],"sharedDepartments":[],`+
		`"cf":{"cf_region":"%s","cf_amount":"%d.50","cf_reference":"%d"}}`,
		900100000001000000+id, id, words(6), pick("Open", "On Hold", "Closed", "Escalated"), pick("High", "Low", "Medium"), pick("Email", "Web", "Phone", "Chat"),
		pick("Billing", "Shipping", "General"), r.IntN(50_000), r.IntN(1_000_000_000), ref(), ref(), ref(), ref(), ref(), at(), at(), at(), at(), ref(), ref(),
		r.IntN(20), r.IntN(5), r.IntN(2) == 0, words(60), id, ref(), pick("North", "South", "East"), r.IntN(1000), r.IntN(1_000_000))
}

var benchCustom = []source.CustomField{{APIName: "cf_region", Label: "Region", Type: "Picklist"}, {APIName: "cf_amount", Label: "Amount", Type: "Currency"}, {APIName: "cf_reference", Label: "Ref", Type: "Text"}}

// benchPages are the rows as the API sends them, 100 a page.
func benchPages() (pages [][]byte, size int) {
	r := rand.New(rand.NewPCG(1, 2))
	for from := 0; from < benchRows; from += 100 {
		list := make([]string, 100)
		for i := range list {
			list[i] = benchTicket(r, from+i)
		}
		page := []byte(`{"data":[` + strings.Join(list, ",") + `],"count":20000}`)
		pages, size = append(pages, page), size+len(page)
	}
	return pages, size
}

// BenchmarkSmokeWrite is the sink alone: pages of JSON bytes to acknowledged rows.
func BenchmarkSmokeWrite(b *testing.B) {
	for name, u := range map[string]func(testing.TB) string{"native": nativeURL, "http": httpURL} {
		b.Run(name, func(b *testing.B) {
			w := prepared(b, func(c *Config) { c.URL = u(b) })
			_, err := w.EnsureCustomFields(ctx, source.Tickets, benchCustom)
			must(b, err)
			pages, size := benchPages()
			b.SetBytes(int64(size))
			batches, stop := parsedBatches(b, pages)
			defer stop()
			for b.Loop() {
				for range benchRows / benchBatch {
					must(b, w.Write(ctx, source.Tickets, <-batches, 1))
				}
			}
			b.ReportMetric(float64(benchRows*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// parsedBatches parses the pages again and again beside the writer, as the
// pipeline does: the server's own parser uses all cores too.
func parsedBatches(b *testing.B, pages [][]byte) (batches <-chan []source.Row, stop func()) {
	out, end, done := make(chan []source.Row, 1), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for version := uint64(1); ; version++ {
			for part := range slices.Chunk(pages, benchBatch/100) {
				select {
				case out <- parseBatch(b, part, version):
				case <-end:
					return
				}
			}
		}
	}()
	return out, func() { close(end); <-done }
}

func parseBatch(b *testing.B, pages [][]byte, version uint64) []source.Row {
	batch := make([]source.Row, 0, benchBatch)
	for _, page := range pages {
		parsed, err := source.ParsePage(source.Lookup(source.Tickets), "tickets", page)
		if err != nil {
			b.Error(err)
		}
		for _, rec := range parsed.Records {
			batch = append(batch, withVersion(content(rec, rec.Modified), version))
		}
	}
	return batch
}

// BenchmarkSmokeJSONEachRow is the measure: ClickHouse's own parser of the same
// values, over HTTP, into a table of the same shape.
func BenchmarkSmokeJSONEachRow(b *testing.B) {
	w := prepared(b)
	_, err := w.EnsureCustomFields(ctx, source.Tickets, benchCustom)
	must(b, err)
	body := flatRows(b, w)
	target := httpURL(b) + "/?" + url.Values{"query": {"INSERT INTO " + qualified(w.Database(), "tickets_all") + " FORMAT JSONEachRow"},
		"date_time_input_format": {"best_effort"}, "async_insert": {"0"}}.Encode()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		resp, err := http.Post(target, "application/json", bytes.NewReader(body))
		must(b, err)
		must(b, resp.Body.Close())
		if resp.StatusCode != http.StatusOK {
			b.Fatal(resp.Status)
		}
	}
	b.ReportMetric(float64(benchRows*b.N)/b.Elapsed().Seconds(), "rows/s")
	wantRow(b, w, fmt.Sprint(benchRows), "SELECT uniqExact(id) FROM tickets WHERE cf_amount > 0 AND created_time > '2024-01-01'")
}

// flatRows are the rows with columns for keys, state included.
func flatRows(b *testing.B, w *Warehouse) []byte {
	b.Helper()
	l, err := w.layout(source.Tickets)
	must(b, err)
	pages, _ := benchPages()
	var body bytes.Buffer
	for _, page := range pages {
		parsed, err := source.ParsePage(l.res, "tickets", page)
		must(b, err)
		for _, rec := range parsed.Records {
			fmt.Fprintf(&body, `{"org_id":7000,"id":%d`, rec.Key.ID)
			for _, i := range l.fields(source.Content) {
				for _, col := range l.res.Fields[i].Columns() { // arrays of objects are empty here, so each column is
					fmt.Fprintf(&body, `,"%s":%s`, col, cmp.Or(rec.Value(i), "null"))
				}
			}
			for _, m := range rec.Custom {
				name, _ := jsontext.AppendQuote(nil, m.Name)
				fmt.Fprintf(&body, `,%s:%s`, name, m.Value)
			}
			fmt.Fprintf(&body, `,"_version":1,"_epoch":1,"_content_as_of":%d,"_content_rank":3,"_content_hash":"%d","_content_modified":%d}`+"\n", rec.Modified, rec.Fingerprint, rec.Modified)
		}
	}
	return body.Bytes()
}

// BenchmarkHeads looks 10,000 random ids up in 1.15 M rows of four parts, by
// each way of finding the newest version.
func BenchmarkHeads(b *testing.B) {
	w := prepared(b)
	must(b, w.exec(ctx, "fill", "INSERT INTO "+qualified(w.Database(), "tickets_all")+" (org_id, id, subject, _version, _content_as_of, _content_hash) SELECT 7000, cityHash64(number) % 1000000000000, repeat('x', 100), 5, 7, 8 FROM numbers(1000000)"))
	for i := range 3 {
		must(b, w.exec(ctx, "fill", fmt.Sprintf("INSERT INTO %s (org_id, id, subject, _version, _content_as_of, _content_hash) SELECT 7000, cityHash64(number) %% 1000000000000, repeat('y', 100), %d, 7, 8 FROM numbers(%d, 50000)", qualified(w.Database(), "tickets_all"), 6+i, i*200_000)))
	}
	var keys []source.Key
	must(b, w.scan(ctx, "list keys", "SELECT DISTINCT id FROM "+qualified(w.Database(), "tickets_all"), nil, func(row scanner) error {
		var k source.Key
		err := row.Scan(&k.ID)
		keys = append(keys, k)
		return err
	}))
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	keys = keys[:10_000]
	from := qualified(w.Database(), "tickets_all")
	for name, sql := range map[string]string{
		"argMax":   lookupSQL(w.Database(), testOrg, source.Tickets, "tickets_all", headExprs),
		"limit by": "SELECT id, " + strings.Join(headExprs, ", ") + " FROM " + from + " WHERE org_id = 7000 AND id IN (SELECT id FROM _keys) ORDER BY _version DESC LIMIT 1 BY id",
		"final":    "SELECT id, " + strings.Join(headExprs, ", ") + " FROM " + from + " FINAL WHERE org_id = 7000 AND id IN (SELECT id FROM _keys)",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				t, err := keysTable(source.Tickets, keys)
				must(b, err)
				found := 0
				must(b, w.scan(ctx, "heads", sql, nil, func(scanner) error { found++; return nil }, t))
				if found != len(keys) {
					b.Fatal(found)
				}
			}
		})
	}
	b.Run("Heads", func(b *testing.B) {
		for b.Loop() {
			heads, err := w.Heads(ctx, source.Tickets, keys)
			must(b, err)
			if len(heads) != len(keys) {
				b.Fatal(len(heads))
			}
		}
	})
}
