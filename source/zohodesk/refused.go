package zohodesk

import (
	"context"
	"time"

	"deskhouse/source"
)

const freshRefused = "Zoho Desk refuses fresh access tokens"

// reject says that Desk refused a token: the next one who needs one asks for
// another. Of many callers that were refused with the same token, the first does
// it. Where Desk refused the one before as well and took none between, another
// one is of no use, and none is asked for: a refusal in Desk's own words puts the
// newest one in doubt, and wait is how long it is not tried again. One that is
// refused to the end of that is condemned for ten minutes, and stop tells that it
// was. A refusal that may be a gateway's leaves the token as it is.
func (k *tokenKeeper) reject(ctx context.Context, access string, why *source.CallError) (wait time.Duration, stop bool) {
	k.mu.Lock()
	now, last := k.clock.Now().UTC(), k.token.Failure
	if last != nil && !last.Desk {
		last = nil
	}
	again := last != nil || !k.refusedAt.IsZero() && now.Sub(k.refusedAt) < tokenWindow
	switch {
	case k.token.Access != access || again && why.Fault != source.FaultUnauthorized:
		k.mu.Unlock()
		return 0, false
	case !again:
		k.token.Access, k.refused, k.refusedAt, k.short = "", access, now, false
		k.mu.Unlock()
		return 0, false
	case last.doubtful() && last.holds(now): // sent before another caller was refused
		k.mu.Unlock()
		return last.Until.Sub(now), false
	}
	refresh := k.grant.refresh
	f := last.refusedAgain(now)
	f.Of, f.Code, f.Status = k.creds.attempt(refresh), why.Code, why.Status
	k.refusedAt, k.short = now, false
	k.token.Failure = f
	if !f.doubtful() {
		k.token.Access, k.refused = "", access
		k.failure, k.retryAt = k.creds.failed(f), f.Until
	}
	k.mu.Unlock()
	k.log.Warn().Str("code", why.Code).Int("status", why.Status).Time("again", f.Until).Msg(freshRefused)
	k.amend(ctx, refresh, func(t *Token) {
		t.Failure = f
		if t.Access == access && !f.doubtful() {
			t.Access = ""
		}
	})
	return f.Until.Sub(now), !f.doubtful()
}

// served says that Desk took a token: whatever was held against it is over.
func (k *tokenKeeper) served(ctx context.Context, access string) {
	k.mu.Lock()
	blamed := k.token.Failure != nil && k.token.Failure.Desk
	if k.token.Access != access || !blamed && k.refusedAt.IsZero() {
		k.mu.Unlock()
		return
	}
	k.refusedAt = time.Time{}
	refresh := k.grant.refresh
	if blamed {
		k.token.Failure = nil
	}
	k.mu.Unlock()
	if blamed {
		k.log.Info().Msg("Zoho Desk takes the access token again")
		k.amend(ctx, refresh, func(t *Token) {
			if t.Failure != nil && t.Failure.Desk {
				t.Failure = nil
			}
		})
	}
}

// barred returns why no call may be made at all, for want of an authorisation:
// nothing that only time brings, so nobody shall wait for credits first. What
// another process stored meanwhile counts. It does not wait for a request that is
// under way.
func (k *tokenKeeper) barred(ctx context.Context) *source.CallError {
	if access, _, _ := k.current(); access != "" {
		return nil
	}
	select {
	case k.gate <- struct{}{}:
		defer k.leave()
	default:
		return nil
	}
	if k.load(ctx) != nil {
		return nil
	}
	if access, _, _ := k.current(); access != "" {
		return nil
	}
	if failed := k.held(false); failed != nil && failed.Fault == source.FaultUnauthorized {
		return failed
	}
	return nil
}
