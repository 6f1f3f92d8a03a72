package desksim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var tables = []string{"tickets", "departments", "products", "organization_fields", "contracts"}

// digest hashes the whole truth of a portal.
func digest(p *Portal) uint64 {
	h := fnv.New64a()
	for _, table := range tables {
		for r := range p.Truth(table) {
			fmt.Fprint(h, r.Key, r.State, r.DeletedAt.Unix(), string(r.Get), string(r.Search), string(r.Last))
		}
	}
	return h.Sum64()
}

func TestSameSeedSamePortal(t *testing.T) {
	run := func(seed int64) uint64 {
		p, clock := newTestPortal(t, Config{Seed: seed, Tickets: 300, ArchivedTickets: 20})
		for range 10 {
			p.Mutate(40)
			clock.Advance(3 * time.Second)
		}
		return digest(p)
	}
	if a, b := run(1), run(1); a != b {
		t.Errorf("seed 1 gave %x and %x", a, b)
	}
	if a, b := run(1), run(2); a == b {
		t.Error("seeds 1 and 2 gave the same portal")
	}
}

// TestTruthIsWhatTheAPISays compares every truth row with the replies of the API after many changes.
func TestTruthIsWhatTheAPISays(t *testing.T) {
	for _, cfg := range []Config{{Seed: 5}, {Seed: 6, ArchivedInSearch: true, HideSpam: true, TrashTouches: true}, {Seed: 7, MergedAnswers: true, TrashedIs404: true}, {Seed: 8, Weights: allWeights()},
		{Seed: 9, Weights: allWeights(), OtherFieldIDs: true, SlowRows: 0.2, SlowLag: time.Second, DateSkew: time.Hour}} {
		cfg.Tickets, cfg.ArchivedTickets = 250, 30
		cfg.CreditsPerDay = -1
		p, clock := newTestPortal(t, cfg)
		for range 20 {
			p.Mutate(25)
			clock.Advance(time.Second)
		}
		if err := p.RemoveField(0); err != nil {
			t.Fatal(err)
		}
		k := newClient(t, p)
		for _, c := range []struct{ table, get, list, step string }{
			{"tickets", "tickets/", "tickets/search?limit=100&sortBy=createdTime&from=", "100"}, {"products", "products/", "products/search?limit=100&sortBy=createdTime&from=", "100"},
			{"departments", "departments/", "departments?limit=200&from=", "200"}, {"contracts", "contracts/", "contracts?limit=100&from=", "100"},
		} {
			rows := k.allRows(c.list, c.step)
			states := map[State]int{}
			for r := range p.Truth(c.table) {
				states[r.State]++
				k.compareGet(cfg, c.get+r.Key, r)
				if !bytes.Equal(rows[r.Key], r.Search) {
					t.Errorf("%s %s: listed %s, truth %s", c.table, r.Key, rows[r.Key], r.Search)
				}
				delete(rows, r.Key)
			}
			k.compareLists(c.table)
			if len(rows) != 0 || states[Live] == 0 {
				t.Errorf("%s: %d listed rows are not in the truth, states %v", c.table, len(rows), states)
			}
			if c.table == "tickets" && (states[Trashed] == 0 || states[Purged] == 0) {
				t.Errorf("the mutations were too tame: %v", states)
			}
		}
	}
}

// compareLists holds TruthRow.List against the ticket list and the lists of archived tickets.
func (c *client) compareLists(table string) {
	c.t.Helper()
	if table != "tickets" {
		return
	}
	rows := c.allRows("tickets?limit=100&sortBy=createdTime&from=", "100")
	for d := range c.p.Truth("departments") {
		maps.Copy(rows, c.allRows("tickets/archivedTickets?limit=100&departmentId="+d.Key+"&from=", "100"))
	}
	for r := range c.p.Truth(table) {
		if !bytes.Equal(rows[r.Key], r.List) {
			c.t.Errorf("%s: listed %s, truth %s", r.Key, rows[r.Key], r.List)
		}
		delete(rows, r.Key)
	}
	if len(rows) != 0 {
		c.t.Errorf("%d listed rows are not in the truth", len(rows))
	}
}

func (c *client) compareGet(cfg Config, path string, r TruthRow) {
	c.t.Helper()
	status, body := c.get(path)
	switch {
	case r.State == Purged && cfg.MergedAnswers && status == 200: // the survivor answers for a merged ticket
	case r.State == Purged || r.State == Trashed && cfg.TrashedIs404:
		if status != 404 || r.State == Purged && (r.Get != nil || r.Last == nil) {
			c.t.Errorf("%s is %v: %d", path, r.State, status)
		}
	case status != 200 || !bytes.Equal(body, r.Get):
		c.t.Errorf("%s is %v: %d %s, truth %s", path, r.State, status, body, r.Get)
	}
}

