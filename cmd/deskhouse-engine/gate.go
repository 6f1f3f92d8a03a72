package main

import (
	"io"
	"os"
	"strconv"
	"sync"

	"deskhouse/sink/embedded/launch"
)

// gate is the pipe the engine's last query reads, and so what keeps it alive. It closes when stdin reaches its end (the
// parent closed it, or died) or a signal arrives. It stands between stdin and the engine so that a signal can stop the
// engine too, and so that nothing written to stdin reaches a query.
type gate struct {
	read, write *os.File
	closed      chan struct{}
	once        sync.Once
}

// newGate starts two goroutines that live as long as the process: a read of stdin cannot be interrupted.
func newGate(stdin io.Reader, signals <-chan os.Signal) (*gate, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fail(launch.ExitEngine, "open pipe: %w", err)
	}
	g := &gate{read: r, write: w, closed: make(chan struct{})}
	go func() {
		io.Copy(io.Discard, stdin) // an error ends it as EOF does
		g.close()
	}()
	go func() {
		<-signals
		g.close()
	}()
	return g, nil
}

func (g *gate) close() {
	g.once.Do(func() {
		close(g.closed) // before the pipe, so that the engine's end is known to be wanted
		g.write.Close()
	})
}

func (g *gate) closing() bool {
	select {
	case <-g.closed:
		return true
	default:
		return false
	}
}

// path opens the pipe anew, blocking, for whoever opens it.
func (g *gate) path() string { return "/dev/fd/" + strconv.Itoa(int(g.read.Fd())) }
