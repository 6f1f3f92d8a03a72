package zohodesk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/source"
)

func TestOneTokenRequestServesFiftyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(200, onePage)}
		z.token = func(n int) *http.Response {
			time.Sleep(time.Second)
			return answer(200, granted("tok", 3600))
		}
		c := newClient(t, z, func(cfg *Config) { cfg.MaxInFlight = 50 })
		c.gov.pace.limit = 50
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := searchTickets(c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if z.granted() != 1 || len(z.sent()) != 50 {
			t.Errorf("%d token requests for %d calls, want 1 for 50", z.granted(), len(z.sent()))
		}
		form := z.forms[0]
		want := map[string]string{"grant_type": "refresh_token", "client_id": "1000.CLIENT", "client_secret": testSecret, "refresh_token": testRefresh}
		for k, v := range want {
			if form.Get(k) != v {
				t.Errorf("form %s = %q, want %q", k, form.Get(k), v)
			}
		}
	})
}

func TestOneRefusedTokenRequestIsSharedByAllWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(200, onePage)}
		z.token = func(int) *http.Response {
			time.Sleep(time.Second)
			return answer(200, `{"error":"invalid_code"}`)
		}
		c := newClient(t, z)
		c.gov.pace.limit = 20
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := searchTickets(c); !source.IsFault(err, source.FaultUnauthorized) {
					t.Errorf("got %v, want unauthorised", err)
				}
			})
		}
		wg.Wait()
		if z.granted() != 1 || len(z.sent()) != 0 {
			t.Errorf("%d token requests, %d calls, want 1 and 0", z.granted(), len(z.sent()))
		}
	})
}

func TestTransientTokenFailureIsSharedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Time
		z := &scripted{api: always(200, onePage)}
		z.token = func(n int) *http.Response {
			asked = append(asked, time.Now())
			time.Sleep(time.Second)
			if n == 1 {
				return answer(502, "<html>")
			}
			return answer(200, granted("tok", 3600))
		}
		c := newClient(t, z)
		c.gov.pace.limit = 20
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := searchTickets(c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(asked) != 2 || asked[1].Sub(asked[0]) < time.Second+200*time.Millisecond {
			t.Errorf("asked at %v, want twice with a back-off between", asked)
		}
	})
}

func TestTokenIsRenewedBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(200, onePage)}
		c := newClient(t, z)
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{0, 1}, {54 * time.Minute, 1}, {2 * time.Minute, 2}} {
			time.Sleep(step.after)
			if err := searchTickets(c); err != nil {
				t.Fatal(err)
			}
			if z.granted() != step.want {
				t.Errorf("%d token requests after %v, want %d", z.granted(), step.after, step.want)
			}
		}
		if got := z.sent()[2].Header.Get("Authorization"); got != "Zoho-oauthtoken tok-2" {
			t.Errorf("Authorization %q", got)
		}
	})
}

func TestOldTokenServesWhileItCannotBeRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(200, onePage)}
		z.token = func(n int) *http.Response {
			if n > 1 {
				return answer(200, `{"error":"Access Denied","status":"failure"}`)
			}
			return answer(200, granted("tok", 3600))
		}
		c := newClient(t, z)
		for range 3 {
			if err := searchTickets(c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(28 * time.Minute)
		}
		if z.granted() != 2 {
			t.Errorf("%d token requests, want 2: the throttle is to be left alone", z.granted())
		}
		err := searchTickets(c) // expired now
		var call *source.CallError
		if !errors.As(err, &call) || call.Fault != source.FaultRetry || call.Wait != 10*time.Minute {
			t.Fatalf("got %v, want a retry in ten minutes", err)
		}
		if until, why := c.WaitingUntil(); !until.Equal(time.Now().Add(10*time.Minute)) || why == "" {
			t.Errorf("waiting until %v because %q", until, why)
		}
	})
}

// Zoho counts a request when it arrives, so the first of ten counts for a
// time-out longer than ten minutes.
func TestEleventhTokenRequestIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var arrived []time.Time
		z := &scripted{api: always(200, onePage)}
		z.token = func(n int) *http.Response {
			if n == 1 {
				time.Sleep(20 * time.Second) // on its way
			}
			arrived = append(arrived, time.Now())
			return answer(200, granted("tok", 30))
		}
		store := &inMemory{}
		start := time.Now()
		var last error
		for range 12 { // a crash loop: a new client each time
			last = searchTickets(newClient(t, z, func(cfg *Config) { cfg.Tokens = store }))
			time.Sleep(31 * time.Second)
		}
		var call *source.CallError
		if z.granted() != 10 || !errors.As(last, &call) || call.Fault != source.FaultRetry {
			t.Fatalf("%d token requests, then %v", z.granted(), last)
		}
		time.Sleep(call.Wait - 31*time.Second)
		if waited := time.Since(start); waited != countedWindow {
			t.Errorf("free again after %v, want %v", waited, countedWindow)
		}
		if err := searchTickets(newClient(t, z, func(cfg *Config) { cfg.Tokens = store })); err != nil || z.granted() != 11 {
			t.Errorf("%d token requests after the wait, %v", z.granted(), err)
		}
		if first, eleventh := arrived[0], arrived[10]; eleventh.Sub(first) < tokenWindow {
			t.Errorf("eleven arrived within %v", eleventh.Sub(first))
		}
	})
}

func TestStoredTokenIsReusedAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(200, onePage)}
		store := &inMemory{}
		again := func(change ...func(*Config)) {
			t.Helper()
			change = append(change, func(cfg *Config) { cfg.Tokens = store })
			if err := searchTickets(newClient(t, z, change...)); err != nil {
				t.Fatal(err)
			}
		}
		again()
		again()
		if z.granted() != 1 {
			t.Errorf("%d token requests over a restart, want 1", z.granted())
		}
		again(func(cfg *Config) { cfg.RefreshToken = "1000.other" })
		if z.granted() != 2 {
			t.Errorf("%d token requests after re-authorisation, want 2", z.granted())
		}
		time.Sleep(2 * time.Hour)
		again(func(cfg *Config) { cfg.RefreshToken = "1000.other" })
		if z.granted() != 3 {
			t.Errorf("%d token requests after expiry, want 3", z.granted())
		}
	})
}

func TestRefusedTokenIsRenewedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{}
		z.api = func(r *http.Request) *http.Response {
			time.Sleep(100 * time.Millisecond)
			if r.Header.Get("Authorization") == "Zoho-oauthtoken tok-1" {
				return answer(401, `{"errorCode":"INVALID_OAUTH","message":"The OAuth Token you provided is invalid."}`)
			}
			return answer(200, onePage)
		}
		c := newClient(t, z)
		c.gov.pace.limit = 10
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := searchTickets(c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if z.granted() != 2 || len(z.sent()) != 20 {
			t.Errorf("%d token requests and %d calls, want 2 and 20", z.granted(), len(z.sent()))
		}
	})
}

func TestSecondRefusalStopsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(401, `{"errorCode":"INVALID_OAUTH","message":"The OAuth Token you provided is invalid."}`)}
		err := searchTickets(newClient(t, z))
		if !source.IsFault(err, source.FaultUnauthorized) || z.granted() != 2 || len(z.sent()) != 6 {
			t.Errorf("%v after %d tokens and %d calls, want unauthorised after 2 and 6", err, z.granted(), len(z.sent()))
		}
	})
}

func TestTokenRequestThatNeverLeftIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		})
		store := &inMemory{}
		for range 3 { // 8 tries each
			err := searchTickets(newClient(t, down, func(cfg *Config) { cfg.Tokens = store }))
			var call *source.CallError
			if !errors.As(err, &call) || call.Fault != source.FaultRetry || call.Wait != 0 {
				t.Fatalf("got %v, want a plain retry", err)
			}
		}
	})
}

func TestCancelledCallerDoesNotSpoilTheTokenForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(200, onePage)}
		z.token = func(n int) *http.Response {
			time.Sleep(10 * time.Second)
			return answer(200, granted("tok", 3600))
		}
		slow := roundTrip(func(r *http.Request) (*http.Response, error) {
			res, err := z.RoundTrip(r)
			if r.Context().Err() != nil {
				return nil, r.Context().Err()
			}
			return res, err
		})
		c := newClient(t, slow)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Count(ctx, source.ForPoll, 0); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the caller's own deadline", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if err := searchTickets(c); err != nil {
				t.Errorf("the other caller got %v", err)
			}
		})
		wg.Wait()
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSecretsAreNeverPrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		z := &scripted{api: inTurn(always(500, `{"errorCode":"INTERNAL_SERVER_ERROR","message":"no"}`), always(401, `{"errorCode":"INVALID_OAUTH","message":"x"}`), always(403, `{"errorCode":"SCOPE_MISMATCH","message":"x"}`))}
		store := &inMemory{}
		c := newClient(t, z, func(cfg *Config) { cfg.Logger, cfg.Tokens = zerolog.New(&log).Level(zerolog.TraceLevel), store })
		err := searchTickets(c)
		z.token = func(int) *http.Response { return answer(200, `{"error":"invalid_client"}`) }
		time.Sleep(time.Hour)
		tokenErr := searchTickets(c)
		cfg := testConfig(z)
		all := fmt.Sprintf("%s %v %v %v %+v %#v %v %+v %#v", log.String(), err, tokenErr, cfg, cfg, cfg, store.token, store.token, store.token)
		for _, secret := range []string{testSecret, testRefresh, "tok-1", "tok-2", "1000.CLIENT"} {
			if strings.Contains(all, secret) {
				t.Errorf("%q is printed in %s", secret, all)
			}
		}
		if !strings.Contains(all, "SCOPE_MISMATCH") || !strings.Contains(all, "invalid_client") {
			t.Errorf("the codes are missing in %s", all)
		}
	})
}
