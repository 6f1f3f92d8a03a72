package zohodesk

import (
	"context"
	"errors"
	"time"

	"github.com/jonboulle/clockwork"
)

// withTimeout is context.WithTimeout on the injected clock, with errTimeout as
// its cause. It leaves no timer behind once cancelled.
func withTimeout(ctx context.Context, clock clockwork.Clock, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := clock.AfterFunc(d, func() { cancel(errTimeout) })
	return ctx, func() {
		timer.Stop()
		cancel(context.Canceled)
	}
}

// cause replaces the bare "context canceled" of a request that ran into its
// own timeout.
func cause(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTimeout) {
		return errTimeout
	}
	return err
}

// sleep waits on the injected clock.
func sleep(ctx context.Context, clock clockwork.Clock, d time.Duration) error {
	timer := clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.Chan():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
