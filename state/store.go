package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// defaultCallTimeout bounds a call whose context has no deadline: a disk that needs longer for one fsync is broken.
const defaultCallTimeout = 5 * time.Second

// Store is an open state. It is safe for concurrent use. Close it after everything that uses it has stopped.
type Store struct {
	cfg      Config
	instance string // tells this Store from every other one, before and after: the owner of its leases

	folder *folder   // nil with an external server
	server *embedded // nil with an external server
	nc     *nats.Conn
	js     jetstream.JetStream
	codec  *codec

	kv       jetstream.KeyValue
	kvStream jetstream.Stream
	secrets  *secrets // nil without a state key

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

// Open starts the embedded server or connects to an external one, makes the layout if there is none, and checks format
// and key. ErrInUse, ErrNewerFormat and ErrWrongKey say that this process must not go on; the folder is then unchanged.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, instance: newInstance(), closing: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if s.cfg.Key != nil {
		if s.secrets, err = newSecrets(s.cfg.Key); err != nil {
			return err
		}
	}
	if s.codec, err = newCodec(); err != nil {
		return err
	}
	if s.cfg.embedded() {
		if s.folder, err = openFolder(s.cfg.Dir); err != nil {
			return err
		}
		if s.server, err = startEmbedded(s.cfg.Dir, s.cfg.Logger, s.cfg.Clock); err != nil {
			return err
		}
	}
	if err = s.connect(); err != nil {
		return err
	}
	if err = s.openBucket(ctx); err != nil {
		return err
	}
	if err = s.checkFormat(ctx); err != nil {
		return err
	}
	return s.checkKeyFits(ctx)
}

// Close ends the connection and stops the embedded server; everything acknowledged is on disk already. Idempotent.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		if s.nc != nil {
			s.nc.Close()
		}
		if s.server != nil {
			s.server.stop()
		}
		if s.codec != nil {
			s.codec.close()
		}
		if s.folder != nil {
			s.closeErr = s.folder.close()
		}
	})
	return s.closeErr
}

// Healthy returns nil, or why the state cannot be used at this moment: the embedded server is being restarted after a
// write error, or the connection to the external one is down. It costs nothing; for readiness checks.
func (s *Store) Healthy() error {
	if s.server != nil {
		if err := context.Cause(s.server.generation()); err != nil {
			return err
		}
	}
	switch s.nc.Status() {
	case nats.CONNECTED:
		return nil
	case nats.CLOSED:
		return ErrClosed
	}
	return fmt.Errorf("not connected to the state server: %w", ErrUnavailable)
}

// guard runs one exchange with the server. It bounds it in time, ends it as soon as the embedded server is known to be
// broken (that server does not answer a write that failed), and names the cause.
func (s *Store) guard(ctx context.Context, do func(context.Context) error) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultCallTimeout)
		defer cancel()
	}
	if s.server == nil {
		return s.serverError(do(ctx))
	}
	gen := s.server.generation()
	if err := context.Cause(gen); err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(gen, func() { cancel(context.Cause(gen)) })
	defer stop()
	err := do(inner)
	if err != nil && gen.Err() != nil {
		return context.Cause(gen)
	}
	if noAnswer(err) {
		s.server.suspect()
	}
	return s.serverError(err)
}

// noAnswer: the server may be broken without having said so.
func noAnswer(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)
}

// Error codes of nats-server (server/errors.json) that mean "no room". 10077 is sent for a log at its MaxBytes and for a
// message above the limit, which Append has excluded; other store errors are not answered at all.
const (
	codeAccountLimit  jetstream.ErrorCode = 10002
	codeInsufficient  jetstream.ErrorCode = 10023
	codeStorageLimit  jetstream.ErrorCode = 10047
	codeStoreRejected jetstream.ErrorCode = 10077
)

func (s *Store) serverError(err error) error {
	if err == nil {
		return nil
	}
	if s.nc.IsClosed() {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case codeAccountLimit, codeInsufficient, codeStorageLimit, codeStoreRejected:
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	return err
}

// newInstance reads "host:pid:random".
func newInstance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s:%d:%s", host, os.Getpid(), rand.Text())
}
