package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// haveColumn is a column as the server reports it.
type haveColumn struct{ name, typ, comment string }

// haveTable is a table, view or dictionary as the server reports it.
type haveTable struct {
	engine, comment string
	columns         []haveColumn // in the table's order
	rows            uint64       // older versions included; 1 where the engine does not say
}

func (t haveTable) column(name string) (haveColumn, bool) {
	i := slices.IndexFunc(t.columns, func(c haveColumn) bool { return c.name == name })
	if i < 0 {
		return haveColumn{}, false
	}
	return t.columns[i], true
}

func (t haveTable) taken() map[string]bool {
	taken := map[string]bool{}
	for _, c := range t.columns {
		taken[c.name] = true
	}
	return taken
}

// have reads what the database holds.
func (w *Warehouse) have(ctx context.Context) (map[string]haveTable, error) {
	tables := map[string]haveTable{}
	err := w.scan(ctx, "list tables", "SELECT name, engine, comment, ifNull(total_rows, 1) FROM system.tables WHERE database = {db:String}",
		w.dbArg(), func(row scanner) error {
			var name, engine, comment string
			var rows uint64
			if err := row.Scan(&name, &engine, &comment, &rows); err != nil {
				return err
			}
			tables[name] = haveTable{engine: engine, comment: comment, rows: rows}
			return nil
		})
	if err != nil {
		return nil, err
	}
	err = w.scan(ctx, "list columns", "SELECT table, name, type, comment FROM system.columns WHERE database = {db:String} ORDER BY table, position",
		w.dbArg(), func(row scanner) error {
			var name string
			var c haveColumn
			if err := row.Scan(&name, &c.name, &c.typ, &c.comment); err != nil {
				return err
			}
			t := tables[name]
			t.columns = append(t.columns, c)
			tables[name] = t
			return nil
		})
	return tables, err
}

// plan is the statements that make the wanted tables out of those there are.
// Only tables and columns are added and comments changed; a column of another
// type is refused, with every one listed.
func plan(database string, have map[string]haveTable, want []table) ([]string, error) {
	var statements, wrong []string
	for _, t := range want {
		h, exists := have[t.name]
		if !exists {
			statements = append(statements, t.create(database))
			continue
		}
		more, differ := planTable(database, h, t)
		statements, wrong = append(statements, more...), append(wrong, differ...)
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrSchema, strings.Join(wrong, "; "))
	}
	return statements, nil
}

func planTable(database string, have haveTable, want table) (statements, wrong []string) {
	for _, c := range want.columns {
		h, exists := have.column(c.name)
		switch {
		case !exists && want.fed && have.rows > 0 && c.isData():
			statements = append(statements, addColumn(database, want.name, c.pending()))
		case !exists:
			statements = append(statements, addColumn(database, want.name, c))
		case h.typ != c.typ:
			wrong = append(wrong, fmt.Sprintf("%s.%s is %s instead of %s", want.name, c.name, h.typ, c.typ))
		case remark(c.comment, h.comment) != h.comment:
			statements = append(statements, commentColumn(database, want.name, c.name, remark(c.comment, h.comment)))
		}
	}
	if have.comment != marked(want.comment) {
		statements = append(statements, commentTable(database, want.name, want.comment))
	}
	return statements, wrong
}

// checkOurs refuses objects of our names that deskhouse did not make, or that
// a newer deskhouse made.
func checkOurs(have map[string]haveTable, names []string) error {
	var foreign []string
	for _, name := range names {
		h, exists := have[name]
		if !exists {
			continue
		}
		f, ok := formatOf(h.comment)
		switch {
		case !ok:
			foreign = append(foreign, name)
		case f > format:
			return fmt.Errorf("%w: %s has format %d, this version knows %d", ErrNewerFormat, name, f, format)
		}
	}
	if len(foreign) > 0 {
		return fmt.Errorf("%w: %s (their comments do not start with %q); use another database", ErrForeign, strings.Join(foreign, ", "), strings.TrimSpace(mark))
	}
	return nil
}

// formatOf reads the mark of a comment.
func formatOf(comment string) (int, bool) {
	rest, ok := strings.CutPrefix(comment, mark)
	if !ok {
		return 0, false
	}
	number, _, ok := strings.Cut(rest, ":")
	f, err := strconv.Atoi(number)
	return f, ok && err == nil
}
