package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// tokenHeader carries a compact JWT signed with RS256 (WEBHOOKDOC).
const tokenHeader = "X-ZDesk-JWT"

// Outcomes of verify besides success. Their text names no claim, since claims are the sender's to write.
var (
	errNoToken      = errors.New("no token")
	errBadToken     = errors.New("token not valid")
	errForeignToken = errors.New("token of another portal or webhook")
	errNoKeys       = errors.New("signing keys not available")
)

const (
	maxTokenBytes = 8 << 10
	leeway        = time.Minute // clocks differ
)

// claims are those the intake looks at. Times are numbers; aud is a text or a list.
type claims struct {
	Issuer   string          `json:"iss"`
	Audience json.RawMessage `json:"aud"`
	Expires  json.Number     `json:"exp"`
}

// verify checks signature and claims of a token for a route. Every error wraps one of those above.
func (r *Route) verify(ctx context.Context, token string, now time.Time) error {
	if token == "" {
		return errNoToken
	}
	payload, err := verifySignature(ctx, r.Keys, token)
	if err != nil {
		return err
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return fmt.Errorf("%w: claims", errBadToken)
	}
	expires, ok := claimTime(c.Expires)
	if !ok || !now.Before(expires.Add(leeway)) {
		return fmt.Errorf("%w: expired", errBadToken)
	}
	if c.Issuer != "orgId:"+strconv.FormatUint(r.OrgID, 10) {
		return fmt.Errorf("%w: iss", errForeignToken)
	}
	if r.WebhookIDs == nil {
		return nil
	}
	if ids := r.WebhookIDs(); len(ids) > 0 && !c.isFor(ids) {
		return fmt.Errorf("%w: aud", errForeignToken)
	}
	return nil
}

// verifySignature returns the token's payload. Only RS256 is taken, whatever the header asks for, and only a key that was
// fetched from the route's own URL.
func verifySignature(ctx context.Context, keys KeySet, token string) ([]byte, error) {
	if len(token) > maxTokenBytes {
		return nil, fmt.Errorf("%w: too long", errBadToken)
	}
	kid, ok := keyID(token)
	if !ok {
		return nil, fmt.Errorf("%w: header", errBadToken)
	}
	key, err := keys.Key(ctx, kid)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return nil, fmt.Errorf("%w: %w", errBadToken, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errNoKeys, err)
	}
	payload, err := jws.Verify([]byte(token), jws.WithCompact(), jws.WithKey(jwa.RS256(), key))
	if err != nil {
		return nil, fmt.Errorf("%w: signature", errBadToken)
	}
	return payload, nil
}

// keyID reads the header of a compact token, refusing what Zoho does not send.
func keyID(token string) (string, bool) {
	message, err := jws.Parse([]byte(token), jws.WithCompact())
	if err != nil || len(message.Signatures()) != 1 {
		return "", false
	}
	header := message.Signatures()[0].ProtectedHeaders()
	alg, _ := header.Algorithm()
	kid, ok := header.KeyID()
	return kid, ok && kid != "" && alg == jwa.RS256() && !header.Has(jws.CriticalKey)
}

// claimTime reads seconds, or milliseconds above 1e11: WEBHOOKDOC says milliseconds, its example is in seconds.
func claimTime(n json.Number) (time.Time, bool) {
	f, err := n.Float64()
	if err != nil || math.IsNaN(f) || f <= 0 || f > 1e15 {
		return time.Time{}, false
	}
	if f > 1e11 {
		return time.UnixMilli(int64(f)), true
	}
	return time.Unix(int64(f), 0), true
}

// isFor reports whether aud names one of the webhooks.
func (c claims) isFor(ids []string) bool {
	var audience []string
	if json.Unmarshal(c.Audience, &audience) != nil {
		audience = make([]string, 1)
		if json.Unmarshal(c.Audience, &audience[0]) != nil {
			return false
		}
	}
	return slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(audience, "webhookId:"+id) })
}
