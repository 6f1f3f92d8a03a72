package zohodesk

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// bustle is everything that a sync asks of one client, at once and without an
// end, each purpose by as many callers.
type bustle struct {
	client *Client
	mu     sync.Mutex
	served []source.Priority
	wg     sync.WaitGroup
	stop   context.CancelFunc
}

func newBustle(t *testing.T, c *Client, callers int, purposes ...source.Priority) *bustle {
	ctx, cancel := context.WithCancel(t.Context())
	b := &bustle{client: c, stop: cancel}
	for _, p := range purposes {
		for range callers {
			b.wg.Go(func() {
				for b.once(ctx, p) {
				}
			})
		}
	}
	return b
}

// once makes the call of a purpose: re-reads and hydration read by id, the
// others a page.
func (b *bustle) once(ctx context.Context, p source.Priority) bool {
	var err error
	if p == source.ForReread || p == source.ForHydration {
		_, _, err = b.client.Get(ctx, p, source.Tickets, 5)
	} else {
		_, err = b.client.Search(ctx, p, source.Tickets, source.Query{Limit: 1})
	}
	if err != nil && !source.IsFault(err, source.FaultNotFound) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.served = append(b.served, p)
	return true
}

// end stops all callers and tells how often each purpose was served.
func (b *bustle) end() map[source.Priority]int {
	b.stop()
	b.wg.Wait()
	count := map[source.Priority]int{}
	for _, p := range b.served {
		count[p]++
	}
	return count
}

func taking(d time.Duration) func(*http.Request) time.Duration {
	return func(*http.Request) time.Duration { return d }
}

// Where slots are scarce re-reads go first, polls have their tenth, and the
// rest waits.
func TestRereadsGoFirstAndPollsHaveATenthOfTheSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, desksim.Config{CreditsPerDay: -1}, nil, func(cfg *Config) { cfg.MaxInFlight = 3 })
		portal.Faults().Latency(taking(time.Second))
		b := newBustle(t, c, 10, source.ForHydration, source.ForSnapshot, source.ForPoll, source.ForReread)
		time.Sleep(1000 * time.Second)
		got := b.end()
		all := len(b.served)
		if polls := float64(got[source.ForPoll]) / float64(all); polls < 0.09 || polls > 0.11 {
			t.Errorf("%d of %d calls were polls, want a tenth", got[source.ForPoll], all)
		}
		if others := got[source.ForSnapshot] + got[source.ForHydration]; others > 20 || got[source.ForReread] < all*8/10 {
			t.Errorf("served %v of %d: re-reads go first", got, all)
		}
	})
}

// As a day's credits run out each purpose stops at its floor, the least urgent
// first, and all wait for midnight.
func TestPurposesStopInTheirOrderAsCreditsRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, desksim.Config{CreditsPerDay: 10_000, Concurrency: -1}, nil, func(cfg *Config) { cfg.DataCenter, cfg.CreditsPerDay = "uk", 10_000 })
		portal.Faults().Latency(taking(time.Second))
		// What is left for others (2,000) and for polls (800), and what is
		// hydration's share (2,000 of 8,000, down to 6,000), by the settings.
		stops := []struct {
			purpose source.Priority
			atLeast int
		}{{source.ForHydration, 6000}, {source.ForSnapshot, 2800}, {source.ForPoll, 2000}, {source.ForReread, 1000}}
		for _, s := range stops {
			b := newBustle(t, c, 5, s.purpose)
			time.Sleep(time.Hour)
			synctest.Wait()
			left := 10_000 - portal.Stats().CreditsSpent
			if s.purpose == source.ForHydration && left != 8000 {
				t.Errorf("hydration left %d credits, want it to stop at its share of 2,000", left)
			} else if s.purpose != source.ForHydration && (left < s.atLeast || left > s.atLeast+3) {
				t.Errorf("purpose %d left %d credits, want it to stop at %d", s.purpose, left, s.atLeast)
			}
			until, why := c.WaitingUntil()
			if want := time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour); s.purpose != source.ForHydration && (!until.Equal(want) || why == "") {
				t.Errorf("purpose %d waits until %v because %q, want %v", s.purpose, until, why, want)
			}
			b.end()
		}
		if n := portal.Stats().TooMany; n != 0 {
			t.Errorf("%d calls were refused", n)
		}
	})
}

// A load that has spent its part of the day leaves polls a tenth of what is not
// reserved, and re-reads go on below that: whatever it takes until midnight.
func TestPollsAndRereadsGoOnWhenTheLoadHasSpentItsPart(t *testing.T) {
	for _, perDay := range []int{1000, 5000} {
		t.Run(fmt.Sprint(perDay), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				portal, c := simulated(t, desksim.Config{CreditsPerDay: perDay}, nil, func(cfg *Config) { cfg.DataCenter = "uk" })
				load := newBustle(t, c, 8, source.ForSnapshot, source.ForHydration)
				time.Sleep(time.Hour)
				synctest.Wait()
				polls := 0
				for start := time.Now(); time.Since(start) < 22*time.Hour; {
					if wait := c.PollPause(); wait > 0 {
						time.Sleep(wait)
						continue
					}
					before := time.Now()
					c.pollOnce(t)
					if _, _, err := c.Get(t.Context(), source.ForReread, source.Tickets, 5); !source.IsFault(err, source.FaultNotFound) {
						t.Fatal(err)
					}
					if !time.Now().Equal(before) {
						t.Fatalf("poll %d waited until %v", polls, time.Now())
					}
					polls++
					time.Sleep(20 * time.Minute)
				}
				tenth := (perDay - perDay/5) / 10
				if least := min(66, (perDay*5/100-3)/3-3); polls < least || polls*3 > tenth {
					t.Errorf("%d polls of 3 credits, want at least %d and no more than the %d credits that are theirs", polls, least, tenth)
				}
				if left := perDay - portal.Stats().CreditsSpent; left < perDay/5-polls {
					t.Errorf("%d credits are left: the reserve was touched by more than %d re-reads", left, polls)
				}
				count := load.end()
				if portal.Stats().TooMany != 0 || count[source.ForSnapshot] == 0 {
					t.Errorf("%d refusals, served %v", portal.Stats().TooMany, count)
				}
			})
		})
	}
}

// After a midnight the urgent ones are served before the bulk.
func TestMidnightServesByPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, desksim.Config{CreditsPerDay: 1000}, nil, func(cfg *Config) { cfg.DataCenter, cfg.MaxInFlight = "uk", 1 })
		crowd(t, c, 3)
		portal.Faults().Latency(taking(time.Second))
		portal.SpendElsewhere(1000 - portal.Stats().CreditsSpent)
		var mu sync.Mutex
		var order []source.Priority
		var wg sync.WaitGroup
		b := &bustle{client: c}
		for _, p := range []source.Priority{source.ForHydration, source.ForSnapshot, source.ForPoll, source.ForReread} {
			for range 3 {
				wg.Go(func() {
					b.once(t.Context(), p)
					mu.Lock()
					order = append(order, p)
					mu.Unlock()
				})
				synctest.Wait()
			}
		}
		wg.Wait()
		if len(order) != 12 || !slices.IsSorted(order) {
			t.Errorf("served in the order %v", order)
		}
	})
}
