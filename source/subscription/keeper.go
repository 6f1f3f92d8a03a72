package subscription

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
)

// Config is what a Keeper needs; all of it but Token and Missed.
type Config struct {
	Pipeline string
	Kind     Kind
	Store    Store
	// Secret is the last part of the URL in a generation, Token what the sender echoes. Both are pure and cheap.
	Secret, Token func(generation int) string
	// URL is the whole URL with a secret, "" when this process has no intake.
	URL    func(secret string) string
	Name   string // shown at the sender
	Events []string
	Clock  clockwork.Clock
	Log    zerolog.Logger
	// Missed is told of a gap once the subscription is whole again, so that polls close it. It may take its time: only Run
	// and Once call it, while nobody waits for a turn.
	Missed func(ctx context.Context, gap Gap)
}

const (
	// CheckEvery is how often the sender is asked whether all is as it should be.
	CheckEvery = time.Hour
	// Overlap is how long an old secret is accepted after the sender was switched over. How long Zoho keeps a delivery
	// queued is not documented; a day is far above the minutes that its tokens live.
	Overlap = 24 * time.Hour
)

// Keeper keeps one subscription. Safe for concurrent use: IDs, Secrets and Tokens never wait; the others take turns, and
// those that wait for the sender do so as long as their context lets them.
type Keeper struct {
	cfg  Config
	log  zerolog.Logger
	view atomic.Pointer[view]
	// registering: a request for a new subscription is on its way, whose id nobody knows yet.
	registering atomic.Bool
	problem     atomic.Pointer[Problem]
	failures    atomic.Int64  // in a row
	wake        chan struct{} // capacity 1: the loop shall reckon again
	doubted     chan struct{} // capacity 1: what is known may be out of date

	learnt atomic.Int64 // newest generation that a request has shown, 0 for none
	tried  atomic.Int64 // when Learn searched last, Unix nanoseconds

	turn     chan struct{} // held by whoever works with the sender; guards those below
	revision uint64        // of the stored value that is known
	known    bool          // state had heard of this subscription
	looked   bool          // the sender has answered once
	gaps     []Gap         // to be told
}

// view is a subscription with what the intake accepts by it: the first of each is the newest generation's, then one for
// each that retires. It is replaced, never changed.
type view struct {
	Subscription
	secrets, tokens []string
}

// Problem is why the subscription is not as it should be.
type Problem struct {
	Err   error
	Since time.Time // UTC
}

// New reads what is stored. Nothing is asked of the sender yet.
func New(ctx context.Context, cfg Config) (*Keeper, error) {
	k := &Keeper{cfg: cfg, wake: make(chan struct{}, 1), doubted: make(chan struct{}, 1), turn: make(chan struct{}, 1),
		log: cfg.Log.With().Str("pipeline", cfg.Pipeline).Str("kind", cfg.Kind.Name()).Logger()}
	raw, revision, err := cfg.Store.Load(ctx, Key(cfg.Pipeline))
	if err != nil {
		return nil, fmt.Errorf("load subscription of pipeline %s: %w", cfg.Pipeline, err)
	}
	s, known, err := decode(raw, cfg.Kind.Name(), cfg.Pipeline)
	if err != nil {
		return nil, fmt.Errorf("subscription of pipeline %s: %w", cfg.Pipeline, err)
	}
	k.known, k.revision = known, revision
	k.show(s)
	return k, nil
}

// Current is what is known. The slices in it must not be changed.
func (k *Keeper) Current() Subscription { return k.view.Load().Subscription }

// Problem is why the last attempt failed, nil when it did not.
func (k *Keeper) Problem() *Problem { return k.problem.Load() }

// IDs are the ids at the sender of all that has our URL; none while that is not known, which is so too while a new one is
// being registered.
func (k *Keeper) IDs() []string {
	if k.registering.Load() {
		return nil
	}
	return k.view.Load().IDs
}

func (k *Keeper) now() time.Time { return k.cfg.Clock.Now().UTC() }

func (k *Keeper) want(s Subscription) Want {
	w := Want{Name: k.cfg.Name, URL: k.url(s.Generation), Events: k.cfg.Events}
	if k.cfg.Token != nil {
		w.Token = k.cfg.Token(s.Generation)
	}
	return w
}
