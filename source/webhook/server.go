package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Config is what a Server needs. Zero numbers mean the defaults.
type Config struct {
	Routes []Route
	Logger zerolog.Logger
	// Clock defaults to the real one.
	Clock clockwork.Clock
	// MaxBody is the largest body in bytes, 4 MiB by default; larger ones are answered 413.
	MaxBody int64
	// MaxBuffered bounds the bodies held in memory at a time, in bytes, 64 MiB by default and never below MaxBody; what
	// comes beyond it is answered 503 at once.
	MaxBuffered int64
	// Timeout bounds a delivery's wait for the log. It defaults to 4.5 s: Zoho gives up after 5 (WEBHOOKDOC).
	Timeout time.Duration
	// Registerer receives the metrics; nil for none.
	Registerer prometheus.Registerer
}

const (
	defaultMaxBody     = 4 << 20
	defaultMaxBuffered = 64 << 20
	defaultTimeout     = 4500 * time.Millisecond
)

// Server is the intake's http.Handler. Deliveries are stored only while Run is running; before it they wait, after it
// they are answered 503. Safe for concurrent use.
type Server struct {
	logger  zerolog.Logger
	clock   clockwork.Clock
	maxBody int64
	timeout time.Duration
	metrics *metrics
	buffers *semaphore.Weighted

	routes atomic.Pointer[map[string]*boundRoute]
	more   chan struct{} // capacity 1: fresh is not empty

	mu         sync.Mutex // guards those below
	committers map[string]*committer
	fresh      []*committer // not started yet
	running    bool
}

// boundRoute is a route with the committer of its pipeline.
type boundRoute struct {
	Route
	committer *committer
}

// New makes a server that starts nothing by itself. An error is a mistake of the caller: a route that cannot work, or
// metrics that are registered already.
func New(c Config) (*Server, error) {
	if c.Clock == nil {
		c.Clock = clockwork.NewRealClock()
	}
	if c.MaxBody <= 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.MaxBuffered <= 0 {
		c.MaxBuffered = defaultMaxBuffered
	}
	c.MaxBuffered = max(c.MaxBuffered, c.MaxBody)
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics of the intake: %w", err)
	}
	s := &Server{
		logger: c.Logger, clock: c.Clock, maxBody: c.MaxBody, timeout: c.Timeout, metrics: m,
		buffers: semaphore.NewWeighted(c.MaxBuffered),
		more:    make(chan struct{}, 1), committers: make(map[string]*committer),
	}
	if err := s.SetRoutes(c.Routes); err != nil {
		return nil, err
	}
	return s, nil
}

// SetRoutes replaces all routes at once, also while deliveries arrive; those under way end by the routes they began with,
// except that their events go to the new log of their pipeline. On an error nothing is replaced.
func (s *Server) SetRoutes(routes []Route) error {
	bound := make(map[string]*boundRoute, len(routes))
	for _, r := range routes {
		if err := r.check(); err != nil {
			return err
		}
		if bound[r.Pipeline] != nil {
			return fmt.Errorf("route %s: given twice", r.Pipeline)
		}
		bound[r.Pipeline] = &boundRoute{Route: r}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, r := range bound {
		r.committer = s.committerOf(name)
		r.committer.log.Store(&r.Log)
	}
	s.routes.Store(&bound)
	return nil
}

// committerOf returns the pipeline's committer, which stays for the life of the server. The caller holds s.mu.
func (s *Server) committerOf(pipeline string) *committer {
	if c := s.committers[pipeline]; c != nil {
		return c
	}
	c := &committer{
		clock: s.clock, timeout: s.timeout, seconds: s.metrics.appends, wake: make(chan struct{}, 1),
		logger: s.logger.With().Str("pipeline", pipeline).Logger(),
	}
	s.committers[pipeline] = c
	s.fresh = append(s.fresh, c)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return c
}

// Run stores what ServeHTTP receives, until ctx ends; then it stores what still waits and returns nil. One committer a
// pipeline: a log that hangs delays no other pipeline. Shut the HTTP server down first, and call Run once.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	again := s.running
	s.running = true
	s.mu.Unlock()
	if again {
		return errors.New("the intake runs already")
	}
	var group errgroup.Group
	for {
		for _, c := range s.takeFresh() {
			group.Go(func() error {
				c.run(ctx)
				return nil
			})
		}
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-s.more:
		}
	}
}

func (s *Server) takeFresh() []*committer {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.fresh
	s.fresh = nil
	return fresh
}

// ServeHTTP answers as the package comment says.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route := s.route(r.URL.Path)
	if route == nil {
		s.metrics.deliveries.WithLabelValues("", notFound.result).Inc()
		w.WriteHeader(notFound.status)
		return
	}
	o := s.answer(w, r, route)
	s.metrics.deliveries.WithLabelValues(route.Pipeline, o.result).Inc()
	w.WriteHeader(o.status)
}

// route finds the route of a path. A wrong pipeline and a wrong secret look alike.
func (s *Server) route(path string) *boundRoute {
	pipeline, secret, ok := splitPath(path)
	if !ok {
		return nil
	}
	r := (*s.routes.Load())[pipeline]
	if r == nil || !r.admits(secret) {
		return nil
	}
	return r
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, route *boundRoute) outcome {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return validation
	case http.MethodPost:
		return s.receive(w, r, route)
	}
	w.Header().Set("Allow", "GET, HEAD, POST")
	return wrongMethod
}
