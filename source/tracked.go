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
