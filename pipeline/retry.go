package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// Back-off of whatever the pipeline tries again: from half a second to half a
// minute, with jitter, without end.
const (
	firstWait = 500 * time.Millisecond
	maxWait   = 30 * time.Second
	// failuresEvery is how often a lasting failure is logged again.
	failuresEvery = 30 * time.Second
)

func newBackOff(clock clockwork.Clock) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff(backoff.WithInitialInterval(firstWait), backoff.WithMaxInterval(maxWait),
		backoff.WithMaxElapsedTime(0), backoff.WithClockProvider(clock))
	return b
}

// retry calls do until it succeeds, ctx ends, or the fault is one that time
// does not heal. It logs the first failure, then one line per half minute, and
// one on recovery.
func retry(ctx context.Context, clock clockwork.Clock, log zerolog.Logger, what string, do func(context.Context) error) error {
	b := newBackOff(clock)
	var failures int
	var logged time.Time
	for {
		err := do(ctx)
		if err == nil {
			if failures > 0 {
				log.Info().Str("what", what).Int("failures", failures).Msg("recovered")
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !transient(err) {
			return err
		}
		failures++
		if now := clock.Now(); failures == 1 || now.Sub(logged) >= failuresEvery {
			log.Warn().Err(err).Str("what", what).Int("failures", failures).Msg("will be tried again")
			logged = now
		}
		if err := sleep(ctx, clock, max(b.NextBackOff(), waitOf(err))); err != nil {
			return err
		}
	}
}

// transient reports whether trying again can help. What is neither an answer of
// Zoho nor calls itself permanent (warehouse, state) is taken for transient: the
// sync waits and says so, rather than losing its place.
func transient(err error) bool {
	if permanent(err) {
		return false
	}
	var call *source.CallError
	if !errors.As(err, &call) {
		return true
	}
	return call.Fault == source.FaultRetry || call.Fault == source.FaultBadReply
}

// permanent reports an error of warehouse or state that no waiting heals: the sync
// ends, and its next start sees what can be done.
func permanent(err error) bool {
	var final interface{ Permanent() bool }
	return errors.As(err, &final) && final.Permanent()
}

func waitOf(err error) time.Duration {
	var call *source.CallError
	if errors.As(err, &call) {
		return call.Wait
	}
	return 0
}

func sleep(ctx context.Context, clock clockwork.Clock, d time.Duration) error {
	select {
	case <-clock.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
