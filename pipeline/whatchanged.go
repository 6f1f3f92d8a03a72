package pipeline

import (
	"context"
	"fmt"

	"deskhouse/source"
)

// contents are the records that a change's row had before and has after it.
// Both nil: the change left the content as it was.
type contents struct {
	before *source.Record // nil: what the warehouse holds, or nothing
	after  *source.Record
	// edition: the fingerprints may differ only because they are of two editions.
	edition bool
}

// contentsOf compares the states before and after one merge. Between two
// observations of one batch the state before is not the one that is held. Of a
// row that is left out nothing is told.
func contentsOf(was, is source.State) contents {
	if is.LeftOut || was.Content.AsOf != 0 && was.Content.Hash == is.Content.Hash {
		return contents{}
	}
	return contents{before: was.Record, after: is.Record}
}

// spellOut gives the changes of a batch the columns that changed, from what to
// what. It asks the warehouse for the held values of those rows only whose
// content the batch changes and that are told of, so never in a snapshot. As
// long as the rows are not written the answer stays the same: a batch that is
// repeated after a crash spells out the same changes.
func (w *writer) spellOut(ctx context.Context, b *merged) error {
	keys := b.rewritten()
	if len(keys) == 0 {
		return nil
	}
	tracked, err := w.wh.Tracked(ctx, w.table, keys)
	if err != nil {
		return fmt.Errorf("read tracked columns of %d rows: %w", len(keys), err)
	}
	changes := b.changes[:0:0]
	for i, c := range b.contents {
		ch := b.changes[i]
		switch {
		case c.after == nil:
		case c.before != nil:
			ch.Changed, ch.Old, ch.New = tracked.Compare(tracked.Read(c.before), tracked.Read(c.after))
		default:
			ch.Changed, ch.Old, ch.New = tracked.CompareHeld(ch.Key, tracked.Read(c.after), !w.otherEdition.Load())
		}
		if !c.edition || len(ch.Changed) > 0 {
			changes = append(changes, ch)
		}
	}
	b.changes, b.contents = changes, nil
	return nil
}

// sameButEdition reports whether a reply that is no event shows what is held as
// far as its modifiedTime tells, while the rows were fingerprinted by another
// edition: if no column changed, there is no change to tell.
func (w *writer) sameButEdition(was source.State, o source.Observation) bool {
	return was.Record == nil && o.Evidence != source.EvidenceWebhook && o.Record != nil && w.otherEdition.Load() && o.Record.Modified == was.Modified
}

// rewritten are the keys of the changes that changed content.
func (b *merged) rewritten() []source.Key {
	seen := map[source.Key]bool{}
	var keys []source.Key
	for i, c := range b.contents {
		if k := b.changes[i].Key; c.after != nil && !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	return keys
}
