package clickhouse

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// planned is a table as it should be, and one that is so, with rows.
func planned() (want table, have haveTable) {
	want = table{name: "t", comment: "c", order: []string{"id"}, fed: true, columns: []column{
		{name: "id", typ: typeID, comment: "Zoho Desk t.id"},
		{name: "a", typ: typeInt, comment: "Zoho Desk t.a"},
		{name: "b", typ: typeEnum, comment: "Zoho Desk t.b"},
		{name: "_epoch", typ: typeID, comment: "Which leader wrote the row"}}}
	have = haveTable{engine: "ReplacingMergeTree", order: "id", comment: marked("c"), rows: 7}
	for _, c := range want.columns {
		have.columns = append(have.columns, haveColumn{c.name, c.typ, c.comment})
	}
	return want, have
}

// viewOf is a view of deskhouse's that shows a table.
func viewOf(t table) haveTable {
	v := haveTable{engine: "View", comment: marked("v")}
	for _, c := range t.columns {
		v.columns = append(v.columns, haveColumn{c.name, c.typ, c.comment})
	}
	return v
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*haveTable)
		want   string // kind(columns), ! for those that block, ? for those that wait for a person
	}{
		{"equal", func(*haveTable) {}, ""},
		{"columns of others", func(h *haveTable) {
			h.columns = append(h.columns, haveColumn{"mine", "String", ""}, haveColumn{"custom", "String", "my custom field"}, haveColumn{"_x", "UInt8", "mine"})
		}, ""},
		{"missing", func(h *haveTable) { h.columns = h.columns[:2] }, "add column(b,_epoch)"},
		{"comment", func(h *haveTable) { h.columns[1].comment = "x"; h.columns[2].comment = "" }, "comment column(a,b)"},
		{"pending is no other comment", func(h *haveTable) { h.columns[1].comment += pendingMark }, ""},
		{"table's comment", func(h *haveTable) { h.comment = "deskhouse 0: c" }, "comment table()"},
		{"type that cannot be written", func(h *haveTable) { h.columns[1].typ = typeString }, "change type(a)!?"},
		{"type that can", func(h *haveTable) { h.columns[2].typ = typeString }, "change type(b)?"},
		{"state of another type", func(h *haveTable) { h.columns[3].typ = "LowCardinality(UInt64)" }, "change type(_epoch)!?"},
		{"key of another type", func(h *haveTable) { h.columns[0].typ = "LowCardinality(UInt64)" }, "change type(id)!?"},
		{"former field", func(h *haveTable) { h.columns = append(h.columns, haveColumn{"old", typeInt, "Zoho Desk t.old"}) }, "retire column(old) drop column(old)?"},
		{"retired already", func(h *haveTable) {
			h.columns = append(h.columns, haveColumn{"old", typeInt, retiredMark + "Zoho Desk t.old"})
		}, "drop column(old)?"},
		{"wanted again", func(h *haveTable) { h.columns[1].comment = retiredMark + h.columns[1].comment }, "revive column(a)"},
		{"state of an older release", func(h *haveTable) {
			h.columns = append(h.columns, haveColumn{"_as_of", typeMillis, sideState[2].comment})
		}, "retire column(_as_of) drop column(_as_of)?"},
		{"another engine", func(h *haveTable) { h.engine = "MergeTree"; h.columns = nil }, "set aside()!?"},
		{"another order", func(h *haveTable) { h.order = "org_id, id" }, "set aside()!?"},
		{"replicated, quoted", func(h *haveTable) { h.engine, h.order = "ReplicatedReplacingMergeTree", "(`id`)" }, ""},
		{"everything", func(h *haveTable) {
			h.columns = []haveColumn{h.columns[0], {"a", typeString, "x"}, {"b", typeEnum, retiredMark + "x"}, {"old", "String", "Zoho Desk t.old"}, {"mine", "String", ""}}
			h.comment = "deskhouse 0: c"
		}, "retire column(old) add column(_epoch) revive column(b) comment column(a) comment table() change type(a)!? drop column(old)?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, have := planned()
			c.change(&have)
			steps := planTables("d", map[string]haveTable{"t": have, "v": viewOf(want)}, []table{want})
			if got := shortly(steps); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			for _, s := range steps {
				if want := map[bool]string{true: dropCommand, false: applyCommand}[s.Cleanup()]; !s.Automatic && s.Command != want {
					t.Errorf("%s waits for %q, want %q", s.Kind, s.Command, want)
				}
			}
			if blocked := strings.Contains(c.want, "!"); errors.Is(refusal(steps), ErrSchema) != blocked {
				t.Errorf("refused: %v", refusal(steps))
			}
		})
	}
}

// A start must not fill a column that a person added under a name that deskhouse
// needs now.
func TestAColumnOfAPersonIsNotTakenOver(t *testing.T) {
	shown := func(name, comment string, columns ...haveColumn) haveTable {
		return haveTable{engine: "View", comment: comment, columns: append(columns, haveColumn{name, typeInt, "Zoho Desk t.a" + pendingMark})}
	}
	for _, c := range []struct {
		name   string
		change func(*haveTable)
		views  map[string]haveTable
		want   string
	}{
		{"no comment", func(h *haveTable) { h.columns[1].comment = "" }, nil, "name taken(a)!?"},
		{"their comment", func(h *haveTable) { h.columns[1].comment = "Dashboard" }, nil, "name taken(a)!?"},
		{"another type", func(h *haveTable) { h.columns[1].typ, h.columns[1].comment = "String", "" }, nil, "name taken(a)!?"},
		{"shown by deskhouse", func(h *haveTable) { h.columns[1].comment = "" }, map[string]haveTable{"v": shown("detail_a", marked("v"))}, "comment column(a)"},
		{"shown by a view of theirs", func(h *haveTable) { h.columns[1].comment = "" }, map[string]haveTable{"v": shown("a", "mine")}, "name taken(a)!?"},
		{"shown by deskhouse from another table", func(h *haveTable) { h.columns[2].comment = "" },
			map[string]haveTable{"v": shown("a", marked("v"), haveColumn{"b", typeEnum, "Zoho Desk u.b"})}, "name taken(b)!?"},
		{"key and state", func(h *haveTable) { h.columns[0].comment, h.columns[3].comment = "", "" }, nil, "comment column(id,_epoch)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, have := planned()
			c.change(&have)
			all := map[string]haveTable{"t": have}
			maps.Copy(all, c.views)
			steps := planTables("d", all, []table{want})
			if got := shortly(steps); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if err := refusal(steps); strings.Contains(c.want, "!") && (!errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "RENAME COLUMN")) {
				t.Errorf("refused with %v", err)
			}
		})
	}
}

// shortly names steps for comparison.
func shortly(steps []Step) string {
	var all []string
	for _, s := range steps {
		text := fmt.Sprintf("%s(%s)", s.Kind, strings.Join(s.Columns, ","))
		if s.Blocking {
			text += "!"
		}
		if !s.Automatic {
			text += "?"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestPlanStatements(t *testing.T) {
	want, have := planned()
	have.columns = []haveColumn{have.columns[0], {"a", typeString, "x"}, {"b", typeEnum, retiredMark + "x"}, {"o`ld", "String", "Zoho Desk t.o'ld" + pendingMark}}
	have.comment = "deskhouse 0: c"
	want.columns = append(want.columns, column{name: "n", typ: typeString, comment: "Zoho Desk t.n", codec: codecText})
	aside := haveTable{engine: "MergeTree", order: "x, `table`", comment: marked("c")}
	other := want
	other.name = "u"
	fresh := want
	fresh.name = "v"
	var text strings.Builder
	for _, s := range planTables("d", map[string]haveTable{"t": have, "u": aside, "old_u": {}, "w": viewOf(want)}, []table{want, other, fresh}) {
		fmt.Fprintf(&text, "-- %s: %s\n-- %s; automatic %v, blocking %v\n%s;\n\n", s.Table, s.What, s.Why, s.Automatic, s.Blocking, s.SQL)
	}
	golden(t, "plan.sql", text.String())
}

// A table that is empty has nothing to fill.
func TestOnlyColumnsOfTablesWithRowsWaitForABackfill(t *testing.T) {
	for rows, pending := range map[uint64]bool{0: false, 1: true} {
		want, have := planned()
		have.rows, have.columns = rows, have.columns[:1]
		have.columns = append(have.columns, haveColumn{"b", typeEnum, retiredMark + "Zoho Desk t.b"})
		for _, s := range planTables("d", map[string]haveTable{"t": have}, []table{want}) {
			n := strings.Count(s.SQL, pendingMark)
			if pending && n != 1 || !pending && n != 0 {
				t.Errorf("%d rows: %s", rows, s.SQL)
			}
		}
	}
}

func TestLongChangesAreSeveralStatements(t *testing.T) {
	want, have := planned()
	for i := range 3000 {
		want.columns = append(want.columns, column{name: fmt.Sprintf("c%d", i), typ: typeString, comment: strings.Repeat("x", 100)})
	}
	steps, n := planTables("d", map[string]haveTable{"t": have}, []table{want}), 0
	for _, s := range steps {
		n += len(s.Columns)
		if len(s.SQL) > 2*maxAlterBytes {
			t.Errorf("a statement of %d bytes", len(s.SQL))
		}
	}
	if n != 3000 || len(steps) < 2 || len(steps) > 10 {
		t.Errorf("%d columns in %d statements", n, len(steps))
	}
}
