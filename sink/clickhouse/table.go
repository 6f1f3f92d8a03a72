package clickhouse

import (
	"fmt"
	"slices"
	"strings"
)

// format is the version of the tables' layout, written into every comment. A
// table of a newer format is refused, an older one is migrated by Prepare.
// Format 2 has arrays of objects as parallel columns and nested objects
// flattened where format 1 had JSON text; what it stored is kept (retire.go).
const format = 2

// mark starts the comment of everything deskhouse made.
const mark = "deskhouse "

func marked(comment string) string { return fmt.Sprintf("%s%d: %s", mark, format, comment) }

// column is one column as a table should have it.
type column struct {
	name, typ, comment string
	codec              string // "" for the server's default
	def                string // DEFAULT expression, "" for none
}

func (c column) definition() string {
	var b strings.Builder
	b.WriteString(ident(c.name) + " " + c.typ)
	if c.def != "" {
		b.WriteString(" DEFAULT " + c.def)
	}
	b.WriteString(" COMMENT " + literal(c.comment))
	if c.codec != "" {
		b.WriteString(" CODEC(" + c.codec + ")")
	}
	return b.String()
}

// compactBytes is the uncompressed size up to which a part is one file instead
// of some two files a column: with 60 columns, creating the files was four
// fifths of the time of an insert of 20,000 rows (168 ms against 33 ms,
// ClickHouse 26.7). Large tables end in larger parts, so scans lose nothing.
const compactBytes = 128 << 20

// table is one table as it should be. All are ReplacingMergeTree(_version) and
// never partitioned: a row must meet its older versions.
type table struct {
	name    string
	comment string // without the mark
	columns []column
	order   []string
	ttl     string // "" for none
	fed     bool   // complete readings of the portal fill its columns
}

func (t table) create(database string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s\n(\n", qualified(database, t.name))
	for i, c := range t.columns {
		b.WriteString("    " + c.definition())
		if i < len(t.columns)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, ")\nENGINE = ReplacingMergeTree(_version)\nORDER BY (%s)\n", idents(t.order))
	if t.ttl != "" {
		b.WriteString("TTL " + t.ttl + "\n")
	}
	fmt.Fprintf(&b, "SETTINGS min_bytes_for_wide_part = %d\n", compactBytes)
	b.WriteString("COMMENT " + literal(marked(t.comment)))
	return b.String()
}

// orders reports whether a column is part of the table's order.
func (t table) orders(col string) bool { return slices.Contains(t.order, col) }

func (t table) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

func addColumn(database, name string, c column) string {
	return alterTable(database, name, addClause(c))
}

func addClause(c column) string { return "ADD COLUMN IF NOT EXISTS " + c.definition() }

// alterTable does several things to a table in one statement.
func alterTable(database, name string, clauses ...string) string {
	return "ALTER TABLE " + qualified(database, name) + " " + strings.Join(clauses, ", ")
}

func commentColumn(database, name, col, comment string) string {
	return fmt.Sprintf("ALTER TABLE %s COMMENT COLUMN %s %s", qualified(database, name), ident(col), literal(comment))
}

func commentTable(database, name, comment string) string {
	return fmt.Sprintf("ALTER TABLE %s MODIFY COMMENT %s", qualified(database, name), literal(marked(comment)))
}

// view is a view with typed and commented columns.
type view struct {
	name    string
	comment string // without the mark
	columns []viewColumn
	from    string // everything after the select list
}

type viewColumn struct {
	name, typ, comment string
	expr               string // "" for the column of that name
}

func (v view) create(database string) string {
	var decl []string
	for _, c := range v.columns {
		decl = append(decl, fmt.Sprintf("    %s %s COMMENT %s", ident(c.name), c.typ, literal(c.comment)))
	}
	return fmt.Sprintf("CREATE OR REPLACE VIEW %s\n(\n%s\n)\nAS %s\nCOMMENT %s", qualified(database, v.name),
		strings.Join(decl, ",\n"), v.query(), literal(marked(v.comment)))
}

// query is what the view selects.
func (v view) query() string {
	var list []string
	for _, c := range v.columns {
		expr := ident(c.name)
		if c.expr != "" {
			expr = c.expr + " AS " + ident(c.name)
		}
		list = append(list, "    "+expr)
	}
	return "SELECT\n" + strings.Join(list, ",\n") + "\n" + v.from
}
