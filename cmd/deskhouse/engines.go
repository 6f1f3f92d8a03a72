package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/sink/embedded"
)

// engines are the embedded engines of this process, one a data folder, started
// when first needed and kept alive.
type engines struct {
	log zerolog.Logger

	mu    sync.Mutex
	byDir map[string]*engine
}

// engine keeps one embedded engine running on the ports it first got.
type engine struct {
	dir string
	log zerolog.Logger

	mu      sync.Mutex
	current *embedded.Engine
	stop    context.CancelFunc
	ended   chan struct{}
}

func newEngines(log zerolog.Logger) *engines {
	return &engines{log: log, byDir: map[string]*engine{}}
}

// startWait is how long a start waits for an engine whose deskhouse was killed
// to let go of the folder: it ends by itself, within 10 s.
const startWait = 20 * time.Second

// start returns the engine of a folder, starting it if need be.
func (e *engines) start(ctx context.Context, dir string) (*embedded.Engine, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if en := e.byDir[dir]; en != nil {
		return en.engine(), nil
	}
	en := &engine{dir: dir, log: e.log, ended: make(chan struct{})}
	first, err := en.begin(ctx, embedded.Config{Dir: dir, Logger: e.log})
	if err != nil {
		return nil, startFailure(dir, err)
	}
	en.current = first
	keep, cancel := context.WithCancel(context.Background())
	en.stop = cancel
	e.byDir[dir] = en
	go en.keep(keep)
	return first, nil
}

// errEngineDown: the embedded engine does not start for a reason that may pass,
// such as a full disk: it is a warehouse that is down.
var errEngineDown = errors.New("the embedded engine is down")

// startFailure tells what needs a person from what may pass.
func startFailure(dir string, err error) error {
	err = fmt.Errorf("start the embedded engine in %s: %w", dir, err)
	for _, permanent := range []error{embedded.ErrLibraryMissing, embedded.ErrLibraryUnusable, embedded.ErrEngineMissing, embedded.ErrInUse, embedded.ErrPort} {
		if errors.Is(err, permanent) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", errEngineDown, err)
}

func (en *engine) begin(ctx context.Context, cfg embedded.Config) (*embedded.Engine, error) {
	deadline := time.Now().Add(startWait)
	for {
		started, err := embedded.Start(ctx, cfg)
		if !errors.Is(err, embedded.ErrInUse) || time.Now().After(deadline) {
			return started, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (en *engine) engine() *embedded.Engine {
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.current
}

// keep starts the engine again, on the same ports, whenever it ends by itself.
func (en *engine) keep(ctx context.Context) {
	defer close(en.ended)
	tcp, http := port(en.current.Addr()), port(en.current.HTTPAddr())
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		select {
		case <-ctx.Done():
			return
		case <-en.engine().Done():
		}
		en.log.Error().Err(en.engine().Err()).Msg("the embedded engine ended, starting it again")
		again, err := en.begin(ctx, embedded.Config{Dir: en.dir, TCPPort: tcp, HTTPPort: http, Logger: en.log})
		if err == nil {
			en.mu.Lock()
			en.current = again
			en.mu.Unlock()
			wait = time.Second
			continue
		}
		en.log.Error().Err(err).Msg("the embedded engine does not start")
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func port(addr string) int {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		return 0
	}
	return n
}

func (e *engines) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for dir, en := range e.byDir {
		en.stop()
		<-en.ended
		errs = append(errs, en.engine().Close())
		delete(e.byDir, dir)
	}
	return errors.Join(errs...)
}
