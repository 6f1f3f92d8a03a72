package zohodesk

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// OAUTH-LIM: ten token requests per refresh token in ten minutes.
const (
	tokenRequests = 10
	tokenWindow   = 10 * time.Minute
	// countedWindow is how long a request counts here: Zoho counts it when it
	// arrives, which may be a time-out later.
	countedWindow = tokenWindow + tokenTimeout
	// throttleMemory is how long a throttle that Zoho answered is remembered.
	throttleMemory = 24 * time.Hour
)

// tokenKeeper hands out the access token and renews it, one request at a time
// however many ask: in this process by the gate, among processes that share the
// store by a mark in it.
type tokenKeeper struct {
	clock clockwork.Clock
	log   zerolog.Logger
	store TokenStore
	creds credentials
	oauth oauth

	// gate is held by the one caller that loads, requests or stores a token.
	gate chan struct{}

	// mu guards everything below; it is never held over I/O.
	mu        sync.Mutex
	token     Token // as creds.pick left it
	grant     grant
	revision  uint64 // of the stored token
	loaded    bool
	written   bool      // the store took something from this process
	dirty     bool      // token could not be stored
	saveAt    time.Time // with dirty: when storing it is tried again
	refused   string    // access token that Desk refused, though it may be stored
	refusedAt time.Time // of refused, zero once Desk took a token
	probed    time.Time // when a token in doubt was last tried
	turns     int64     // token requests answered, well or badly
	failure   *source.CallError
	retryAt   time.Time // with failure: nothing is sent before
	// short: the last token came to this process, lives too short for ten
	// requests to reach from window to window, and was not refused.
	short bool
}

func newTokenKeeper(cfg Config, e endpoints, desk string, log zerolog.Logger) *tokenKeeper {
	creds := credentials{connection: cfg.Name, clientID: cfg.ClientID, secret: cfg.ClientSecret, refresh: cfg.RefreshToken, endpoints: e, desk: desk}
	return &tokenKeeper{clock: cfg.Clock, log: log, store: cfg.Tokens, creds: creds, oauth: oauth{clock: cfg.Clock, creds: creds},
		gate: make(chan struct{}, 1)}
}

// access returns a token that is believed to be good. It asks Zoho when there
// is none, or when less than five minutes of its life are left; in that time
// others go on with the old one. Errors are ctx's or a *source.CallError.
func (k *tokenKeeper) access(ctx context.Context, rt http.RoundTripper) (string, error) {
	access, err := k.believed(ctx, rt)
	if err != nil {
		return "", err
	}
	if failed := k.doubted(); failed != nil {
		return "", failed
	}
	return access, nil
}

// believed is access without a look at what Desk said of the token.
func (k *tokenKeeper) believed(ctx context.Context, rt http.RoundTripper) (string, error) {
	old, fresh, turn := k.current()
	if fresh {
		k.storeAgain(ctx)
		return old, nil
	}
	select {
	case k.gate <- struct{}{}:
	default:
		if old != "" {
			return old, nil
		}
		if err := k.enter(ctx); err != nil {
			return "", err
		}
	}
	defer k.leave()
	return k.renew(ctx, rt, turn)
}

// enter takes the gate; the error is ctx's.
func (k *tokenKeeper) enter(ctx context.Context) error {
	select {
	case k.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (k *tokenKeeper) leave() { <-k.gate }

// current returns the token in hand, "" when it has expired, whether it needs
// no renewal, and the number of requests answered so far.
func (k *tokenKeeper) current() (access string, fresh bool, turn int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.Now()
	if k.token.Access == "" || !now.Before(k.token.Expires) {
		return "", false, k.turns
	}
	return k.token.Access, now.Before(k.token.Renew), k.turns
}

// held returns why no request may be sent now: the failure of another caller's
// request that just ended (shared), one that is to be waited out, or the
// number of requests that Zoho allows.
func (k *tokenKeeper) held(shared bool) *source.CallError {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.Now()
	if k.grant.problem != nil {
		again := *k.grant.problem
		return &again
	}
	if k.failure != nil && (shared || now.Before(k.retryAt)) {
		again := *k.failure
		again.Wait = max(k.retryAt.Sub(now), 0)
		return &again
	}
	if f := k.token.Failure; f != nil && f.holds(now) {
		return k.hold(now, k.creds.failed(f), f.Until.Sub(now))
	}
	if sent := recent(k.token.Requests, now, countedWindow); len(sent) >= tokenRequests && !k.beyondTen(now) {
		reason := throttled(0, "ten token requests within ten minutes, the most that Zoho allows, were sent already")
		return k.hold(now, reason, sent[len(sent)-tokenRequests].Add(countedWindow).Sub(now))
	}
	return nil
}

// beyondTen reports whether more than ten requests may be sent in ten minutes.
// Tokens that live for seconds need them, and prove that the server is not
// held to Zoho's pace: so they are sent, until the server ever says "too many".
// Only a process that lives through its tokens may: one that has restarted has
// none of its own, so a crash loop stays within the ten. mu is held.
func (k *tokenKeeper) beyondTen(now time.Time) bool {
	return k.short && (k.token.Throttled.IsZero() || now.Sub(k.token.Throttled) > throttleMemory)
}

// hold notes why nothing is sent for a while. mu is held.
func (k *tokenKeeper) hold(now time.Time, reason *source.CallError, wait time.Duration) *source.CallError {
	reason.Wait = wait
	k.failure, k.retryAt = reason, now.Add(wait)
	again := *reason
	return &again
}

// holds reports whether a stored failure is to be waited out. One from the
// future was left by a clock that was set back.
func (f *TokenFailure) holds(now time.Time) bool {
	return now.Before(f.Until) && !now.Before(f.At.Add(-time.Minute))
}

// failed is a stored failure as it was told first.
func (c credentials) failed(f *TokenFailure) *source.CallError {
	if f.doubtful() {
		return &source.CallError{Fault: source.FaultRetry, Op: "access token", Status: f.Status, Code: f.Code, Err: errDoubted}
	}
	if f.Desk {
		return &source.CallError{Fault: source.FaultUnauthorized, Op: "access token", Status: f.Status, Code: f.Code, Detail: freshRefused, Hint: c.named(hintFresh)}
	}
	status := ""
	if f.Throttles > 0 {
		status = "failure"
	}
	return c.refusal(forRefresh, f.Status, f.Code, status)
}

// waiting says until when no token can be had, for want of one.
func (k *tokenKeeper) waiting() (time.Time, string) {
	old, _, _ := k.current()
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.token.Failure; f.doubtful() && f.holds(k.clock.Now()) {
		return f.Until.UTC(), freshRefused
	}
	if old != "" || k.failure == nil || k.failure.Fault != source.FaultRetry || !k.clock.Now().Before(k.retryAt) {
		return time.Time{}, ""
	}
	if errors.Is(k.failure, errThrottled) {
		return k.retryAt.UTC(), "token requests are throttled"
	}
	return k.retryAt.UTC(), "zoho gives no access token"
}
