package zohodesk

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"deskhouse/source/datacenter"
)

// Config is one connection: one authorised client of one portal.
type Config struct {
	// Name labels metrics and logs.
	Name string
	// DataCenter is a short name of the table ("us", "eu", …). It may be empty
	// only when both URLs below are set.
	DataCenter string
	// AccountsURL and DeskURL override the data centre's hosts, so that any
	// server that speaks the API can be the source.
	AccountsURL, DeskURL string
	// OAuth overrides single OAuth endpoints.
	OAuth OAuthURLs
	// OrgID is the portal's id, sent with every call but /organizations.
	OrgID uint64

	// The credentials, never printed. RefreshToken may be empty: then Exchange
	// has to bring one, and until then every call is refused with
	// FaultUnauthorized.
	ClientID, ClientSecret, RefreshToken string

	// MaxInFlight is the most calls in flight; 0 lets the governor find the
	// portal's limit, up to 25 (CREDITS: 5 to 25 by edition).
	MaxInFlight int
	// CreditsPerDay is the portal's daily allowance; 0 learns it from the reply
	// headers.
	CreditsPerDay int
	// Reserve is the share of the day's credits left to the portal's other
	// integrations. Defaults to 0.20; negative means none.
	Reserve float64
	// ReserveCredits is the same as a number of credits, used instead of Reserve
	// when above 0.
	ReserveCredits int

	// Transport carries all requests. Defaults to a pooled transport of its own.
	Transport http.RoundTripper
	// Clock is used for every wait and measurement. Defaults to the real clock.
	Clock  clockwork.Clock
	Logger zerolog.Logger
	// Tokens keeps the authorisation over restarts; nil keeps it in memory only.
	Tokens TokenStore
	// Spending keeps the day's credits over restarts; nil forgets them.
	Spending SpendingStore
	// Registerer receives the metrics; nil means none. Several connections may
	// share one.
	Registerer prometheus.Registerer
}

// maxConcurrency is the largest number of calls in flight that any edition is
// granted (CREDITS: Enterprise 25).
const maxConcurrency = 25

const defaultReserve = 0.20

// String names the connection and nothing secret.
func (c Config) String() string {
	return fmt.Sprintf("zohodesk.Config{Name: %q, DataCenter: %q, OrgID: %d}", c.Name, c.DataCenter, c.OrgID)
}

// GoString keeps %#v from printing the secrets.
func (c Config) GoString() string { return c.String() }

func (c Config) withDefaults() Config {
	c.RefreshToken = strings.TrimSpace(c.RefreshToken)
	if c.Clock == nil {
		c.Clock = clockwork.NewRealClock()
	}
	if c.Transport == nil {
		c.Transport = newTransport()
	}
	if c.Tokens == nil {
		c.Tokens = &inMemory{}
	}
	switch {
	case c.Reserve == 0:
		c.Reserve = defaultReserve
	case c.Reserve < 0:
		c.Reserve = 0
	}
	return c
}

// validate names what is missing, never a value of a secret.
func (c Config) validate() error {
	var errs []error
	if _, ok := c.hosts(); !ok {
		errs = append(errs, fmt.Errorf("unknown data centre %q: one of %s", c.DataCenter, strings.Join(datacenter.Names(), ", ")))
	}
	if c.OrgID == 0 {
		errs = append(errs, errors.New("org id is missing"))
	}
	for _, v := range []struct{ name, value string }{
		{"client id", c.ClientID}, {"client secret", c.ClientSecret},
	} {
		if strings.TrimSpace(v.value) == "" {
			errs = append(errs, fmt.Errorf("%s is empty", v.name))
		}
	}
	if c.MaxInFlight < 0 || c.CreditsPerDay < 0 || c.ReserveCredits < 0 {
		errs = append(errs, errors.New("calls in flight, credits per day and reserve must not be negative"))
	}
	if c.Reserve >= 1 {
		errs = append(errs, fmt.Errorf("reserve %g leaves no credits: it is a share below 1", c.Reserve))
	}
	return errors.Join(errs...)
}
