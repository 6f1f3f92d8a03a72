package subscription

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source/webhook"
)

var now = time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)

const org = 60_000_000_001

// memoryStore is a Store that can be lost, and can fail.
type memoryStore struct {
	mu        sync.Mutex
	values    map[string][]byte
	revisions map[string]uint64
	saves     int
	failAt    int // the n-th save fails, and all after it; 0: none
}

func newStore() *memoryStore {
	return &memoryStore{values: map[string][]byte{}, revisions: map[string]uint64{}}
}

func (m *memoryStore) Load(_ context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key], m.revisions[key], nil
}

func (m *memoryStore) Save(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.saves++
	if m.failAt > 0 && m.saves >= m.failAt {
		return 0, fmt.Errorf("killed at save %d", m.saves)
	}
	if revision != m.revisions[key] {
		return 0, fmt.Errorf("at %d: %w", m.revisions[key], ErrConflict)
	}
	m.values[key], m.revisions[key] = value, revision+1
	return revision + 1, nil
}

func (m *memoryStore) copied() *memoryStore {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memoryStore{values: maps.Clone(m.values), revisions: maps.Clone(m.revisions)}
}

// derived stands in for the state key.
func derived(purpose string, generation int) string {
	sum := sha256.Sum256(fmt.Append(nil, purpose, generation))
	return webhook.Secret(sum[:])
}

func secretOf(generation int) string { return derived("hook", generation) }
func tokenOf(generation int) string  { return derived("token", generation) }

// output is a log that can be read while it is written.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) count(text string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Count(o.b.String(), text)
}

// memoryLog is the intake's log and its dead letters.
type memoryLog struct {
	mu     sync.Mutex
	events []webhook.Event
	dead   int
}

func (*memoryLog) MaxGroupBytes() int { return 1 << 20 }

func (l *memoryLog) Append(_ context.Context, group []byte) (uint64, error) {
	events, err := webhook.DecodeGroup(group)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, events...)
	return uint64(len(l.events)), err
}

func (l *memoryLog) DeadLetter(context.Context, string, []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead++
	return nil
}

// stored are the types of all events so far.
func (l *memoryLog) stored() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	types := []string{}
	for _, e := range l.events {
		types = append(types, e.Type)
	}
	return types
}

// site is a keeper and the real intake on a real port, on one fake clock.
type site struct {
	t     *testing.T
	clock *clockwork.FakeClock
	kind  Kind
	store *memoryStore
	log   *memoryLog
	said  *output
	host  string // http://127.0.0.1:port
	proof func(*Keeper) webhook.Proof
	route func() // gives the intake the keeper
	learn bool   // the intake asks the keeper about secrets that it does not know

	mu     sync.Mutex
	keeper *Keeper
	gaps   []Gap
}

// newSite starts an intake without a keeper; open gives it one.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, clock: clockwork.NewFakeClockAt(now), store: newStore(), log: &memoryLog{}, said: &output{}}
	intake, err := webhook.New(webhook.Config{Logger: zerolog.New(s.said), Clock: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(intake)
	s.host = server.URL
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- intake.Run(ctx) }()
	t.Cleanup(func() {
		server.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s.route = func() {
		t.Helper()
		learn := func(secret string) bool { return s.learn && s.now().Learn(secret) }
		err := intake.SetRoutes([]webhook.Route{{Pipeline: "support", OrgID: org, ProofRequired: true, Log: s.log, DeadLetters: s.log,
			Secrets: func() []string { return s.now().Secrets() }, Learn: learn, Proof: s.proof(s.keeper)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// url is what this intake would be reached at with a secret.
func (s *site) url(secret string) string { return s.host + webhook.Path("support", secret) }

func (s *site) now() *Keeper {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keeper
}

// open starts, or starts again, on what is stored.
func (s *site) open() {
	s.t.Helper()
	k, err := New(s.t.Context(), Config{Pipeline: "support", Kind: s.kind, Store: s.store, Secret: secretOf, Token: tokenOf, URL: s.url,
		Name: "deskhouse support", Events: []string{"Ticket_Add", "Ticket_Update", "Ticket_Delete", "Department_Add", "Department_Update"},
		Clock: s.clock, Log: zerolog.New(s.said).Level(zerolog.InfoLevel), Missed: func(_ context.Context, g Gap) { s.gaps = append(s.gaps, g) }})
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.keeper = k
	s.mu.Unlock()
	s.route()
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// once makes a pass that has to succeed.
func (s *site) once() { s.t.Helper(); s.must(s.keeper.Once(s.t.Context())) }

// after lets time pass and makes a pass.
func (s *site) after(d time.Duration) { s.t.Helper(); s.clock.Advance(d); s.once() }

// asked is what a GET with the secret of a generation is answered.
func (s *site) asked(generation int) int {
	s.t.Helper()
	resp, err := http.Get(s.url(secretOf(generation)))
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// wantAccepted holds which generations the intake takes, of the first nine.
func (s *site) wantAccepted(want ...int) {
	s.t.Helper()
	var got []int
	for g := 1; g < 10; g++ {
		if s.asked(g) == http.StatusOK {
			got = append(got, g)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("the intake accepts generations %v, want %v", got, want)
	}
}
