package clickhouse

import (
	"context"

	"deskhouse/source"
)

// Write puts main rows into the warehouse: the one writer of a table calls it
// with each key at most once. A row with a record becomes that content; one
// without a record and with Content.AsOf > 0 carries over, inside the server,
// the content held there, exactly as stored; one without either has no content
// yet. nil means that the server acknowledged every row. After an error any
// part of the rows may have been written; writing the same rows again leaves
// the same visible rows. During a rebuild they go to the shadow too. A Retryable error invites that; ErrFenced means that
// a later epoch took over; anything else is permanent. Not safe for concurrent
// use on one table.
func (w *Warehouse) Write(ctx context.Context, t source.Table, rows []source.Row, epoch uint64) error {
	w.firstWrite(t)
	l, err := w.layout(t)
	if err != nil {
		return err
	}
	w.noteEpoch(epoch)
	if err := w.writeInto(ctx, l, shadow{name: mainName(t)}, rows, epoch); err != nil {
		return err
	}
	if err := w.writeAlso(ctx, l, rows, epoch); err != nil {
		return err
	}
	w.namesChanged(ctx, t, len(rows))
	return nil
}

// writeInto writes rows into the main table, whose layout is l, or its shadow.
// Content that is carried over comes from the main table in both cases, and so
// do kept values.
func (w *Warehouse) writeInto(ctx context.Context, l *layout, into shadow, rows []source.Row, epoch uint64) error {
	kept, err := w.keptOf(ctx, l, rows)
	if err != nil {
		return err
	}
	if into.layout != nil {
		for i := range rows {
			if held, any := kept[rows[i].Key]; any {
				kept[rows[i].Key] = l.inOther(held, rows[i].Record)
			}
		}
	}
	carried, err := w.writeBlocks(ctx, into.writes(l), into.name, rows, kept, epoch)
	if err != nil {
		return err
	}
	if into.name != mainName(l.res.Table) && into.converts(l) {
		return w.carryAcross(ctx, l, into, carried, epoch)
	}
	return w.carryOver(ctx, l, into.name, carried, epoch)
}

// writeBlocks writes the rows that bring their content, or have none, and
// returns the others.
func (w *Warehouse) writeBlocks(ctx context.Context, l *layout, name string, rows []source.Row, kept map[source.Key]keptValues, epoch uint64) (carried []source.Row, err error) {
	s := w.stream(l, source.Content, name)
	for i := range rows {
		if rows[i].Record == nil && rows[i].Content.AsOf > 0 {
			carried = append(carried, rows[i])
			continue
		}
		s.filling.custom.held = kept[rows[i].Key]
		s.filling.addMain(&rows[i], epoch)
		if err = s.next(ctx); err != nil {
			break
		}
	}
	return carried, s.close(ctx, err)
}

func (b *block) addMain(row *source.Row, epoch uint64) {
	b.add(row.Key, row.Record)
	b.state.add(row, epoch)
	b.hash(row.Key, row.Version, epoch, row.Content.Hash)
}

// stateCells are the columns of state, in that order.
type stateCells struct {
	deleted         []uint8
	deletedAt       nullable[int64]
	version, epoch  []uint64
	contentAsOf     []int64
	contentRank     []uint8
	contentHash     []uint64
	contentModified []int64
	lifeAsOf        []int64
	lifeRank        []uint8
	lifeHash        []uint64
	leftOut         []uint8
}

func (s *stateCells) add(row *source.Row, epoch uint64) {
	s.deleted = append(s.deleted, bit(row.Deleted))
	if at := deletedAt(row.Head); at != nil {
		s.deletedAt.put(*at)
	} else {
		s.deletedAt.null(true)
	}
	s.version, s.epoch = append(s.version, row.Version), append(s.epoch, epoch)
	s.contentAsOf = append(s.contentAsOf, row.Content.AsOf)
	s.contentRank = append(s.contentRank, uint8(row.Content.Rank))
	s.contentHash = append(s.contentHash, row.Content.Hash)
	s.contentModified = append(s.contentModified, row.Modified)
	s.lifeAsOf = append(s.lifeAsOf, row.Life.AsOf)
	s.lifeRank = append(s.lifeRank, uint8(row.Life.Rank))
	s.lifeHash = append(s.lifeHash, row.Life.Hash)
	s.leftOut = append(s.leftOut, bit(row.LeftOut))
}

func (s *stateCells) slices() []any {
	return []any{s.deleted, s.deletedAt.cells, s.version, s.epoch, s.contentAsOf, s.contentRank, s.contentHash,
		s.contentModified, s.lifeAsOf, s.lifeRank, s.lifeHash, s.leftOut}
}

func (s *stateCells) reset() {
	s.deletedAt.reset()
	*s = stateCells{deleted: s.deleted[:0], deletedAt: s.deletedAt, version: s.version[:0], epoch: s.epoch[:0],
		contentAsOf: s.contentAsOf[:0], contentRank: s.contentRank[:0], contentHash: s.contentHash[:0],
		contentModified: s.contentModified[:0], lifeAsOf: s.lifeAsOf[:0], lifeRank: s.lifeRank[:0], lifeHash: s.lifeHash[:0], leftOut: s.leftOut[:0]}
}

// deletedAt is the time of deletion, nil for a row that is not deleted, brought
// into what the column holds: Zoho's clock is not in 1850.
func deletedAt(h source.Head) *int64 {
	if !h.Deleted || h.DeletedAt == 0 {
		return nil
	}
	at := min(max(h.DeletedAt, minTime), maxTime)
	return &at
}

func bit(on bool) uint8 {
	if on {
		return 1
	}
	return 0
}
