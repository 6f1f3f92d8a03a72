// Package datacenter is the one table of Zoho's data centres: which hosts a
// short name stands for. It owns the hosts and the time zone that a day of
// credits is counted in; what is asked of a host is left to its users. It makes
// no request and knows no package of this module.
package datacenter

import (
	"net/url"
	"strings"
	"time"
)

// Center is one data centre. The base URLs have no slash at the end.
type Center struct {
	Name     string // short: "us", "eu", …
	Accounts string // OAuth endpoints
	Desk     string // REST API and the keys that sign webhooks
	Console  string // where OAuth clients are made
	// Zone is where the credits of a day start anew at 00:00. CREDITS says "the
	// data centre's time" without naming zones: these are the places' standard
	// times, so an announced end of a wait may be some hours off.
	Zone *time.Location
}

// table has APIDOC's ten and the UK of OAUTH-DC, whose Desk host is in no page
// of Zoho's and stands here by analogy. China is an installation of its own:
// clients must be made and authorised there (OAUTH-DC). The Desk host is never
// derived from the token reply's api_domain: that host does not serve Desk
// paths (captures).
var table = []Center{
	center("us", "zoho.com", -8*60),
	center("eu", "zoho.eu", 60),
	center("in", "zoho.in", 330),
	center("au", "zoho.com.au", 600),
	center("jp", "zoho.jp", 540),
	center("ca", "zohocloud.ca", -5*60),
	center("sa", "zoho.sa", 180),
	center("sg", "zoho.sg", 480),
	center("ae", "zoho.ae", 240),
	center("cn", "zoho.com.cn", 480),
	center("uk", "zoho.uk", 0),
}

func center(name, domain string, minutesEast int) Center {
	return Center{Name: name, Accounts: "https://accounts." + domain, Desk: "https://desk." + domain,
		Console: "https://api-console." + domain, Zone: time.FixedZone(domain, minutesEast*60)}
}

// domain is what all hosts of the data centre end with: "zoho.com.au".
func (c Center) domain() string { return strings.TrimPrefix(c.Desk, "https://desk.") }

// JWKS is the URL of the keys that sign webhook deliveries (WEBHOOKDOC).
func (c Center) JWKS() string { return c.Desk + "/.well-known/jwks.json" }

// Names returns the short names in the order of Zoho's documentation.
func Names() []string {
	names := make([]string, len(table))
	for i, c := range table {
		names[i] = c.Name
	}
	return names
}

// Lookup finds a data centre by its name in any usual form: "EU", ".eu",
// "com.au", "zoho.eu", "zohocloud.ca", "desk.zoho.in" or
// "https://accounts.zoho.com.cn/". It returns false when none is meant.
func Lookup(anyUsualForm string) (Center, bool) {
	host := hostOf(anyUsualForm)
	for _, service := range []string{"accounts.", "desk.", "api-console.", "www.", "."} {
		if rest, ok := strings.CutPrefix(host, service); ok {
			host = rest
			break
		}
	}
	for _, c := range table {
		_, ending, _ := strings.Cut(c.domain(), ".")
		if host == c.Name || host == ending || host == c.domain() || host == "zoho."+ending {
			return c, true
		}
	}
	return Center{}, false
}

// hostOf takes the host, or the bare name, out of what a person wrote.
func hostOf(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if u, err := url.Parse(s); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
		return u.Hostname()
	}
	host, _, _ := strings.Cut(s, "/")
	return host
}

// ByAccounts finds the data centre whose accounts server a redirect names in
// "accounts-server" (OAUTH-DC). Only exactly that https host counts, because
// the client secret is sent there.
func ByAccounts(server string) (Center, bool) {
	for _, c := range table {
		if strings.TrimSuffix(strings.TrimSpace(server), "/") == c.Accounts {
			return c, true
		}
	}
	return Center{}, false
}
