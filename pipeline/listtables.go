package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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

// getEach reads records by id, several at once. A record that is not found, not
// visible, or not as new as what is held, is left to the re-read queue, which
// asks again; only when none of several is visible, the table is refused.
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
			case source.IsFault(err, source.FaultForbidden):
				refused[i] = err
			case source.IsFault(err, source.FaultNotFound):
			case err != nil:
				return fmt.Errorf("get %s %s: %w", w.table, k, err)
			case rec.Key == k && rec.Modified >= held[k].Modified:
				obs[i] = w.cov.FromGet(rec, at, held[k], origin)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if len(keys) > 1 && !slices.Contains(refused, nil) {
		return nil, fmt.Errorf("get %s: none of %d records is visible: %w", w.table, len(keys), refused[0])
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

// getTable reads a table whose list tells only the ids: contracts.
type getTable struct {
	deps
	w *writer
}

func (g *getTable) full(ctx context.Context, r *reading, resume bool) error {
	var st snapshotState
	if resume {
		var err error
		if st, err = g.loadSnapshot(ctx, g.w.table); err != nil {
			return err
		}
	}
	done := map[source.Key]bool{}
	return g.eachPage(ctx, r.priority, g.w.table, source.ListQuery{SortBy: "createdTime"}, &st.Place, func(page source.Page, next place) error {
		if st.Started == 0 {
			st.Started = page.At.Date.UnixMilli()
		}
		r.started = time.UnixMilli(st.Started)
		if err := r.note(ctx, page.Records); err != nil {
			return err
		}
		var keys []source.Key
		for _, rec := range page.Records {
			if !done[rec.Key] {
				done[rec.Key] = true
				keys = append(keys, rec.Key)
			}
		}
		obs, err := g.getEach(ctx, g.w, r.priority, keys, r.origin)
		if err != nil {
			return err
		}
		out, err := g.w.write(ctx, obs)
		if err != nil {
			return err
		}
		r.add(out)
		if st.Place = next; resume {
			return g.saveSnapshot(ctx, g.w.table, st)
		}
		return nil
	})
}

// poll walks the list from the latest modification on. The list carries no
// times (OAS Contract.json), but its order does: records are read by id until
// they are older than the watermark less the overlap.
func (g *getTable) poll(ctx context.Context) error {
	var st pollState
	if _, err := g.loadJSON(ctx, pollKey(g.name, g.w.table), &st); err != nil {
		return err
	}
	if st.Watermark == 0 {
		snap, err := g.loadSnapshot(ctx, g.w.table)
		if err != nil {
			return err
		}
		st.Watermark = snap.Started
	}
	began, err := g.zohoNow(ctx)
	if err != nil {
		return err
	}
	until := time.UnixMilli(st.Watermark).Add(-pollOverlap).UnixMilli()
	if err := g.newest(ctx, until); err != nil {
		return err
	}
	st.Watermark = began.UnixMilli()
	if err := g.saveJSON(ctx, pollKey(g.name, g.w.table), st); err != nil {
		return fmt.Errorf("save watermark of %s: %w", g.w.table, err)
	}
	g.progress.polled(g.w.table, began)
	return nil
}

// errReached ends the walk of newest; it is never returned.
var errReached = errors.New("reached what is known")

// newest reads by id whatever was modified after until, a few records at first
// and more as long as they are news.
func (g *getTable) newest(ctx context.Context, until int64) error {
	var news []source.Observation
	size := 1
	err := g.eachPage(ctx, source.ForPoll, g.w.table, source.ListQuery{SortBy: "-modifiedTime"}, nil, func(page source.Page, _ place) error {
		for keys := keysOf(page.Records); len(keys) > 0; size = min(size*2, 4*rereadParallel) {
			n := min(size, len(keys))
			obs, err := g.getEach(ctx, g.w, source.ForPoll, keys[:n], originPoll)
			if err != nil {
				return err
			}
			if news = append(news, obs...); known(obs, until) {
				return errReached
			}
			keys = keys[n:]
		}
		return nil
	})
	if err != nil && !errors.Is(err, errReached) {
		return err
	}
	_, err = g.w.write(ctx, news)
	return err
}

// known reports whether all these records are older than until.
func known(obs []source.Observation, until int64) bool {
	for _, o := range obs {
		if o.Record == nil || o.Record.Modified == 0 || o.Record.Modified >= until {
			return false
		}
	}
	return true
}

// departmentTable reads the full list, the record store itself; the detail
// register comes from one GET each.
type departmentTable struct {
	deps
	w *writer
}

func (t *departmentTable) full(ctx context.Context, r *reading, _ bool) error {
	obs, err := t.list(ctx, r)
	if err != nil {
		return err
	}
	keys := make([]source.Key, len(obs))
	for i := range obs {
		keys[i] = obs[i].Key
	}
	details, err := t.getEach(ctx, t.w, r.priority, keys, r.origin)
	if err != nil {
		return err
	}
	out, err := t.w.write(ctx, append(obs, details...))
	r.add(out)
	return err
}

// list is every row of the list; its as_of is that of its earliest page.
func (t *departmentTable) list(ctx context.Context, r *reading) ([]source.Observation, error) {
	var recs []*source.Record
	var knownAt int64
	err := t.eachPage(ctx, r.priority, t.w.table, source.ListQuery{}, nil, func(page source.Page, _ place) error {
		if r.started.IsZero() {
			r.started, knownAt = page.At.Date, page.At.KnownAt()
		}
		knownAt = min(knownAt, page.At.KnownAt())
		recs = append(recs, page.Records...)
		return r.note(ctx, page.Records)
	})
	obs := make([]source.Observation, len(recs))
	for i, rec := range recs {
		obs[i] = t.w.cov.FromFullList(rec, knownAt, r.origin)
	}
	return obs, err
}

func (t *departmentTable) poll(ctx context.Context) error {
	r := &reading{origin: originPoll, priority: source.ForPoll}
	obs, err := t.list(ctx, r)
	if err != nil {
		return err
	}
	if _, err := t.w.write(ctx, obs); err != nil {
		return err
	}
	t.progress.polled(t.w.table, r.started)
	return nil
}

// fieldTable reads the field metadata of every module that the portal answers
// for, and keeps the custom-field columns in step.
type fieldTable struct {
	deps
	w       *writer
	modules []string
	tables  []source.Table // those whose columns follow the metadata
}

func (t *fieldTable) full(ctx context.Context, r *reading, _ bool) error {
	var obs []source.Observation
	var refused error
	answered := 0
	for _, module := range t.modules {
		fields, err := t.module(ctx, r, module)
		switch {
		case err == nil:
			answered++
			obs = append(obs, fields...)
		case source.IsFault(err, source.FaultForbidden) || source.IsFault(err, source.FaultInvalid) || source.IsFault(err, source.FaultNotFound):
			refused = err
			t.log.Debug().Err(err).Str("module", module).Msg("fields of this module are not to be had")
		default:
			return err
		}
	}
	if answered == 0 {
		return refused
	}
	out, err := t.w.write(ctx, obs)
	r.add(out)
	t.progress.read(t.w.table, len(obs))
	return err
}

// module reads one module's fields and gives the custom ones their columns.
func (t *fieldTable) module(ctx context.Context, r *reading, module string) ([]source.Observation, error) {
	page, custom, err := t.desk.Fields(ctx, r.priority, module)
	if err != nil {
		return nil, fmt.Errorf("read fields of %s: %w", module, err)
	}
	if err := t.badRows(ctx, t.w.table, page); err != nil {
		return nil, err
	}
	if r.started.IsZero() {
		r.started = page.At.Date
	}
	for _, table := range t.tables {
		if source.Lookup(table).Module == module {
			if err := t.schema.apply(ctx, table, custom); err != nil {
				return nil, err
			}
		}
	}
	obs := make([]source.Observation, len(page.Records))
	for i, rec := range page.Records {
		obs[i] = t.w.cov.FromFullList(rec, page.At.KnownAt(), r.origin)
	}
	return obs, r.note(ctx, page.Records)
}

func (t *fieldTable) poll(ctx context.Context) error {
	r := &reading{origin: originPoll, priority: source.ForPoll}
	if err := t.full(ctx, r, false); err != nil {
		return err
	}
	t.progress.polled(t.w.table, r.started)
	return nil
}
