package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"deskhouse/source"
)

// heldBack is a call that the client keeps back until a time, for a reason in
// words.
type heldBack struct {
	until time.Time
	why   string
}

func (h *heldBack) Error() string {
	return fmt.Sprintf("calls wait until %s: %s", h.until.UTC().Format(time.RFC3339), h.why)
}

// forToken tells token requests from credits.
func (h *heldBack) forToken() bool { return strings.Contains(h.why, "token") }

// heldForCredits is the part of err that says that a call was not made, or was
// refused, for want of credits; nil for any other error.
func heldForCredits(err error) error {
	var held *heldBack
	switch {
	case errors.As(err, &held) && !held.forToken():
		return held
	case codeOf(err) == "THRESHOLD_EXCEEDED":
		return callError(err)
	}
	return nil
}

// heldForToken is the part of err that says that token requests are held back.
func heldForToken(err error) *heldBack {
	var held *heldBack
	if errors.As(err, &held) && held.forToken() {
		return held
	}
	return nil
}

// patience is how long a call may take before it is asked whether it waits for
// something that a check cannot wait for.
const patience = time.Second

func (cc *connCheck) try(ctx context.Context, call func(context.Context) error) error {
	return cc.core.try(ctx, cc.conn, call)
}

// try makes one attempt of at most tryFor. A call that the client holds back
// for longer than that ends at once with a *heldBack; so does one that was still
// held back at its end.
func (c *core) try(ctx context.Context, conn *connection, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	ended := make(chan error, 1)
	go func() { ended <- call(ctx) }()
	var waits *heldBack // what the call waited for when it was last asked
	for {
		select {
		case err := <-ended:
			var held *heldBack
			if errors.As(context.Cause(ctx), &held) {
				return held
			}
			if err != nil && waits != nil && (ctx.Err() != nil || isUnsent(err)) {
				return waits
			}
			return err
		case <-c.clock.After(patience):
			waits = nil
			if until, why := conn.client.WaitingUntil(); !until.IsZero() {
				waits = &heldBack{until, why}
			}
			if waits != nil && waits.until.After(c.clock.Now().Add(tryFor)) {
				giveUp(waits)
			}
		}
	}
}

// isUnsent reports a call that the client gave up before Desk saw it.
func isUnsent(err error) bool {
	call := callError(err)
	return call != nil && call.Fault == source.FaultRetry && call.Status == 0 && !isTokenCall(call)
}
