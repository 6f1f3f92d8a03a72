package zohodesk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// Token is what is kept of a connection's authorisation over restarts. All
// times are UTC on the local clock. Access is a secret: whoever stores a Token
// seals it.
type Token struct {
	Access  string
	Renew   time.Time // from here on another one is asked for
	Expires time.Time
	// RefreshHash says which client and refresh token Access came from: another
	// one's is of no use.
	RefreshHash string
	Scope       string // granted scopes as Zoho told, space separated; may be empty
	// Requests are the token requests of the last ten minutes, so that a crash
	// loop cannot run into Zoho's limit either.
	Requests []time.Time
}

// String keeps the token out of logs and errors.
func (t Token) String() string { return fmt.Sprintf("zohodesk.Token{Expires: %s}", t.Expires) }

// GoString keeps %#v from printing the token.
func (t Token) GoString() string { return t.String() }

// TokenStore keeps a connection's Token. SaveToken is called before and after
// each token request and may be called with the same token again. A store that
// fails is logged and does not stop the connection.
type TokenStore interface {
	LoadToken(ctx context.Context) (token Token, found bool, err error)
	SaveToken(ctx context.Context, t Token) error
}

type noStore struct{}

var _ TokenStore = noStore{}

func (noStore) LoadToken(context.Context) (Token, bool, error) { return Token{}, false, nil }
func (noStore) SaveToken(context.Context, Token) error         { return nil }

// OAUTH-LIM: ten token requests per refresh token in ten minutes.
const (
	tokenRequests = 10
	tokenWindow   = 10 * time.Minute
)

// keeper hands out the access token and renews it, one request at a time
// however many ask.
type keeper struct {
	clock clockwork.Clock
	log   zerolog.Logger
	store TokenStore
	oauth oauth
	hash  string

	// gate is held by the one caller that loads, requests or stores a token.
	gate chan struct{}

	// mu guards everything below; it is never held over I/O.
	mu      sync.Mutex
	token   Token
	loaded  bool
	turns   int64 // token requests answered, well or badly
	failure *source.CallError
	retryAt time.Time // with failure: nothing is sent before
}

func newKeeper(cfg Config, accounts string, log zerolog.Logger) *keeper {
	sum := sha256.Sum256([]byte(cfg.ClientID + "\x00" + cfg.RefreshToken))
	return &keeper{clock: cfg.Clock, log: log, store: cfg.Tokens, hash: hex.EncodeToString(sum[:16]),
		oauth: oauth{accounts: accounts, clock: cfg.Clock, clientID: cfg.ClientID, secret: cfg.ClientSecret, refresh: cfg.RefreshToken},
		gate:  make(chan struct{}, 1)}
}

