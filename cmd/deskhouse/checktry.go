package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
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

// patience is how long a call may take before it is asked whether it waits for
// something that a check cannot wait for.
const patience = time.Second

func (cc *connCheck) try(ctx context.Context, call func(context.Context) error) error {
	return cc.core.try(ctx, cc.conn, call)
}

// try makes one attempt of at most tryFor. A call that the client holds back
// for longer than that ends at once with a *heldBack.
func (c *core) try(ctx context.Context, conn *connection, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	ended := make(chan error, 1)
	go func() { ended <- call(ctx) }()
	for {
		select {
		case err := <-ended:
			var held *heldBack
			if errors.As(context.Cause(ctx), &held) {
				return held
			}
			return err
		case <-c.clock.After(patience):
			if until, why := conn.client.WaitingUntil(); until.After(c.clock.Now().Add(tryFor)) {
				giveUp(&heldBack{until, why})
			}
		}
	}
}
