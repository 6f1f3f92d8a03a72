package zohodesk

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// crowd makes n searches at once and waits for them.
func crowd(t *testing.T, c *Client, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := searchTickets(c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func slow(portal *desksim.Portal) {
	portal.Faults().Latency(func(*http.Request) time.Duration { return 200 * time.Millisecond })
}

// The portal's limit is found and then kept to: the longer it lasts, the fewer
// calls go beyond it.
func TestPaceSettlesBelowThePortalsLimit(t *testing.T) {
	for _, allowed := range []int{5, 10, 15} {
		synctest.Test(t, func(t *testing.T) {
			portal, c := simulated(t, desksim.Config{Concurrency: allowed, CreditsPerDay: -1}, nil)
			slow(portal)
			crowd(t, c, 3000)
			found := portal.Stats().TooMany
			start := time.Now()
			crowd(t, c, 5000)
			if refused := portal.Stats().TooMany - found; refused > 25 {
				t.Errorf("allowed %d: %d of 5,000 calls were refused once the limit was known", allowed, refused)
			}
			ideal := time.Duration(5000/allowed) * 200 * time.Millisecond
			if took := time.Since(start); took > ideal*105/100 {
				t.Errorf("allowed %d: took %v of virtual time, %v at best", allowed, took, ideal)
			}
		})
	}
}

// A portal that lowers its concurrency at noon, because another integration
// has come, is followed down at once, and up again when that one has gone.
func TestPaceFollowsAPortalThatLowersItsLimitAtNoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, desksim.Config{Concurrency: 15, CreditsPerDay: -1}, nil)
		slow(portal)
		crowd(t, c, 3000)
		_, morning := c.InFlight()
		portal.AllowInFlight(5)
		before := portal.Stats().TooMany
		crowd(t, c, 3000)
		_, noon := c.InFlight()
		if refused := portal.Stats().TooMany - before; refused > 60 {
			t.Errorf("%d of 3,000 calls were refused at noon", refused)
		}
		portal.AllowInFlight(15)
		crowd(t, c, 15_000)
		_, evening := c.InFlight()
		if morning < 14 || noon > 6 || noon < 4 || evening < 14 {
			t.Errorf("%d calls at once in the morning, %d at noon, %d in the evening; want about 15, 5 and 15", morning, noon, evening)
		}
	})
}

// Retry-After holds every call back, in both its forms and on either kind of
// 429.
func TestRetryAfterOnEitherKindOf429(t *testing.T) {
	for _, kind := range []string{"THRESHOLD_EXCEEDED", "TOO_MANY_REQUESTS"} {
		for name, header := range map[string]func() []string{
			"seconds":             func() []string { return []string{"Retry-After", "5400"} },
			"date":                func() []string { return []string{"Retry-After", httpTime(90 * time.Minute)} },
			"date, no Date reply": func() []string { return []string{"Retry-After", httpTime(90 * time.Minute), "Date", ""} },
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					z := &scripted{}
					z.api = inTurn(always(200, onePage), func(*http.Request) *http.Response { return answer(429, code(kind), header()...) }, always(200, onePage))
					c := newClient(t, z)
					crowd(t, c, 1)
					start := time.Now()
					var wg sync.WaitGroup
					for range 3 {
						wg.Go(func() {
							if err := searchTickets(c); err != nil {
								t.Error(err)
							}
							if waited := time.Since(start); waited < 90*time.Minute || waited > 92*time.Minute {
								t.Errorf("%v until the call was made", waited)
							}
						})
						synctest.Wait()
					}
					if until, why := c.WaitingUntil(); !until.Equal(start.Add(90*time.Minute)) || !strings.Contains(why, "Zoho says") {
						t.Errorf("waiting until %v because %q", until, why)
					}
					wg.Wait()
					if n := len(z.sent()); n != 5 {
						t.Errorf("%d requests, want 2 before the pause and 3 after it", n)
					}
				})
			})
		}
	}
}

func httpTime(in time.Duration) string { return time.Now().Add(in).UTC().Format(http.TimeFormat) }

// A portal that says "too many" for ever is given up, call by call.
func TestEndlessPausesAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(429, code("TOO_MANY_REQUESTS"), "Retry-After", "600")}
		if err := searchTickets(newClient(t, z)); !source.IsFault(err, source.FaultRetry) || len(z.sent()) != maxTries {
			t.Errorf("%v after %d requests", err, len(z.sent()))
		}
	})
}

// Nobody rushes in when a pause for credits is over, or a day begins: one call
// goes first and tells what there is.
func TestOneCallGoesFirstIntoANewDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, desksim.Config{CreditsPerDay: 1000}, nil, func(cfg *Config) { cfg.DataCenter = "uk" })
		crowd(t, c, 20)
		time.Sleep(20 * time.Hour)
		portal.SpendElsewhere(1000 - portal.Stats().CreditsSpent)
		slow(portal)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() { _, _ = c.Search(ctx, source.ForSnapshot, source.Tickets, source.Query{Limit: 1}) })
		}
		time.Sleep(time.Minute)
		portal.AllowCredits(2) // nothing on the next day either
		before := portal.Stats().TooMany
		time.Sleep(4 * time.Hour)
		if refused := portal.Stats().TooMany - before; refused != 1 {
			t.Errorf("%d calls were refused at midnight, want 1 of 12", refused)
		}
		cancel()
		wg.Wait()
	})
}

// withoutHeaders is a portal that does not tell what is left.
func withoutHeaders(rt http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		reply, err := rt.RoundTrip(r)
		if err == nil {
			reply.Header.Del("X-Rate-Limit-Remaining-v3")
			reply.Header.Del("X-Rate-Limit-Request-Weight-v3")
		}
		return reply, err
	})
}

func TestPortalThatDoesNotTellWhatIsLeft(t *testing.T) {
	cases := []struct {
		name    string
		perDay  int     // configured
		refused []int64 // 429s by day
		load    []int64 // credits by day
	}{
		{"with credits.per_day", 6000, []int64{0, 0, 0}, []int64{4320, 4320, 4320}},
		{"without, the first day that runs out tells", 0, []int64{1, 0, 0}, []int64{6000, 4320, 4320}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				said := &bytes.Buffer{}
				portal, client := simulated(t, desksim.Config{CreditsPerDay: 6000, Concurrency: -1}, withoutHeaders, func(cfg *Config) {
					cfg.DataCenter, cfg.CreditsPerDay, cfg.MaxInFlight, cfg.Logger = "uk", c.perDay, 1, zerolog.New(said)
				})
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() {
					for ctx.Err() == nil {
						_, _ = client.Search(ctx, source.ForSnapshot, source.Tickets, source.Query{Limit: 1})
					}
				})
				time.Sleep(12 * time.Hour)
				var spent, refused int64
				for day := range c.refused {
					synctest.Wait()
					credits, many := client.Credits().ByPriority[source.ForSnapshot], portal.Stats().TooMany
					if credits-spent != c.load[day] || many-refused != c.refused[day] {
						t.Errorf("day %d: %d credits and %d refusals, want %d and %d", day+1, credits-spent, many-refused, c.load[day], c.refused[day])
					}
					spent, refused = credits, many
					time.Sleep(24 * time.Hour)
				}
				cancel()
				wg.Wait()
				if warned := strings.Contains(said.String(), "credits.per_day sets it"); warned != (c.perDay == 0) {
					t.Errorf("said %s", said)
				}
			})
		})
	}
}
