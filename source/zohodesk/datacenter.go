package zohodesk

import (
	"slices"
	"strings"
	"time"
)

// Hosts are the base URLs of one data centre, without a slash at the end.
type Hosts struct {
	Accounts string // OAuth endpoints
	Desk     string // REST API and the keys that sign webhooks

	// zone is where the credits of a day start anew at 00:00. CREDITS says "the
	// data centre's time" without naming zones: these are the places' standard
	// times. A wrong one only makes the announced end of a wait wrong, because
	// waiting calls are probed in between (creditProbe).
	zone *time.Location
}

// JWKS is the URL of the keys that sign webhook deliveries (WEBHOOKDOC).
func (h Hosts) JWKS() string { return h.Desk + "/.well-known/jwks.json" }

// dataCenters is the one table of hosts (APIDOC, OAUTH-DC). The Desk host is
// never derived from the token reply's api_domain: that host does not serve
// Desk paths. The UK's Desk host is in no page of Zoho's and stands here by
// analogy.
var dataCenters = map[string]Hosts{
	"us": hosts("zoho.com", "zoho.com", -8*60),
	"eu": hosts("zoho.eu", "zoho.eu", 60),
	"in": hosts("zoho.in", "zoho.in", 330),
	"au": hosts("zoho.com.au", "zoho.com.au", 600),
	"jp": hosts("zoho.jp", "zoho.jp", 540),
	"ca": hosts("zohocloud.ca", "zohocloud.ca", -5*60),
	"sa": hosts("zoho.sa", "zoho.sa", 180),
	"sg": hosts("zoho.sg", "zoho.sg", 480),
	"ae": hosts("zoho.ae", "zoho.ae", 240),
	"cn": hosts("zoho.com.cn", "zoho.com.cn", 480),
	"uk": hosts("zoho.uk", "zoho.uk", 0),
}

func hosts(accounts, desk string, minutesEast int) Hosts {
	return Hosts{
		Accounts: "https://accounts." + accounts,
		Desk:     "https://desk." + desk,
		zone:     time.FixedZone(desk, minutesEast*60),
	}
}

// DataCenterHosts returns the hosts of a data centre by its short name ("us",
// "eu", …); false for a name that is not in the table.
func DataCenterHosts(name string) (Hosts, bool) {
	h, ok := dataCenters[strings.ToLower(name)]
	return h, ok
}

// DataCenterNames returns the known short names, sorted.
func DataCenterNames() []string {
	names := make([]string, 0, len(dataCenters))
	for n := range dataCenters {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// hosts applies the overrides to the table.
func (c Config) hosts() (Hosts, bool) {
	h, ok := DataCenterHosts(c.DataCenter)
	if c.AccountsURL != "" {
		h.Accounts = strings.TrimRight(c.AccountsURL, "/")
	}
	if c.DeskURL != "" {
		h.Desk = strings.TrimRight(c.DeskURL, "/")
	}
	if h.zone == nil {
		h.zone = time.UTC
	}
	return h, ok || c.AccountsURL != "" && c.DeskURL != ""
}
