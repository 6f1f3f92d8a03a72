package pipeline

import (
	"context"
	"fmt"
	"time"

	"deskhouse/source"
)

// binTables are the tables whose deletions the recycle bin shows (OAS
// Recyclebin.json: tickets, products, contracts).
var binTables = []source.Table{source.Tickets, source.Products, source.Contracts}

// wholeBinEvery is how often the bin is read to its end, so that what left it
// is noticed: restores have no event.
const wholeBinEvery = time.Hour

// binReader follows the recycle bin of one table.
type binReader struct {
	deps
	w     *writer
	whole time.Time // when the whole bin was last read
}

// round reads the bin, newest deletions first, until a page holds nothing new,
// or to its end when that is due or asked for.
func (b *binReader) round(ctx context.Context, whole bool) error {
	whole = whole || b.clock.Now().Sub(b.whole) >= wholeBinEvery
	inBin := map[source.Key]bool{}
	for offset := 0; ; {
		items, _, err := b.desk.Bin(ctx, source.ForPoll, b.w.table, offset, pageRows)
		if err != nil {
			return fmt.Errorf("read recycle bin of %s from %d: %w", b.w.table, offset, err)
		}
		obs := make([]source.Observation, len(items))
		for i, item := range items {
			inBin[item.Key] = true
			obs[i] = source.FromBin(item)
		}
		out, err := b.w.write(ctx, obs)
		if err != nil {
			return err
		}
		if len(items) < smallestPage {
			break
		}
		if !whole && out.Unchanged == out.Seen {
			return nil
		}
		offset += len(items)
	}
	if err := b.left(ctx, inBin); err != nil {
		return err
	}
	b.whole = b.clock.Now()
	return nil
}

// binKeeps is how long a deleted record may come back: the bin keeps tickets 60
// days (OAS Ticket.json); of products and contracts nothing is documented.
const binKeeps = 90 * 24 * time.Hour

// left queues a re-read of every deleted row that is not in the bin: it may have
// been restored, or purged. One that is still deleted then is not asked for
// again unless it appears in the bin once more.
func (b *binReader) left(ctx context.Context, inBin map[source.Key]bool) error {
	var before []uint64
	if _, err := b.loadJSON(ctx, binKey(b.name, b.w.table), &before); err != nil {
		return err
	}
	asked := map[source.Key]bool{}
	for _, id := range before {
		asked[source.Key{ID: id}] = true
	}
	now, err := b.zohoNow(ctx)
	if err != nil {
		return err
	}
	deleted, err := b.wh.DeletedKeys(ctx, b.w.table, now.Add(-binKeeps))
	if err != nil {
		return fmt.Errorf("read deleted rows: %w", err)
	}
	var hints []hint
	var unlisted []uint64
	for _, k := range deleted {
		if inBin[k] {
			continue
		}
		unlisted = append(unlisted, k.ID)
		if !asked[k] {
			hints = append(hints, hint{key: k, reason: leftTheBin})
		}
	}
	if err := b.rereads.add(ctx, b.w.table, hints); err != nil {
		return err
	}
	return b.saveJSON(ctx, binKey(b.name, b.w.table), unlisted)
}

const leftTheBin source.Contradiction = "deleted, and not in the recycle bin"
