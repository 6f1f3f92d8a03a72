package clickhouse

import (
	"fmt"
	"strings"

	"deskhouse/source"
)

// joined names are the columns that views add by looking an id up in a
// dictionary: after which column, from which table.
var joined = []struct {
	after, name string
	from        source.Table
	many        bool
}{
	{"department_id", "department_name", source.Departments, false},
	{"product_id", "product_name", source.Products, false},
	{"department_ids", "department_names", source.Departments, true},
}

// currentView is the view analysts use: current rows, right by default, no
// JOIN. Only columns that a query names are read, so the width costs nothing.
func (l *layout) currentView(database string, names nameTables) view {
	var cols []viewColumn
	for _, c := range l.contentColumns() {
		cols = append(cols, viewColumn{name: c.name, typ: c.typ, comment: l.pending.comment(source.Content, c)})
		cols = append(cols, names.after(database, c.name)...)
	}
	return view{name: string(l.res.Table), columns: cols,
		from:    fmt.Sprintf("FROM %s FINAL\nWHERE "+shown, qualified(database, mainName(l.res.Table))),
		comment: "Zoho Desk " + string(l.res.Table) + ", one row for each record that exists now."}
}

// contentColumns are key, content, custom fields and _extra: what describes
// the record rather than the row.
func (l *layout) contentColumns() []column {
	cols := append(keyColumns(l.res.Table)[1:], l.fieldColumns(source.Content)...)
	cols = append(append(cols, l.customColumns()...), l.documentColumns()...)
	return append(cols, extraColumn)
}

// nameTables says for which tables a dictionary of names exists.
type nameTables map[source.Table]bool

func (n nameTables) after(database, col string) []viewColumn {
	for _, j := range joined {
		if j.after != col || !n[j.from] {
			continue
		}
		c := viewColumn{name: j.name, typ: typeString, comment: "Current name of " + col + ", from " + string(j.from)}
		c.expr = lookup(database, j.from, "ifNull("+ident(col)+", 0)")
		if j.many {
			c.typ = "Array(Nullable(String))"
			c.expr = fmt.Sprintf("arrayMap(d -> %s, %s)", lookup(database, j.from, "d"), ident(col))
		}
		return []viewColumn{c}
	}
	return nil
}

// fullView joins the current view with the side tables. A side column whose
// name the main view has already gets the register's name in front.
func (l *layout) fullView(database string, names nameTables) view {
	current := l.currentView(database, names)
	taken := map[string]bool{}
	var cols []viewColumn
	for _, c := range current.columns {
		taken[c.name] = true
		cols = append(cols, viewColumn{name: c.name, typ: c.typ, comment: c.comment, expr: "m." + ident(c.name)})
	}
	from := []string{"FROM " + qualified(database, current.name) + " AS m"}
	for _, reg := range l.sides() {
		side, joinClause := l.sideSelect(database, reg)
		for _, c := range side {
			if taken[c.name] {
				c.name = reg.String() + "_" + c.name
			}
			taken[c.name] = true
			cols = append(cols, c)
		}
		from = append(from, joinClause)
	}
	return view{name: fullName(l.res.Table), columns: cols, from: strings.Join(from, "\n"),
		comment: "Zoho Desk " + string(l.res.Table) + " joined with the columns that only lists or single reads carry; those are as old as listed_as_of and detail_as_of say."}
}

// sideSelect is a side table's columns and its join clause. What a record has
// no row for is NULL.
func (l *layout) sideSelect(database string, reg source.Register) ([]viewColumn, string) {
	alias := reg.String()[:1]
	asOf := reg.String() + "_as_of"
	extra := reg.String() + "_extra"
	cols := []viewColumn{{name: asOf, typ: typeTime, expr: alias + "." + ident(asOf),
		comment: "Latest instant the " + reg.String() + " columns are known to hold (UTC)"}}
	inner := append([]string{}, idents(keyNames(l.res.Table)))
	inner = append(inner, "toNullable(fromUnixTimestamp64Milli(_as_of, 'UTC')) AS "+asOf)
	for _, c := range l.fieldColumns(reg) {
		inner = append(inner, ident(c.name))
		cols = append(cols, viewColumn{name: c.name, typ: c.typ, comment: l.pending.comment(reg, c), expr: alias + "." + ident(c.name)})
	}
	inner = append(inner, "_extra AS "+extra)
	cols = append(cols, viewColumn{name: extra, typ: typePlain, comment: extraComment, expr: alias + "." + extra})
	return cols, fmt.Sprintf("LEFT JOIN (SELECT %s FROM %s FINAL) AS %s USING (%s)", strings.Join(inner, ", "),
		qualified(database, sideName(l.res.Table, reg)), alias, idents(keyNames(l.res.Table)))
}

// views are all views of the resource.
func (l *layout) views(database string, names nameTables) []view {
	all := []view{l.currentView(database, names)}
	if len(l.sides()) > 0 {
		all = append(all, l.fullView(database, names))
	}
	if l.res.Table == source.Tickets {
		all = append(all, l.ticketViews(database, names)...)
	}
	return all
}
