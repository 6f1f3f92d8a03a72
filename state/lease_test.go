package state

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
)

func mustAcquire(t *testing.T, s *Store, ttl time.Duration) *Lease {
	t.Helper()
	l, err := s.AcquireLease(testContext(t), "p", ttl)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return l
}

func leaseExclusive(t *testing.T, cfg Config) {
	s := openStore(t, cfg)
	mustAcquire(t, s, time.Minute)
	_, err := s.AcquireLease(testContext(t), "p", time.Minute)
	var held *HeldError
	if !errors.Is(err, ErrHeld) || !errors.As(err, &held) || held.Name != "p" || held.Holder == "" {
		t.Fatalf("second acquire: %v", err)
	}
	if _, err := s.AcquireLease(testContext(t), "q", time.Minute); err != nil {
		t.Fatalf("another name: %v", err)
	}
}

func leaseReleased(t *testing.T, cfg Config) {
	s := openStore(t, cfg)
	first := mustAcquire(t, s, time.Minute)
	if err := first.Release(testContext(t)); err != nil {
		t.Fatal(err)
	}
	second := mustAcquire(t, s, time.Minute)
	if second.Epoch() <= first.Epoch() {
		t.Errorf("epoch %d after %d", second.Epoch(), first.Epoch())
	}
	if err := first.Release(testContext(t)); err != nil { // late, and must not touch the second
		t.Fatal(err)
	}
	if _, err := s.AcquireLease(testContext(t), "p", time.Minute); !errors.Is(err, ErrHeld) {
		t.Fatalf("acquire after a late release: %v", err)
	}
}

// twoReplicas share an external server and a clock that the test turns.
func twoReplicas(t *testing.T) (*Store, *Store, *clockwork.FakeClock) {
	cfg := externalConfig(t)
	clock := fakeClock()
	cfg.Clock = clock
	return openStore(t, cfg), openStore(t, cfg), clock
}

// runLease runs renewals until the test ends or the lease is lost.
func runLease(t *testing.T, l *Lease) chan error {
	ctx, cancel := context.WithCancel(testContext(t))
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(cancel)
	return done
}

func TestLeaseExpiresAndIsTakenOver(t *testing.T) {
	a, b, clock := twoReplicas(t)
	first := mustAcquire(t, a, 30*time.Second)
	clock.Advance(29 * time.Second)
	if _, err := b.AcquireLease(testContext(t), "p", 30*time.Second); !errors.Is(err, ErrHeld) {
		t.Fatalf("before it ran out: %v", err)
	}
	clock.Advance(2 * time.Second)
	second := mustAcquire(t, b, 30*time.Second)
	if second.Epoch() <= first.Epoch() {
		t.Errorf("epoch %d after %d", second.Epoch(), first.Epoch())
	}
	done := runLease(t, first)
	if err := clock.BlockUntilContext(testContext(t), 1); err != nil {
		t.Fatal(err)
	}
	clock.Advance(10 * time.Second)
	if err := <-done; !errors.Is(err, ErrLeaseLost) {
		t.Fatalf("the old holder's run: %v", err)
	}
	<-first.Lost()
}

func TestLeaseIsKeptByRenewal(t *testing.T) {
	a, b, clock := twoReplicas(t)
	l := mustAcquire(t, a, 30*time.Second)
	epoch := l.Epoch()
	done := runLease(t, l)
	for range 12 { // two minutes, four times the ttl
		if err := clock.BlockUntilContext(testContext(t), 1); err != nil {
			t.Fatal(err)
		}
		before := leaseRevision(t, b)
		clock.Advance(10 * time.Second)
		for leaseRevision(t, b) == before { // until the renewal of this tick arrived
			select {
			case err := <-done:
				t.Fatalf("run ended: %v", err)
			default:
			}
		}
		if _, err := b.AcquireLease(testContext(t), "p", 30*time.Second); !errors.Is(err, ErrHeld) {
			t.Fatalf("while renewed: %v", err)
		}
	}
	if l.Epoch() != epoch {
		t.Errorf("epoch moved from %d to %d", epoch, l.Epoch())
	}
}

func leaseRevision(t *testing.T, s *Store) uint64 {
	t.Helper()
	e, err := s.Get(testContext(t), leasePrefix+"p")
	if err != nil {
		t.Fatal(err)
	}
	return e.Revision
}

// A renewal whose answer was lost has moved the revision; the next one must recognise its own record.
func TestLeaseSurvivesALostAnswer(t *testing.T) {
	a, _, _ := twoReplicas(t)
	l := mustAcquire(t, a, 30*time.Second)
	if _, err := l.put(testContext(t), l.record, l.revision); err != nil {
		t.Fatal(err)
	}
	if err := l.renew(testContext(t), a.cfg.Clock); err != nil {
		t.Fatalf("renew: %v", err)
	}
	if l.revision != leaseRevision(t, a) {
		t.Error("the lease does not know its revision")
	}
}

func TestLeaseIsLostWhenTheServerIsGoneForLonger(t *testing.T) {
	a, _, clock := twoReplicas(t)
	l := mustAcquire(t, a, 30*time.Second)
	a.nc.Close()
	if err := l.renew(testContext(t), clock); err == nil || errors.Is(err, ErrLeaseLost) {
		t.Fatalf("while it lasts: %v", err)
	}
	clock.Advance(31 * time.Second)
	if err := l.renew(testContext(t), clock); !errors.Is(err, ErrLeaseLost) {
		t.Fatalf("after it ran out: %v", err)
	}
}

// A disk that is full for longer than the ttl must not end the one process that holds the folder.
func TestEmbeddedLeaseOutlastsABrokenServer(t *testing.T) {
	cfg := embeddedConfig(t)
	clock := clockwork.NewFakeClock()
	cfg.Clock = clock
	s := openStore(t, cfg)
	l := mustAcquire(t, s, 30*time.Second)
	s.nc.Close()
	clock.Advance(time.Hour)
	if err := l.renew(testContext(t), clock); err == nil || errors.Is(err, ErrLeaseLost) {
		t.Fatalf("after the ttl: %v", err)
	}
}

// With an embedded server the folder's lock proves that the process before is dead.
func TestEmbeddedLeaseOfADeadProcessIsTakenAtOnce(t *testing.T) {
	cfg := embeddedConfig(t)
	s := openStore(t, cfg)
	first := mustAcquire(t, s, time.Hour)
	if err := s.Close(); err != nil { // without a release
		t.Fatal(err)
	}
	second := mustAcquire(t, openStore(t, cfg), time.Hour)
	if second.Epoch() <= first.Epoch() {
		t.Errorf("epoch %d after %d", second.Epoch(), first.Epoch())
	}
}

func TestCheckTellsWhetherTheLeaseIsHeld(t *testing.T) {
	a, b, clock := twoReplicas(t)
	first := mustAcquire(t, a, time.Minute)
	clock.Advance(45 * time.Second)
	if err := first.Check(testContext(t)); err != nil {
		t.Fatalf("check of a lease that is held: %v", err)
	}
	clock.Advance(45 * time.Second) // beyond the first minute: the check has renewed it
	if _, err := b.AcquireLease(testContext(t), "p", time.Minute); !errors.Is(err, ErrHeld) {
		t.Fatalf("acquire after the check: %v", err)
	}
	clock.Advance(time.Minute)
	mustAcquire(t, b, time.Minute)
	if err := first.Check(testContext(t)); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("check of a lease that was taken over: %v", err)
	}
}
