package zohodesk

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// slowTokens lets every request to the accounts server take d.
func slowTokens(d time.Duration) func(http.RoundTripper) http.RoundTripper {
	return func(rt http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			res, err := rt.RoundTrip(r)
			if !strings.HasPrefix(r.URL.Path, "/oauth/") {
				return res, err
			}
			select {
			case <-time.After(d):
				return res, err
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
	}
}

func small(cfg desksim.Config) desksim.Config {
	cfg.Tickets, cfg.Products, cfg.Contracts, cfg.Departments = 5, -1, -1, 1
	return cfg
}

// another makes one more client of the same portal and store: another process,
// or the same one started anew.
func another(t *testing.T, portal *desksim.Portal, store TokenStore, through func(http.RoundTripper) http.RoundTripper, change ...func(*Config)) *Client {
	t.Helper()
	rt := portal.RoundTripper()
	if through != nil {
		rt = through(rt)
	}
	return newClient(t, rt, append([]func(*Config){func(cfg *Config) {
		cfg.OrgID, cfg.ClientID, cfg.ClientSecret, cfg.RefreshToken = portal.OrgID(), "1000.SIMULATEDCLIENT", "simulated-secret", "1000.simulated.refresh"
		cfg.Tokens = store
	}}, change...)...)
}

// farStore takes a while, so that two processes read the same revision.
type farStore struct{ inMemory }

func (f *farStore) LoadToken(ctx context.Context) (Token, uint64, error) {
	t, revision, err := f.inMemory.LoadToken(ctx)
	time.Sleep(10 * time.Millisecond)
	return t, revision, err
}

func TestProcessesThatShareStateSendOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &farStore{}
		slow := slowTokens(3 * time.Second)
		portal, first := simulated(t, small(desksim.Config{}), slow, func(cfg *Config) { cfg.Tokens = store })
		clients := []*Client{first, another(t, portal, store, slow), another(t, portal, store, slow)}
		for hour := range 3 { // without any token, then twice expired
			var wg sync.WaitGroup
			for _, c := range clients {
				for range 4 {
					wg.Go(func() {
						if err := searchTickets(c); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
			if got := portal.Stats().TokenRequests; got != int64(hour+1) {
				t.Errorf("%d token requests after %d hours, want one an hour", got, hour)
			}
			time.Sleep(2 * time.Hour)
		}
	})
}

// A process that died within its request holds the others up for so long, not
// for ever; one whose clock is ahead no longer.
func TestMarkOfADeadProcessIsTakenOver(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"same clock": 0, "clock ahead": time.Hour, "clock behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				store := &inMemory{}
				if _, err := store.SaveToken(t.Context(), Token{Renewing: start.Add(ahead)}, 0); err != nil {
					t.Fatal(err)
				}
				portal, c := simulated(t, small(desksim.Config{}), nil, func(cfg *Config) { cfg.Tokens = store })
				if err := searchTickets(c); err != nil || portal.Stats().TokenRequests != 1 {
					t.Fatalf("%d token requests, %v", portal.Stats().TokenRequests, err)
				}
				if waited := time.Since(start); waited > markLife+time.Second || ahead == 0 && waited < tokenTimeout {
					t.Errorf("waited %v", waited)
				}
			})
		})
	}
}

// Two hundred restarts within ten minutes stay within Zoho's ten requests,
// whatever goes wrong.
func TestTwoHundredRestartsSendTenTokenRequests(t *testing.T) {
	cases := map[string]struct {
		sim     desksim.Config
		through func(http.RoundTripper) http.RoundTripper
		fault   func(*desksim.Portal)
		change  func(*Config)
		most    int64
	}{
		"hour-long tokens":             {most: 1},
		"tokens of 20 s":               {sim: desksim.Config{TokenLife: 20 * time.Second}, most: 10},
		"tokens of 20 s, no throttle":  {sim: desksim.Config{TokenLife: 20 * time.Second, NoTokenThrottle: true}, most: 10},
		"every access token refused":   {fault: func(p *desksim.Portal) { p.Faults().Rate(desksim.FaultTokenExpired, 1) }, most: 2},
		"refused tokens of 20 s":       {sim: desksim.Config{TokenLife: 20 * time.Second}, fault: func(p *desksim.Portal) { p.Faults().Rate(desksim.FaultTokenExpired, 1) }, most: 4}, // they expire while in doubt
		"dead refresh token":           {change: func(cfg *Config) { cfg.RefreshToken = "1000.dead" }, most: 1},
		"wrong secret":                 {change: func(cfg *Config) { cfg.ClientSecret = "wrong" }, most: 1},
		"throttled by another program": {fault: func(p *desksim.Portal) { p.Faults().Rate(desksim.FaultTokenThrottle, 1) }, most: 1},
		"killed before the answer":     {through: slowTokens(5 * time.Second), most: 10},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &inMemory{}
				if c.change == nil {
					c.change = func(*Config) {}
				}
				portal, _ := simulated(t, small(c.sim), nil)
				if c.fault != nil {
					c.fault(portal)
				}
				start := time.Now()
				for range 200 {
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					_, _ = another(t, portal, store, c.through, c.change).Count(ctx, source.ForPoll, 0)
					<-ctx.Done()
					cancel()
					time.Sleep(990 * time.Millisecond)
				}
				if took := time.Since(start); took > 10*time.Minute {
					t.Fatalf("took %v", took)
				}
				if got := portal.Stats(); got.TokenRequests > c.most || got.TokenRequests == 0 || c.fault == nil && got.TokenThrottle != 0 {
					t.Errorf("%d token requests, %d throttled, want at most %d and none", got.TokenRequests, got.TokenThrottle, c.most)
				}
			})
		})
	}
}

