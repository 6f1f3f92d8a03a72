package webhook

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// contents is a delivery taken apart. events and batch hold the same events in the order of the body.
type contents struct {
	events  []Event
	batch   *batch
	bad     map[string][]jsontext.Value // by reason
	foreign int
}

// joined makes one dead letter of the bad events of a delivery: the event, or an array of several, which is a body again.
func joined(raws []jsontext.Value) []byte {
	if len(raws) == 1 {
		return raws[0]
	}
	b := []byte{'['}
	for i, raw := range raws {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, bytes.TrimSpace(raw)...)
	}
	return append(b, ']')
}

// sort decides about each element by itself, so that one bad event does not spoil the others.
func (d *delivery) sort(raws []jsontext.Value, array bool) contents {
	c := contents{batch: newBatch(), bad: make(map[string][]jsontext.Value)}
	most := d.route.Log.MaxGroupBytes() - 1 // the format's byte
	for _, raw := range raws {
		e, reason := d.event(raw, array)
		if reason == "" && !c.batch.add(e, most) {
			reason = ReasonTooLarge
		}
		if reason == ReasonForeignOrg {
			c.foreign++
		}
		if reason != "" {
			c.bad[reason] = append(c.bad[reason], raw)
			continue
		}
		c.events = append(c.events, e)
	}
	return c
}

// event reads one element; reason says why it is none.
func (d *delivery) event(raw jsontext.Value, array bool) (e Event, reason string) {
	env, err := scan(raw)
	if err != nil {
		return Event{}, ReasonNotObject
	}
	e = Event{Received: d.started, Kind: Delivered, Type: env.eventType, EventTime: env.eventTime, OrgID: d.route.OrgID, Verified: d.proof == nil, Raw: raw}
	if env.orgGiven {
		// An id that cannot be read is not this portal's.
		if id, ok := parseID(env.orgID); !ok || id != d.route.OrgID {
			return Event{}, ReasonForeignOrg
		}
	}
	switch {
	case env.eventType == "" && !array && d.proof != nil && env.isHint():
		return hintEvent(e, env)
	case env.eventType == "":
		return Event{}, ReasonNoEventType
	case env.payload.Kind() != '{':
		return Event{}, ReasonNoPayload
	}
	return e, ""
}

// hintEvent makes a hint of a workflow notification, whatever else is in the object.
func hintEvent(e Event, env envelope) (Event, string) {
	if _, ok := env.hintID(); !ok {
		return Event{}, ReasonBadTicketID
	}
	e.Kind, e.Type = Hint, env.workflow
	return e, ""
}
