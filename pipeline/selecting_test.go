package pipeline

import (
	"slices"

	"deskhouse/source"
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
