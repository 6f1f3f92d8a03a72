package enginetest

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Front stands before a port of an engine, as a server of its own that can speak TLS (the engine's own listeners cannot),
// go down and come back. It counts what passes, as it is on the wire without TLS.
type Front struct {
	Addr string // host:port

	target   string
	sent     atomic.Int64 // by clients
	received atomic.Int64 // by clients
	work     sync.WaitGroup

	mu       sync.Mutex
	secure   *tls.Config
	mark     int64 // of bytes sent, when reached is closed
	reached  chan struct{}
	listener net.Listener
	open     map[net.Conn]bool
}

// NewFront starts a front of target; secure nil means plain text. It ends with the test.
func NewFront(t testing.TB, target string, secure *tls.Config) *Front {
	t.Helper()
	f := &Front{Addr: "127.0.0.1:0", target: target, secure: secure, open: map[net.Conn]bool{}}
	f.Up(t)
	t.Cleanup(f.Down)
	return f
}

// Up listens, on the port of before if there was one.
func (f *Front) Up(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", f.Addr)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.listener, f.Addr = l, l.Addr().String()
	f.mu.Unlock()
	f.work.Go(func() { f.accept(l) })
}

// Down stops listening, cuts all connections, and waits for their end.
func (f *Front) Down() {
	f.mu.Lock()
	if f.listener != nil {
		_ = f.listener.Close()
	}
	f.listener = nil
	f.mu.Unlock()
	f.Cut()
	f.work.Wait()
}

// Cut ends all connections.
func (f *Front) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.open {
		_ = conn.Close()
	}
}

// Secure changes the TLS of connections to come.
func (f *Front) Secure(cfg *tls.Config) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secure = cfg
}

// Sent and Received count bytes as the clients see them.
func (f *Front) Sent() int64     { return f.sent.Load() }
func (f *Front) Received() int64 { return f.received.Load() }

// After is closed once clients have sent n bytes more than now.
func (f *Front) After(n int64) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mark, f.reached = f.sent.Load()+n, make(chan struct{})
	return f.reached
}

func (f *Front) passed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reached != nil && f.sent.Load() >= f.mark {
		close(f.reached)
		f.reached = nil
	}
}

// Open counts the connections of clients.
func (f *Front) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open) / 2
}

func (f *Front) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		f.work.Go(func() { f.serve(client) })
	}
}

func (f *Front) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", f.target)
	if err != nil {
		return
	}
	defer server.Close()
	secure, ok := f.add(client, server)
	defer f.remove(client, server)
	if !ok {
		return
	}
	if secure != nil {
		client = tls.Server(client, secure)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(server, counted{client, &f.sent, f.passed})
		_ = server.Close()
	}()
	_, _ = io.Copy(client, counted{server, &f.received, func() {}})
	_ = client.Close()
	<-done
}

// add notes a connection, false once the front is down.
func (f *Front) add(conns ...net.Conn) (*tls.Config, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range conns {
		f.open[conn] = true
	}
	return f.secure, f.listener != nil
}

func (f *Front) remove(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range conns {
		delete(f.open, conn)
	}
}

type counted struct {
	from io.Reader
	n    *atomic.Int64
	then func()
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n.Add(int64(n))
	c.then()
	return n, err
}
