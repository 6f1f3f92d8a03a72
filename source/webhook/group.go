package webhook

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// groupFormat is the first byte of a group. A group is that byte and then records up to its end:
//
//	uvarint  length of what follows in this record
//	byte     Kind
//	byte     flags: 1 = verified
//	varint   Received in microseconds since 1970, 0 for none
//	uvarint  OrgID
//	uvarint  length of Type, Type
//	uvarint  length of EventTime, EventTime
//	         Raw, up to the end of the record
//
// Records stand alone, so groups are joined and split at their borders. Nothing is compressed here.
const groupFormat = 1

const flagVerified = 1

// EncodeGroup returns the stored form of events, in their order. DecodeGroup is its inverse, except that Received comes
// back in whole microseconds.
func EncodeGroup(events []Event) []byte {
	b := []byte{groupFormat}
	for _, e := range events {
		b = appendRecord(b, e)
	}
	return b
}

func appendRecord(b []byte, e Event) []byte {
	var head [5 + 3*binary.MaxVarintLen64]byte // kind, flags, three varints; Type and EventTime are measured apart
	h := append(head[:0], byte(e.Kind), 0)
	if e.Verified {
		h[1] = flagVerified
	}
	received := int64(0)
	if !e.Received.IsZero() {
		received = e.Received.UnixMicro()
	}
	h = binary.AppendVarint(h, received)
	h = binary.AppendUvarint(h, e.OrgID)
	size := len(h) + stringSize(e.Type) + stringSize(e.EventTime) + len(e.Raw)
	b = binary.AppendUvarint(b, uint64(size))
	b = append(b, h...)
	b = appendString(b, e.Type)
	b = appendString(b, e.EventTime)
	return append(b, e.Raw...)
}

func stringSize(s string) int {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], uint64(len(s))) + len(s)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errCutGroup = errors.New("cut short")

// DecodeGroup reads what EncodeGroup wrote. Raw of the events aliases group, which must not change afterwards. An error
// means that the group is damaged or was written by a newer release; no events are returned then.
func DecodeGroup(group []byte) ([]Event, error) {
	if len(group) == 0 {
		return nil, fmt.Errorf("decode group: %w", errCutGroup)
	}
	if group[0] != groupFormat {
		return nil, fmt.Errorf("decode group: format %d is not known to this release", group[0])
	}
	var events []Event
	for rest := group[1:]; len(rest) > 0; {
		record, after, err := cutBytes(rest)
		if err != nil {
			return nil, fmt.Errorf("decode group, event %d: %w", len(events), err)
		}
		e, err := decodeRecord(record)
		if err != nil {
			return nil, fmt.Errorf("decode group, event %d: %w", len(events), err)
		}
		events, rest = append(events, e), after
	}
	return events, nil
}

func decodeRecord(b []byte) (Event, error) {
	if len(b) < 2 {
		return Event{}, errCutGroup
	}
	e := Event{Kind: Kind(b[0]), Verified: b[1]&flagVerified != 0}
	if e.Kind != Delivered && e.Kind != Hint || b[1]&^flagVerified != 0 {
		return Event{}, fmt.Errorf("kind %d with flags %d is not known", b[0], b[1])
	}
	received, n := binary.Varint(b[2:])
	if n <= 0 {
		return Event{}, errCutGroup
	}
	if received != 0 {
		e.Received = time.UnixMicro(received).UTC()
	}
	b = b[2+n:]
	if e.OrgID, n = binary.Uvarint(b); n <= 0 {
		return Event{}, errCutGroup
	}
	eventType, b, err := cutBytes(b[n:])
	if err != nil {
		return Event{}, err
	}
	eventTime, raw, err := cutBytes(b)
	if err != nil {
		return Event{}, err
	}
	e.Type, e.EventTime, e.Raw = string(eventType), string(eventTime), raw
	return e, nil
}

// cutBytes reads a length and as many bytes.
func cutBytes(b []byte) (value, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, errCutGroup
	}
	end := n + int(size)
	return b[n:end:end], b[end:], nil
}
