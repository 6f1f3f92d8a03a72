package state

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func putIsCompareAndSet(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	if _, err := s.Get(ctx, "ckpt.a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("get of a missing key: %v", err)
	}
	if _, err := s.Put(ctx, "ckpt.a", []byte("0"), 7); !errors.Is(err, ErrConflict) {
		t.Fatalf("update of a missing key: %v", err)
	}
	one, err := s.Put(ctx, "ckpt.a", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "ckpt.a", []byte("x"), 0); !errors.Is(err, ErrConflict) {
		t.Fatalf("create over an existing key: %v", err)
	}
	two, err := s.Put(ctx, "ckpt.a", []byte("2"), one)
	if err != nil || two <= one {
		t.Fatalf("update: revision %d after %d, %v", two, one, err)
	}
	if _, err := s.Put(ctx, "ckpt.a", []byte("x"), one); !errors.Is(err, ErrConflict) {
		t.Fatalf("update of an old revision: %v", err)
	}
	e, err := s.Get(ctx, "ckpt.a")
	if err != nil || string(e.Value) != "2" || e.Revision != two || e.Key != "ckpt.a" {
		t.Fatalf("got %+v, %v", e, err)
	}
}

func setAndDelete(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	first, err := s.Set(ctx, "run.1", []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Set(ctx, "run.1", []byte("b"))
	if err != nil || second <= first {
		t.Fatalf("revision %d after %d, %v", second, first, err)
	}
	for range 2 {
		if err := s.Delete(ctx, "run.1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(ctx, "run.1"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("after delete: %v", err)
	}
}

func deletedKeyCanBeMadeAgain(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	old, err := s.Put(ctx, "reread.p.1", []byte("a"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "reread.p.1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "reread.p.1", []byte("b"), old); !errors.Is(err, ErrConflict) {
		t.Fatalf("update of a deleted key: %v", err)
	}
	again, err := s.Put(ctx, "reread.p.1", []byte("b"), 0)
	if err != nil || again <= old {
		t.Fatalf("revision %d after %d, %v", again, old, err)
	}
}

func listByPrefix(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	for _, key := range []string{"range.b.2", "range.b.10", "range.a.1", "range.bb.1", "ranges.b.1", "range.b.gone", "token.c"} {
		if _, err := s.Put(ctx, key, []byte(key), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(ctx, "range.b.gone"); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string][]string{
		"range.b.": {"range.b.10", "range.b.2"},
		"range.b":  {"range.b.10", "range.b.2", "range.bb.1"},
		"token.c":  {"token.c"},
		"none.":    {},
		"":         {"range.a.1", "range.b.10", "range.b.2", "range.bb.1", "ranges.b.1", "token.c"},
	} {
		got, err := s.List(ctx, prefix)
		if err != nil {
			t.Fatal(err)
		}
		keys := []string{}
		for _, e := range got {
			keys = append(keys, e.Key)
			if string(e.Value) != e.Key || e.Revision == 0 {
				t.Errorf("list %q: %+v", prefix, e)
			}
		}
		if !slices.Equal(keys, want) {
			t.Errorf("list %q: got %v, want %v", prefix, keys, want)
		}
	}
}

func badNames(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	for _, key := range []string{"", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "ä", "a\nb", formatKey, canaryKey} {
		_, get := s.Get(ctx, key)
		_, put := s.Put(ctx, key, nil, 0)
		_, set := s.Set(ctx, key, nil)
		for op, err := range map[string]error{"get": get, "put": put, "set": set, "delete": s.Delete(ctx, key)} {
			if !errors.Is(err, ErrInvalidName) {
				t.Errorf("%s %q: %v", op, key, err)
			}
		}
	}
	for _, pipeline := range []string{"", "a.b", "a b", "a*", "../x", "ä"} {
		if _, err := s.Log(ctx, pipeline); !errors.Is(err, ErrInvalidName) {
			t.Errorf("log of %q: %v", pipeline, err)
		}
	}
}

func tooLarge(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	l := openTestLog(t, s, "p")
	if _, err := l.Append(ctx, make([]byte, l.MaxGroupBytes()+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("append: %v", err)
	}
	if _, err := s.Set(ctx, "run.big", make([]byte, l.MaxGroupBytes()+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("set: %v", err)
	}
}

func secretsOpenOnlyWithKey(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	rev, err := s.PutSecret(ctx, "token.main", []byte("refresh-me"), 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.Get(ctx, "token.main")
	if err != nil || bytes.Contains(raw.Value, []byte("refresh-me")) {
		t.Fatalf("stored in clear, or %v", err)
	}
	e, err := s.GetSecret(ctx, "token.main")
	if err != nil || string(e.Value) != "refresh-me" || e.Revision != rev {
		t.Fatalf("got revision %d, %v", e.Revision, err)
	}
	if _, err := s.PutSecret(ctx, "token.main", []byte("x"), rev+1); !errors.Is(err, ErrConflict) {
		t.Errorf("secret at a wrong revision: %v", err)
	}
	if _, err := s.Set(ctx, "token.other", raw.Value); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetSecret(ctx, "token.other"); !errors.Is(err, ErrWrongKey) {
		t.Errorf("secret moved to another name: %v", err)
	}
	if _, err := s.Set(ctx, "token.clear", []byte("never sealed")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetSecret(ctx, "token.clear"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("value that was never sealed: %v", err)
	}
}

func wrongKeyAtOpen(t *testing.T, cfg Config) {
	s := openStore(t, cfg)
	want := s.Derive("webhook", "p", "1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.Key = testKey(2)
	if _, err := Open(testContext(t), other); !errors.Is(err, ErrWrongKey) {
		t.Fatalf("open with another key: %v", err)
	}
	again := openStore(t, cfg) // and the right one still opens it
	if !bytes.Equal(again.Derive("webhook", "p", "1"), want) {
		t.Error("a derived secret changed over a restart")
	}
}

func noKey(t *testing.T, cfg Config) {
	cfg.Key = nil
	s, ctx := openStore(t, cfg), testContext(t)
	if _, err := s.PutSecret(ctx, "token.a", nil, 0); !errors.Is(err, ErrNoKey) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.GetSecret(ctx, "token.a"); !errors.Is(err, ErrNoKey) {
		t.Errorf("get: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("derived a secret from nothing")
		}
	}()
	s.Derive("webhook")
}

func newerFormat(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	if _, err := s.kv.Put(ctx, formatKey, []byte("2")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, cfg); !errors.Is(err, ErrNewerFormat) {
		t.Fatalf("open: %v", err)
	}
}
