package zohodesk

import (
	"context"
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

const tokenTimeout = 30 * time.Second

const (
	opToken  = "POST oauth/v2/token"
	opRevoke = "POST oauth/v2/token/revoke"
)

// oauth speaks to the accounts server. It keeps nothing.
type oauth struct {
	clock clockwork.Clock
	creds credentials
}

// refresh asks for an access token.
func (o oauth) refresh(ctx context.Context, rt http.RoundTripper, refresh string) (tokenReply, *source.CallError) {
	asked := o.clock.Now()
	status, body, err := o.post(ctx, rt, opToken, o.creds.endpoints.refresh, url.Values{"grant_type": {"refresh_token"},
		"client_id": {o.creds.clientID}, "client_secret": {o.creds.secret}, "refresh_token": {refresh}})
	if err != nil {
		return tokenReply{}, err
	}
	return o.creds.judge(forRefresh, status, body, asked)
}

// exchange trades a code at a token URL. redirect is "" for a self client's.
func (o oauth) exchange(ctx context.Context, rt http.RoundTripper, at, code, redirect string) (tokenReply, *source.CallError) {
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {o.creds.clientID}, "client_secret": {o.creds.secret}, "code": {code}}
	if redirect != "" {
		form.Set("redirect_uri", redirect)
	}
	asked := o.clock.Now()
	status, body, err := o.post(ctx, rt, opToken, at, form)
	if err != nil {
		return tokenReply{}, err
	}
	return o.creds.judge(forExchange, status, body, asked)
}

// revoke ends a refresh token with its access tokens. One that Zoho does not
// know any more is revoked as well.
func (o oauth) revoke(ctx context.Context, rt http.RoundTripper, at, token string) *source.CallError {
	status, body, err := o.post(ctx, rt, opRevoke, at, url.Values{"token": {token}})
	if err != nil {
		return err
	}
	return o.creds.judgeRevoke(status, body)
}

// post makes one request. The secrets are in the body, so no URL in any log has
// them (Zoho takes both: captures).
func (o oauth) post(ctx context.Context, rt http.RoundTripper, op, to string, form url.Values) (int, []byte, *source.CallError) {
	ctx, cancel := withTimeout(ctx, o.clock, tokenTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, &source.CallError{Fault: source.FaultInvalid, Op: op, Err: errors.New("the URL of the accounts server is not valid")}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "deskhouse")
	res, err := rt.RoundTrip(req)
	if err != nil {
		return 0, nil, &source.CallError{Fault: source.FaultRetry, Op: op, Err: cause(ctx, err)}
	}
	body, err := readBody(res, 1<<10)
	if err != nil {
		return 0, nil, &source.CallError{Fault: source.FaultRetry, Op: op, Status: res.StatusCode, Err: fmt.Errorf("read reply: %w", cause(ctx, err))}
	}
	return res.StatusCode, body, nil
}

// isDial reports whether a request failed before it was sent.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
