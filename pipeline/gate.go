package pipeline

import (
	"context"

	"golang.org/x/sync/semaphore"
)

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
