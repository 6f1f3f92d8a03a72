package source

import "sync"

// Evidence is where an observation comes from; a larger one wins a tie of
// as_of (rank GET > webhook > search > list).
type Evidence uint8

// The kinds of evidence in rank order. Bin ranks with lists.
const (
	EvidenceNone Evidence = iota
	EvidenceList
	EvidenceBin
	EvidenceSearch
	EvidenceWebhook
	EvidenceGet
)

// String returns the word that logs and the changes table use.
func (e Evidence) String() string {
	return [...]string{"none", "list", "bin", "search", "webhook", "get"}[e]
}

// Life is what an observation says about a record's existence.
type Life uint8

// LifeUnknown: no evidence (a search row of a live record may be an index that
// lags). Only a GET proves LifeAlive.
const (
	LifeUnknown Life = iota
	LifeAlive
	LifeDeleted
)

// Observation is one thing learned from Zoho about one record. It is a value;
// Record is shared and read-only.
type Observation struct {
	Key      Key
	Evidence Evidence
	// AsOf is the latest instant on Zoho's clock (ms) at which the observation
	// is known to hold; 0 means none, then nothing is merged and the
	// observation can only contradict.
	AsOf      int64
	Life      Life
	DeletedAt int64 // with LifeDeleted, ms; 0 = AsOf
	// Record is the payload, nil for a bare fact about life. Carries says
	// which registers it holds whole.
	Record  *Record
	Carries [registers]bool
	// Hint asks for a re-read whatever the merge says.
	Hint bool
	// SeenAt is when the reply was known to hold (Timing.KnownAt), ms; it
	// dates listed columns, which change without moving modifiedTime. 0 = now
	// is not known.
	SeenAt int64
	// Over and Fills are of a record read again that is held as it was read, only
	// that its rows lack a column: Over, with Carries[Content], is the stamp of the
	// content it stands for, Fills are the side rows. Nothing of that is news.
	Over  Stamp
	Fills [registers]bool
	// Previous is the JSON of the state before the change, where Zoho sent it.
	Previous string
	// Origin names the cause for the changes table and the logs: "snapshot",
	// "poll", "resync", "re-read", "bin" or "webhook"; Event is Zoho's event
	// type for the last.
	Origin, Event string
}

// Refills reports whether an observation only brings columns that rows lack.
func (o *Observation) Refills() bool { return o.Over != Stamp{} || o.Fills != [registers]bool{} }

// Coverage is what one portal's replies have been seen to carry. Agent
// profiles hide keys silently, so completeness is judged against the portal's
// own replies, not the documentation: a key hidden for good is no reason for a
// re-read. Safe for concurrent use; the zero value judges by the catalog.
type Coverage struct {
	res *Resource

	mu    sync.Mutex
	seen  Seen
	fresh *Seen // what a complete reading under way has seen, nil without one
}

// Seen is what replies have been seen to carry.
type Seen struct {
	Search FieldSet // search or list rows
	Get    FieldSet // GET replies
}

// NewCoverage returns the coverage of a resource whose replies have been seen to
// carry these sets; empty ones mean that nothing is known.
func NewCoverage(res *Resource, search, get FieldSet) *Coverage {
	return &Coverage{res: res, seen: Seen{search, get}}
}

// Seen returns what was learned, for saving.
func (c *Coverage) Seen() Seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// Restore takes over what an earlier process learned.
func (c *Coverage) Restore(s Seen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = s
}

// Relearn starts to collect anew beside what is known, at the beginning of a
// complete reading; Adopt, at its end, makes that the truth, so that a key that
// was hidden meanwhile is no longer expected. A reading that fails just never
// adopts.
func (c *Coverage) Relearn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fresh = &Seen{}
}

// Adopt ends what Relearn began. A kind of reply that did not occur keeps what
// is known of it.
func (c *Coverage) Adopt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fresh == nil {
		return
	}
	if !c.fresh.Search.Empty() {
		c.seen.Search = c.fresh.Search
	}
	if !c.fresh.Get.Empty() {
		c.seen.Get = c.fresh.Get
	}
	c.fresh = nil
}

// Learn adds a reply's keys.
func (c *Coverage) Learn(e Evidence, rec *Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.add(e, rec)
	if c.fresh != nil {
		c.fresh.add(e, rec)
	}
}

func (s *Seen) add(e Evidence, rec *Record) {
	if e == EvidenceGet {
		s.Get = s.Get.Union(rec.Present)
	} else {
		s.Search = s.Search.Union(rec.Present)
	}
}

// Lacks are the content fields that this portal's GETs carry and a reply to one
// does not.
func (c *Coverage) Lacks(rec *Record) FieldSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.res.required[Content].Intersect(c.seen.Get).Without(rec.Present)
}

// expected is what a whole register looks like at this portal. Content that
// only one kind of reply carries is still content: a row without it is a hint,
// or it would blank what the other brought (rule 2).
func (c *Coverage) expected(reg Register) FieldSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	want := c.res.required[reg]
	switch reg {
	case Listed:
		return narrow(want, c.seen.Search)
	case Detail:
		return narrow(want, c.seen.Get)
	}
	return narrow(want, c.seen.Search.Union(c.seen.Get))
}

func narrow(want, seen FieldSet) FieldSet {
	if seen.Empty() {
		return want
	}
	return want.Intersect(seen)
}

