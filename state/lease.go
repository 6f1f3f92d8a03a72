package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
)

const leasePrefix = "lease."

// leaseRecord is the value under lease.<name>. A released lease keeps its key, with an expiry in the past.
type leaseRecord struct {
	Instance string    `json:"instance"` // host:pid:random of the Store that holds it
	Lease    string    `json:"lease"`    // tells two acquisitions by one Store apart
	Expires  time.Time `json:"expires"`
}

func (r leaseRecord) holder() string {
	if i := strings.LastIndexByte(r.Instance, ':'); i > 0 {
		return r.Instance[:i]
	}
	return r.Instance
}

// Lease is the right to be the only one that does something, for as long as it is renewed. Clocks of processes that
// share an external server must agree within a third of the ttl; the epoch protects the warehouse where they do not.
type Lease struct {
	store *Store
	key   string
	ttl   time.Duration
	epoch uint64

	mu       sync.Mutex
	record   leaseRecord
	revision uint64

	lost     chan struct{}
	lostOnce sync.Once
}

// AcquireLease takes the named lease if nobody holds it, without waiting; otherwise *HeldError (ErrHeld). A lease that
// was not renewed for its ttl can be taken over. With an embedded server the lock on the folder proves that every other
// process is dead, so their leases can be taken at once.
func (s *Store) AcquireLease(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	key := leasePrefix + name
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if ttl <= 0 {
		return nil, fmt.Errorf("lease %s: ttl %s is not positive", name, ttl)
	}
	revision, err := s.freeRevision(ctx, name, key)
	if err != nil {
		return nil, err
	}
	l := &Lease{store: s, key: key, ttl: ttl, lost: make(chan struct{})}
	l.record = leaseRecord{Instance: s.instance, Lease: newInstance(), Expires: s.cfg.Clock.Now().Add(ttl).UTC()}
	if l.revision, err = l.put(ctx, l.record, revision); err != nil {
		if errors.Is(err, ErrConflict) { // another one was faster
			err = &HeldError{Name: name, Holder: "another process"}
		}
		return nil, err
	}
	l.epoch = l.revision
	return l, nil
}

// freeRevision returns the revision that a new record must replace, or *HeldError.
func (s *Store) freeRevision(ctx context.Context, name, key string) (uint64, error) {
	e, err := s.get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var held leaseRecord
	if err := json.Unmarshal(e.Value, &held); err != nil {
		return 0, fmt.Errorf("read lease %s: %w: %w", name, ErrCorrupt, err)
	}
	dead := s.server != nil && held.Instance != s.instance
	if !dead && s.cfg.Clock.Now().Before(held.Expires) {
		return 0, &HeldError{Name: name, Holder: held.holder()}
	}
	return e.Revision, nil
}

func (l *Lease) put(ctx context.Context, r leaseRecord, revision uint64) (uint64, error) {
	value, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("encode lease: %w", err)
	}
	return l.store.put(ctx, l.key, value, revision)
}

// Epoch is the revision with which the lease was acquired: strictly larger for each next holder, constant while held.
func (l *Lease) Epoch() uint64 { return l.epoch }

// Lost is closed when Run finds that the lease ran out or was taken over.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Run renews the lease three times a ttl until ctx ends (nil) or the lease is lost (ErrLeaseLost, and Lost is closed).
// Errors of single renewals are tolerated while the lease lasts, with an embedded server for any time. It does not release.
func (l *Lease) Run(ctx context.Context) error {
	clock := l.store.cfg.Clock
	ticker := clock.NewTicker(l.ttl / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.Chan():
		}
		err := l.renew(ctx, clock)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, ErrLeaseLost) {
			l.lostOnce.Do(func() { close(l.lost) })
			return err
		}
		if err != nil {
			l.store.cfg.Logger.Warn().Err(err).Str("lease", l.key).Msg("lease renewal failed, trying again")
		}
	}
}

// Check renews the lease now. ErrLeaseLost: somebody else has it, or it ran out; another error leaves that open.
func (l *Lease) Check(ctx context.Context) error { return l.renew(ctx, l.store.cfg.Clock) }

// renew extends the record. A conflict may be our own earlier write whose answer was lost: that record is ours by its
// Lease, and is renewed once more. With an embedded server nobody else can take what ran out, because this process holds
// the folder: a disk that stays full, or a pause, is waited out.
func (l *Lease) renew(ctx context.Context, clock clockwork.Clock) error {
	ctx, cancel := context.WithTimeout(ctx, l.ttl/3)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.extend(ctx, clock)
	if errors.Is(err, ErrConflict) {
		if err = l.adopt(ctx); err == nil {
			err = l.extend(ctx, clock)
		}
	}
	if err != nil && !errors.Is(err, ErrLeaseLost) && l.store.server == nil && !clock.Now().Before(l.record.Expires) {
		return fmt.Errorf("%s: %w: ran out at %s: %w", l.key, ErrLeaseLost, l.record.Expires.Format(time.RFC3339), err)
	}
	return err
}

func (l *Lease) extend(ctx context.Context, clock clockwork.Clock) error {
	next := l.record
	next.Expires = clock.Now().Add(l.ttl).UTC()
	revision, err := l.put(ctx, next, l.revision)
	if err == nil {
		l.record, l.revision = next, revision
	}
	return err
}

// adopt reads the record back after a conflict: ErrLeaseLost unless it is this lease's.
func (l *Lease) adopt(ctx context.Context) error {
	e, err := l.store.get(ctx, l.key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	var now leaseRecord
	if err == nil {
		err = json.Unmarshal(e.Value, &now)
	}
	if err != nil || now.Lease != l.record.Lease {
		return fmt.Errorf("%s: %w: taken over", l.key, ErrLeaseLost)
	}
	l.record, l.revision = now, e.Revision
	return nil
}

// Release lets the next one acquire at once. A lease that is no longer ours is left alone, without an error. Call it when
// Run has returned and everything the lease protected has stopped.
func (l *Lease) Release(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	gone := l.record
	gone.Expires = time.Unix(0, 0).UTC()
	_, err := l.put(ctx, gone, l.revision)
	if errors.Is(err, ErrConflict) {
		if err = l.adopt(ctx); err == nil {
			_, err = l.put(ctx, gone, l.revision)
		}
	}
	if err != nil && !errors.Is(err, ErrLeaseLost) && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("release %s: %w", l.key, err)
	}
	return nil
}
