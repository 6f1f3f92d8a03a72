package zohodesk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"deskhouse/source/datacenter"
)

// Revoke revokes the refresh token in use at Zoho, which ends its access tokens
// too, and notes it: calls are refused here afterwards, until the next Exchange
// or a new refresh token in the configuration. Where state and configuration
// have one each, both are revoked, for the other would be next. One that another
// process brought meanwhile is left and serves on: Authorisation tells. Repeating
// it is harmless. After an error nothing is noted, though Zoho may have revoked:
// repeat it.
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
	if _, g := k.creds.pick(t); g.state == StateRevoked {
		return nil
	}
	revoked, err := k.revoke(ctx, c.rt, t)
	if err != nil {
		return err
	}
	now := k.clock.Now().UTC()
	err = k.write(ctx, func(t *Token) error {
		if _, g := k.creds.pick(*t); g.refresh != "" && !slices.Contains(revoked, g.refresh) {
			return errOvertaken
		}
		*t = Token{Revoked: now, ConfigSeen: first(k.creds.seen(), t.ConfigSeen), Obtained: t.Obtained, Throttled: t.Throttled}
		return nil
	})
	switch {
	case errors.Is(err, errOvertaken):
		k.log.Warn().Msg("authorisation revoked; another process has authorised the connection anew meanwhile, and that one serves on")
		return nil
	case err != nil:
		return fmt.Errorf("note that the authorisation of connection %s is revoked: %w", k.creds.connection, err)
	}
	k.log.Info().Msg("authorisation revoked")
	return nil
}

// revoke revokes whatever refresh tokens there are, each at the server that gave
// it, and returns them.
func (k *tokenKeeper) revoke(ctx context.Context, rt http.RoundTripper, t Token) (revoked []string, err error) {
	for _, one := range []struct{ at, token string }{
		{k.creds.endpoints.revokeURL(t.Server), t.Refresh}, {k.creds.endpoints.revoke, k.creds.refresh},
	} {
		if one.token == "" || slices.Contains(revoked, one.token) {
			continue
		}
		if err := k.oauth.revoke(ctx, rt, one.at, one.token); err != nil {
			if ctx.Err() != nil {
				return revoked, context.Cause(ctx)
			}
			return revoked, err
		}
		revoked = append(revoked, one.token)
	}
	if revoked == nil {
		return nil, k.creds.without(StateNeeds, "there is no refresh token to revoke").problem
	}
	return revoked, nil
}

// revokeURL is where a token is revoked: at the server whose token URL gave it.
func (e endpoints) revokeURL(gaveIt string) string {
	if c, ok := datacenter.ByAccounts(strings.TrimSuffix(gaveIt, tokenPath)); ok && gaveIt != e.token && !e.fixed {
		return c.Accounts + tokenPath + "/revoke"
	}
	return e.revoke
}

// Forget drops what is stored of the connection, without a word to Zoho: the
// tokens live on there unless Revoke was called before. A refresh token in the
// configuration is used again by the next call; how often it was used lately is
// remembered here.
func (c *Client) Forget(ctx context.Context) error {
	k := c.tokens
	if err := k.enter(ctx); err != nil {
		return err
	}
	defer k.leave()
	if err := k.store.DeleteToken(ctx); err != nil {
		return fmt.Errorf("forget the authorisation of connection %s: %w", k.creds.connection, err)
	}
	t, _ := k.copied()
	k.adopt(Token{RefreshHash: t.RefreshHash, Requests: t.Requests, Throttled: t.Throttled}, 0, true)
	k.log.Info().Msg("stored authorisation forgotten")
	return nil
}
