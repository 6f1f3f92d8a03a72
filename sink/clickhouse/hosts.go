package clickhouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// hosts dials for both pools of a warehouse. All connections go to one host at
// a time: rows read from one server and written to another that lags behind
// it would be compared with the past. When the host in use does not answer, the
// next one is tried, in the order of the URL, and what is still connected to
// the former is cut: those calls fail and may be repeated.
type hosts struct {
	cfg   Config
	turn  chan struct{} // held by whoever dials, where there are several hosts
	addrs []string
	each  time.Duration // bounds an attempt at one host

	mu       sync.Mutex // guards those below
	current  int        // in use
	trying   int        // being dialled, -1 for none
	left     bool       // the current one did not answer, and the next dial is to find another
	identity string     // of the database, "" until it is known
	open     map[*hostConn]int
}

// hostConn is a connection that hosts can cut. It stays a TCP connection to
// the driver, which looks at the socket before it takes one from the pool.
type hostConn struct {
	*net.TCPConn
	hosts *hosts
}

// Close ends the connection.
func (c *hostConn) Close() error {
	c.hosts.mu.Lock()
	delete(c.hosts.open, c)
	c.hosts.mu.Unlock()
	return c.TCPConn.Close()
}

// errMoved: a connection over HTTP wants to dial a host that is not in use any
// more. Nothing has been sent.
var errMoved = errors.New("another host is in use now")

// errHungUp: what a TLS port does when it is greeted in plain text.
var errHungUp = errors.New("the server hangs up on a greeting in plain text: give warehouse.tls if it speaks TLS there, and see that the port is ClickHouse's native one")

// errStranger: the host answers, and holds another database or none.
var errStranger = errors.New("holds another database than the one in use")

// keepAlive ends connections whose other side is gone within half a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4}

func newHosts(cfg Config, opts *driver.Options) *hosts {
	return &hosts{cfg: cfg, turn: make(chan struct{}, 1), addrs: opts.Addr, each: opts.DialTimeout, trying: -1, open: map[*hostConn]int{}}
}

func (h *hosts) several() bool { return len(h.addrs) > 1 }

// attach makes the options dial through h. The driver bounds all attempts of a
// call together.
func (h *hosts) attach(opts *driver.Options) {
	opts.DialStrategy = h.dial
	opts.DialTimeout = h.each * time.Duration(len(h.addrs))
}

// dial connects to the host in use, or else to the next that answers.
func (h *hosts) dial(ctx context.Context, _ int, opts *driver.Options, dial driver.Dial) (driver.DialResult, error) {
	if !h.several() {
		return h.dialHost(ctx, 0, opts, dial)
	}
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return driver.DialResult{}, context.Cause(ctx)
	}
	defer h.try(-1)
	failed := &hostsError{}
	first := h.inUse()
	for i := range h.addrs {
		n := (first + i) % len(h.addrs)
		h.try(n)
		result, err := h.dialHost(ctx, n, opts, dial)
		if err == nil {
			h.moveTo(n)
			return result, nil
		}
		failed.add(h.addrs[n], err)
	}
	return driver.DialResult{}, failed
}

func (h *hosts) dialHost(ctx context.Context, n int, opts *driver.Options, dial driver.Dial) (driver.DialResult, error) {
	ctx, cancel := context.WithTimeout(ctx, h.each)
	defer cancel()
	one := *opts
	one.DialTimeout = h.each
	var err error
	if one.TLS, err = h.cfg.secured(opts.TLS, h.addrs[n]); err != nil {
		return driver.DialResult{}, err
	}
	if n != h.inUse() {
		if err := h.compare(ctx, n); err != nil {
			return driver.DialResult{}, err
		}
	}
	var made attempt
	one.DialContext = func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := h.connect(ctx, n, addr, one.TLS, one.Protocol)
		again := !made.add(conn)
		if err != nil && again && h.several() {
			h.leave(n)
			return nil, errMoved
		}
		return conn, err
	}
	result, err := dial(ctx, h.addrs[n], &one)
	made.end(err)
	if one.Protocol == driver.Native && one.TLS == nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		err = errHungUp
	}
	return result, err
}

