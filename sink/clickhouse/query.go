package clickhouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Result is the rows of a query, one at a time: call Next until it returns
// false, then Err, and Close in any case. Not safe for concurrent use.
type Result struct {
	Columns []string
	rows    chdriver.Rows // nil after a statement without a result
	dest    []any
	dates   []bool // columns of days without a time
	err     error
}

// Query runs a query of a person, in the pipeline's database as far as names
// are concerned, and streams its rows. Unlike other errors of this package,
// those of Query hold the server's message: whoever asks may read it, and it
// must not be logged.
func (w *Warehouse) Query(ctx context.Context, query string) (*Result, error) {
	// The embedded engine dies of a native session in an unknown database, so
	// none is opened.
	if found, err := w.databaseExists(ctx); err != nil || !found {
		return nil, cmp.Or(err, fmt.Errorf("%w: %s; `deskhouse run` creates it", ErrNoDatabase, w.cfg.Database))
	}
	if !givesRows(query) {
		if err := moved(func() error { return w.into.Exec(w.tagged(ctx), query) }); err != nil {
			return nil, forPeople(err)
		}
		return &Result{}, nil
	}
	var rows chdriver.Rows
	err := moved(func() (err error) {
		rows, err = w.into.Query(w.tagged(ctx), query)
		return err
	})
	if err != nil {
		return nil, forPeople(err)
	}
	r := &Result{Columns: rows.Columns(), rows: rows}
	for _, t := range rows.ColumnTypes() {
		r.dest = append(r.dest, reflect.New(t.ScanType()).Interface())
		r.dates = append(r.dates, isDate(t.DatabaseTypeName()))
	}
	return r, nil
}

// silent are the first words of statements without a result: the driver takes
// the end of one it waits rows of for a lost connection.
var silent = []string{"ALTER", "ATTACH", "CREATE", "DELETE", "DETACH", "DROP", "EXCHANGE", "GRANT", "INSERT", "OPTIMIZE", "RENAME", "REPLACE", "REVOKE",
	"SET", "SYSTEM", "TRUNCATE", "UNDROP", "UPDATE", "USE"}

func givesRows(query string) bool {
	words := strings.Fields(query)
	return len(words) == 0 || !slices.Contains(silent, strings.ToUpper(words[0]))
}

// QueryError is a query the server refused, in the server's words.
type QueryError struct {
	Code    int32
	Message string
	Err     error // classified, without the message
}

func (e *QueryError) Error() string { return fmt.Sprintf("ClickHouse code %d: %s", e.Code, e.Message) }
func (e *QueryError) Unwrap() error { return e.Err }

func forPeople(err error) error {
	classified := classify("query", err)
	var x *driver.Exception
	if errors.As(err, &x) {
		return &QueryError{Code: x.Code, Message: x.Message, Err: classified}
	}
	return classified
}

// Next reads the next row: each value as text, null tells which are NULL. The
// slices are the caller's.
func (r *Result) Next() (values []string, null []bool, ok bool) {
	if !r.scan() {
		return nil, nil, false
	}
	values, null = make([]string, len(r.dest)), make([]bool, len(r.dest))
	for i, d := range r.dest {
		values[i], null[i] = shows{r.dates[i]}.text(reflect.ValueOf(d).Elem())
	}
	return values, null, true
}

// NextJSON is Next with values for encoding/json, in the shapes of ClickHouse's
// JSON formats by their defaults: numbers of any size as numbers with all their
// digits (whoever reads them as doubles rounds beyond 2^53: ids are to be read
// exactly, or asked for with toString), NaN and infinities as null, Bool, arrays,
// maps and named tuples as what JSON has for them, times in UTC and all else as
// text.
func (r *Result) NextJSON() (values []any, ok bool) {
	if !r.scan() {
		return nil, false
	}
	values = make([]any, len(r.dest))
	for i, d := range r.dest {
		values[i] = shows{r.dates[i]}.json(reflect.ValueOf(d).Elem())
	}
	return values, true
}

func (r *Result) scan() bool {
	if r.rows == nil || r.err != nil || !r.rows.Next() {
		return false
	}
	if err := r.rows.Scan(r.dest...); err != nil {
		r.err = forPeople(err)
	}
	return r.err == nil
}

// Err is why the rows ended, nil at the end of the result.
func (r *Result) Err() error {
	if r.err != nil {
		return r.err
	}
	if r.rows == nil {
		return nil
	}
	if err := r.rows.Err(); err != nil {
		return forPeople(err)
	}
	return nil
}

// Close lets go of the connection.
func (r *Result) Close() error {
	if r.rows == nil {
		return nil
	}
	return classify("close the result", r.rows.Close())
}
