package webhook

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const (
	org        = 60000000001
	webhookID  = "900100000000099001"
	ticketAdd  = `{"eventType":"Ticket_Add","eventTime":"1789000000123","orgId":"60000000001","payload":{"id":"900100000000012345","subject":"Printer on fire"}}`
	foreignAdd = `{"eventType":"Ticket_Add","eventTime":"1789000000123","orgId":"60000000002","payload":{"id":"1"}}`
	workflow   = `{"ticketId":"900100000000012345","event":"closed"}`
)

var (
	now     = time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)
	secret  = Secret([]byte("a message authentication code 32"))
	rsaKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
		var keys [2]*rsa.PrivateKey
		for i := range keys {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				panic(err)
			}
			keys[i] = key
		}
		return keys
	})
)

// memoryLog is a Log that can fail, and can be held until the test lets an append go on.
type memoryLog struct {
	most    int
	entered chan struct{} // when not nil: told at the start of each append
	proceed chan struct{} // when not nil: awaited by each append
	deaf    bool          // a held append does not notice the end of its context
	err     error

	mu     sync.Mutex
	groups [][]byte
}

func (l *memoryLog) MaxGroupBytes() int { return l.most }

func (l *memoryLog) Append(ctx context.Context, group []byte) (uint64, error) {
	if l.entered != nil {
		l.entered <- struct{}{}
	}
	if l.proceed != nil && l.deaf {
		<-l.proceed
	} else if l.proceed != nil {
		select {
		case <-l.proceed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	if len(group) > l.most {
		return 0, fmt.Errorf("group of %d bytes", len(group))
	}
	l.groups = append(l.groups, group)
	return uint64(len(l.groups)), nil
}

// events decodes everything stored, and tells how many groups hold it.
func (l *memoryLog) events(t testing.TB) (events []Event, groups int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.groups {
		e, err := DecodeGroup(g)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e...)
	}
	return events, len(l.groups)
}

type memoryDeadLetters struct {
	err  error
	mu   sync.Mutex
	kept map[string][]string
}

func (m *memoryDeadLetters) DeadLetter(_ context.Context, reason string, raw []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if m.kept == nil {
		m.kept = make(map[string][]string)
	}
	m.kept[reason] = append(m.kept[reason], string(raw))
	return nil
}

// jwksServer serves the keys with the ids given, and can be broken.
type jwksServer struct {
	*httptest.Server
	requests atomic.Int64
	broken   atomic.Bool
	body     atomic.Value
	served   chan struct{} // when not nil: told of each request
	proceed  chan struct{} // when not nil: awaited by each
}

func newJWKS(t testing.TB, ids ...string) *jwksServer {
	s := &jwksServer{}
	s.publish(t, ids...)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.requests.Add(1)
		if s.served != nil {
			s.served <- struct{}{}
		}
		if s.proceed != nil {
			<-s.proceed
		}
		if s.broken.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write(s.body.Load().([]byte))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *jwksServer) publish(t testing.TB, ids ...string) {
	t.Helper()
	set := jwk.NewSet()
	for i, id := range ids {
		key, err := jwk.Import(rsaKeys()[i].Public())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(key.Set(jwk.KeyIDKey, id), key.Set(jwk.AlgorithmKey, jwa.RS256()), set.AddKey(key)); err != nil {
			t.Fatal(err)
		}
	}
	body, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	s.body.Store(body)
}

// tokenOf signs claims; change may spoil them or the header.
type tokenOf struct {
	kid    string
	alg    jwa.SignatureAlgorithm
	key    any
	claims map[string]any
}

func goodToken() tokenOf {
	return tokenOf{kid: "k1", alg: jwa.RS256(), key: rsaKeys()[0], claims: map[string]any{
		"iss": fmt.Sprintf("orgId:%d", org), "aud": "webhookId:" + webhookID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}}
}

func (o tokenOf) with(claim string, value any) tokenOf {
	claims := map[string]any{claim: value}
	for k, v := range o.claims {
		if k != claim {
			claims[k] = v
		}
	}
	o.claims = claims
	return o
}

func (o tokenOf) sign(t testing.TB) string {
	t.Helper()
	payload, err := json.Marshal(o.claims)
	if err != nil {
		t.Fatal(err)
	}
	header := jws.NewHeaders()
	if o.kid != "" {
		if err := header.Set(jws.KeyIDKey, o.kid); err != nil {
			t.Fatal(err)
		}
	}
	signed, err := jws.Sign(payload, jws.WithKey(o.alg, o.key, jws.WithProtectedHeaders(header)))
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

// only is a function of secrets, ids or tokens that never change.
func only(values ...string) func() []string { return func() []string { return values } }

// mode is what the configuration can ask of tokens.
type mode string

const (
	off       mode = "off"
	ifPresent mode = "" // the default
	required  mode = "required"
)

func (m mode) of(r *Route) {
	if r.ProofRequired = m == required; m == off {
		r.Proof = nil
	}
}

// fixture is a running server with one route.
type fixture struct {
	server   *Server
	log      *memoryLog
	dead     *memoryDeadLetters
	jwks     *jwksServer
	clock    *clockwork.FakeClock
	registry *prometheus.Registry
	output   *lockedBuffer
	stop     func() error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a server on a fake clock; change may alter route, server and log before they are used.
func start(t testing.TB, change func(*fixture, *Config, *Route)) *fixture {
	t.Helper()
	f := &fixture{
		log: &memoryLog{most: 1 << 20}, dead: &memoryDeadLetters{}, jwks: newJWKS(t, "k1"), clock: clockwork.NewFakeClockAt(now),
		registry: prometheus.NewRegistry(), output: &lockedBuffer{},
	}
	route := Route{
		Pipeline: "support", Secrets: only(secret), OrgID: org, Log: f.log, DeadLetters: f.dead,
		Proof: &JWT{OrgID: org, WebhookIDs: only(webhookID), Keys: NewKeys(f.jwks.URL, f.jwks.Client().Transport, f.clock), Clock: f.clock},
	}
	config := Config{Logger: zerolog.New(f.output), Clock: f.clock, Registerer: f.registry}
	if change != nil {
		change(f, &config, &route)
	}
	config.Routes = []Route{route}
	server, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	f.server = server
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	f.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := f.stop(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// send makes one request; an empty token sends no header.
func (f *fixture) send(method, path, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set(tokenHeader, token)
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	return w
}

func (f *fixture) post(token, body string) int {
	return f.send(http.MethodPost, Path("support", secret), token, body).Code
}

// heldKey is a KeySet of the first key.
type heldKey struct{}

func (heldKey) Key(_ context.Context, kid string) (*rsa.PublicKey, error) {
	if kid != "k1" {
		return nil, ErrUnknownKey
	}
	return &rsaKeys()[0].PublicKey, nil
}

func fixedClock() clockwork.Clock { return clockwork.NewFakeClockAt(now) }
