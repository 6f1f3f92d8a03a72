package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
)

// allViews are the views the database should have. names says which
// dictionaries there will be.
func (c Config) allViews(layouts []*layout, names nameTables) []view {
	var all []view
	for _, l := range layouts {
		all = append(all, l.views(c.Database, names)...)
	}
	return append(all, logbookViews(c.Database)...)
}

// namesOf are the dictionaries that these tables want.
func namesOf(layouts []*layout) nameTables {
	names := nameTables{}
	for _, l := range layouts {
		if t := l.res.Table; nameColumn[t] != "" {
			names[t] = true
		}
	}
	return names
}

// planViews are the steps for dictionaries and views. Prepare makes them all
// anew at every start, so these steps only say what that changes. queries are
// the queries of views as the server writes them: its own of those there are,
// and the wanted ones; where it could not tell they are taken for equal.
func planViews(database string, have map[string]haveTable, names nameTables, want []view, queries viewQueries) []Step {
	var steps []Step
	for _, r := range source.Resources {
		if !names[r.Table] {
			continue
		}
		if name := dictionaryName(r.Table); have[name].engine != "Dictionary" {
			steps = append(steps, Step{Table: name, Kind: MakeDictionary, Automatic: true, What: "make the dictionary of names", Why: "it does not exist",
				SQL: createDictionary(database, r.Table, credentials{})})
		}
	}
	for _, v := range want {
		if why, columns := v.differs(have, queries); why != "" {
			steps = append(steps, Step{Table: v.name, Kind: MakeView, Columns: columns, Automatic: true, What: "make the view anew", Why: why, SQL: v.create(database)})
		}
	}
	return steps
}

// planRebuilds are the steps for tables that have another layout than the one
// that is configured. They go on as they are until then.
func (c Config) planRebuilds(layouts []*layout) []Step {
	var steps []Step
	for _, l := range layouts {
		t := l.res.Table
		if want := c.layout(t, nil).kind(); l.kind() != want {
			steps = append(steps, Step{Table: mainName(t), Kind: Rebuild, Command: "deskhouse resync --rebuild --table " + string(t),
				What: "make the table anew beside itself and exchange the two", Why: fmt.Sprintf("it has the layout %s, configured is %s", l.kind(), want)})
		}
	}
	return steps
}

// viewQueries are queries in the server's own writing, by view.
type viewQueries struct{ have, want map[string]string }

// differs says in what a view differs from what it should be, "" when it does
// not, and which of its columns do.
func (v view) differs(have map[string]haveTable, queries viewQueries) (why string, columns []string) {
	h, exists := have[v.name]
	if !exists {
		return "it does not exist", nil
	}
	for _, c := range v.columns {
		if got, ok := h.column(c.name); !ok || got != (haveColumn{c.name, c.typ, c.comment}) {
			columns = append(columns, c.name)
		}
	}
	for _, c := range h.columns {
		if !slices.ContainsFunc(v.columns, func(w viewColumn) bool { return w.name == c.name }) {
			columns = append(columns, c.name)
		}
	}
	switch {
	case len(columns) > 0:
		return "not all of its columns are as they should be", columns
	case h.comment != marked(v.comment):
		return "its comment differs", nil
	case queries.have[v.name] != "" && queries.want[v.name] != "" && queries.have[v.name] != queries.want[v.name]:
		return "somebody changed its query", nil
	}
	return "", nil
}

// viewQueries asks the server to write the queries of views in its own way.
func (w *Warehouse) viewQueries(ctx context.Context, want []view) (viewQueries, error) {
	q := viewQueries{have: map[string]string{}, want: map[string]string{}}
	err := w.scan(ctx, "read the views", "SELECT name, ifNull(formatQuerySingleLineOrNull(as_select), '') FROM system.tables WHERE database = {db:String} AND engine = 'View'", w.dbArg(),
		func(row scanner) error {
			var name, query string
			err := row.Scan(&name, &query)
			q.have[name] = query
			return err
		})
	for _, v := range want {
		if err != nil || q.have[v.name] == "" {
			continue
		}
		err = w.scan(ctx, "compare the view "+v.name, "SELECT ifNull(formatQuerySingleLineOrNull("+literal(v.query())+"), '')", nil, func(row scanner) error {
			var query string
			err := row.Scan(&query)
			q.want[v.name] = query
			return err
		})
	}
	return q, err
}

// planLeftovers are the steps for what deskhouse made and nothing wants any
// more. Working tables go at the next start, unless they are in use: idle says
// that no pipeline runs. The rest waits for a person: there are rows in it, or
// somebody's queries use it.
func planLeftovers(database string, have map[string]haveTable, wanted []string, idle bool) []Step {
	var steps []Step
	for _, name := range sortedNames(have) {
		h := have[name]
		if _, ours := formatOf(h.comment); !ours || slices.Contains(wanted, name) {
			continue
		}
		s := Step{Table: name, Kind: DropTable, Command: dropCommand, Why: "no table that is configured needs it",
			SQL: fmt.Sprintf("DROP %s IF EXISTS %s", h.word(), qualified(database, name)), What: fmt.Sprintf("drop the %s", strings.ToLower(h.word()))}
		if strings.HasPrefix(name, runPrefix) || strings.HasPrefix(name, shadowPrefix) {
			if !idle {
				continue
			}
			s.Automatic, s.Command, s.Why = true, "", "a process that was killed left it behind"
		}
		if h.word() == "TABLE" {
			s.What += fmt.Sprintf(" with %d rows", h.rows)
		}
		steps = append(steps, s)
	}
	// What is read from others goes first.
	slices.SortStableFunc(steps, func(a, b Step) int { return dropRank(a) - dropRank(b) })
	return steps
}

func dropRank(s Step) int {
	for i, prefix := range []string{"DROP VIEW", "DROP DICTIONARY"} {
		if strings.HasPrefix(s.SQL, prefix) {
			return i
		}
	}
	return 2
}

// word is what the object is called in statements.
func (t haveTable) word() string {
	switch t.engine {
	case "View":
		return "VIEW"
	case "Dictionary":
		return "DICTIONARY"
	}
	return "TABLE"
}

func sortedNames(have map[string]haveTable) []string {
	names := make([]string, 0, len(have))
	for name := range have {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
