package pipeline

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"deskhouse/source"
)

// listOverlap is how many rows of the page before are asked for again, so that
// rows removed while a list is read cannot make it skip others.
const listOverlap = 5

// smallestPage is the least number of rows that any list gives on a full page
// (LIVE-IN and AMPLABS: 50; others 99, 100, 200): a shorter page is the last.
const smallestPage = 50

// place is where the reading of a list stands: the next offset, and the last
// rows before it, which the next page must show again.
type place struct {
	Offset int      `json:"offset"`
	Tail   []uint64 `json:"tail,omitempty"`
}

// eachPage reads a plain list by offset from a place on (nil: the beginning).
// Consecutive pages overlap; while none of the overlap repeats, rows before it
// have gone, and the reader steps back. use gets every page and the place to go
// on from after it.
func (d deps) eachPage(ctx context.Context, p source.Priority, t source.Table, q source.ListQuery, from *place,
	use func(page source.Page, next place) error) error {
	var at place
	if from != nil {
		at = *from
	}
	for {
		q.Offset = max(at.Offset-len(at.Tail), 0)
		page, err := d.desk.List(ctx, p, t, q)
		if err != nil {
			return fmt.Errorf("list %s from %d: %w", t, q.Offset, err)
		}
		if q.Offset > 0 && moved(page, at.Tail) {
			at.Offset = max(at.Offset-smallestPage+listOverlap, 0)
			continue
		}
		if err := d.badRows(ctx, t, page); err != nil {
			return err
		}
		next := place{Offset: q.Offset + page.Rows, Tail: tailOf(page)}
		if err := use(page, next); err != nil {
			return err
		}
		if page.Rows < smallestPage {
			return nil
		}
		at = next
	}
}

// tailOf is the last rows of a page.
func tailOf(page source.Page) []uint64 {
	var tail []uint64
	for _, r := range page.Records[max(len(page.Records)-listOverlap, 0):] {
		tail = append(tail, r.Key.ID)
	}
	return tail
}

// moved reports whether a page shows none of the rows that stood before it.
func moved(page source.Page, tail []uint64) bool {
	for _, r := range page.Records {
		if slices.Contains(tail, r.Key.ID) {
			return false
		}
	}
	return len(tail) > 0
}

// getEach reads records by id, several at once. A record that cannot be had (not
// found, not visible, always a server fault) or is not as new as what is held is
// left to the re-read queue, which asks again: one record must not hold up its
// table. Only when none of several can be had, that is the error.
func (d deps) getEach(ctx context.Context, w *writer, p source.Priority, keys []source.Key, origin string) ([]source.Observation, error) {
	held, err := d.wh.Heads(ctx, w.table, keys)
	if err != nil {
		return nil, fmt.Errorf("read heads: %w", err)
	}
	obs := make([]source.Observation, len(keys))
	refused := make([]error, len(keys))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(rereadParallel)
	for i, k := range keys {
		g.Go(func() error {
			rec, at, err := d.desk.Get(gctx, p, w.table, k.ID)
			obs[i] = source.Observation{Key: k, Evidence: source.EvidenceList, Hint: true, Origin: origin}
			switch {
			case gctx.Err() != nil:
				return gctx.Err()
			case source.IsFault(err, source.FaultUnauthorized):
				return fmt.Errorf("get %s %s: %w", w.table, k, err)
			case source.IsFault(err, source.FaultNotFound):
			case err != nil:
				refused[i] = err
			case rec.Key == k && rec.Modified >= held[k].Modified:
				if origin == originPoll { // a resync has its own guard
					if whole, err := d.keepsColumns(gctx, w, rec, held[k]); err != nil || !whole {
						return err
					}
				}
				obs[i] = w.cov.FromGet(rec, at, held[k], origin)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if len(keys) > 1 && !slices.Contains(refused, nil) {
		return nil, fmt.Errorf("get %s: none of %d records can be had: %w", w.table, len(keys), refused[0])
	}
	d.progress.read(w.table, len(keys))
	return obs, nil
}

func keysOf(recs []*source.Record) []source.Key {
	keys := make([]source.Key, len(recs))
	for i, r := range recs {
		keys[i] = r.Key
	}
	return keys
}
