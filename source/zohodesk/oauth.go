package zohodesk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"

	"deskhouse/source"
)

const (
	tokenTimeout = 30 * time.Second
	// renewMargin is how long before its end a token is renewed, at most half of
	// its life (Zoho: an hour).
	renewMargin = 5 * time.Minute
	// throttleWait: the throttle clears after 10 to 30 minutes of silence
	// (captures).
	throttleWait = 10 * time.Minute
	// catchAllWait keeps unexplained failures from using up the ten requests.
	catchAllWait = time.Minute
)

const opToken = "POST oauth/v2/token"

// oauth exchanges the refresh token for access tokens.
type oauth struct {
	accounts                  string
	clock                     clockwork.Clock
	clientID, secret, refresh string
}

// request makes one token request. The secrets are in the body, so no URL in
// any log has them.
func (o oauth) request(ctx context.Context, rt http.RoundTripper) (Token, *source.CallError) {
	ctx, cancel := withTimeout(ctx, o.clock, tokenTimeout)
	defer cancel()
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {o.clientID}, "client_secret": {o.secret},
		"refresh_token": {o.refresh}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.accounts+"/oauth/v2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return Token{}, &source.CallError{Fault: source.FaultInvalid, Op: opToken, Err: errors.New("accounts URL is not valid")}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "deskhouse")
	asked := o.clock.Now()
	res, err := rt.RoundTrip(req)
	if err != nil {
		return Token{}, &source.CallError{Fault: source.FaultRetry, Op: opToken, Err: cause(ctx, err)}
	}
	body, err := readBody(res, 1<<10)
	if err != nil {
		return Token{}, &source.CallError{Fault: source.FaultRetry, Op: opToken, Status: res.StatusCode, Err: fmt.Errorf("read reply: %w", cause(ctx, err))}
	}
	return tokenOf(res.StatusCode, body, asked)
}

// tokenReply is every answer of the token endpoint: errors come with status
// 200 as well, so only access_token decides (captures).
type tokenReply struct {
	AccessToken string          `json:"access_token"`
	ExpiresIn   json.RawMessage `json:"expires_in"`
	Scope       string          `json:"scope"`
	Error       string          `json:"error"`
	Description string          `json:"error_description"`
	Status      string          `json:"status"`
}

// tokenOf judges an answer. The token's life counts from when it was asked
// for.
func tokenOf(status int, body []byte, asked time.Time) (Token, *source.CallError) {
	var r tokenReply
	if err := decodeJSON(body, &r); err != nil {
		return Token{}, &source.CallError{Fault: source.FaultRetry, Op: opToken, Status: status,
			Err: errors.New("reply is no JSON (" + describe(reply{body: body}) + ")")}
	}
	if r.AccessToken == "" {
		return Token{}, tokenError(status, r)
	}
	life := time.Hour
	if n, ok := source.ParseInt(string(r.ExpiresIn)); ok && n > 0 {
		life = time.Duration(min(n, 24*3600)) * time.Second
	}
	expires := asked.UTC().Add(life)
	return Token{Access: r.AccessToken, Expires: expires, Renew: expires.Add(-min(renewMargin, life/2)), Scope: r.Scope}, nil
}

// tokenErrors are the codes with a meaning (captures, RFC 6749): all but
// general_error need a person.
var tokenErrors = map[string]string{
	"invalid_code":           "the refresh token was revoked, pushed out by newer ones, or belongs to another data centre; re-authorise: put a new refresh token into the configuration (the README says how)",
	"invalid_client":         "the client id is unknown here: check client_id, and data_center: a client of another data centre is unknown too",
	"invalid_client_secret":  "check client_secret: it may differ per data centre",
	"invalid_grant":          "the refresh token is not accepted; re-authorise: put a new refresh token into the configuration (the README says how)",
	"unauthorized_client":    "the client may not refresh tokens: check its type in the API console",
	"invalid_request":        "check client_id, client_secret and refresh_token for stray characters",
	"invalid_scope":          "re-authorise with the scopes that `deskhouse check` lists",
	"unsupported_grant_type": "the accounts URL is not Zoho's: check accounts_url",
}

// tokenError classifies an answer without a token. The throttle answers
// "Access Denied" with status "failure", with HTTP 400 or 200, its text
// localised on some data centres: so anything that is no code at all, or says
// failure, is taken for it.
func tokenError(status int, r tokenReply) *source.CallError {
	err := &source.CallError{Op: opToken, Status: status, Code: clip(r.Error, 60)}
	hint, known := tokenErrors[r.Error]
	switch {
	case known:
		err.Fault, err.Hint = source.FaultUnauthorized, hint
	case r.Error == "general_error" || status >= 500:
		err.Fault, err.Wait = source.FaultRetry, catchAllWait
	case status == http.StatusTooManyRequests || r.Status == "failure" || r.Error != "" && !isCode(r.Error):
		t := throttled(throttleWait, "zoho takes no token requests for a while")
		t.Status, t.Code = status, err.Code
		return t
	default:
		err.Fault, err.Wait = source.FaultRetry, catchAllWait
	}
	return err
}

func throttled(wait time.Duration, detail string) *source.CallError {
	return &source.CallError{Fault: source.FaultRetry, Op: opToken, Detail: detail, Wait: wait,
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

// isDial reports whether a request failed before it was sent.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
