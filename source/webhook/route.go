package webhook

import (
	"context"
	"encoding/base32"
	"fmt"
	"strings"
)

// Log keeps groups of events in their order.
type Log interface {
	// Append returns once group is durable, with its position. An error means that the outcome is unknown or that the log
	// is full; the sender is answered 503 and may send again. It is called by one goroutine at a time and must return when
	// ctx ends. group is not changed afterwards.
	Append(ctx context.Context, group []byte) (uint64, error)
	// MaxGroupBytes is the largest group that Append takes.
	MaxGroupBytes() int
}

// DeadLetters keeps what cannot be placed, so that nothing is dropped in silence.
type DeadLetters interface {
	// DeadLetter returns once raw is durable. reason is one of the Reason constants. raw is the event, or a JSON array of
	// all events of a delivery with that reason; it is about as long as Config.MaxBody at most, may hold ticket text, and
	// is not valid after the return. On an error the sender is answered 503. It is called by many goroutines at a time.
	DeadLetter(ctx context.Context, reason string, raw []byte) error
}

// Reasons for a dead letter; they are metric labels too.
const (
	ReasonMalformed   = "malformed"     // the body as a whole is not JSON; its first 64 KiB are kept
	ReasonNotObject   = "not_object"    // an element of the array is not an object
	ReasonNoEventType = "no_event_type" // an object without eventType that is no workflow notification either
	ReasonNoPayload   = "no_payload"    // an event whose payload is absent or no object
	ReasonBadTicketID = "bad_ticket_id" // a workflow notification whose ticket id is not a number
	ReasonForeignOrg  = "foreign_org"   // an event of another portal among events of this one
	ReasonTooLarge    = "too_large"     // an event larger than a group of the log
)

// Route is one pipeline's hook.
type Route struct {
	// Pipeline is the name in the URL and in metrics.
	Pipeline string
	// Secrets returns the accepted last parts of the URL (see Secret), the current one and those that are being rotated
	// out; shorter ones than Secret makes admit nobody. It is called for each request, by many goroutines at a time, and
	// must not block.
	Secrets func() []string
	// Learn, unless nil, is asked about a last part of the URL that is long enough and none of Secrets: true accepts the
	// request. Anybody can have it called, by many goroutines at a time; it must not block, and bounds its own work.
	Learn func(secret string) bool
	// OrgID is the portal whose events are taken.
	OrgID uint64
	// Proof says who sent a delivery; with nil only the URL does. One that is brought must be valid.
	Proof Proof
	// ProofRequired refuses what comes without one: events, and workflow notifications, which never have one. Validation
	// of the URL is answered all the same.
	ProofRequired bool
	Log           Log
	DeadLetters   DeadLetters
}

// secretLen is 26 characters of 5 bits.
const secretLen = 26

// Secret returns the last part of a hook URL: 26 characters of base32 in small letters, made of the first 130 bits of a
// message authentication code of at least 17 bytes. It panics when mac is shorter, because a guessable URL would follow.
func Secret(mac []byte) string {
	if len(mac)*8 < secretLen*5 {
		panic("webhook: the code for a hook secret is too short")
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac))[:secretLen]
}

// Path is the path of a hook URL.
func Path(pipeline, secret string) string { return "/hooks/" + pipeline + "/" + secret }

// splitPath is the inverse of Path.
func splitPath(path string) (pipeline, secret string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/hooks/")
	if !ok {
		return "", "", false
	}
	pipeline, secret, ok = strings.Cut(rest, "/")
	return pipeline, secret, ok && pipeline != "" && secret != "" && !strings.Contains(secret, "/")
}

func (r *Route) check() error {
	switch {
	case r.Pipeline == "" || strings.Contains(r.Pipeline, "/"):
		return fmt.Errorf("route %q: not a pipeline name", r.Pipeline)
	case r.OrgID == 0:
		return fmt.Errorf("route %s: no portal id", r.Pipeline)
	case r.Log == nil || r.DeadLetters == nil:
		return fmt.Errorf("route %s: no log or no dead letters", r.Pipeline)
	case r.Secrets == nil:
		return fmt.Errorf("route %s: no secrets", r.Pipeline)
	case r.ProofRequired && r.Proof == nil:
		return fmt.Errorf("route %s: a proof is required, and there is none to check", r.Pipeline)
	}
	return nil
}

// admits compares with every secret in constant time. What is too short to be a secret equals none.
func (r *Route) admits(secret string) bool {
	return len(secret) >= secretLen && (anyEqual(r.Secrets(), secret) || r.Learn != nil && r.Learn(secret))
}
