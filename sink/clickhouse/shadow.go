package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"deskhouse/source"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// A rebuild makes a table anew beside itself, in a shadow table
// rebuild_<table>_<run>, while Write writes both, and exchanges the two at the
// end. Readers see the old table until then. Only main tables are rebuilt.

const shadowPrefix = "rebuild_"

const shadowText = "copy of a table that is being rebuilt; dropped when it ends"

func shadowName(t source.Table, run string) string { return shadowPrefix + string(t) + "_" + run }

// shadows are the rebuilds under way in this process: table to shadow.
type shadows struct {
	mu     sync.Mutex
	shadow map[source.Table]shadow
}

// shadow is one rebuild.
type shadow struct {
	name   string
	layout *layout // nil: the main table's, whatever that is at the moment
	// retired are the paths of the fields in the main table's retired columns.
	retired map[string]string
}

// writes is the layout of the rows that the shadow takes.
func (s shadow) writes(main *layout) *layout {
	if s.layout != nil {
		return s.layout
	}
	return main
}

// keeps is what a row of the main table keeps in the shadow.
func (s shadow) keeps(main *layout, kept keptValues) keptValues {
	if s.layout != nil {
		return main.inOther(kept, nil)
	}
	return kept
}

// converts reports whether rows of the main table pass this process on their way
// into the shadow: they get another layout, or the selection takes off them what
// it left out since they were written.
func (s shadow) converts(main *layout) bool {
	return s.layout != nil || s.name != "" && main.mask != nil
}

// of is the shadow of a table, "" without a rebuild.
func (s *shadows) of(t source.Table) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shadow[t].name
}

// get is the rebuild of a table, its name "" without one.
func (s *shadows) get(t source.Table) shadow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shadow[t]
}

func (s *shadows) set(t source.Table, to shadow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shadow == nil {
		s.shadow = map[source.Table]shadow{}
	}
	s.shadow[t] = to
}

// end forgets a rebuild if it is still the one of that name.
func (s *shadows) end(t source.Table, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shadow[t].name == name {
		delete(s.shadow, t)
	}
}

func (s *shadows) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.shadow)
}

