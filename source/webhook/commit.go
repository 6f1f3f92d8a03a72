package webhook

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// batch is what one delivery adds to the log: its events, encoded, waiting for one answer.
type batch struct {
	records []byte
	ends    []int      // where each record ends in records
	done    chan error // receives once, never blocks
	// abandoned is set when nobody waits any more; what is not yet on its way to the log is dropped then, because the
	// sender was told so, and because memory is bounded by what is waited for.
	abandoned atomic.Bool
}

func newBatch() *batch { return &batch{done: make(chan error, 1)} }

// add appends the record of e unless it is larger than most bytes.
func (b *batch) add(e Event, most int) bool {
	start := len(b.records)
	b.records = appendRecord(b.records, e)
	if len(b.records)-start > most {
		b.records = b.records[:start]
		return false
	}
	b.ends = append(b.ends, len(b.records))
	return true
}

// parts cuts the records at their borders into groups of at most most bytes.
func (b *batch) parts(most int) [][]byte {
	var parts [][]byte
	start, end := 0, 0
	for _, next := range b.ends {
		if next-start > most && end > start {
			parts = append(parts, b.records[start:end])
			start = end
		}
		end = next
	}
	return append(parts, b.records[start:end])
}

var errStopped = errors.New("the intake is stopping")

// committer turns the batches of one pipeline that arrive together into one append. While an append runs, the next
// group gathers; a batch that finds nothing running is appended at once.
type committer struct {
	log     atomic.Pointer[Log] // replaced together with the route
	clock   clockwork.Clock
	timeout time.Duration
	logger  zerolog.Logger
	seconds prometheus.Observer
	wake    chan struct{} // capacity 1: something waits

	mu      sync.Mutex // guards the two below
	waiting []*batch
	stopped bool
}

// submit hands b over; the answer comes through b.done.
func (c *committer) submit(b *batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		b.done <- errStopped
		return
	}
	c.waiting = append(c.waiting, b)
	select {
	case c.wake <- struct{}{}:
	default: // it is awake already
	}
}

// run appends until ctx ends; then it stores what still waits, for at most timeout, and refuses what comes later.
func (c *committer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			c.stop()
			c.commitAll(ctx)
			return
		case <-c.wake:
			c.commitAll(ctx)
		}
	}
}

func (c *committer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}

// commitAll appends until nothing waits. The end of ctx cuts no append off, since those who wait for it deserve their
// answer; each has a timeout of its own.
func (c *committer) commitAll(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for {
		log := *c.log.Load()
		most := log.MaxGroupBytes() - 1 // the format's byte
		batches := c.take(most)
		if len(batches) == 0 {
			return
		}
		err := c.appendBatches(ctx, log, batches, most)
		for _, b := range batches {
			b.done <- err
		}
		if err != nil {
			c.logger.Error().Err(err).Int("deliveries", len(batches)).Msg("webhook events not stored")
		}
	}
}

// take removes as many batches as fit into one group, at least one if any waits.
func (c *committer) take(most int) []*batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	var taken []*batch
	size, n := 0, 0
	for _, b := range c.waiting {
		if b.abandoned.Load() {
			n++
			continue
		}
		if len(taken) > 0 && size+len(b.records) > most {
			break
		}
		taken, size = append(taken, b), size+len(b.records)
		n++
	}
	left := copy(c.waiting, c.waiting[n:])
	clear(c.waiting[left:])
	c.waiting = c.waiting[:left]
	return taken
}

// appendBatches makes one group of batches, or several of a single batch that is too large for one.
func (c *committer) appendBatches(ctx context.Context, log Log, batches []*batch, most int) error {
	if len(batches) == 1 {
		for _, part := range batches[0].parts(most) {
			if err := c.append(ctx, log, part); err != nil {
				return err
			}
		}
		return nil
	}
	parts := make([][]byte, len(batches))
	for i, b := range batches {
		parts[i] = b.records
	}
	return c.append(ctx, log, parts...)
}

// append stores one group made of records.
func (c *committer) append(ctx context.Context, log Log, records ...[]byte) error {
	size := 1
	for _, r := range records {
		size += len(r)
	}
	group := append(make([]byte, 0, size), groupFormat)
	for _, r := range records {
		group = append(group, r...)
	}
	ctx, cancel := clockwork.WithTimeout(ctx, c.clock, c.timeout)
	defer cancel()
	start := c.clock.Now()
	_, err := log.Append(ctx, group)
	c.seconds.Observe(c.clock.Since(start).Seconds())
	return err
}
