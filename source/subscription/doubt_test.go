package subscription

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
)

// listing is a sender that only tells what it holds, and when it was asked.
type listing struct {
	Kind
	held  []Held
	asked []time.Duration // since the start
	began time.Time
}

func (*listing) Name() string { return "listing" }

func (l *listing) Look(context.Context, Want) ([]Held, error) {
	l.asked = append(l.asked, time.Since(l.began))
	return l.held, nil
}

// TestDoubtsAreLookedInto a minute after the last look, and less often while that finds nothing new.
func TestDoubtsAreLookedInto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		url := func(secret string) string { return "https://hooks.example.org/hooks/support/" + secret }
		sender := &listing{began: time.Now(), held: []Held{{ID: "1", URL: url(secretOf(1)), Enabled: true}}}
		store := newStore()
		raw, err := encode(Subscription{Kind: "listing", Pipeline: "support", IDs: []string{"1"}, Generation: 1})
		if err != nil {
			t.Fatal(err)
		}
		store.values[Key("support")] = raw
		k, err := New(t.Context(), Config{Pipeline: "support", Kind: sender, Store: store, Secret: secretOf, URL: url, Clock: clockwork.NewRealClock(), Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = k.Run(ctx) }()
		synctest.Wait()
		doubts := func(most time.Duration) {
			for range most / time.Second {
				k.Doubt()
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
		doubts(2 * time.Hour)
		const m = time.Minute
		want := []time.Duration{0, 1 * m, 3 * m, 7 * m, 15 * m, 31 * m, 63 * m}
		if got := sender.asked[:min(len(sender.asked), len(want))]; !slices.Equal(got, want) {
			t.Errorf("asked after %v, want %v", sender.asked, want)
		}
		if len(sender.asked) > 8 {
			t.Errorf("asked %d times in two hours", len(sender.asked))
		}
		sender.held[0].ID = "2" // replaced: the next look finds it, and the one after that comes a minute later
		doubts(time.Hour)
		n := len(sender.asked)
		if ids := k.IDs(); !slices.Equal(ids, []string{"2"}) {
			t.Errorf("known are %q", ids)
		}
		if n < 3 || sender.asked[8]-sender.asked[7] != m {
			t.Errorf("asked after %v", sender.asked)
		}
	})
}
