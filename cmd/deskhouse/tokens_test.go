package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source/zohodesk"
	"deskhouse/state"
)

func TestTokensInTheState(t *testing.T) {
	ctx := t.Context()
	store, err := state.Open(ctx, state.Config{URL: state.EmbeddedURL, Dir: t.TempDir(), Key: make([]byte, 32), Logger: zerolog.Nop(), Clock: clockwork.NewRealClock()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	kept := tokens{store, "main"}
	if _, revision, err := kept.LoadToken(ctx); err != nil || revision != 0 {
		t.Fatalf("nothing stored: revision %d, %v", revision, err)
	}
	token := zohodesk.Token{Access: "hush-access", Refresh: "hush-refresh", Expires: time.Unix(1000, 0).UTC(), Requests: []time.Time{time.Unix(900, 0).UTC()}}
	first, err := kept.SaveToken(ctx, token, 0)
	if err != nil || first == 0 {
		t.Fatal(first, err)
	}
	if sealed, err := store.Get(ctx, "token.main"); err != nil || strings.Contains(string(sealed.Value), "hush") {
		t.Errorf("stored in the clear, or not at all: %v", err)
	}
	got, revision, err := kept.LoadToken(ctx)
	if err != nil || revision != first || got.Access != token.Access || got.Refresh != token.Refresh || !got.Expires.Equal(token.Expires) || len(got.Requests) != 1 {
		t.Errorf("loaded revision %d, %v, %v", revision, got, err)
	}
	second, err := kept.SaveToken(ctx, token, first)
	if err != nil {
		t.Fatal(err)
	}
	for name, stale := range map[string]uint64{"the revision before": first, "as if nothing were stored": 0} {
		if _, err := kept.SaveToken(ctx, token, stale); !errors.Is(err, zohodesk.ErrTokenConflict) {
			t.Errorf("%s: %v, want a conflict", name, err)
		}
	}
	if err := errors.Join(kept.DeleteToken(ctx), kept.DeleteToken(ctx)); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.SaveToken(ctx, token, second); !errors.Is(err, zohodesk.ErrTokenConflict) {
		t.Errorf("over what was deleted: %v, want a conflict", err)
	}
	if _, err := kept.SaveToken(ctx, token, 0); err != nil {
		t.Errorf("anew: %v", err)
	}
}

// What no key opens may be overwritten; its content is never told.
func TestUnreadableTokensMayBeOverwritten(t *testing.T) {
	ctx := t.Context()
	store, err := state.Open(ctx, state.Config{URL: state.EmbeddedURL, Dir: t.TempDir(), Key: make([]byte, 32), Logger: zerolog.Nop(), Clock: clockwork.NewRealClock()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	kept := tokens{store, "main"}
	for name, put := range map[string]func() (uint64, error){
		"not sealed": func() (uint64, error) { return store.Set(ctx, "token.main", []byte("hush")) },
		"no JSON": func() (uint64, error) {
			e, _ := store.Get(ctx, "token.main")
			return store.PutSecret(ctx, "token.main", []byte(`{"Access":hush}`), e.Revision)
		},
	} {
		want, err := put()
		if err != nil {
			t.Fatal(err)
		}
		_, revision, err := kept.LoadToken(ctx)
		if !errors.Is(err, zohodesk.ErrTokenUnreadable) || revision != want || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: revision %d, %v", name, revision, err)
		}
		if _, err := kept.SaveToken(ctx, zohodesk.Token{Access: "a"}, revision); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
