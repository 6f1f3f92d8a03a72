package clickhouse

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"deskhouse/source"

	"pgregory.net/rapid"
)

func TestTotalsAndSizesCountRowsOfEachTable(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		one := ticket(t, 1, "s", 10)
		must(t, w.Write(ctx, source.Tickets, []source.Row{one, ticket(t, 2, "s", 10)}, 1))
		must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(one.Key, one.Head, 20)}, 1))
		must(t, w.WriteSide(ctx, source.Tickets, source.Detail, []source.SideRow{{Key: one.Key, Stamp: source.Stamp{AsOf: 10}, Record: one.Record}}, 1))
		totals, err := w.Totals(ctx, source.Tickets)
		must(t, err)
		if want := map[source.Register]uint64{source.Content: 2, source.Listed: 0, source.Detail: 1}; !maps.Equal(totals, want) {
			t.Errorf("totals %v, want %v", totals, want)
		}
		totals, err = w.Totals(ctx, source.Products) // has no listed table
		must(t, err)
		if want := map[source.Register]uint64{source.Content: 0, source.Detail: 0}; !maps.Equal(totals, want) {
			t.Errorf("totals %v, want %v", totals, want)
		}
		rows, bytes, err := w.Sizes(ctx, source.Tickets)
		must(t, err)
		var sum uint64
		must(t, w.scan(ctx, "sum", "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = {db:String} AND startsWith(table, 'tickets_')", w.dbArg(),
			func(r scanner) error { return r.Scan(&sum) }))
		if rows < 2 || rows > 3 || bytes == 0 || bytes != sum {
			t.Errorf("sizes %d rows, %d bytes of %d", rows, bytes, sum)
		}
		if rows, bytes, err = w.Sizes(ctx, source.Contracts); rows != 0 || bytes != 0 || err != nil {
			t.Errorf("sizes of nothing %d, %d, %v", rows, bytes, err)
		}
	})
}

func TestDepartmentsOfVisibleRows(t *testing.T) {
	w := prepared(t)
	put := func(table source.Table, texts ...string) (keys []source.Key) {
		t.Helper()
		var all []source.Row
		for _, text := range texts {
			all = append(all, content(record(t, table, text), 10))
			keys = append(keys, all[len(all)-1].Key)
		}
		must(t, w.Write(ctx, table, all, 1))
		return keys
	}
	tickets := put(source.Tickets, `{"id":"1","departmentId":"11"}`, `{"id":"2","departmentId":11}`, `{"id":"3","departmentId":"12"}`, `{"id":"4"}`, `{"id":"5","departmentId":"11"}`)
	must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(tickets[4], source.Head{Content: source.Stamp{AsOf: 10}, Version: 10 << 20}, 20)}, 1))
	contracts := put(source.Contracts, `{"id":"7","departmentId":"13"}`)
	fields := put(source.OrganizationFields, `{"id":"8","apiName":"a"}`, `{"id":"9","apiName":"b"}`)
	put(source.Products, `{"id":"6","departmentIds":["11"]}`)
	for _, c := range []struct {
		table source.Table
		keys  []source.Key
		of    map[source.Key]uint64
		in    map[uint64]uint64
	}{
		{source.Tickets, append(tickets, source.Key{ID: 99}), map[source.Key]uint64{{ID: 1}: 11, {ID: 2}: 11, {ID: 3}: 12}, map[uint64]uint64{11: 2, 12: 1, 0: 1}},
		{source.Contracts, contracts, map[source.Key]uint64{{ID: 7}: 13}, map[uint64]uint64{13: 1}},
		{source.Products, []source.Key{{ID: 6}}, map[source.Key]uint64{}, map[uint64]uint64{0: 1}},
		{source.OrganizationFields, fields, map[source.Key]uint64{}, map[uint64]uint64{0: 2}},
		{source.Departments, nil, map[source.Key]uint64{}, map[uint64]uint64{}},
	} {
		of, err := w.Departments(ctx, c.table, c.keys)
		must(t, err)
		in, err := w.VisibleIn(ctx, c.table)
		must(t, err)
		if !maps.Equal(of, c.of) || !maps.Equal(in, c.in) {
			t.Errorf("%s: departments %v, want %v; visible %v, want %v", c.table, of, c.of, in, c.in)
		}
	}
}

