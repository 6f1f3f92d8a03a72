package desksim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rows are the rows of a page, none for 204.
func (c *client) rows(path string) []json.RawMessage {
	c.t.Helper()
	status, body := c.get(path)
	if status == 204 {
		return nil
	}
	var page struct{ Data []json.RawMessage }
	if err := json.Unmarshal(body, &page); err != nil || status != 200 {
		c.t.Fatalf("%s: %d %s %v", path, status, body, err)
	}
	return page.Data
}

// ids are the ids of the rows of a page, in order.
func (c *client) ids(path string) []string {
	c.t.Helper()
	var ids []string
	for _, r := range c.rows(path) {
		ids = append(ids, unquoted(member(c.t, r, "id")))
	}
	return ids
}

func firstRow(t *testing.T, body []byte) []byte {
	t.Helper()
	var page struct{ Data []json.RawMessage }
	if err := json.Unmarshal(body, &page); err != nil || len(page.Data) == 0 {
		t.Fatalf("no row in %s: %v", body, err)
	}
	return page.Data[0]
}

// member is the raw value of a member of a JSON object, empty when it is not there.
func member(t *testing.T, object []byte, name string) json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(object, &m); err != nil {
		t.Fatalf("%v in %s", err, object)
	}
	return m[name]
}

// depts is the list of the first n departments as a parameter.
func depts(n uint32) string {
	var ids []string
	for i := range n {
		ids = append(ids, strconv.FormatUint(kindDepartment.id(i), 10))
	}
	return strings.Join(ids, ",")
}

func TestTiesComeInAnyOrder(t *testing.T) {
	paths := []string{"tickets/search?limit=100&sortBy=createdTime", "tickets/search?limit=100&sortBy=-createdTime", "tickets?limit=100&sortBy=createdTime",
		"tickets/search?limit=100&sortBy=-modifiedTime", "products?limit=100&sortBy=modifiedTime", "products/search?limit=100&sortBy=-modifiedTime",
		"contracts?limit=100&sortBy=modifiedTime", "recycleBin?limit=100", "tickets/archivedTickets?limit=100&departmentId=" + depts(1)}
	for _, unstable := range []bool{false, true} {
		p, _ := newTestPortal(t, Config{Tickets: 100, Burst: 100, ArchivedTickets: 100, Departments: 1, UnstableTies: unstable})
		for range 30 {
			for _, change := range []func() error{
				func() error { _, err := p.UpdateProduct(0, ProductChange{}); return err }, func() error { _, err := p.UpdateContract(0, ContractChange{}); return err },
				func() error { _, err := p.TrashTicket(0); return err }, func() error { _, err := p.UpdateTicket(0, TicketChange{}); return err },
			} {
				if err := change(); err != nil {
					t.Fatal(err)
				}
			}
		}
		k := newClient(t, p)
		for _, path := range paths {
			first, second := k.ids(path), k.ids(path)
			if changed := !slices.Equal(first, second); changed != unstable {
				t.Errorf("unstable %v: %s came in another order: %v", unstable, path, changed)
			}
			slices.Sort(first)
			slices.Sort(second)
			if !slices.Equal(first, second) {
				t.Errorf("%s: other rows", path)
			}
		}
	}
}

// TestTiesKeepTheOrderOfKeys: only rows with equal keys change places.
func TestTiesKeepTheOrderOfKeys(t *testing.T) {
	p, _ := newTestPortal(t, Config{Tickets: 90, Burst: 40, UnstableTies: true})
	p.Mutate(60)
	k := newClient(t, p)
	for _, by := range []string{"createdTime", "modifiedTime", "customerResponseTime"} {
		for _, sign := range []string{"", "-"} {
			var keys []string
			for _, r := range k.rows("tickets/search?limit=100&sortBy=" + sign + by) {
				keys = append(keys, string(member(t, r, by)))
			}
			if sign == "-" {
				slices.Reverse(keys)
			}
			if len(keys) < 50 || !slices.IsSorted(keys) {
				t.Errorf("%s%s: %d keys, in order %v", sign, by, len(keys), slices.IsSorted(keys))
			}
		}
	}
}

func TestRangeEnds(t *testing.T) {
	for ends, want := range map[RangeEnds][3]int{EndsIncluded: {1, 2, 1}, EndExcluded: {0, 1, 0}, EndsExcluded: {0, 0, 0}} {
		p, clock := newTestPortal(t, Config{Tickets: -1, Products: -1, Ends: ends})
		k := newClient(t, p)
		for range 2 {
			if _, err := p.CreateTicket(TicketChange{}); err != nil {
				t.Fatal(err)
			}
			if _, err := p.CreateProduct(ProductChange{}); err != nil {
				t.Fatal(err)
			}
			clock.Advance(10e9)
		}
		at := func(s string) string { return "2026-10-01T12:00:" + s + "Z" }
		for _, by := range []string{"tickets/search?createdTimeRange=", "tickets/search?modifiedTimeRange=", "products/search?createdTimeRange=", "products/search?modifiedTimeRange="} {
			got := [3]int{len(k.rows(by + at("00.000") + "," + at("00.000"))), len(k.rows(by + at("00.000") + "," + at("10.000"))), len(k.rows(by + at("05.000") + "," + at("10.000")))}
			if got != want {
				t.Errorf("ends %d, %s: got %v, want %v", ends, by, got, want)
			}
			if n := len(k.rows(by + at("09.500") + "," + at("10.500"))); n != 1 {
				t.Errorf("ends %d, %s: %d rows in half a second around one", ends, by, n)
			}
		}
		if _, body := k.get("ticketsCount?createdTimeRange=" + at("00.000") + "," + at("10.000")); string(member(t, body, "count")) != fmt.Sprintf(`"%d"`, want[1]) {
			t.Errorf("ends %d: count %s", ends, body)
		}
	}
}

