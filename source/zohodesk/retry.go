package zohodesk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"deskhouse/source"
)

const (
	// maxTries bounds the attempts of one call. With waits of 0.5, 1, 2, 4, 8,
	// 16 and 30 s (each ±50 %) a call gives up after about a minute; the
	// pipeline goes on from there.
	maxTries = 8
	// maxInlineWait is the longest Retry-After that is waited for inside a call;
	// a longer one is returned as CallError.Wait.
	maxInlineWait = 2 * time.Minute
)

func (c *Client) newBackOff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(500*time.Millisecond), backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.5), backoff.WithMaxInterval(30*time.Second),
		backoff.WithMaxElapsedTime(0), backoff.WithClockProvider(c.clock))
}

// do makes a call until it succeeds, is refused for good, has failed too often,
// or ctx ends. The reply's timing is set whenever Zoho answered.
func (c *Client) do(ctx context.Context, cl *call) (reply, error) {
	waits := c.newBackOff()
	refreshed := false
	for try := 1; ; {
		r, v, err := c.attempt(ctx, cl)
		if err == nil {
			return r, nil
		}
		var failed *source.CallError
		if !errors.As(err, &failed) {
			return r, fmt.Errorf("%s: %w", cl.op(), err) // ctx ended
		}
		if v.refresh && (!refreshed || failed.Fault == source.FaultUnauthorized) {
			wait, stop := c.tokens.reject(ctx, r.access, failed)
			switch {
			case stop:
				return r, failed
			case wait == 0 && !refreshed:
				refreshed = true
				continue
			}
			failed = unsure(failed, wait)
		}
		switch {
		case errors.Is(failed, errDoubted):
			if cl.hurried && failed.Wait > hurry {
				return r, failed
			}
			if err := sleep(ctx, c.clock, failed.Wait); err != nil {
				return r, fmt.Errorf("%w (no further try: %w)", failed, err)
			}
			continue // no token is in doubt for long
		case v.throttle == creditsGone:
			continue // the governor holds every call back until Zoho's Retry-After
		case cl.final(failed, v, try, r.access != ""):
			return r, failed
		case v.throttle == tooMany && failed.Wait > 0:
			try++
			continue // the same
		}
		wait := max(waits.NextBackOff(), failed.Wait)
		c.log.Debug().Str("op", cl.op()).Int("try", try).Int("status", failed.Status).Str("code", failed.Code).
			Dur("wait", wait).AnErr("err", failed.Err).Msg("call is repeated")
		if failed.Status == 0 {
			c.rarely.Warn().Str("op", cl.op()).Err(failed.Err).Msg("Zoho does not answer; the call is repeated")
		}
		if err := sleep(ctx, c.clock, wait); err != nil {
			return r, fmt.Errorf("%w (no further try: %w)", failed, err)
		}
		try++
	}
}

// final decides whether a failure is returned instead of repeated.
func (cl *call) final(failed *source.CallError, v verdict, try int, sent bool) bool {
	tries := maxTries
	if v.tries > 0 {
		tries = v.tries
	}
	tooLong := failed.Wait > maxInlineWait && v.throttle == noThrottle
	if failed.Fault != source.FaultRetry || tooLong || try >= tries || cl.hurried && !sent {
		return true
	}
	// Of what was sent once, only a 429 says that Zoho did nothing.
	return cl.once && sent && v.throttle == noThrottle
}

func (cl *call) accepts(status int) bool {
	switch status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted:
		return true
	case http.StatusNoContent:
		return !cl.content
	}
	return false
}

// attempt waits for the governor and a token, sends once and reads the answer.
// Its error is ctx's or a *source.CallError.
func (c *Client) attempt(ctx context.Context, cl *call) (reply, verdict, error) {
	if err := c.tokens.barred(ctx); err != nil {
		c.stats.call(cl.endpoint, err)
		return reply{}, verdict{}, err
	}
	pass, err := c.enter(ctx, cl)
	if err != nil {
		return reply{}, verdict{}, err
	}
	access, err := c.tokens.access(ctx, c.rt)
	if err != nil {
		pass.unused()
		c.stats.call(cl.endpoint, err)
		return reply{}, verdict{}, err
	}
	r, v, err := c.ask(ctx, cl, access)
	pass.done(outcomeOf(r, v, err))
	c.gov.keep(ctx)
	if err == nil {
		c.tokens.served(ctx, access)
		err = c.decode(cl, r)
	}
	c.stats.call(cl.endpoint, err)
	return r, v, err
}

// ask sends once and judges the answer; a good one is not decoded yet.
func (c *Client) ask(ctx context.Context, cl *call, access string) (reply, verdict, error) {
	r, err := c.send(ctx, cl, access)
	r.access = access
	switch {
	case err != nil && ctx.Err() != nil:
		return r, verdict{}, context.Cause(ctx)
	case err != nil:
		return r, verdict{}, &source.CallError{Fault: sendFault(err), Op: cl.op(), Status: r.status, Err: err}
	case !cl.accepts(r.status):
		r.body = cl.discreet(r.body)
		failed, v := classify(cl.op(), r)
		failed.Hint = c.tokens.creds.named(failed.Hint)
		return r, v, failed
	}
	return r, verdict{}, nil
}

func sendFault(err error) source.Fault {
	if errors.Is(err, errTooLarge) {
		return source.FaultBadReply
	}
	return source.FaultRetry
}

func (c *Client) decode(cl *call, r reply) error {
	if r.status == http.StatusNoContent || cl.decode == nil {
		return nil
	}
	if err := cl.decode(r.body); err != nil {
		return unreadable(cl.op(), r, err)
	}
	return nil
}

// outcomeOf tells the governor what the reply said of limits and credits.
func outcomeOf(r reply, v verdict, err error) outcome {
	o := outcome{answered: r.status != 0, throttle: v.throttle, remaining: -1, weight: -1}
	if o.answered {
		o.remaining = headerNumber(r.header, "X-Rate-Limit-Remaining-v3")
		o.weight = headerNumber(r.header, "X-Rate-Limit-Request-Weight-v3")
		o.retryAfter = r.wait
	}
	o.succeeded = err == nil
	return o
}