func TestArchivedTickets(t *testing.T) {
	w := prepared(t)
	var all []source.Row
	for id, flag := range map[int]string{1: "true", 2: "false", 3: "null", 4: `"true"`} {
		all = append(all, content(record(t, source.Tickets, fmt.Sprintf(`{"id":"%d","isArchived":%s}`, id, flag)), 10))
	}
	must(t, w.Write(ctx, source.Tickets, all, 1))
	must(t, w.Write(ctx, source.Tickets, []source.Row{content(record(t, source.Tickets, `{"id":"4","isArchived":false}`), 20)}, 1))
	got, err := w.Archived(ctx, []source.Key{{ID: 1}, {ID: 2}, {ID: 3}, {ID: 4}, {ID: 5}})
	must(t, err)
	if !maps.Equal(got, map[source.Key]bool{{ID: 1}: true}) {
		t.Errorf("archived %v", got)
	}
}

// Random documents: what Filled finds in the row is what the record said, also
// of values that did not fit, and of rows whose content was carried over.
func TestFilledAgreesWithTheRecord(t *testing.T) {
	w := prepared(t)
	var fields []source.CustomField
	for api, typ := range propertyTypes {
		fields = append(fields, source.CustomField{APIName: api, Label: api, Type: typ})
	}
	tables := []source.Table{source.Tickets, source.Products, source.Contracts}
	for _, table := range tables {
		_, err := w.EnsureCustomFields(ctx, table, fields)
		must(t, err)
	}
	rapid.Check(t, func(rt *rapid.T) { checkFilled(t, rt, w, rapid.SampledFrom(tables).Draw(rt, "table")) })
}

var filledIDs int

func checkFilled(t *testing.T, rt *rapid.T, w *Warehouse, table source.Table) {
	want := map[source.Key]source.FieldSet{}
	var keys []source.Key
	var all []source.Row
	for range rapid.IntRange(1, 8).Draw(rt, "rows") {
		filledIDs++
		text, _, _, _ := document(rt, source.Lookup(table), filledIDs)
		rec := record(t, table, text)
		want[rec.Key] = rec.Filled()
		keys, all = append(keys, rec.Key), append(all, content(rec, 1))
	}
	must(t, w.Write(ctx, table, all, 1))
	must(t, w.Write(ctx, table, []source.Row{deletion(all[0].Key, all[0].Head, 9)}, 1))
	got, err := w.Filled(ctx, table, append(keys, source.Key{ID: 1 << 60}))
	must(t, err)
	if !maps.Equal(got, want) {
		for k := range want {
			rt.Errorf("%s %v: got %b, want %b", table, k, got[k], want[k])
		}
	}
}

func TestFilledOfOddRows(t *testing.T) {
	w := prepared(t)
	must(t, w.Write(ctx, source.OrganizationFields, []source.Row{content(record(t, source.OrganizationFields, `{"id":"1","apiName":"a/b","maxLength":"x","allowedValues":[],"name":""}`), 1)}, 1))
	got, err := w.Filled(ctx, source.OrganizationFields, []source.Key{{Name: "tickets/a/b"}})
	must(t, err)
	rec := record(t, source.OrganizationFields, `{"id":"1","apiName":"a/b","maxLength":5}`)
	if want := map[source.Key]source.FieldSet{rec.Key: rec.Filled()}; !maps.Equal(got, want) {
		t.Errorf("fields: got %v, want %v", got, want)
	}
	// A delete of an unknown id has no content.
	must(t, w.Write(ctx, source.Tickets, []source.Row{deletion(source.Key{ID: 1}, source.Head{}, 5)}, 1))
	if got, err := w.Filled(ctx, source.Tickets, []source.Key{{ID: 1}}); len(got) > 0 || err != nil {
		t.Errorf("no content: got %v, %v", got, err)
	}
	// A value in a column that a change of type retired still counts, and so does
	// one that never had a column.
	for id, change := range map[int]string{1: "Text", 2: "Number"} {
		_, err := w.EnsureCustomFields(ctx, source.Contracts, []source.CustomField{{APIName: "cf_x", Label: "X", Type: change}})
		must(t, err)
		must(t, w.Write(ctx, source.Contracts, []source.Row{content(record(t, source.Contracts, fmt.Sprintf(`{"id":"%d","cf":{"cf_x":"7","cf_y":null}}`, id)), 1)}, 1))
	}
	must(t, w.Write(ctx, source.Contracts, []source.Row{content(record(t, source.Contracts, `{"id":"3","cf":{"cf_none":"7"}}`), 1), content(record(t, source.Contracts, `{"id":"4","cf":{"cf_x":"","cf_none":null}}`), 1)}, 1))
	filled, err := w.Filled(ctx, source.Contracts, []source.Key{{ID: 1}, {ID: 2}, {ID: 3}, {ID: 4}})
	must(t, err)
	for id := uint64(1); id <= 4; id++ {
		if cf := customIndex(source.Lookup(source.Contracts)); filled[source.Key{ID: id}].Has(cf) != (id < 4) {
			t.Errorf("contract %d: %v", id, filled[source.Key{ID: id}])
		}
	}
}

