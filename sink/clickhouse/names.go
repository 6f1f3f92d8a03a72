package clickhouse

import (
	"context"
	"errors"
	"fmt"

	"deskhouse/source"
)

// nameColumn is the column each dictionary serves.
var nameColumn = map[source.Table]string{source.Departments: "name", source.Products: "product_name"}

func dictionaryName(t source.Table) string {
	return map[source.Table]string{source.Departments: "department_names", source.Products: "product_names"}[t]
}

// lookup is the name of an id, NULL when there is none. The key must not be
// NULL; no record has id 0.
func lookup(database string, t source.Table, key string) string {
	return fmt.Sprintf("dictGetOrNull(%s, 'name', %s)", literal(dictionaryRef(database, t)), key)
}

// dictionaryRef is the dictionary as dictGet takes it: database and name with a
// dot between and no quotes, so a database name with a dot cannot be served.
func dictionaryRef(database string, t source.Table) string {
	return database + "." + dictionaryName(t)
}

// credentials are the user the server reads the dictionary's table as: it
// loads it by itself, outside any session.
type credentials struct{ user, password string }

func (c credentials) clause() string {
	if c.password == "" && (c.user == "" || c.user == "default") {
		return ""
	}
	return "USER " + literal(c.user) + " PASSWORD " + literal(c.password) + " "
}

// createDictionary serves the last known names, those of deleted records too.
// A server looks every 10 to 30 seconds whether the table changed; FreshNames
// does not leave it at that.
func createDictionary(database string, t source.Table, cred credentials) string {
	from := qualified(database, mainName(t))
	query := fmt.Sprintf("SELECT id, %s AS name FROM %s FINAL", ident(nameColumn[t]), from)
	changed := fmt.Sprintf("SELECT count(), max(_version) FROM %s", from)
	return fmt.Sprintf("CREATE OR REPLACE DICTIONARY %s\n(\n    id UInt64,\n    name Nullable(String)\n)\nPRIMARY KEY id\n"+
		"SOURCE(CLICKHOUSE(%sQUERY %s INVALIDATE_QUERY %s))\nLIFETIME(MIN 10 MAX 30)\nLAYOUT(HASHED())\nCOMMENT %s",
		qualified(database, dictionaryName(t)), cred.clause(), literal(query), literal(changed),
		literal(marked("names of Zoho Desk "+string(t)+" by id, behind the name columns of the views")))
}

// ReloadNames makes new names of departments or products visible at once
// instead of within half a minute. Tables without names are none of its
// business. It needs SYSTEM RELOAD DICTIONARY; without the grant it leaves the
// names to the server's own schedule.
func (w *Warehouse) ReloadNames(ctx context.Context, t source.Table) error {
	if nameColumn[t] == "" {
		return nil
	}
	err := w.exec(ctx, "reload names of "+string(t), "SYSTEM RELOAD DICTIONARY "+qualified(w.cfg.Database, dictionaryName(t)))
	if isDenied(err) || errors.Is(err, ErrAuth) { // the latter as in prepareNames
		return nil
	}
	return err
}
