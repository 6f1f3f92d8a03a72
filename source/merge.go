package source

import "cmp"

// Stamp orders the observations of one register: the larger wins.
type Stamp struct {
	AsOf int64 // ms on Zoho's clock, 0 = never observed
	Rank Evidence
	Hash uint64 // breaks the last tie the same way everywhere
}

// Compare orders by (AsOf, Rank, Hash).
func (s Stamp) Compare(t Stamp) int {
	return cmp.Or(cmp.Compare(s.AsOf, t.AsOf), cmp.Compare(s.Rank, t.Rank), cmp.Compare(s.Hash, t.Hash))
}

// Head is what the warehouse holds about a main row, without its columns. The
// zero Head is a row never seen.
type Head struct {
	Content Stamp
	Life    Stamp // zero: nothing but the default, alive
	Deleted bool
	// LeftOut: the content is of a department that is not selected; the row holds
	// none of it, and nobody is shown it.
	LeftOut   bool
	DeletedAt int64  // ms, with Deleted
	Modified  int64  // the content's own modifiedTime, 0 = none
	Version   uint64 // _version of the row, 0 = no row
}

// AsOf is the newest instant any register of the row is known to hold.
func (h Head) AsOf() int64 { return max(h.Content.AsOf, h.Life.AsOf) }

// State is a row during a merge: its head, and the record its content comes
// from, nil while it is the one held in the warehouse.
type State struct {
	Head
	Record *Record
}

// Row is a main row to be written: its key and merged state, Version set.
// Record nil with Content.AsOf > 0 means that the content held in the
// warehouse is carried over; with Content.AsOf = 0 the row has no content yet
// (a delete of an unknown id).
type Row struct {
	Key Key
	State
}

// SideRow is one row of a listed or detail table.
type SideRow struct {
	Key    Key
	Stamp  Stamp
	Record *Record
}

// Merge is the one rule for what a row becomes. It is pure; on the registers it
// is commutative, associative and idempotent, so observations may arrive in
// any order, any number of times. Version is left alone: NextVersion sets it.
func Merge(held State, o Observation) State {
	if o.AsOf <= 0 {
		return held
	}
	if o.Record != nil && o.Carries[Content] {
		s := Stamp{o.AsOf, o.Evidence, o.Record.Fingerprint}
		if s.Compare(held.Content) > 0 {
			held.Content, held.Modified, held.Record, held.LeftOut = s, o.Record.Modified, o.Record, o.Record.LeftOut
		}
	}
	if o.Life != LifeUnknown {
		s := lifeStamp(o)
		if s.Compare(held.Life) > 0 {
			held.Life, held.Deleted, held.DeletedAt = s, o.Life == LifeDeleted, 0
			if held.Deleted {
				held.DeletedAt = deletedAt(o)
			}
		}
	}
	return held
}

// lifeStamp puts deleted before alive, and the later deletion before the
// earlier, in a tie of time and rank.
func lifeStamp(o Observation) Stamp {
	s := Stamp{AsOf: o.AsOf, Rank: o.Evidence}
	if o.Life == LifeDeleted {
		s.Hash = uint64(deletedAt(o))
	}
	return s
}

func deletedAt(o Observation) int64 {
	if o.DeletedAt > 0 {
		return o.DeletedAt
	}
	return o.AsOf
}

// NextVersion returns the _version of a row that changed: the newest as_of in
// ms shifted left by 20, or one more than the held version where that is
// larger, so versions of a row only grow.
func NextVersion(h Head) uint64 { return max(uint64(h.AsOf())<<20, h.Version+1) }

// Contradiction names why an observation that changed nothing, or should not
// have, calls for a GET. "" means there is none.
type Contradiction string

// The contradictions of rule 4.
const (
	NoContradiction  Contradiction = ""
	DeletedSeenAlive Contradiction = "deleted row seen alive"
	LaterModified    Contradiction = "later modifiedTime"
	OlderModified    Contradiction = "older modifiedTime"
	OtherContent     Contradiction = "same modifiedTime, other content"
	VisibleInBin     Contradiction = "visible row in the recycle bin"
	Asked            Contradiction = "hint"
)

// Contradicts compares an observation with the head it met before merging.
// A GET never contradicts: it decides, unless newer content arrived during its
// flight than a replica that lags has answered with (rule 5).
func Contradicts(held Head, o Observation) Contradiction {
	switch {
	case o.Hint && !readAlready(held, o):
		return Asked
	case o.Evidence == EvidenceGet && o.Record != nil && o.Record.Modified != 0 && o.Record.Modified < held.Modified:
		return OlderModified
	case o.Evidence == EvidenceGet || held.Version == 0 && held.AsOf() == 0:
		return NoContradiction
	case o.Life == LifeDeleted:
		// Content from later than the deletion: it may have been restored since.
		if !held.Deleted && (o.AsOf <= 0 || lifeStamp(o).Compare(held.Life) < 0 || o.AsOf < held.Content.AsOf) {
			return VisibleInBin
		}
		return NoContradiction
	case o.Record == nil:
		return NoContradiction
	case held.Deleted && (o.Evidence != EvidenceWebhook || o.AsOf > held.Life.AsOf):
		return DeletedSeenAlive
	}
	return contentContradiction(held, o)
}

// readAlready reports whether a search row that is not whole shows no other
// modifiedTime than a whole reply held already did: on a portal whose search
// lacks keys every poll would read every row again.
func readAlready(held Head, o Observation) bool {
	return o.Evidence == EvidenceSearch && o.Record != nil && o.Record.Modified != 0 && !held.Deleted &&
		o.Record.Modified == held.Modified && held.Content.Rank > EvidenceSearch
}

func contentContradiction(held Head, o Observation) Contradiction {
	if held.Content.AsOf == 0 || !o.Carries[Content] || o.Record.Fingerprint == held.Content.Hash {
		return NoContradiction
	}
	wins := Stamp{o.AsOf, o.Evidence, o.Record.Fingerprint}.Compare(held.Content) > 0
	switch m := o.Record.Modified; {
	case m == 0 || held.Modified == 0:
		return NoContradiction
	case wins && m < held.Modified:
		return OlderModified
	case !wins && m > held.Modified:
		return LaterModified
	case wins && o.Evidence == EvidenceSearch && o.AsOf > m:
		return NoContradiction // dated by a resync that found too many to ask for
	case m == held.Modified && (!wins || o.Evidence != EvidenceWebhook || held.Content.Rank < EvidenceWebhook):
		return OtherContent // a second holds many changes; only events among themselves tell their order
	}
	return NoContradiction
}
