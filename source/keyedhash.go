package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// hashBytes is how much of a keyed hash is kept: with 16 bytes two of 10^12
// values collide once in some 10^14 warehouses.
const hashBytes = 16

// keyedHash replaces values by HMAC-SHA-256 under one key. Nothing but the key
// and the value enters, so equal values of different columns and tables still
// join. Safe for concurrent use.
type keyedHash struct {
	id   string
	pool sync.Pool
}

func newKeyedHash(key []byte) *keyedHash {
	k := &keyedHash{pool: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
	k.id = k.of("\x00key id")[:8] // no value holds a NUL in front: they are trimmed, and texts of Zoho have none
	return k
}

// of is the hash of a text, 32 hex digits.
func (k *keyedHash) of(text string) string {
	h := k.pool.Get().(hash.Hash)
	defer k.pool.Put(h)
	h.Reset()
	_, _ = h.Write([]byte(text))
	var sum [sha256.Size]byte
	return hex.EncodeToString(h.Sum(sum[:0])[:hashBytes])
}

// value is the JSON that takes a value's place: its hash as a string, null for
// null, the empty text for one without anything but blanks, [] for an empty
// array, and for an array of ids or texts of the catalog that of its elements.
// Other arrays (of objects, labels of custom fields) are one text.
func (k *keyedHash) value(kind Kind, raw string) string {
	switch {
	case IsNull(raw):
		return "null"
	case raw[0] == '[' && strings.Trim(raw[1:], " \t\r\n") == "]":
		return "[]"
	case kind == KindIDs || kind == KindStrings:
		if texts, ok := ParseStrings(raw); ok {
			return k.list(texts)
		}
	}
	return k.text(plain(kind, raw))
}

func (k *keyedHash) list(texts []string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, t := range texts {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k.text(t))
	}
	b.WriteByte(']')
	return b.String()
}

func (k *keyedHash) text(text string) string {
	if text = strings.ToLower(strings.TrimSpace(text)); text == "" {
		return `""`
	}
	return `"` + k.of(text) + `"`
}

// plain is the one text of a value however it was sent: "7" and 7 are the same
// id, 100 and "100.0" the same price. Case and the blanks around a text do not
// count either, whatever the field: an address is the same in all columns.
func plain(kind Kind, raw string) string {
	switch kind {
	case KindDecimal:
		if d, ok := ParseDecimal(raw); ok && d.Exponent() > -1000 && d.Exponent() < 1000 {
			return d.String()
		}
	case KindTime:
		if ms, ok := ParseTime(raw); ok {
			return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
		}
	case KindBool:
		if on, ok := ParseBool(raw); ok {
			return map[bool]string{true: "true", false: "false"}[on]
		}
	}
	if text, ok := ParseString(raw); ok {
		return text
	}
	value := jsontext.Value(raw)
	if raw[0] == '{' || raw[0] == '[' {
		_ = value.Canonicalize(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) // else as sent
	}
	return string(value)
}

// isHashed reports whether a value is what value makes of one.
func isHashed(raw string) bool {
	if texts, ok := ParseStrings(raw); ok {
		return !slices.ContainsFunc(texts, func(t string) bool { return t != "" && !isHash(t) })
	}
	text, ok := ParseString(raw)
	return ok && isHash(text)
}

func isHash(text string) bool {
	return len(text) == 2*hashBytes && strings.Trim(text, "0123456789abcdef") == ""
}