// all are the shadows' names, in the order of tables.
func (s *shadows) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, r := range source.Resources {
		if name := s.shadow[r.Table].name; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// BeginRebuild makes a shadow of a main table, with the columns, custom fields
// and fence it has now, or of the configured layout where the table has another,
// and gives it the deleted rows, which no reading brings.
// From then on Write writes both. Beginning the same run again, after an error,
// completes it; another one is refused with ErrRebuild until SwapRebuild or
// DropRebuild. ErrRebuild also when the database's engine cannot exchange
// tables; nothing has been made then.
func (w *Warehouse) BeginRebuild(ctx context.Context, t source.Table, run string) error {
	w.schemaMu.Lock() // no custom field is added to the one and not to the other
	defer w.schemaMu.Unlock()
	l, err := w.layout(t)
	if err != nil {
		return err
	}
	name := shadowName(t, run)
	switch held := w.shadows.of(t); {
	case held == "":
		s, err := w.createShadow(ctx, l, name)
		if err != nil {
			return err
		}
		w.shadows.set(t, s)
	case held != name:
		return rebuildError(t, "another one is under way in "+held)
	}
	return w.copyRows(ctx, t, name, "_is_deleted = 1")
}

// ErrRebuild: a rebuild cannot go on, and trying again will not help.
var ErrRebuild = errors.New("rebuild is not possible")

func rebuildError(t source.Table, format string, a ...any) error {
	return &Error{Op: "rebuild " + mainName(t), Err: fmt.Errorf("%w: "+format, append([]any{ErrRebuild}, a...)...)}
}

func (w *Warehouse) createShadow(ctx context.Context, l *layout, name string) (shadow, error) {
	t := l.res.Table
	if err := w.canExchange(ctx, t); err != nil {
		return shadow{}, err
	}
	if err := w.dropTable(ctx, name, atOnce); err != nil {
		return shadow{}, err
	}
	if w.cfg.layout(t, nil).document != l.document {
		return w.createOther(ctx, l, name)
	}
	tables, err := w.have(ctx)
	if err != nil {
		return shadow{}, err
	}
	s := shadow{name: name, retired: retiredPaths(tables[mainName(t)])}
	return s, w.exec(ctx, "make the shadow of "+mainName(t), shadowSQL(w.cfg.Database, t, name))
}

// shadowSQL takes everything but the comment from the main table: columns that
// people added, and the fence, too.
func shadowSQL(database string, t source.Table, name string) string {
	return fmt.Sprintf("CREATE TABLE %s AS %s COMMENT %s", qualified(database, name), qualified(database, mainName(t)), literal(marked(shadowText)))
}

// exchanging are the database engines with EXCHANGE TABLES (ClickHouse docs,
// EXCHANGE Statement: "Atomic or Shared"; Replicated is built on Atomic).
var exchanging = []string{"Atomic", "Replicated", "Shared"}

func (w *Warehouse) canExchange(ctx context.Context, t source.Table) error {
	var engine string
	err := w.scan(ctx, "read the database's engine", "SELECT engine FROM system.databases WHERE name = {db:String}", w.dbArg(),
		func(row scanner) error { return row.Scan(&engine) })
	if err != nil {
		return err
	}
	if !slices.Contains(exchanging, engine) {
		return rebuildError(t, "database %s has the engine %s, which cannot exchange tables; move it to one with the engine Atomic", w.cfg.Database, engine)
	}
	return nil
}

// DropRebuild gives a rebuild up; without one it does nothing. One whose table
// was exchanged for one of another layout, though SwapRebuild failed, it ends
// instead. After an error what is left of the shadow goes at the next Prepare.
func (w *Warehouse) DropRebuild(ctx context.Context, t source.Table) error {
	w.schemaMu.Lock()
	defer w.schemaMu.Unlock()
	s := w.shadows.get(t)
	if s.name == "" {
		return nil
	}
	defer w.shadows.end(t, s.name)
	if s.layout != nil {
		tables, err := w.have(ctx)
		if err != nil {
			return err
		}
		if isDocument(tables[mainName(t)]) == s.layout.document {
			return w.endExchange(ctx, t, s, tables)
		}
	}
	w.shadows.end(t, s.name) // nobody writes it any more
	return w.dropTable(ctx, s.name, atOnce)
}

// When a dropped table's data goes: at once, after waiting for the statements
// that use it, or some minutes later without waiting (docs: Atomic,
// database_atomic_delay_before_drop_table_sec).
const (
	atOnce = " SYNC"
	later  = ""
)

// dropTable drops a shadow of any size: the server refuses to drop more than
// 50 GB unless told (docs: max_table_size_to_drop).
func (w *Warehouse) dropTable(ctx context.Context, name, when string) error {
	ctx = driver.Context(ctx, driver.WithSettings(driver.Settings{"max_table_size_to_drop": 0}))
	return w.exec(ctx, "drop "+name, "DROP TABLE IF EXISTS "+qualified(w.cfg.Database, name)+when)
}

// dropShadows drops the shadows that are not of this process's rebuilds: a
// rebuild is never continued by another process, and whoever still works on it
// must not exchange it into place. That one's statements are not waited for.
func (w *Warehouse) dropShadows(ctx context.Context) error {
	left, err := w.ours(ctx, shadowPrefix)
	for _, name := range left {
		if !slices.Contains(w.shadows.all(), name) {
			err = errors.Join(err, w.dropTable(ctx, name, later))
		}
	}
	return err
}

// endRebuilds gives up what is under way and drops what a killed process left.
func (w *Warehouse) endRebuilds(ctx context.Context) error {
	w.shadows.endAll()
	return w.dropShadows(ctx)
}

// ours are the tables with a prefix that deskhouse made.
func (w *Warehouse) ours(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := w.scan(ctx, "list tables "+strings.TrimSuffix(prefix, "_"), "SELECT name, comment FROM system.tables WHERE database = {db:String} AND startsWith(name, {prefix:String}) ORDER BY name",
		args{"db": w.cfg.Database, "prefix": prefix}, func(row scanner) error {
			var name, comment string
			if err := row.Scan(&name, &comment); err != nil {
				return err
			}
			if _, ours := formatOf(comment); ours {
				names = append(names, name)
			}
			return nil
		})
	return names, err
}
