package webhook

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
)

// Proof shows that a delivery comes from the sender that was subscribed, beyond the secret in the URL. Each sender has its
// own way, so a route is given one. Safe for concurrent use; it must not block on anything but its context.
//
// Both methods return nil when the sender is proven, otherwise an error that wraps one of the four below. Error texts
// quote nothing of the request: they are logged.
type Proof interface {
	// InHeader judges a request before anything of its body is read.
	InHeader(ctx context.Context, h http.Header) error
	// InBody judges the whole body of a request of which InHeader said ErrNoProof.
	InBody(body []byte) error
}

// What a Proof can say besides nil.
var (
	// ErrNoProof: the request carries none. A sender that validates the URL brings none either; of the rest
	// Route.ProofRequired decides.
	ErrNoProof = errors.New("no proof of the sender")
	// ErrBadProof: it carries one that is not valid; answered 401.
	ErrBadProof = errors.New("token not valid")
	// ErrForeignProof: a valid one of another portal or another subscription; answered 403.
	ErrForeignProof = errors.New("token of another portal or webhook")
	// ErrCannotJudge: the means to judge it are not at hand, which is not the sender's fault; answered 503 where a proof is
	// required, and taken for ErrNoProof where not.
	ErrCannotJudge = errors.New("signing keys not available")
)

// EchoedToken is the proof of senders that repeat, as the member "token" of every event, what they were given when they
// were subscribed (Zoho CRM's notification channels: at most 50 characters). Unlike a signature it does not expire, so it
// is as secret as the URL.
type EchoedToken struct {
	// Tokens are the accepted ones, those that are being rotated out included. Called for each delivery.
	Tokens func() []string
}

var _ Proof = EchoedToken{}

// InHeader implements Proof: the token is in the body.
func (EchoedToken) InHeader(context.Context, http.Header) error { return ErrNoProof }

// InBody implements Proof. Of an array every element must carry the token.
func (e EchoedToken) InBody(body []byte) error {
	raws, _, err := elements(body)
	if err != nil {
		return ErrNoProof // what it is instead, the intake says
	}
	proven := 0
	for _, raw := range raws {
		env, err := scan(raw)
		if err != nil || env.token == "" {
			continue
		}
		if !anyEqual(e.Tokens(), env.token) {
			return ErrBadProof
		}
		proven++
	}
	if proven == 0 || proven < len(raws) {
		return ErrNoProof
	}
	return nil
}

// anyEqual compares with every secret in constant time. An empty secret equals nothing.
func anyEqual(secrets []string, given string) bool {
	found := 0
	for _, s := range secrets {
		if s != "" {
			found |= subtle.ConstantTimeCompare([]byte(s), []byte(given))
		}
	}
	return found == 1
}
