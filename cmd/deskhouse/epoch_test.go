package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/state"
)

func openState(t *testing.T, dir string, clock clockwork.Clock) *state.Store {
	t.Helper()
	s, err := state.Open(t.Context(), state.Config{URL: "embedded", Dir: dir, Key: make([]byte, 32), MaxLogBytes: 1 << 20, Logger: zerolog.Nop(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// lead takes the lease once nobody holds it any more.
func lead(t *testing.T, s *state.Store, clock *clockwork.FakeClock) *leader {
	t.Helper()
	clock.Advance(2 * leaseTTL)
	lease, err := s.AcquireLease(t.Context(), "p", leaseTTL)
	if err != nil {
		t.Fatal(err)
	}
	return &leader{store: s, lease: lease, pipeline: "p"}
}

// fenced takes over tables with a fence and returns the epoch, which is the new
// fence.
func fenced(t *testing.T, l *leader, fence uint64) uint64 {
	t.Helper()
	epoch, err := l.above(t.Context(), fence)
	if err != nil {
		t.Fatal(err)
	}
	if epoch < fence || epoch == fence && l.epoch != fence {
		t.Fatalf("epoch %d does not pass the fence %d", epoch, fence)
	}
	l.epoch = epoch
	return epoch
}

func TestEpochs(t *testing.T) {
	clock := clockwork.NewFakeClockAt(time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC))
	s := openState(t, t.TempDir(), clock)
	first := lead(t, s, clock)
	fence := fenced(t, first, 0)
	if fence != first.lease.Epoch() {
		t.Errorf("epoch %d without any restore, want the lease's revision %d", fence, first.lease.Epoch())
	}
	if again := fenced(t, first, fence); again != fence {
		t.Errorf("a second try of the same leader moved its epoch from %d to %d", fence, again)
	}
	second := lead(t, s, clock)
	fence = fenced(t, second, fence)

	// Tables that an earlier life of the state has fenced: lifted, and so is
	// every leader that follows.
	fence = fenced(t, second, fence+1_000_000)
	third := lead(t, s, clock)
	if epoch := fenced(t, third, fence); epoch != third.lease.Epoch()+(fence-second.lease.Epoch()) {
		t.Errorf("the next leader's epoch %d does not follow from the offset", epoch)
	}
	// The very same epoch is somebody else's until this leader has set it.
	fourth := lead(t, s, clock)
	same := fourth.lease.Epoch() + (fence - second.lease.Epoch())
	if epoch := fenced(t, fourth, same); epoch <= same {
		t.Errorf("epoch %d, want one above the foreign %d", epoch, same)
	}
}

// A leader that was paused while another one took over finds a fence above its
// epoch as well, and must not lift itself over it.
func TestReplacedLeaderIsNotLifted(t *testing.T) {
	clock := clockwork.NewFakeClockAt(time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC))
	s := openState(t, t.TempDir(), clock)
	paused := lead(t, s, clock)
	successor := lead(t, s, clock)
	fence := fenced(t, successor, 0)
	if epoch, err := paused.above(t.Context(), fence); !errors.Is(err, state.ErrLeaseLost) {
		t.Fatalf("epoch %d, %v; want the lease to be lost", epoch, err)
	}
	if _, err := s.Get(context.WithoutCancel(t.Context()), offsetKey("p")); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("an offset was stored: %v", err)
	}
}
