package pipeline

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"deskhouse/source"
)

// Hydrate is which rows of a table get the columns that only a GET by id
// carries (its detail register), one credit a row.
type Hydrate string

// The values of Hydrate; any other means off.
const (
	HydrateOff     Hydrate = "off"
	HydrateChanged Hydrate = "changed" // what changed since the load began
	HydrateAll     Hydrate = "all"     // every visible row
)

// How hydration goes about it. It is never urgent: two calls at once make some
// ten rows a second, far more than its share of the credits allows.
const (
	hydrateParallel = 2
	hydrateBatch    = 50     // rows in flight or not confirmed at a time
	hydratePage     = 10_000 // rows asked of the warehouse at once
	// hydrateEvery is how long nothing is looked for after nothing was left, and
	// how long a list of rows is worked at before newer rows are looked for.
	hydrateEvery = 10 * time.Minute
	// Once nothing is left, only what is as young as hydrateRecent is looked at,
	// and the whole table once in hydrateWhole: that takes 1.5 s of a million rows
	// that all have their detail, the recent ones 0.05 s.
	hydrateRecent = 48 * time.Hour
	hydrateWhole  = 24 * time.Hour
	// Rows that could not be had rest: an hour where time heals, else a day.
	hydrateRest     = time.Hour
	hydrateRestLong = 24 * time.Hour
)

const originHydration = "hydration"

// hydrator fills the detail register of one table, the newest content first.
// What is done stands in the warehouse, so there is no progress to store.
type hydrator struct {
	deps
	w     *writer
	mode  Hydrate
	purse Purse
	since time.Time // of HydrateChanged, once known
	whole time.Time // when all of it was looked at last and nothing was left

	mu    sync.Mutex
	tried map[source.Key]attempt // rows read since, or that cannot be had
	left  int64                  // rows still to be read, of what was found last
}

// attempt is a row that need not be read again: its content is as old as then,
// and its time to rest is not over.
type attempt struct {
	asOf  int64
	until time.Time
}

// hydrate keeps a table's detail register filled until ctx ends. It starts when
// every table is loaded: nothing that is waited for may wait for it.
func (p *Pipeline) hydrate(ctx context.Context, t source.Table) error {
	mode := p.cfg.Hydrate[t]
	if mode != HydrateChanged && mode != HydrateAll || !hydratable(t) {
		return nil
	}
	select {
	case <-p.loaded:
	case <-ctx.Done():
		return ctx.Err()
	}
	h := &hydrator{deps: p.deps, w: p.tables[t].w, mode: mode, purse: p.purse, tried: map[source.Key]attempt{}}
	for {
		if err := h.round(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			p.log.Warn().Err(err).Str("table", string(t)).Msg("hydration pauses")
		}
		if err := sleep(ctx, p.clock, hydrateEvery); err != nil {
			return err
		}
	}
}

// hydratable reports whether a table has columns of its own in GET; fields have
// no GET.
func hydratable(t source.Table) bool {
	return t != source.OrganizationFields && source.Lookup(t).Has(source.Detail)
}

// round reads rows until none is left.
func (h *hydrator) round(ctx context.Context) error {
	for {
		keys, err := h.look(ctx)
		if err != nil {
			return err
		}
		h.note()
		if len(keys) == 0 {
			return nil
		}
		for until := h.clock.Now().Add(hydrateEvery); len(keys) > 0 && h.clock.Now().Before(until); h.note() {
			n := min(len(keys), hydrateBatch)
			if err := h.batch(ctx, keys[:n]); err != nil {
				return err
			}
			keys, h.left = keys[n:], h.left-int64(n)
		}
	}
}

// note tells people what is left and until when.
func (h *hydrator) note() { h.progress.hydration(h.w.table, h.left, hydratedBy(h.left, h.purse)) }

