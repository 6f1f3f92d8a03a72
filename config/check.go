package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// crossCheck compares what several sections say, once each of them is read. Places that were refused already are left out.
func crossCheck(c *Config, top fields) {
	if c.Intake != nil && samePort(c.Intake.Listen, c.Admin.Listen) {
		top["intake"].at("listen").fail("uses the port of admin.listen, "+c.Admin.Listen, "give the public and the private server a port each")
	}
	names := slices.Sorted(maps.Keys(c.Pipelines))
	owner := make(map[string]string)
	for _, name := range names {
		p, at := c.Pipelines[name], top["pipelines"].at(name)
		checkConnection(c, p, at)
		checkHookURL(c, name, at)
		if p.Warehouse.URL == "" {
			continue
		}
		claim(owner, name, p.Warehouse, at.at("warehouse").at("database"))
	}
}

// claim notes whose database w is.
func claim(owner map[string]string, name string, w Warehouse, at value) {
	for _, place := range w.places() {
		if other, taken := owner[place]; taken && other != name {
			at.fail(fmt.Sprintf("%s is the database of pipeline %s already", quote(w.Database), other), "give each pipeline a database of its own")
			return
		}
	}
	for _, place := range w.places() {
		owner[place] = name
	}
}

func checkConnection(c *Config, p Pipeline, at value) {
	if _, ok := c.Connections[p.Connection]; ok || p.Connection == "" || len(c.Connections) == 0 {
		return
	}
	fix := suggest(p.Connection, slices.Sorted(maps.Keys(c.Connections)))
	at.at("connection").fail("no connection is named "+quote(p.Connection), fix)
}

func checkHookURL(c *Config, name string, at value) {
	if c.Intake == nil || publicHost(c.Intake.PublicURL) == "" {
		return
	}
	if n := len(c.Intake.HookURL(name, strings.Repeat("x", hookSecretLen))); n > MaxHookURL {
		at.fail(fmt.Sprintf("its webhook URL has %d characters, and Zoho takes %d", n, MaxHookURL),
			fmt.Sprintf("shorten intake.public_url or this name by %d", n-MaxHookURL))
	}
}

// at finds the place of a key inside v for a message: its own line when it is given, the object's otherwise.
func (v value) at(key string) value {
	quiet := v
	quiet.d = &decoder{}
	all, _ := quiet.entries()
	for _, e := range all {
		if e.key == key {
			e.place.d, e.place.node = v.d, e.node
			return e.place
		}
	}
	return value{d: v.d, path: join(v.path, key), line: v.line}
}