// attempt closes what was dialled when the server then refuses the login: the
// driver leaves that open.
type attempt struct {
	mu    sync.Mutex
	over  bool
	conns []net.Conn
}

// add is false once the attempt is over: then a connection over HTTP dials
// again by itself.
func (a *attempt) add(conn net.Conn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if conn != nil && !a.over {
		a.conns = append(a.conns, conn)
	}
	return !a.over
}

func (a *attempt) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, conn := range a.conns {
		if err != nil {
			_ = conn.Close()
		}
	}
	a.over, a.conns = true, nil
}

// connect connects to a host while it is in use or being tried. Over HTTP the
// driver makes TLS out of the connection, dials again by itself, and the
// address may be a proxy's.
func (h *hosts) connect(ctx context.Context, n int, addr string, secure *tls.Config, protocol driver.Protocol) (net.Conn, error) {
	if !h.may(n) {
		return nil, errMoved
	}
	dialer := net.Dialer{KeepAliveConfig: keepAlive, Timeout: h.each}
	plain, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn := h.track(n, plain.(*net.TCPConn)) // "tcp" gives no other
	if secure == nil || protocol == driver.HTTP {
		return conn, nil
	}
	encrypted := tls.Client(conn, secure)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return encrypted, nil
}

func (h *hosts) inUse() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current
}

// try notes which host is being dialled, -1 for none.
func (h *hosts) try(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trying = n
}

func (h *hosts) may(n int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return n == h.current && !h.left || n == h.trying
}

// leave makes what else is connected to a host that does not answer go through
// dial, which finds another.
func (h *hosts) leave(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = h.left || n == h.current
}

func (h *hosts) track(n int, conn *net.TCPConn) *hostConn {
	c := &hostConn{conn, h}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open[c] = n
	return c
}

// moveTo makes a host the one in use and cuts the connections of the others.
func (h *hosts) moveTo(n int) {
	h.mu.Lock()
	former := h.current
	h.current, h.trying, h.left = n, -1, false
	var others []*hostConn
	for c, of := range h.open {
		if of != n {
			others = append(others, c)
		}
	}
	h.mu.Unlock()
	for _, c := range others {
		_ = c.Close()
	}
	if former != n {
		h.cfg.Logger.Warn().Str("from", h.addrs[former]).Str("to", h.addrs[n]).Msg("warehouse host does not answer, another one is used")
	}
}

// moved repeats a call that met connections of a host that is not in use any
// more. Each such meeting closes one of them, so it ends.
func moved(call func() error) error {
	err := call()
	for range maxMoved {
		if !errors.Is(err, errMoved) {
			break
		}
		err = call()
	}
	return err
}

// maxMoved is more than the connections of a pool.
const maxMoved = 100

// hostsError is what each of several hosts answered.
type hostsError struct {
	addrs []string
	errs  []*Error
}

func (e *hostsError) add(addr string, err error) {
	var one *Error
	if !errors.As(classify("dial", err), &one) {
		one = &Error{Op: "dial", Err: err}
	}
	e.addrs, e.errs = append(e.addrs, addr), append(e.errs, one)
}

func (e *hostsError) Error() string {
	parts := make([]string, len(e.addrs))
	for i, addr := range e.addrs {
		parts[i] = addr + ": " + e.errs[i].answer()
	}
	return fmt.Sprintf("no host can be used (%s)", strings.Join(parts, "; "))
}

// retry reports whether time may heal one of the hosts.
func (e *hostsError) retry() bool {
	for _, one := range e.errs {
		if one.Retry {
			return true
		}
	}
	return false
}

// Unwrap gives the errors that count: one host that may come back is waited
// for, whatever is wrong with the others.
func (e *hostsError) Unwrap() []error {
	var all []error
	for _, one := range e.errs {
		if one.Err != nil && one.Retry == e.retry() {
			all = append(all, one.Err)
		}
	}
	return all
}

// answer is the error without what was being done.
func (e *Error) answer() string { return strings.TrimPrefix(e.Error(), e.Op+": ") }
