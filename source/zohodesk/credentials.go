package zohodesk

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"deskhouse/source"
)

// credentials are the configuration's part of an authorisation; the other part
// is the stored Token.
type credentials struct {
	connection                string
	clientID, secret, refresh string
	endpoints                 endpoints
	desk                      string // base URL
}

// grant is the refresh token to use. Without one, problem says why: every call
// is refused with it, and nothing is asked of Zoho.
type grant struct {
	refresh string
	source  string // FromConfiguration or FromState
	state   string // StateConnected, or with problem one of the others
	trial   bool   // the configuration's, which has not brought a token yet
	problem *source.CallError
}

// hash names secrets without telling them.
func hash(parts ...string) string {
	h := sha256.New()
	for i, p := range parts {
		if i > 0 {
			h.Write([]byte{0})
		}
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// seen is the hash of the configuration's refresh token, "" without one.
func (c credentials) seen() string {
	if c.refresh == "" {
		return ""
	}
	return hash("configuration", c.refresh)
}

// client names the client a refresh token was given to. Its secret is Zoho's to
// judge: a new one goes with the tokens of the old.
func (c credentials) client() string { return hash("client", c.clientID) }

// isClient knows a stored client, also as earlier versions named it.
func (c credentials) isClient(stored string) bool {
	return stored == c.client() || stored == hash("client", c.clientID, c.secret)
}

// of names what an access token belongs to.
func (c credentials) of(refresh string) string { return hash(c.clientID, refresh) }

// attempt names everything that decides whether a token is given and taken: a
// failure is waited out only while all of it is the same.
func (c credentials) attempt(refresh string) string {
	return hash("attempt", c.clientID, c.secret, c.endpoints.refresh, c.desk, refresh)
}

// onTrial reports whether the configuration's refresh token changed since the
// last one that proved good. It is used, but what it shall replace stays stored
// until it has brought a token: a wrong one is taken out again, and that is all.
func (c credentials) onTrial(t Token) bool { return c.seen() != "" && c.seen() != t.ConfigSeen }

// proved ends the trial: the configuration's refresh token brought a token.
func (c credentials) proved(t *Token, asked time.Time) {
	t.ConfigSeen, t.Refresh, t.Client, t.Server = c.seen(), "", "", ""
	t.Revoked, t.Obtained = time.Time{}, asked
}

// pick decides between the configuration's refresh token and the stored one,
// and returns the token without an access token that belongs to another one.
// The configuration wins when it changed since it last proved good.
func (c credentials) pick(t Token) (Token, grant) {
	t = t.own()
	g := c.grantOf(t)
	of := c.of(g.refresh)
	if g.refresh == "" || t.RefreshHash != of {
		t.Access, t.Renew, t.Expires, t.Scope = "", time.Time{}, time.Time{}, ""
	}
	if g.refresh != "" && t.RefreshHash != of {
		t.RefreshHash, t.Requests = of, nil
	}
	if t.Failure != nil && t.Failure.Of != c.attempt(g.refresh) {
		t.Failure = nil
	}
	return t, g
}

// grantOf chooses. A stored refresh token is bound to the client and the server
// it was given to; the configuration's is tried with whatever stands beside it,
// because correcting a wrong client id must not need a new token.
func (c credentials) grantOf(t Token) grant {
	switch {
	case c.onTrial(t):
		return grant{refresh: c.refresh, source: FromConfiguration, state: StateConnected, trial: true}
	case !t.Revoked.IsZero():
		return c.without(StateRevoked, "the authorisation was revoked on "+day(t.Revoked))
	case t.Refresh != "" && t.Server != c.endpoints.token:
		return c.without(StateNeeds, c.endpoints.movedFrom(t.Server))
	case t.Refresh != "" && !c.isClient(t.Client):
		return c.without(StateNeeds, "client_id of the configuration changed since the authorisation")
	case t.Refresh != "":
		return grant{refresh: t.Refresh, source: FromState, state: StateConnected}
	case c.refresh != "":
		return grant{refresh: c.refresh, source: FromConfiguration, state: StateConnected}
	}
	return c.without(StateNeeds, "there is no refresh token")
}

func (c credentials) without(state, reason string) grant {
	return grant{state: state, problem: &source.CallError{Fault: source.FaultUnauthorized, Op: opToken, Detail: reason, Hint: c.again()}}
}

// again says how a person authorises this connection.
func (c credentials) again() string { return c.named(hintLogin) }

// named puts the connection's name into the commands of a hint.
func (c credentials) named(hint string) string {
	return strings.ReplaceAll(hint, exchangeCommand+"`", exchangeCommand+" --connection "+c.connection+"`")
}
