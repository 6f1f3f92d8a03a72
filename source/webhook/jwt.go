package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"
)

// tokenHeader carries a compact JWT signed with RS256 (WEBHOOKDOC).
const tokenHeader = "X-ZDesk-JWT"

const (
	leeway = time.Minute // clocks differ
	// maxLife bounds how far ahead exp may be. Zoho's tokens live for minutes (WEBHOOKDOC); a day is far above that, and
	// still ends what a captured token is good for.
	maxLife = 24 * time.Hour
	// maxAge bounds how long after iat a token is taken, whatever its exp says: a delivery that waited in Zoho's queue
	// is minutes old, and what is older than an hour is more likely replayed than late. Polls find what is refused.
	maxAge = time.Hour
)

// JWT is the proof of Zoho Desk: a token in X-ZDesk-JWT whose signature, portal, webhook and times are right. It does not
// cover the body, and deliveries within a second may share one (WEBHOOKDOC), so a token that is repeated within its time
// is not refused: what comes twice is harmless to the tables.
type JWT struct {
	// OrgID is the portal that iss must name.
	OrgID uint64
	// WebhookIDs returns the ids that aud may name, none while they are not known; then, or with a nil function, aud is
	// not checked. It is called for each delivery and must not block.
	WebhookIDs func() []string
	// Unknown, unless nil, is told of each valid token of this portal for a webhook that is not among WebhookIDs, which may
	// be out of date. It must not block.
	Unknown func()
	Keys    KeySet
	// Clock defaults to the real one.
	Clock clockwork.Clock
	// Met, unless nil, is told the unit of the times of each valid token, "seconds" or "milliseconds": WEBHOOKDOC says
	// milliseconds, its example is in seconds.
	Met func(unit string)
}

var _ Proof = (*JWT)(nil)

// InHeader implements Proof.
func (j *JWT) InHeader(ctx context.Context, h http.Header) error {
	tokens := h.Values(tokenHeader)
	switch {
	case len(tokens) == 0 || len(tokens) == 1 && tokens[0] == "":
		return ErrNoProof
	case len(tokens) > 1:
		return fmt.Errorf("%w: sent twice", ErrBadProof)
	}
	payload, err := j.signed(ctx, tokens[0])
	if err != nil {
		return err
	}
	return j.claims(payload)
}

// InBody implements Proof: the token is in a header.
func (j *JWT) InBody([]byte) error { return ErrNoProof }

// signed returns the payload of a token that one of the portal's keys signed.
func (j *JWT) signed(ctx context.Context, raw string) ([]byte, error) {
	t, err := splitToken(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadProof, err)
	}
	key, err := j.Keys.Key(ctx, t.kid)
	switch {
	case errors.Is(err, ErrUnknownKey):
		return nil, fmt.Errorf("%w: %w", ErrBadProof, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrCannotJudge, err)
	case !t.signedBy(key):
		return nil, fmt.Errorf("%w: signature", ErrBadProof)
	}
	return t.payload, nil
}

// claims checks what a signed token says: when it is valid, for which portal and for which webhook.
func (j *JWT) claims(payload []byte) error {
	claims, err := strictObject(payload)
	if err != nil {
		return fmt.Errorf("%w: claims", ErrBadProof)
	}
	unit, err := checkTimes(claims, j.now())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadProof, err)
	}
	if textOf(claims["iss"]) != "orgId:"+strconv.FormatUint(j.OrgID, 10) {
		return fmt.Errorf("%w: iss", ErrForeignProof)
	}
	if ids := j.ids(); len(ids) > 0 && !isFor(claims["aud"], ids) {
		if j.Unknown != nil {
			j.Unknown()
		}
		return fmt.Errorf("%w: aud", ErrForeignProof)
	}
	if j.Met != nil {
		j.Met(unit)
	}
	return nil
}

func (j *JWT) now() time.Time {
	if j.Clock == nil {
		return time.Now()
	}
	return j.Clock.Now()
}

func (j *JWT) ids() []string {
	if j.WebhookIDs == nil {
		return nil
	}
	return j.WebhookIDs()
}

// checkTimes demands exp, and holds iat and nbf against the clock where they are given.
func checkTimes(claims map[string]json.RawMessage, now time.Time) (unit string, err error) {
	expires, unit, ok := claimTime(claims["exp"])
	switch {
	case !ok || !now.Before(expires.Add(leeway)):
		return "", errors.New("expired")
	case expires.After(now.Add(maxLife)):
		return "", errors.New("expires too far ahead")
	}
	for _, name := range []string{"iat", "nbf"} {
		if claims[name] == nil || string(claims[name]) == "null" {
			continue
		}
		at, _, ok := claimTime(claims[name])
		if !ok || at.After(now.Add(leeway)) {
			return "", errors.New(name + " is no time or ahead")
		}
		if name == "iat" && now.After(at.Add(maxAge+leeway)) {
			return "", errors.New("issued too long ago")
		}
	}
	return unit, nil
}

// claimTime reads seconds, or milliseconds above 1e11 (a moment in 1973, or in the year 5138).
func claimTime(raw json.RawMessage) (at time.Time, unit string, ok bool) {
	f, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || math.IsNaN(f) || f <= 0 || f > 1e15 {
		return time.Time{}, "", false
	}
	if f > 1e11 {
		return time.UnixMilli(int64(f)), "milliseconds", true
	}
	return time.Unix(int64(f), 0), "seconds", true
}

// isFor reports whether aud, a text or a list, names one of the webhooks.
func isFor(aud json.RawMessage, ids []string) bool {
	var audience []string
	if json.Unmarshal(aud, &audience) != nil {
		audience = []string{textOf(aud)}
	}
	return slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(audience, "webhookId:"+id) })
}
