package state

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// Format is the number of the layout this release writes: bucket and stream names, their settings, the envelope of a
// group, the sealing of secrets. State with a smaller number is migrated, with a larger one refused.
const Format = 1

const (
	bucketName     = "deskhouse"
	bucketSubjects = "$KV." + bucketName + "."
	formatKey      = metaPrefix + "format"
)

// maxRevisions a key: each write removes the older ones (see write), so one is left, or two after a kill. It only has to
// be more than that.
const maxRevisions = 16

// openBucket makes or adopts the key-value bucket, a JetStream stream (NATS ADR-8). It is made by hand and not by the
// client library because of settings the library does not offer: reads always go to the leader (AllowDirect off), so
// that a replica that lags cannot answer; and sequences start at the present time in milliseconds (see the package
// comment).
func (s *Store) openBucket(ctx context.Context) error {
	stream, err := s.ensureStream(ctx, jetstream.StreamConfig{
		Name:              "KV_" + bucketName,
		Subjects:          []string{bucketSubjects + ">"},
		MaxMsgsPerSubject: maxRevisions,
		Discard:           jetstream.DiscardNew,
		DenyDelete:        true,
		AllowRollup:       true,
	})
	if err != nil {
		return fmt.Errorf("open keys: %w", err)
	}
	s.kvStream = stream
	if s.kv, err = s.js.KeyValue(ctx, bucketName); err != nil {
		return fmt.Errorf("open keys: %w", err)
	}
	return nil
}

// ensureStream makes the stream, or adopts one that is there and brings its size limit to the configured one. Lowering
// the limit below what is held drops nothing: with DiscardNew it only refuses what comes.
func (s *Store) ensureStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	var stream jetstream.Stream
	err := s.guard(ctx, func(ctx context.Context) (err error) {
		stream, err = s.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			want.Storage, want.Replicas = jetstream.FileStorage, s.cfg.Replicas
			want.FirstSeq = uint64(s.cfg.Clock.Now().UnixMilli())
			stream, err = s.js.CreateStream(ctx, want)
		}
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another replica made it meanwhile
			stream, err = s.js.Stream(ctx, want.Name)
		}
		if err != nil {
			return err
		}
		have := stream.CachedInfo().Config
		if want.MaxBytes > 0 && have.MaxBytes != want.MaxBytes {
			have.MaxBytes = want.MaxBytes
			stream, err = s.js.UpdateStream(ctx, have)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", want.Name, err)
	}
	if have := stream.CachedInfo().Config; have.Discard != jetstream.DiscardNew || have.MaxAge != 0 {
		return nil, fmt.Errorf("stream %s: exists with settings that may drop messages (discard %v, max age %v): not made by deskhouse?",
			want.Name, have.Discard, have.MaxAge)
	}
	return stream, nil
}

// checkFormat writes the layout's number on first use and compares it afterwards.
func (s *Store) checkFormat(ctx context.Context) error {
	e, err := s.get(ctx, formatKey)
	if errors.Is(err, ErrNotFound) {
		_, err = s.put(ctx, formatKey, []byte(strconv.Itoa(Format)), 0)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		e, err = s.get(ctx, formatKey) // another process was first
	}
	if err != nil {
		return err
	}
	return compareFormat(string(e.Value))
}

func compareFormat(have string) error {
	n, err := strconv.Atoi(have)
	if err != nil || n < 1 {
		return fmt.Errorf("state format %q: %w: not a number", have, ErrCorrupt)
	}
	if n > Format {
		return fmt.Errorf("state format %d, this release knows %d: %w", n, Format, ErrNewerFormat)
	}
	return nil
}
