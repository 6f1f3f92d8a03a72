package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"deskhouse/source"
)

// Prepare makes database, tables, dictionaries and views as they should be and
// learns which custom fields have columns. It is idempotent, adds what is
// missing and changes comments, as far as steps are Automatic; it never drops
// or retypes a column. Errors:
// ErrNoDatabase, ErrDenied, ErrForeign, ErrNewerFormat, ErrOtherPipeline,
// ErrOtherServer, ErrSchema; on any of them nothing of another owner has been touched. It must
// succeed before any other method but Version, Conn and Query.
func (w *Warehouse) Prepare(ctx context.Context, tables []source.Table) error {
	for _, t := range tables {
		if source.Lookup(t) == nil {
			return fmt.Errorf("%w: there is no table %q", ErrConfig, t)
		}
	}
	w.schemaMu.Lock()
	defer w.schemaMu.Unlock()
	if err := w.hosts.agree(ctx); err != nil {
		return err
	}
	if err := w.createDatabase(ctx); err != nil {
		return err
	}
	have, err := w.have(ctx)
	if err != nil {
		return err
	}
	if err := checkOurs(have, w.cfg.ourNames(tables)); err != nil {
		return err
	}
	if err := w.claim(ctx); err != nil {
		return err
	}
	if err := w.hosts.agree(ctx); err != nil { // now that the database has an owner
		return err
	}
	layouts, want := w.cfg.wanted(tables, have)
	steps := planTables(w.cfg.Database, have, want)
	if err := refusal(steps); err != nil {
		return err
	}
	if err := w.carryOut(ctx, steps); err != nil {
		return err
	}
	return errors.Join(w.adopt(ctx, layouts), w.endRuns(ctx), w.endRebuilds(ctx))
}

// carryOut does the automatic steps, in their order.
func (w *Warehouse) carryOut(ctx context.Context, steps []Step) error {
	done := 0
	for _, s := range steps {
		if !s.Automatic {
			continue
		}
		if err := w.exec(ctx, s.did(), s.SQL); err != nil {
			return err
		}
		done++
	}
	if done > 0 {
		w.cfg.Logger.Info().Int("steps", done).Msg("warehouse tables changed")
	}
	if waiting := slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s.Automatic || s.Cleanup() }); len(waiting) > 0 {
		w.cfg.Logger.Warn().Int("steps", len(waiting)).Msg("changes of the tables wait for a person, see `deskhouse schema --diff`")
	}
	return nil
}

// adopt makes dictionaries and views and publishes the layouts.
func (w *Warehouse) adopt(ctx context.Context, layouts []*layout) error {
	w.names = nameTables{}
	for t := range namesOf(layouts) {
		if err := w.prepareNames(ctx, t); err != nil {
			return err
		}
	}
	if err := w.createViews(ctx, w.cfg.allViews(layouts, w.names)); err != nil {
		return err
	}
	for _, l := range layouts {
		l, err := w.withKept(ctx, l)
		if err != nil {
			return err
		}
		w.publish(l)
	}
	w.sayOtherLayouts()
	return nil
}

func (w *Warehouse) createViews(ctx context.Context, views []view) error {
	for _, v := range views {
		if err := w.exec(ctx, "prepare view "+v.name, v.create(w.cfg.Database)); err != nil {
			return err
		}
	}
	return nil
}

// createDatabase makes the database unless it is there: asking needs no grant,
// creating does.
func (w *Warehouse) createDatabase(ctx context.Context) error {
	found, err := w.databaseExists(ctx)
	if err != nil || found {
		return err
	}
	err = w.exec(ctx, "create the database", createDatabase(w.cfg.Database))
	if isDenied(err) {
		return fmt.Errorf("%w: %w; create it, or grant CREATE DATABASE", ErrNoDatabase, err)
	}
	return err
}

func createDatabase(name string) string { return "CREATE DATABASE IF NOT EXISTS " + ident(name) }

func (w *Warehouse) databaseExists(ctx context.Context) (bool, error) {
	var found uint64
	err := w.scan(ctx, "look for the database", "SELECT count() FROM system.databases WHERE name = {db:String}", w.dbArg(),
		func(row scanner) error { return row.Scan(&found) })
	return found > 0, err
}

