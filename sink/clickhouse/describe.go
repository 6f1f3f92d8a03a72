package clickhouse

import (
	"context"
	"maps"
	"slices"
	"strings"

	"deskhouse/source"
)

// Schema is a pipeline's database as it is, as it should be, and the way from
// the one to the other.
type Schema struct {
	Database string        `json:"database"`
	Tables   []SchemaTable `json:"tables"` // those that should be there in a fixed order, then the others by name
	Plan     []Step        `json:"plan"`   // in the order to be done
}

// SchemaTable is a table, view or dictionary that is there or should be.
type SchemaTable struct {
	Name    string         `json:"name"`
	Kind    string         `json:"kind"` // table, view, dictionary
	Comment string         `json:"comment"`
	Rows    uint64         `json:"rows"` // of tables, older versions included
	Ours    bool           `json:"ours"` // made by deskhouse, or to be made
	Columns []SchemaColumn `json:"columns"`
}

// SchemaColumn is a column that is there or should be.
type SchemaColumn struct {
	Name  string      `json:"name"`
	Have  *Definition `json:"have"`  // null: it is not there
	Want  *Definition `json:"want"`  // null: deskhouse does not want it
	Field string      `json:"field"` // of Zoho's, "tickets.subject"; of custom fields the API name
	Label string      `json:"label"` // of custom fields
	State ColumnState `json:"state"`
}

// Definition is a column's type, and its comment without marks.
type Definition struct {
	Type    string `json:"type"`
	Comment string `json:"comment"`
}

// ColumnState says what is special about a column.
type ColumnState string

// The states; "" is a column that is filled as it should be.
const (
	ColumnPending  ColumnState = "backfill pending" // rows from before the column lack its values until a resync
	ColumnFormer   ColumnState = "former"           // the custom field has another type now, and another column
	ColumnRemoved  ColumnState = "removed at Zoho"  // the custom field is not listed there any more
	ColumnRetired  ColumnState = "no longer filled" // deskhouse made it and does not want it any more
	ColumnForeign  ColumnState = "not deskhouse's"  // left alone
	ColumnMissing  ColumnState = "missing"          // to be added
	ColumnMistyped ColumnState = "another type"     // somebody changed it
)

// Schema compares the database with what these tables need and changes
// nothing. It needs no Prepare. Its errors are those of Check but ErrSchema,
// which stands in the plan as Blocking steps.
func (w *Warehouse) Schema(ctx context.Context, tables []source.Table) (Schema, error) {
	w.schemaMu.Lock() // not in the middle of a change
	defer w.schemaMu.Unlock()
	return w.schema(ctx, tables)
}

func (w *Warehouse) schema(ctx context.Context, tables []source.Table) (Schema, error) {
	s := Schema{Database: w.cfg.Database, Tables: []SchemaTable{}, Plan: []Step{}}
	have, err := w.lookAt(ctx, tables)
	if err != nil {
		return s, err
	}
	found, err := w.databaseExists(ctx)
	if err != nil {
		return s, err
	}
	if !found {
		s.Plan = append(s.Plan, Step{Kind: CreateDatabase, Columns: []string{}, Automatic: true, SQL: createDatabase(w.cfg.Database), What: "make the database", Why: "it does not exist"})
	}
	layouts, want := w.cfg.wanted(tables, have)
	names := w.usableNames(ctx, layouts, have)
	views := w.cfg.allViews(layouts, names)
	queries, err := w.viewQueries(ctx, views)
	if err != nil {
		return s, err
	}
	s.Plan = append(s.Plan, slices.Concat(planTables(w.cfg.Database, have, want), w.cfg.planRebuilds(layouts), planViews(w.cfg.Database, have, names, views, queries),
		planLeftovers(w.cfg.Database, have, w.cfg.ourNames(tables), w.idle()))...)
	for i := range s.Plan {
		if s.Plan[i].Columns == nil {
			s.Plan[i].Columns = []string{}
		}
	}
	s.describe(have, want, views, w.cfg.ourNames(tables))
	s.markTaken()
	return s, nil
}

// markTaken says of columns whose name deskhouse needs that they are somebody
// else's.
func (s *Schema) markTaken() {
	for _, p := range s.Plan {
		for _, t := range s.Tables {
			if p.Kind != NameTaken || t.Name != p.Table {
				continue
			}
			for i := range t.Columns {
				if slices.Contains(p.Columns, t.Columns[i].Name) {
					t.Columns[i].State = ColumnForeign
				}
			}
		}
	}
}

