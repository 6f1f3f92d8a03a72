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

// ErrElsewhere says that the webhook delivers to another host, with a secret of ours.
var ErrElsewhere = errors.New("it belongs to a deskhouse there, unless this one's public URL was changed: then register it again")

// aboutAway is what a pass does about a subscription at another host.
type aboutAway bool

const (
	leaveAway aboutAway = false
	fetchHere aboutAway = true
)

// once makes one pass: look, then whatever is needed. The caller has the turn. Idempotent.
func (k *Keeper) once(ctx context.Context, s Subscription, do aboutAway) error {
	if !s.Wanted && k.looked && len(s.IDs) == 0 && int(k.learnt.Load()) <= s.Generation {
		return k.prune(ctx, s)
	}
	seen, err := k.look(ctx, &s)
	switch {
	case !s.Wanted && unlicensed(err):
		return nil // there is nothing, and nobody asked for any
	case err != nil:
		return err
	case s.Wanted && len(seen.here) > 0:
		return k.repair(ctx, s, seen.here)
	case s.Wanted && len(seen.away) > 0 && do == leaveAway:
		a := seen.away[0]
		return fmt.Errorf("webhook %s of pipeline %s delivers to %s: %w", a.ID, s.Pipeline, a.host, ErrElsewhere)
	case s.Wanted && len(seen.away) > 0:
		seen.away[0].generation = 0 // whatever its secret, the URL is another one
		return k.repair(ctx, s, seen.away[:1])
	case s.Wanted:
		return k.register(ctx, s)
	}
	return k.note(ctx, s)
}

// note remembers what was seen of a subscription that is not kept up, made by hand perhaps.
func (k *Keeper) note(ctx context.Context, s Subscription) error {
	before := k.Current()
	if len(s.IDs) == 0 && !k.known && s.Generation == before.Generation {
		return nil // nothing is known, and there is nothing
	}
	s.CheckedAt = k.now()
	if err := k.save(ctx, s); err != nil {
		return err
	}
	if len(s.IDs) > 0 && len(before.IDs) > 0 && !slices.Contains(before.IDs, s.IDs[0]) {
		k.missed(before, "another one had taken its place")
	}
	return nil
}

// prune forgets generations whose time is over.
func (k *Keeper) prune(ctx context.Context, s Subscription) error {
	now := k.now()
	if !slices.ContainsFunc(s.Retiring, func(r Retiring) bool { return !r.Until.IsZero() && !now.Before(r.Until) }) {
		return nil
	}
	return k.save(ctx, s)
}

// register makes a subscription where there is none.
func (k *Keeper) register(ctx context.Context, s Subscription) error {
	k.registering.Store(true)
	defer k.registering.Store(false)
	held, err := k.cfg.Kind.Register(ctx, k.want(s))
	if err != nil && outcomeUnknown(err) {
		held, err = k.madeAfterAll(ctx, s, err)
	}
	if err != nil {
		return fmt.Errorf("register webhook of pipeline %s: %w", s.Pipeline, err)
	}
	before := k.Current()
	s.IDs = []string{held.ID}
	k.granted(&s, held)
	k.switchedOver(&s)
	if err := k.save(ctx, s); err != nil {
		return err
	}
	k.log.Info().Str("webhook", held.ID).Msg("webhook registered")
	if len(before.IDs) > 0 {
		k.missed(before, "it was gone at the sender")
	}
	return nil
}

// outcomeUnknown reports whether the request may have been carried out although it failed.
func outcomeUnknown(err error) bool {
	var call *source.CallError
	return !errors.As(err, &call) || call.Fault == source.FaultRetry || call.Fault == source.FaultBadReply
}

// madeAfterAll looks whether a request whose outcome is unknown was carried out; cause is returned if it was not.
func (k *Keeper) madeAfterAll(ctx context.Context, s Subscription, cause error) (Held, error) {
	all, err := k.cfg.Kind.Look(ctx, k.want(s))
	if err != nil {
		return Held{}, cause
	}
	for _, h := range all {
		if h.URL == k.want(s).URL {
			return h, nil
		}
	}
	return Held{}, cause
}

