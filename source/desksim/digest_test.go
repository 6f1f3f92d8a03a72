package desksim

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
)

// allWeights draws every kind of change.
func allWeights() Weights {
	w := DefaultWeights
	for v, i := reflect.ValueOf(&w).Elem(), 0; i < v.NumField(); i++ {
		if v.Field(i).Int() == 0 {
			v.Field(i).SetInt(8)
		}
	}
	w.RemoveDepartment, w.RemoveField, w.RetypeField = 1, 2, 2
	return w
}

// TestEachWeightIsAChange: drawn alone, each kind of change is made and counted under its own name.
func TestEachWeightIsAChange(t *testing.T) {
	for i := range reflect.TypeFor[Weights]().NumField() {
		name := reflect.TypeFor[Weights]().Field(i).Name
		var w Weights
		reflect.ValueOf(&w).Elem().Field(i).SetInt(1)
		p, _ := newTestPortal(t, Config{Weights: w, Tickets: 300})
		for range 5 {
			for _, trash := range []func(uint64) (uint64, error){p.TrashTicket, p.TrashProduct, p.TrashContract} {
				if _, err := trash(0); err != nil {
					t.Fatal(err)
				}
			}
		}
		before := digest(p)
		p.Mutate(1)
		if got := p.Changes(); !maps.Equal(got, map[string]int{name: 1}) || digest(p) == before {
			t.Errorf("%s: changes %v, portal changed %v", name, got, digest(p) != before)
		}
	}
}

func TestChangesCountsWhatWasMade(t *testing.T) {
	p, _ := newTestPortal(t, Config{Weights: Weights{RestoreTicket: 1}})
	for range 3 {
		if _, err := p.TrashTicket(0); err != nil {
			t.Fatal(err)
		}
	}
	p.Mutate(10)
	if got := p.Changes(); !maps.Equal(got, map[string]int{"RestoreTicket": 3}) {
		t.Errorf("got %v", got)
	}
}

// TestDigestTellsWhichRecordsDiffer holds Digest against comparing the decoded truth member by member.
func TestDigestTellsWhichRecordsDiffer(t *testing.T) {
	p, clock := newTestPortal(t, Config{Seed: 31, Tickets: 250, ArchivedTickets: 10, Weights: allWeights()})
	own := func(table string) map[string]map[string]any {
		rows := map[string]map[string]any{}
		for r := range p.Truth(table) {
			if r.State != Live {
				continue
			}
			var row map[string]any
			if err := json.Unmarshal(r.Get, &row); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(row, func(k string, _ any) bool { return slices.Contains(notOwn, k) || k == "taskCount" })
			rows[r.Key] = row
		}
		return rows
	}
	for _, table := range tables {
		rows, digests := own(table), p.Digest(table, "taskCount")
		for range 8 {
			p.Mutate(15)
			clock.Advance(time.Second)
			newRows, newDigests := own(table), p.Digest(table, "taskCount")
			differ := 0
			for key, row := range newRows {
				if reflect.DeepEqual(row, rows[key]) != (newDigests[key] == digests[key]) {
					t.Errorf("%s %s: equal %v, digests equal %v", table, key, reflect.DeepEqual(row, rows[key]), newDigests[key] == digests[key])
				}
				if newDigests[key] != digests[key] {
					differ++
				}
			}
			if len(newRows) != len(newDigests) || table == "tickets" && (differ == 0 || differ == len(newRows)) {
				t.Errorf("%s: %d rows, %d digests, %d differ", table, len(newRows), len(newDigests), differ)
			}
			rows, digests = newRows, newDigests
		}
	}
}

func TestMembersAreThoseOfTheDecoder(t *testing.T) {
	p, _ := newTestPortal(t, Config{Tickets: 60})
	p.Mutate(60)
	for _, table := range tables {
		for r := range p.Truth(table) {
			if r.Get == nil {
				continue
			}
			var want map[string]json.RawMessage
			if err := json.Unmarshal(r.Get, &want); err != nil {
				t.Fatal(err)
			}
			got := map[string]json.RawMessage{}
			members(r.Get, func(name, value []byte) { got[string(name)] = value })
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: got %v\nwant %v", r.Get, got, want)
			}
		}
	}
}
