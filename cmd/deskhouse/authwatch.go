package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"deskhouse/source/zohodesk"
)

// authorisedEvery is how often a connection's authorisation is looked at: it may
// end by an answer of Zoho, and come back by another process on the same state.
const authorisedEvery = 2 * time.Second

// authorised tells whoever works with a connection when its authorisation came
// back. Safe for concurrent use.
type authorised struct {
	asked chan struct{} // look now

	mu    sync.Mutex
	again chan struct{} // closed, and replaced, when it came back
}

func newAuthorised() *authorised {
	return &authorised{asked: make(chan struct{}, 1), again: make(chan struct{})}
}

// changed has the connection looked at soon; whoever changed it calls it.
func (a *authorised) changed() {
	select {
	case a.asked <- struct{}{}:
	default: // asked already
	}
}

// regained is closed when the authorisation comes back the next time.
func (a *authorised) regained() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.again
}

func (a *authorised) tell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.again)
	a.again = make(chan struct{})
}

// watchAuthorisations says how each connection stands, then goes on looking
// until ctx ends. What two connections share is said here too.
func (c *core) watchAuthorisations(ctx context.Context, g *errgroup.Group) {
	shared := sharedLimits(c.cfg.Connections)
	for _, name := range sortedKeys(c.conns) {
		conn := c.conns[name]
		for _, w := range shared[name] {
			c.log.Warn().Str("connection", name).Msg("connection " + name + " " + w)
		}
		first := c.lookAt(ctx, conn, zohodesk.Authorisation{})
		g.Go(func() error { return c.watchAuthorisation(ctx, conn, first) })
	}
}

func (c *core) watchAuthorisation(ctx context.Context, conn *connection, last zohodesk.Authorisation) error {
	for {
		select {
		case <-c.clock.After(authorisedEvery):
		case <-conn.authorised.asked:
		case <-ctx.Done():
			return ctx.Err()
		}
		last = c.lookAt(ctx, conn, last)
	}
}

// lookAt reads how a connection stands and says what changed: to a person, and
// when it was authorised anew to those that work with it. A state that cannot be
// read changes nothing.
func (c *core) lookAt(ctx context.Context, conn *connection, last zohodesk.Authorisation) zohodesk.Authorisation {
	now, err := conn.client.Authorisation(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Debug().Err(err).Str("connection", conn.name).Msg("authorisation cannot be looked at")
		}
		return last
	}
	connected := now.State == zohodesk.StateConnected
	if connected && anew(last, now) {
		conn.authorised.tell()
	}
	switch {
	case connected && last.State != now.State:
		c.log.Info().Str("connection", conn.name).Str("source", now.Source).Strs("missing_scopes", now.MissingScopes).Msg("connection is authorised")
	case !connected && (last.State != now.State || last.Reason != now.Reason):
		c.log.Error().Str("connection", conn.name).Str("state", now.State).Str("reason", now.Reason).Str("remedy", exchangeCommand(conn.name)).
			Msg("connection is not authorised: webhooks are stored, nothing is read from Zoho until it is")
	}
	return now
}

// anew reports whether a connection was authorised since it was last looked at,
// perhaps only with scopes that were missing.
func anew(last, now zohodesk.Authorisation) bool {
	switch last.State {
	case "": // the first look
		return false
	case zohodesk.StateConnected:
		return !last.ObtainedAt.IsZero() && !now.ObtainedAt.Equal(last.ObtainedAt)
	}
	return true
}

// errRegained ends one life of what runs while a connection is authorised.
var errRegained = errors.New("the connection is authorised again")

// anew runs something that looks only now and then, and again from its start
// each time the authorisation came back.
func (a *authorised) anew(ctx context.Context, run func(context.Context) error) error {
	for {
		if err := a.life(ctx, run); !errors.Is(err, errRegained) {
			return err
		}
	}
}

// life runs until run ends or the authorisation comes back.
func (a *authorised) life(ctx context.Context, run func(context.Context) error) error {
	regained := a.regained()
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g.Go(func() error {
		defer stop()
		return run(ctx)
	})
	g.Go(func() error {
		select {
		case <-regained:
			return errRegained
		case <-ctx.Done():
			return nil
		}
	})
	return g.Wait()
}
