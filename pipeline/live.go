package pipeline

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"deskhouse/source"
)

// live is one table's life: load it once, then poll it.
func (p *Pipeline) live(ctx context.Context, t source.Table) error {
	tp := p.tables[t]
	if p.cfg.Mode == Passive {
		return p.standBy(ctx, tp)
	}
	if err := p.awaitFields(ctx, t); err != nil {
		return err
	}
	if err := p.patiently(ctx, t, func(ctx context.Context) error { return p.load(ctx, tp) }, tp.loaded); err != nil {
		return err
	}
	if p.cfg.Mode == Once {
		p.progress.phase(t, PhaseFollowing, "")
		return nil
	}
	if err := p.patiently(ctx, t, func(ctx context.Context) error { return p.recover(ctx, t) }, make(chan struct{})); err != nil {
		return err
	}
	p.progress.phase(t, PhaseFollowing, "")
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return p.loop(ctx, t, "poll", p.cfg.Polls[t], tp.polls, func(ctx context.Context, _ bool) error { return p.poll(ctx, tp) })
	})
	if tp.bin != nil {
		g.Go(func() error {
			return p.loop(ctx, t, "recycle bin", p.cfg.Bin, tp.binRounds, tp.bin.round)
		})
	}
	g.Go(func() error { return p.hydrate(ctx, t) })
	return g.Wait()
}

// standBy is the life of a table that is neither loaded nor polled.
func (p *Pipeline) standBy(ctx context.Context, tp *table) error {
	st, err := p.loadSnapshot(ctx, tp.w.table)
	if err == nil && st.Done {
		close(tp.loaded)
	}
	return err
}

// fieldsWait is how long the other tables wait for the field metadata.
const fieldsWait = 2 * time.Minute