// allRows pages through a list and returns the rows by id.
func (c *client) allRows(path, step string) map[string]json.RawMessage {
	c.t.Helper()
	rows, n := map[string]json.RawMessage{}, 0
	size, err := strconv.Atoi(step)
	if err != nil {
		c.t.Fatal(err)
	}
	for {
		status, body := c.get(path + strconv.Itoa(n))
		if status == 204 {
			return rows
		}
		var page struct{ Data []json.RawMessage }
		if err := json.Unmarshal(body, &page); err != nil || status != 200 {
			c.t.Fatalf("%s: %d %v", path, status, err)
		}
		if len(page.Data) == 0 { // the recycle bin has no 204
			return rows
		}
		for _, raw := range page.Data {
			var row struct{ ID string }
			if err := json.Unmarshal(raw, &row); err != nil {
				c.t.Fatal(err)
			}
			if rows[row.ID] != nil {
				c.t.Errorf("%s repeats %s", path, row.ID)
			}
			rows[row.ID] = raw
		}
		n += size
	}
}

func TestRecycleBinHoldsExactlyTheTrashed(t *testing.T) {
	p, clock := newTestPortal(t, Config{Seed: 9})
	p.Mutate(800)
	k := newClient(t, p)
	inBin := k.allRows("recycleBin?limit=100&module=tickets&sortBy=-deletedTime&from=", "100")
	for r := range p.Truth("tickets") {
		if _, ok := inBin[r.Key]; ok != (r.State == Trashed) {
			t.Errorf("ticket %s is %v, in the bin %v", r.Key, r.State, ok)
		}
	}
	clock.Advance(61 * 24 * time.Hour)
	k.token = p.AccessToken()
	if status, body := k.get("recycleBin"); status != 200 || string(body) != `{"data":[]}` {
		t.Errorf("after 61 days: %d %s", status, body)
	}
	for r := range p.Truth("tickets") {
		if r.State == Trashed {
			t.Errorf("%s is still trashed after 61 days", r.Key)
		}
	}
}

// TestSearchOrder holds search pages against sorting all rows.
func TestSearchOrder(t *testing.T) {
	p, clock := newTestPortal(t, Config{Seed: 11, Tickets: 400, Burst: 150})
	for range 30 {
		p.Mutate(10)
		clock.Advance(time.Second)
	}
	k := newClient(t, p)
	type row struct{ ID, CreatedTime, ModifiedTime, CustomerResponseTime string }
	var truth []row
	for r := range p.Truth("tickets") {
		if r.Search != nil {
			var x row
			if err := json.Unmarshal(r.Search, &x); err != nil {
				t.Fatal(err)
			}
			truth = append(truth, x)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		by := rapid.SampledFrom([]string{"createdTime", "modifiedTime", "customerResponseTime"}).Draw(t, "sortBy")
		descending := rapid.Bool().Draw(t, "descending")
		from, limit := rapid.IntRange(0, 500).Draw(t, "from"), rapid.IntRange(1, 100).Draw(t, "limit")
		low, high := truth[rapid.IntRange(0, len(truth)-1).Draw(t, "low")].CreatedTime, truth[rapid.IntRange(0, len(truth)-1).Draw(t, "high")].ModifiedTime
		key := func(r row) string {
			return map[string]string{"createdTime": r.CreatedTime, "modifiedTime": r.ModifiedTime, "customerResponseTime": r.CustomerResponseTime}[by]
		}
		if low > high {
			low, high = high, low
		}
		ranged := rapid.SampledFrom([]string{"createdTimeRange", "modifiedTimeRange"}).Draw(t, "range")
		var want []row
		for _, r := range truth {
			at := map[string]string{"createdTimeRange": r.CreatedTime, "modifiedTimeRange": r.ModifiedTime}[ranged]
			if at >= low && at <= high {
				want = append(want, r)
			}
		}
		slices.SortStableFunc(want, func(a, b row) int { // truth is in order of ids
			if descending {
				return strings.Compare(key(b), key(a))
			}
			return strings.Compare(key(a), key(b))
		})
		sign := map[bool]string{true: "-"}[descending]
		status, body := k.get(fmt.Sprintf("tickets/search?sortBy=%s%s&from=%d&limit=%d&%s=%s,%s", sign, by, from, limit, ranged, low, high))
		var page struct {
			Data  []row
			Count int
		}
		if status == 200 {
			if err := json.Unmarshal(body, &page); err != nil {
				t.Fatal(err)
			}
			if page.Count != len(want) {
				t.Fatalf("count %d, want %d", page.Count, len(want))
			}
		}
		if got := window(want, from, limit); !slices.Equal(page.Data, got) {
			t.Fatalf("got %v\nwant %v", page.Data, got)
		}
	})
}

