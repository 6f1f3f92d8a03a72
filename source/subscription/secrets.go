package subscription

import (
	"crypto/subtle"
	"net/url"
	"strings"
	"time"

	"deskhouse/source/webhook"
)

const (
	// MaxGenerations bounds the search for the generation of a URL: a thousand take a millisecond.
	MaxGenerations = 1000
	// learnEvery bounds what requests with invented secrets cost: one search of a millisecond in this time.
	learnEvery = 100 * time.Millisecond
)

// Secrets are those that the intake shall accept now, the newest that state knows of first.
func (k *Keeper) Secrets() []string {
	v := k.view.Load()
	return k.accepted(v, v.secrets, k.cfg.Secret)
}

// Tokens are those that a sender may echo now, in the same order; none for a kind without.
func (k *Keeper) Tokens() []string { v := k.view.Load(); return k.accepted(v, v.tokens, k.cfg.Token) }

func (k *Keeper) accepted(v *view, all []string, derive func(int) string) []string {
	learnt := int(k.learnt.Load())
	if len(all) == 0 || len(v.Retiring) == 0 && learnt <= v.Generation {
		return all
	}
	now := k.cfg.Clock.Now()
	accepted := all[:1:1]
	for i, r := range v.Retiring {
		if r.Until.IsZero() || now.Before(r.Until) {
			accepted = append(accepted, all[i+1])
		}
	}
	if learnt > v.Generation {
		accepted = append(accepted, derive(learnt))
	}
	return accepted
}

// Learn is for the intake, about a secret that is none of Secrets: whether it is of a newer generation than state knows.
// Nobody else can make one, so state was lost, or is older than the URL of a hook that the sender may not even list, such
// as a workflow. It is accepted from now on, and the loop takes it up. An older generation has been ended, and stays so.
// Never waits; it searches at most every learnEvery, and answers false in between.
func (k *Keeper) Learn(secret string) bool {
	now, tried := k.cfg.Clock.Now().UnixNano(), k.tried.Load()
	if tried != 0 && now-tried < int64(learnEvery) || !k.tried.CompareAndSwap(tried, now) {
		return false
	}
	known, learnt := k.Current().Generation, k.learnt.Load()
	generation := int64(k.GenerationOf(secret))
	if generation <= max(int64(known), learnt) || !k.learnt.CompareAndSwap(learnt, generation) {
		return false
	}
	k.log.Warn().Int64("generation", generation).Int("known", known).
		Msg("a request has a newer secret than state knows of: state was lost, or an older one was restored; the secret is accepted")
	k.Doubt()
	return true
}

// URL is the newest URL, "" without an intake.
func (k *Keeper) URL() string { return k.url(k.Current().Generation) }

func (k *Keeper) url(generation int) string { return k.cfg.URL(k.cfg.Secret(generation)) }

// GenerationOf finds the generation whose secret this is, 0 when it is none of ours. How long it takes does not tell.
func (k *Keeper) GenerationOf(secret string) (generation int) {
	for g := 1; g <= MaxGenerations; g++ {
		if subtle.ConstantTimeCompare([]byte(k.cfg.Secret(g)), []byte(secret)) == 1 {
			generation = g
		}
	}
	return generation
}

// generationAt is that of a whole URL, 0 when it is none of ours.
func (k *Keeper) generationAt(url string) int {
	secret := lastPart(url)
	if secret == "" || k.cfg.URL(secret) != url {
		return 0
	}
	return k.GenerationOf(secret)
}

// Elsewhere recognises a URL of this pipeline at another host than ours: its path with a secret of ours, as the same
// deskhouse had it under another public URL, or another one with a copy of our state has it. Without an intake here
// there is no other host. generation is 0 when it is not such a URL.
func (k *Keeper) Elsewhere(hook string) (host string, generation int) {
	secret := lastPart(hook)
	u, err := url.Parse(hook)
	if ours := k.cfg.URL(secret); err != nil || secret == "" || ours == "" || ours == hook || !strings.HasSuffix(u.Path, webhook.Path(k.cfg.Pipeline, secret)) {
		return "", 0
	}
	return u.Host, k.GenerationOf(secret)
}

func lastPart(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }
