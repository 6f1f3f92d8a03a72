package pipeline

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

var simHashKey = []byte("the key of the simulation")

// mask is a selection of a table.
func (w *world) mask(t source.Table, s source.Selection) *source.Mask {
	m, err := source.NewMask(source.Lookup(t), s, simHashKey)
	w.must(err)
	return m
}

// departments are the portal's, in the order of their ids.
func (w *world) departments() (ids []uint64) {
	for truth := range w.portal.Truth("departments") {
		ids = append(ids, truth.ID)
	}
	slices.Sort(ids)
	return ids
}

// half is a selection of every second department, without some columns.
func (w *world) half() map[source.Table]*source.Mask {
	var some []uint64
	for i, id := range w.departments() {
		if i%2 == 0 {
			some = append(some, id)
		}
	}
	columns := source.Selection{Exclude: []string{"description", "contact_*", "cf_region"}, Hash: []string{"email", "assigneeId"}, Except: some}
	return map[source.Table]*source.Mask{
		source.Tickets:   w.mask(source.Tickets, columns),
		source.Contracts: w.mask(source.Contracts, source.Selection{Only: some, Hash: []string{"contract_number"}}),
		source.Products:  w.mask(source.Products, source.Selection{Except: some[:1], Exclude: []string{"unit_price", "cf_*"}}),
	}
}

// A mistyped department does not empty a table: a resync that would is refused
// until a person says that it is meant.
func TestASelectionOfNoDepartmentIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := loaded(t, desksim.Config{Seed: 61, Tickets: 60})
		use := func(only ...uint64) {
			w.stop()
			w.cfg.Select = map[source.Table]*source.Mask{source.Tickets: w.mask(source.Tickets, source.Selection{Only: only})}
			w.start()
			<-w.p.Loaded()
		}
		all := w.departments()
		leftOut := func() (n int) {
			for _, st := range w.wh.main[source.Tickets] {
				if st.LeftOut {
					n++
				}
			}
			return n
		}
		use(77, 78)
		_, err := w.resync(source.Tickets, ResyncOptions{})
		if !errors.Is(err, ErrGuard) || !strings.Contains(err.Error(), "[77 78]") || !strings.Contains(err.Error(), "--accept-loss") || leftOut() != 0 {
			t.Errorf("%v; %d rows are left out", err, leftOut())
		}
		use(append(all, 77)...)
		if _, err := w.resync(source.Tickets, ResyncOptions{}); err != nil || leftOut() != 0 {
			t.Errorf("one unknown among others: %v; %d rows are left out", err, leftOut())
		}
		use(77)
		if _, err := w.resync(source.Tickets, ResyncOptions{AcceptLoss: true}); err != nil || leftOut() == 0 {
			t.Errorf("accepted: %v; %d rows are left out", err, leftOut())
		}
	})
}
