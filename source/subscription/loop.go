package subscription

import (
	"context"
	"errors"
	"slices"
	"time"

	"deskhouse/source"
)

// firstPause follows a first failure that may pass by itself.
const firstPause = time.Minute

// Run keeps the subscription until ctx ends, and returns its error: it looks at once, hourly, before the subscription
// expires, after failures, and when Doubt says so. Only one Run at a time.
func (k *Keeper) Run(ctx context.Context) error {
	vain := int64(0) // looks in a row that a doubt caused and that found nothing new
	for doubt := false; ; {
		before := k.Current().IDs
		_ = k.Once(ctx) // it is Problem's, and logged
		if ctx.Err() != nil {
			return ctx.Err()
		}
		vain++
		if !doubt || !slices.Equal(before, k.Current().IDs) {
			vain = 0
		}
		var err error
		if doubt, err = k.rest(ctx, vain); err != nil {
			return err
		}
	}
}

// Doubt has the loop look again soon: the intake has met a delivery that what is known does not explain. That is a minute
// after the last look, or later while such looks find nothing new. Never waits.
func (k *Keeper) Doubt() {
	select {
	case k.doubted <- struct{}{}:
	default:
	}
}

// Once makes one pass and then tells of the gaps that were closed. Its error is Problem's too, and told once in the log.
func (k *Keeper) Once(ctx context.Context) error {
	err := k.inTurn(ctx, func() error { return k.pass(ctx, leaveAway) })
	return errors.Join(err, k.tellGaps(ctx))
}

// inTurn does something that nobody else may do at the same time.
func (k *Keeper) inTurn(ctx context.Context, do func() error) error {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-k.turn }()
	return do()
}

// tellGaps tells of each gap once, after everything else may go on.
func (k *Keeper) tellGaps(ctx context.Context) error {
	var gaps []Gap
	if err := k.inTurn(ctx, func() error { gaps, k.gaps = k.gaps, nil; return nil }); err != nil {
		return err
	}
	for _, gap := range gaps {
		k.log.Warn().Time("from", gap.From).Time("to", gap.To).Str("why", gap.Why).Msg("events may have been missed; closed by polls")
		if k.cfg.Missed != nil {
			k.cfg.Missed(ctx, gap)
		}
	}
	return nil
}

// passPatience bounds one pass: a client whose credits are spent waits for hours, and a command, such as the change of a
// secret that leaked, waits for its turn meanwhile.
const passPatience = 10 * time.Minute

var errPatience = errors.New("no answer within " + passPatience.String())

// pass is once within passPatience, and what came of it.
func (k *Keeper) pass(ctx context.Context, do aboutAway) error {
	bounded, cancel := context.WithCancelCause(ctx)
	timer := k.cfg.Clock.AfterFunc(passPatience, func() { cancel(errPatience) })
	err := k.fresh(bounded, func(s Subscription) error { return k.once(bounded, s, do) })
	timer.Stop()
	if err != nil && errors.Is(context.Cause(bounded), errPatience) {
		err = errors.Join(errPatience, err)
	}
	cancel(nil)
	if err == nil || ctx.Err() == nil { // a caller that gave up says nothing of the subscription
		k.settle(err)
	}
	return err
}

// settle remembers how an attempt ended. A problem is told once, until it changes or passes.
func (k *Keeper) settle(err error) {
	old := k.problem.Load()
	if err == nil {
		k.failures.Store(0)
		k.problem.Store(nil)
		if old != nil {
			k.log.Info().Msg("webhook is all right again")
		}
		return
	}
	k.failures.Add(1)
	p := &Problem{Err: err, Since: k.now()}
	if old != nil && sameProblem(old.Err, err) {
		p.Since = old.Since
		k.log.Debug().Err(err).Msg("webhook still not as it should be")
	} else {
		k.log.Warn().Err(err).Msg("webhook is not as it should be: polls find what it misses; tried again, quietly")
	}
	k.problem.Store(p)
}

// sameProblem compares what the sender said, where it said something: messages may carry an id or a moment.
func sameProblem(a, b error) bool {
	var x, y *source.CallError
	if errors.As(a, &x) && errors.As(b, &y) {
		return x.Fault == y.Fault && x.Status == y.Status && x.Code == y.Code && x.Op == y.Op
	}
	return a.Error() == b.Error()
}

// rest waits for the next pass. A command that changed something, and a doubt, can only bring it forward.
func (k *Keeper) rest(ctx context.Context, vain int64) (doubt bool, err error) {
	began := k.now()
	due := began.Add(k.pause())
	for {
		timer := k.cfg.Clock.NewTimer(due.Sub(k.now()))
		sooner := due
		select {
		case <-timer.Chan():
			return doubt, nil
		case <-k.wake:
			timer.Stop()
			if err := k.tellGaps(ctx); err != nil {
				return doubt, err
			}
			sooner = k.now().Add(k.pause())
		case <-k.doubted:
			timer.Stop()
			sooner, doubt = began.Add(doubling(vain)), true
		case <-ctx.Done():
			timer.Stop()
			return doubt, ctx.Err()
		}
		if sooner.Before(due) {
			due = sooner
		}
	}
}

// pause is how long the next pass can wait.
func (k *Keeper) pause() time.Duration {
	s, pause := k.Current(), CheckEvery
	if p := k.problem.Load(); p != nil {
		return retryPause(p.Err, k.failures.Load())
	}
	if at := s.renewAt(); s.Wanted && !s.ExpiresAt.IsZero() {
		pause = min(pause, at.Sub(k.now()))
	}
	return max(pause, firstPause)
}

// retryPause is an hour where only a person can help, otherwise as long as the sender said, or doubling.
func retryPause(err error, failures int64) time.Duration {
	for _, f := range []source.Fault{source.FaultForbidden, source.FaultInvalid, source.FaultUnauthorized} {
		if source.IsFault(err, f) {
			return CheckEvery
		}
	}
	if errors.Is(err, ErrElsewhere) {
		return CheckEvery
	}
	pause := doubling(failures - 1)
	var call *source.CallError
	if errors.As(err, &call) {
		pause = min(max(pause, call.Wait), CheckEvery)
	}
	return pause
}

// doubling is a minute, doubled n times, at most an hour.
func doubling(n int64) time.Duration { return min(firstPause<<min(max(n, 0), 10), CheckEvery) }

// reckon makes the loop plan its next pass anew.
func (k *Keeper) reckon() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}
