package zohodesk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"deskhouse/source"
)

const (
	// markLife is how long another process's request is waited for: its time-out
	// and some time to store the answer. After that the process is taken for dead.
	markLife = tokenTimeout + 5*time.Second
	markPoll = 500 * time.Millisecond
)

// renew is called with the gate held. turn is the caller's count of answered
// requests when it came: if one was answered since, its result is the caller's
// too. It loads first, because another process may have renewed.
func (k *tokenKeeper) renew(ctx context.Context, rt http.RoundTripper, turn int64) (string, error) {
	var others patience
	// Each turn of the loop waits for half a second: together longer than any
	// process's mark, twice over.
	for range 2 * int(markLife/markPoll) {
		err := k.load(ctx)
		old, fresh, answered := k.current()
		switch {
		case fresh:
			return old, nil
		case err != nil:
			return fallBack(old, err)
		}
		if failed := k.held(answered != turn); failed != nil {
			return fallBack(old, failed)
		}
		if !others.wait(k.mark(), k.clock.Now()) {
			done, access, err := k.request(ctx, rt)
			switch {
			case err != nil:
				return fallBack(old, err)
			case done:
				return access, nil
			}
		}
		if old != "" {
			return old, nil
		}
		if err := sleep(ctx, k.clock, markPoll); err != nil {
			return "", err
		}
	}
	return "", &source.CallError{Fault: source.FaultRetry, Op: opToken, Wait: loadWait, Err: ErrTokenConflict}
}

// fallBack goes on with a token that is old but not expired.
func fallBack(old string, err error) (string, error) {
	if old != "" {
		return old, nil
	}
	return "", err
}

// patience bounds the wait for another process's request, by our own clock too:
// that process's may differ.
type patience struct{ mark, since time.Time }

func (p *patience) wait(mark, now time.Time) bool {
	if mark.IsZero() {
		return false
	}
	if !mark.Equal(p.mark) {
		p.mark, p.since = mark, now
	}
	return now.Sub(mark) < markLife && now.Sub(p.since) < markLife
}

// mark is when some process's request was started whose answer is not stored.
func (k *tokenKeeper) mark() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.token.Renewing
}

// request asks Zoho for a token. The request is counted, marked and stored
// before it is sent, because the process may die before the answer; done is
// false when another process wrote first. A process that never could store
// anything sends nothing: it may be one of many in a crash loop.
func (k *tokenKeeper) request(ctx context.Context, rt http.RoundTripper) (done bool, access string, err error) {
	before, revision := k.copied()
	refresh, now := k.refreshToken(), k.clock.Now().UTC()
	t := before.own()
	t.noted(now)
	t.Renewing = now
	switch err := k.save(ctx, t, revision); {
	case errors.Is(err, ErrTokenConflict):
		return false, "", nil
	case ctx.Err() != nil:
		k.settle(ctx, refresh, func(t *Token) { t.unsent(now) })
		return true, "", context.Cause(ctx)
	case err != nil && !k.hasWritten():
		k.adopt(before, revision, false)
		return true, "", &source.CallError{Fault: source.FaultRetry, Op: opToken, Wait: loadWait,
			Err: fmt.Errorf("zoho is not asked for a token while the state cannot be written: %w", err)}
	case err != nil:
		k.log.Warn().Err(err).Msg("a token request cannot be noted before it is sent")
	}
	granted, failed := k.oauth.refresh(ctx, rt, refresh)
	if ctx.Err() != nil && granted.access == "" {
		k.settle(ctx, refresh, func(*Token) {})
		return true, "", context.Cause(ctx)
	}
	if failed != nil {
		k.fail(ctx, refresh, failed, now)
		return true, "", failed
	}
	k.granted(ctx, refresh, granted, now)
	access, _, _ = k.current()
	return true, access, nil
}

func (k *tokenKeeper) refreshToken() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.grant.refresh
}

func (k *tokenKeeper) hasWritten() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.written
}

// granted notes a good answer.
func (k *tokenKeeper) granted(ctx context.Context, refresh string, r tokenReply, asked time.Time) {
	k.mu.Lock()
	k.turns++
	k.failure, k.retryAt, k.refused = nil, time.Time{}, ""
	k.short = r.renew.Sub(asked) < countedWindow/tokenRequests
	k.mu.Unlock()
	k.settle(ctx, refresh, func(t *Token) {
		if k.creds.onTrial(*t) {
			k.creds.proved(t, asked)
		}
		t.Access, t.Expires, t.Renew = r.access, r.expires, r.renew
		if t.Failure != nil && !t.Failure.Desk {
			t.Failure = nil
		}
		if r.scope != "" {
			t.Scope = r.scope
		}
		if t.Obtained.IsZero() {
			t.Obtained = asked
		}
	})
	k.log.Info().Time("expires", r.expires).Msg("access token renewed")
}

// fail notes a bad answer and how long nothing is sent after it.
func (k *tokenKeeper) fail(ctx context.Context, refresh string, err *source.CallError, asked time.Time) {
	now := k.clock.Now().UTC()
	k.mu.Lock()
	f := k.told(err, refresh, now)
	k.turns++
	k.short = false
	k.failure, k.retryAt = err, now.Add(err.Wait)
	if f != nil {
		k.retryAt = f.Until
	}
	k.mu.Unlock()
	k.settle(ctx, refresh, func(t *Token) {
		if isDial(err.Err) {
			t.unsent(asked)
		}
		if f != nil {
			t.Failure = f
		}
		if f != nil && f.Throttles > 0 {
			t.Throttled = now
		}
	})
	k.log.Warn().Str("code", err.Code).Int("status", err.Status).AnErr("err", err.Err).Msg("no access token from zoho")
}

// told is what is stored of a failure so that a restart waits it out too; nil
// for one without an answer. It completes err.Wait. mu is held.
func (k *tokenKeeper) told(err *source.CallError, refresh string, now time.Time) *TokenFailure {
	f := &TokenFailure{Of: k.creds.attempt(refresh), Code: err.Code, Status: err.Status, At: now}
	switch {
	case err.Fault == source.FaultUnauthorized:
		// Asking again sooner cannot help and uses up the ten requests.
		f.Until = now.Add(tokenWindow)
		return f
	case errors.Is(err, errThrottled):
		f.Throttles = 1
		if last := k.token.Failure; last != nil && now.Before(last.Until.Add(throttleWait)) {
			f.Throttles = min(last.Throttles+1, maxThrottles)
		}
		err.Wait = time.Duration(f.Throttles) * throttleWait
	case err.Wait == 0 && !isDial(err.Err) && len(recent(k.token.Requests, now, countedWindow)) > tokenRequests/2:
		err.Wait = catchAllWait // half of the ten are for what clears by itself soon
	}
	if err.Wait == 0 {
		return nil
	}
	f.Until = now.Add(err.Wait)
	return f
}
