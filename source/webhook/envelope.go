package webhook

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// lenient takes what real portals send: two custom fields with one label give an object with a name twice, and text cut
// in the middle of a character is no reason to lose an event.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// envelope holds the members of an event object that the intake looks at. Text members are "" when they are absent, null
// or neither text nor number.
type envelope struct {
	eventType, eventTime   string
	orgID                  string
	orgGiven               bool
	payload, prevState     jsontext.Value
	ticketID, id, workflow string
	ticketGiven            bool
	token                  string // echoed, see EchoedToken
}

// hintID is the ticket that a workflow notification names.
func (e envelope) hintID() (uint64, bool) {
	if e.ticketGiven {
		return parseID(e.ticketID)
	}
	return parseID(e.id)
}

// isHint reports whether the object could be a workflow notification, readable or not.
func (e envelope) isHint() bool { return e.ticketGiven || e.id != "" }

var errNotObject = errors.New("not an object")

// scan reads the members of one JSON object without decoding what is inside them. The values alias raw.
func scan(raw []byte) (envelope, error) {
	var e envelope
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), lenient...)
	first, err := dec.ReadToken()
	if err != nil {
		return e, err
	}
	if first.Kind() != '{' {
		return e, errNotObject
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return e, err
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return e, err
		}
		e.set(key, aliased(raw, dec, value))
	}
	if _, err := dec.ReadToken(); err != nil {
		return e, err
	}
	return e, atEnd(dec)
}

func (e *envelope) set(key string, value jsontext.Value) {
	switch key {
	case "eventType":
		e.eventType = text(value)
	case "eventTime":
		e.eventTime = text(value)
	case "orgId":
		e.orgID, e.orgGiven = text(value), value.Kind() != 'n'
	case "payload":
		e.payload = value
	case "prevState":
		e.prevState = value
	case "ticketId":
		e.ticketID, e.ticketGiven = text(value), value.Kind() != 'n'
	case "id":
		e.id = text(value)
	case "event":
		e.workflow = text(value)
	case "token":
		e.token = text(value)
	}
}

// maxText bounds the short members: ids, times and event names are far below it.
const maxText = 100

// text returns a string without its quotes or a number as it is written, "" for anything else or for what is too long.
func text(v jsontext.Value) string {
	if len(v) > 6*maxText { // a character takes at most six bytes when it is escaped
		return ""
	}
	switch v.Kind() {
	case '"':
		s, err := jsontext.AppendUnquote(nil, v)
		if err != nil || len(s) > maxText {
			return ""
		}
		return string(s)
	case '0':
		if len(v) <= maxText {
			return string(v)
		}
	}
	return ""
}

// aliased returns the part of raw that a value just read came from: the decoder's own copy lives until the next read only.
func aliased(raw []byte, dec *jsontext.Decoder, value jsontext.Value) jsontext.Value {
	end := int(dec.InputOffset())
	return raw[end-len(value) : end : end]
}

// elements splits a body into its raw events: the elements of an array, or the one object. It returns none for an empty
// body, and an error when the body as a whole is not JSON, or is neither array nor object.
func elements(body []byte) (all []jsontext.Value, array bool, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), lenient...)
	switch dec.PeekKind() {
	case '[':
		all, err = arrayElements(dec, body)
		return all, true, err
	case '{':
		value, err := dec.ReadValue()
		if err != nil {
			return nil, false, err
		}
		return []jsontext.Value{aliased(body, dec, value)}, false, atEnd(dec)
	}
	if _, err := dec.ReadToken(); errors.Is(err, io.EOF) {
		return nil, false, nil
	}
	return nil, false, errors.New("neither an array nor an object")
}

// maxEvents bounds the work for one body: real events have a kilobyte or more, so MaxBody holds fewer.
const maxEvents = 10_000

var errTooMany = errors.New("too many elements")

func arrayElements(dec *jsontext.Decoder, body []byte) ([]jsontext.Value, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var all []jsontext.Value
	for dec.PeekKind() != ']' {
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		if len(all) == maxEvents {
			return nil, errTooMany
		}
		all = append(all, aliased(body, dec, value))
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	return all, atEnd(dec)
}

// atEnd refuses anything but white space after the value.
func atEnd(dec *jsontext.Decoder) error {
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the value")
	}
	return nil
}
