package zohodesk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"deskhouse/source"
	"deskhouse/source/datacenter"
)

// An authorisation that works is not given up for one that does not: what a
// consent brought is proven first. Where none works, the tokens are kept as they
// are, because correcting the configuration may be all that is left to do.

// works reports whether there is something to lose: a refresh token in use that
// Zoho has not refused, or a stored one that the configuration's, not proven yet,
// keeps from use.
func (k *tokenKeeper) works() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.grant.trial {
		return k.token.Refresh != ""
	}
	state, _ := k.creds.stands(k.token, k.grant, k.clock.Now())
	return state == StateConnected
}

// elsewhere refuses a code of another data centre than the one that works. It
// was not sent anywhere.
func (k *tokenKeeper) elsewhere(at string) error {
	given := placeOf(strings.TrimSuffix(at, tokenPath))
	hint := "nothing was changed and the code was not used; "
	if c, ok := datacenter.ByAccounts(strings.TrimSuffix(at, tokenPath)); ok {
		hint += "if the portal has moved set data_center: " + c.Name + ", otherwise "
	}
	return &source.CallError{Fault: source.FaultInvalid, Op: opToken, Hint: hint + "give the consent as a user of " + k.creds.endpoints.place,
		Detail: "the consent was given at " + given + ", but the connection works with " + k.creds.endpoints.place}
}

const (
	proofTries   = 3
	proofTimeout = 20 * time.Second
)

// seesPortal asks with an access token that is not in use yet whether it is the
// connection's portal's: whether the user belongs to it, and whether the token is
// bound to it, for /organizations lists all of the user's. It does not wait for
// credits: a person waits.
func (c *Client) seesPortal(ctx context.Context, access string) error {
	ctx, cancel := withTimeout(ctx, c.clock, proofTimeout)
	defer cancel()
	var seen []Organization
	if err := c.prove(ctx, listOrganizations(&seen), access); err != nil {
		return fmt.Errorf("whether the new token is the portal's cannot be told: %w", err)
	}
	if err := c.isAmong(seen); err != nil {
		return err
	}
	err := c.prove(ctx, oneDepartment(), access)
	switch {
	case err == nil || source.IsFault(err, source.FaultForbidden):
		return nil // what it may not do is told by check
	case ofOtherPortal(err):
		return &source.CallError{Fault: source.FaultInvalid, Op: opToken, Hint: "choose the right portal at the consent, or correct org_id",
			Detail: "the consent was given for another portal than org_id " + c.orgID + "; the user's portals are " + PortalNames(seen)}
	}
	return fmt.Errorf("whether the new token is the portal's cannot be told: %w", err)
}

// prove makes a call with a token that is not in use yet, a few times if need be.
func (c *Client) prove(ctx context.Context, cl *call, access string) error {
	waits := c.newBackOff()
	for try := 1; ; try++ {
		r, _, err := c.ask(ctx, cl, access)
		if err == nil {
			err = c.decode(cl, r)
		}
		if err == nil || try == proofTries || source.IsFault(err, source.FaultForbidden) || ofOtherPortal(err) {
			return err
		}
		if err := sleep(ctx, c.clock, waits.NextBackOff()); err != nil {
			return err
		}
	}
}

// oneDepartment is a cheap call that Zoho answers only for the portal that a
// token is bound to. A portal has at least one department.
func oneDepartment() *call {
	return &call{endpoint: "departments", method: "GET", path: "departments", query: url.Values{"limit": {"1"}},
		priority: source.ForReread, weight: weightOfList(0)}
}

func ofOtherPortal(err error) bool {
	var failed *source.CallError
	return errors.As(err, &failed) && failed.Code == "OAUTH_ORG_MISMATCH"
}

func (c *Client) isAmong(seen []Organization) error {
	for _, o := range seen {
		if formatID(o.ID) == c.orgID {
			return nil
		}
	}
	return &source.CallError{Fault: source.FaultInvalid, Op: opToken, Hint: "choose the right portal at the consent, or correct org_id",
		Detail: "the consent was given for another portal: org_id is " + c.orgID + ", but the new token sees " + PortalNames(seen)}
}

// giveBack revokes a new refresh token that is not taken, so that it does not
// count against the twenty that Zoho keeps for a user (OAUTH-LIM).
func (k *tokenKeeper) giveBack(ctx context.Context, rt http.RoundTripper, refresh string, why error) error {
	ctx, cancel := withTimeout(context.WithoutCancel(ctx), k.clock, saveTimeout)
	defer cancel()
	const kept = "the connection stays authorised as it was"
	if err := k.oauth.revoke(ctx, rt, k.creds.endpoints.revoke, refresh); err != nil {
		return errors.Join(fmt.Errorf("%w; %s", why, kept), fmt.Errorf("revoke the new token, which is not used: %w", err))
	}
	return fmt.Errorf("%w; %s, and the new token was revoked", why, kept)
}

// retire revokes the stored refresh token that a new one has replaced, so that a
// later Revoke leaves none alive. The configuration's is its owner's to revoke.
func (k *tokenKeeper) retire(ctx context.Context, rt http.RoundTripper, old Token, by string) {
	if old.Refresh == "" || old.Refresh == by || old.Refresh == k.creds.refresh {
		return
	}
	ctx, cancel := withTimeout(context.WithoutCancel(ctx), k.clock, saveTimeout)
	defer cancel()
	if err := k.oauth.revoke(ctx, rt, k.creds.endpoints.revokeURL(old.Server), old.Refresh); err != nil {
		k.log.Warn().Err(err).Msg("the refresh token that was replaced is not used any more, but could not be revoked")
	}
}
