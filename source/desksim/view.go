package desksim

import (
	"math"
	"slices"
)

// ticketView is the set of all tickets as one reader sees it: the portal's own truth, or the search index that lags
// behind it. Generated tickets are only two times and a state here; changed ones are in rows.
type ticketView struct {
	created  []int64 // by sequence number, ascending
	modified []int64
	state    []ticketMark
	rows     map[uint32]*ticket
	byMod    []uint64 // modified<<32 | seq, ascending; entries whose row has moved on are stale and skipped
	stale    int
	blocks   [][markCount]uint32 // how many of each mark in each blockSize tickets, so that counting need not look at all
}

const blockSize = 1024

// ticketMark is what decides, without rendering a row, where a ticket is listed.
type ticketMark uint8

const (
	markLive ticketMark = iota
	markArchived
	markTrashed
	markPurged
	markSpam
	markAbsent // not there yet (reserve)
	markCount
)

func markOf(t *ticket) ticketMark {
	switch {
	case t.state == Trashed:
		return markTrashed
	case t.state == Purged:
		return markPurged
	case t.archived:
		return markArchived
	case t.spam:
		return markSpam
	}
	return markLive
}

func newTicketView(g *generator) *ticketView {
	n := g.tickets
	v := &ticketView{created: make([]int64, n), modified: make([]int64, n), state: make([]ticketMark, n),
		rows: map[uint32]*ticket{}, byMod: make([]uint64, n)}
	for i := range n {
		v.created[i] = g.createdAt(i)
		if i > 0 {
			v.created[i] = max(v.created[i], v.created[i-1])
		}
		v.modified[i] = g.modifiedAt(i, v.created[i])
		v.byMod[i] = uint64(v.modified[i])<<32 | uint64(i)
		switch {
		case i < g.archived:
			v.state[i] = markArchived
		case g.isSpam(uint32(i)):
			v.state[i] = markSpam
		}
	}
	slices.Sort(v.byMod)
	for i, m := range v.state {
		v.tally(i, m)
	}
	return v
}

func (v *ticketView) clone() *ticketView {
	return &ticketView{created: slices.Clone(v.created), modified: slices.Clone(v.modified), state: slices.Clone(v.state),
		rows: map[uint32]*ticket{}, byMod: slices.Clone(v.byMod), blocks: slices.Clone(v.blocks)}
}

// tally counts a ticket's mark.
func (v *ticketView) tally(seq int, m ticketMark) {
	if seq/blockSize == len(v.blocks) {
		v.blocks = append(v.blocks, [markCount]uint32{})
	}
	v.blocks[seq/blockSize][m]++
}

// listedWithin counts the tickets from lo to hi that f lists by their mark.
func (v *ticketView) listedWithin(f *ticketFilter, lo, hi int) int {
	n := 0
	for i := lo; i < hi; {
		if i%blockSize == 0 && i+blockSize <= hi {
			for m, k := range v.blocks[i/blockSize] {
				if f.listed(ticketMark(m)) {
					n += int(k)
				}
			}
			i += blockSize
			continue
		}
		if f.listed(v.state[i]) {
			n++
		}
		i++
	}
	return n
}

// load returns ticket seq: the stored one, or scratch filled by the generator.
func (v *ticketView) load(g *generator, seq uint32, scratch *ticket) *ticket {
	if t := v.rows[seq]; t != nil {
		return t
	}
	g.fill(scratch, seq, v.created[seq], v.modified[seq])
	return scratch
}

// reserve takes a place for the new ticket t, where nothing lists it until it is put: tickets need not be put in the order
// of their creation.
func (v *ticketView) reserve(t *ticket) {
	v.created = append(v.created, t.created)
	v.modified = append(v.modified, t.modified)
	v.state = append(v.state, markAbsent)
	v.tally(int(t.seq), markAbsent)
	v.insert(uint64(t.modified)<<32 | uint64(t.seq))
}

// put stores t, new or changed, and keeps the orders.
func (v *ticketView) put(t *ticket) {
	if int(t.seq) == len(v.created) {
		v.reserve(t)
	}
	v.rows[t.seq] = t
	v.blocks[t.seq/blockSize][v.state[t.seq]]--
	v.state[t.seq] = markOf(t)
	v.tally(int(t.seq), markOf(t))
	if v.modified[t.seq] != t.modified {
		v.modified[t.seq] = t.modified
		v.stale++
		v.insert(uint64(t.modified)<<32 | uint64(t.seq))
	}
}

// insert adds an entry near the end of byMod: modification times only ever grow.
func (v *ticketView) insert(entry uint64) {
	at, _ := slices.BinarySearch(v.byMod, entry)
	v.byMod = slices.Insert(v.byMod, at, entry)
	if v.stale > 1024 && v.stale > len(v.byMod)/2 {
		v.byMod = slices.DeleteFunc(v.byMod, v.isStale)
		v.stale = 0
	}
}

func (v *ticketView) isStale(entry uint64) bool { return v.modified[uint32(entry)] != int64(entry>>32) }

// span is an inclusive range of unix seconds.
type span struct{ from, to int64 }

var always = span{math.MinInt64, math.MaxInt64}

func (s span) has(t int64) bool { return t >= s.from && t <= s.to }

// createdSpan is the range of sequence numbers created within s.
func (v *ticketView) createdSpan(s span) (lo, hi int) {
	lo, _ = slices.BinarySearch(v.created, s.from)
	if s.to == math.MaxInt64 {
		return lo, len(v.created)
	}
	hi, _ = slices.BinarySearch(v.created, s.to+1)
	return lo, max(lo, hi)
}

// byCreated calls visit for the tickets created within s, oldest first or newest first, equal seconds by ascending id or as
// salt says (tieSalt). visit returns false to stop.
func (v *ticketView) byCreated(s span, newestFirst bool, salt uint64, visit func(seq uint32) bool) {
	lo, hi := v.createdSpan(s)
	if newestFirst || salt != 0 {
		inGroups(lo, hi, newestFirst, salt, func(i int) int64 { return v.created[i] }, func(i int) (uint32, bool) { return uint32(i), true }, visit)
		return
	}
	for i := lo; i < hi; i++ {
		if !visit(uint32(i)) {
			return
		}
	}
}

// byModified is byCreated by modification time.
func (v *ticketView) byModified(s span, newestFirst bool, salt uint64, visit func(seq uint32) bool) {
	lo, hi := 0, len(v.byMod)
	if s.from > 0 {
		lo, _ = slices.BinarySearch(v.byMod, uint64(s.from)<<32)
	}
	if s.to < 1<<32-1 {
		hi, _ = slices.BinarySearch(v.byMod, uint64(max(s.to, -1)+1)<<32)
	}
	if newestFirst || salt != 0 {
		second := func(i int) int64 { return int64(v.byMod[i] >> 32) }
		inGroups(lo, hi, newestFirst, salt, second, func(i int) (uint32, bool) { return uint32(v.byMod[i]), !v.isStale(v.byMod[i]) }, visit)
		return
	}
	for i := lo; i < hi; i++ {
		if !v.isStale(v.byMod[i]) && !visit(uint32(v.byMod[i])) {
			return
		}
	}
}
