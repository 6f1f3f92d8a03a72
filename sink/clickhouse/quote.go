package clickhouse

import (
	"strconv"
	"strings"
)

// The only places where names and texts enter SQL. Values of rows never do:
// they travel in blocks, as parameters or as external tables.

// ident quotes an identifier. ClickHouse reads backslash escapes inside
// backticks (docs: SQL syntax, Identifiers), so the backslash is escaped too.
func ident(name string) string { return quoteWith('`', name) }

// literal quotes a string literal: comments and definitions, never row values.
func literal(text string) string { return quoteWith('\'', text) }

func quoteWith(quote byte, text string) string {
	var b strings.Builder
	b.Grow(len(text) + 2)
	b.WriteByte(quote)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case quote, '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case 0:
			b.WriteString(`\0`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

// qualified is `database`.`name`.
func qualified(database, name string) string { return ident(database) + "." + ident(name) }

func idents(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = ident(n)
	}
	return strings.Join(quoted, ", ")
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }
