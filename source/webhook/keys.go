package webhook

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/lestrrat-go/jwx/v3/jwk"
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
	// refetchEvery bounds the requests that tokens with invented key ids can cause.
	refetchEvery = 10 * time.Second
	// keysMaxAge is when keys are fetched again although they are known, so that a withdrawn one is not trusted for ever.
	keysMaxAge = 24 * time.Hour
	// fetchTimeout leaves time to append within the 5 s that Zoho waits.
	fetchTimeout = 3 * time.Second
	maxKeysBytes = 1 << 20
)

// Keys is a KeySet fetched from a JWKS URL (https://<Desk host>/.well-known/jwks.json) and kept by key id. It fetches when
// it is first asked, when a key is unknown, and once a day; at most every ten seconds, successful or not. Keys that are
// held stay in use while the URL does not answer.
type Keys struct {
	url    string
	client *http.Client
	clock  clockwork.Clock

	held atomic.Pointer[keyring]

	mu      sync.Mutex // one fetch at a time; guards the two below
	tried   time.Time
	lastErr error
}

type keyring struct {
	byID    map[string]*rsa.PublicKey
	fetched time.Time
}

// NewKeys makes no request yet. A nil transport means http.DefaultTransport.
func NewKeys(url string, transport http.RoundTripper, clock clockwork.Clock) *Keys {
	return &Keys{url: url, client: &http.Client{Transport: transport, Timeout: fetchTimeout}, clock: clock}
}

var _ KeySet = (*Keys)(nil)

// Key implements KeySet.
func (k *Keys) Key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	held := k.held.Load()
	if key := held.find(kid); key != nil && k.clock.Since(held.fetched) < keysMaxAge {
		return key, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if held = k.held.Load(); held.find(kid) == nil || k.clock.Since(held.fetched) >= keysMaxAge {
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

func (r *keyring) find(kid string) *rsa.PublicKey {
	if r == nil {
		return nil
	}
	return r.byID[kid]
}

// refetch replaces the held keys, unless it was tried a moment ago. The request outlives the delivery that caused it,
// because others wait for the same keys.
func (k *Keys) refetch(ctx context.Context) {
	if !k.tried.IsZero() && k.clock.Since(k.tried) < refetchEvery {
		return
	}
	k.tried = k.clock.Now()
	byID, err := k.fetch(context.WithoutCancel(ctx))
	k.lastErr = err
	if err == nil {
		k.held.Store(&keyring{byID: byID, fetched: k.tried})
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
