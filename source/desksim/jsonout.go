package desksim

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// object writes one JSON object onto a byte slice, member by member, without reflection. Keys are written as they are
// and must need no escaping.
type object struct {
	b    []byte
	some bool
}

// openObject starts an object at the end of b; close gives the grown slice back.
func openObject(b []byte) object { return object{b: append(b, '{')} }

func (o *object) close() []byte { return append(o.b, '}') }

func (o *object) key(k string) {
	if o.some {
		o.b = append(o.b, ',')
	}
	o.some = true
	o.b = append(o.b, '"')
	o.b = append(o.b, k...)
	o.b = append(o.b, '"', ':')
}

func (o *object) null(k string) {
	o.key(k)
	o.b = append(o.b, "null"...)
}

// plain writes a string known to need no escaping.
func (o *object) plain(k, v string) {
	o.key(k)
	o.b = append(o.b, '"')
	o.b = append(o.b, v...)
	o.b = append(o.b, '"')
}

// plainOrNull is plain, with null for the empty string.
func (o *object) plainOrNull(k, v string) {
	if v == "" {
		o.null(k)
		return
	}
	o.plain(k, v)
}

func (o *object) text(k, v string) {
	o.key(k)
	o.b = appendQuoted(o.b, v)
}

func (o *object) textOrNull(k string, v *string) {
	if v == nil {
		o.null(k)
		return
	}
	o.text(k, *v)
}

func (o *object) boolean(k string, v bool) {
	o.key(k)
	o.b = strconv.AppendBool(o.b, v)
}

// count writes a number in quotes, as captures show ids and counters.
func (o *object) count(k string, v uint64) {
	o.key(k)
	o.b = append(o.b, '"')
	o.b = strconv.AppendUint(o.b, v, 10)
	o.b = append(o.b, '"')
}

// id is count, with null for zero.
func (o *object) id(k string, v uint64) {
	if v == 0 {
		o.null(k)
		return
	}
	o.count(k, v)
}

func (o *object) ids(k string, vs []uint64) {
	o.key(k)
	o.b = append(o.b, '[')
	for i, v := range vs {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = append(o.b, '"')
		o.b = strconv.AppendUint(o.b, v, 10)
		o.b = append(o.b, '"')
	}
	o.b = append(o.b, ']')
}

func (o *object) number(k string, v int64) {
	o.key(k)
	o.b = strconv.AppendInt(o.b, v, 10)
}

// time writes a unix second as Zoho does, null for zero.
func (o *object) time(k string, unix int64) {
	if unix == 0 {
		o.null(k)
		return
	}
	o.key(k)
	o.b = append(o.b, '"')
	o.b = appendTime(o.b, unix)
	o.b = append(o.b, '"')
}

// date writes the day of a unix second, null for zero.
func (o *object) date(k string, unix int64) {
	if unix == 0 {
		o.null(k)
		return
	}
	o.key(k)
	o.b = append(o.b, '"')
	o.b = appendDate(o.b, time.Unix(unix, 0).UTC())
	o.b = append(o.b, '"')
}

func (o *object) raw(k string, v []byte) {
	o.key(k)
	o.b = append(o.b, v...)
}

// appendTime writes yyyy-MM-ddTHH:mm:ss.000Z: captures always show zero milliseconds.
func appendTime(b []byte, unix int64) []byte {
	t := time.Unix(unix, 0).UTC()
	b = appendDate(b, t)
	h, m, s := t.Clock()
	b = append(b, 'T')
	b = appendTwo(b, h)
	b = append(b, ':')
	b = appendTwo(b, m)
	b = append(b, ':')
	b = appendTwo(b, s)
	return append(b, ".000Z"...)
}

func appendDate(b []byte, t time.Time) []byte {
	y, m, d := t.Date()
	b = appendTwo(b, y/100)
	b = appendTwo(b, y%100)
	b = append(b, '-')
	b = appendTwo(b, int(m))
	b = append(b, '-')
	return appendTwo(b, d)
}

func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10%10), byte('0'+n%10)) }

const hexDigits = "0123456789abcdef"

// appendQuoted writes s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
