package subscription

import (
	"context"
	"time"
)

// Kind is a sort of subscription, bound to one account at its sender. Errors are *source.CallError where the sender
// answered: FaultForbidden, FaultInvalid and FaultUnauthorized are tried again hourly, all others sooner. Every method may
// be repeated; none may quote a URL in an error. Called by one goroutine at a time.
type Kind interface {
	// Name is stored, and says in logs what it is.
	Name() string
	// Look lists every subscription of the account, ours and others', measured against want; none is no error.
	Look(ctx context.Context, want Want) ([]Held, error)
	// Register makes one. The sender may ask the URL before it answers. After FaultRetry, FaultBadReply and any other
	// error but those above the outcome is unknown, and the caller looks before it registers again.
	Register(ctx context.Context, want Want) (Held, error)
	// Renew sets one to want, all of it, switches it on, and lets its life begin again where it has one.
	Renew(ctx context.Context, id string, want Want) (Held, error)
	// Remove ends one; one that is gone is no error.
	Remove(ctx context.Context, id string) error
}

// Want is what a subscription shall be.
type Want struct {
	Name string
	URL  string
	// Token is what the sender repeats in its deliveries, at most MaxToken characters; a Kind that proves itself otherwise
	// ignores it.
	Token  string
	Events []string
}

// MaxToken is the longest token that Zoho's notification channels echo.
const MaxToken = 50

// Held is a subscription as the sender holds it.
type Held struct {
	ID, Name, URL string
	Enabled       bool
	// Events is what became of each event of a request, or is held of each event wanted.
	Events []Item
	// Lacks are events of ours that it does not deliver, in words, sorted: what they told of is missed.
	Lacks []string
	// Amiss are other differences from Want besides URL and Enabled, in words, sorted.
	Amiss []string
	// ExpiresAt is UTC, zero for a kind that does not expire.
	ExpiresAt time.Time
}

// Item is the outcome for one event of a request.
type Item struct {
	Event string `json:"event"`
	// Code is the sender's own result code, or this program's word where it has none.
	Code string `json:"code"`
	OK   bool   `json:"ok"`
}

// Gap is a time in which events may have been missed. From is zero when nobody knows since when.
type Gap struct {
	From, To time.Time // UTC
	Why      string
}
