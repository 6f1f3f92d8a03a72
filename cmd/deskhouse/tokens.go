package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"deskhouse/config"
	"deskhouse/source/zohodesk"
	"deskhouse/state"
)

// tokens is state as zohodesk.TokenStore: sealed, one key a connection, written
// only over the revision that was read.
type tokens struct {
	store *state.Store
	name  string
}

var _ zohodesk.TokenStore = tokens{}

func (t tokens) key() string { return "token." + t.name }

// LoadToken tells what will never be readable (another state key, a damaged
// value) from a store that does not answer: the former may be overwritten.
func (t tokens) LoadToken(ctx context.Context) (zohodesk.Token, uint64, error) {
	var token zohodesk.Token
	e, err := t.store.GetSecret(ctx, t.key())
	switch {
	case errors.Is(err, state.ErrNotFound):
		return token, 0, nil
	case errors.Is(err, state.ErrWrongKey) || errors.Is(err, state.ErrCorrupt):
		sealed, readErr := t.store.Get(ctx, t.key())
		if readErr != nil {
			return token, 0, readErr
		}
		return token, sealed.Revision, fmt.Errorf("%w: %w", zohodesk.ErrTokenUnreadable, err)
	case err != nil:
		return token, 0, err
	}
	if err := json.Unmarshal(e.Value, &token); err != nil {
		// The decoder's error may quote the value.
		return zohodesk.Token{}, e.Revision, fmt.Errorf("%w: key %s holds no token", zohodesk.ErrTokenUnreadable, t.key())
	}
	return token, e.Revision, nil
}

func (t tokens) SaveToken(ctx context.Context, token zohodesk.Token, revision uint64) (uint64, error) {
	value, err := json.Marshal(token)
	if err != nil {
		return 0, err
	}
	next, err := t.store.PutSecret(ctx, t.key(), value, revision)
	if errors.Is(err, state.ErrConflict) {
		return 0, fmt.Errorf("%w: %w", zohodesk.ErrTokenConflict, err)
	}
	return next, err
}

func (t tokens) DeleteToken(ctx context.Context) error { return t.store.Delete(ctx, t.key()) }

func oauthURLs(o config.OAuth) zohodesk.OAuthURLs {
	return zohodesk.OAuthURLs{Authorize: o.AuthorizeURL, Token: o.TokenURL, Refresh: o.RefreshURL, Revoke: o.RevokeURL}
}
