package pipeline

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

func (w *world) fieldID(apiName string) (id uint64) {
	for truth := range w.portal.Truth("organization_fields") {
		if truth.Module == "tickets" && truth.APIName == apiName && truth.State == desksim.Live {
			id = truth.ID
		}
	}
	return id
}

func TestARemovedFieldIsMarkedAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 31, Tickets: 60})
		there := func() bool { return slices.Contains(w.wh.CustomFields(source.Tickets), "cf_region") }
		w.must(w.portal.RemoveField(w.fieldID("cf_region")))
		w.must(w.p.PollNow(t.Context(), source.OrganizationFields))
		if there() {
			t.Error("the field is not marked after a complete list without it")
		}
		_, err := w.portal.AddCustomField("tickets", "cf_region", "Region", "Picklist")
		w.must(err)
		w.must(w.p.PollNow(t.Context(), source.OrganizationFields))
		if !there() {
			t.Error("the field is back, and still marked")
		}
	})
}

// A row must not be blanked before the next list of the fields: a record that
// lacks a known key makes it be looked up first.
func TestARecordWithoutAKnownFieldAsksForTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 32, Tickets: 60})
		w.must(w.portal.RemoveField(w.fieldID("cf_region")))
		_, err := w.portal.UpdateTicket(0, desksim.TicketChange{})
		w.must(err)
		w.must(w.p.PollNow(t.Context(), source.Tickets))
		w.must(w.p.Settled(t.Context()))
		if slices.Contains(w.wh.CustomFields(source.Tickets), "cf_region") {
			t.Error("a record without the field was written before anybody asked for it")
		}
	})
}

// Fields that vanish all at once are hidden, not removed; so are those of a
// module that another resource answers for.
func TestHiddenFieldsAreNotMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 33, Tickets: 60})
		before := len(w.wh.CustomFields(source.Tickets))
		for _, name := range slices.Clone(w.wh.CustomFields(source.Tickets)) {
			w.must(w.portal.RemoveField(w.fieldID(name)))
		}
		_ = w.p.PollNow(t.Context(), source.OrganizationFields) // the guard of its rows may refuse too
		if n := len(w.wh.CustomFields(source.Tickets)); n != before {
			t.Errorf("%d of %d fields are left unmarked", n, before)
		}
	})
}

// A list that was asked for before a field had its column says nothing of that
// field, however many there are.
func TestAListOlderThanColumnsProvesNoRemoval(t *testing.T) {
	var wh *memWarehouse
	old := customOf(9)
	desk := &fakeDesk{fields: func(ctx context.Context, _ string) (source.Page, []source.CustomField, error) {
		_, err := wh.EnsureCustomFields(ctx, source.Tickets, customOf(30)) // found live, while the answer is on its way
		return source.Page{Resource: "fields"}, slices.Clone(old[1:]), err
	}}
	r := newRig(t, desk, nil, nil)
	wh = r.mem
	_, _ = wh.EnsureCustomFields(t.Context(), source.Tickets, old)
	fields := &fieldTable{deps: r.deps, w: newWriter(source.OrganizationFields, r.deps), tables: []source.Table{source.Tickets}}
	reading := &reading{}
	if _, err := fields.module(t.Context(), reading, source.Lookup(source.Tickets).Module); err != nil {
		t.Fatal(err)
	}
	if got := reading.lacked[source.Lookup(source.Tickets).Module]; !slices.Equal(got, []string{old[0].APIName}) {
		t.Errorf("said to be removed: %v", got)
	}
}
