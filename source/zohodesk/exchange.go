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
// works once and for minutes only. Errors are ctx's, the store's or a
// *source.CallError; none of them has the code.
func (c *Client) Exchange(ctx context.Context, code, redirect string) error {
	return c.ExchangeAt(ctx, "", code, redirect)
}

// ExchangeAt is Exchange at the accounts server that the redirect named in
// "accounts-server" (OAUTH-DC); "" is the connection's own. A server that is
// none of Zoho's is refused before anything is sent. One of another data centre
// than the configuration's serves; the error then says which data_center to
// configure, and nothing else has to be done again.
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

// revokeURL is where a token is revoked: at the server that gave it.
func (e endpoints) revokeURL(t Token) string {
	if c, ok := datacenter.ByAccounts(strings.TrimSuffix(t.Server, tokenPath)); ok && t.Server != e.token && !e.fixed {
		return c.Accounts + tokenPath + "/revoke"
	}
	return e.revoke
}

func (k *keeper) exchange(ctx context.Context, c *Client, at, code, redirect string) error {
	if err := k.enter(ctx); err != nil {
		return err
	}
	defer k.leave()
	// A store that does not answer is noticed before the code is used up.
	if err := k.load(ctx); err != nil {
		return err
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
	err := k.write(ctx, func(t *Token) error {
		*t = Token{Access: got.access, Renew: got.renew, Expires: got.expires, Scope: got.scope, Obtained: asked,
			Refresh: got.refresh, Client: k.creds.client(), Server: at, ConfigSeen: t.ConfigSeen,
			RefreshHash: k.creds.of(got.refresh), Throttled: t.Throttled}
		t.noted(asked)
		return nil
	})
	if err != nil {
		return fmt.Errorf("store the new authorisation of connection %s: %w", k.creds.connection, err)
	}
	k.log.Info().Strs("scopes", splitScopes(got.scope)).Msg("connection authorised")
	return k.misplaced()
}

// misplaced is why the tokens in hand serve no call, nil when they do.
func (k *keeper) misplaced() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.grant.problem == nil {
		return nil
	}
	err := *k.grant.problem
	err.Hint = "the tokens are stored; once the configuration names that data centre they are used"
	return &err
}

// Revoke revokes the refresh token in use at Zoho, which ends its access tokens
// too, and notes it: calls are refused here afterwards, until the next Exchange
// or a new refresh token in the configuration. Repeating it is harmless. After
// an error nothing is noted, except that the store's may come after Zoho has
// revoked: repeat it.
func (c *Client) Revoke(ctx context.Context) error {
	k := c.tokens
	if err := k.enter(ctx); err != nil {
		return err
	}
	defer k.leave()
	if err := k.load(ctx); err != nil {
		return err
	}
	t, _ := k.copied()
	if !t.Revoked.IsZero() {
		return nil
	}
	token := first(t.Refresh, k.creds.refresh)
	if token == "" {
		return k.creds.without(StateNeeds, "there is no refresh token to revoke").problem
	}
	if err := k.oauth.revoke(ctx, c.rt, k.creds.endpoints.revokeURL(t), token); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	now := k.clock.Now().UTC()
	err := k.write(ctx, func(t *Token) error {
		*t = Token{Revoked: now, ConfigSeen: t.ConfigSeen, Obtained: t.Obtained, Throttled: t.Throttled}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note that the authorisation of connection %s is revoked: %w", k.creds.connection, err)
	}
	k.log.Info().Msg("authorisation revoked")
	return nil
}

// Forget drops what is stored of the connection, without a word to Zoho: the
// tokens live on there unless Revoke was called before. A refresh token in the
// configuration is used again by the next call.
func (c *Client) Forget(ctx context.Context) error {
	k := c.tokens
	if err := k.enter(ctx); err != nil {
		return err
	}
	defer k.leave()
	if err := k.store.DeleteToken(ctx); err != nil {
		return fmt.Errorf("forget the authorisation of connection %s: %w", k.creds.connection, err)
	}
	k.adopt(Token{}, 0, false)
	k.log.Info().Msg("stored authorisation forgotten")
	return nil
}
