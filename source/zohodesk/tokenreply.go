package zohodesk

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"deskhouse/source"
)

const (
	// renewMargin is how long before its end a token is renewed, at most half of
	// its life (Zoho: an hour).
	renewMargin = 5 * time.Minute
	// throttleWait: the throttle clears after 10 to 30 minutes of silence
	// (captures), so each further one in a row waits that much longer, up to
	// three times.
	throttleWait = 10 * time.Minute
	maxThrottles = 3
	// catchAllWait keeps unexplained failures from using up the ten requests.
	catchAllWait = time.Minute
)

// purpose is what a token request is for; the same code means different things.
type purpose int

const (
	forRefresh purpose = iota
	forExchange
)

// tokenReply is a granted token.
type tokenReply struct {
	access, refresh, scope string
	renew, expires         time.Time
}

// wireToken is every answer of the accounts server: errors come with status 200
// as well, so only access_token decides (captures).
type wireToken struct {
	AccessToken  string          `json:"access_token"`
	RefreshToken string          `json:"refresh_token"`
	ExpiresIn    json.RawMessage `json:"expires_in"`
	Scope        string          `json:"scope"`
	Error        string          `json:"error"`
	Status       string          `json:"status"`
}

// judge reads an answer of the token endpoint. The token's life counts from
// when it was asked for.
func (c credentials) judge(why purpose, status int, body []byte, asked time.Time) (tokenReply, *source.CallError) {
	var r wireToken
	if err := decodeJSON(body, &r); err != nil {
		return tokenReply{}, noJSON(opToken, status, body)
	}
	if r.AccessToken == "" {
		return tokenReply{}, c.refusal(why, status, r.Error, r.Status)
	}
	life := time.Hour
	if n, ok := source.ParseInt(string(r.ExpiresIn)); ok && n > 0 {
		life = time.Duration(min(n, 24*3600)) * time.Second
	}
	expires := asked.UTC().Add(life)
	return tokenReply{access: r.AccessToken, refresh: r.RefreshToken, scope: r.Scope, expires: expires, renew: expires.Add(-min(renewMargin, life/2))}, nil
}

// judgeRevoke reads an answer of the revocation endpoint ("status JSON":
// OAUTH-REV).
func (c credentials) judgeRevoke(status int, body []byte) *source.CallError {
	if status/100 == 2 && len(bytes.TrimSpace(body)) == 0 {
		return nil // RFC 7009, 2.2: the status decides
	}
	var r wireToken
	if err := decodeJSON(body, &r); err != nil {
		return noJSON(opRevoke, status, body)
	}
	switch {
	case r.Error == "" && status < 300 && r.Status != "failure":
		return nil
	case r.Error == "invalid_token" || r.Error == "invalid_code":
		return nil // dead already
	}
	err := c.refusal(forRefresh, status, r.Error, r.Status)
	err.Op = opRevoke
	return err
}

func noJSON(op string, status int, body []byte) *source.CallError {
	return &source.CallError{Fault: source.FaultRetry, Op: op, Status: status, Err: errors.New("reply is no JSON (" + describe(reply{body: body}) + ")")}
}

// tokenErrors are the codes with a meaning (captures, RFC 6749): what a person
// should do. {place} is the accounts server, {again} how to re-authorise. All
// but general_error need a person.
var tokenErrors = map[string]string{
	"invalid_code":           "the refresh token was revoked, pushed out by newer ones (Zoho keeps 20 per user and client) or belongs to another data centre than {place}; {again}",
	"invalid_client":         "the client id is unknown to {place}: check client_id, and data_center: a client of another data centre is unknown here",
	"invalid_client_secret":  "{place} knows the client id, but not this secret: check client_secret, it may differ per data centre",
	"invalid_grant":          "{place} does not accept the refresh token; {again}",
	"unauthorized_client":    "the client may not do this: check its type in the API console of {place}",
	"invalid_request":        "check client_id, client_secret and refresh_token for stray characters",
	"invalid_scope":          "authorise again with the scopes that `deskhouse check` lists",
	"unsupported_grant_type": "{place} does not speak Zoho's OAuth: check accounts_url and oauth.token_url",
}

// codeErrors are those that mean something else of a grant code.
var codeErrors = map[string]string{
	"invalid_code":         "the code was used before, is too old (codes live for minutes), or was made for another client, redirect URL or data centre than {place}: make a new one",
	"invalid_grant":        "{place} does not accept the code: make a new one",
	"invalid_request":      "check client_id, client_secret and the code for stray characters",
	"invalid_redirect_uri": "the redirect URL is not among those of the client in the API console of {place}",
}

func (c credentials) hint(why purpose, code string) (string, bool) {
	hint, known := tokenErrors[code]
	if special, ok := codeErrors[code]; ok && why == forExchange {
		hint, known = special, true
	}
	return strings.NewReplacer("{place}", c.endpoints.place, "{again}", c.again()).Replace(hint), known
}

// refusal classifies an answer without a token. The throttle answers "Access
// Denied" with status "failure", with HTTP 400 or 200, its text localised on
// some data centres: so anything that is no code at all, or says failure, is
// taken for it.
func (c credentials) refusal(why purpose, status int, code, failure string) *source.CallError {
	err := &source.CallError{Fault: source.FaultRetry, Op: opToken, Status: status, Code: clip(code, 60)}
	hint, known := c.hint(why, code)
	switch {
	case known:
		err.Fault, err.Hint = source.FaultUnauthorized, hint
	case code == "general_error" || status >= 500:
		err.Wait = catchAllWait
	case status == http.StatusTooManyRequests || failure == "failure" || code != "" && !isCode(code):
		err = throttled(throttleWait, "zoho takes no token requests for a while")
		err.Status, err.Code = status, clip(code, 60)
	default:
		err.Wait = catchAllWait
	}
	return err
}

// errThrottled marks the throttle among the retryable failures.
var errThrottled = errors.New("too many token requests")

func throttled(wait time.Duration, detail string) *source.CallError {
	return &source.CallError{Fault: source.FaultRetry, Op: opToken, Detail: detail, Wait: wait, Err: errThrottled,
		Hint: "something asks for tokens too often: is the same refresh token in use elsewhere?"}
}

// isCode tells a code (invalid_code) from a sentence.
func isCode(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}
