package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Grant is one privilege of a user. Its names are those of ClickHouse's GRANT.
type Grant struct {
	Privilege string
	On        string // "`desk`.*", "*.*", "system.disks"
	For       string // what needs it, for people
	// Optional: without it deskhouse works, less well, as For says.
	Optional bool
}

func (g Grant) String() string { return g.Privilege + " ON " + g.On }

// WriterGrants are all the privileges that deskhouse makes use of, for a server
// that asks for every one of them. The tests run as a user with these and no
// others, and as users that lack one. What others bring along is left out:
// CREATE TABLE that of views and temporary tables, DROP TABLE that of views, and
// one's own statements may be killed without a grant (seen with 26.7).
func WriterGrants(database string) []Grant {
	on := func(object, why string, optional bool, privileges ...string) []Grant {
		grants := make([]Grant, len(privileges))
		for i, p := range privileges {
			grants[i] = Grant{p, object, why, optional}
		}
		return grants
	}
	own := ident(database) + ".*"
	var all []Grant
	for _, group := range [][]Grant{
		on(own, "reading what is held, writing what changed", false, "SELECT", "INSERT"),
		on(own, "making tables, those of a resync, and views", false, "CREATE TABLE", "DROP TABLE"),
		on(own, "dictionaries of names", false, "CREATE DICTIONARY", "DROP DICTIONARY", "dictGet"),
		on(own, "columns of new custom fields", false, "ALTER ADD COLUMN", "ALTER COMMENT COLUMN", "ALTER MODIFY COMMENT"),
		on(own, "the fence against an older process", false, "ALTER ADD CONSTRAINT", "ALTER DROP CONSTRAINT"),
		on("ReplacingMergeTree", "making the tables, where engines need a grant", false, "TABLE ENGINE"),
		on(own, "making the database, if it is not there", true, "CREATE DATABASE"),
		on(own, "`deskhouse schema --apply`: changing a column's type back", true, "ALTER MODIFY COLUMN"),
		on(own, "`deskhouse schema --apply --drop`: dropping columns that are no longer filled; --apply alone: hashes of another key", true, "ALTER DROP COLUMN"),
		on("*.*", "new names within a second; without it within half a minute", true, "SYSTEM RELOAD DICTIONARY"),
		on(own, "merging parts while a table is quiet; without it views read slower", true, "OPTIMIZE"),
		on("system.parts", "sizes in status and plan; seeing what is to be merged", true, "SELECT"),
		on("system.disks", "seeing that the server's disk is full", true, "SELECT"),
		on("system.processes", "ending the statements of an older process", true, "SELECT"),
	} {
		all = append(all, group...)
	}
	return all
}

// ReaderGrants are the privileges of somebody who queries the tables and
// changes nothing.
func ReaderGrants(database string) []Grant {
	own := ident(database) + ".*"
	return []Grant{{"SELECT", own, "tables and views", false}, {"dictGet", own, "names of departments and products in the views", false}}
}

// GrantSQL gives a user these privileges, one statement for each object. An
// empty user becomes <user>, to be filled in by hand.
func GrantSQL(grants []Grant, user string) []string {
	to := "<user>"
	if user != "" {
		to = ident(user)
	}
	var objects []string
	of := map[string][]string{}
	for _, g := range grants {
		if of[g.On] == nil {
			objects = append(objects, g.On)
		}
		of[g.On] = append(of[g.On], g.Privilege)
	}
	statements := make([]string, len(objects))
	for i, on := range objects {
		statements[i] = fmt.Sprintf("GRANT %s ON %s TO %s;", strings.Join(of[on], ", "), on, to)
	}
	return statements
}

// ErrNoCheckGrant: the server is too old to be asked for privileges.
var ErrNoCheckGrant = errors.New("the server does not know CHECK GRANT")

// codeSyntax is what a server answers to a statement it does not know.
const codeSyntax = 62

// MissingGrants returns those of WriterGrants that the user of this connection
// has not. It only asks. ErrNoCheckGrant: the server cannot tell.
func (w *Warehouse) MissingGrants(ctx context.Context) ([]Grant, error) {
	exists, err := w.databaseExists(ctx)
	if err != nil {
		return nil, err
	}
	var missing []Grant
	for _, g := range WriterGrants(w.cfg.Database) {
		if exists && g.Privilege == "CREATE DATABASE" {
			continue
		}
		has, err := w.hasGrant(ctx, g)
		if err != nil {
			return nil, err
		}
		if !has {
			g.Optional = g.Optional && (exists || g.Privilege != "CREATE DATABASE")
			missing = append(missing, g)
		}
	}
	return missing, nil
}

func (w *Warehouse) hasGrant(ctx context.Context, g Grant) (bool, error) {
	var has uint8
	err := w.scan(ctx, "ask for the grant "+g.String(), "CHECK GRANT "+g.String(), nil, func(row scanner) error { return row.Scan(&has) })
	var failed *Error
	if errors.As(err, &failed) && failed.Code == codeSyntax {
		return false, fmt.Errorf("%w: %w", ErrNoCheckGrant, err)
	}
	return has == 1, err
}
