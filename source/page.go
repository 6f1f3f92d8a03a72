package source

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Timing is what a reply says of Zoho's clock: its Date header (whole seconds,
// RFC 9110) and how long the request took on the local monotonic clock.
type Timing struct {
	Date time.Time
	Took time.Duration
}

// KnownAt is the latest instant, in milliseconds, at which a reply read
// straight from the record store is known to hold: its Date less the flight
// and the second that Date truncates.
func (t Timing) KnownAt() int64 {
	if t.Date.IsZero() {
		return 0
	}
	return t.Date.Add(-t.Took - time.Second).UnixMilli()
}

// Page is one reply of a list or search.
type Page struct {
	Records []*Record
	// Rows is how many elements the reply held: Records plus Bad.
	Rows int
	// Bad holds elements that could not be placed (no id, no object), as sent.
	Bad [][]byte
	// Count is search's count of all matching rows, -1 when the reply had none.
	Count int64
	At    Timing
	// Resource names the one of several that answered: of field metadata.
	Resource string
}

// ParsePage parses {"data":[…],"count":n}. A body that is cut or no JSON is an
// error and gives no rows at all: a page is never half applied. body is
// retained by the records.
func ParsePage(res *Resource, module string, body []byte) (Page, error) {
	p := newParser(body)
	page := Page{Count: -1}
	if p.dec.PeekKind() != '{' {
		return Page{}, fmt.Errorf("parse page of %s: %d bytes that are no JSON object", res.Table, len(body))
	}
	if err := p.page(res, module, &page); err != nil {
		return Page{}, fmt.Errorf("parse page of %s (%d bytes): %w", res.Table, len(body), err)
	}
	return page, nil
}

func (p *parser) page(res *Resource, module string, page *Page) error {
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	seenData := false
	for p.dec.PeekKind() != '}' {
		name, err := p.dec.ReadToken()
		if err != nil {
			return err
		}
		switch key := name.String(); {
		case key == "data" && p.dec.PeekKind() == '[':
			seenData = true
			err = p.rows(res, module, page)
		case key == "count":
			var s span
			if s, err = p.skip(); err == nil {
				if n, ok := ParseInt(p.text[s.from:s.to]); ok {
					page.Count = n
				}
			}
		default:
			err = p.dec.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	if !seenData {
		return errors.New(`no "data" array`)
	}
	_, err := p.dec.ReadToken()
	return err
}

func (p *parser) rows(res *Resource, module string, page *Page) error {
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	var spans []span
	for p.dec.PeekKind() != ']' {
		if len(spans) < len(res.Fields) {
			spans = make([]span, 100*len(res.Fields))
		}
		start := p.dec.InputOffset()
		rec, err := p.record(res, module, spans[:len(res.Fields):len(res.Fields)])
		spans = spans[len(res.Fields):]
		switch {
		case err == nil:
			page.Records = append(page.Records, rec)
		case errors.Is(err, ErrNoKey) || errors.Is(err, errNoObject):
			page.Bad = append(page.Bad, []byte(strings.TrimLeft(p.text[start:p.dec.InputOffset()], ", \t\r\n")))
		default:
			return err
		}
		page.Rows++
	}
	_, err := p.dec.ReadToken()
	return err
}

// Query selects rows of a search. Times are inclusive milliseconds as Zoho's
// range parameters are; a zero To leaves the range out.
type Query struct {
	By       TimeField // which time the range and the order use
	From, To int64
	Offset   int // first row, 0-based as OAS Search.json says
	Limit    int
	Desc     bool
	Filter   map[string]string // further parameters: departmentId, status, channel, …
}

// ListQuery selects rows of a plain list. A zero Limit asks for the largest
// page the endpoint allows.
type ListQuery struct {
	Offset, Limit int
	SortBy        string // Zoho's word, "-" prefix = descending; "" = default
	DepartmentID  uint64 // 0 = no filter
}

// TimeField names a searchable time.
type TimeField string

// The two times that both tickets and products can be searched by.
const (
	ByCreated  TimeField = "createdTime"
	ByModified TimeField = "modifiedTime"
)

// BinItem is one entry of the recycle bin (zoho-desk OAS Recyclebin.json).
type BinItem struct {
	Key       Key
	DeletedAt int64
}

// Priority orders calls that wait for the same credits and connections; lower
// goes first.
type Priority uint8

// The priorities of design: re-reads for events, polls, snapshot, hydration.
const (
	ForReread Priority = iota
	ForPoll
	ForSnapshot
	ForHydration
)

// Fault classifies a failed call once, where it was made.
type Fault uint8

// The faults and what the caller does about them.
const (
	FaultRetry        Fault = iota // transient: try again after a while
	FaultNotFound                  // the id is unknown: 404 with JSON URL_NOT_FOUND
	FaultForbidden                 // scope, licence, profile: skip that table, report
	FaultUnauthorized              // the connection must be authorised again: stop it
	FaultInvalid                   // the request is refused as it stands (422)
	FaultBadReply                  // 200 with a body that cannot be read
)

// CallError is a classified failure of one call. Op names the call without
// secrets ("GET tickets/123"); Code is Zoho's errorCode; Hint says what a
// person should do, when there is something.
type CallError struct {
	Fault  Fault
	Op     string
	Status int
	Code   string
	Detail string // Zoho's own words for a refused parameter, never row values
	Hint   string
	Wait   time.Duration // when Zoho said how long to wait
	Err    error
}

func (e *CallError) Error() string {
	s := e.Op
	if e.Status != 0 {
		s += fmt.Sprintf(": HTTP %d", e.Status)
	}
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func (e *CallError) Unwrap() error { return e.Err }

// IsFault reports whether err is a CallError of that fault.
func IsFault(err error, f Fault) bool {
	var call *CallError
	return errors.As(err, &call) && call.Fault == f
}
