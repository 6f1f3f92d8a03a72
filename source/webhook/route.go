package webhook

import (
	"context"
	"crypto/subtle"
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

// Mode is what is asked of the X-ZDesk-JWT header.
type Mode string

// The modes, spelt as in the config.
const (
	JWTOff       Mode = "off"        // the header is ignored
	JWTIfPresent Mode = "if-present" // a token must be valid, but may be missing
	JWTRequired  Mode = "required"   // events without a valid token are refused, workflow notifications with them
)

// Route is one pipeline's hook.
type Route struct {
	// Pipeline is the name in the URL and in metrics.
	Pipeline string
	// Secrets are the accepted last parts of the URL (see Secret), the current one and those that are being rotated out.
	Secrets []string
	// OrgID is the portal whose events are taken.
	OrgID uint64
	// WebhookIDs returns the ids that a token's aud may name, none while they are not known yet; then, or with a nil
	// function, aud is not checked. It is called for each delivery, by many goroutines at a time, and must not block.
	WebhookIDs func() []string
	// JWT defaults to JWTIfPresent.
	JWT Mode
	// Keys finds Zoho's signing keys; needed unless JWT is JWTOff.
	Keys        KeySet
	Log         Log
	DeadLetters DeadLetters
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
	case r.JWT != JWTOff && r.JWT != JWTIfPresent && r.JWT != JWTRequired:
		return fmt.Errorf("route %s: unknown JWT mode %q", r.Pipeline, r.JWT)
	case r.JWT != JWTOff && r.Keys == nil:
		return fmt.Errorf("route %s: no keys to check JWTs with", r.Pipeline)
	}
	for _, s := range r.Secrets {
		if len(s) < secretLen {
			return fmt.Errorf("route %s: a secret is shorter than %d characters", r.Pipeline, secretLen)
		}
	}
	return nil
}

// admits compares with every secret in constant time.
func (r *Route) admits(secret string) bool {
	found := 0
	for _, s := range r.Secrets {
		found |= subtle.ConstantTimeCompare([]byte(s), []byte(secret))
	}
	return found == 1
}
