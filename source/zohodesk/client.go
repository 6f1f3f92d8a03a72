package zohodesk

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source/datacenter"
)

// Client calls one portal of Zoho Desk. Safe for concurrent use; make one per
// connection, because limits and credits are counted per connection.
type Client struct {
	name   string
	hosts  datacenter.Center
	orgID  string
	rt     http.RoundTripper
	clock  clockwork.Clock
	log    zerolog.Logger
	rarely zerolog.Logger // one line in half a minute, for what repeats
	tokens *tokenKeeper
	gov    *governor
	zoho   *zohoClock
	pages  *paging
	sizes  bodySizes
	fields *fieldMemory
	stats  *metrics
}

// New checks the configuration and returns a client. It makes no call: the
// first method does.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("connection %q: %w", cfg.Name, err)
	}
	stats, err := newMetrics(cfg.Name, cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("connection %q: register metrics: %w", cfg.Name, err)
	}
	h, _ := cfg.hosts()
	log := cfg.Logger.With().Str("connection", cfg.Name).Logger()
	return &Client{
		name: cfg.Name, hosts: h, orgID: strconv.FormatUint(cfg.OrgID, 10),
		rt: cfg.Transport, clock: cfg.Clock, log: log, stats: stats,
		rarely: log.Sample(&zerolog.BurstSampler{Burst: 1, Period: 30 * time.Second}),
		tokens: newTokenKeeper(cfg, cfg.endpoints(h), h.Desk, log),
		gov:    newGovernor(cfg, h.Zone, log, stats),
		zoho:   &zohoClock{clock: cfg.Clock},
		pages:  newPaging(),
		sizes:  newBodySizes(),
		fields: newFieldMemory(),
	}, nil
}

// JWKSURL is where the keys that sign this portal's webhooks are published.
func (c *Client) JWKSURL() string { return c.hosts.JWKS() }

// ZohoNow is Zoho's clock: the last reply's Date header plus the monotonic
// time since. Ranges are computed from it, never from the local wall clock. It
// has whole seconds' precision, lags by up to a second and the flight of the
// reply, and is zero before the first reply.
func (c *Client) ZohoNow() time.Time { return c.zoho.now() }

// Credits reports what was spent and what is left.
func (c *Client) Credits() Credits { return c.gov.credits() }

// InFlight reports how many calls are in flight and how many may be.
func (c *Client) InFlight() (calls, limit int) { return c.gov.load() }

// WaitingUntil says until when calls are held back and why, in words for
// people: credits spent, reserve reached, token requests throttled. Zero when
// nothing is held back.
func (c *Client) WaitingUntil() (time.Time, string) {
	if until, why := c.gov.waiting(); !until.IsZero() {
		return until, why
	}
	return c.tokens.waiting()
}

// newTransport is Go's usual transport with room for every call that Zoho
// allows at once: the default keeps two idle connections per host.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           4 * maxConcurrency,
		MaxIdleConnsPerHost:    2 * maxConcurrency,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    15 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
}
