package pipeline

import (
	"context"
	"encoding/json"
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
	turn  turn      // one reading at a time
	whole time.Time // when the whole bin was last read
}

func newBinReader(d deps, w *writer) *binReader { return &binReader{deps: d, w: w, turn: newTurn()} }

// round is read for a loop, which needs no numbers.
func (b *binReader) round(ctx context.Context, whole bool) error {
	_, err := b.read(ctx, whole)
	return err
}

// read reads the bin, newest deletions first, until a page holds nothing new,
// or to its end when that is due or asked for.
func (b *binReader) read(ctx context.Context, whole bool) (total outcome, err error) {
	if err := b.turn.take(ctx); err != nil {
		return total, err
	}
	defer b.turn.give()
	whole = whole || b.clock.Now().Sub(b.whole) >= wholeBinEvery
	inBin := map[source.Key]bool{}
	for offset := 0; ; {
		items, _, err := b.desk.Bin(ctx, source.ForPoll, b.w.table, offset, pageRows)
		if err != nil {
			return total, fmt.Errorf("read recycle bin of %s from %d: %w", b.w.table, offset, err)
		}
		obs := make([]source.Observation, len(items))
		for i, item := range items {
			inBin[item.Key] = true
			obs[i] = source.FromBin(item)
		}
		out, err := b.w.write(ctx, obs)
		total.add(out)
		if err != nil {
			return total, err
		}
		if len(items) < smallestPage {
			break
		}
		if !whole && out.Unchanged == out.Seen {
			return total, nil
		}
		offset += len(items)
	}
	if err := b.left(ctx, inBin); err != nil {
		return total, err
	}
	b.whole = b.clock.Now()
	return total, nil
}

// binKeeps is how long a deleted record may come back: the bin keeps tickets 60
// days (OAS Ticket.json); of products and contracts nothing is documented.
const binKeeps = 90 * 24 * time.Hour

// unlisted are the deleted rows that are not in the recycle bin, and when GET was
// first asked about each, ms on Zoho's clock; 0 once it was asked again.
type unlisted map[uint64]int64

// UnmarshalJSON also takes the list of settled ids that was stored at first.
func (m *unlisted) UnmarshalJSON(value []byte) error {
	var settled []uint64
	if json.Unmarshal(value, &settled) != nil {
		return json.Unmarshal(value, (*map[uint64]int64)(m))
	}
	*m = unlisted{}
	for _, id := range settled {
		(*m)[id] = 0
	}
	return nil
}

// left queues a re-read of every deleted row that is not in the bin: it may have
// been restored, or purged. A reply may come from a replica that lags, and
// nothing else tells of a restore, so it is asked for once more after the lag
// allowance; then not again unless it appears in the bin once more.
func (b *binReader) left(ctx context.Context, inBin map[source.Key]bool) error {
	var before unlisted
	if _, err := b.loadJSON(ctx, binKey(b.name, b.w.table), &before); err != nil {
		return err
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
	after := unlisted{}
	for _, k := range deleted {
		if inBin[k] {
			continue
		}
		first, asked := before[k.ID]
		switch {
		case !asked:
			first = now.UnixMilli()
			hints = append(hints, hint{key: k, reason: leftTheBin})
		case first != 0 && now.Sub(time.UnixMilli(first)) >= pollOverlap:
			first = 0
			hints = append(hints, hint{key: k, reason: leftTheBin})
		}
		after[k.ID] = first
	}
	if err := b.rereads.add(ctx, b.w.table, hints); err != nil {
		return err
	}
	return b.saveJSON(ctx, binKey(b.name, b.w.table), after)
}

// settled notes the rows that a sweep has just found gone: they are not in the
// bin, which was read before it, and need not be asked for again.
func (b *binReader) settled(ctx context.Context, verdicts map[source.Key]verdict) error {
	if b == nil {
		return nil
	}
	if err := b.turn.take(ctx); err != nil {
		return err
	}
	defer b.turn.give()
	known := unlisted{}
	if _, err := b.loadJSON(ctx, binKey(b.name, b.w.table), &known); err != nil {
		return err
	}
	before := len(known)
	for k, v := range verdicts {
		if v == verdictDeleted {
			known[k.ID] = 0
		}
	}
	if len(known) == before {
		return nil
	}
	return b.saveJSON(ctx, binKey(b.name, b.w.table), known)
}

const leftTheBin source.Contradiction = "deleted, and not in the recycle bin"