// repair puts the first of ours right, and switches all over to the newest URL.
func (k *Keeper) repair(ctx context.Context, s Subscription, ours []found) error {
	before, now, want := k.Current(), k.now(), k.want(s)
	first := ours[0]
	if !first.ExpiresAt.IsZero() {
		s.ExpiresAt = first.ExpiresAt
	}
	deaf, wrong := k.faultsOf(s, first, now)
	differs := slices.Concat(first.Lacks, first.Amiss)
	if len(differs) == 0 {
		s.Repaired = nil
	}
	if len(deaf)+len(wrong) > 0 {
		held, err := k.cfg.Kind.Renew(ctx, first.ID, want)
		if err != nil {
			return fmt.Errorf("repair webhook %s of pipeline %s: %w", first.ID, s.Pipeline, err)
		}
		k.granted(&s, held)
		s.Repaired, s.RepairedAt = differs, now
		k.log.Info().Str("webhook", first.ID).Strs("because", slices.Concat(deaf, wrong)).Msg("webhook renewed at the sender")
	}
	for _, o := range ours[1:] {
		if o.generation == 0 || o.generation == s.Generation {
			continue
		}
		if _, err := k.cfg.Kind.Renew(ctx, o.ID, want); err != nil {
			return fmt.Errorf("switch webhook %s of pipeline %s over: %w", o.ID, s.Pipeline, err)
		}
	}
	k.switchedOver(&s)
	s.CheckedAt = now
	if err := k.save(ctx, s); err != nil {
		return err
	}
	if len(deaf) > 0 {
		k.missed(before, strings.Join(deaf, ", "))
	}
	return nil
}

// repairAgain is when options are put right once more that the sender shows as before.
const repairAgain = 24 * time.Hour

// faultsOf says what has to be put right: deaf are those by which events are missed.
func (k *Keeper) faultsOf(s Subscription, h found, now time.Time) (deaf, wrong []string) {
	if !h.Enabled {
		deaf = append(deaf, "it was switched off")
	}
	switch {
	case h.generation == s.Generation:
	case h.generation > 0:
		wrong = append(wrong, "its URL has an older secret")
	default:
		deaf = append(deaf, "its URL was another one")
	}
	if !slices.Equal(slices.Concat(h.Lacks, h.Amiss), s.Repaired) || now.Sub(s.RepairedAt) >= repairAgain {
		deaf, wrong = append(deaf, h.Lacks...), append(wrong, h.Amiss...)
	}
	switch {
	case !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt):
		deaf = append(deaf, "it had expired")
	case s.due(now):
		wrong = append(wrong, "its time is running out")
	}
	return deaf, wrong
}

// granted notes the sender's answer to a request.
func (k *Keeper) granted(s *Subscription, h Held) {
	s.GrantedAt, s.ExpiresAt, s.Events = k.now(), h.ExpiresAt, h.Events
	s.CheckedAt = s.GrantedAt
	for _, item := range h.Events {
		if !item.OK {
			k.log.Warn().Str("event", item.Event).Str("code", item.Code).Msg("the sender does not deliver an event; polls find what it would tell")
		}
	}
}

// switchedOver lets the older generations end: nothing at the sender has their URL any more.
func (k *Keeper) switchedOver(s *Subscription) {
	left := slices.Clone(s.Retiring)
	for i := range left {
		if left[i].Until.IsZero() {
			left[i].Until = k.now().Add(Overlap)
		}
	}
	s.Retiring = left
}

// missed notes a gap that began when the subscription was last seen whole, or expired.
func (k *Keeper) missed(before Subscription, why string) {
	gap := Gap{From: before.CheckedAt, To: k.now(), Why: why}
	if e := before.ExpiresAt; !e.IsZero() && e.Before(gap.To) && e.After(gap.From) {
		gap.From = e
	}
	k.gaps = append(k.gaps, gap)
}
