package source

import (
	"encoding/binary"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json/jsontext"
)

// ParseObjects walks an array of objects and calls each for every element, in
// order: values are the JSON texts of the named members, "" for one that is
// absent; odd is "" or the text of an element that is no object. values is
// valid during the call only. whole is false when something was found that
// values does not show: an odd element, another key, or a key twice. ok is false
// when raw is no array.
func ParseObjects(raw string, elements []Element, each func(values []string, odd string)) (whole, ok bool) {
	if len(raw) < 2 || raw[0] != '[' {
		return false, false
	}
	if raw == "[]" {
		return true, true
	}
	w := objectWalk{raw: raw, elements: elements, values: make([]string, len(elements)), whole: true,
		dec: jsontext.NewDecoder(strings.NewReader(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	if _, err := w.dec.ReadToken(); err != nil {
		return false, false
	}
	for w.dec.PeekKind() != ']' {
		odd, err := w.element()
		if err != nil {
			return false, false
		}
		each(w.values, odd)
	}
	return w.whole, true
}

type objectWalk struct {
	raw      string
	dec      *jsontext.Decoder
	elements []Element
	values   []string
	whole    bool
}

// element reads the next element into values.
func (w *objectWalk) element() (odd string, err error) {
	clear(w.values)
	if w.dec.PeekKind() != '{' {
		w.whole = false
		return w.value()
	}
	if _, err := w.dec.ReadToken(); err != nil {
		return "", err
	}
	for w.dec.PeekKind() != '}' {
		name, err := w.dec.ReadToken()
		if err != nil {
			return "", err
		}
		i := w.index(name.String())
		text, err := w.value()
		if err != nil {
			return "", err
		}
		if i < 0 || w.values[i] != "" {
			w.whole = false
		}
		if i >= 0 {
			w.values[i] = text
		}
	}
	_, err = w.dec.ReadToken()
	return "", err
}

func (w *objectWalk) index(name string) int {
	for i := range w.elements {
		if w.elements[i].Name == name {
			return i
		}
	}
	return -1
}

// value passes the next value and returns its text.
func (w *objectWalk) value() (string, error) {
	v, err := w.dec.ReadValue()
	if err != nil {
		return "", err
	}
	end := int(w.dec.InputOffset())
	return w.raw[end-len(v) : end], nil
}

// hashObjects hashes an array of objects: the members in the catalog's order,
// whatever order they were sent in. Keys the catalog does not know do not count,
// as at the top of a record; what is no object, or no array, counts as sent.
func hashObjects(f *Field, raw string, foreign bool) uint64 {
	if raw == "[]" {
		return 0 // nearly always, so it costs nothing
	}
	buf := append(append([]byte(nil), f.Name...), 0)
	head := len(buf)
	_, ok := ParseObjects(raw, f.Elements, func(values []string, odd string) {
		if odd != "" {
			buf = appendSized(append(buf, 2), KindJSON, odd)
			return
		}
		for i, e := range f.Elements {
			switch {
			case e.Foreign && !foreign:
			case IsNull(values[i]):
				buf = append(buf, 0)
			default:
				buf = appendSized(append(buf, 1), e.Kind, values[i])
			}
		}
	})
	if !ok {
		buf = appendCanonicalJSON(buf[:head], raw)
	}
	if len(buf) == head {
		return 0
	}
	return xxhash.Sum64(buf)
}

// appendSized puts the length of a canonical value before it, so that the
// borders between values count.
func appendSized(buf []byte, kind Kind, raw string) []byte {
	at := len(buf)
	buf = appendCanonical(append(buf, 0, 0, 0, 0), kind, raw)
	binary.BigEndian.PutUint32(buf[at:], uint32(len(buf)-at-4))
	return buf
}
