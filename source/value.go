package source

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"
)

// The Parse functions read one JSON value as sent. All accept the quoted and
// the plain form; null, "" (absent) and values of another kind give ok=false.
// The caller tells null from misfit with IsNull.

// IsNull reports whether a value is absent or null.
func IsNull(raw string) bool { return raw == "" || raw == "null" }

// ParseString returns a JSON string's text. Numbers and booleans are not
// strings.
func ParseString(raw string) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	return string(text), err == nil
}

// bare strips the quotes of a scalar that may be quoted.
func bare(raw string) string {
	if len(raw) >= 2 && raw[0] == '"' {
		return raw[1 : len(raw)-1]
	}
	return raw
}

// ParseID returns an id: unsigned decimal digits.
func ParseID(raw string) (uint64, bool) {
	id, err := strconv.ParseUint(bare(raw), 10, 64)
	return id, err == nil
}

// ParseInt returns a signed integer.
func ParseInt(raw string) (int64, bool) {
	n, err := strconv.ParseInt(bare(raw), 10, 64)
	return n, err == nil
}

// ParseBool returns a boolean: true, false, their quoted forms, 1 and 0.
func ParseBool(raw string) (value, ok bool) {
	switch bare(raw) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

// ParseDecimal returns an exact decimal number.
func ParseDecimal(raw string) (decimal.Decimal, bool) {
	b := bare(raw)
	if b == "" || len(b) > 64 {
		return decimal.Decimal{}, false
	}
	d, err := decimal.NewFromString(b)
	return d, err == nil
}

// ParseTime returns an instant in milliseconds since the epoch. Zoho sends
// yyyy-MM-ddTHH:mm:ss.SSSZ; stale examples show epoch milliseconds, quoted or
// not, and offsets are accepted too.
func ParseTime(raw string) (int64, bool) {
	b := bare(raw)
	if ms, ok := fastTime(b); ok {
		return ms, true
	}
	if n, err := strconv.ParseInt(b, 10, 64); err == nil && n > 1e11 {
		return n, true
	}
	t, err := time.Parse(time.RFC3339Nano, b)
	if err != nil {
		return 0, false
	}
	return t.UnixMilli(), true
}

// fastTime reads exactly yyyy-MM-ddTHH:mm:ss.SSSZ.
func fastTime(b string) (int64, bool) {
	if len(b) != 24 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[19] != '.' || b[23] != 'Z' {
		return 0, false
	}
	var n [7]int
	for i, f := range [7][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}, {20, 23}} {
		for _, c := range []byte(b[f[0]:f[1]]) {
			if c < '0' || c > '9' {
				return 0, false
			}
			n[i] = n[i]*10 + int(c-'0')
		}
	}
	if n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > 31 || n[3] > 23 || n[4] > 59 || n[5] > 59 {
		return 0, false
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], n[6]*int(time.Millisecond), time.UTC)
	if t.Day() != n[2] {
		return 0, false
	}
	return t.UnixMilli(), true
}

// ParseDate returns a calendar day as days since 1970-01-01. An instant is
// accepted when it is midnight UTC.
func ParseDate(raw string) (int32, bool) {
	b := bare(raw)
	if len(b) > 10 && strings.HasPrefix(b[10:], "T00:00:00") {
		b = b[:10]
	}
	t, err := time.Parse(time.DateOnly, b)
	if err != nil {
		return 0, false
	}
	return int32(t.Unix() / 86400), true
}

// ParseStrings returns the elements of an array of strings; numbers are taken
// as their text. ok is false when the value is no array or an element is an
// object, array or null.
func ParseStrings(raw string) ([]string, bool) {
	if len(raw) < 2 || raw[0] != '[' {
		return nil, false
	}
	dec := jsontext.NewDecoder(strings.NewReader(raw))
	if _, err := dec.ReadToken(); err != nil {
		return nil, false
	}
	out := []string{}
	for dec.PeekKind() != ']' {
		tok, err := dec.ReadToken()
		if err != nil || tok.Kind() != '"' && tok.Kind() != '0' {
			return nil, false
		}
		out = append(out, tok.String())
	}
	return out, true
}

// ParseIDs returns the elements of an array of ids.
func ParseIDs(raw string) ([]uint64, bool) {
	if raw == "[]" {
		return []uint64{}, true
	}
	texts, ok := ParseStrings(raw)
	if !ok {
		return nil, false
	}
	ids := make([]uint64, len(texts))
	for i, t := range texts {
		id, ok := ParseID(t)
		if !ok {
			return nil, false
		}
		ids[i] = id
	}
	return ids, true
}
