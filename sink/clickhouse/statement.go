package clickhouse

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// args are the values of a statement's {name:Type} parameters.
type args map[string]any

func (a args) named() []any {
	var list []any
	for name, value := range a {
		list = append(list, driver.Named(name, value))
	}
	return list
}

func (w *Warehouse) dbArg() args { return args{"db": w.cfg.Database} }

// scanner is one row of a result.
type scanner interface{ Scan(dest ...any) error }

// exec runs a statement without values. One that writes a definition is not
// tried on a full disk.
func (w *Warehouse) exec(ctx context.Context, op, sql string) error {
	if defines(sql) {
		if err := w.room(ctx, op); err != nil {
			return err
		}
	}
	err := moved(func() error { return w.conn.Exec(w.tagged(ctx), sql) })
	if tooLarge(err) {
		ctx = driver.Context(ctx, driver.WithSettings(driver.Settings{"max_query_size": maxStatement}))
		err = moved(func() error { return w.conn.Exec(w.tagged(ctx), sql) })
	}
	return classify(op, err)
}

// A server reads 256 KiB of SQL unless told (docs: max_query_size), and counts
// the whole definition of a table that is altered: some 700 custom fields.
const maxStatement = 64 << 20

// tooLarge reports whether a statement was refused, unread, for its size (ClickHouse
// code 229, QUERY_IS_TOO_LARGE; 62, a syntax error, where it was cut).
func tooLarge(err error) bool {
	var x *driver.Exception
	return errors.As(err, &x) && (x.Code == 229 || x.Code == 62 && strings.Contains(x.Message, "Max query size exceeded"))
}

// execWith runs a statement that reads an external table.
func (w *Warehouse) execWith(ctx context.Context, op, sql string, t *ext.Table) error {
	return w.exec(driver.Context(ctx, driver.WithExternalTable(t)), op, sql)
}

// scan runs a query and calls each for every row.
func (w *Warehouse) scan(ctx context.Context, op, sql string, a args, each func(scanner) error, tables ...*ext.Table) error {
	if len(tables) > 0 {
		ctx = driver.Context(ctx, driver.WithExternalTable(tables...))
	}
	var rows chdriver.Rows
	err := moved(func() (err error) {
		rows, err = w.conn.Query(w.tagged(ctx), sql, a.named()...)
		return err
	})
	if err != nil {
		return classify(op, err)
	}
	for rows.Next() {
		if err := each(rows); err != nil {
			_ = rows.Close()
			return classify(op, err)
		}
	}
	return classify(op, errors.Join(rows.Err(), rows.Close()))
}

// tagged gives the statement a query id that names database and epoch, so that
// a new leader can find and kill what an old one left running.
func (w *Warehouse) tagged(ctx context.Context) context.Context {
	id := fmt.Sprintf("%s%d/%s/%d", w.queryPrefix(), w.fence.Load(), w.instance, w.queries.Add(1))
	return driver.Context(ctx, driver.WithQueryID(id))
}

// queryPrefix starts the query ids of this database. Its name is encoded: a
// slash in it would shift the parts.
func (w *Warehouse) queryPrefix() string {
	return "deskhouse/" + hex.EncodeToString([]byte(w.cfg.Database)) + "/"
}

func newInstance() string { return strings.ToLower(rand.Text()[:12]) }

func isDenied(err error) bool { return errors.Is(err, ErrDenied) }
