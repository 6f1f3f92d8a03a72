package clickhouse

import (
	"testing"

	"deskhouse/source"
)

func TestColumnStates(t *testing.T) {
	field := column{name: "a", typ: typeString, comment: "Zoho Desk tickets.a: a note"}
	org := keyColumns(source.Tickets)[0]
	hash := column{name: "a_hash", typ: typeString, comment: hashComment("0123abcd", field.comment)}
	custom := func(c customColumn) *column {
		c.name, c.typ, c.APIName, c.Label, c.Type = "cf_a", typeString, `cf_"a`, "A: b", "Text"
		col := c.column()
		return &col
	}
	as := func(c *column, prefix, suffix string) haveColumn {
		return haveColumn{c.name, c.typ, prefix + c.comment + suffix}
	}
	for _, c := range []struct {
		name   string
		have   haveColumn // zero when it is not there
		want   *column
		state  ColumnState
		field  string
		label  string
		equals bool // have and want
	}{
		{"as it should be", as(&field, "", ""), &field, "", "tickets.a", "", true},
		{"not there", haveColumn{}, &field, ColumnMissing, "tickets.a", "", false},
		{"pending", as(&field, "", pendingMark), &field, ColumnPending, "tickets.a", "", true},
		{"another type", haveColumn{"a", "String", field.comment}, &field, ColumnMistyped, "tickets.a", "", false},
		{"retired", as(&field, retiredMark, ""), nil, ColumnRetired, "tickets.a", "", false},
		{"to be retired", as(&field, "", ""), nil, ColumnRetired, "tickets.a", "", false},
		{"to be revived", as(&field, retiredMark, ""), &field, ColumnRetired, "tickets.a", "", true},
		{"a key of its own", as(&org, "", ""), &org, "", "", "", true},
		{"a hash", as(&hash, "", ""), &hash, "", "tickets.a", "", true},
		{"somebody's", haveColumn{"x", "String", "mine"}, nil, ColumnForeign, "", "", false},
		{"custom", as(custom(customColumn{}), "", ""), custom(customColumn{}), "", `cf_"a`, "A: b", true},
		{"custom, pending", as(custom(customColumn{}), "", pendingMark), custom(customColumn{}), ColumnPending, `cf_"a`, "A: b", true},
		{"former", as(custom(customColumn{former: true}), "", ""), custom(customColumn{former: true}), ColumnFormer, `cf_"a`, "A: b", true},
		{"removed", as(custom(customColumn{removed: true}), "", ""), custom(customColumn{removed: true}), ColumnRemoved, `cf_"a`, "A: b", true},
		{"custom, left out", as(custom(customColumn{}), retiredMark, ""), nil, ColumnRetired, `cf_"a`, "A: b", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := describeColumn(c.have, c.have != haveColumn{}, c.want)
			if got.State != c.state || got.Field != c.field || got.Label != c.label {
				t.Errorf("%+v", got)
			}
			if equals := got.Have != nil && got.Want != nil && *got.Have == *got.Want; equals != c.equals {
				t.Errorf("have %+v, want %+v", got.Have, got.Want)
			}
		})
	}
}
