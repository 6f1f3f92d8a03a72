package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"deskhouse/source"
	"deskhouse/source/webhook"
)

// maxUnconfirmed bounds the log messages handed to the writers and not yet
// confirmed.
const maxUnconfirmed = 4096

// applier reads the event log in order and turns deliveries into
// observations. The checkpoint moves over a message once every table confirmed
// its part of it.
type applier struct {
	deps
	events  EventLog
	writers map[source.Table]*writer
	trust   bool

	mu       sync.Mutex
	inFlight []*delivery   // in log order
	applied  uint64        // last sequence confirmed in order
	saved    uint64        // last sequence checkpointed
	room     chan struct{} // one token per message in flight
	moved    chan struct{} // signalled when applied moves
}

// delivery is one log message on its way into the warehouse.
type delivery struct {
	seq  uint64
	open int // tables that have not confirmed
}

func newApplier(d deps, events EventLog, writers map[source.Table]*writer, trust bool, from uint64) *applier {
	return &applier{deps: d, events: events, writers: writers, trust: trust,
		applied: from, saved: from, room: make(chan struct{}, maxUnconfirmed), moved: make(chan struct{}, 1)}
}

// run follows the log from the message after the checkpoint until ctx ends. A
// broken reader is opened again where it stood.
func (a *applier) run(ctx context.Context) error {
	if err := a.learnTime(ctx); err != nil {
		return err
	}
	next := a.applied + 1
	return retry(ctx, a.clock, a.log, "follow the event log", func(ctx context.Context) error {
		r, err := a.events.Read(ctx, next)
		if err != nil {
			return err
		}
		defer r.Close()
		for {
			m, err := r.Next(ctx)
			if err != nil {
				return err
			}
			if err := a.apply(ctx, m); err != nil {
				return err
			}
			next = m.Seq + 1
		}
	})
}

// learnTime waits until Zoho's time is known: an event from the future must not
// date anything. A portal that refuses to be asked has its events taken as they
// are.
func (a *applier) learnTime(ctx context.Context) error {
	err := retry(ctx, a.clock, a.log, "ask for Zoho's time", func(ctx context.Context) error {
		_, err := a.deps.zohoNow(ctx)
		return err
	})
	if err != nil && ctx.Err() == nil {
		a.log.Warn().Err(err).Msg("Zoho's time is not known: events from the future are not recognised")
	}
	return ctx.Err()
}

// apply hands one message's observations to the writers.
func (a *applier) apply(ctx context.Context, m Message) error {
	batches, err := a.decode(ctx, m)
	if err != nil {
		return err
	}
	select {
	case a.room <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	d := &delivery{seq: m.Seq, open: len(batches) + 1}
	a.mu.Lock()
	a.inFlight = append(a.inFlight, d)
	a.mu.Unlock()
	for t, obs := range batches {
		if err := a.writers[t].submit(ctx, obs, func(o outcome) { a.confirm(d, t, obs) }); err != nil {
			return err
		}
	}
	a.confirm(d, "", nil)
	return nil
}

// confirm notes that one table is done with a message and moves the applied
// position over every message that is done, in order.
func (a *applier) confirm(d *delivery, t source.Table, obs []source.Observation) {
	for _, o := range obs {
		a.progress.event(t, o.SeenAt)
	}
	a.mu.Lock()
	d.open--
	for len(a.inFlight) > 0 && a.inFlight[0].open == 0 {
		a.applied = a.inFlight[0].seq
		a.inFlight = a.inFlight[1:]
		<-a.room
	}
	a.mu.Unlock()
	select {
	case a.moved <- struct{}{}:
	default:
	}
}

// decode turns a message into observations by table. What cannot be decoded
// or placed becomes a dead letter; one bad event does not spoil the others.
func (a *applier) decode(ctx context.Context, m Message) (map[source.Table][]source.Observation, error) {
	events, err := webhook.DecodeGroup(m.Data)
	if err != nil {
		return nil, a.letter(ctx, fmt.Sprintf("log message %d cannot be decoded", m.Seq), m.Data)
	}
	batches := map[source.Table][]source.Observation{}
	for _, ev := range events {
		t, o, err := a.observe(ev)
		switch {
		case errors.Is(err, errNotOurs):
			a.metrics.ignored(ev.Type)
		case err != nil:
			if err := a.letter(ctx, fmt.Sprintf("%s: %v", ev.Type, err), ev.Raw); err != nil {
				return nil, err
			}
		default:
			batches[t] = append(batches[t], o)
		}
	}
	return batches, nil
}

// checkpoint saves the applied position, in the warehouse first: state is never
// ahead of what the warehouse says it holds (design §5).
func (a *applier) checkpoint(ctx context.Context) error {
	a.mu.Lock()
	applied, saved := a.applied, a.saved
	a.mu.Unlock()
	if applied == saved {
		return nil
	}
	if err := a.wh.SavePosition(ctx, a.name, applied); err != nil {
		return fmt.Errorf("save position %d: %w", applied, err)
	}
	if err := a.kv.Save(ctx, logKey(a.name), number(applied)); err != nil {
		return fmt.Errorf("save checkpoint %d: %w", applied, err)
	}
	a.mu.Lock()
	a.saved = applied
	a.mu.Unlock()
	a.progress.applied(applied)
	return nil
}

// checkpoints saves the position about once a second while it moves.
func (a *applier) checkpoints(ctx context.Context) error {
	for {
		select {
		case <-a.moved:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := retry(ctx, a.clock, a.log, "save the checkpoint", a.failing.noting("", "save the checkpoint", a.checkpoint)); err != nil {
			return err
		}
		if err := sleep(ctx, a.clock, time.Second); err != nil {
			return err
		}
	}
}

// Applied events are kept a while, so that they can be replayed; unapplied ones
// are never purged.
const (
	keepEvents = 7 * 24 * time.Hour
	purgeEvery = time.Hour
)

// janitor purges what is both applied and old.
func (a *applier) janitor(ctx context.Context) error {
	for {
		if err := sleep(ctx, a.clock, purgeEvery); err != nil {
			return err
		}
		a.mu.Lock()
		upTo := a.saved
		a.mu.Unlock()
		if err := a.events.Purge(ctx, upTo, a.clock.Now().Add(-keepEvents)); err != nil && ctx.Err() == nil {
			a.log.Warn().Err(err).Msg("old events not purged, again in an hour")
		}
	}
}
