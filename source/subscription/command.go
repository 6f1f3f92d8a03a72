package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"deskhouse/source"
)

// ErrNotSwitched says that the sender still delivers to a URL with an old secret.
var ErrNotSwitched = errors.New("the sender still delivers to the URL with the old secret")

// Register makes sure that the sender delivers here, and that it goes on: from now on the loop keeps the subscription up,
// also when this attempt fails. One that delivers to another host (ErrElsewhere) is switched over. The intake must answer
// meanwhile. Current tells what came of it. Idempotent.
func (k *Keeper) Register(ctx context.Context) error {
	defer k.reckon()
	return k.inTurn(ctx, func() error {
		err := k.fresh(ctx, func(s Subscription) error {
			if s.Wanted {
				return nil
			}
			s.Wanted = true
			return k.save(ctx, s)
		})
		if err != nil {
			return err
		}
		return k.pass(ctx, fetchHere)
	})
}

// Removal is what a Remove has done.
type Removal struct {
	// Deleted are the ids of what is gone at the sender now.
	Deleted []string
	// Left is what delivers to another host, in words: a copy of this state has no business with it.
	Left []string
}

// Remove ends the subscription: everything at the sender that delivers here. Only then nobody keeps it up any more; on an
// error it stays wanted, unless nothing is known to be there, and Removal and the error tell what was deleted already.
func (k *Keeper) Remove(ctx context.Context) (r Removal, err error) {
	defer k.reckon()
	err = k.inTurn(ctx, func() error {
		return k.fresh(ctx, func(s Subscription) error { return k.remove(ctx, s, &r) })
	})
	return r, err
}

// unlicensed reports whether the portal's edition refuses webhooks as such (OAS Common.json): no removal can ever succeed.
func unlicensed(err error) bool {
	var call *source.CallError
	return errors.As(err, &call) && call.Code == "LICENSE_ACCESS_LIMITED"
}

func (k *Keeper) remove(ctx context.Context, s Subscription, r *Removal) error {
	seen, err := k.look(ctx, &s)
	switch {
	case unlicensed(err):
		r.Left = []string{"the portal's edition has no webhooks any more, so none can be listed or deleted; what is still there is switched off by Zoho"}
		s.Wanted, s.IDs = false, nil
		return k.save(ctx, s)
	case err != nil && s.Wanted && len(s.IDs) == 0:
		s.Wanted = false // or it would register itself as soon as it may
		return errors.Join(err, k.save(ctx, s))
	case err != nil:
		return err
	}
	kept := s.Wanted || len(seen.here) > 0
	if err := k.deleteAll(ctx, seen.here, r); err != nil {
		s.IDs = slices.DeleteFunc(slices.Clone(s.IDs), func(id string) bool { return slices.Contains(r.Deleted, id) })
		return errors.Join(err, k.save(ctx, s))
	}
	r.Left = nil
	for _, a := range seen.away {
		r.Left = append(r.Left, "webhook "+a.ID+" delivers to "+a.host)
	}
	s.Wanted, s.IDs = false, nil
	s.Events, s.GrantedAt, s.ExpiresAt, s.Repaired = nil, time.Time{}, time.Time{}, nil
	if kept {
		k.switchedOver(&s) // a rotation that is stuck has nothing left to switch
	}
	return k.save(ctx, s)
}

// deleteAll stops at the first refusal, which names what was deleted before it.
func (k *Keeper) deleteAll(ctx context.Context, hooks []found, r *Removal) error {
	for _, h := range hooks {
		err := k.cfg.Kind.Remove(ctx, h.ID)
		switch {
		case err != nil && len(r.Deleted) > 0:
			return fmt.Errorf("webhook %s is deleted; delete webhook %s: %w", strings.Join(r.Deleted, ", "), h.ID, err)
		case err != nil:
			return fmt.Errorf("delete webhook %s: %w", h.ID, err)
		}
		r.Deleted = append(r.Deleted, h.ID)
	}
	return nil
}

// Rotate begins a new generation of the secret, or goes on with a rotation that is under way, and switches the sender over
// where the subscription is wanted. Afterwards Current says how far it came: while it is Rotating both secrets are valid.
// An error means that the sender could not be switched yet; the loop goes on with it.
func (k *Keeper) Rotate(ctx context.Context) error {
	defer k.reckon()
	return k.inTurn(ctx, func() error {
		if !k.known && !k.looked { // a lost state does not know which generation is next
			if err := k.pass(ctx, leaveAway); err != nil && !source.IsFault(err, source.FaultForbidden) {
				return err
			}
		}
		if err := k.fresh(ctx, func(s Subscription) error { return k.begin(ctx, s) }); err != nil {
			return err
		}
		if !k.Current().Wanted {
			return nil // made by hand: whoever made it gives it the new URL
		}
		return k.pass(ctx, leaveAway)
	})
}

// begin stores the next generation, unless a rotation is under way.
func (k *Keeper) begin(ctx context.Context, s Subscription) error {
	if s.Rotating() {
		return nil
	}
	k.catchUp(&s, nil)
	if s.Generation >= MaxGenerations {
		return fmt.Errorf("the secret was rotated %d times: give the pipeline another name", s.Generation)
	}
	s.Retiring = append(slices.Clone(s.Retiring), Retiring{Generation: s.Generation})
	s.Generation++
	return k.save(ctx, s)
}

// Finish ends every old secret at once. ErrNotSwitched when the sender is seen to use one; of hooks that it does not list,
// such as workflows, or may not list, only the person who asks can know.
func (k *Keeper) Finish(ctx context.Context) error {
	return k.inTurn(ctx, func() error {
		return k.fresh(ctx, func(s Subscription) error {
			seen, err := k.look(ctx, &s)
			if err != nil && (s.Wanted || len(s.IDs) > 0 || !source.IsFault(err, source.FaultForbidden)) {
				return err
			}
			for _, h := range slices.Concat(seen.here, seen.away) {
				if h.generation > 0 && h.generation < s.Generation {
					return fmt.Errorf("webhook %s: %w", h.ID, ErrNotSwitched)
				}
			}
			s.Retiring = nil
			return k.save(ctx, s)
		})
	})
}
