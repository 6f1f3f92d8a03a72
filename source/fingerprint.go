package source

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json/jsontext"
)

// fingerprint sums a hash per own, non-null content value. A sum does not
// depend on the order of keys, and absent equals null by construction; the
// hash of each value is seeded with its field's name, so values cannot swap
// places unnoticed.
func fingerprint(r *Record) uint64 {
	var sum uint64
	for i := range r.Resource.Fields {
		f := &r.Resource.Fields[i]
		if f.Register != Content || f.Foreign || f.Kind == KindCustom || IsNull(r.Value(i)) {
			continue
		}
		sum += hashField(f, r.Value(i), false)
	}
	for _, m := range r.Custom {
		if !IsNull(m.Value) {
			sum += hashValue("cf."+m.Name, KindString, m.Value)
		}
	}
	return sum
}

// SideHash is the fingerprint's counterpart for the listed and detail
// registers. It covers every value, foreign ones too, since nothing else tells
// whether such a row must be written again.
func (r *Record) SideHash(reg Register) uint64 {
	var sum uint64
	for i := range r.Resource.Fields {
		f := &r.Resource.Fields[i]
		if f.Register == reg && !IsNull(r.Value(i)) {
			sum += hashField(f, r.Value(i), true)
		}
	}
	return sum
}

// hashField hashes a field's value; foreign says whether the names of other
// records inside an array of objects count.
func hashField(f *Field, raw string, foreign bool) uint64 {
	if f.Kind == KindObjects {
		return hashObjects(f, raw, foreign)
	}
	return hashValue(f.Name, f.Kind, raw)
}

// hashValue hashes one value in its canonical form: "100.0" and 100 are the
// same price, "7" and 7 the same counter. A value that does not fit its kind
// counts as sent. An empty array gives 0: it equals null, as in the warehouse.
func hashValue(name string, kind Kind, raw string) uint64 {
	var stack [512]byte
	buf := append(stack[:0], name...)
	buf = append(buf, 0)
	head := len(buf)
	buf = appendCanonical(buf, kind, raw)
	if len(buf) == head && (kind == KindIDs || kind == KindStrings || kind == KindJSON) {
		return 0
	}
	return xxhash.Sum64(buf)
}

func appendCanonical(buf []byte, kind Kind, raw string) []byte {
	switch kind {
	case KindID:
		if id, ok := ParseID(raw); ok {
			return binary.BigEndian.AppendUint64(buf, id)
		}
	case KindInt:
		if n, ok := ParseInt(raw); ok {
			return binary.BigEndian.AppendUint64(buf, uint64(n))
		}
	case KindBool:
		if on, ok := ParseBool(raw); ok {
			if on {
				return append(buf, 1)
			}
			return append(buf, 0)
		}
	case KindTime:
		if ms, ok := ParseTime(raw); ok {
			return binary.BigEndian.AppendUint64(buf, uint64(ms))
		}
	case KindDate:
		if d, ok := ParseDate(raw); ok {
			return binary.BigEndian.AppendUint32(buf, uint32(d))
		}
	case KindDecimal:
		if d, ok := ParseDecimal(raw); ok {
			return append(buf, d.String()...)
		}
	case KindIDs:
		if ids, ok := ParseIDs(raw); ok {
			for _, id := range ids {
				buf = binary.BigEndian.AppendUint64(buf, id)
			}
			return buf
		}
	case KindJSON, KindStrings:
		return appendCanonicalJSON(buf, raw)
	default:
		if text, ok := ParseString(raw); ok {
			return append(buf, text...)
		}
	}
	return append(buf, raw...)
}

func appendCanonicalJSON(buf []byte, raw string) []byte {
	if raw == "[]" || raw == "{}" {
		return buf
	}
	value := jsontext.Value(raw)
	if err := value.Canonicalize(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return append(buf, raw...)
	}
	return append(buf, value...)
}