func TestUnhydratedAreTheNewestWithoutDetail(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		var all []source.Row
		for id := 1; id <= 6; id++ {
			all = append(all, ticket(t, id, "s", int64(100*id)))
		}
		all[5] = deletion(source.Key{ID: 6}, all[5].Head, 900)
		must(t, w.Write(ctx, source.Tickets, all, 1))
		detail := func(id int, asOf int64) {
			t.Helper()
			must(t, w.WriteSide(ctx, source.Tickets, source.Detail, []source.SideRow{{Key: source.Key{ID: uint64(id)}, Stamp: source.Stamp{AsOf: asOf}, Record: all[0].Record}}, 1))
		}
		detail(2, 200) // as of its content
		detail(3, 299) // older
		detail(4, 100)
		detail(4, 500) // newer
		unhydrated := func(since time.Time, limit int, want ...uint64) {
			t.Helper()
			keys, err := w.Unhydrated(ctx, source.Tickets, since, limit)
			must(t, err)
			var got []uint64
			for _, k := range keys {
				got = append(got, k.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("since %v, %d: got %v, want %v", since, limit, got, want)
			}
		}
		unhydrated(time.Time{}, 10, 5, 3, 1)
		unhydrated(time.Time{}, 2, 5, 3)
		unhydrated(time.UnixMilli(299), 10, 5, 3)
		unhydrated(time.UnixMilli(300), 10, 5)
		unhydrated(time.UnixMilli(500), 10)
		unhydrated(time.Time{}, 0)
		must(t, w.Write(ctx, source.OrganizationFields, []source.Row{content(record(t, source.OrganizationFields, `{"id":"1","apiName":"a"}`), 1)}, 1))
		keys, err := w.Unhydrated(ctx, source.OrganizationFields, time.Time{}, 5)
		must(t, err)
		if !slices.Equal(keys, []source.Key{{Name: "tickets/a"}}) {
			t.Errorf("fields %v", keys)
		}
	})
}

func TestFenceHeldIsTheHighest(t *testing.T) {
	cfg := config(t)
	w := open(t, cfg)
	held := func(want uint64) {
		t.Helper()
		if got, err := w.FenceHeld(ctx); got != want || err != nil {
			t.Errorf("held %d, %v, want %d", got, err, want)
		}
	}
	held(0)
	must(t, w.Prepare(ctx, allTables))
	held(0)
	must(t, w.Fence(ctx, 7))
	must(t, w.exec(ctx, "one table is ahead", fenceSQL(w.Database(), "products_all", 12)))
	held(12)
	must(t, w.exec(ctx, "foreign table", "CREATE TABLE "+qualified(w.Database(), "other")+" (_epoch UInt64, CONSTRAINT fence CHECK _epoch >= 99) ENGINE = MergeTree ORDER BY _epoch"))
	held(12)
	missing := cfg
	missing.Database += "_none"
	w = open(t, missing)
	held(0)
}

// Whoever works on a table that somebody dropped learns it, and that waiting
// does not help.
func TestAMissingTableIsNamedAsSuch(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		one := ticket(t, 1, "s", 1)
		must(t, w.exec(ctx, "damage", "DROP TABLE "+qualified(w.Database(), "tickets_all")+" SYNC"))
		_, headsErr := w.Heads(ctx, source.Tickets, []source.Key{one.Key})
		_, _, countErr := w.Counts(ctx, source.Tickets)
		for name, err := range map[string]error{
			"Write":      w.Write(ctx, source.Tickets, []source.Row{one}, 1),
			"carry over": w.Write(ctx, source.Tickets, []source.Row{deletion(one.Key, one.Head, 9)}, 1),
			"Heads":      headsErr, "Counts": countErr,
		} {
			var permanent interface{ Permanent() bool }
			if !errors.Is(err, ErrMissing) || Retryable(err) || !errors.As(err, &permanent) || !permanent.Permanent() {
				t.Errorf("%s: %v", name, err)
			}
		}
		must(t, w.Prepare(ctx, allTables))
		must(t, w.Write(ctx, source.Tickets, []source.Row{one}, 1))
	})
}
