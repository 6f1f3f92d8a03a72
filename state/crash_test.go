package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// crashCopy is the folder as a kill would leave it at this moment: what the server wrote, without its good-bye.
func crashCopy(t *testing.T, cfg Config) Config {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = copied
	return cfg
}

// A deleted key that was written several times must not come back with an older value.
func TestDeletedKeysStayDeletedAfterACrash(t *testing.T) {
	cfg := embeddedConfig(t)
	s, ctx := openStore(t, cfg), testContext(t)
	for i := range 20 {
		key := fmt.Sprintf("reread.%d", i)
		rev, err := s.Put(ctx, key, []byte("queued"), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.Put(ctx, key, []byte("tried once"), rev); err != nil {
			t.Fatal(err)
		}
		if _, err = s.Set(ctx, key, []byte("tried twice")); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if err := s.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
	}
	again := openStore(t, crashCopy(t, cfg))
	for i := range 20 {
		e, err := again.Get(ctx, fmt.Sprintf("reread.%d", i))
		switch {
		case i%2 == 0 && !errors.Is(err, ErrNotFound):
			t.Errorf("deleted key %d is back as %q, %v", i, e.Value, err)
		case i%2 == 1 && (err != nil || string(e.Value) != "tried twice"):
			t.Errorf("key %d is %q, %v", i, e.Value, err)
		}
	}
}

// A purge is not undone, and the numbering goes on, also when everything was purged.
func TestPurgeSurvivesACrash(t *testing.T) {
	cfg := embeddedConfig(t)
	s, ctx := openStore(t, cfg), testContext(t)
	part, whole := openTestLog(t, s, "part"), openTestLog(t, s, "whole")
	kept := appendAll(t, part, numbered(10)...)
	gone := appendAll(t, whole, numbered(10)...)
	if err := part.Purge(ctx, kept[4]); err != nil {
		t.Fatal(err)
	}
	if err := whole.Purge(ctx, gone[9]); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, crashCopy(t, cfg))
	part, whole = openTestLog(t, again, "part"), openTestLog(t, again, "whole")
	expect(t, openReader(t, part, 0), numbered(10)[5:]...)
	if next := appendAll(t, whole, "next"); next[0] != gone[9]+1 {
		t.Errorf("numbering went from %d to %d", gone[9], next[0])
	}
}

// The size of the bucket's files follows what is in it, not what passed through.
func TestKeysThatComeAndGoLeaveNoMarkers(t *testing.T) {
	s, ctx := openStore(t, embeddedConfig(t)), testContext(t)
	for i := range 50 {
		key := fmt.Sprintf("reread.%d", i)
		if _, err := s.Set(ctx, key, []byte("a")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Set(ctx, key, []byte("b")); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(ctx, key); err != nil {
			t.Fatal(err)
		}
	}
	info, err := s.kvStream.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(2); info.State.Msgs != want { // format and canary
		t.Errorf("%d messages in the bucket, want %d", info.State.Msgs, want)
	}
}