// access returns a token that is believed to be good. It asks Zoho when there
// is none, or when less than five minutes of its life are left; in that time
// others go on with the old one. Errors are ctx's or a *source.CallError.
func (k *keeper) access(ctx context.Context, rt http.RoundTripper) (string, error) {
	old, fresh, turn := k.current()
	if fresh {
		return old, nil
	}
	select {
	case k.gate <- struct{}{}:
	default:
		if old != "" {
			return old, nil
		}
		select {
		case k.gate <- struct{}{}:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	defer func() { <-k.gate }()
	return k.renew(ctx, rt, turn)
}

// current returns the token in hand, "" when it has expired, whether it needs
// no renewal, and the number of requests answered so far.
func (k *keeper) current() (access string, fresh bool, turn int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.Now()
	if k.token.Access == "" || !now.Before(k.token.Expires) {
		return "", false, k.turns
	}
	return k.token.Access, now.Before(k.token.Renew), k.turns
}

// reject says that Zoho refused a token. Of many callers that were refused
// with the same one, the first does it.
func (k *keeper) reject(access string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.token.Access == access {
		k.token.Access = ""
	}
}

// renew is called with the gate held. turn is the caller's count of answered
// requests when it came: if one was answered since, its result is the caller's
// too.
func (k *keeper) renew(ctx context.Context, rt http.RoundTripper, turn int64) (string, error) {
	k.load(ctx)
	old, fresh, answered := k.current()
	if fresh {
		return old, nil
	}
	if failed := k.held(answered != turn); failed != nil {
		return k.fallBack(old, failed)
	}
	if err := k.request(ctx, rt); err != nil {
		return k.fallBack(old, err)
	}
	access, _, _ := k.current()
	return access, nil
}

// fallBack goes on with a token that is old but not expired.
func (k *keeper) fallBack(old string, err error) (string, error) {
	if old != "" {
		return old, nil
	}
	return "", err
}

// load reads the stored token once.
func (k *keeper) load(ctx context.Context) {
	k.mu.Lock()
	loaded := k.loaded
	k.mu.Unlock()
	if loaded {
		return
	}
	t, found, err := k.store.LoadToken(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		k.log.Warn().Err(err).Msg("stored access token cannot be read, asking for another")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = true
	if err == nil && found && t.RefreshHash == k.hash {
		k.token = t
	}
}

// held returns why no request may be sent now: the failure of another caller's
// request that just ended (shared), one that is to be waited out, or the
// number of requests that Zoho allows.
func (k *keeper) held(shared bool) *source.CallError {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.Now()
	if k.failure != nil && (shared || now.Before(k.retryAt)) {
		again := *k.failure
		again.Wait = max(k.retryAt.Sub(now), 0)
		return &again
	}
	k.token.Requests = recent(k.token.Requests, now)
	if len(k.token.Requests) < tokenRequests {
		return nil
	}
	wait := k.token.Requests[0].Add(tokenWindow).Sub(now)
	k.failure = throttled(wait, "ten token requests within ten minutes, the most that Zoho allows, were sent already")
	k.retryAt = now.Add(wait)
	return k.failure
}

// recent keeps the requests of the last ten minutes. Stamps from the future,
// left by a clock that was set back, go.
func recent(stamps []time.Time, now time.Time) []time.Time {
	var kept []time.Time
	for _, t := range stamps {
		if age := now.Sub(t); age >= 0 && age < tokenWindow {
			kept = append(kept, t)
		}
	}
	return kept
}

// request asks Zoho for a token. The request is counted and stored before it
// is sent, because the process may die before the answer.
func (k *keeper) request(ctx context.Context, rt http.RoundTripper) error {
	now := k.clock.Now().UTC()
	k.mu.Lock()
	k.token.Requests = append(recent(k.token.Requests, now), now)
	k.token.RefreshHash = k.hash
	started := k.token
	k.mu.Unlock()
	k.save(ctx, started)

	fresh, err := k.oauth.request(ctx, rt)
	if ctx.Err() != nil && fresh.Access == "" {
		return context.Cause(ctx)
	}
	k.mu.Lock()
	k.turns++
	if err != nil {
		k.fail(err)
		k.mu.Unlock()
		return err
	}
	fresh.RefreshHash, fresh.Requests = k.hash, k.token.Requests
	k.token, k.failure = fresh, nil
	k.mu.Unlock()
	k.log.Info().Time("expires", fresh.Expires).Msg("access token renewed")
	k.save(ctx, fresh)
	return nil
}

// fail notes a failed request and how long none is sent after it. mu is held.
func (k *keeper) fail(err *source.CallError) {
	now := k.clock.Now()
	wait := err.Wait
	if err.Fault == source.FaultUnauthorized {
		wait = tokenWindow // asking again sooner cannot help and uses up the ten requests
	}
	k.failure, k.retryAt = err, now.Add(wait)
	if isDial(err.Err) { // never left this machine
		k.token.Requests = k.token.Requests[:len(k.token.Requests)-1]
	}
	k.log.Warn().Str("code", err.Code).Int("status", err.Status).AnErr("err", err.Err).Msg("no access token from zoho")
}

func (k *keeper) save(ctx context.Context, t Token) {
	if err := k.store.SaveToken(ctx, t); err != nil && !errors.Is(err, context.Canceled) {
		k.log.Warn().Err(err).Msg("access token cannot be stored")
	}
}

// waiting says until when no token can be had, for want of one.
func (k *keeper) waiting() (time.Time, string) {
	old, _, _ := k.current()
	k.mu.Lock()
	defer k.mu.Unlock()
	if old != "" || k.failure == nil || k.failure.Fault != source.FaultRetry || !k.clock.Now().Before(k.retryAt) {
		return time.Time{}, ""
	}
	return k.retryAt.UTC(), "token requests are throttled"
}
