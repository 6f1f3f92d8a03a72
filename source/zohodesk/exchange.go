package zohodesk

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"deskhouse/source"
	"deskhouse/source/datacenter"
)

// AuthorizeURL is the page where a person consents, to be opened in a browser.
// Zoho then redirects to redirect with code, state, location and
// accounts-server (OAUTH-DC). Offline access and a forced consent are asked for:
// without them a second consent brings no refresh token.
func (c *Client) AuthorizeURL(redirect, state string) string {
	q := url.Values{"client_id": {c.tokens.creds.clientID}, "response_type": {"code"}, "scope": {strings.Join(Scopes(), ",")},
		"redirect_uri": {redirect}, "access_type": {"offline"}, "prompt": {"consent"}}
	if state != "" {
		q.Set("state", state)
	}
	return c.tokens.creds.endpoints.authorize + "?" + q.Encode()
}

// Exchange trades a grant code for tokens and stores them: calls go on at once,
// and a refresh token in the configuration is no longer used until it changes.
// redirect is the URL the code was sent to, "" for a self client's. A code
// works once and for minutes only. Where the connection works already, the new
// token must be its portal's, otherwise it is revoked again and nothing changes.
// The stored refresh token that it replaces is revoked; the configuration's never is.
// Errors are ctx's, the store's or a *source.CallError; none of them has the code.
func (c *Client) Exchange(ctx context.Context, code, redirect string) error {
	return c.ExchangeAt(ctx, "", code, redirect)
}

// ExchangeAt is Exchange at the accounts server that the redirect named in
// "accounts-server" (OAUTH-DC); "" is the connection's own. A server that is
// none of Zoho's is refused before anything is sent. One of another data centre
// than the configuration's serves where the connection does not work yet; the
// error then says which data_center to configure, and nothing else has to be done
// again. Where it works, the code is not sent.
func (c *Client) ExchangeAt(ctx context.Context, server, code, redirect string) error {
	at, err := c.tokens.creds.endpoints.exchangeURL(server)
	if err != nil {
		return err
	}
	code = strings.TrimSpace(code)
	if code == "" {
		return &source.CallError{Fault: source.FaultInvalid, Op: opToken, Err: errors.New("the grant code is empty")}
	}
	return c.tokens.exchange(ctx, c, at, code, redirect)
}

// exchangeURL is the token URL at an accounts server.
func (e endpoints) exchangeURL(server string) (string, error) {
	if server == "" || e.fixed {
		return e.token, nil
	}
	center, ok := datacenter.ByAccounts(server)
	if !ok {
		return "", &source.CallError{Fault: source.FaultInvalid, Op: opToken,
			Err: errors.New("the redirect names an accounts server that is none of Zoho's, so the code was not sent anywhere")}
	}
	return center.Accounts + tokenPath, nil
}

func (k *tokenKeeper) exchange(ctx context.Context, c *Client, at, code, redirect string) error {
	if err := k.enter(ctx); err != nil {
		return err
	}
	defer k.leave()
	if err := k.load(ctx); err != nil {
		return err
	}
	works := k.works()
	if works && at != k.creds.endpoints.token {
		return k.elsewhere(at)
	}
	// A store that does not take what is to come is noticed before the code is used up.
	if err := k.write(ctx, func(*Token) error { return nil }); err != nil {
		return fmt.Errorf("the code was not sent to Zoho and is as good as before: store the authorisation of connection %s: %w", k.creds.connection, err)
	}
	asked := k.clock.Now().UTC()
	got, failed := k.oauth.exchange(ctx, c.rt, at, code, redirect)
	switch {
	case ctx.Err() != nil && got.access == "":
		return context.Cause(ctx)
	case failed != nil:
		return failed
	case got.refresh == "":
		return &source.CallError{Fault: source.FaultInvalid, Op: opToken, Err: errors.New("zoho gave no refresh token"),
			Hint: "ask for the code with access_type=offline and prompt=consent, as `deskhouse auth login` does, or use a self client"}
	}
	if works {
		if err := c.seesPortal(ctx, got.access); err != nil {
			return k.giveBack(ctx, c.rt, got.refresh, err)
		}
	}
	var old Token
	err := k.write(ctx, func(t *Token) error {
		old = *t
		*t = Token{Access: got.access, Renew: got.renew, Expires: got.expires, Scope: got.scope, Obtained: asked,
			Refresh: got.refresh, Client: k.creds.client(), Server: at, ConfigSeen: first(k.creds.seen(), t.ConfigSeen),
			RefreshHash: k.creds.of(got.refresh), Throttled: t.Throttled}
		t.noted(asked)
		return nil
	})
	if err != nil {
		return fmt.Errorf("store the new authorisation of connection %s: %w", k.creds.connection, err)
	}
	k.log.Info().Strs("scopes", splitScopes(got.scope)).Msg("connection authorised")
	k.retire(ctx, c.rt, old, got.refresh)
	return k.misplaced()
}

// misplaced is why the tokens in hand serve no call, nil when they do.
func (k *tokenKeeper) misplaced() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.grant.problem == nil {
		return nil
	}
	err := *k.grant.problem
	err.Hint = "the tokens are stored; once the configuration names that data centre they are used"
	return &err
}
