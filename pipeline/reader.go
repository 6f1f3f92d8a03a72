package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"deskhouse/source"
)

// How re-reads are made. A record that GET does not find is asked for twice, a
// minute apart, before it counts as deleted (rule 7).
const (
	rereadWorkers  = 4
	rereadBatch    = 32
	rereadParallel = 8
	missAgainAfter = time.Minute
	// maxNoNews is how often a reply that is older than what is held, that is
	// another record, or that refuses the request as it stands, is asked for
	// again before it is taken as it is.
	maxNoNews = 8
	// heldBackFor is when a deletion that the guard held back is tried again.
	heldBackFor = time.Hour
	// unauthorisedFor is how long re-reads rest when the connection is not
	// authorised and nobody tells when it is again.
	unauthorisedFor = time.Minute
)

// reader carries out re-reads.
type reader struct {
	deps
	writers map[source.Table]*writer
}

// run reads what is due until ctx ends.
func (r *reader) run(ctx context.Context) error {
	for {
		due, err := r.rereads.take(ctx, rereadBatch)
		if err != nil {
			return err
		}
		if err := r.batch(ctx, due); err != nil {
			return err
		}
	}
}

// batch reads the heads of the records first, so that each reply is known to
// outrank them.
func (r *reader) batch(ctx context.Context, due []*reread) error {
	byTable := map[source.Table][]*reread{}
	for _, it := range due {
		byTable[it.table] = append(byTable[it.table], it)
	}
	held := map[source.Table]map[source.Key]source.Head{}
	for t, items := range byTable {
		keys := make([]source.Key, len(items))
		for i, it := range items {
			keys[i] = it.key
		}
		err := retry(ctx, r.clock, r.log, fmt.Sprintf("read heads for %d re-reads", len(keys)), func(ctx context.Context) (err error) {
			held[t], err = r.wh.Heads(ctx, t, keys)
			return err
		})
		if err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(rereadParallel)
	for _, it := range due {
		g.Go(func() error { return r.one(ctx, it, held[it.table][it.key]) })
	}
	return g.Wait()
}

// one reads a record and hands the observation to the writer; the re-read is
// settled when that has confirmed it.
func (r *reader) one(ctx context.Context, it *reread, held source.Head) error {
	w := r.writers[it.table]
	if w == nil {
		r.rereads.finish(it, verdictGivenUp) // table switched off since
		return nil
	}
	it.attempts++
	regained := r.authorisedAgain()
	rec, at, err := r.desk.Get(ctx, r.rereads.priority(it), it.table, it.key.ID)
	switch {
	case ctx.Err() != nil:
		r.rereads.again(it, 0)
		return ctx.Err()
	case source.IsFault(err, source.FaultNotFound):
		return r.missing(ctx, w, it, at, held)
	case source.IsFault(err, source.FaultForbidden):
		r.settle(it, verdictNotVisible, "not_visible", "not visible any more, kept as it is", err)
		return nil
	case source.IsFault(err, source.FaultUnauthorized):
		r.rereads.again(it, 0)
		return r.rest(ctx, unauthorisedFor, regained)
	case source.IsFault(err, source.FaultInvalid), source.IsFault(err, source.FaultBadReply):
		it.misses = 0
		if it.refusals++; it.refusals >= maxNoNews {
			r.settle(it, verdictGivenUp, "refused", "cannot be read by id, kept as it is", err)
			return nil
		}
		r.rereads.again(it, r.wait(it, err))
		return nil
	case err != nil:
		r.log.Debug().Str("table", string(it.table)).Stringer("id", it.key).Err(err).Msg("re-read failed, queued again")
		if it.attempts >= maxNoNews && waitOf(err) == 0 {
			r.rereads.detach(it, verdictGivenUp) // a run must not wait for one record
		}
		r.rereads.again(it, r.wait(it, err))
		return nil
	}
	return r.reply(ctx, w, it, rec, at, held)
}

// reply hands a record to the writer unless it is no news: another record, as
// merged tickets may answer with, or older than what is held or asked for.
func (r *reader) reply(ctx context.Context, w *writer, it *reread, rec *source.Record, at source.Timing, held source.Head) error {
	it.misses = 0
	other := rec.Key != it.key
	if other || rec.Modified < max(held.Modified, r.rereads.wanted(it)) {
		if it.stale++; it.stale < maxNoNews {
			r.rereads.again(it, r.wait(it, nil))
			return nil
		}
	}
	if other {
		return r.merged(ctx, w, it, at, held)
	}
	if r.rereads.isBinned(it) && !w.res.TellsLife() {
		return r.bury(ctx, w, it, at, held, "binned") // a reply that cannot say so does not contradict the bin
	}
	whole, err := r.keepsColumns(ctx, w, rec, held)
	if err != nil {
		r.log.Warn().Err(err).Str("table", string(it.table)).Stringer("id", it.key).Msg("reply not judged, queued again")
		r.rereads.again(it, r.wait(it, err))
		return nil
	}
	if !whole {
		r.rereads.hold(it)
		return nil
	}
	r.metrics.reread(it.table, "read")
	return w.submit(ctx, []source.Observation{w.cov.FromGet(rec, at, held, originReread)}, func(o outcome) { r.rereads.finish(it, verdictOf(o, rec.Deleted)) })
}

// verdictOf is what a reply made of its row.
func verdictOf(o outcome, gone bool) verdict {
	switch {
	case o.Deleted > 0:
		return verdictDeleted
	case gone:
		return verdictBuried
	case o.Restored > 0:
		return verdictRestored
	case o.Changed > 0:
		return verdictRepaired
	}
	return verdictAlive
}

// merged ends the re-read of an id that answers with another record, again and
// again over minutes: it has been merged into that, and is one no more.
func (r *reader) merged(ctx context.Context, w *writer, it *reread, at source.Timing, held source.Head) error {
	r.log.Info().Str("table", string(it.table)).Stringer("id", it.key).Msg("answers with another record: merged")
	return r.bury(ctx, w, it, at, held, "merged")
}

// settle ends a re-read that brought nothing to apply, and says why.
func (r *reader) settle(it *reread, v verdict, result, why string, err error) {
	r.log.Warn().Err(err).Str("table", string(it.table)).Stringer("id", it.key).Msg(why)
	r.metrics.reread(it.table, result)
	r.rereads.finish(it, v)
}

func (r *reader) missing(ctx context.Context, w *writer, it *reread, at source.Timing, held source.Head) error {
	if it.misses++; it.misses < 2 {
		r.rereads.again(it, missAgainAfter)
		return nil
	}
	return r.bury(ctx, w, it, at, held, "gone")
}

// bury deletes a row that GET does not show any more, if that is believed.
func (r *reader) bury(ctx context.Context, w *writer, it *reread, at source.Timing, held source.Head, result string) error {
	believed, err := r.believed(ctx, it, held)
	if err != nil {
		r.log.Warn().Err(err).Str("table", string(it.table)).Stringer("id", it.key).Msg("deletion not judged, queued again")
		r.rereads.again(it, r.wait(it, err))
		return nil
	}
	if !believed {
		r.rereads.holdDeletion(it)
		return nil
	}
	if !r.rereads.wants(it) {
		r.rereads.finish(it, verdictGivenUp) // the run that asked is over
		return nil
	}
	r.metrics.reread(it.table, result)
	return w.submit(ctx, []source.Observation{source.Gone(it.key, at, held, originReread)},
		func(o outcome) { r.rereads.finish(it, verdictOf(o, true)) })
}

// believed reports whether a 404 deletes the row: other evidence says the same,
// there is nothing visible to lose, or few are lost this way.
func (r *reader) believed(ctx context.Context, it *reread, held source.Head) (bool, error) {
	if r.rereads.isVouched(it) || held.Deleted || held.LeftOut || held.Version == 0 {
		return true, nil
	}
	if listed, err := r.listed(ctx, it.table, it.key); err != nil || !listed {
		return false, err
	}
	ok, err := r.misses.allow(ctx, it.table, it.key)
	if errors.Is(err, ErrGuard) { // the first that is held back
		r.log.Error().Err(err).Str("table", string(it.table)).Msg("deletions are held back")
		r.decided(ctx, ofMissing, source.RunReport{Table: it.table, Started: r.desk.ZohoNow()}, err)
		return false, nil
	}
	return ok, err
}

// wait doubles from one second to five minutes with the attempts made.
func (r *reader) wait(it *reread, err error) time.Duration {
	d := time.Second << min(it.attempts-1, 8)
	return max(min(d, 5*time.Minute), waitOf(err))
}
