package clickhouse

import (
	"context"
	"errors"
	"fmt"

	"deskhouse/source"
)

// prepareNames makes the dictionary of a table's names and makes sure that the
// server can load it. The server logs in for that by itself, with user and
// password and from no address: users that log in by certificate, and those
// who may come from certain addresses only, are refused then (seen with 26.7:
// code 516). The server's own default user is tried next. Where that is refused
// too the views go without names.
func (w *Warehouse) prepareNames(ctx context.Context, t source.Table) error {
	logins := []credentials{w.cred}
	if w.cred.clause() != "" {
		logins = append(logins, credentials{})
	}
	return w.namesAs(ctx, t, logins)
}

// namesAs makes the dictionary as the first of these users that the server can
// be.
func (w *Warehouse) namesAs(ctx context.Context, t source.Table, logins []credentials) error {
	for i, login := range logins {
		err := w.exec(ctx, "prepare names of "+string(t), createDictionary(w.cfg.Database, t, login))
		if err == nil {
			err = w.tryNames(ctx, t)
		}
		if err == nil {
			w.names[t] = true
			return nil
		}
		if !errors.Is(err, ErrAuth) && (i == 0 || !isDenied(err)) {
			return err
		}
	}
	delete(w.names, t)
	w.cfg.Logger.Warn().Str("table", string(t)).Msg("views have no names of this table: the server cannot load the dictionary as this user " +
		"(it logs in by itself, with user and password and from no address); give the user a password as well, and let it come from any host")
	return nil
}

// tryNames makes the server load the dictionary, as the first query would.
func (w *Warehouse) tryNames(ctx context.Context, t source.Table) error {
	sql := fmt.Sprintf("SELECT isNull(%s)", lookup(w.cfg.Database, t, "toUInt64(0)"))
	return w.scan(ctx, "load names of "+string(t), sql, nil, func(row scanner) error {
		var null uint8
		return row.Scan(&null)
	})
}