// Check reports what Prepare would refuse, as the same errors, and changes
// nothing. A database that does not exist yet is fine.
func (w *Warehouse) Check(ctx context.Context, tables []source.Table) error {
	have, err := w.lookAt(ctx, tables)
	if err != nil {
		return err
	}
	_, want := w.cfg.wanted(tables, have)
	return refusal(planTables(w.cfg.Database, have, want))
}

// claim makes the database this pipeline's own. The owner stands in the
// comment of one table; CREATE TABLE decides between two that start at once.
func (w *Warehouse) claim(ctx context.Context) error {
	mine := ownerComment(w.cfg.Pipeline, w.cfg.OrgID)
	if err := w.exec(ctx, "claim the database", positionsTable(mine).create(w.cfg.Database)); err != nil {
		return err
	}
	return w.checkOwner(ctx)
}

// checkOwner compares the owner that the database names with this pipeline.
func (w *Warehouse) checkOwner(ctx context.Context) error {
	var comment string
	err := w.scan(ctx, "read the database's owner", "SELECT comment FROM system.tables WHERE database = {db:String} AND name = {name:String}",
		args{"db": w.cfg.Database, "name": positionsName}, func(row scanner) error { return row.Scan(&comment) })
	if err != nil {
		return err
	}
	pipeline, org, ok := parseOwner(comment)
	if !ok {
		return fmt.Errorf("%w: the comment of %s does not name an owner", ErrForeign, positionsName)
	}
	if pipeline == w.cfg.Pipeline && org == w.cfg.OrgID {
		return nil
	}
	return fmt.Errorf("%w: %q of organization %d (this is %q of %d); use a database of its own", ErrOtherPipeline, pipeline, org, w.cfg.Pipeline, w.cfg.OrgID)
}

const ownerText = "positions of pipeline "

func ownerComment(pipeline string, org uint64) string {
	return fmt.Sprintf("%s%s of organization %d; this comment says whose database this is", ownerText, strconv.Quote(pipeline), org)
}

func parseOwner(comment string) (pipeline string, org uint64, ok bool) {
	_, rest, ok1 := strings.Cut(comment, ": "+ownerText)
	pipeline, rest, ok2 := cutQuoted(rest)
	rest, ok3 := strings.CutPrefix(rest, " of organization ")
	digits, _, _ := strings.Cut(rest, ";")
	org, err := strconv.ParseUint(digits, 10, 64)
	return pipeline, org, ok1 && ok2 && ok3 && err == nil
}

// wanted is the layout of each table, with the custom columns there are, and
// every table the database should have.
func (c Config) wanted(tables []source.Table, have map[string]haveTable) ([]*layout, []table) {
	var layouts []*layout
	want := append(logbookTables(), positionsTable(ownerComment(c.Pipeline, c.OrgID)))
	for _, t := range tables {
		l := c.has(t, have[mainName(t)])
		l = l.withPending(l.pendingIn(have))
		l.moved = l.movedIn(have[mainName(t)])
		layouts = append(layouts, l)
		want = append(want, l.tables()...)
	}
	return layouts, want
}

// ourNames are all names that Prepare would create for these tables.
func (c Config) ourNames(tables []source.Table) []string {
	var names []string
	for _, t := range logbookTables() {
		names = append(names, t.name)
	}
	names = append(names, positionsName)
	for _, v := range logbookViews("") {
		names = append(names, v.name)
	}
	for _, t := range tables {
		l := c.layout(t, nil)
		for _, tab := range l.tables() {
			names = append(names, tab.name)
		}
		for _, v := range l.views("", nil) {
			names = append(names, v.name)
		}
		if nameColumn[t] != "" {
			names = append(names, dictionaryName(t))
		}
	}
	slices.Sort(names)
	return names
}

// errNotPrepared is a mistake of the caller, not of the server.
var errNotPrepared = errors.New("table was not prepared")

// layout returns the columns of a table as of now.
func (w *Warehouse) layout(t source.Table) (*layout, error) {
	w.layoutMu.RLock()
	defer w.layoutMu.RUnlock()
	l := w.layouts[t]
	if l == nil {
		return nil, fmt.Errorf("%s: %w", t, errNotPrepared)
	}
	return l, nil
}

func (w *Warehouse) publish(l *layout) {
	w.layoutMu.Lock()
	defer w.layoutMu.Unlock()
	w.layouts[l.res.Table] = l
}
