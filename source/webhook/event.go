package webhook

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is what an event is evidence of. The numbers are stored.
type Kind uint8

const (
	// Delivered is an event of a Zoho webhook: its payload is the state of a record.
	Delivered Kind = 1
	// Hint is a workflow notification: a ticket's id, never content. The ticket has to be read again.
	Hint Kind = 2
)

// Event is one element of a delivery, as it came.
type Event struct {
	// Received is this machine's clock, UTC, microseconds; for display of latency only, never for order.
	Received time.Time
	Kind     Kind
	// Type is Zoho's eventType, or what a workflow gave as `event`, which may be empty. Unknown types are possible.
	Type string
	// EventTime is eventTime as sent, empty when there is none; Decode reads it.
	EventTime string
	// OrgID is the portal, the route's own where the event names none.
	OrgID uint64
	// Verified says that the route's Proof was satisfied. It proves the sender, not the content (WEBHOOKDOC: the token
	// does not cover the body).
	Verified bool
	// Raw is the whole event object as JSON.
	Raw jsontext.Value
}

// Payload is what Decode finds inside an event. Its values alias Event.Raw.
type Payload struct {
	// TimeMS is the event's time on Zoho's clock in milliseconds since 1970, 0 when it is not given or not readable.
	TimeMS int64
	// TicketID is the ticket of a Hint, 0 for a Delivered event.
	TicketID uint64
	// Record is the `payload` object, nil for a Hint.
	Record jsontext.Value
	// Prev is the `prevState` object, nil when there is none.
	Prev jsontext.Value
}

// Decode reads Raw. An error means that Raw is not what the intake accepts; the caller makes a dead letter of it.
func (e Event) Decode() (Payload, error) {
	env, err := scan(e.Raw)
	if err != nil {
		return Payload{}, fmt.Errorf("decode event: %w", err)
	}
	p := Payload{TimeMS: eventMillis(e.EventTime)}
	switch e.Kind {
	case Hint:
		id, ok := env.hintID()
		if !ok {
			return Payload{}, errors.New("decode event: no ticket id")
		}
		p.TicketID = id
	case Delivered:
		if env.payload.Kind() != '{' {
			return Payload{}, errors.New("decode event: no payload")
		}
		p.Record = env.payload
		if env.prevState.Kind() == '{' {
			p.Prev = env.prevState
		}
	default:
		return Payload{}, fmt.Errorf("decode event: unknown kind %d", e.Kind)
	}
	return p, nil
}

// ID returns the id inside Record, or TicketID. An error means that there is none, or that it is not a number.
func (p Payload) ID() (uint64, error) {
	if p.Record == nil {
		return p.TicketID, nil
	}
	env, err := scan(p.Record)
	if err != nil {
		return 0, fmt.Errorf("read id of payload: %w", err)
	}
	id, ok := parseID(env.id)
	if !ok {
		return 0, errors.New("read id of payload: not a number")
	}
	return id, nil
}

// eventMillis recognises the unit by its size, since the pages say milliseconds and examples disagree. In the years 1973
// to 5138 seconds stay below 1e11, milliseconds between 1e11 and 1e14, microseconds between 1e14 and 1e17.
func eventMillis(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = unusualTime(s)
	}
	switch {
	case n <= 0 || n >= 1e17:
		return 0
	case n < 1e11:
		return n * 1000
	case n < 1e14:
		return n
	}
	return n / 1000
}

// unusualTime reads 1.789e12 and RFC 3339, 0 for anything else.
func unusualTime(s string) int64 {
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1e17 {
		return int64(f)
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UnixMilli()
	}
	return 0
}

// parseID reads a Zoho id: quoted or plain digits.
func parseID(s string) (uint64, bool) {
	id, err := strconv.ParseUint(s, 10, 64)
	return id, err == nil && id > 0
}
