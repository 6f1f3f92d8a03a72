package zohodesk

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// step is one thing that happens to one of some processes that share a store.
type step struct {
	process int
	what    string
	within  time.Duration // until a caller gives up
	after   time.Duration // until the next step begins
}

var steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
	return step{
		process: rapid.IntRange(0, 2).Draw(t, "process"),
		what:    rapid.SampledFrom([]string{"call", "call", "call", "restart", "dead token", "exchange", "revoke"}).Draw(t, "what"),
		within:  rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second, 2 * time.Minute}).Draw(t, "within"),
		after:   rapid.SampledFrom([]time.Duration{0, 0, time.Second, 10 * time.Second, 5 * time.Minute, time.Hour}).Draw(t, "after"),
	}
}), 1, 40)

// Whatever three processes do at the same time, Zoho never has to throttle
// them, and once authorised they all work.
func TestProcessesNeverMeetTheThrottle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		history := steps.Draw(rt, "steps")
		var wrong []string
		synctest.Test(t, func(t *testing.T) { wrong = live(t, history) })
		for _, w := range wrong {
			rt.Error(w)
		}
	})
}

// live plays the steps and returns what is wrong in the end.
func live(t *testing.T, history []step) (wrong []string) {
	store, slow := &farStore{}, slowTokens(3*time.Second)
	portal, first := simulated(t, small(desksim.Config{CreditsPerDay: -1}), slow, func(cfg *Config) { cfg.Tokens = store })
	clients := []*Client{first, another(t, portal, store, slow), another(t, portal, store, slow)}
	var wg sync.WaitGroup
	for _, s := range history {
		if s.what == "restart" {
			clients[s.process] = another(t, portal, store, slow)
		}
		c := clients[s.process]
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), s.within)
			defer cancel()
			play(ctx, portal, c, s.what)
		})
		time.Sleep(s.after)
	}
	wg.Wait()
	portal.Faults().Clear()
	time.Sleep(time.Hour)
	if err := clients[0].Exchange(t.Context(), portal.SelfClientCode(Scopes()...), ""); err != nil {
		wrong = append(wrong, fmt.Sprintf("exchange in the end: %v", err))
	}
	for i, c := range clients {
		if err := searchTickets(c); err != nil {
			wrong = append(wrong, fmt.Sprintf("process %d in the end: %v", i, err))
		}
	}
	if s := portal.Stats(); s.TokenThrottle > 0 {
		wrong = append(wrong, fmt.Sprintf("%d of %d token requests throttled", s.TokenThrottle, s.TokenRequests))
	}
	return wrong
}

// play does one thing; whether it succeeds is not asked here.
func play(ctx context.Context, portal *desksim.Portal, c *Client, what string) {
	switch what {
	case "dead token":
		portal.Faults().Next(desksim.FaultTokenExpired, 1)
	case "exchange":
		_ = c.Exchange(ctx, portal.SelfClientCode(Scopes()...), "")
		return
	case "revoke":
		_ = c.Revoke(ctx)
		return
	}
	_, _ = c.Count(ctx, source.ForPoll, 0)
}
