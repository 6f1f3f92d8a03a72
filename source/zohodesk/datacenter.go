package zohodesk

import (
	"net/url"
	"strings"
	"time"

	"deskhouse/source/datacenter"
)

// hosts applies the overrides to the table; false when a host is missing.
func (c Config) hosts() (datacenter.Center, bool) {
	h, ok := datacenter.Lookup(c.DataCenter)
	if c.AccountsURL != "" {
		h.Accounts = strings.TrimRight(c.AccountsURL, "/")
	}
	if c.DeskURL != "" {
		h.Desk = strings.TrimRight(c.DeskURL, "/")
	}
	if h.Zone == nil {
		h.Zone = time.UTC
	}
	return h, ok || c.AccountsURL != "" && c.DeskURL != ""
}

// OAuthURLs replace the data centre's OAuth endpoints one by one; empty means
// the data centre's, for Refresh also Token's.
type OAuthURLs struct{ Authorize, Token, Refresh, Revoke string }

// endpoints are the OAuth URLs in use (OAUTH-DC, OAUTH-REV).
type endpoints struct {
	authorize, token, refresh, revoke string
	// place names the accounts server to people; fixed says that it was
	// overridden, so that no redirect may name another.
	place string
	fixed bool
}

const tokenPath = "/oauth/v2/token"

func (c Config) endpoints(h datacenter.Center) endpoints {
	return endpoints{
		authorize: first(c.OAuth.Authorize, h.Accounts+"/oauth/v2/auth"),
		token:     first(c.OAuth.Token, h.Accounts+tokenPath),
		refresh:   first(c.OAuth.Refresh, c.OAuth.Token, h.Accounts+tokenPath),
		revoke:    first(c.OAuth.Revoke, h.Accounts+tokenPath+"/revoke"),
		place:     placeOf(first(c.OAuth.Token, h.Accounts)),
		fixed:     c.AccountsURL != "" || c.OAuth.Token != "",
	}
}

// movedFrom says that the stored authorisation is another server's.
func (e endpoints) movedFrom(tokenURL string) string {
	if c, ok := datacenter.ByAccounts(strings.TrimSuffix(tokenURL, tokenPath)); ok {
		return "the authorisation was given by " + placeOf(c.Accounts) + ", the configuration names " + e.place + "; for the former set data_center: " + c.Name
	}
	return "the authorisation was given by another server than the configuration names now"
}

// placeOf names an accounts server: "data centre eu (accounts.zoho.eu)".
func placeOf(server string) string {
	if c, ok := datacenter.ByAccounts(server); ok {
		return "data centre " + c.Name + " (" + strings.TrimPrefix(c.Accounts, "https://") + ")"
	}
	if u, err := url.Parse(server); err == nil && u.Host != "" {
		return u.Host
	}
	return "the accounts server"
}

func first(options ...string) string {
	for _, s := range options {
		if s != "" {
			return s
		}
	}
	return ""
}
