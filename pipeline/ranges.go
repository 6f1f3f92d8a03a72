package pipeline

import (
	"encoding/json"
	"fmt"
	"sync"

	"deskhouse/source"
)

// span is one time range of a search that is read by key: From and To are
// whole seconds in ms on Zoho's clock, both ends included. Everything before
// Cursor is confirmed by the warehouse.
type span struct {
	From   int64 `json:"from"`
	To     int64 `json:"to"`
	Cursor int64 `json:"cursor"`
	Done   bool  `json:"done,omitempty"`

	at     int64 // where the reader stands, >= Cursor
	left   int64 // rows still ahead by search's count, -1 = not known yet
	taken  bool  // a worker reads it
	ended  bool  // the reader reached the end, confirmation pending
	flight int   // pages submitted and not confirmed
}

// ranges is the set of disjoint spans that one complete reading of a table
// consists of. Workers take spans; an idle worker splits the busiest one, so
// that no counting beforehand is needed. Safe for concurrent use.
type ranges struct {
	mu            sync.Mutex
	spans         []*span
	change, saved uint64        // counts of changes: made, and in the stored form
	freed         chan struct{} // signalled when a span may have become available

	confirmed chan struct{} // closed once every span is confirmed to its end
}

// minSplitRows is the least a span must have ahead to be split: every span ends
// with a page that is half empty on average, so halves of five pages cost a
// tenth more credits than one long span.
const minSplitRows = 1000

func newRanges(from, to int64) *ranges {
	r := &ranges{freed: make(chan struct{}, 1), confirmed: make(chan struct{})}
	r.add(from, to)
	return r
}

func (r *ranges) add(from, to int64) *span {
	s := &span{From: from, To: to, Cursor: from, at: from, left: -1}
	r.spans = append(r.spans, s)
	r.change++
	return s
}

// take returns a span to read. nil with busy means that all are being read and
// none is worth splitting now; nil without busy means that all have ended.
func (r *ranges) take() (s *span, busy bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var half *span
	for _, s := range r.spans {
		switch {
		case s.Done || s.ended:
		case !s.taken:
			s.taken = true
			return s, true
		default:
			busy = true
			if s.divisible() && (half == nil || s.left > half.left) {
				half = s
			}
		}
	}
	if half == nil {
		return nil, busy
	}
	half = r.split(half)
	half.taken = true
	return half, true
}

// middle is where a span would be split.
func (s *span) middle() int64 { return (s.at + (s.To-s.at)/2) / 1000 * 1000 }

func (s *span) divisible() bool {
	m := s.middle()
	return s.left >= minSplitRows && m > s.at && m < s.To
}

// split cuts off the later half of what a divisible span has ahead.
func (r *ranges) split(s *span) *span {
	middle := s.middle()
	later := r.add(middle+1000, s.To)
	later.left = s.left / 2
	s.To, s.left = middle, s.left/2
	return later
}

// bounds returns where to read next and how far the span goes now.
func (r *ranges) bounds(s *span) (at, to int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.at, s.To
}

// advance notes that a page was read up to at; ended says that nothing is
// ahead. It reports whether the span is finished, which it also is when at
// passed an end that a split has moved meanwhile.
func (r *ranges) advance(s *span, at, left int64, ended bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.at, s.left = at, left
	s.flight++
	if ended || at > s.To {
		s.ended, s.taken = true, false
		r.signal()
	}
	return s.ended
}

// confirm notes that the warehouse has everything of one page, whose reader
// stood at `at` afterwards. Pages of a span are confirmed in order.
func (r *ranges) confirm(s *span, at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.flight--
	s.Cursor = max(s.Cursor, at)
	r.change++
	if s.ended && s.flight == 0 && !s.Done {
		s.Done = true
		if r.done() {
			close(r.confirmed)
		}
	}
}

// release gives a span back unread, after an error.
func (r *ranges) release(s *span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.taken = false
	r.signal()
}

func (r *ranges) signal() {
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// done reports whether every span is confirmed to its end; the caller holds mu.
func (r *ranges) done() bool {
	for _, s := range r.spans {
		if !s.Done {
			return false
		}
	}
	return true
}

// encode returns the stored form and the count of changes it includes; unsaved
// says whether there were any since the last that was saved.
func (r *ranges) encode() (value []byte, change uint64, unsaved bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	value, err = json.Marshal(r.spans)
	return value, r.change, r.change != r.saved, err
}

// wasSaved notes that a stored form has been saved.
func (r *ranges) wasSaved(change uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved = max(r.saved, change)
}

// decodeRanges restores ranges; reading goes on at each cursor.
func decodeRanges(value []byte) (*ranges, error) {
	r := &ranges{freed: make(chan struct{}, 1), confirmed: make(chan struct{})}
	if err := json.Unmarshal(value, &r.spans); err != nil {
		return nil, fmt.Errorf("decode ranges: %w", err)
	}
	for _, s := range r.spans {
		s.at, s.left = s.Cursor, -1
	}
	if r.done() {
		close(r.confirmed)
	}
	return r, nil
}

// query is the search for the rest of a span. Whether Zoho includes the ends of
// a range is not documented (OAS Search.json): a second of overlap on either
// side makes it irrelevant.
func query(by source.TimeField, at, to int64) source.Query {
	return source.Query{By: by, From: at - 1000, To: to + 1000, Limit: pageRows}
}

// pageRows is the largest page of a search (OAS Search.json: limit 1-100).
const pageRows = 100
