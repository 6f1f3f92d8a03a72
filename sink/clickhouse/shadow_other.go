package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
)

// A rebuild is also what changes a table's layout: the shadow then has the
// configured one, rows that it takes from the main table are converted, and
// views are made anew after the exchange.

// createOther makes an empty shadow of the configured layout, with the fence and
// with the columns that people added, whose values their defaults give.
func (w *Warehouse) createOther(ctx context.Context, from *layout, name string) (shadow, error) {
	t := from.res.Table
	tables, err := w.have(ctx)
	if err != nil {
		return shadow{}, err
	}
	have := tables[mainName(t)]
	s := shadow{name: name, layout: w.cfg.layout(t, nil), retired: retiredPaths(have)}
	want := s.layout.mainTable()
	theirs, err := w.addedByPeople(ctx, t, have)
	if err != nil {
		return shadow{}, err
	}
	for _, c := range theirs {
		if slices.Contains(want.names(), c.name) {
			return shadow{}, rebuildError(t, "the other layout needs the name of your column %s; rename that", c.name)
		}
	}
	held, err := w.fenceOf(ctx, mainName(t))
	if err != nil {
		return shadow{}, err
	}
	want.name, want.comment = name, shadowText
	statements := []string{want.create(w.cfg.Database), fenceSQL(w.cfg.Database, name, held)}
	for _, c := range theirs {
		statements = append(statements, c.add(w.cfg.Database, name))
	}
	for _, sql := range statements {
		if err := w.exec(ctx, "make the shadow of "+mainName(t), sql); err != nil {
			return shadow{}, err
		}
	}
	if s.layout.document || !from.res.HasCustom() {
		return s, nil
	}
	fields, err := w.customFields(ctx, t)
	if err != nil {
		return shadow{}, err
	}
	if tables, err = w.have(ctx); err != nil {
		return shadow{}, err
	}
	return w.giveCustom(ctx, s, tables[name], fields)
}

// retiredPaths are the fields behind the columns that are filled no more.
func retiredPaths(have haveTable) map[string]string {
	paths := map[string]string{}
	for _, c := range have.columns {
		text, _ := splitRetired(c.comment)
		if rest, ok := strings.CutPrefix(text, fieldMark); ok {
			_, path, _ := strings.Cut(rest, ".")
			paths[c.name], _, _ = strings.Cut(path, ":")
		}
	}
	return paths
}

// theirColumn is a column that deskhouse did not make.
type theirColumn struct{ name, typ, kind, expr, comment string }

func (c theirColumn) add(database, table string) string {
	def := c.typ
	if c.kind != "" {
		def += " " + c.kind + " " + c.expr
	}
	return fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s COMMENT %s", qualified(database, table), ident(c.name), def, literal(c.comment))
}

func (w *Warehouse) addedByPeople(ctx context.Context, t source.Table, have haveTable) ([]theirColumn, error) {
	var theirs []theirColumn
	keys := orderOf(t)
	err := w.scan(ctx, "list columns of "+mainName(t), "SELECT name, type, default_kind, default_expression, comment FROM system.columns WHERE database = {db:String} AND table = {name:String} ORDER BY position",
		args{"db": w.cfg.Database, "name": mainName(t)}, func(row scanner) error {
			var c theirColumn
			if err := row.Scan(&c.name, &c.typ, &c.kind, &c.expr, &c.comment); err != nil {
				return err
			}
			h, _ := have.column(c.name)
			if !made(h) && !slices.Contains(keys, c.name) {
				theirs = append(theirs, c)
			}
			return nil
		})
	return theirs, err
}

// exchangeOther exchanges a table and its shadow of another layout. Where an
// earlier call did so and could not end, it only makes the views: exchanging
// again would take the change back.
func (w *Warehouse) exchangeOther(ctx context.Context, was *layout, s shadow) error {
	t := was.res.Table
	tables, err := w.have(ctx)
	if err != nil {
		return err
	}
	if isDocument(tables[mainName(t)]) != s.layout.document {
		for _, sql := range []string{
			commentTable(w.cfg.Database, s.name, s.layout.mainTable().comment),
			fmt.Sprintf("EXCHANGE TABLES %s AND %s", qualified(w.cfg.Database, mainName(t)), qualified(w.cfg.Database, s.name)),
		} {
			if err := w.exec(ctx, "exchange "+mainName(t)+" and its shadow", sql); err != nil {
				return err
			}
		}
		tables[mainName(t)], tables[s.name] = tables[s.name], tables[mainName(t)]
	}
	return w.endExchange(ctx, t, s, tables)
}

// endExchange takes up the layout that the main table has now.
func (w *Warehouse) endExchange(ctx context.Context, t source.Table, s shadow, tables map[string]haveTable) error {
	next, err := w.withKept(ctx, s.layout.withPending(s.layout.pendingIn(tables)))
	if err != nil {
		return err
	}
	w.publish(next)
	if err := w.createViews(ctx, next.views(w.cfg.Database, w.names)); err != nil {
		return err
	}
	w.stale.note(t)
	w.shadows.end(t, s.name)
	w.cfg.Logger.Info().Str("table", string(t)).Str("layout", string(next.kind())).Msg("layout changed")
	if err := w.dropTable(ctx, s.name, later); err != nil {
		w.cfg.Logger.Warn().Err(err).Str("table", string(t)).Msg("old table of a rebuild stays until the next start")
	}
	return nil
}
