package zohodesk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Token is what is kept of a connection's authorisation over restarts. All
// times are UTC on the local clock. Access and Refresh are secrets: whoever
// stores a Token seals it. The stored form is its JSON; fields are only added.
type Token struct {
	Access  string
	Renew   time.Time // from here on another one is asked for
	Expires time.Time
	// RefreshHash says which client and refresh token Access and Requests belong
	// to: another one's are of no use.
	RefreshHash string
	Scope       string // granted scopes as Zoho told, space separated; may be empty
	// Requests are the token requests of the last countedWindow, so that a crash
	// loop cannot run into Zoho's limit either.
	Requests []time.Time

	// Refresh is the refresh token of the last Exchange, "" when the
	// configuration's serves. Client and Server say whom it was given to: the
	// client's hash and the URL that gave it.
	Refresh string `json:",omitempty"`
	Client  string `json:",omitempty"`
	Server  string `json:",omitempty"`
	// ConfigSeen is the hash of the configuration's refresh token that last
	// proved good, or stood there at the last Exchange or Revoke. Another one wins
	// over Refresh, the same one loses.
	ConfigSeen string    `json:",omitempty"`
	Obtained   time.Time `json:",omitzero"` // of Refresh, or the first use of the configuration's
	Revoked    time.Time `json:",omitzero"`

	// Renewing is when a request was started whose answer is not stored yet:
	// other processes wait for it.
	Renewing  time.Time     `json:",omitzero"`
	Failure   *TokenFailure `json:",omitempty"` // of the last answer, nil when it was good
	Throttled time.Time     `json:",omitzero"`  // when Zoho last said "too many requests"
}

// TokenFailure is a bad answer of the token endpoint, or of Desk to a token that
// had just been given.
type TokenFailure struct {
	Of        string // hash of the credentials and the URL that failed
	Code      string
	Status    int
	Throttles int       `json:",omitempty"` // "too many requests" in a row
	At        time.Time // of the answer; of Desk's first
	Until     time.Time // nothing is asked before
	// Desk refused the token. That is over when Desk has taken one, not when
	// another one was given.
	Desk bool `json:",omitempty"`
	// Doubt counts Desk's refusals while the token in hand is still tried again;
	// 0 once it is condemned.
	Doubt int `json:",omitempty"`
}

// String keeps the token out of logs and errors.
func (t Token) String() string { return fmt.Sprintf("zohodesk.Token{Expires: %s}", t.Expires) }

// GoString keeps %#v from printing the token.
func (t Token) GoString() string { return t.String() }

// own returns a copy that shares nothing that is changed.
func (t Token) own() Token {
	t.Requests = slices.Clone(t.Requests)
	return t
}

// noted counts a request, which is to be stored before it is sent.
func (t *Token) noted(now time.Time) {
	t.Requests = append(recent(t.Requests, now, countedWindow), now)
	if over := len(t.Requests) - maxNoted; over > 0 {
		t.Requests = t.Requests[over:]
	}
}

// unsent takes back a request that never left.
func (t *Token) unsent(at time.Time) {
	t.Requests = slices.DeleteFunc(t.Requests, at.Equal)
}

// maxNoted bounds the list for servers whose tokens live for seconds.
const maxNoted = 100

// recent keeps the requests of the last while. Stamps from the future, left by a
// clock that was set back, go.
func recent(stamps []time.Time, now time.Time, window time.Duration) []time.Time {
	var kept []time.Time
	for _, t := range stamps {
		if age := now.Sub(t); age >= 0 && age < window {
			kept = append(kept, t)
		}
	}
	return kept
}

var (
	// ErrTokenConflict is SaveToken's answer when another process wrote first:
	// load again and decide anew.
	ErrTokenConflict = errors.New("stored authorisation was changed by another process")
	// ErrTokenUnreadable is LoadToken's answer when something is stored that will
	// never be readable (another state key): it is treated as absent and
	// overwritten at the revision that came with it.
	ErrTokenUnreadable = errors.New("stored authorisation cannot be read")
)

// TokenStore keeps a connection's Token. Revisions make writing safe among
// processes that share the store: 0 means that nothing is stored, and SaveToken
// writes only over the revision it is given, else ErrTokenConflict. Other errors
// stop the connection until both have succeeded once: the store may hold the only
// refresh token, and token requests that nobody counts must not be sent by a
// process that may be one of many in a crash loop. Later they are logged.
type TokenStore interface {
	LoadToken(ctx context.Context) (t Token, revision uint64, err error)
	SaveToken(ctx context.Context, t Token, revision uint64) (uint64, error)
	// DeleteToken forgets the token at any revision; absent is no error.
	DeleteToken(ctx context.Context) error
}

// inMemory is the TokenStore of a client without one.
type inMemory struct {
	mu       sync.Mutex
	token    Token
	revision uint64
	held     bool
}

var _ TokenStore = (*inMemory)(nil)

func (m *inMemory) LoadToken(context.Context) (Token, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.held {
		return Token{}, 0, nil
	}
	return m.token.own(), m.revision, nil
}

func (m *inMemory) SaveToken(_ context.Context, t Token, revision uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held && revision != m.revision || !m.held && revision != 0 {
		return 0, ErrTokenConflict
	}
	m.token, m.held = t.own(), true
	m.revision++
	return m.revision, nil
}

func (m *inMemory) DeleteToken(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.token, m.held = Token{}, false
	return nil
}
