package state

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

const (
	// maxPayload of the embedded server: nats-server warns above 8 MiB (const.go, MAX_PAYLOAD_MAX_SIZE).
	embeddedMaxPayload = 8 << 20
	// JetStream's memory storage is not used; a limit must be above zero to be taken as one.
	embeddedMaxMemory = 16 << 20
	// Streams have their own limits and the disk its reserve; nats-server's would be 75 % of what is free at start, and
	// would refuse to make streams whose limits add up to more.
	embeddedMaxStore = 1 << 50
	startTimeout     = 30 * time.Second
	// compactInterval is nats-server's SyncInterval. With every write synced it only paces the compaction of files whose
	// messages are mostly deleted: a key made and deleted while nothing else lives in the newest file leaves that file
	// behind until then (seen: 600 files of 2 KB from 3,000 keys that came and went, gone at the next compaction).
	compactInterval = 30 * time.Second
	// A server that breaks again within breakerQuiet of its restart waits longer the next time: the disk is still full.
	restartFirst = 100 * time.Millisecond
	restartLimit = 15 * time.Second
	breakerQuiet = time.Minute
)

// embedded runs nats-server inside this process, without a port, and replaces it when its storage broke: after a failed
// write nats-server refuses that stream until it is restarted (filestore.go, werr), and does not answer the write.
type embedded struct {
	dir   string
	log   zerolog.Logger
	clock clockwork.Clock

	suspects chan struct{} // holds one token when the server should be looked at
	cancel   context.CancelFunc
	done     chan struct{}

	mu      sync.Mutex
	server  *server.Server          // nil while there is none
	gen     context.Context         // of this server; its cause says what broke it
	fail    context.CancelCauseFunc // ends gen
	lastErr error                   // newest error this server logged as a value
}

// startEmbedded returns once the server answers, and watches over it until stop.
func startEmbedded(dir string, log zerolog.Logger, clock clockwork.Clock) (*embedded, error) {
	e := &embedded{dir: dir, log: log, clock: clock, suspects: make(chan struct{}, 1), done: make(chan struct{})}
	if err := e.start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go e.watch(ctx)
	return e, nil
}

func (e *embedded) options() *server.Options {
	return &server.Options{
		ServerName:             "deskhouse",
		DontListen:             true,
		NoSigs:                 true,
		MaxPayload:             embeddedMaxPayload,
		JetStream:              true,
		JetStreamMaxMemory:     embeddedMaxMemory,
		JetStreamMaxStore:      embeddedMaxStore,
		StoreDir:               e.dir,
		SyncAlways:             true,
		SyncInterval:           compactInterval,
		DisableJetStreamBanner: true,
	}
}

// start makes a server and a generation for it.
func (e *embedded) start() error {
	e.mu.Lock()
	e.lastErr = nil
	e.mu.Unlock()
	srv, err := server.NewServer(e.options())
	if err != nil {
		return fmt.Errorf("make state server: %w", err)
	}
	srv.SetLoggerV2(&serverLog{log: e.log, onError: e.noteError}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(startTimeout) || !srv.JetStreamEnabled() {
		err = errors.Join(errors.New("start state server: storage did not come up"), e.takeError())
	} else {
		err = unhealthy(srv) // a stream it could not recover
	}
	if err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = srv
	e.gen, e.fail = context.WithCancelCause(context.Background())
	return nil
}

// InProcessConn makes the client library's connection; it is called again for each reconnect.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	srv := e.server
	e.mu.Unlock()
	if srv == nil {
		return nil, ErrUnavailable
	}
	return srv.InProcessConn()
}

// generation ends, with the cause, when its server is found broken. A broken generation stays until the server is back.
func (e *embedded) generation() context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.gen
}

// suspect asks for a look at the server; it never blocks.
func (e *embedded) suspect() {
	select {
	case e.suspects <- struct{}{}:
	default:
	}
}

// noteError is called by the server, possibly holding its locks: it must not call back.
func (e *embedded) noteError(err error) {
	e.mu.Lock()
	if err != nil {
		e.lastErr = err
	}
	e.mu.Unlock()
	e.suspect()
}

func (e *embedded) takeError() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lastErr
}

// watch restarts a broken server, one restart at a time, however many callers met the error.
func (e *embedded) watch(ctx context.Context) {
	defer close(e.done)
	wait, lastRestart := restartFirst, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.suspects:
		}
		err := unhealthy(e.server) // only this goroutine changes the field
		if err == nil {
			continue
		}
		cause := broken(err, e.takeError())
		e.log.Error().Err(cause).Msg("state storage broke, restarting its server")
		if e.clock.Since(lastRestart) > breakerQuiet {
			wait = restartFirst
		}
		e.retire(cause)
		for {
			select {
			case <-ctx.Done():
				return
			case <-e.clock.After(wait):
			}
			wait = min(2*wait, restartLimit)
			if err = e.start(); err == nil {
				break
			}
			e.log.Error().Err(err).Dur("retry_in", wait).Msg("state server does not start")
		}
		lastRestart = e.clock.Now()
		e.log.Warn().Msg("state server restarted")
	}
}

// retire ends the generation first, so that callers learn the cause and not of a lost connection.
func (e *embedded) retire(cause error) {
	e.mu.Lock()
	srv := e.server
	e.fail(cause)
	e.server = nil
	e.mu.Unlock()
	srv.Shutdown()
	srv.WaitForShutdown()
}

// stop ends watch, then the server. The generation ends with ErrClosed.
func (e *embedded) stop() {
	e.cancel()
	<-e.done
	if e.server != nil {
		e.retire(ErrClosed)
	}
}

// broken names what happened to the storage for callers: ErrFull when it was the disk's size, ErrUnavailable otherwise.
func broken(health, logged error) error {
	if logged == nil {
		logged = health // the server's words about the same, without the type
	}
	if diskFull(logged) {
		return fmt.Errorf("%w: %w", ErrFull, logged)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, logged)
}

// unhealthy asks the server about streams that stopped writing, streams it could not recover, and JetStream switched off.
func unhealthy(srv *server.Server) error {
	h := srv.Healthz(&server.HealthzOptions{Details: true})
	if len(h.Errors) > 0 {
		return fmt.Errorf("state server: %s", h.Errors[0].Error)
	}
	if h.Error != "" {
		return fmt.Errorf("state server: %s", h.Error)
	}
	return nil
}