// awaitFields lets the custom fields come first, so that rows find their
// columns. Metadata that cannot be read must not hold up the rows for ever: then
// the values stay in _extra until their row changes.
func (p *Pipeline) awaitFields(ctx context.Context, t source.Table) error {
	fields := p.tables[source.OrganizationFields]
	if t == source.OrganizationFields || fields == nil {
		return nil
	}
	select {
	case <-fields.loaded:
	case <-p.clock.After(fieldsWait):
		p.log.Warn().Str("table", string(t)).Msg("field metadata is not to be had; loading without columns for custom fields")
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// skipFor is how long a table that Zoho refuses waits before it is tried again.
const skipFor = 15 * time.Minute

// patiently repeats do until it succeeds. A refusal (scope, licence,
// authorisation) shows in the table's status and does not stop the others;
// settled is closed at the first success or refusal.
func (p *Pipeline) patiently(ctx context.Context, t source.Table, do func(context.Context) error, settled chan struct{}) error {
	once := sync.OnceFunc(func() { close(settled) })
	for {
		regained := p.authorisedAgain()
		err := retry(ctx, p.clock, p.log, "load "+string(t), do)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		once()
		if err == nil || permanent(err) {
			return err
		}
		p.progress.phase(t, PhaseSkipped, err.Error())
		level := zerolog.ErrorLevel
		if source.IsFault(err, source.FaultUnauthorized) {
			level = zerolog.DebugLevel // whoever keeps the connection says so, once for all tables
		}
		p.log.WithLevel(level).Err(err).Str("table", string(t)).Msg("table is skipped, the others go on")
		if err := p.rest(ctx, skipFor, regained); err != nil {
			return err
		}
	}
}

// authorisedAgain is closed when the connection is authorised again, never if
// nobody tells.
func (d *deps) authorisedAgain() <-chan struct{} {
	if d.regained == nil {
		return nil
	}
	return d.regained()
}

// rest waits, at most until the connection is authorised again. regained was
// asked for before what failed, so that nothing is missed in between.
func (d *deps) rest(ctx context.Context, most time.Duration, regained <-chan struct{}) error {
	select {
	case <-d.clock.After(most):
		return nil
	case <-regained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// load reads a table completely, once in the life of its state. The recycle
// bin is read before and after: what is in it now may be restored later, and
// nothing else would tell.
func (p *Pipeline) load(ctx context.Context, tp *table) error {
	st, err := p.loadSnapshot(ctx, tp.w.table)
	if err != nil {
		return err
	}
	if st.Done {
		return p.resume(ctx, tp.w.table, st)
	}
	p.progress.phase(tp.w.table, PhaseSnapshot, "")
	if _, err := p.wholeBin(ctx, tp); err != nil {
		return err
	}
	r := &reading{origin: originSnapshot, priority: source.ForSnapshot, put: tp.w.submit}
	if err := tp.reader.full(ctx, r, true); err != nil {
		return err
	}
	if _, err := p.wholeBin(ctx, tp); err != nil {
		return err
	}
	if st, err = p.loadSnapshot(ctx, tp.w.table); err != nil {
		return err
	}
	st.Done, st.Spans, st.Place = true, nil, place{}
	if st.Started == 0 {
		st.Started = r.started.UnixMilli()
	}
	if err := p.saveSnapshot(ctx, tp.w.table, st); err != nil {
		return err
	}
	p.progress.polled(tp.w.table, time.UnixMilli(st.Started).UTC())
	p.log.Info().Str("table", string(tp.w.table)).Int("rows", r.total.Seen).Int("re-reads", r.total.Hints).
		Strs("incomplete", r.incomplete).Msg("snapshot finished")
	return p.remember(ctx, tp.w.table)
}

// resume goes on with a table that is loaded: it is as complete as its last poll
// left it, unless it is to be recovered.
func (p *Pipeline) resume(ctx context.Context, t source.Table, st snapshotState) error {
	if st.Started == 0 {
		return p.dated(ctx, t, st)
	}
	if why, err := p.kv.Load(ctx, recoveryKey(p.name, t)); err != nil || why != nil {
		return err
	}
	last := pollState{Watermark: st.Started}
	if _, err := p.loadJSON(ctx, pollKey(p.name, t), &last); err != nil {
		return err
	}
	p.progress.polled(t, time.UnixMilli(last.Watermark).UTC())
	return nil
}

// wholeBin reads the recycle bin to its end. A portal that refuses it (scope) is
// loaded all the same; the bin's own loop goes on complaining.
func (p *Pipeline) wholeBin(ctx context.Context, tp *table) (outcome, error) {
	if tp.bin == nil {
		return outcome{}, nil
	}
	out, err := tp.bin.read(ctx, true)
	if err != nil && (!transient(err) || source.IsFault(err, source.FaultBadReply)) {
		p.log.Warn().Err(err).Str("table", string(tp.w.table)).Msg("recycle bin cannot be read: restores are found by resync only")
		return out, nil
	}
	return out, err
}

// loop does a round at every interval, on request, and when the connection is
// authorised again. A failed round is logged and done again at the next turn.
func (p *Pipeline) loop(ctx context.Context, t source.Table, what string, every time.Duration, asked chan request, round func(context.Context, bool) error) error {
	timer := p.clock.NewTimer(every)
	defer timer.Stop()
	regained := p.authorisedAgain()
	for {
		var req request
		select {
		case <-timer.Chan():
			if wait := p.pollPause(t, what); wait > 0 {
				timer.Reset(wait)
				continue
			}
		case req = <-asked:
		case <-regained:
		case <-ctx.Done():
			return ctx.Err()
		}
		regained = p.authorisedAgain()
		err := round(ctx, req.done != nil)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			p.log.Warn().Err(err).Str("table", string(t)).Msg(what + " failed, again at the next turn")
		}
		if req.done != nil {
			req.done <- err
		}
		timer.Reset(every)
	}
}

// PollNow polls a table and waits for the result.
func (p *Pipeline) PollNow(ctx context.Context, t source.Table) error {
	tp := p.tables[t]
	if tp == nil {
		return fmt.Errorf("table %s is not synchronised", t)
	}
	ctx, stop := p.during(ctx)
	defer stop()
	return whyEnded(ctx, ask(ctx, tp.polls))
}

// BinNow reads the whole recycle bin of a table; a table without one is done at
// once.
func (p *Pipeline) BinNow(ctx context.Context, t source.Table) error {
	if tp := p.tables[t]; tp != nil && tp.bin != nil {
		ctx, stop := p.during(ctx)
		defer stop()
		return whyEnded(ctx, ask(ctx, tp.binRounds))
	}
	return nil
}

func ask(ctx context.Context, loop chan request) error {
	req := request{done: make(chan error, 1)}
	select {
	case loop <- req:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-req.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