// usableNames are the dictionaries that views can use: those that Prepare found
// usable, or else all but those that are there and cannot be loaded.
func (w *Warehouse) usableNames(ctx context.Context, layouts []*layout, have map[string]haveTable) nameTables {
	if !w.idle() {
		return maps.Clone(w.names)
	}
	names := namesOf(layouts)
	for t := range names {
		if _, exists := have[dictionaryName(t)]; exists && w.tryNames(ctx, t) != nil {
			delete(names, t)
		}
	}
	return names
}

// lookAt reads what the database holds and refuses what is not this pipeline's.
func (w *Warehouse) lookAt(ctx context.Context, tables []source.Table) (map[string]haveTable, error) {
	have, err := w.have(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkOurs(have, w.cfg.ourNames(tables)); err != nil {
		return nil, err
	}
	if _, claimed := have[positionsName]; claimed {
		if err := w.checkOwner(ctx); err != nil {
			return nil, err
		}
	}
	return have, nil
}

// idle reports whether nothing was prepared here: whatever stands about then
// was left by another process.
func (w *Warehouse) idle() bool {
	w.layoutMu.RLock()
	defer w.layoutMu.RUnlock()
	return len(w.layouts) == 0
}

// describe lists tables and views with their columns, then whatever else there
// is: what is deskhouse's by its name, what deskhouse made once, and what
// others did.
func (s *Schema) describe(have map[string]haveTable, want []table, views []view, ours []string) {
	for _, t := range want {
		s.Tables = append(s.Tables, describe(t.name, "table", have[t.name], t.columns))
	}
	for _, v := range views {
		cols := make([]column, len(v.columns))
		for i, c := range v.columns {
			cols[i] = column{name: c.name, typ: c.typ, comment: c.comment}
		}
		s.Tables = append(s.Tables, describe(v.name, "view", have[v.name], cols))
	}
	for _, name := range sortedNames(have) {
		if slices.ContainsFunc(s.Tables, func(t SchemaTable) bool { return t.Name == name }) {
			continue
		}
		t := describe(name, strings.ToLower(have[name].word()), have[name], nil)
		if _, t.Ours = formatOf(have[name].comment); t.Ours {
			t.settle(slices.Contains(ours, name))
		}
		s.Tables = append(s.Tables, t)
	}
}

// settle says of a whole table whether it is as it should be or not wanted.
func (t SchemaTable) settle(wanted bool) {
	for i := range t.Columns {
		c := &t.Columns[i]
		c.State = ColumnRetired
		if wanted {
			c.State, c.Want = "", c.Have
		}
	}
}

// describe is one table: wanted columns in their order, then the others.
func describe(name, kind string, have haveTable, want []column) SchemaTable {
	_, comment, _ := strings.Cut(have.comment, ": ")
	t := SchemaTable{Name: name, Kind: kind, Comment: comment, Ours: true, Columns: []SchemaColumn{}}
	if kind == "table" && have.engine != "" {
		t.Rows = have.rows
	}
	for _, c := range want {
		h, exists := have.column(c.name)
		t.Columns = append(t.Columns, describeColumn(h, exists, &c))
	}
	for _, h := range have.columns {
		if !slices.ContainsFunc(want, func(c column) bool { return c.name == h.name }) {
			t.Columns = append(t.Columns, describeColumn(h, true, nil))
		}
	}
	return t
}

func describeColumn(have haveColumn, exists bool, want *column) SchemaColumn {
	c := SchemaColumn{Name: have.name}
	typ := have.typ
	held, pending := splitPending(have.comment)
	text, retired := splitRetired(held)
	if exists {
		c.Have = &Definition{have.typ, text}
	}
	if want != nil {
		c.Name, typ = want.name, want.typ
		text, _ = splitPending(want.comment)
		c.Want = &Definition{want.typ, text}
	}
	c.Field, c.Label = sourceOf(haveColumn{c.Name, typ, text})
	switch {
	case !exists:
		c.State = ColumnMissing
	case want != nil && have.typ != want.typ:
		c.State = ColumnMistyped
	case retired, want == nil && made(have):
		c.State = ColumnRetired
	case want == nil:
		c.State = ColumnForeign
	case pending:
		c.State = ColumnPending
	case strings.HasPrefix(text, formerMark):
		c.State = ColumnFormer
	case strings.HasPrefix(text, removedMark):
		c.State = ColumnRemoved
	}
	return c
}

// sourceOf is the field that a column's comment names, and the label of a custom
// field.
func sourceOf(c haveColumn) (field, label string) {
	_, of := splitHash(c.comment)
	if rest, ok := strings.CutPrefix(of, fieldMark); ok {
		field, _, _ = strings.Cut(rest, " ")
		if !strings.Contains(field, ".") {
			return "", "" // a part of the key that is no field
		}
		return strings.TrimRight(field, ":,;"), ""
	}
	custom, _ := parseCustom(c)
	return custom.APIName, custom.Label
}
