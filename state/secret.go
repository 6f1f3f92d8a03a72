package state

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

const keyBytes = 32

// sealVersion is the first byte of a sealed value: AES-256-GCM, random nonce of 12 bytes in front, tag of 16 behind.
const sealVersion = 1

// secrets seals values and derives others, each under a sub-key of the state key, so that neither use tells anything
// about the other. GCM's random nonces are safe for 2^32 values under one key: a token an hour is nowhere near.
type secrets struct {
	aead   cipher.AEAD
	derive []byte
}

func newSecrets(key []byte) (*secrets, error) {
	seal, err := hkdf.Expand(sha256.New, key, "deskhouse state: seal", keyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive sealing key: %w", err)
	}
	derive, err := hkdf.Expand(sha256.New, key, "deskhouse state: derive", keyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive deriving key: %w", err)
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return &secrets{aead: aead, derive: derive}, nil
}

// seal binds the value to its key name: moved to another key it does not open.
func (x *secrets) seal(name string, value []byte) []byte {
	return x.aead.Seal([]byte{sealVersion}, nil, value, []byte(name))
}

func (x *secrets) open(name string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, fmt.Errorf("open secret %s: %w: not a sealed value", name, ErrCorrupt)
	}
	value, err := x.aead.Open(nil, nil, sealed[1:], []byte(name))
	if err != nil {
		return nil, fmt.Errorf("open secret %s: %w", name, ErrWrongKey)
	}
	return value, nil
}

// GetSecret is Get for a value written by PutSecret. ErrNoKey without a state key; ErrWrongKey or ErrCorrupt when the
// value does not open, in which case only a new authorisation helps.
func (s *Store) GetSecret(ctx context.Context, key string) (Entry, error) {
	if s.secrets == nil {
		return Entry{}, fmt.Errorf("read secret %s: %w", key, ErrNoKey)
	}
	e, err := s.Get(ctx, key)
	if err != nil {
		return Entry{}, err
	}
	if e.Value, err = s.secrets.open(key, e.Value); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// PutSecret is Put with the value encrypted under the state key. ErrNoKey without one.
func (s *Store) PutSecret(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if s.secrets == nil {
		return 0, fmt.Errorf("write secret %s: %w", key, ErrNoKey)
	}
	return s.Put(ctx, key, s.secrets.seal(key, value), revision)
}

// Derive returns 32 secret bytes that depend on nothing but the state key, the purpose and the parts, so that they
// survive the loss of the state folder. Parts are kept apart: ("a", "bc") and ("ab", "c") give different bytes. It panics
// when the store was opened without a key, because a secret derived from nothing could be guessed.
func (s *Store) Derive(purpose string, parts ...string) []byte {
	if s.secrets == nil {
		panic("state: Derive " + purpose + ": " + ErrNoKey.Error())
	}
	mac := hmac.New(sha256.New, s.secrets.derive)
	for _, p := range append([]string{purpose}, parts...) {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		mac.Write([]byte(p))
	}
	return mac.Sum(nil)
}

const (
	canaryKey   = metaPrefix + "canary"
	canaryValue = "deskhouse"
)

// checkKeyFits compares the state key with the one this state was made with, by a sealed value written on first use.
func (s *Store) checkKeyFits(ctx context.Context) error {
	if s.secrets == nil {
		return nil
	}
	e, err := s.get(ctx, canaryKey)
	if errors.Is(err, ErrNotFound) {
		if _, err = s.put(ctx, canaryKey, s.secrets.seal(canaryKey, []byte(canaryValue)), 0); !errors.Is(err, ErrConflict) {
			return err
		}
		e, err = s.get(ctx, canaryKey) // another process was first
	}
	if err != nil {
		return err
	}
	_, err = s.secrets.open(canaryKey, e.Value)
	return err
}
