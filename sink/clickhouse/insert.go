package clickhouse

import (
	"context"
	"fmt"
	"maps"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// insert sends one block into a table. It returns nil once the server has
// acknowledged it. fill appends one slice per column, in order, and may be
// called again. token names
// the rows of the block, "" for none: a repeated block may then be dropped by
// the server, an optimisation no rule rests on.
func (w *Warehouse) insert(ctx context.Context, name string, cols []column, token string, fill func(chdriver.Batch) error) error {
	op := "insert into " + name
	settings := driver.Settings{"async_insert": 0} // the default is 1 from 26.x on; then nil would not mean written
	if token != "" {
		settings["insert_deduplication_token"] = token
	}
	types := make([]driver.ColumnNameAndType, len(cols))
	for i, c := range cols {
		if c.typ == typeDocument {
			maps.Copy(settings, documentSettings)
		}
		types[i] = driver.ColumnNameAndType{Name: c.name, Type: c.typ}
	}
	ctx = driver.Context(w.tagged(ctx), driver.WithSettings(settings), driver.WithColumnNamesAndTypes(types))
	sql := fmt.Sprintf("INSERT INTO %s (%s)", ident(name), idents(table{columns: cols}.names()))
	return classify(op, moved(func() error { return w.send(ctx, sql, fill) }))
}

func (w *Warehouse) send(ctx context.Context, sql string, fill func(chdriver.Batch) error) error {
	batch, err := w.into.PrepareBatch(ctx, sql)
	if err != nil {
		return err
	}
	if err := fill(batch); err != nil {
		_ = batch.Abort()
		return err
	}
	return batch.Send()
}

// appendAll hands one slice to each column in turn.
func appendAll(batch chdriver.Batch, slices ...any) error {
	for i, s := range slices {
		if err := batch.Column(i).Append(s); err != nil {
			return err
		}
	}
	return nil
}

// given are the columns that are sent, without those the server fills.
func given(cols []column) []column {
	var sent []column
	for _, c := range cols {
		if c.def == "" {
			sent = append(sent, c)
		}
	}
	return sent
}
