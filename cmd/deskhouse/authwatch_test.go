package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source/zohodesk"
)

func TestAuthorisedAnew(t *testing.T) {
	first, second := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2026, 2, 2, 3, 4, 5, 0, time.UTC)
	connected := func(at time.Time) zohodesk.Authorisation {
		return zohodesk.Authorisation{State: zohodesk.StateConnected, ObtainedAt: at}
	}
	for _, c := range []struct {
		name      string
		last, now zohodesk.Authorisation
		want      bool
	}{
		{"the first look", zohodesk.Authorisation{}, connected(first), false},
		{"nothing changed", connected(first), connected(first), false},
		{"the first use of the configuration's token", connected(time.Time{}), connected(first), false},
		{"another grant", connected(first), connected(second), true},
		{"it was revoked", zohodesk.Authorisation{State: zohodesk.StateRevoked, ObtainedAt: first}, connected(first), true},
		{"it had none", zohodesk.Authorisation{State: zohodesk.StateNeeds}, connected(first), true},
	} {
		if got := anew(c.last, c.now); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// What runs only now and then starts over as often as the authorisation comes
// back, and ends with its own error or the context.
func TestRunsAnewWhenAuthorisedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthorised()
		ctx, stop := context.WithCancel(t.Context())
		starts, ended := 0, make(chan error, 1)
		go func() {
			ended <- a.anew(ctx, func(ctx context.Context) error {
				starts++
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		for want := 1; want <= 3; want++ {
			synctest.Wait()
			if starts != want {
				t.Fatalf("%d starts, want %d", starts, want)
			}
			a.tell()
		}
		synctest.Wait()
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		broken := errors.New("broken")
		if err := a.anew(t.Context(), func(context.Context) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("ended with %v", err)
		}
		if err := a.anew(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}
