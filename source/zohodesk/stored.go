package zohodesk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"deskhouse/source"
)

const (
	// saveTimeout bounds storing what must not be lost when ctx has ended.
	saveTimeout = 5 * time.Second
	// loadWait is the pause after a store that could not be read.
	loadWait = 5 * time.Second
)

// load takes over what is stored. A store that fails stops nothing once it was
// read: its error is logged then.
func (k *tokenKeeper) load(ctx context.Context) error {
	t, revision, err := k.store.LoadToken(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	k.mu.Lock()
	loaded, unstored := k.loaded, k.dirty && revision == k.revision
	k.mu.Unlock()
	switch {
	case errors.Is(err, ErrTokenUnreadable):
		if !loaded {
			k.log.Warn().Err(err).Msg("the stored authorisation is of no use and is overwritten by the next one")
		}
		t = Token{}
	case err != nil && loaded:
		k.log.Warn().Err(err).Msg("the stored authorisation cannot be read now")
		return nil
	case err != nil:
		return &source.CallError{Fault: source.FaultRetry, Op: opToken, Wait: loadWait, Err: fmt.Errorf("read the stored authorisation: %w", err)}
	case unstored:
		return nil // what is in memory is newer
	}
	k.adopt(t, revision, false)
	return nil
}

// adopt takes over what is stored at a revision.
func (k *tokenKeeper) adopt(t Token, revision uint64, dirty bool) {
	t, g := k.creds.pick(t)
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.Access == k.refused {
		t.Access = ""
	}
	if g.refresh != k.grant.refresh || g.refresh == "" {
		k.failure, k.retryAt, k.short = nil, time.Time{}, false
	}
	k.token, k.grant, k.revision, k.loaded, k.dirty = t, g, revision, true, dirty
}

// copied returns the token in hand and the revision it was stored at.
func (k *tokenKeeper) copied() (Token, uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.token.own(), k.revision
}

// unstored returns the token in hand where it is newer than the stored one.
func (k *tokenKeeper) unstored() (t Token, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.token.own(), k.dirty
}

// settle changes the token that is stored and in hand and takes the mark off,
// unless another process has put another refresh token in its place. It works
// for a moment longer than ctx, because an answer must not be lost.
func (k *tokenKeeper) settle(ctx context.Context, refresh string, change func(*Token)) {
	k.change(ctx, refresh, func(t *Token) {
		t.Renewing = time.Time{}
		change(t)
	})
}

// amend is settle for who neither holds the gate nor made a mark.
func (k *tokenKeeper) amend(ctx context.Context, refresh string, change func(*Token)) {
	if k.enter(ctx) == nil {
		k.change(ctx, refresh, change)
		k.leave()
	}
}

func (k *tokenKeeper) change(ctx context.Context, refresh string, change func(*Token)) {
	err := k.write(ctx, func(t *Token) error {
		if _, g := k.creds.pick(*t); g.refresh != refresh {
			return errOvertaken
		}
		change(t)
		return nil
	})
	if err != nil && !errors.Is(err, errOvertaken) {
		k.log.Warn().Err(err).Msg("the authorisation cannot be stored")
	}
}

// storeAgain stores what could not be stored, now and then, while nobody else
// has the gate.
func (k *tokenKeeper) storeAgain(ctx context.Context) {
	k.mu.Lock()
	now := k.clock.Now()
	due := k.dirty && !now.Before(k.saveAt)
	if due {
		k.saveAt = now.Add(loadWait)
	}
	k.mu.Unlock()
	if !due {
		return
	}
	select {
	case k.gate <- struct{}{}:
		defer k.leave()
		if err := k.write(ctx, func(*Token) error { return nil }); err != nil {
			k.log.Warn().Err(err).Msg("the authorisation still cannot be stored")
		}
	default: // who holds it stores it as well
	}
}

var errOvertaken = errors.New("another refresh token is stored")

// write changes the token in hand and stores it; where another process wrote
// first, it changes what that one stored. A store that fails leaves the change
// in memory, and its error is returned.
func (k *tokenKeeper) write(ctx context.Context, change func(*Token) error) error {
	ctx, cancel := withTimeout(context.WithoutCancel(ctx), k.clock, saveTimeout)
	defer cancel()
	for range 10 {
		t, revision := k.copied()
		if err := change(&t); err != nil {
			return err
		}
		err := k.save(ctx, t, revision)
		if !errors.Is(err, ErrTokenConflict) {
			return err
		}
		if err := k.load(ctx); err != nil {
			return err
		}
	}
	return ErrTokenConflict
}

// save stores t over a revision and takes it in hand, stored or not. After
// ErrTokenConflict nothing has changed.
func (k *tokenKeeper) save(ctx context.Context, t Token, revision uint64) error {
	next, err := k.store.SaveToken(ctx, t, revision)
	switch {
	case errors.Is(err, ErrTokenConflict):
		return err
	case err != nil:
		k.adopt(t, revision, true)
		return err
	}
	k.adopt(t, next, false)
	k.mu.Lock()
	k.written = true
	k.mu.Unlock()
	return nil
}
