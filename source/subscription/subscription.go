package subscription

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Subscription is what is known of one pipeline's subscription. Times are UTC. Its URL is not part of it: that follows from
// the generation, and holds a secret.
type Subscription struct {
	Kind     string `json:"kind"`
	Pipeline string `json:"pipeline"`
	// Wanted: somebody asked for it, so it is kept up.
	Wanted bool `json:"wanted"`
	// IDs are those at the sender with a URL of ours, the one that is kept up first. Hooks made by hand are among them.
	IDs []string `json:"ids,omitempty"`
	// Events are the outcome of the last request, an item an event.
	Events []Item `json:"events,omitempty"`
	// Generation is that of the secret in the URL, from 1.
	Generation int `json:"generation"`
	// Retiring are older generations that are still accepted.
	Retiring []Retiring `json:"retiring,omitempty"`
	// GrantedAt is the answer of the last Register or Renew, ExpiresAt the end of the life it gave; zero without one.
	GrantedAt time.Time `json:"granted_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// CheckedAt is when the sender was last seen to hold what is wanted, or nothing where nothing is.
	CheckedAt time.Time `json:"checked_at,omitzero"`
	// Repaired is what the last repair put right of events and options, until it is seen to be right.
	Repaired   []string  `json:"repaired,omitempty"`
	RepairedAt time.Time `json:"repaired_at,omitzero"`
}

// Retiring is a generation on its way out.
type Retiring struct {
	Generation int `json:"generation"`
	// Until is when it ends, zero while the sender is not known to be switched over.
	Until time.Time `json:"until,omitzero"`
}

// Rotating reports whether the sender is not known to use the newest secret.
func (s Subscription) Rotating() bool {
	for _, r := range s.Retiring {
		if r.Until.IsZero() {
			return true
		}
	}
	return false
}

// retiring finds a generation on its way out, nil when it is none.
func (s Subscription) retiring(generation int) *Retiring {
	for i := range s.Retiring {
		if s.Retiring[i].Generation == generation {
			return &s.Retiring[i]
		}
	}
	return nil
}

// renewAt is when two thirds of its life are over, zero for one that does not expire.
func (s Subscription) renewAt() time.Time {
	if s.ExpiresAt.IsZero() || s.GrantedAt.IsZero() {
		return s.GrantedAt
	}
	return s.GrantedAt.Add(s.ExpiresAt.Sub(s.GrantedAt) / 3 * 2)
}

// due reports whether it is time to renew. A life of which nobody knows when it began is renewed at once.
func (s Subscription) due(now time.Time) bool {
	return !s.ExpiresAt.IsZero() && !now.Before(s.renewAt())
}

// The stored formats: 1 is a JSON array of webhook ids, as the first versions wrote it; 2 the object below.
const format = 2

type stored struct {
	Format int `json:"format"`
	Subscription
}

func encode(s Subscription) ([]byte, error) { return json.Marshal(stored{format, s}) }

// decode reads what is stored; known is false when nothing is.
func decode(raw []byte, kind, pipeline string) (s Subscription, known bool, err error) {
	s = Subscription{Kind: kind, Pipeline: pipeline, Generation: 1}
	switch trimmed := bytes.TrimSpace(raw); {
	case len(trimmed) == 0:
		return s, false, nil
	case trimmed[0] == '[' || string(trimmed) == "null":
		if err := json.Unmarshal(raw, &s.IDs); err != nil {
			return s, false, errors.New("stored webhook ids cannot be read")
		}
		s.Wanted = len(s.IDs) > 0
		return s, true, nil
	}
	var st stored
	switch err := json.Unmarshal(raw, &st); {
	case err != nil || st.Generation < 1:
		return s, false, errors.New("stored subscription cannot be read")
	case st.Format != format:
		return s, false, fmt.Errorf("stored subscription has format %d, this program reads up to %d", st.Format, format)
	case st.Kind != kind:
		return s, false, fmt.Errorf("stored subscription is a %s, not a %s", st.Kind, kind)
	}
	return st.Subscription, true, nil
}
