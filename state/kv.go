package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Entry is one key with its value. Revision is what Put wants back; it grows over all keys of a store together.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
}

// Get returns the newest value of key, or ErrNotFound. It reads its own and every acknowledged write.
func (s *Store) Get(ctx context.Context, key string) (Entry, error) {
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	return s.get(ctx, key)
}

func (s *Store) get(ctx context.Context, key string) (Entry, error) {
	var got jetstream.KeyValueEntry
	err := s.guard(ctx, func(ctx context.Context) (err error) {
		got, err = s.kv.Get(ctx, key)
		return err
	})
	if err != nil {
		return Entry{}, fmt.Errorf("read key %s: %w", key, kvError(err))
	}
	return Entry{Key: key, Value: got.Value(), Revision: got.Revision()}, nil
}

// Put writes key if it is at the given revision, 0 meaning that it must not exist, and returns the new one. ErrConflict
// means that it is not; after any other error but ErrFull the write may have happened, and a second try then conflicts.
func (s *Store) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	return s.put(ctx, key, value, revision)
}

func (s *Store) put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return s.write(ctx, key, value, jetstream.WithExpectLastSequencePerSubject(revision))
}

// Set writes key whatever it holds: only for keys with one owner, protected by the lease. Idempotent.
func (s *Store) Set(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	return s.write(ctx, key, value)
}

// write stores the value as a rollup: the server removes the older value with a record of the removal, and then
// acknowledges. A bucket limited to one message a key, the usual way, drops older values without a record, and after a
// kill they come back once the newer one was deleted (nats-server issue 8505). The price is a second sync to disk for a
// key that had a value.
func (s *Store) write(ctx context.Context, key string, value []byte, condition ...jetstream.PublishOpt) (uint64, error) {
	if limit := s.maxPayload(); len(value)+len(key) > limit {
		return 0, fmt.Errorf("write key %s: %d bytes, limit %d: %w", key, len(value), limit, ErrTooLarge)
	}
	var ack *jetstream.PubAck
	err := s.guard(ctx, func(ctx context.Context) (err error) {
		m := nats.NewMsg(bucketSubjects + key)
		m.Data = value
		m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
		ack, err = s.js.PublishMsg(ctx, m, condition...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write key %s: %w", key, kvError(err))
	}
	return ack.Sequence, nil
}

// Delete removes key; a key that does not exist is no error. It leaves no marker behind, so that a queue of millions of
// keys that come and go does not grow: this is a purge of the key's subject, and the removal is on disk when it returns.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	err := s.guard(ctx, func(ctx context.Context) error {
		return s.kvStream.Purge(ctx, jetstream.WithPurgeSubject(bucketSubjects+key))
	})
	if err != nil {
		return fmt.Errorf("delete key %s: %w", key, err)
	}
	return nil
}

// List returns the entries whose key starts with prefix, sorted by key; deleted ones are not among them. An empty prefix
// lists everything but this package's own keys. It is a snapshot taken while others may write: each entry was current at
// some moment of the call.
func (s *Store) List(ctx context.Context, prefix string) ([]Entry, error) {
	found := map[string]Entry{}
	err := s.guard(ctx, func(ctx context.Context) error {
		clear(found)
		return s.collect(ctx, prefix, found)
	})
	if err != nil {
		return nil, fmt.Errorf("list keys %s*: %w", prefix, err)
	}
	entries := make([]Entry, 0, len(found))
	for _, e := range found {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries, nil
}

// collect asks the server for the whole tokens of the prefix and compares the rest here.
func (s *Store) collect(ctx context.Context, prefix string, into map[string]Entry) error {
	filter := prefix[:strings.LastIndexByte(prefix, '.')+1] + ">"
	watch, err := s.kv.Watch(ctx, filter, jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer func() { _ = watch.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, ok := <-watch.Updates():
			if !ok {
				return ErrClosed
			}
			if e == nil { // everything there was has been sent
				return nil
			}
			if strings.HasPrefix(e.Key(), prefix) && !strings.HasPrefix(e.Key(), metaPrefix) {
				into[e.Key()] = Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision()}
			}
		}
	}
}

// kvError turns the server's answers about keys into this package's.
func kvError(err error) error {
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrKeyDeleted) {
		return ErrNotFound
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		return ErrConflict
	}
	return err
}
