package config

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// parseServers is parseServer for an address that may name several hosts, as in
// scheme://user:password@one:9440,two:9440/path?query. The hosts of the URL it returns have commas between them.
func (v value) parseServers(s string, schemes []string) (*url.URL, login) {
	scheme, rest, _ := strings.Cut(s, "://")
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	userinfo, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		userinfo, hosts = authority[:i+1], authority[i+1:]
	}
	if strings.Count(userinfo, "@") > 1 && strings.Contains(userinfo, ",") {
		v.fail("gives hosts a login each", "write user and password once, as keys of their own")
		return nil, login{}
	}
	list := strings.Split(hosts, ",")
	u, l := v.parseServer(scheme+"://"+userinfo+list[0]+tail, schemes)
	if u == nil {
		return nil, login{}
	}
	all := []string{u.Host}
	for _, host := range list[1:] {
		other, _ := v.parseServer(scheme+"://"+host, schemes)
		if other == nil {
			return nil, login{}
		}
		if slices.Contains(all, other.Host) {
			v.fail("names a host twice", "name each once")
			return nil, login{}
		}
		all = append(all, other.Host)
	}
	u.Host = strings.Join(all, ",")
	return u, l
}

// places identify the database that w fills, as far as its address tells, one for each of its hosts: names are not
// resolved, and two ports of one host are two servers, unless both are the usual ports of the protocols.
func (w Warehouse) places() []string {
	if w.IsEmbedded() {
		return []string{w.Dir + "\x00" + w.Database}
	}
	_, rest, _ := strings.Cut(w.URL, "://")
	hosts, _, _ := strings.Cut(rest, "?")
	var all []string
	for _, host := range strings.Split(hosts, ",") {
		u := url.URL{Host: host}
		port := u.Port()
		switch port {
		case "", "8123", "8443", "9000", "9440":
			port = "default"
		}
		all = append(all, net.JoinHostPort(strings.ToLower(u.Hostname()), port)+"\x00"+w.Database)
	}
	return all
}
