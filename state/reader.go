package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// One request fetches up to this many messages or bytes (and at least one message).
	batchMessages = 256
	batchBytes    = 2 << 20
	// batchTimeout bounds one request: its answer can be lost with the connection.
	batchTimeout = 5 * time.Second
	// The news of a message can be lost with the connection too, so a waiting reader looks by itself now and then; and it
	// can come from the leader before the replica that answers has the message, so after news an empty answer is asked
	// again soon.
	lookEvery = time.Second
	lookAgain = 10 * time.Millisecond
)

// Reader walks a log in order and then follows it. It holds nothing at the server: every request is a JetStream direct
// get of a batch from the next sequence on (NATS ADR-31), and waiting is a subscription to the headers that the server
// republishes after storing. So a restart of the server or a lost connection needs no repair. For one goroutine.
type Reader struct {
	log    *Log
	next   uint64 // sequence to read from
	buffer []stored

	inbox    string // requests are numbered behind it, so that late answers to an old one are recognised
	requests uint64
	answers  *nats.Subscription

	newsSub *nats.Subscription
	newest  atomic.Uint64 // highest sequence the server told of
	news    chan struct{}
	closed  chan struct{}
	once    sync.Once
}

// stored is a message as it came, unpacked only when it is its turn.
type stored struct {
	seq  uint64
	time time.Time
	data []byte
}

// Read returns a reader that starts with the first message whose sequence is from or later; 0 and 1 are the beginning.
func (l *Log) Read(ctx context.Context, from uint64) (*Reader, error) {
	nc := l.store.nc
	r := &Reader{log: l, next: max(from, 1), inbox: nc.NewInbox(), news: make(chan struct{}, 1), closed: make(chan struct{})}
	var err error
	if r.newsSub, err = nc.Subscribe(l.newsSubject(), r.hear); err == nil {
		r.answers, err = nc.SubscribeSync(r.inbox + ".*")
	}
	if err == nil {
		err = l.store.guard(ctx, nc.FlushWithContext) // the server knows the subscriptions before the first look
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open reader of %s: %w", l.name, err), r.Close())
	}
	return r, nil
}

// hear runs on the connection's goroutine for this subscription.
func (r *Reader) hear(m *nats.Msg) {
	if seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64); err == nil {
		r.newest.Store(max(seq, r.newest.Load()))
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// Next returns the next message, waiting for one until ctx ends; nothing is skipped or lost by giving up. Data belongs to
// the caller. On ErrCorrupt the message has Seq and Time but no Data, and the reader stands behind it. After any other
// error, but ErrClosed, Next may be called again and goes on where it was.
func (r *Reader) Next(ctx context.Context) (Message, error) {
	for len(r.buffer) == 0 {
		if err := r.fill(ctx); err != nil {
			return Message{}, fmt.Errorf("read %s from %d: %w", r.log.name, r.next, err)
		}
		if len(r.buffer) > 0 {
			break
		}
		if err := r.wait(ctx); err != nil {
			return Message{}, err
		}
	}
	s := r.buffer[0]
	r.buffer[0] = stored{}
	r.buffer = r.buffer[1:]
	m := Message{Seq: s.seq, Time: s.time}
	var err error
	if m.Data, err = r.log.store.codec.unpack(s.data); err != nil {
		return m, fmt.Errorf("read %s at %d: %w", r.log.name, s.seq, err)
	}
	return m, nil
}

// Pending returns how many messages were stored, at the moment of the call, behind the last one that Next returned; after
// single messages were deleted out of the middle it may count too many, but never too few. Zero means caught up.
func (r *Reader) Pending(ctx context.Context) (uint64, error) {
	first, last, _, err := r.log.Last(ctx)
	if err != nil {
		return 0, err
	}
	position := r.next
	if len(r.buffer) > 0 {
		position = r.buffer[0].seq
	}
	if position = max(position, first); position > last {
		return 0, nil
	}
	return last - position + 1, nil
}

// Close ends the subscriptions; a Next that waits returns ErrClosed. Idempotent.
func (r *Reader) Close() error {
	var err error
	r.once.Do(func() {
		close(r.closed)
		for _, sub := range []*nats.Subscription{r.newsSub, r.answers} {
			if sub == nil {
				continue
			}
			if e := sub.Unsubscribe(); e != nil && !errors.Is(e, nats.ErrConnectionClosed) && !errors.Is(e, nats.ErrBadSubscription) {
				err = errors.Join(err, e)
			}
		}
	})
	return err
}

// wait returns nil when it is worth looking again.
func (r *Reader) wait(ctx context.Context) error {
	clock := r.log.store.cfg.Clock
	pause := lookEvery
	if r.newest.Load() >= r.next {
		pause = lookAgain
	}
	timer := clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.closed:
		return ErrClosed
	case <-r.log.store.closing:
		return ErrClosed
	case <-r.news:
	case <-timer.Chan():
	}
	return nil
}

// fill asks for one batch and takes what comes; an empty buffer afterwards means that there is nothing.
func (r *Reader) fill(ctx context.Context) error {
	select {
	case <-r.closed:
		return ErrClosed
	default:
	}
	bounded, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	err := r.log.store.guard(bounded, func(ctx context.Context) error {
		reply, err := r.request()
		if err != nil {
			return err
		}
		return r.receive(ctx, reply)
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil { // not the caller's deadline
		return fmt.Errorf("%w: no answer within %s", ErrUnavailable, batchTimeout)
	}
	return err
}

func (r *Reader) request() (reply string, err error) {
	body, err := json.Marshal(struct {
		Seq      uint64 `json:"seq"`
		Batch    int    `json:"batch"`
		MaxBytes int    `json:"max_bytes"`
	}{r.next, batchMessages, batchBytes})
	if err != nil {
		return "", err
	}
	r.requests++
	reply = r.inbox + "." + strconv.FormatUint(r.requests, 10)
	return reply, r.log.store.nc.PublishRequest("$JS.API.DIRECT.GET."+r.log.name, reply, body)
}

// receive collects the answers to one request: messages, then an end mark.
func (r *Reader) receive(ctx context.Context, reply string) error {
	for {
		m, err := r.answers.NextMsgWithContext(ctx)
		if err != nil {
			if len(r.buffer) > 0 { // enough to go on with
				return nil
			}
			return err
		}
		if m.Subject != reply {
			continue
		}
		switch status := m.Header.Get("Status"); status {
		case "":
			if err := r.take(m); err != nil {
				return err
			}
		case "204", "404": // end of batch; no message from this sequence on
			return nil
		case "503":
			return nats.ErrNoResponders
		default:
			return fmt.Errorf("direct get: status %s: %s", status, m.Header.Get("Description"))
		}
	}
}

func (r *Reader) take(m *nats.Msg) error {
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return fmt.Errorf("direct get: sequence: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return fmt.Errorf("direct get: time: %w", err)
	}
	if seq < r.next {
		return fmt.Errorf("direct get: sequence %d after asking for %d", seq, r.next)
	}
	r.buffer = append(r.buffer, stored{seq: seq, time: at.UTC(), data: m.Data})
	r.next = seq + 1
	return nil
}