// judge fills Carries. A GET is whole by definition: what it lacks cannot be
// had at all.
func (c *Coverage) judge(o *Observation) {
	rec, e := o.Record, o.Evidence
	listKind := e == EvidenceSearch || e == EvidenceList
	if listKind || e == EvidenceGet {
		c.Learn(e, rec)
	}
	o.Carries[Content] = e == EvidenceGet || rec.Present.Covers(c.expected(Content))
	if listKind && c.res.Has(Listed) {
		o.Carries[Listed] = rec.Present.Covers(c.expected(Listed))
	}
	if !listKind && c.res.Has(Detail) {
		o.Carries[Detail] = e == EvidenceGet || rec.Present.Covers(c.expected(Detail))
	}
}

// FromSearch is the observation of a search row, or of a list row with a
// modifiedTime: the index may lag, so it holds as of its modifiedTime, never
// of the request.
func (c *Coverage) FromSearch(rec *Record, at Timing, origin string) Observation {
	o := Observation{Key: rec.Key, Evidence: EvidenceSearch, AsOf: rec.Modified, Record: rec, SeenAt: at.KnownAt(), Origin: origin}
	c.judge(&o)
	o.Hint = !o.Carries[Content] || rec.Modified == 0
	o.deleted(rec)
	return o
}

// FromFullList is the observation of a row of a complete list of departments
// or fields, read straight from the record store. knownAt is the earliest
// Timing.KnownAt of its pages.
func (c *Coverage) FromFullList(rec *Record, knownAt int64, origin string) Observation {
	o := Observation{Key: rec.Key, Evidence: EvidenceList, AsOf: knownAt, SeenAt: knownAt, Record: rec, Origin: origin}
	c.judge(&o)
	if rec.Resource.Table == OrganizationFields {
		// No GET by this key exists: the list is the record store, and whole.
		o.Life, o.Carries[Content] = LifeAlive, true
		return o
	}
	o.Hint = !o.Carries[Content]
	return o
}

// FromGet is the observation of a GET by id. held is the row's head when the
// request was sent: the reply outranks all of it. Against what arrived during
// the flight it counts as of the reply's own time, never below its
// modifiedTime.
func (c *Coverage) FromGet(rec *Record, at Timing, held Head, origin string) Observation {
	o := Observation{Key: rec.Key, Evidence: EvidenceGet, Record: rec, Life: LifeAlive, Origin: origin}
	o.AsOf = max(outrank(at, held), rec.Modified)
	o.SeenAt = o.AsOf
	c.judge(&o)
	o.deleted(rec)
	o.keepDeletedAt(held)
	return o
}

// Gone is the observation of a record that GET does not find any more. The
// caller has asked twice (rule 7).
func Gone(key Key, at Timing, held Head, origin string) Observation {
	o := Observation{Key: key, Evidence: EvidenceGet, AsOf: outrank(at, held), Life: LifeDeleted,
		DeletedAt: at.KnownAt(), Origin: origin}
	o.keepDeletedAt(held)
	return o
}

// keepDeletedAt leaves the time of a deletion alone that is only confirmed.
func (o *Observation) keepDeletedAt(held Head) {
	if o.Life == LifeDeleted && held.Deleted {
		o.DeletedAt = held.DeletedAt
	}
}

// outrank is the as_of of a GET reply: its own time, or just after everything
// that was held when it was asked for.
func outrank(at Timing, held Head) int64 {
	return max(at.KnownAt(), held.AsOf()+1)
}

// FromBin is the observation of a recycle-bin item. One without a readable time
// can only contradict: a visible row is then read again.
func FromBin(item BinItem) Observation {
	return Observation{Key: item.Key, Evidence: EvidenceBin, AsOf: item.DeletedAt, Life: LifeDeleted,
		DeletedAt: item.DeletedAt, Origin: "bin"}
}

// maxEventLead is how far beyond Zoho's own clock an event's time may lie
// before it is no version any more (design: 5 minutes).
const maxEventLead = 5 * 60 * 1000

// Event is a webhook delivery's event as decoded by the intake.
type Event struct {
	Type    string // eventType
	Time    int64  // eventTime in ms, 0 when unreadable
	Deleted bool   // the event's type says so (Ticket_Delete)
	ZohoNow int64  // Zoho's clock when the event is judged, 0 = not known yet
	Trust   bool   // payload: trust; false makes every payload a hint
	// Previous is prevState as sent, "" without.
	Previous string
}

// FromEvent is the observation of a webhook event. A payload that lacks a key
// of its register, or an event from the future, is a hint: the record is read
// again. A delete needs nothing but the id.
func (c *Coverage) FromEvent(ev Event, rec *Record) Observation {
	o := Observation{Key: rec.Key, Evidence: EvidenceWebhook, AsOf: max(ev.Time, rec.Modified),
		Record: rec, Origin: "webhook", Event: ev.Type, Previous: ev.Previous}
	o.SeenAt = o.AsOf
	deleted := ev.Deleted || rec.Deleted
	if ev.ZohoNow != 0 && o.AsOf > ev.ZohoNow+maxEventLead || o.AsOf == 0 || !ev.Trust {
		o.AsOf, o.SeenAt, o.Record, o.Hint = 0, 0, nil, true
		if deleted {
			o.Life = LifeDeleted // without an as_of nothing is merged; the re-read knows what was said
		}
		return o
	}
	c.judge(&o)
	o.Hint = !o.Carries[Content] && !deleted
	if deleted {
		o.Life, o.DeletedAt = LifeDeleted, o.AsOf
	}
	return o
}

// deleted applies a life flag found in the payload itself.
func (o *Observation) deleted(rec *Record) {
	if rec.Deleted {
		o.Life, o.DeletedAt = LifeDeleted, o.AsOf
	}
}