// look finds the rows to be read, the newest content first.
func (h *hydrator) look(ctx context.Context) (due []source.Key, err error) {
	since, err := h.from(ctx)
	if err != nil {
		return nil, err
	}
	brief := h.clock.Now().Sub(h.whole) < hydrateWhole
	if recent := h.desk.ZohoNow().Add(-hydrateRecent); brief && recent.After(since) {
		since = recent
	}
	limit := hydratePage + len(h.tried)
	var keys []source.Key
	err = retry(ctx, h.clock, h.log, "look for rows of "+string(h.w.table)+" to hydrate", func(ctx context.Context) error {
		if keys, err = h.wh.Unhydrated(ctx, h.w.table, since, limit); err != nil {
			return err
		}
		due, _, err = h.due(ctx, keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	h.forget(keys)
	if len(due) == 0 && !brief {
		h.whole = h.clock.Now()
	}
	if h.left = int64(len(due)); len(keys) == limit && h.mode == HydrateAll {
		h.left = max(h.left, h.estimate(ctx))
	}
	return due, nil
}

// from is where HydrateChanged begins: with the load, or, where nobody knows
// when that was, with this process.
func (h *hydrator) from(ctx context.Context) (time.Time, error) {
	if h.mode == HydrateAll || !h.since.IsZero() {
		return h.since, nil
	}
	st, err := h.loadSnapshot(ctx, h.w.table)
	if err != nil {
		return h.since, err
	}
	if h.since = time.UnixMilli(st.Started).UTC(); st.Started <= 0 {
		h.since, err = h.zohoNow(ctx)
	}
	return h.since, err
}

// estimate is how many rows have no detail at all, tombstones included: what is
// left where the list of them is cut off.
func (h *hydrator) estimate(ctx context.Context) int64 {
	rows, err := h.wh.Totals(ctx, h.w.table)
	if err != nil {
		h.log.Debug().Err(err).Str("table", string(h.w.table)).Msg("rows to hydrate cannot be counted")
		return 0
	}
	return int64(rows[source.Content]) - int64(rows[source.Detail])
}

// forget drops the attempts at rows that are not among those found: they have
// their detail, or are deleted.
func (h *hydrator) forget(found []source.Key) {
	still := make(map[source.Key]attempt, len(h.tried))
	for _, k := range found {
		if a, ok := h.tried[k]; ok {
			still[k] = a
		}
	}
	h.tried = still
}

// due are those of the keys that are to be read now, with their heads.
func (h *hydrator) due(ctx context.Context, keys []source.Key) ([]source.Key, map[source.Key]source.Head, error) {
	if len(keys) == 0 {
		return nil, nil, nil
	}
	heads, err := h.wh.Heads(ctx, h.w.table, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("read %d heads: %w", len(keys), err)
	}
	details, err := h.wh.SideStamps(ctx, h.w.table, source.Detail, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("read %d stamps: %w", len(keys), err)
	}
	var due []source.Key
	for _, k := range keys {
		if head := heads[k]; !head.Deleted && details[k].AsOf < head.Content.AsOf && !h.rests(k, head, details[k]) {
			due = append(due, k)
		}
	}
	return due, heads, nil
}

// rests reports whether a row is left alone for now. Departments have no
// modifiedTime: every list renews their content, and whether their detail
// changed nobody can tell, so it is read once a day.
func (h *hydrator) rests(k source.Key, head source.Head, detail source.Stamp) bool {
	if !h.w.res.HasModified() && detail.AsOf > h.desk.ZohoNow().Add(-hydrateRestLong).UnixMilli() {
		return true
	}
	a, ok := h.tried[k]
	return ok && head.Content.AsOf <= a.asOf && h.clock.Now().Before(a.until)
}

// batch reads some rows and waits until they are confirmed.
func (h *hydrator) batch(ctx context.Context, keys []source.Key) error {
	var heads map[source.Key]source.Head
	err := retry(ctx, h.clock, h.log, "read heads of "+string(h.w.table), func(ctx context.Context) (err error) {
		keys, heads, err = h.due(ctx, keys)
		return err
	})
	if err != nil {
		return err
	}
	confirmed := make(chan struct{}, len(keys))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(hydrateParallel)
	for _, k := range keys {
		g.Go(func() error { return h.one(gctx, k, heads[k], func() { confirmed <- struct{}{} }) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for range keys {
		select {
		case <-confirmed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// one reads a row and gives it to the writer at once: what waits for credits
// must not keep what has been paid for. done is called when there is nothing
// more to wait for.
func (h *hydrator) one(ctx context.Context, k source.Key, held source.Head, done func()) error {
	rec, at, err := h.desk.Get(ctx, source.ForHydration, h.w.table, k.ID)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case source.IsFault(err, source.FaultUnauthorized):
		return fmt.Errorf("get %s %s: %w", h.w.table, k, err)
	}
	o, rest := h.judge(k, held, rec, at, err)
	h.mu.Lock()
	h.tried[k] = attempt{asOf: max(o.AsOf, held.Content.AsOf), until: h.clock.Now().Add(rest)}
	h.mu.Unlock()
	if o.Evidence == source.EvidenceNone {
		done()
		return nil
	}
	return h.w.submit(ctx, []source.Observation{o}, func(outcome) { done() })
}

// judge is what a reply says, nothing when Evidence is none, and how long the
// row rests if it is found again unchanged. Whether a row that GET does not
// find, or under whose id another record answers, is deleted is for a re-read
// to find out.
func (h *hydrator) judge(k source.Key, held source.Head, rec *source.Record, at source.Timing, err error) (source.Observation, time.Duration) {
	switch {
	case source.IsFault(err, source.FaultNotFound), err == nil && rec.Key != k:
		return source.Observation{Key: k, Evidence: source.EvidenceList, Hint: true, Origin: originHydration}, hydrateRestLong
	case source.IsFault(err, source.FaultRetry):
		return source.Observation{}, hydrateRest
	case err != nil:
		h.log.Debug().Err(err).Str("table", string(h.w.table)).Stringer("id", k).Msg("no detail to be had")
		return source.Observation{}, hydrateRestLong
	case rec.Modified < held.Modified:
		return source.Observation{}, hydrateEvery
	}
	return h.w.cov.FromGet(rec, at, held, originHydration), hydrateRestLong
}
