package config

import "deskhouse/source/datacenter"

// Connection is one authorised Zoho client. Only what the user decides is here; access tokens live in the state.
type Connection struct {
	// DataCenter is one of datacenter.Names.
	DataCenter string `json:"data_center" yaml:"data_center"`
	// OrgID is the portal's id, never 0.
	OrgID        uint64 `json:"org_id" yaml:"org_id"`
	ClientID     string `json:"client_id" yaml:"client_id"`
	ClientSecret Secret `json:"client_secret" yaml:"client_secret"`
	// RefreshToken may be empty: then the connection waits to be authorised by command.
	RefreshToken Secret  `json:"refresh_token" yaml:"refresh_token"`
	Credits      Credits `json:"credits" yaml:"credits"`
	// Concurrency is the most requests in flight, 0 to let the governor find it.
	Concurrency int `json:"concurrency,omitempty" yaml:"concurrency,omitempty"`
	// The URLs replace those of the data centre, without a slash at the end; empty means the data centre's.
	AccountsURL string `json:"accounts_url,omitempty" yaml:"accounts_url,omitempty"`
	DeskURL     string `json:"desk_url,omitempty" yaml:"desk_url,omitempty"`
	JWKSURL     string `json:"jwks_url,omitempty" yaml:"jwks_url,omitempty"`
	OAuth       OAuth  `json:"oauth,omitzero" yaml:"oauth,omitempty"`
}

// OAuth replaces single OAuth endpoints of the accounts server; empty means the server's, for RefreshURL also TokenURL.
type OAuth struct {
	AuthorizeURL string `json:"authorize_url,omitempty" yaml:"authorize_url,omitempty"`
	TokenURL     string `json:"token_url,omitempty" yaml:"token_url,omitempty"`
	RefreshURL   string `json:"refresh_url,omitempty" yaml:"refresh_url,omitempty"`
	RevokeURL    string `json:"revoke_url,omitempty" yaml:"revoke_url,omitempty"`
}

// Credits is the share of the portal's API credits that deskhouse keeps away from. Exactly one of ReservePercent and
// ReserveCredits is set unless both are zero, which means no reserve.
type Credits struct {
	// ReservePercent is 0 to 100, a share of the day's credits. Defaults to 20.
	ReservePercent float64 `json:"reserve_percent,omitempty" yaml:"reserve_percent,omitempty"`
	// ReserveCredits is the same as a number of credits a day.
	ReserveCredits int64 `json:"reserve_credits,omitempty" yaml:"reserve_credits,omitempty"`
	// PerDay is the portal's allowance where the user knows better than the replies tell, 0 to learn it.
	PerDay int64 `json:"per_day,omitempty" yaml:"per_day,omitempty"`
}

// Reserve is how many of perDay credits are left for others: never below 0 or above perDay.
func (c Credits) Reserve(perDay int64) int64 {
	reserve := c.ReserveCredits
	if c.ReservePercent > 0 {
		reserve = int64(float64(perDay) * c.ReservePercent / 100)
	}
	return max(0, min(reserve, perDay))
}

const defaultReservePercent = 20

// maxConcurrency is far above Zoho's highest allowance (25 calls in flight for the largest edition, CREDITS).
const maxConcurrency = 1000

func connections(v value) map[string]Connection {
	all := make(map[string]Connection)
	for _, e := range v.named("connection", "connections: {main: {data_center: eu, …}}") {
		all[e.key] = connection(e.value())
	}
	return all
}

func connection(v value) Connection {
	f := v.fields("data_center", "org_id", "client_id", "client_secret", "refresh_token", "credits", "concurrency",
		"accounts_url", "desk_url", "jwks_url", "oauth")
	return Connection{
		DataCenter:   dataCenter(f["data_center"]),
		OrgID:        orgID(f["org_id"]),
		ClientID:     f["client_id"].required("the client id of the API console").reference(),
		ClientSecret: f["client_secret"].required("{env: NAME} or {file: PATH}").secret(),
		RefreshToken: f["refresh_token"].secret(),
		Credits:      credits(f["credits"]),
		Concurrency:  int(f["concurrency"].integer(0, 1, maxConcurrency)),
		AccountsURL:  f["accounts_url"].httpURL(),
		DeskURL:      f["desk_url"].httpURL(),
		JWKSURL:      f["jwks_url"].httpURL(),
		OAuth:        oauth(f["oauth"]),
	}
}

func oauth(v value) OAuth {
	f := v.fields("authorize_url", "token_url", "refresh_url", "revoke_url")
	return OAuth{
		AuthorizeURL: f["authorize_url"].httpURL(),
		TokenURL:     f["token_url"].httpURL(),
		RefreshURL:   f["refresh_url"].httpURL(),
		RevokeURL:    f["revoke_url"].httpURL(),
	}
}

func dataCenter(v value) string {
	given, ok := v.required(oneOf(datacenter.Names())).text()
	if !ok {
		return ""
	}
	center, ok := datacenter.Lookup(given)
	if !ok {
		v.fail("unknown data centre "+quote(given), oneOf(datacenter.Names()))
	}
	return center.Name
}

func orgID(v value) uint64 {
	const fix = "the portal's id, digits only, from Setup > Developer Space > API"
	digits := v.required(fix).reference()
	if digits == "" {
		return 0
	}
	id, ok := parseID(digits)
	if !ok {
		v.fail("is not a portal id", fix)
	}
	return id
}

func credits(v value) Credits {
	f := v.fields("reserve", "per_day")
	c := Credits{PerDay: f["per_day"].integer(0, 1, 1<<40)}
	given, ok := f["reserve"].text()
	if !ok {
		c.ReservePercent = defaultReservePercent
		return c
	}
	percent, number, ok := parseReserve(given)
	if !ok {
		f["reserve"].fail(quote(given)+" is neither a share nor a number of credits", "write 20% or 5000")
	}
	c.ReservePercent, c.ReserveCredits = percent, number
	if c.PerDay > 0 && number >= c.PerDay {
		f["reserve"].fail("leaves nothing of per_day", "reserve less than per_day")
	}
	return c
}
