package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"deskhouse/source"
)

// manyOther is how many rows of one run may differ at an unchanged modifiedTime
// and be read by id; the others are taken from search (design §2: ~1,000).
const manyOther = 1000

// comparison holds what a complete reading shows against what the warehouse
// holds. Equal rows go no further, news go to the writer, and where the two
// disagree GET is asked once the reading is over.
type comparison struct {
	deps
	w       *writer
	started int64    // of the run, ms on Zoho's clock
	emptied *emptied // nil: emptied columns are accepted
	shadow  bool     // a rebuild is under way: it gets the equal rows
	dry     bool     // nothing is written, differences are only noted
	in      chan submission

	// What follows belongs to run, and to others once that has ended.
	asks    map[source.Key]hint
	unknown map[source.Key]bool  // of those, the rows that are not held at all
	other   int                  // rows that differ at an unchanged modifiedTime
	aside   []source.Observation // rows that lost a column's value
	early   outcome              // of those written before the end
	backfill
}

func newComparison(d deps, w *writer, started int64) *comparison {
	return &comparison{deps: d, w: w, started: started, emptied: newEmptied(w), in: make(chan submission), asks: map[source.Key]hint{}, unknown: map[source.Key]bool{},
		backfill: newBackfill(d.wh.PendingColumns(w.table))}
}

