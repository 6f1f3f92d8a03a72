package clickhouse

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"
)

// What ClickHouse's JSON type does to values (26.7.3, seen; package tests repeat
// it). It refuses the whole block for a repeated key, broken UTF-8, a lone
// surrogate, an integer beyond 64 bits and a number beyond Float64. It changes
// without a word: an empty object vanishes, a key with a dot becomes two levels,
// a decimal becomes the nearest Float64, [true,1] becomes [1,1], [null] becomes
// [{}] beside other rows' objects, and arrays of different types depend on the
// server's version and settings. So only values
// that come back the same are put into a document; members that are null are
// left out at any depth.

// maxDocumentDepth bounds the nesting of one value: each level is a level of
// types on the server too.
const maxDocumentDepth = 32

// fitsDocument reports whether a JSON value, not null, comes back as it was
// sent.
func fitsDocument(raw string) bool {
	switch raw[0] {
	case '"':
		return fitsText(raw)
	case '[', '{':
		d := documentCheck{jsontext.NewDecoder(strings.NewReader(raw))}
		shape, ok := d.value(0)
		return ok && shape != emptyShape && !nothingButNulls(shape)
	case 't', 'f':
		return true
	}
	return fitsNumber(raw)
}

func fitsText(raw string) bool {
	if strings.IndexByte(raw, '\\') < 0 {
		return utf8.ValidString(raw)
	}
	_, err := jsontext.AppendUnquote(nil, raw)
	return err == nil
}

// fitsPath reports whether a key can be a step of a path: a dot would make two
// of it, and an empty one cannot be told from its neighbours.
func fitsPath(key string) bool {
	return key != "" && utf8.ValidString(key) && strings.IndexByte(key, '.') < 0
}

// fitsNumber reports whether a number is an integer of 64 bits, signed or not,
// or exactly what a Float64 shows.
func fitsNumber(raw string) bool {
	if isInteger(raw) {
		_, err := strconv.ParseInt(raw, 10, 64)
		if err == nil {
			return true
		}
		_, err = strconv.ParseUint(raw, 10, 64)
		return err == nil
	}
	if len(raw) > 40 {
		return false
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || math.IsInf(f, 0) {
		return false
	}
	sent, err := decimal.NewFromString(raw)
	if err != nil || !sent.IsZero() && (sent.Exponent() > 400 || sent.Exponent() < -400) {
		return false
	}
	if sent.IsZero() || f == 0 {
		return sent.IsZero() && f == 0
	}
	shown, err := decimal.NewFromString(strconv.FormatFloat(f, 'g', -1, 64))
	return err == nil && shown.Equal(sent)
}

func isInteger(raw string) bool { return !strings.ContainsAny(raw, ".eE") }

// The shapes of values: "[" and the elements' common shape for arrays, nothing
// behind it for an empty one. Elements must share one; null goes with all but
// objects and arrays, of which ClickHouse has no Nullable.
const (
	noShape     = ""
	nullShape   = "n"
	textShape   = "s"
	boolShape   = "b"
	intShape    = "i"
	floatShape  = "f"
	objectShape = "o"
	emptyShape  = "e" // an object of which nothing would be left
)

// documentCheck walks one value. Its decoder refuses repeated keys and broken
// UTF-8.
type documentCheck struct{ dec *jsontext.Decoder }

func (d documentCheck) value(depth int) (shape string, ok bool) {
	if depth > maxDocumentDepth {
		return "", false
	}
	switch d.dec.PeekKind() {
	case '{':
		return d.object(depth)
	case '[':
		return d.array(depth)
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		return "", false
	}
	switch raw.Kind() {
	case 'n':
		return nullShape, true
	case '"':
		return textShape, fitsText(string(raw))
	case 't', 'f':
		return boolShape, true
	}
	if isInteger(string(raw)) {
		return intShape, fitsNumber(string(raw))
	}
	return floatShape, fitsNumber(string(raw))
}

// object checks the members; one of nothing but nulls vanishes.
func (d documentCheck) object(depth int) (shape string, ok bool) {
	if _, err := d.dec.ReadToken(); err != nil {
		return "", false
	}
	shape = emptyShape
	for d.dec.PeekKind() != '}' {
		name, err := d.dec.ReadToken()
		if err != nil || !fitsPath(name.String()) {
			return "", false
		}
		member, ok := d.value(depth + 1)
		if !ok || member == emptyShape || nothingButNulls(member) {
			return "", false
		}
		if member != nullShape {
			shape = objectShape
		}
	}
	_, err := d.dec.ReadToken()
	return shape, err == nil
}

func (d documentCheck) array(depth int) (shape string, ok bool) {
	if _, err := d.dec.ReadToken(); err != nil {
		return "", false
	}
	common := noShape
	for d.dec.PeekKind() != ']' {
		element, ok := d.element(depth)
		if !ok {
			return "", false
		}
		if common, ok = together(common, element); !ok {
			return "", false
		}
	}
	_, err := d.dec.ReadToken()
	return "[" + common, err == nil
}

// element is a value in an array, where an empty object stays one and an
// integer has 63 bits: beside others it has their type.
func (d documentCheck) element(depth int) (shape string, ok bool) {
	if d.dec.PeekKind() == '0' {
		raw, err := d.dec.ReadValue()
		if err != nil || !isInteger(string(raw)) {
			return floatShape, err == nil && fitsNumber(string(raw))
		}
		_, err = strconv.ParseInt(string(raw), 10, 64)
		return intShape, err == nil
	}
	shape, ok = d.value(depth + 1)
	if shape == emptyShape {
		shape = objectShape
	}
	return shape, ok
}

// together is the shape of an array that holds both.
func together(a, b string) (string, bool) {
	switch {
	case a == b || b == noShape:
		return a, true
	case a == noShape:
		return b, true
	case a == nullShape && scalar(b):
		return b, true
	case b == nullShape && scalar(a):
		return a, true
	case a[0] == '[' && b[0] == '[':
		inner, ok := together(a[1:], b[1:])
		return "[" + inner, ok
	}
	return "", false
}

// nothingButNulls reports whether an array holds nulls alone: that takes the
// type of other rows of the block, [{}] where those have objects (26.7.3, seen).
func nothingButNulls(shape string) bool { return len(shape) > 1 && strings.HasSuffix(shape, nullShape) }

func scalar(shape string) bool {
	return shape == textShape || shape == boolShape || shape == intShape || shape == floatShape
}
