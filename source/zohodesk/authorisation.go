package zohodesk

import (
	"context"
	"errors"
	"strconv"
	"time"

	"deskhouse/source"
)

// The states of a connection's authorisation.
const (
	StateConnected = "connected"
	StateNeeds     = "needs authorisation"
	StateRevoked   = "revoked"
)

// Where the refresh token in use comes from.
const (
	FromConfiguration = "configuration"
	FromState         = "state" // stored by Exchange
)

// Authorisation is what can be told of a connection's authorisation; nothing of
// it is secret. Times are UTC on the local clock, zero when not known.
type Authorisation struct {
	State         string    `json:"state"`            // one of the states above
	Reason        string    `json:"reason,omitempty"` // for people: why it is not connected, or why no token can be had now
	Scopes        []string  `json:"scopes,omitempty"` // as Zoho told when it granted; empty when it did not tell
	MissingScopes []string  `json:"missing_scopes,omitempty"`
	ObtainedAt    time.Time `json:"obtained_at,omitzero"`    // the exchange, or the configuration's token's first use
	AccessExpires time.Time `json:"access_expires,omitzero"` // of the access token in hand
	RevokedAt     time.Time `json:"revoked_at,omitzero"`
	Source        string    `json:"source,omitempty"` // FromConfiguration, FromState, or "" without a refresh token
	Requests      int       `json:"requests"`         // token requests in the last ten minutes
}

// Authorisation reports how the connection stands, from what is stored: Zoho is
// not asked. A connection whose refresh token was never tried counts as
// connected, and its Reason says so. The error is the store's.
func (c *Client) Authorisation(ctx context.Context) (Authorisation, error) {
	k := c.tokens
	t, _, err := k.store.LoadToken(ctx)
	switch {
	case errors.Is(err, ErrTokenUnreadable):
		t = Token{}
	case err != nil:
		return Authorisation{}, err
	}
	if ours, unstored := k.unstored(); unstored {
		t = ours
	}
	t, g := k.creds.pick(t)
	now := k.clock.Now()
	a := Authorisation{Source: g.source, Scopes: splitScopes(t.Scope), Requests: len(recent(t.Requests, now, tokenWindow))}
	if !g.trial {
		a.ObtainedAt, a.RevokedAt = t.Obtained, t.Revoked
	}
	a.MissingScopes = missingScopes(a.Scopes)
	if t.Access != "" && now.Before(t.Expires) {
		a.AccessExpires = t.Expires
	}
	a.State, a.Reason = k.creds.stands(t, g, now)
	if errors.Is(err, ErrTokenUnreadable) && g.problem != nil {
		a.Reason = "what is stored cannot be read with this state key; " + g.problem.Hint
	}
	return a, nil
}

// stands says in words how it is.
func (c credentials) stands(t Token, g grant, now time.Time) (state, reason string) {
	f := t.Failure
	switch {
	case g.problem != nil:
		return g.state, g.problem.Detail + "; " + g.problem.Hint
	case f != nil && c.failed(f).Fault == source.FaultUnauthorized:
		reason = f.answered() + ": " + c.failed(f).Hint
		if g.trial && t.Refresh != "" {
			reason += "; without the refresh_token in the configuration the authorisation of " + day(t.Obtained) + " is used again"
		}
		return StateNeeds, reason
	case f.doubtful():
		return g.state, f.answered() + "; the newest one is tried again"
	case f != nil && now.Before(f.Until):
		return g.state, "zoho gives no access token now; it is asked again at " + f.Until.UTC().Format("15:04 UTC on 2006-01-02")
	case (g.trial || t.Obtained.IsZero()) && t.Access == "":
		return g.state, "the refresh token was not used yet"
	}
	return g.state, ""
}

// answered says who refused, how and when.
func (f *TokenFailure) answered() string {
	if f.Desk {
		return freshRefused + " (" + first(f.Code, "status "+strconv.Itoa(f.Status)) + ") since " + day(f.At)
	}
	return "zoho answered " + f.Code + " on " + day(f.At)
}

// day is a time for people.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 at 15:04 UTC") }