// put takes a part of the reading. done is called once the warehouse holds what
// was news in it.
func (c *comparison) put(ctx context.Context, obs []source.Observation, done func(outcome)) error {
	select {
	case c.in <- submission{obs: obs, done: done}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run compares until ctx ends, everything that waits at once.
func (c *comparison) run(ctx context.Context) error {
	for {
		var batch []submission
		select {
		case s := <-c.in:
			batch = append(batch, s)
		case <-ctx.Done():
			return nil
		}
		for rows := len(batch[0].obs); rows < maxWriteRows; {
			select {
			case s := <-c.in:
				batch = append(batch, s)
				rows += len(s.obs)
				continue
			default:
			}
			break
		}
		if err := c.batch(ctx, batch); err != nil {
			return err
		}
	}
}

// found is one row of a reading beside what is held of it.
type found struct {
	source.Observation
	held source.Head
	why  source.Contradiction // GET must decide
	news bool                 // the row, or one of its side rows, is to be written
	lost bool                 // a column was filled and comes empty
	// other: it differs only by the edition of the catalog that fingerprinted it.
	other bool
}

func (c *comparison) batch(ctx context.Context, batch []submission) error {
	var heads map[source.Key]source.Head
	var sides map[source.Register]map[source.Key]source.Stamp
	what := "compare " + string(c.w.table)
	defer c.failing.note(c.w.table, what, nil) // a comparison may be given up
	err := retry(ctx, c.clock, c.log, what, c.failing.noting(c.w.table, what, func(ctx context.Context) error {
		keys, held, err := c.w.heads(ctx, batch)
		if err != nil {
			return err
		}
		heads = held
		sides, err = c.sides(ctx, keys)
		return err
	}))
	if err != nil {
		return err
	}
	rows := make([][]found, len(batch))
	for i, s := range batch {
		for _, o := range s.obs {
			rows[i] = append(rows[i], c.judge(o, heads[o.Key], sides))
		}
	}
	if err := c.emptied.check(ctx, rows); err != nil {
		return err
	}
	if err := c.fillShadow(ctx, rows); err != nil {
		return err
	}
	for i, s := range batch {
		if err := c.hand(ctx, s, rows[i]); err != nil {
			return err
		}
	}
	if len(c.aside) < maxAside {
		return nil
	}
	out, err := c.writeAside(ctx)
	c.early.add(out)
	return err
}

// maxAside bounds the rows that are set aside. When there are so many and no
// column comes empty in too many of the rows that changed, they are believed.
const maxAside = 5000

// writeAside writes the rows that were set aside: the guard has let them pass.
func (c *comparison) writeAside(ctx context.Context) (outcome, error) {
	total := c.early
	c.early = outcome{}
	for part := range slices.Chunk(c.aside, 500) {
		out, err := c.w.write(ctx, part)
		total.add(out)
		if err != nil {
			return total, err
		}
	}
	c.aside = nil
	return total, nil
}

// sides are the stamps of the side rows that are held.
func (c *comparison) sides(ctx context.Context, keys []source.Key) (map[source.Register]map[source.Key]source.Stamp, error) {
	held := map[source.Register]map[source.Key]source.Stamp{}
	if c.dry {
		return held, nil
	}
	for _, reg := range []source.Register{source.Listed, source.Detail} {
		if !c.w.res.Has(reg) {
			continue
		}
		stamps, err := c.wh.SideStamps(ctx, c.w.table, reg, keys)
		if err != nil {
			return nil, fmt.Errorf("read stamps of %s %s: %w", c.w.table, reg, err)
		}
		held[reg] = stamps
	}
	return held, nil
}

// judge says what follows from one row.
func (c *comparison) judge(o source.Observation, held source.Head, sides map[source.Register]map[source.Key]source.Stamp) found {
	f := found{Observation: o, held: held}
	if o.Key.Name == "" { // what has no GET is what the list says
		f.why = source.Contradicts(held, o)
	}
	if c.ofOtherEdition(f) {
		f.why, f.other = source.NoContradiction, true
		f.Observation = refills(o, held)
		c.miss(c.w.res, f)
		return c.parts(f, sides)
	}
	if f.why == source.OtherContent && c.many() && c.started-indexLag > held.Content.AsOf {
		// Too many to ask for each: the index has caught up with what it showed.
		f.why, f.AsOf = source.NoContradiction, c.started-indexLag
	}
	next := source.Merge(source.State{Head: held}, f.Observation).Head
	f.news = f.why == source.NoContradiction && next != held && !f.equal(c.w.res)
	if c.dry && f.Record != nil && unseen(held, source.Head{LeftOut: f.Record.LeftOut}) {
		f.why, f.news = source.NoContradiction, false
		return f
	}
	if c.dry {
		f.news = f.news && (next.Content.Hash != held.Content.Hash || next.Deleted != held.Deleted || held.Version == 0)
	}
	if f.news || held.Deleted && f.why == source.NoContradiction || c.dry { // a row that GET brings back needs its listed columns
		return f
	}
	c.miss(c.w.res, f)
	return c.parts(f, sides)
}

// parts narrows a row whose content is held to what is still to be written of
// it: side rows, and the row itself where it lacks a column's value.
func (c *comparison) parts(f found, sides map[source.Register]map[source.Key]source.Stamp) found {
	only := source.Observation{Key: f.Key, Evidence: f.Evidence, AsOf: f.AsOf, Record: f.Record, SeenAt: f.SeenAt, Origin: f.Origin}
	if c.fills(f) || f.other && !c.dry {
		only.Carries[source.Content], only.Over, f.news = true, f.held.Content, true
	}
	for reg := range sides {
		if !f.Carries[reg] || f.AsOf == 0 {
			continue
		}
		s := newSide(reg, f.Observation)
		s.renew, s.fill = false, c.wh.Backfills(c.w.table, reg, f.Record)
		s.over = f.Record.LeftOut || f.held.LeftOut
		if _, news := s.after(sides[reg][f.Key]); news {
			only.Carries[reg], f.news = true, true
			only.Fills[reg] = s.fill
		} else if s.fill {
			c.late(reg)
		}
	}
	if f.news {
		f.Observation = only
	}
	return f
}

// many counts the rows that differ at an unchanged modifiedTime and says
// whether they are too many to be read by id.
func (c *comparison) many() bool {
	c.other++
	return c.other > manyOther
}

// equal reports whether a row is held as it was read. Its as_of need not move:
// later evidence is told from earlier by modifiedTime, where there is one.
func (f found) equal(res *source.Resource) bool {
	return res.HasModified() && f.Record != nil && f.Life != source.LifeDeleted && !f.held.Deleted &&
		f.held.Content.AsOf != 0 && f.Record.Fingerprint == f.held.Content.Hash
}

// fillShadow gives a rebuild the rows that are held as they were read; all
// others reach it through the writer or at the exchange.
func (c *comparison) fillShadow(ctx context.Context, batch [][]found) error {
	if !c.shadow {
		return nil
	}
	var rows []source.Row
	for _, part := range batch {
		for _, f := range part {
			if f.Carries[source.Content] && f.Record != nil && !f.held.Deleted && f.held.Version != 0 && f.Record.Fingerprint == f.held.Content.Hash {
				rows = append(rows, f.row())
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	for attempt := 1; ; attempt++ {
		err := c.wh.WriteShadow(ctx, c.w.table, rows, c.epoch)
		if err == nil {
			return nil
		}
		if attempt == shadowAttempts {
			return fmt.Errorf("write %d rows of the rebuild: %w", len(rows), err)
		}
		if err := sleep(ctx, c.clock, time.Second<<attempt); err != nil {
			return err
		}
	}
}

// row is the row of a record that is held as it was read.
func (f found) row() source.Row {
	st := source.State{Head: f.held, Record: f.Record}
	st.LeftOut = f.Record.LeftOut
	return source.Row{Key: f.Key, State: st}
}

// shadowAttempts is how often a step of a rebuild is tried before it is given
// up: the table itself lacks nothing without it.
const shadowAttempts = 5

// hand gives the news of one submission to the writer and keeps the questions.
func (c *comparison) hand(ctx context.Context, s submission, rows []found) error {
	var news []source.Observation
	for _, f := range rows {
		if f.why != source.NoContradiction || c.dry && f.news {
			h := hint{key: f.Key, reason: f.why}
			if f.Record != nil {
				h.modified = f.Record.Modified
			}
			c.asks[f.Key] = h
			if c.dry && f.held.Version == 0 {
				c.unknown[f.Key] = true
			}
		}
		switch {
		case !f.news || c.dry:
		case f.lost:
			c.aside = append(c.aside, f.Observation)
		default:
			news = append(news, f.Observation)
		}
	}
	same := outcome{Seen: len(rows) - len(news), Unchanged: len(rows) - len(news)}
	if len(news) == 0 {
		s.done(same)
		return nil
	}
	return c.w.submit(ctx, news, func(o outcome) { o.add(same); s.done(o) })
}

// questions are the records that GET must decide about.
func (c *comparison) questions() []hint {
	hints := make([]hint, 0, len(c.asks))
	for _, h := range c.asks {
		hints = append(hints, h)
	}
	return hints
}
