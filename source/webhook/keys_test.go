package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/lestrrat-go/jwx/v3/jwa"
)

// wantRequests holds the number of fetches so far.
func (s *jwksServer) wantRequests(t *testing.T, want int64) {
	t.Helper()
	if got := s.requests.Load(); got != want {
		t.Errorf("%d fetches of the keys, want %d", got, want)
	}
}

func TestKeysAreFetchedOnceAndKept(t *testing.T) {
	clock := clockwork.NewFakeClockAt(now)
	jwks := newJWKS(t, "k1")
	keys := NewKeys(jwks.URL, nil, clock)
	for range 3 {
		if key, err := keys.Key(t.Context(), "k1"); err != nil || !key.Equal(rsaKeys()[0].Public()) {
			t.Fatal(key, err)
		}
	}
	jwks.wantRequests(t, 1)

	// A key rotated in is fetched when it is first seen, also just after a fetch; but after a few such fetches only every ten
	// seconds.
	jwks.publish(t, "k1", "k2")
	if key, err := keys.Key(t.Context(), "k2"); err != nil || !key.Equal(rsaKeys()[1].Public()) {
		t.Errorf("at once: %v, %v", key, err)
	}
	jwks.wantRequests(t, 2)
	_, _ = keys.Key(t.Context(), "invented")
	jwks.publish(t, "k1", "k3")
	if _, err := keys.Key(t.Context(), "k3"); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("the fourth within ten seconds: %v", err)
	}
	jwks.wantRequests(t, 3)
	clock.Advance(refetchEvery)
	if _, err := keys.Key(t.Context(), "k3"); err != nil {
		t.Errorf("after ten seconds: %v", err)
	}
	jwks.wantRequests(t, 4)

	// A key taken away is not trusted for more than an hour.
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- keys.Run(ctx) }()
	jwks.publish(t, "other")
	if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	jwks.served = make(chan struct{}, 1)
	clock.Advance(refreshEvery)
	<-jwks.served
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) { // the refresh is over
		t.Error(err)
	}
	if _, err := keys.Key(t.Context(), "k1"); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("withdrawn key: %v", err)
	}
	jwks.wantRequests(t, 6) // the last of them looked for k1
}

// TestNobodyWaitsForKeysThatAreHeld: while a fetch hangs, and while others wait for it, held keys are given out at once, and
// whoever waits gives up with its context.
func TestNobodyWaitsForKeysThatAreHeld(t *testing.T) {
	clock := clockwork.NewFakeClockAt(now)
	jwks := newJWKS(t, "k1")
	keys := NewKeys(jwks.URL, nil, clock)
	if _, err := keys.Key(t.Context(), "k1"); err != nil {
		t.Fatal(err)
	}
	clock.Advance(refetchEvery)
	jwks.served, jwks.proceed = make(chan struct{}, 1), make(chan struct{})
	jwks.publish(t, "k1", "k2")
	fetched := make(chan error, 1)
	go func() {
		_, err := keys.Key(t.Context(), "k2")
		fetched <- err
	}()
	<-jwks.served // it hangs now
	if _, err := keys.Key(t.Context(), "k1"); err != nil {
		t.Errorf("held key during a fetch: %v", err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := keys.Key(impatient, "k2"); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a turn: %v", err)
	}
	close(jwks.proceed)
	if err := <-fetched; err != nil {
		t.Errorf("the key that was fetched: %v", err)
	}
	jwks.wantRequests(t, 2)
}

// TestInventedKeyIDsCauseFewFetches: ten thousand of them in ten seconds cause three.
func TestInventedKeyIDsCauseFewFetches(t *testing.T) {
	clock := clockwork.NewFakeClockAt(now)
	jwks := newJWKS(t, "k1")
	keys := NewKeys(jwks.URL, nil, clock)
	for i := range 10_000 {
		if _, err := keys.Key(t.Context(), fmt.Sprint("invented ", i)); !errors.Is(err, ErrUnknownKey) {
			t.Fatal(err)
		}
	}
	jwks.wantRequests(t, refetchBurst)
}

func TestKeysOutliveAnOutage(t *testing.T) {
	clock := clockwork.NewFakeClockAt(now)
	jwks := newJWKS(t, "k1")
	keys := NewKeys(jwks.URL, nil, clock)
	if _, err := keys.Key(t.Context(), "k1"); err != nil {
		t.Fatal(err)
	}
	jwks.broken.Store(true)
	clock.Advance(refetchEvery)
	if err := keys.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Key(t.Context(), "k1"); err != nil {
		t.Errorf("held key: %v", err)
	}
	if _, err := keys.Key(t.Context(), "k2"); err == nil || errors.Is(err, ErrUnknownKey) {
		t.Errorf("a key that cannot be looked up: %v", err)
	}
	jwks.wantRequests(t, 2)
}

func TestUnusableKeySets(t *testing.T) {
	for name, body := range map[string]string{
		"HTML": "<html>", "empty": `{"keys":[]}`, "symmetric": `{"keys":[{"kty":"oct","kid":"k1","k":"c2VjcmV0"}]}`,
		"for encryption": `{"keys":[{"kty":"RSA","kid":"k1","use":"enc","n":"AQAB","e":"AQAB"}]}`,
		"without id":     `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`,
	} {
		if keys, err := parseKeys([]byte(body)); err == nil {
			t.Errorf("%s: %d keys", name, len(keys))
		}
	}
}

// TestKeysDown: when the keys cannot be fetched it is not the sender's fault, so 503 where a token is required; where not, it is
// taken like one without a token.
func TestKeysDown(t *testing.T) {
	for mode, want := range map[mode]struct{ status, events int }{ifPresent: {http.StatusOK, 2}, required: {http.StatusServiceUnavailable, 1}} {
		f := start(t, func(f *fixture, _ *Config, r *Route) {
			mode.of(r)
			f.jwks.broken.Store(true)
		})
		token := goodToken().sign(t)
		if got := f.post(token, ticketAdd); got != want.status {
			t.Errorf("%s: status %d", mode, got)
		}
		f.jwks.broken.Store(false)
		f.clock.Advance(refetchEvery)
		if got := f.post(token, ticketAdd); got != http.StatusOK {
			t.Errorf("%s: status %d once the keys are back", mode, got)
		}
		if events, _ := f.log.events(t); len(events) != want.events {
			t.Errorf("%s: %d events", mode, len(events))
		}
	}
}

// TestKeysAreThereBeforeTheFirstDelivery: an outage later on does no harm.
func TestKeysAreThereBeforeTheFirstDelivery(t *testing.T) {
	clock := clockwork.NewFakeClockAt(now)
	jwks := newJWKS(t, "k1")
	jwks.served = make(chan struct{}, 1)
	keys := NewKeys(jwks.URL, nil, clock)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- keys.Run(ctx) }()
	<-jwks.served
	cancel()
	<-ended
	jwks.broken.Store(true)
	if _, err := keys.Key(t.Context(), "k1"); err != nil {
		t.Error(err)
	}
}

func TestRotatedKeyIsAccepted(t *testing.T) {
	f := start(t, nil)
	if got := f.post(goodToken().sign(t), ticketAdd); got != 200 {
		t.Fatal(got)
	}
	f.jwks.publish(t, "k1", "k2")
	f.clock.Advance(time.Minute)
	rotated := tokenOf{kid: "k2", alg: jwa.RS256(), key: rsaKeys()[1], claims: goodToken().claims}.sign(t)
	for range 2 {
		if got := f.post(rotated, ticketAdd); got != 200 {
			t.Errorf("status %d", got)
		}
	}
	f.jwks.wantRequests(t, 2)
}
