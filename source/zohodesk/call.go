package zohodesk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"deskhouse/source"
)

// attemptTimeout bounds one request with its body. A page of 100 tickets with
// long descriptions is some MB at worst, so a minute means a dead peer.
const attemptTimeout = 60 * time.Second

// maxBody bounds what is read of one reply: 100 tickets with descriptions of
// 65,535 characters (OAS Ticket.json), escaped, twice over.
const maxBody = 64 << 20

var (
	errTimeout   = errors.New("no complete reply within " + attemptTimeout.String())
	errTooLarge  = errors.New("reply is larger than 64 MiB")
	errEmptyBody = errors.New("reply has no body")
	errNoData    = errors.New(`no "data" array`)
)

// call is one request as the API knows it, repeated as often as needed.
type call struct {
	endpoint string // metrics label, without ids
	method   string
	path     string // below /api/v1/, with ids
	query    url.Values
	body     []byte // JSON, nil without
	priority source.Priority
	weight   int64  // credits expected
	noOrg    bool   // /organizations has no orgId
	once     bool   // must not be repeated when its outcome is unknown
	content  bool   // 204 is no answer to this call
	hurried  bool   // fails rather than wait for credits
	private  string // must not be quoted from a refusal
	decode   func(body []byte) error
}

// op names the call in errors and logs: no query, no secrets.
func (cl *call) op() string { return cl.method + " " + cl.path }

// reply is what one attempt brought. at is filled as soon as headers came.
type reply struct {
	status int
	header http.Header
	body   []byte
	at     source.Timing
	wait   time.Duration // Retry-After
	access string        // the token that was used
}

// send makes one request and reads its reply whole. An error means that no
// complete reply came; the reply holds what did.
func (c *Client) send(ctx context.Context, cl *call, access string) (reply, error) {
	ctx, cancel := withTimeout(ctx, c.clock, attemptTimeout)
	defer cancel()
	req, err := c.request(ctx, cl, access)
	if err != nil {
		return reply{}, err
	}
	start := c.clock.Now()
	res, err := c.rt.RoundTrip(req)
	if err != nil {
		return reply{}, cause(ctx, err)
	}
	r := reply{status: res.StatusCode, header: res.Header}
	r.body, err = readBody(res, c.sizes.hint(cl.endpoint))
	r.at = source.Timing{Date: parseDate(res.Header), Took: c.clock.Since(start)}
	r.wait = r.retryAfter(c.clock.Now())
	c.zoho.saw(r.at.Date)
	if err != nil {
		return r, fmt.Errorf("read reply: %w", cause(ctx, err))
	}
	c.sizes.note(cl.endpoint, len(r.body))
	return r, nil
}

func (c *Client) request(ctx context.Context, cl *call, access string) (*http.Request, error) {
	target := c.hosts.Desk + "/api/v1/" + cl.path
	if len(cl.query) > 0 {
		target += "?" + cl.query.Encode()
	}
	var body io.Reader
	if cl.body != nil {
		body = bytes.NewReader(cl.body)
	}
	req, err := http.NewRequestWithContext(ctx, cl.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	req.Header.Set("Authorization", "Zoho-oauthtoken "+access)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "deskhouse")
	if !cl.noOrg {
		req.Header.Set("orgId", c.orgID)
	}
	if cl.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// readBody reads the body whole into one buffer of the right size: the
// announced length, or (chunked, compressed) the size of the last such reply.
func readBody(res *http.Response, hint int) ([]byte, error) {
	defer res.Body.Close()
	if n := res.ContentLength; n >= 0 {
		hint = int(min(n, maxBody))
	}
	buf := bytes.NewBuffer(make([]byte, 0, hint+bytes.MinRead))
	n, err := buf.ReadFrom(io.LimitReader(res.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, err
	case n > maxBody:
		return nil, errTooLarge
	}
	return buf.Bytes(), nil
}

// bodySizes remembers the size of the last reply of a kind of page. There are
// three kinds worth it; all others start small and grow.
type bodySizes map[string]*atomic.Int64

func newBodySizes() bodySizes {
	return bodySizes{"tickets/search": {}, "products/search": {}, "tickets": {}}
}

func (b bodySizes) hint(endpoint string) int {
	if size := b[endpoint]; size != nil {
		return int(size.Load())
	}
	return 4 << 10
}

func (b bodySizes) note(endpoint string, n int) {
	if size := b[endpoint]; size != nil {
		size.Store(int64(n + n/8))
	}
}

func parseDate(h http.Header) time.Time {
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// maxRetryAfter bounds what is believed of a Retry-After.
const maxRetryAfter = 7 * 24 * time.Hour

// retryAfter reads Retry-After in both its forms (RFC 9110); 0 without. A date
// is held against the reply's own, or without one against the local clock's now.
func (r reply) retryAfter(now time.Time) time.Duration {
	v := strings.TrimSpace(r.header.Get("Retry-After"))
	if n, err := strconv.Atoi(v); err == nil {
		return time.Duration(min(max(n, 0), int(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if date := parseDate(r.header); !date.IsZero() {
		now = date
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// headerNumber reads a counter from a header, -1 when it is absent or no
// number.
func headerNumber(h http.Header, name string) int64 {
	n, ok := source.ParseInt(strings.TrimSpace(h.Get(name)))
	if !ok || n < 0 {
		return -1
	}
	return n
}
