package webhook

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"golang.org/x/time/rate"
)

// ErrUnknownKey says that Zoho's current keys hold none with that id.
var ErrUnknownKey = errors.New("unknown signing key")

// KeySet finds a signing key by its id.
type KeySet interface {
	// Key returns ErrUnknownKey when there is no such key; any other error means that the keys cannot be had at present.
	// Safe for concurrent use.
	Key(ctx context.Context, kid string) (*rsa.PublicKey, error)
}

const (
	// refetchEvery bounds the requests that tokens with invented key ids can cause, after a few that go at once: keys may be
	// rotated just after they were fetched.
	refetchEvery = 10 * time.Second
	refetchBurst = 3
	// refreshEvery is when keys are fetched again although they are known, so that a withdrawn one is not trusted for ever.
	refreshEvery = time.Hour
	// fetchTimeout leaves time to append within the 5 s that Zoho waits.
	fetchTimeout = 3 * time.Second
	maxKeysBytes = 1 << 20
)

// Keys is a KeySet fetched from a JWKS URL (https://<Desk host>/.well-known/jwks.json, one a data centre) and kept by key
// id. It fetches when a key is unknown, three times at once and then every ten seconds at most, when Run begins, and hourly while it runs. One fetch
// at a time; a key that is held is given out at once, whatever a fetch does meanwhile, and stays in use while the URL does
// not answer. Safe for concurrent use.
type Keys struct {
	url    string
	client *http.Client
	clock  clockwork.Clock

	held atomic.Pointer[keyring]

	turn    chan struct{} // held by the one that fetches; guards those below
	tried   time.Time
	lastErr error
	burst   *rate.Limiter
}

type keyring struct{ byID map[string]*rsa.PublicKey }

// NewKeys makes no request yet. A nil transport means http.DefaultTransport.
func NewKeys(url string, transport http.RoundTripper, clock clockwork.Clock) *Keys {
	return &Keys{url: url, client: &http.Client{Transport: transport, Timeout: fetchTimeout}, clock: clock, turn: make(chan struct{}, 1),
		burst: rate.NewLimiter(rate.Every(refetchEvery), refetchBurst)}
}

var _ KeySet = (*Keys)(nil)

// Key implements KeySet. Only for a key that is not held it waits: for a fetch, or for its turn as long as ctx lets it.
func (k *Keys) Key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	if key := k.held.Load().find(kid); key != nil {
		return key, nil
	}
	if err := k.take(ctx); err != nil {
		return nil, err
	}
	defer k.give()
	if key := k.held.Load().find(kid); key != nil { // fetched by the one before
		return key, nil
	}
	if k.mayFetch() {
		k.refetch(ctx)
	}
	if key := k.held.Load().find(kid); key != nil {
		return key, nil
	}
	if k.lastErr != nil {
		return nil, k.lastErr
	}
	return nil, ErrUnknownKey
}

// mayFetch reports whether an unknown key is a reason to fetch. A URL that failed is left alone for a while: each try may
// take seconds, and deliveries wait for it. The caller has the turn.
func (k *Keys) mayFetch() bool {
	now := k.clock.Now()
	if k.tried.IsZero() || now.Sub(k.tried) >= refetchEvery {
		k.burst.AllowN(now, 1) // counts, whatever it says
		return true
	}
	return k.lastErr == nil && k.burst.AllowN(now, 1)
}

// Run fetches the keys, so that no delivery has to wait for them, and keeps them fresh until ctx ends, whose error it
// returns. Without it everything works, except that a withdrawn key stays in use.
func (k *Keys) Run(ctx context.Context) error {
	if k.held.Load() == nil {
		if err := k.refresh(ctx); err != nil {
			return err
		}
	}
	ticker := k.clock.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.Chan():
		}
		if err := k.refresh(ctx); err != nil {
			return err
		}
	}
}

// refresh fetches all keys. A fetch that fails leaves those that are held; only ctx's error is returned.
func (k *Keys) refresh(ctx context.Context) error {
	if err := k.take(ctx); err != nil {
		return err
	}
	defer k.give()
	k.refetch(ctx)
	return nil
}

func (k *Keys) take(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for signing keys: %w", ctx.Err())
	}
}

func (k *Keys) give() { <-k.turn }

func (r *keyring) find(kid string) *rsa.PublicKey {
	if r == nil {
		return nil
	}
	return r.byID[kid]
}

// refetch replaces the held keys. The caller has the turn. The request outlives the delivery that caused it, because
// others wait for the same keys.
func (k *Keys) refetch(ctx context.Context) {
	k.tried = k.clock.Now()
	byID, err := k.fetch(context.WithoutCancel(ctx))
	k.lastErr = err
	if err == nil {
		k.held.Store(&keyring{byID: byID})
	}
}

func (k *Keys) fetch(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch signing keys: %w", err)
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch signing keys: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch signing keys: status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeysBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	if len(body) > maxKeysBytes {
		return nil, errors.New("read signing keys: too large")
	}
	return parseKeys(body)
}

// parseKeys keeps the RSA keys that may sign and have an id.
func parseKeys(body []byte) (map[string]*rsa.PublicKey, error) {
	set, err := jwk.Parse(body, jwk.WithIgnoreParseError(true))
	if err != nil {
		return nil, fmt.Errorf("parse signing keys: %w", err)
	}
	byID := make(map[string]*rsa.PublicKey)
	for i := range set.Len() {
		key, _ := set.Key(i)
		kid, _ := key.KeyID()
		usage, given := key.KeyUsage()
		var public rsa.PublicKey
		if kid == "" || given && usage != "sig" || jwk.Export(key, &public) != nil {
			continue
		}
		byID[kid] = &public
	}
	if len(byID) == 0 {
		return nil, errors.New("parse signing keys: none is an RSA key with an id")
	}
	return byID, nil
}
