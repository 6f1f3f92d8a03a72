package desksim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPurgedRecordsAreNowhere(t *testing.T) {
	p, _ := newTestPortal(t, Config{})
	k := newClient(t, p)
	for table, c := range map[string]struct{ trash, purge func(uint64) (uint64, error) }{
		"products": {p.TrashProduct, p.PurgeProduct}, "contracts": {p.TrashContract, p.PurgeContract}, "tickets": {p.TrashTicket, p.PurgeTicket},
	} {
		if _, err := c.purge(0); err == nil {
			t.Errorf("%s: purged from an empty bin", table)
		}
		id, err := c.trash(0)
		if err != nil {
			t.Fatal(err)
		}
		bin := func() int { return len(k.ids("recycleBin?limit=100&module=" + table)) }
		if status, _ := k.get(fmt.Sprintf("%s/%d", table, id)); status != 200 || bin() != 1 {
			t.Errorf("%s: trashed: GET %d, %d in the bin", table, status, bin())
		}
		if got, err := c.purge(0); err != nil || got != id {
			t.Fatalf("%s: purged %d, %v", table, got, err)
		}
		if status, _ := k.get(fmt.Sprintf("%s/%d", table, id)); status != 404 || bin() != 0 {
			t.Errorf("%s: purged: GET %d, %d in the bin", table, status, bin())
		}
		for r := range p.Truth(table) {
			if r.ID == id && (r.State != Purged || r.Get != nil || r.Search != nil || r.Last == nil) {
				t.Errorf("%s: truth %+v", table, r)
			}
		}
	}
}

func TestRestoreContract(t *testing.T) {
	p, clock := newTestPortal(t, Config{})
	k := newClient(t, p)
	id, err := p.TrashContract(0)
	if err != nil {
		t.Fatal(err)
	}
	_, before := k.get(fmt.Sprintf("contracts/%d", id))
	clock.Advance(time.Minute)
	if got, err := p.RestoreContract(0); err != nil || got != id {
		t.Fatalf("restored %d, %v", got, err)
	}
	_, after := k.get(fmt.Sprintf("contracts/%d", id))
	if string(before) != string(after) || len(k.ids("contracts?limit=100")) != 25 || len(k.ids("recycleBin?module=contracts")) != 0 {
		t.Errorf("before %s\nafter %s", before, after)
	}
}

func TestRemovedDepartmentIsGone(t *testing.T) {
	l := newListener()
	p, clock := newTestPortal(t, Config{Tickets: 200, ArchivedTickets: 40, Deliver: l, DeliveryLog: 10_000})
	k := newClient(t, p)
	k.subscribe(allEvents)
	p.Mutate(100)
	clock.Advance(time.Second)
	flush(t, p)
	told := len(l.events)
	id, err := p.RemoveDepartment(0)
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Second)
	flush(t, p)
	if status, body := k.get(fmt.Sprintf("departments/%d", id)); status != 404 || strings.Contains(string(k.rows("departments?limit=200")[0]), fmt.Sprint(id)) {
		t.Errorf("GET %d %s", status, body)
	}
	for r := range p.Truth("departments") {
		if r.ID == id && (r.State != Purged || r.Last == nil || r.DeletedAt.IsZero()) {
			t.Errorf("truth %+v", r)
		}
	}
	moved := len(l.events) - told
	if moved == 0 || strings.Contains(kinds(l.events[told:]), "Department") {
		t.Errorf("events %s", kinds(l.events[told:]))
	}
	for range 20 {
		if _, err := p.CreateTicket(TicketChange{}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.CreateContract(ContractChange{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"tickets", "contracts", "products"} {
		for r := range p.Truth(table) {
			if r.State != Purged && strings.Contains(string(r.Get)+string(r.Search)+string(r.List), fmt.Sprint(id)) {
				t.Errorf("%s %s is still in the department", table, r.Key)
			}
		}
	}
	if _, err := p.RemoveDepartment(kindDepartment.id(0)); err == nil {
		t.Error("the default department was removed")
	}
	if _, err := p.MoveTicket(0, id); err == nil {
		t.Error("moved a ticket into a removed department")
	}
	for range 10 {
		_, err = p.RemoveDepartment(0)
	}
	if err == nil || len(k.rows("departments?limit=200")) == 0 {
		t.Errorf("removed all departments: %v", err)
	}
}

func TestHiddenDepartmentCanBe404(t *testing.T) {
	for notFound, want := range map[bool]int{false: 403, true: 404} {
		p, _ := newTestPortal(t, Config{HiddenIs404: notFound})
		k := newClient(t, p)
		dept := kindDepartment.id(2)
		p.Faults().HideDepartment(dept, true)
		paths := []string{fmt.Sprintf("departments/%d", dept)}
		for _, table := range []string{"tickets", "contracts"} {
			for r := range p.Truth(table) {
				if r.State == Hidden {
					paths = append(paths, table+"/"+r.Key)
					break
				}
			}
		}
		if len(paths) != 3 {
			t.Fatalf("nothing of the department in %v", paths)
		}
		for _, path := range paths {
			if status, _ := k.get(path); status != want {
				t.Errorf("%s: %d, want %d", path, status, want)
			}
		}
		if len(k.rows("departments")) != 4 {
			t.Error("the list shows it")
		}
	}
}

func TestFieldIDsOfTheOldResource(t *testing.T) {
	for _, other := range []bool{false, true} {
		p, _ := newTestPortal(t, Config{OtherFieldIDs: other})
		k := newClient(t, p)
		older, newer := k.ids("organizationFields?module=tickets"), k.ids("fields?module=tickets")
		if (older[0] != newer[0]) != other || len(older) != len(newer) {
			t.Errorf("other %v: %s and %s", other, older[0], newer[0])
		}
		for path, want := range map[string]int{"organizationFields/" + older[0]: 200, "fields/" + newer[0]: 200, "organizationFields/" + newer[0]: map[bool]int{false: 200, true: 404}[other]} {
			if status, _ := k.get(path); status != want {
				t.Errorf("other %v: %s: %d, want %d", other, path, status, want)
			}
		}
	}
}

func TestFieldChangesAreDrawn(t *testing.T) {
	for name, w := range map[string]Weights{"RemoveField": {RemoveField: 1}, "RenameField": {RenameField: 1}, "RetypeField": {RetypeField: 1}} {
		p, _ := newTestPortal(t, Config{Weights: w, Tickets: 5})
		before := p.Digest("organization_fields")
		p.Mutate(1)
		after := p.Digest("organization_fields")
		same := 0
		for key, h := range before {
			if after[key] == h {
				same++
			}
		}
		if removed := len(before) - len(after); same != len(before)-1 || (removed == 1) != (name == "RemoveField") || p.Changes()[name] != 1 {
			t.Errorf("%s: %d of %d are as before, %d are there, changes %v", name, same, len(before), len(after), p.Changes())
		}
		p.Mutate(40) // 15 custom fields
		if name == "RemoveField" && p.Changes()[name] != 15 {
			t.Errorf("removed %d fields", p.Changes()[name])
		}
	}
}
