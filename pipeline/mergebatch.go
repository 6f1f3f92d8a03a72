package pipeline

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"deskhouse/source"
)

// merged is a batch after the merge with what the warehouse holds.
type merged struct {
	rows     []source.Row
	sides    map[source.Register]map[source.Key]side
	empty    map[source.Register]map[source.Key]side // of rows that are left out
	changes  []source.Change
	contents []contents // one a change
	hints    []hint
	outcomes []outcome // one a submission
}

// toldDeleted asks about a record that an untrusted event calls deleted.
const toldDeleted source.Contradiction = "said to be deleted"

// hint is a record that must be read again, and why. A reply whose
// modifiedTime is older than modified has not seen what the hint has.
type hint struct {
	key      source.Key
	reason   source.Contradiction
	modified int64
}

// side is the newest candidate for a row of a listed or detail table.
type side struct {
	stamp  source.Stamp
	seenAt int64
	record *source.Record
	// renew stores the later as_of also where nothing else is news: a detail as
	// new as the content need not be hydrated.
	renew bool
	// fill writes the row once more where it is held as it was read: a column was
	// added since.
	fill bool
	// over takes the place of whatever is held: the row's department was selected
	// or is not any more.
	over bool
}

func newSide(reg source.Register, o source.Observation) side {
	return side{stamp: source.Stamp{AsOf: o.AsOf, Rank: o.Evidence, Hash: o.Record.SideHash(reg)}, seenAt: o.SeenAt, record: o.Record,
		renew: reg == source.Detail, fill: o.Fills[reg]}
}

// indexLag bounds how far search lags behind the records (design §4: the
// overlap of the polls). What a search showed at T was true at T - indexLag.
const indexLag = 10 * 60 * 1000

// after returns the stamp to write over held, false when nothing is news.
// Listed columns change without moving modifiedTime, so a difference at the
// same or an older as_of still counts once the index must have caught up.
func (s side) after(held source.Stamp) (source.Stamp, bool) {
	if s.over {
		s.stamp.AsOf = max(s.stamp.AsOf, held.AsOf+1)
		return s.stamp, !s.record.LeftOut || held.AsOf != 0 && held.Hash != 0
	}
	if held.AsOf != 0 && held.Hash == s.stamp.Hash {
		if s.fill {
			return later(held, s.stamp), true // of equal versions the last one written is seen
		}
		return s.stamp, s.renew && s.stamp.AsOf > held.AsOf
	}
	if s.stamp.Compare(held) > 0 {
		return s.stamp, true
	}
	caughtUp := s.stamp
	caughtUp.AsOf = s.seenAt - indexLag
	return caughtUp, caughtUp.AsOf > held.AsOf
}

func later(a, b source.Stamp) source.Stamp {
	if a.Compare(b) > 0 {
		return a
	}
	return b
}

// merge folds the observations of a batch, in the order they came, into the
// heads of their rows.
func (w *writer) merge(ctx context.Context, batch []submission) (*merged, error) {
	order, held, err := w.heads(ctx, batch)
	if err != nil {
		return nil, err
	}
	states := make(map[source.Key]source.State, len(order))
	for k, h := range held {
		states[k] = source.State{Head: h}
	}
	b := &merged{sides: map[source.Register]map[source.Key]side{}, empty: map[source.Register]map[source.Key]side{}, outcomes: make([]outcome, len(batch))}
	for i, s := range batch {
		for _, o := range s.obs {
			states[o.Key] = w.one(b, &b.outcomes[i], states[o.Key], o)
		}
	}
	versions := map[source.Key]uint64{}
	for _, k := range order {
		if st := states[k]; st.LeftOut {
			w.emptySides(b, k, st)
		}
		if st := states[k]; st.Head != held[k] || st.Record != nil {
			st.Version = source.NextVersion(st.Head)
			versions[k] = st.Version
			b.rows = append(b.rows, source.Row{Key: k, State: st})
		}
	}
	for i := range b.changes {
		b.changes[i].Version = versions[b.changes[i].Key]
	}
	return b, nil
}

// heads returns the distinct keys of a batch and what is held for them.
func (w *writer) heads(ctx context.Context, batch []submission) ([]source.Key, map[source.Key]source.Head, error) {
	seen := map[source.Key]struct{}{}
	var keys []source.Key
	for _, s := range batch {
		for i := range s.obs {
			k := s.obs[i].Key
			if _, ok := seen[k]; !ok {
				seen[k] = struct{}{}
				keys = append(keys, k)
			}
		}
	}
	held, err := w.wh.Heads(ctx, w.table, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("read %d heads: %w", len(keys), err)
	}
	return keys, held, nil
}

