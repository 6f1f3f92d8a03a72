package state

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func testCodec(t testing.TB) *codec {
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func FuzzPackUnpack(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("a"))
	f.Add([]byte(strings.Repeat(`{"id":"1","subject":"s"},`, 100)))
	c := testCodec(f)
	f.Fuzz(func(t *testing.T, group []byte) {
		packed := c.pack(group)
		if len(packed) > len(group)+1 {
			t.Fatalf("%d bytes became %d", len(group), len(packed))
		}
		got, err := c.unpack(packed)
		if err != nil || !bytes.Equal(got, group) {
			t.Fatalf("got %d bytes, want %d, %v", len(got), len(group), err)
		}
	})
}

// FuzzUnpack: whatever is stored, unpacking ends with bytes or ErrCorrupt.
func FuzzUnpack(f *testing.F) {
	c := testCodec(f)
	f.Add([]byte{})
	f.Add([]byte{packedZstd})
	f.Add([]byte{7, 1, 2})
	f.Add(c.pack([]byte(strings.Repeat("abc", 1000)))[:20])
	f.Fuzz(func(t *testing.T, stored []byte) {
		if group, err := c.unpack(stored); err != nil && !errors.Is(err, ErrCorrupt) || len(group) > maxUnpacked {
			t.Fatalf("%d bytes, %v", len(group), err)
		}
	})
}

func TestJSONShrinks(t *testing.T) {
	group := []byte(strings.Repeat(`{"id":"31138000012345678","subject":"printer is on fire","status":"Open"},`, 100))
	if packed := testCodec(t).pack(group); len(packed) > len(group)/4 {
		t.Errorf("%d bytes became %d", len(group), len(packed))
	}
}

// A damaged message is told once, with its place, and does not stop the reader.
func TestReaderPassesDamage(t *testing.T) {
	s := openStore(t, embeddedConfig(t))
	l := openTestLog(t, s, "p")
	appendAll(t, l, "good")
	ack, err := s.js.Publish(testContext(t), l.subject, []byte{packedZstd, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, "good again")
	r := openReader(t, l, 0)
	expect(t, r, "good")
	m, err := r.Next(testContext(t))
	if !errors.Is(err, ErrCorrupt) || m.Seq != ack.Sequence || m.Time.IsZero() {
		t.Fatalf("damaged message: %+v, %v", m, err)
	}
	expect(t, r, "good again")
	if _, err := l.Get(testContext(t), ack.Sequence); !errors.Is(err, ErrCorrupt) {
		t.Errorf("get: %v", err)
	}
}
