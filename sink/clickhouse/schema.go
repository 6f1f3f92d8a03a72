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
	order           string       // of the rows, as the server writes it
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

// viewsIn are the views that deskhouse made.
func viewsIn(have map[string]haveTable) []haveTable {
	var views []haveTable
	for _, h := range have {
		if _, ours := formatOf(h.comment); ours && h.word() == "VIEW" {
			views = append(views, h)
		}
	}
	return views
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
	err := w.scan(ctx, "list tables", "SELECT name, engine, comment, sorting_key, ifNull(total_rows, 1) FROM system.tables WHERE database = {db:String}",
		w.dbArg(), func(row scanner) error {
			var name string
			var t haveTable
			if err := row.Scan(&name, &t.engine, &t.comment, &t.order, &t.rows); err != nil {
				return err
			}
			tables[name] = t
			return nil
		})
	if err != nil {
		return nil, err
	}
	return tables, w.haveColumns(ctx, tables)
}

// haveColumns adds the columns of these tables. One that was made since they were
// listed is not there yet: nobody could tell whose it is.
func (w *Warehouse) haveColumns(ctx context.Context, tables map[string]haveTable) error {
	return w.scan(ctx, "list columns", "SELECT table, name, type, comment FROM system.columns WHERE database = {db:String} ORDER BY table, position",
		w.dbArg(), func(row scanner) error {
			var name string
			var c haveColumn
			if err := row.Scan(&name, &c.name, &c.typ, &c.comment); err != nil {
				return err
			}
			if t, listed := tables[name]; listed {
				t.columns = append(t.columns, c)
				tables[name] = t
			}
			return nil
		})
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
		way := "use another database"
		if _, ours := formatOf(have[positionsName].comment); ours {
			way = "rename or drop them, and deskhouse makes its own again"
		}
		return fmt.Errorf("%w: %s (their comments do not start with %q); %s", ErrForeign, strings.Join(foreign, ", "), strings.TrimSpace(mark), way)
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
