package subscription

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// found is a subscription at the sender that is ours: its id is known, or its URL is of a generation, 0 for none.
type found struct {
	Held
	generation int
	host       string // of one that is away
}

// sight is what a look found of ours, the one to keep up first: here are those that deliver to us, or would after a
// repair; away are those that deliver to a deskhouse at another host. A copy of the state looks like that, as does a
// public URL that was changed, and only a person knows which it is.
type sight struct{ here, away []found }

// look finds ours at the sender and notes in s what they tell. It stores nothing.
func (k *Keeper) look(ctx context.Context, s *Subscription) (sight, error) {
	all, err := k.cfg.Kind.Look(ctx, k.want(*s))
	if err != nil {
		return sight{}, fmt.Errorf("look for the webhook of pipeline %s: %w", s.Pipeline, err)
	}
	k.looked = true
	seen := k.sort(all, s.IDs)
	k.catchUp(s, seen.here)
	s.IDs = nil
	for _, h := range seen.here {
		s.IDs = append(s.IDs, h.ID)
	}
	if len(seen.here) == 0 { // under its former public URL it may still arrive
		for _, a := range seen.away {
			s.IDs = append(s.IDs, a.ID)
		}
	}
	return seen, nil
}

// sort tells ours from others', and which of them are here.
func (k *Keeper) sort(all []Held, known []string) (seen sight) {
	for _, h := range all {
		f := found{Held: h, generation: k.generationAt(h.URL)}
		isKnown := slices.Contains(known, h.ID)
		host, generation := k.Elsewhere(h.URL)
		switch {
		case isKnown && generation > 0:
			f.host, f.generation = host, generation
			seen.away = append(seen.away, f)
		case isKnown || f.generation > 0:
			seen.here = append(seen.here, f)
		}
	}
	slices.SortStableFunc(seen.here, func(a, b found) int {
		return cmp.Or(rank(b.generation > 0)-rank(a.generation > 0), rank(slices.Contains(known, b.ID))-rank(slices.Contains(known, a.ID)),
			rank(b.Enabled)-rank(a.Enabled), b.generation-a.generation)
	})
	return seen
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// catchUp makes good what a lost or older state does not know: that the subscription is wanted, and its generation. What
// is seen in use at the sender does not end.
func (k *Keeper) catchUp(s *Subscription, here []found) {
	if len(here) > 0 && !k.known {
		s.Wanted = true
		k.log.Warn().Int("found", len(here)).Msg("state did not know of this pipeline's webhook at the sender; it is remembered again")
	}
	newest := int(k.learnt.Load())
	for _, h := range here {
		newest = max(newest, h.generation)
	}
	s.Retiring = slices.Clone(s.Retiring)
	if newest > s.Generation {
		k.log.Warn().Int("generation", newest).Int("known", s.Generation).Msg("a webhook has a newer secret than state knew of")
		if k.known || len(here) == 0 { // else nothing says that the first one is in use
			s.Retiring = append(s.Retiring, Retiring{s.Generation, k.now().Add(Overlap)})
		}
		s.Generation = newest
		for _, h := range here {
			if 0 < h.generation && h.generation < newest && s.retiring(h.generation) == nil {
				s.Retiring = append(s.Retiring, Retiring{Generation: h.generation})
			}
		}
	}
	for _, h := range here {
		if r := s.retiring(h.generation); r != nil {
			r.Until = time.Time{}
		}
	}
}
