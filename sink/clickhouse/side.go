package clickhouse

import (
	"context"

	"deskhouse/source"
)

// WriteSide puts rows into a listed or detail table. Every row has a record;
// of several rows with one key the larger stamp stays visible, in whatever
// order they are written. Errors and repetition as with Write.
func (w *Warehouse) WriteSide(ctx context.Context, t source.Table, reg source.Register, rows []source.SideRow, epoch uint64) error {
	l, err := w.layout(t)
	if err != nil {
		return err
	}
	w.noteEpoch(epoch)
	s := w.stream(l, reg, sideName(t, reg))
	for i := range rows {
		s.filling.addSide(&rows[i], epoch)
		if err = s.next(ctx); err != nil {
			break
		}
	}
	return s.close(ctx, err)
}

func (b *block) addSide(row *source.SideRow, epoch uint64) {
	b.add(row.Key, row.Record)
	b.side.add(row, epoch)
	b.hash(row.Key, sideVersion(row.Stamp), epoch, row.Stamp.Hash)
}

// sideCells are the columns of sideState, in that order.
type sideCells struct {
	version, epoch, hashes []uint64
	asOf                   []int64
	rank, leftOut          []uint8
}

func (s *sideCells) add(row *source.SideRow, epoch uint64) {
	s.version, s.epoch = append(s.version, sideVersion(row.Stamp)), append(s.epoch, epoch)
	s.asOf, s.rank, s.hashes = append(s.asOf, row.Stamp.AsOf), append(s.rank, uint8(row.Stamp.Rank)), append(s.hashes, row.Stamp.Hash)
	s.leftOut = append(s.leftOut, bit(row.Record.LeftOut))
}

func (s *sideCells) slices() []any {
	return []any{s.version, s.epoch, s.asOf, s.rank, s.hashes, s.leftOut}
}

func (s *sideCells) reset() {
	*s = sideCells{version: s.version[:0], epoch: s.epoch[:0], hashes: s.hashes[:0], asOf: s.asOf[:0], rank: s.rank[:0], leftOut: s.leftOut[:0]}
}

// sideVersion orders rows as their stamps do: 44 bits of milliseconds, 3 of
// rank, the upper 17 of the hash.
func sideVersion(s source.Stamp) uint64 {
	return uint64(max(s.AsOf, 0))<<20 | uint64(s.Rank)<<17 | s.Hash>>47
}
