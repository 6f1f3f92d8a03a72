package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Store keeps one value a key. Another process may write the same key.
type Store interface {
	// Load returns nil and revision 0 when there is no such key.
	Load(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Save writes value if the key still has the revision, 0 for a key that does not exist, and returns the new one once
	// it is durable. An error wraps ErrConflict when the key has another; after any other the write may have happened.
	Save(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
}

// ErrConflict says that another process has written the subscription in the meantime.
var ErrConflict = errors.New("the subscription was changed by another process")

const (
	saveWithin = 10 * time.Second
	// conflictTries is how often something is done anew because another process was quicker to store.
	conflictTries = 3
)

// Key is where a pipeline's subscription is stored.
func Key(pipeline string) string { return "hook." + pipeline }

// fresh does something with what is stored now, and does it again with what another process has stored meanwhile. The
// caller has the turn.
func (k *Keeper) fresh(ctx context.Context, do func(s Subscription) error) error {
	for try := 1; ; try++ {
		if err := k.reload(ctx); err != nil {
			return err
		}
		if err := do(k.Current()); !errors.Is(err, ErrConflict) || try == conflictTries {
			return err
		}
	}
}

// reload shows what another process has stored. A value that is gone is stored again by the next save.
func (k *Keeper) reload(ctx context.Context) error {
	raw, revision, err := k.cfg.Store.Load(ctx, Key(k.cfg.Pipeline))
	if err != nil {
		return fmt.Errorf("load subscription of pipeline %s: %w", k.cfg.Pipeline, err)
	}
	if revision == k.revision {
		return nil
	}
	if len(raw) > 0 {
		s, _, err := decode(raw, k.cfg.Kind.Name(), k.cfg.Pipeline)
		if err != nil {
			return fmt.Errorf("subscription of pipeline %s: %w", k.cfg.Pipeline, err)
		}
		k.known = true
		k.show(s)
	}
	k.revision = revision
	return nil
}

// save stores s and shows it, without the generations whose time is over. Its ids are shown in any case, and first: the
// sender uses them already. The caller has the turn.
func (k *Keeper) save(ctx context.Context, s Subscription) error {
	k.showIDs(s.IDs)
	var left []Retiring
	for _, r := range s.Retiring {
		if r.Until.IsZero() || k.cfg.Clock.Now().Before(r.Until) {
			left = append(left, r)
		}
	}
	s.Retiring = left
	value, err := encode(s)
	if err != nil {
		return fmt.Errorf("encode subscription of pipeline %s: %w", s.Pipeline, err)
	}
	// What the sender has done must be known here, also when whoever asked for it has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveWithin)
	defer cancel()
	revision, err := k.cfg.Store.Save(ctx, Key(s.Pipeline), value, k.revision)
	if err != nil {
		return fmt.Errorf("store subscription of pipeline %s: %w", s.Pipeline, err)
	}
	k.known, k.revision = true, revision
	k.show(s)
	return nil
}

// showIDs lets everybody see which ids the sender has given.
func (k *Keeper) showIDs(ids []string) {
	v := *k.view.Load()
	if !slices.Equal(v.IDs, ids) {
		v.IDs = ids
		k.view.Store(&v)
	}
}

// show lets everybody see s.
func (k *Keeper) show(s Subscription) {
	v := &view{Subscription: s}
	for _, g := range append([]Retiring{{Generation: s.Generation}}, s.Retiring...) {
		v.secrets = append(v.secrets, k.cfg.Secret(g.Generation))
		if k.cfg.Token != nil {
			v.tokens = append(v.tokens, k.cfg.Token(g.Generation))
		}
	}
	k.view.Store(v)
}
