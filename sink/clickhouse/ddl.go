package clickhouse

import (
	"deskhouse/source"
)

// DDL is every statement that Prepare would carry out in a server without the
// database, in that order. Custom fields have no columns in it, as Zoho was not
// asked, and the dictionaries no password. It needs no server.
func (c Config) DDL(tables []source.Table) []string {
	layouts, want := c.wanted(tables, nil)
	names := namesOf(layouts)
	all := []string{createDatabase(c.Database)}
	for _, t := range want {
		all = append(all, t.create(c.Database))
	}
	for _, r := range source.Resources {
		if names[r.Table] {
			all = append(all, createDictionary(c.Database, r.Table, c.hidden()))
		}
	}
	for _, v := range c.allViews(layouts, names) {
		all = append(all, v.create(c.Database))
	}
	return all
}

// hidden is who reads the dictionaries' tables, without the password.
func (c Config) hidden() credentials {
	if c.User == "" {
		return credentials{}
	}
	return credentials{c.User, "[HIDDEN]"}
}
