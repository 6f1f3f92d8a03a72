package webhook

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jonboulle/clockwork"
)

// outcome is what a request came to: the status for the sender, the result for metrics.
type outcome struct {
	status int
	result string
}

var (
	stored      = outcome{http.StatusOK, "stored"}
	deadLetters = outcome{http.StatusOK, "dead_letters"} // nothing could be stored, everything was kept
	validation  = outcome{http.StatusOK, "validation"}
	malformed   = outcome{http.StatusBadRequest, "malformed"}
	cutOff      = outcome{http.StatusBadRequest, "cut_off"}
	badToken    = outcome{http.StatusUnauthorized, "unauthorised"}
	foreign     = outcome{http.StatusForbidden, "foreign"}
	notFound    = outcome{http.StatusNotFound, "not_found"}
	wrongMethod = outcome{http.StatusMethodNotAllowed, "wrong_method"}
	tooLarge    = outcome{http.StatusRequestEntityTooLarge, "too_large"}
	busy        = outcome{http.StatusServiceUnavailable, "busy"}
	noKeys      = outcome{http.StatusServiceUnavailable, "no_keys"}
	logFailed   = outcome{http.StatusServiceUnavailable, "log_failed"}
	timedOut    = outcome{http.StatusServiceUnavailable, "timed_out"}
)

// receive takes one POST through its steps: proof, body, events, log. A proof in the headers is checked before anything is
// read.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, route *boundRoute) outcome {
	d := &delivery{server: s, route: route, started: s.clock.Now(), proof: ErrNoProof}
	if route.Proof != nil {
		d.proof = route.Proof.InHeader(r.Context(), r.Header)
	}
	if o, refused := d.unproven(); refused {
		return d.refuse(o)
	}
	weight := s.maxBody
	if r.ContentLength >= 0 {
		weight = min(r.ContentLength, s.maxBody)
	}
	if !s.buffers.TryAcquire(weight) {
		return d.refuse(busy)
	}
	defer s.buffers.Release(weight)
	body := bodies.Get().(*bytes.Buffer)
	defer putBody(body)
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, s.maxBody)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return d.refuse(tooLarge)
		}
		return d.refuse(cutOff)
	}
	if route.Proof != nil && errors.Is(d.proof, ErrNoProof) {
		d.proof = route.Proof.InBody(body.Bytes())
	}
	if o, refused := d.unproven(); refused {
		return d.refuse(o)
	}
	return d.take(r.Context(), body.Bytes())
}

// unproven says how to refuse a delivery whose proof is wrong; one that has none is decided about by what it holds. So is one
// whose proof cannot be judged where none is required: what comes without is taken too, and a sender may not ask twice.
func (d *delivery) unproven() (o outcome, refused bool) {
	switch {
	case d.proof == nil || errors.Is(d.proof, ErrNoProof):
		return outcome{}, false
	case errors.Is(d.proof, ErrCannotJudge):
		return noKeys, d.route.ProofRequired
	case errors.Is(d.proof, ErrForeignProof):
		return foreign, true
	}
	return badToken, true
}

// bodies are reused: every event is copied into its record before the answer.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxPooledBody = 256 << 10

func putBody(b *bytes.Buffer) {
	if b.Cap() > maxPooledBody {
		return
	}
	b.Reset()
	bodies.Put(b)
}

// delivery is one POST whose URL was right.
type delivery struct {
	server  *Server
	route   *boundRoute
	started time.Time
	proof   error // nil when the sender is proven, or what Route.Proof said
}

// refuse logs why nothing was stored: codes only, no content.
func (d *delivery) refuse(o outcome) outcome {
	log := d.server.logger.Warn().Str("pipeline", d.route.Pipeline).Str("result", o.result)
	if o.status == http.StatusUnauthorized || o == foreign || o == noKeys {
		log = log.AnErr("err", d.proof)
	}
	log.Msg("webhook delivery refused")
	return o
}

// take splits a body, keeps what cannot be placed, and stores the rest.
func (d *delivery) take(ctx context.Context, body []byte) outcome {
	raws, array, err := elements(body)
	if d.proof != nil && d.route.ProofRequired && !(err == nil && noEvents(raws, array)) {
		return d.refuse(badToken)
	}
	if errors.Is(err, errTooMany) {
		return d.refuse(tooLarge)
	}
	if err != nil {
		return d.keepMalformed(ctx, body)
	}
	if len(raws) == 0 {
		return validation
	}
	return d.place(ctx, raws, array)
}

// noEvents recognises the body of a validation request: nothing, or an object that is neither event nor notification.
func noEvents(raws []jsontext.Value, array bool) bool {
	if len(raws) == 0 {
		return true
	}
	if array {
		return false
	}
	env, err := scan(raws[0])
	return err == nil && env.eventType == "" && len(env.payload) == 0 && !env.isHint()
}

// place stores the good events of a delivery and keeps the bad ones.
func (d *delivery) place(ctx context.Context, raws []jsontext.Value, array bool) outcome {
	if d.proof != nil && noEvents(raws, array) {
		return validation
	}
	c := d.sort(raws, array)
	if c.foreign == len(raws) {
		return d.refuse(foreign)
	}
	for reason, bad := range c.bad {
		if err := d.keep(ctx, reason, joined(bad), len(bad)); err != nil {
			return d.refuse(logFailed)
		}
	}
	if len(c.events) == 0 {
		return deadLetters
	}
	return d.store(ctx, c)
}

// store hands the events to the committer and waits for its answer, but not longer than Zoho does.
func (d *delivery) store(ctx context.Context, c contents) outcome {
	d.route.committer.submit(c.batch)
	timer := d.server.clock.NewTimer(d.server.timeout - d.server.clock.Since(d.started))
	defer timer.Stop()
	select {
	case err := <-c.batch.done:
		if err != nil {
			return logFailed // logged once for the whole group
		}
	case <-timer.Chan():
		c.batch.abandoned.Store(true)
		return d.refuse(timedOut)
	case <-ctx.Done():
		c.batch.abandoned.Store(true)
		return d.refuse(cutOff)
	}
	for _, e := range c.events {
		d.server.metrics.events.WithLabelValues(d.route.Pipeline, typeLabel(e)).Inc()
	}
	return stored
}

// maxMalformed is how much of a body that is no JSON is kept: enough to see what sent it.
const maxMalformed = 64 << 10

func (d *delivery) keepMalformed(ctx context.Context, body []byte) outcome {
	if err := d.keep(ctx, ReasonMalformed, body[:min(len(body), maxMalformed)], 1); err != nil {
		return d.refuse(logFailed)
	}
	return d.refuse(malformed)
}

// keep writes a dead letter. The sender may have hung up by now, and still nothing may be dropped.
func (d *delivery) keep(ctx context.Context, reason string, raw []byte, events int) error {
	s := d.server
	ctx, cancel := clockwork.WithTimeout(context.WithoutCancel(ctx), s.clock, s.timeout)
	defer cancel()
	if err := d.route.DeadLetters.DeadLetter(ctx, reason, raw); err != nil {
		s.logger.Error().Str("pipeline", d.route.Pipeline).Str("reason", reason).Int("bytes", len(raw)).Err(err).Msg("dead letter not kept")
		return err
	}
	s.metrics.deadLetters.WithLabelValues(d.route.Pipeline, reason).Add(float64(events))
	s.logger.Warn().Str("pipeline", d.route.Pipeline).Str("reason", reason).Int("events", events).Int("bytes", len(raw)).Msg("dead letter kept")
	return nil
}
