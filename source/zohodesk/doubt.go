package zohodesk

import (
	"errors"
	"time"

	"deskhouse/source"
)

// Two refusals may be one hiccup of Desk. The newest token is then kept and tried
// again now and then, which costs no token request; only one that is still
// refused after about a minute and a half is condemned.

// doubtPauses are the times between the tries, doubtTime is a little less than
// their sum.
var doubtPauses = [...]time.Duration{2 * time.Second, 5 * time.Second, 15 * time.Second, 60 * time.Second}

const (
	doubtTime = 80 * time.Second
	// probePause is how long one caller's try is waited for before another's.
	probePause = 2 * time.Second
)

var errDoubted = errors.New("the newest token, which Zoho Desk refuses, is tried again")

// doubtful reports whether the token in hand is to be tried again.
func (f *TokenFailure) doubtful() bool { return f != nil && f.Desk && f.Doubt > 0 }

// refusedAgain is what follows from one more refusal by Desk; f is what the last
// one left, nil at first.
func (f *TokenFailure) refusedAgain(now time.Time) *TokenFailure {
	next := &TokenFailure{At: now, Desk: true}
	if f == nil {
		next.Doubt, next.Until = 1, now.Add(doubtPauses[0])
		return next
	}
	if f.At.Before(now) {
		next.At = f.At
	}
	if !f.doubtful() || now.Sub(next.At) >= doubtTime {
		next.Until = now.Add(tokenWindow)
		return next
	}
	next.Doubt = min(f.Doubt+1, len(doubtPauses))
	next.Until = now.Add(doubtPauses[next.Doubt-1])
	return next
}

// doubted returns why a token that Desk refused just now is not tried now. When
// it is time, one caller goes ahead and the others wait for what becomes of it.
func (k *tokenKeeper) doubted() *source.CallError {
	k.mu.Lock()
	defer k.mu.Unlock()
	f, now := k.token.Failure, k.clock.Now()
	if !f.doubtful() {
		return nil
	}
	wait := probePause - now.Sub(k.probed)
	switch {
	case f.holds(now):
		wait = f.Until.Sub(now)
	case wait <= 0 || wait > probePause:
		k.probed = now
		return nil
	}
	err := k.creds.failed(f)
	err.Wait = wait
	return err
}

// unsure is a refusal that is not final: wait is how long its token is in doubt,
// 0 when there is another one.
func unsure(refused *source.CallError, wait time.Duration) *source.CallError {
	again := *refused
	again.Fault, again.Hint = source.FaultRetry, ""
	if wait > 0 {
		again.Wait, again.Err = wait, errDoubted
	}
	return &again
}
