package datacenter

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	for name, want := range map[string][3]string{
		"us": {"https://accounts.zoho.com", "https://desk.zoho.com", "https://api-console.zoho.com"},
		"eu": {"https://accounts.zoho.eu", "https://desk.zoho.eu", "https://api-console.zoho.eu"},
		"in": {"https://accounts.zoho.in", "https://desk.zoho.in", "https://api-console.zoho.in"},
		"au": {"https://accounts.zoho.com.au", "https://desk.zoho.com.au", "https://api-console.zoho.com.au"},
		"jp": {"https://accounts.zoho.jp", "https://desk.zoho.jp", "https://api-console.zoho.jp"},
		"ca": {"https://accounts.zohocloud.ca", "https://desk.zohocloud.ca", "https://api-console.zohocloud.ca"},
		"sa": {"https://accounts.zoho.sa", "https://desk.zoho.sa", "https://api-console.zoho.sa"},
		"sg": {"https://accounts.zoho.sg", "https://desk.zoho.sg", "https://api-console.zoho.sg"},
		"ae": {"https://accounts.zoho.ae", "https://desk.zoho.ae", "https://api-console.zoho.ae"},
		"cn": {"https://accounts.zoho.com.cn", "https://desk.zoho.com.cn", "https://api-console.zoho.com.cn"},
		"uk": {"https://accounts.zoho.uk", "https://desk.zoho.uk", "https://api-console.zoho.uk"},
	} {
		c, ok := Lookup(name)
		if !ok || c.Name != name || [3]string{c.Accounts, c.Desk, c.Console} != want || c.JWKS() != want[1]+"/.well-known/jwks.json" {
			t.Errorf("%s: %+v", name, c)
		}
		if !slices.Contains(Names(), name) {
			t.Errorf("%s is not among the names", name)
		}
	}
	if len(Names()) != 11 {
		t.Errorf("data centres %v", Names())
	}
}

func TestLookupTakesEveryUsualForm(t *testing.T) {
	for given, want := range map[string]string{
		"us": "us", "COM": "us", "zoho.com": "us", ".com": "us", ".eu": "eu", "zoho.eu": "eu", "EU": "eu", "https://accounts.zoho.in/": "in",
		"com.au": "au", ".com.au": "au", "jp": "jp", "zohocloud.ca": "ca", "zoho.ca": "ca", "desk.zoho.com.cn": "cn", "cn": "cn", "com.cn": "cn",
		" UK ": "uk", "https://desk.zoho.sa/agent/acme/support": "sa", "api-console.zoho.sg": "sg", "https://api-console.zohocloud.ca/": "ca",
		"https://desk.zoho.ae:443/": "ae", "http://desk.zoho.eu": "eu", "desk.zoho.jp/agent": "jp",
	} {
		if got, ok := Lookup(given); !ok || got.Name != want {
			t.Errorf("%q: got %q, %v, want %q", given, got.Name, ok, want)
		}
	}
	for _, given := range []string{"", ".", "zoho", "de", "eu.com", "https://", "/", "desk.zoho.eu.example.org", "https://example.org/desk.zoho.eu", "zoho.us", "desk."} {
		if got, ok := Lookup(given); ok {
			t.Errorf("%q is taken for %q", given, got.Name)
		}
	}
}

func TestOnlyZohosOwnAccountsServersAreTrusted(t *testing.T) {
	for _, name := range Names() {
		c, _ := Lookup(name)
		for _, server := range []string{c.Accounts, c.Accounts + "/"} {
			if got, ok := ByAccounts(server); !ok || got.Name != name {
				t.Errorf("%s: got %q", server, got.Name)
			}
		}
		for _, server := range []string{strings.Replace(c.Accounts, "https", "http", 1), c.Accounts + ".example.org", c.Accounts + ":8443", c.Desk, name,
			strings.Replace(c.Accounts, "accounts", "accounts.example.org@accounts", 1), c.Accounts + "/x"} {
			if _, ok := ByAccounts(server); ok {
				t.Errorf("%s is trusted", server)
			}
		}
	}
	if _, ok := ByAccounts(""); ok {
		t.Error("no server is trusted")
	}
}

func TestZonesAreTheCreditsDay(t *testing.T) {
	at := time.Date(2026, 9, 10, 12, 0, 0, 0, time.UTC)
	for name, hour := range map[string]int{"us": 4, "eu": 13, "jp": 21, "uk": 12, "ca": 7} {
		c, _ := Lookup(name)
		if got := at.In(c.Zone).Hour(); got != hour {
			t.Errorf("%s: noon UTC is %d there, want %d", name, got, hour)
		}
	}
}
