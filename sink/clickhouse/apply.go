package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// ErrStep: a step of a plan cannot be carried out; nothing of it has been.
var ErrStep = errors.New("step cannot be carried out")

// ApplySchema carries out steps of a plan that wait for a person, and everything
// that is automatic: first what blocks Prepare, then Prepare, so that no view
// uses a column any more that is dropped then. Nobody else may work on the
// database meanwhile: the caller holds the pipeline's lease. Steps that are not
// in the plan any more are refused with ErrStep, as are changes of a type that
// some value does not survive. After an error the steps before are done; the
// call may be repeated with a new plan. Errors otherwise as those of Prepare.
func (w *Warehouse) ApplySchema(ctx context.Context, tables []source.Table, steps []Step) error {
	for _, blocking := range []bool{true, false} {
		for _, s := range steps {
			if s.Blocking != blocking {
				continue
			}
			if err := w.apply(ctx, tables, s); err != nil {
				return err
			}
		}
		if err := w.Prepare(ctx, tables); err != nil {
			return err
		}
	}
	return nil
}

func (w *Warehouse) apply(ctx context.Context, tables []source.Table, s Step) error {
	w.schemaMu.Lock()
	defer w.schemaMu.Unlock()
	if s.SQL == "" {
		return s.refused("run `%s`", s.Command)
	}
	if err := w.hosts.agree(ctx); err != nil {
		return err
	}
	now, err := w.schema(ctx, tables)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(now.Plan, func(p Step) bool { return p.Table == s.Table && p.Kind == s.Kind && p.SQL == s.SQL }) {
		return s.refused("it is not in the plan any more")
	}
	switch s.Kind {
	case ChangeType:
		if err := w.fits(ctx, now, s); err != nil {
			return err
		}
	case SetAside:
		// The dictionary of names that reads the table finds the new one there.
		ctx = driver.Context(ctx, driver.WithSettings(driver.Settings{"check_table_dependencies": 0}))
	case DropTable:
		if strings.HasPrefix(s.SQL, "DROP TABLE") {
			return w.dropTable(ctx, s.Table, later)
		}
	}
	return w.exec(ctx, s.did(), s.SQL)
}

func (s Step) refused(format string, a ...any) error {
	return fmt.Errorf("%w: %s: "+format, append([]any{ErrStep, strings.TrimSpace(s.did() + " " + strings.Join(s.Columns, ", "))}, a...)...)
}

// fits refuses to change a type that a value does not survive: it would become
// NULL, or the server would change the definition first, then fail at the
// value, again and again.
func (w *Warehouse) fits(ctx context.Context, now Schema, s Step) error {
	typ := now.wanted(s.Table, s.Columns[0])
	refused := func(why string) error {
		return s.refused("some of its values do not fit %s (%s); rename the column (ALTER TABLE … RENAME COLUMN …), and deskhouse adds its own, which the next resync fills", typ, why)
	}
	var lost uint64
	err := w.scan(ctx, "try the type "+typ+" on "+s.Table, castSQL(w.cfg.Database, s.Table, s.Columns[0], typ), nil,
		func(row scanner) error { return row.Scan(&lost, new(uint64)) })
	var failed *Error
	switch {
	case errors.As(err, &failed) && failed.Code != 0 && !failed.Retry && failed.Err == nil:
		return refused(fmt.Sprintf("ClickHouse code %d, %s", failed.Code, failed.Name))
	case err == nil && lost > 0:
		return refused(fmt.Sprintf("%d of them", lost))
	}
	return err
}

// castSQL counts the values that become NULL by a cast. The hash makes the
// server cast all of them, and fail at one that cannot be.
func castSQL(database, table, col, typ string) string {
	cast := fmt.Sprintf("accurateCast(%s, %s)", ident(col), literal(typ))
	return fmt.Sprintf("SELECT countIf(isNull(%s) AND isNotNull(%s)), ifNull(groupBitXor(cityHash64(%s)), 0) FROM %s", cast, ident(col), cast, qualified(database, table))
}

// wanted is the type a column should have.
func (s Schema) wanted(table, col string) string {
	for _, t := range s.Tables {
		for _, c := range t.Columns {
			if t.Name == table && c.Name == col && c.Want != nil {
				return c.Want.Type
			}
		}
	}
	return ""
}
