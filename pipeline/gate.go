package pipeline

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// turn is a lock whose waiters give up when their context ends.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// byteGate bounds the bytes in a queue. One item larger than the whole gate
// passes alone rather than never.
type byteGate struct {
	limit int64
	sem   *semaphore.Weighted
}

func newByteGate(limit int64) *byteGate {
	return &byteGate{limit: limit, sem: semaphore.NewWeighted(limit)}
}

func (g *byteGate) acquire(ctx context.Context, n int) error {
	return g.sem.Acquire(ctx, min(int64(n), g.limit))
}

func (g *byteGate) release(n int) { g.sem.Release(min(int64(n), g.limit)) }
