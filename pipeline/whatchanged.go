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
}

// contentsOf compares the states before and after one merge. Between two
// observations of one batch the state before is not the one that is held. Of a
// row that is left out nothing is told.
func contentsOf(was, is source.State) contents {
	if is.LeftOut || was.Content.AsOf != 0 && was.Content.Hash == is.Content.Hash {
		return contents{}
	}
	return contents{was.Record, is.Record}
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
	for i, c := range b.contents {
		if c.after == nil {
			continue
		}
		was := tracked.Held[b.changes[i].Key]
		if c.before != nil {
			was = tracked.Read(c.before)
		}
		ch := &b.changes[i]
		ch.Changed, ch.Old, ch.New = tracked.Compare(was, tracked.Read(c.after))
	}
	return nil
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
