package source

import "slices"

// tracked are the fields whose changes the history spells out, what analysts
// follow: labels, ids, times, flags. None holds ticket text.
var tracked = map[Table][]string{
	Tickets: {"status", "statusType", "priority", "channel", "category", "subCategory", "classification",
		"departmentId", "assigneeId", "teamId", "contactId", "accountId", "productId",
		"dueDate", "closedTime", "onholdTime", "isSpam", "isOverDue", "isEscalated", "isArchived"},
	Departments: {"isEnabled", "isDefault", "isVisibleInCustomerPortal", "isAssignToTeamEnabled", "chatStatus"},
	Products:    {"unitPrice", "productCategory", "manufacturer", "ownerId"},
	Contracts: {"contractStatus", "accountId", "productId", "associatedSLAId", "departmentId", "ownerId",
		"startDate", "endDate", "notifyOn"},
	OrganizationFields: {"type", "isMandatory", "isCustomField", "isEncryptedField", "maxLength"},
}

// Tracked returns the indices of the fields whose changes the history always
// spells out, in declared order. All are content of the record's own.
func (r *Resource) Tracked() []int {
	return slices.DeleteFunc(r.In(Content), func(i int) bool { return !slices.Contains(tracked[r.Table], r.Fields[i].Name) })
}

// Tracked is what the history compares of some rows of a table: for each of
// Columns one value as text, the text ClickHouse shows of the column; nil is
// NULL, and the empty array.
type Tracked struct {
	Columns []string
	// Held are the values of the rows that have content.
	Held map[Key][]*string
	// Read returns the values that a row of this record will have. Not safe for
	// concurrent use.
	Read func(*Record) []*string
	// Pending says how far the rows hold a column of Columns: a pending one they
	// may lack. Nil: all of them whole.
	Pending []TrackedPending
	// Former are what rows hold of pending columns in columns of before, as the
	// text of the pending one, by its place in Columns.
	Former map[Key]map[int][]string
}

// TrackedPending is how far rows hold a column.
type TrackedPending uint8

// A pending column shows NULL where it was not filled yet; a revived one what it
// kept from before.
const (
	TrackedWhole TrackedPending = iota
	TrackedUnfilled
	TrackedRevived
)

// CompareHeld is Compare with what is held of a row. What only fills a pending
// column is no change: nothing that becomes NULL where the row may just show what
// it kept, and no value that the row holds elsewhere. Where it holds none at all
// the value is news if filled is set: the rows hold all there was when they were
// written, for nothing was left out of them then.
func (t *Tracked) CompareHeld(k Key, is []*string, filled bool) (columns []string, before, after []*string) {
	was := slices.Clone(t.Held[k])
	for i, pending := range t.Pending {
		if was == nil || pending == TrackedWhole {
			continue
		}
		now := is[i]
		switch {
		case now == nil && pending == TrackedRevived,
			now != nil && slices.Contains(t.Former[k][i], *now),
			now != nil && was[i] == nil && !filled:
			was[i] = now
		}
	}
	return t.Compare(was, is)
}

// Compare returns the columns whose values differ, with both values. A row
// that was not there has nil for was.
func (t *Tracked) Compare(was, is []*string) (columns []string, before, after []*string) {
	for i, name := range t.Columns {
		var old *string
		if was != nil {
			old = was[i]
		}
		if now := is[i]; (old == nil) != (now == nil) || old != nil && *old != *now {
			columns, before, after = append(columns, name), append(before, old), append(after, now)
		}
	}
	return columns, before, after
}
