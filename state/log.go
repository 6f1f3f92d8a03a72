package state

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Log is one pipeline's event log, or its dead letters: groups of bytes in the order of their sequences. Nothing in it
// ever expires; only Purge and Delete remove. Safe for concurrent use.
type Log struct {
	store   *Store
	stream  jetstream.Stream
	name    string // of the stream
	subject string
}

// Message is one group as it was appended. Seq grows strictly but not always by one. Time is the server's, UTC.
type Message struct {
	Seq  uint64
	Time time.Time
	Data []byte
}

// Log returns the event log of a pipeline, stream EV_<pipeline>, making it if there is none. Idempotent.
func (s *Store) Log(ctx context.Context, pipeline string) (*Log, error) {
	return s.openLog(ctx, "EV_", pipeline, s.cfg.MaxLogBytes)
}

// DeadLetters returns what a pipeline could not decode or place, stream DL_<pipeline>, making it if there is none. It may
// hold a quarter of MaxLogBytes.
func (s *Store) DeadLetters(ctx context.Context, pipeline string) (*Log, error) {
	return s.openLog(ctx, "DL_", pipeline, max(s.cfg.MaxLogBytes/deadLetterShare, 1))
}

// openLog: the server republishes the header of every stored message to another subject, which is how readers learn of
// news without asking (see Reader).
func (s *Store) openLog(ctx context.Context, prefix, pipeline string, maxBytes int64) (*Log, error) {
	if err := checkPipeline(pipeline); err != nil {
		return nil, err
	}
	l := &Log{store: s, name: prefix + pipeline, subject: "deskhouse.log." + prefix + pipeline}
	stream, err := s.ensureStream(ctx, jetstream.StreamConfig{
		Name:        l.name,
		Subjects:    []string{l.subject},
		MaxBytes:    maxBytes,
		Discard:     jetstream.DiscardNew,
		AllowDirect: true,
		RePublish:   &jetstream.RePublish{Source: l.subject, Destination: l.newsSubject(), HeadersOnly: true},
	})
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l.stream = stream
	return l, nil
}

func (l *Log) newsSubject() string { return "deskhouse.stored." + l.name }

// MaxGroupBytes is the largest group Append takes, before compression.
func (l *Log) MaxGroupBytes() int { return l.store.maxPayload() }

// Append stores one group, compressed, and returns its sequence once it is on disk. Concurrent calls share the
// connection, so their messages are in flight together, but embedded the server syncs the file once a message: gather
// what arrives together into one group. ErrFull: nothing was stored, the log is at its limit or the disk at its reserve;
// or the disk ran full during the write, and the outcome is unknown. ErrUnavailable and other errors: outcome unknown.
// ErrTooLarge: split the group. Never blocks longer than ctx, nor than 5 s without a deadline.
func (l *Log) Append(ctx context.Context, group []byte) (uint64, error) {
	if limit := l.MaxGroupBytes(); len(group) > limit {
		return 0, fmt.Errorf("append to %s: %d bytes, limit %d: %w", l.name, len(group), limit, ErrTooLarge)
	}
	if err := l.store.checkReserve(); err != nil {
		return 0, fmt.Errorf("append to %s: %w", l.name, err)
	}
	packed := l.store.codec.pack(group)
	var ack *jetstream.PubAck
	err := l.store.guard(ctx, func(ctx context.Context) (err error) {
		ack, err = l.store.js.Publish(ctx, l.subject, packed)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("append to %s: %w", l.name, err)
	}
	return ack.Sequence, nil
}

// checkReserve keeps the last part of the disk for checkpoints.
func (s *Store) checkReserve() error {
	if s.server == nil || s.cfg.ReserveBytes == 0 {
		return nil
	}
	free, err := freeBytes(s.cfg.Dir)
	if err != nil {
		return err
	}
	if free < s.cfg.ReserveBytes {
		return fmt.Errorf("%w: %d bytes of disk free, %d are reserved for checkpoints", ErrFull, free, s.cfg.ReserveBytes)
	}
	return nil
}

// Last returns the first and last sequences and the bytes held on disk. An empty log has first = last + 1.
func (l *Log) Last(ctx context.Context) (first, last, bytes uint64, err error) {
	var info *jetstream.StreamInfo
	err = l.store.guard(ctx, func(ctx context.Context) (err error) {
		info, err = l.stream.Info(ctx)
		return err
	})
	if err != nil {
		return 0, 0, 0, fmt.Errorf("ask for size of %s: %w", l.name, err)
	}
	st := info.State
	if st.Msgs == 0 {
		return st.LastSeq + 1, st.LastSeq, 0, nil
	}
	return st.FirstSeq, st.LastSeq, st.Bytes, nil
}

// Get returns one message by its sequence, or ErrNotFound. With ErrCorrupt the message has its Seq and Time.
func (l *Log) Get(ctx context.Context, seq uint64) (Message, error) {
	var raw *jetstream.RawStreamMsg
	err := l.store.guard(ctx, func(ctx context.Context) (err error) {
		raw, err = l.stream.GetMsg(ctx, seq)
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return Message{}, fmt.Errorf("read %s at %d: %w", l.name, seq, err)
	}
	m := Message{Seq: raw.Sequence, Time: raw.Time.UTC()}
	if m.Data, err = l.store.codec.unpack(raw.Data); err != nil {
		return m, fmt.Errorf("read %s at %d: %w", l.name, seq, err)
	}
	return m, nil
}

// Before returns the last sequence stored before t, by the server's clock, or 0: what a janitor may give to Purge when it
// keeps everything since t. It searches by halves, so it takes some 20 reads of a log of a million messages.
func (l *Log) Before(ctx context.Context, t time.Time) (uint64, error) {
	first, last, _, err := l.Last(ctx)
	if err != nil || last < first {
		return 0, err
	}
	var failed error
	n := sort.Search(int(last-first+1), func(i int) bool {
		if failed != nil {
			return true
		}
		m, err := l.Get(ctx, first+uint64(i))
		switch {
		case errors.Is(err, ErrNotFound): // purged or deleted meanwhile: older than what is left
			return false
		case err != nil && !errors.Is(err, ErrCorrupt):
			failed = err
			return true
		}
		return !m.Time.Before(t)
	})
	if failed != nil || n == 0 {
		return 0, failed
	}
	return first + uint64(n) - 1, nil
}

// Purge removes every message up to and including sequence upTo, for the janitor. Idempotent.
func (l *Log) Purge(ctx context.Context, upTo uint64) error {
	_, last, _, err := l.Last(ctx)
	if err != nil {
		return err
	}
	// A purge beyond the end would move the numbering ahead, and a zero would purge everything.
	if upTo = min(upTo, last); upTo == 0 {
		return nil
	}
	err = l.store.guard(ctx, func(ctx context.Context) error {
		return l.stream.Purge(ctx, jetstream.WithPurgeSequence(upTo+1))
	})
	if err != nil {
		return fmt.Errorf("purge %s up to %d: %w", l.name, upTo, err)
	}
	return nil
}

// Delete removes one message, such as a dead letter that was dealt with. A message that is gone is no error.
func (l *Log) Delete(ctx context.Context, seq uint64) error {
	err := l.store.guard(ctx, func(ctx context.Context) error { return l.stream.DeleteMsg(ctx, seq) })
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // the client library keeps only the text of the reason
		if _, gone := l.Get(ctx, seq); errors.Is(gone, ErrNotFound) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("delete %s at %d: %w", l.name, seq, err)
	}
	return nil
}
