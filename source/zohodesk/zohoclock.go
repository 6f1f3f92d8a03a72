package zohodesk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
)

// zohoClock follows Zoho's clock by the Date headers of replies.
type zohoClock struct {
	clock clockwork.Clock

	mu   sync.Mutex
	date time.Time // Zoho's, of the newest reply
	seen time.Time // ours, when it arrived
}

func (z *zohoClock) saw(date time.Time) {
	if date.IsZero() {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.date, z.seen = date.UTC(), z.clock.Now()
}

func (z *zohoClock) now() time.Time {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.date.IsZero() {
		return time.Time{}
	}
	return z.date.Add(z.clock.Since(z.seen))
}

// AskTime is ZohoNow, asked for when no reply has told it yet. It asks the Desk
// host for its public keys (WEBHOOKDOC: JWKS), whatever they are: that needs
// neither a token nor credits, so that events can be dated, and applied, on a
// day whose credits are spent. An error says that this did not work now; another
// call to Zoho may still tell the time.
func (c *Client) AskTime(ctx context.Context) (time.Time, error) {
	if now := c.ZohoNow(); !now.IsZero() {
		return now, nil
	}
	ctx, cancel := withTimeout(ctx, c.clock, attemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.hosts.JWKS(), nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask for Zoho's time: %w", err)
	}
	req.Header.Set("Cache-Control", "no-cache")
	res, err := c.rt.RoundTrip(req)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask for Zoho's time: %w", cause(ctx, err))
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // so that the connection can be used again
	date := dateOf(res.Header)
	if date.IsZero() {
		return time.Time{}, errors.New("ask for Zoho's time: the reply carries no date")
	}
	c.zoho.saw(date)
	return c.ZohoNow(), nil
}

// dateOf is when a reply was made, or was taken from a cache (RFC 9111: Age).
func dateOf(h http.Header) time.Time {
	date := parseDate(h)
	if age, err := strconv.Atoi(h.Get("Age")); err == nil && age > 0 && !date.IsZero() {
		date = date.Add(time.Duration(age) * time.Second)
	}
	return date
}
