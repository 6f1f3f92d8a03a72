package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"deskhouse/source"
)

// TestABinnedContractThatGetStillShowsIsDeleted: GET of a contract has no key
// that tells of the recycle bin. One that was read just after it was thrown away
// is held as of later than its deletion, which has whole seconds.
func TestABinnedContractThatGetStillShowsIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const id, thrown = 7, int64(shelfStart)
		b := &trash{gone: map[uint64]bool{}, gets: map[uint64]int{}}
		desk := b.desk(t)
		desk.get = func(_ context.Context, table source.Table, id uint64) (*source.Record, source.Timing, error) {
			return recordOf(t, table, id, "contract", shelfStart, shelfStart), timing(), nil
		}
		r := newRig(t, desk, nil, nil)
		w := newWriter(source.Contracts, r.deps)
		bin := newBinReader(r.deps, w)
		defer spawn(r.readers(w)...)()
		held := content(recordOf(t, source.Contracts, id, "contract", shelfStart, shelfStart))
		held.Content.AsOf, held.Life = thrown+900, source.Stamp{AsOf: thrown + 900, Rank: source.EvidenceGet}
		r.mem.hold(source.Contracts, source.Key{ID: id}, held)
		b.throw(id, thrown)
		must(t, bin.round(t.Context(), true))
		time.Sleep(5 * time.Second)
		if !r.mem.row(source.Contracts, id).Deleted {
			t.Error("it is in the bin and visible")
		}
		b.take(id)
		must(t, bin.round(t.Context(), true))
		time.Sleep(5 * time.Second)
		if r.mem.row(source.Contracts, id).Deleted {
			t.Error("it was restored and is deleted")
		}
	})
}
