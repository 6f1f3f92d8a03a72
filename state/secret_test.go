package state

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func testSecrets(t *testing.T, key []byte) *Store {
	x, err := newSecrets(key)
	if err != nil {
		t.Fatal(err)
	}
	return &Store{secrets: x}
}

// The value is pinned: webhook URLs at Zoho are made of it, so a release that changes it breaks every installation.
func TestDeriveIsStable(t *testing.T) {
	got := hex.EncodeToString(testSecrets(t, testKey(1)).Derive("webhook", "support", "1"))
	if want := "c829be23728e8fcb44e79080231f6bbffad371925f7805abf11863b0831ff29b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDeriveKeepsPartsApart(t *testing.T) {
	s, other := testSecrets(t, testKey(1)), testSecrets(t, testKey(2))
	seen := map[string]string{}
	for name, b := range map[string][]byte{
		"plain":        s.Derive("p", "a", "bc"),
		"shifted":      s.Derive("p", "ab", "c"),
		"joined":       s.Derive("p", "abc"),
		"empty part":   s.Derive("p", "a", "bc", ""),
		"other order":  s.Derive("p", "bc", "a"),
		"into purpose": s.Derive("pa", "bc"),
		"other key":    other.Derive("p", "a", "bc"),
	} {
		if len(b) != 32 {
			t.Errorf("%s: %d bytes", name, len(b))
		}
		if twin, ok := seen[string(b)]; ok {
			t.Errorf("%s and %s derive the same", name, twin)
		}
		seen[string(b)] = name
	}
}

func TestSealingIsRandomisedAndTamperProof(t *testing.T) {
	x := testSecrets(t, testKey(1)).secrets
	one, two := x.seal("token.a", []byte("v")), x.seal("token.a", []byte("v"))
	if bytes.Equal(one, two) {
		t.Error("sealed twice alike")
	}
	for i := range one {
		bad := bytes.Clone(one)
		bad[i] ^= 1
		if _, err := x.open("token.a", bad); err == nil {
			t.Errorf("byte %d changed, still opens", i)
		}
	}
	for n := range one {
		if _, err := x.open("token.a", one[:n]); err == nil {
			t.Errorf("cut to %d bytes, still opens", n)
		}
	}
}