// one merges one observation and notes what follows from it.
func (w *writer) one(b *merged, out *outcome, st source.State, o source.Observation) source.State {
	c := source.Contradicts(st.Head, o)
	if w.ofOtherEdition(c, st.Head, o) && st.Record == nil {
		o = refills(o, st.Head)
	}
	if o.Refills() {
		return w.refill(b, out, st, o)
	}
	out.Seen++
	if c != source.NoContradiction {
		h := hint{key: o.Key, reason: c}
		if c == source.Asked && o.Life == source.LifeDeleted {
			h.reason = toldDeleted
		}
		if o.Record != nil {
			h.modified = max(o.Record.Modified, st.Modified)
		}
		b.hints = append(b.hints, h)
		out.Hints++
	}
	b.addSide(source.Listed, o)
	b.addSide(source.Detail, o)
	next := source.Merge(st, o)
	if next.Record == o.Record {
		w.cameBack(b, st.Head, o)
	}
	if next.Head == st.Head {
		out.Unchanged++
		return next
	}
	if unseen(st.Head, next.Head) {
		return next
	}
	op := operation(st.Head, next.Head)
	switch op {
	case source.OpInsert, source.OpUpdate:
		out.Changed++
	case source.OpDelete:
		out.Deleted++
	case source.OpRestore:
		out.Restored++
	}
	if w.history && recorded(op, o.Origin) {
		c := change(w.table, o, op)
		c.At = happened(st.Head, o, op)
		c.Received = w.clock.Now().UTC()
		if next.LeftOut {
			c.Previous = ""
		}
		b.changes = append(b.changes, c)
		told := contentsOf(st, next)
		told.edition = op == source.OpUpdate && w.sameButEdition(st, o)
		b.contents = append(b.contents, told)
	}
	return next
}

// recorded reports whether the history tells of a change: not of rows that a
// snapshot brings, nor of those that come back after the warehouse lost them.
func recorded(op source.Op, origin string) bool {
	return op != source.OpNone && origin != originSnapshot && (origin != originRestore || op != source.OpInsert)
}

func (b *merged) addSide(reg source.Register, o source.Observation) {
	if !o.Carries[reg] || o.AsOf == 0 {
		return
	}
	if b.sides[reg] == nil {
		b.sides[reg] = map[source.Key]side{}
	}
	next := newSide(reg, o)
	held, ok := b.sides[reg][o.Key]
	if ok {
		stamp, news := next.after(held.stamp)
		if !news {
			return
		}
		next.stamp = stamp
	}
	b.sides[reg][o.Key] = next
}

// operation names what a merge did to a row.
func operation(was, is source.Head) source.Op {
	switch {
	case is.Deleted && !was.Deleted:
		return source.OpDelete
	case !is.Deleted && was.Deleted:
		return source.OpRestore
	case was.Content.AsOf == 0 && is.Content.AsOf != 0:
		return source.OpInsert
	case was.Content.Hash != is.Content.Hash:
		return source.OpUpdate
	}
	return source.OpNone
}

// change is the history row of an applied observation. Its id is a hash of the
// evidence, so a replay writes the same row again.
func change(t source.Table, o source.Observation, op source.Op) source.Change {
	var buf []byte
	buf = append(buf, t...)
	buf = append(buf, 0)
	buf = append(buf, o.Key.String()...)
	buf = append(buf, 0)
	buf = append(buf, op...)
	buf = binary.BigEndian.AppendUint64(buf, uint64(o.AsOf))
	if o.Record != nil {
		buf = binary.BigEndian.AppendUint64(buf, o.Record.Fingerprint)
	}
	ch := source.Change{ID: xxhash.Sum64(buf), Table: t, Key: o.Key, At: o.AsOf, Op: op, Origin: o.Origin, Event: o.Event, Previous: o.Previous}
	if o.Record != nil && (op == source.OpInsert || op == source.OpUpdate) {
		ch.ModifiedBy, _ = source.ParseID(o.Record.Text("modifiedBy"))
	}
	return ch
}

// happened dates a change. The as_of of a GET is when it was read; if content
// was modified since what was held, it was then.
func happened(held source.Head, o source.Observation, op source.Op) int64 {
	if o.Evidence == source.EvidenceGet && (op == source.OpInsert || op == source.OpUpdate) && o.Record.Modified > held.Modified {
		return o.Record.Modified
	}
	return o.AsOf
}