// TestFiveThousandInOneSecond: offsets reach a thousand and the last page from either end; departments reach them all.
func TestFiveThousandInOneSecond(t *testing.T) {
	p, _ := newTestPortal(t, Config{Tickets: 5000, Burst: 5000, CreditsPerDay: -1})
	k := newClient(t, p)
	_, body := k.get("tickets/search?limit=1&sortBy=createdTime")
	second := unquoted(member(t, firstRow(t, body), "createdTime"))
	in := "tickets/search?limit=100&createdTimeRange=" + second + "," + second
	if _, body := k.get(in); string(member(t, body, "count")) != "5000" {
		t.Errorf("count %s", member(t, body, "count"))
	}
	if status, _ := k.get(in + "&from=1000"); status != 422 {
		t.Errorf("from=1000: %d", status)
	}
	found := map[string]bool{}
	for from := 0; from <= 999; from += 99 {
		for i, id := range k.ids(in + "&from=" + strconv.Itoa(from)) {
			if found[id] && i > 0 {
				t.Fatalf("%s repeats", id)
			}
			found[id] = true
		}
	}
	if len(found) != 1090 { // 0..89 and ten pages that begin with the row before
		t.Errorf("%d reached by offset", len(found))
	}
	sum := 0
	for i := range uint32(5) {
		_, body := k.get(in + "&departmentId=" + strconv.FormatUint(kindDepartment.id(i), 10))
		n, err := strconv.Atoi(string(member(t, body, "count")))
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if sum != 5000 {
		t.Errorf("the departments' counts add up to %d", sum)
	}
}

func TestArchivedDepth(t *testing.T) {
	p, _ := newTestPortal(t, Config{Tickets: 5, ArchivedTickets: 40, Departments: 1, ListDepth: 20})
	k := newClient(t, p)
	path := "tickets/archivedTickets?limit=10&departmentId=" + depts(1) + "&from="
	if n := len(k.ids(path + "20")); n != 10 {
		t.Errorf("at the depth: %d rows", n)
	}
	if status, _ := k.get(path + "21"); status != 422 {
		t.Errorf("beyond the depth: %d", status)
	}
}

func TestStaleListLacksTheLastChange(t *testing.T) {
	p, clock := newTestPortal(t, Config{StaleWithin: 5 * 60e9})
	k := newClient(t, p)
	old := k.rows(fmt.Sprintf("tickets/search?id=%d", kindTicket.id(5)))[0]
	product, contract := kindProduct.id(5), kindContract.id(5)
	name := "Brand new name"
	clock.Advance(60e9)
	if _, err := p.UpdateTicket(kindTicket.id(5), TicketChange{Subject: &name}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpdateProduct(product, ProductChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpdateContract(contract, ContractChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	stale := func(path string, f Fault) (stale, fresh bool) {
		p.Faults().Next(f, 1)
		_, body := k.get(path)
		_, again := k.get(path)
		return !strings.Contains(string(body), name), strings.Contains(string(again), name)
	}
	paths := map[string]Fault{fmt.Sprintf("tickets/search?id=%d", kindTicket.id(5)): FaultStaleList, "tickets?limit=100&sortBy=createdTime": FaultStaleList,
		"products/search?limit=100": FaultStaleList, "contracts?limit=100": FaultStaleList, fmt.Sprintf("products/%d", product): FaultStale, fmt.Sprintf("contracts/%d", contract): FaultStale}
	for path, f := range paths {
		if s, fresh := stale(path, f); !s || !fresh {
			t.Errorf("%s: stale %v, then fresh %v", path, s, fresh)
		}
	}
	p.Faults().Next(FaultStaleList, 1)
	if got := k.rows("tickets/search?limit=1&sortBy=-modifiedTime"); string(member(t, got[0], "id")) == string(member(t, old, "id")) {
		t.Error("a stale replica sorts by what it does not know")
	}
	p.Faults().Next(FaultStaleList, 1)
	if got := k.rows(fmt.Sprintf("tickets/search?id=%d", kindTicket.id(5))); string(got[0]) != string(old) {
		t.Errorf("stale row\n%s\nwas\n%s", got[0], old)
	}
	clock.Advance(6 * 60e9)
	for path, f := range paths {
		if s, _ := stale(path, f); s {
			t.Errorf("%s is stale although the change is old", path)
		}
	}
}