// callFor makes a call every interval, for so long; it counts those that failed.
func callFor(t *testing.T, c *Client, d, interval time.Duration) (calls, failed int) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(interval) {
		calls++
		if _, err := c.Count(t.Context(), source.ForPoll, 0); err != nil {
			failed++
		}
	}
	return calls, failed
}

func TestTokensOfTwentySecondsWithoutThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		portal, c := simulated(t, small(desksim.Config{TokenLife: 20 * time.Second, NoTokenThrottle: true, CreditsPerDay: -1}), nil)
		calls, failed := callFor(t, c, time.Hour, time.Second)
		if got := portal.Stats(); failed != 0 || got.TokenRequests < 180 || got.TokenRequests > 400 {
			t.Errorf("%d of %d calls failed, %d token requests in an hour", failed, calls, got.TokenRequests)
		}
	})
}

// Where the throttle is real after all it is met once and then kept to.
func TestTokensOfTwentySecondsWithThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		portal, c := simulated(t, small(desksim.Config{TokenLife: 20 * time.Second, CreditsPerDay: -1}), nil, func(cfg *Config) { cfg.Tokens = store })
		callFor(t, c, 3*time.Hour, time.Second)
		callFor(t, another(t, portal, store, nil), 3*time.Hour, time.Second)
		if got := portal.Stats(); got.TokenThrottle != 1 || got.TokenRequests < 100 {
			t.Errorf("throttled %d times in %d token requests, want once", got.TokenThrottle, got.TokenRequests)
		}
	})
}

func TestHourLongTokensNeverMeetTheThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &inMemory{}
		portal, c := simulated(t, small(desksim.Config{CreditsPerDay: -1}), nil, func(cfg *Config) { cfg.Tokens = store })
		calls, failed := callFor(t, c, 24*time.Hour, 30*time.Second)
		if got := portal.Stats(); failed != 0 || got.TokenThrottle != 0 || got.TokenRequests > 27 {
			t.Errorf("quiet day: %d of %d calls failed, %d token requests, %d throttled", failed, calls, got.TokenRequests, got.TokenThrottle)
		}
		portal.Faults().Rate(desksim.FaultTokenExpired, 0.2)
		callFor(t, c, 12*time.Hour, 30*time.Second)
		callFor(t, another(t, portal, store, nil), 12*time.Hour, 30*time.Second)
		if got := portal.Stats(); got.TokenThrottle != 0 || got.TokenRequests < 300 {
			t.Errorf("dying tokens: %d token requests, %d throttled", got.TokenRequests, got.TokenThrottle)
		}
	})
}

// failingStore is a store whose disk is full or which does not answer.
type failingStore struct {
	inMemory
	load, save error
	room       int // writes that succeed before save fails
}

func (f *failingStore) LoadToken(ctx context.Context) (Token, uint64, error) {
	if f.load != nil {
		return Token{}, 0, f.load
	}
	return f.inMemory.LoadToken(ctx)
}

func (f *failingStore) SaveToken(ctx context.Context, t Token, revision uint64) (uint64, error) {
	if f.save != nil && f.room == 0 {
		return 0, f.save
	}
	f.room = max(f.room-1, 0)
	return f.inMemory.SaveToken(ctx, t, revision)
}

func TestStoreThatCannotWriteStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{save: errors.New("disk is full"), room: 1}
		portal, c := simulated(t, small(desksim.Config{CreditsPerDay: -1}), nil, func(cfg *Config) { cfg.Tokens = store })
		if calls, failed := callFor(t, c, 5*time.Hour, time.Minute); failed != 0 || portal.Stats().TokenRequests > 6 {
			t.Errorf("%d of %d calls failed, %d token requests", failed, calls, portal.Stats().TokenRequests)
		}
		portal.Faults().Rate(desksim.FaultTokenExpired, 1)
		callFor(t, c, time.Hour, time.Second)
		if got := portal.Stats().TokenThrottle; got != 0 {
			t.Errorf("throttled %d times: requests are counted in memory too", got)
		}
		portal.Faults().Clear()
		store.save = nil
		callFor(t, c, 2*time.Hour, time.Minute)
		if stored, _, _ := store.LoadToken(t.Context()); stored.Access == "" {
			t.Error("nothing is stored once the disk has room")
		}
	})
}

func TestStoreThatCannotBeReadIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{load: errors.New("no quorum")}
		portal, c := simulated(t, small(desksim.Config{}), nil, func(cfg *Config) { cfg.Tokens = store })
		if err := searchTickets(c); !source.IsFault(err, source.FaultRetry) || portal.Stats().TokenRequests != 0 {
			t.Errorf("%d token requests, %v", portal.Stats().TokenRequests, err)
		}
		store.load = nil
		if err := searchTickets(c); err != nil {
			t.Error(err)
		}
		store.load = errors.New("no quorum")
		time.Sleep(2 * time.Hour)
		if err := searchTickets(c); err != nil {
			t.Errorf("once read, memory serves: %v", err)
		}
	})
}

func TestUnreadableStoredTokenIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{}
		if _, err := store.SaveToken(t.Context(), Token{Access: "sealed with another key"}, 0); err != nil {
			t.Fatal(err)
		}
		sealed := oddlySealed{store}
		_, c := simulated(t, small(desksim.Config{}), nil, func(cfg *Config) { cfg.Tokens = sealed })
		if err := searchTickets(c); err != nil {
			t.Fatal(err)
		}
		if stored, revision, _ := store.LoadToken(t.Context()); stored.ConfigSeen == "" || revision != 3 {
			t.Errorf("revision %d", revision)
		}
	})
}

// oddlySealed cannot open what is at revision 1.
type oddlySealed struct{ *failingStore }

func (s oddlySealed) LoadToken(ctx context.Context) (Token, uint64, error) {
	t, revision, err := s.failingStore.LoadToken(ctx)
	if revision == 1 {
		return Token{}, 1, ErrTokenUnreadable
	}
	return t, revision, err
}

// A crash loop on a state that can be read but not written would count its
// requests in vain: none is sent.
func TestNothingIsAskedBeforeTheStateWasWrittenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{save: errors.New("disk is full")}
		portal, _ := simulated(t, small(desksim.Config{}), nil)
		for range 20 {
			err := searchTickets(another(t, portal, store, nil))
			if !source.IsFault(err, source.FaultRetry) || !strings.Contains(err.Error(), "while the state cannot be written: disk is full") {
				t.Fatalf("got %v", err)
			}
		}
		if n := portal.Stats().TokenCalls; n != 0 {
			t.Errorf("%d token requests that nobody counted", n)
		}
		c := another(t, portal, store, nil)
		_ = searchTickets(c)
		store.save = nil
		if err := searchTickets(c); err != nil {
			t.Errorf("once there is room: %v", err)
		}
	})
}

// cancelling ends its caller's context within a write.
type cancelling struct {
	inMemory
	cancel context.CancelFunc
}

func (s *cancelling) SaveToken(ctx context.Context, t Token, revision uint64) (uint64, error) {
	next, err := s.inMemory.SaveToken(ctx, t, revision)
	s.cancel()
	return next, err
}

// Who gives up while its request is being noted leaves no mark that others wait
// for, and no request that was never sent.
func TestCallerThatGivesUpBeforeItsRequestLeavesNoMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(200, onePage)}
		ctx, cancel := context.WithCancel(t.Context())
		store := &cancelling{cancel: cancel}
		c := newClient(t, z, func(cfg *Config) { cfg.Tokens = store })
		if _, err := c.Count(ctx, source.ForPoll, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		began := time.Now()
		if err := searchTickets(c); err != nil || time.Since(began) > 0 {
			t.Errorf("the next one waited %v for a request that nobody made: %v", time.Since(began), err)
		}
		if a, err := c.Authorisation(t.Context()); err != nil || a.Requests != 1 || z.granted() != 1 {
			t.Errorf("%d requests counted, %d sent, %v", a.Requests, z.granted(), err)
		}
	})
}
