package config

import (
	"path/filepath"
	"regexp"
	"strings"
)

// Warehouse is the database that a pipeline fills, which no other pipeline fills.
type Warehouse struct {
	// URL is Embedded, or clickhouse://, http:// or https:// with hosts (commas between them) and options, without
	// database, user and password.
	URL string `json:"url" yaml:"url"`
	// Database is created when it is not there. Defaults to the path of the URL, then to "desk".
	Database string `json:"database" yaml:"database"`
	// User and Password come from their own keys or from the URL; empty means the server's default user.
	User     string `json:"user,omitempty" yaml:"user,omitempty"`
	Password Secret `json:"password" yaml:"password"`
	// Layout is how main tables keep a record. Tables that exist change it in a rebuild.
	Layout Layout `json:"layout" yaml:"layout"`
	// Dir is the absolute folder of the embedded engine, empty for a server. Pipelines with the same Dir share an engine.
	Dir string `json:"dir,omitempty" yaml:"dir,omitempty"`
	// TLS is nil for plain text, and for the TLS that the URL alone asks for.
	TLS *TLS `json:"tls,omitempty" yaml:"tls,omitempty"`
	// Settings are sent to the server with every statement, those in the URL besides.
	Settings    map[string]string `json:"settings,omitempty" yaml:"settings,omitempty"`
	Compression Compression       `json:"compression,omitempty" yaml:"compression,omitempty"`
}

// Layout is how main tables keep what Zoho says of a record.
type Layout string

// The values of Layout; LayoutColumns is the default.
const (
	LayoutColumns  Layout = "columns"  // a typed column a field
	LayoutDocument Layout = "document" // a JSON document a record, and columns for what is asked most
)

// IsEmbedded reports whether deskhouse runs the engine.
func (w Warehouse) IsEmbedded() bool { return w.URL == Embedded }

const defaultDatabase = "desk"

var validDatabase = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

func warehouse(v value, stateDir string) Warehouse {
	f := v.fields("url", "database", "user", "password", "dir", "layout", "tls", "settings", "compression")
	target := f["url"].required(Embedded + ", clickhouse://host:9000 or https://host:8443").reference()
	w := Warehouse{URL: target, Database: database(f["database"]), Layout: choice(f["layout"], LayoutColumns, LayoutDocument)}
	switch {
	case target == Embedded:
		w.Dir = v.d.folder(f["dir"], filepath.Join(stateDir, "warehouse"))
		w.Settings = settings(f["settings"], nil)
		for _, key := range []string{"user", "password", "tls", "compression"} {
			if !f[key].absent() {
				f[key].fail("is not for the embedded engine, which listens on loopback only", "remove it, or give url a server")
			}
		}
	case target != "":
		w = remoteWarehouse(w, f)
	}
	return w
}

func remoteWarehouse(w Warehouse, f fields) Warehouse {
	u, l := f["url"].parseServers(w.URL, []string{"clickhouse", "http", "https"})
	l = l.merge(f["user"], f["password"])
	if !f["dir"].absent() {
		f["dir"].fail("is for the embedded engine only", "remove it")
	}
	w.User, w.Password = l.user, l.password
	if u == nil {
		w.URL = ""
		return w
	}
	checkParameters(f["url"], u.Query())
	w.TLS, w.Compression = warehouseTLS(f["tls"], u), compression(f["compression"], u)
	w.Settings = settings(f["settings"], u.Query())
	if path := strings.Trim(u.Path, "/"); path != "" {
		w.Database = pathDatabase(f, path, w.Database)
	}
	u.Path, u.RawPath = "", ""
	w.URL = u.String()
	return w
}

// pathDatabase settles a database named by the address, as in clickhouse://host:9000/desk.
func pathDatabase(f fields, path, database string) string {
	switch {
	case !f["database"].absent() && path != database:
		f["database"].fail("differs from the database in url", "keep one of the two")
	case !validDatabase.MatchString(path):
		f["url"].fail("has a path that is no database name", databaseFix)
	case reservedDatabase(path):
		f["url"].fail("names a database of ClickHouse's own", databaseFix)
	}
	return path
}

const databaseFix = "letters, digits and _, not starting with a digit, at most 63, such as desk"

func database(v value) string {
	s, ok := v.text()
	switch {
	case !ok:
		return defaultDatabase
	case !validDatabase.MatchString(s):
		v.fail(quote(s)+" is not a database name", databaseFix)
	case reservedDatabase(s):
		v.fail(quote(s)+" is a database of ClickHouse's own", databaseFix)
	}
	return s
}

func reservedDatabase(name string) bool {
	return name == "system" || strings.EqualFold(name, "information_schema")
}

// folder reads a path and makes it absolute.
func (d *decoder) folder(v value, otherwise string) string {
	s, ok := v.text()
	if !ok {
		s = otherwise
	}
	if !filepath.IsAbs(s) {
		s = filepath.Join(d.base, s)
	}
	return filepath.Clean(s)
}
