package config

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a set secret prints as; one that is not set prints as nothing.
const redacted = "[redacted]"

// Secret is a string that shows itself only through Reveal. It prints as "[redacted]" with every verb of fmt, in JSON,
// YAML, zerolog and slog. The value sits behind a pointer, so that even printing a struct which holds a Secret in an
// unexported field, where fmt calls no methods, shows an address only. The zero Secret is empty. Safe to copy and share;
// compare with Equal or Reveal, not with ==.
type Secret struct{ value *string }

// NewSecret hides s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: &s}
}

// Reveal returns the hidden string. Hand it only to the party it is for.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is nothing to hide.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal reports whether both hide the same string.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String returns "[redacted]", or "" for an empty Secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format writes String for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText serves JSON (and with it zerolog's Interface), and maps keyed by a Secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML serves goccy/go-yaml, which would otherwise read the struct.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue serves log/slog, which other libraries may use.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
)