func TestBurstSharesASecond(t *testing.T) {
	p, _ := newTestPortal(t, Config{Tickets: 5000, Burst: 1200})
	seconds := map[int64]int{}
	most, shared := 0, 0
	for i, at := range p.tickets.created {
		seconds[at]++
		most = max(most, seconds[at])
		if i > 0 && at < p.tickets.created[i-1] || p.tickets.modified[i] < at {
			t.Fatalf("ticket %d: created %d after %d, modified %d", i, at, p.tickets.created[i-1], p.tickets.modified[i])
		}
	}
	for _, n := range seconds {
		if n > 1 {
			shared++
		}
	}
	if most < 1200 || most > 1300 || shared < 2 || len(seconds) < 2500 {
		t.Errorf("largest second %d, seconds shared %d, distinct %d", most, shared, len(seconds))
	}
}

func TestSearchLags(t *testing.T) {
	p, clock := newTestPortal(t, Config{SearchLag: time.Minute})
	k := newClient(t, p)
	id, err := p.CreateTicket(TicketChange{})
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("tickets/search?id=%d", id)
	if status, _ := k.get(path); status != 204 {
		t.Errorf("search sees it at once: %d", status)
	}
	if status, _ := k.get(fmt.Sprintf("tickets/%d", id)); status != 200 {
		t.Errorf("GET does not see it: %d", status)
	}
	clock.Advance(time.Minute)
	if status, _ := k.get(path); status != 200 {
		t.Errorf("search does not see it after the lag: %d", status)
	}
}

func TestHiddenDepartment(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	dept := kindDepartment.id(1)
	p.Faults().HideDepartment(dept, true)
	if status, _ := k.get(fmt.Sprintf("departments/%d", dept)); status != 403 {
		t.Errorf("hidden department: %d", status)
	}
	if status, _ := k.get(fmt.Sprintf("tickets/search?departmentId=%d", dept)); status != 204 {
		t.Errorf("its tickets: %d", status)
	}
	hidden := 0
	for r := range p.Truth("tickets") {
		if r.State == Hidden {
			hidden++
			if status, _ := k.get("tickets/" + r.Key); status != 403 {
				t.Fatalf("hidden ticket %s: %d", r.Key, status)
			}
		}
	}
	if hidden == 0 {
		t.Error("no ticket is hidden")
	}
}

func TestHiddenFieldIsDropped(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	_, whole := k.get("tickets/search?limit=3")
	p.Faults().HideField("description", true)
	_, rest := k.get("tickets/search?limit=3")
	if !strings.Contains(string(whole), `"description"`) || strings.Contains(string(rest), `"description"`) || !json.Valid(rest) || !strings.Contains(string(rest), `"subject"`) {
		t.Errorf("without description: %s", rest)
	}
}

// TestMillionTickets holds a portal of 1,000,000 tickets to 1 GB.
func TestMillionTickets(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a million tickets: left out with -short")
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	p, clock := newTestPortal(t, Config{Tickets: 1_000_000})
	p.Mutate(20_000)
	clock.Advance(time.Second)
	used := int64(heap()) - int64(before)
	t.Logf("%d MB", used>>20)
	if used > 1<<30 {
		t.Errorf("a million tickets take %d bytes", used)
	}
	if status, _ := newClient(t, p).get("tickets/search?limit=100&sortBy=-modifiedTime"); status != 200 {
		t.Errorf("search: %d", status)
	}
}

func BenchmarkSearchPage(b *testing.B) {
	p := New(Config{Tickets: 200_000, CreditsPerDay: -1})
	defer p.Close()
	f := p.newTicketFilter(query{})
	n := 0
	for b.Loop() {
		var scratch ticket
		rows, _ := p.index.page(&p.gen, f, "createdTime", false, 500, 100)
		body := make([]byte, 0, 256<<10)
		for _, seq := range rows {
			body = p.appendTicketSearch(body, p.index.load(&p.gen, seq, &scratch))
		}
		n += len(body)
	}
	b.ReportMetric(float64(n)/float64(b.N)/100, "bytes/row")
	b.ReportMetric(float64(b.N*100)/b.Elapsed().Seconds(), "rows/s")
}
