package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"deskhouse/config"
	"deskhouse/pipeline"
)

// work is a request that needs a pipeline to run: the service's, or one that
// this process leads for as long as the request takes.
type work struct {
	pipeline string
	tables   []string
	mode     pipeline.Mode // of a pipeline of our own
	method   string
	path     string
	query    url.Values
	// settle waits, in a pipeline of our own, until the re-reads are done that
	// the work asked for: no service would do them later.
	settle bool
}

// settleWithin bounds the waiting for re-reads: those that are not done then
// stay queued for the next time.
const settleWithin = 10 * time.Minute

// do asks the running service, or does the work itself under the lease. The
// error of a second process that works by itself is state.ErrInUse.
func (w work) do(ctx context.Context, o *options, out any) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	if w.query == nil {
		w.query = url.Values{}
	}
	w.query["table"] = w.tables
	if w.pipeline != "" {
		w.query.Set("pipeline", w.pipeline)
	}
	show := newDisplay(ctx, os.Stderr)
	ctl, err := dial(cfg)
	switch {
	case err == nil:
		err = errors.Join(w.askService(ctx, ctl, show, out), ctl.end())
	case errors.Is(err, errNotRunning):
		err = w.alone(ctx, o, cfg, show, out)
	}
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted: what was done stays, and nothing was deleted because of it")
	}
	return err
}

// askService is ask, and says what keeps the service from answering.
func (w work) askService(ctx context.Context, ctl *control, show *display, out any) error {
	telling, stop := context.WithCancel(ctx)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var g errgroup.Group
	g.Go(func() error { return tellWhy(telling, show.output(os.Stderr), w.pipeline, look.C, ctl.status) })
	err := w.ask(ctx, ctl, show, out)
	stop()
	_ = g.Wait() // it ends with telling
	return err
}

// ask makes the request and shows on a terminal how far it is.
func (w work) ask(ctx context.Context, ctl *control, show *display, out any) error {
	if show.bars == nil {
		return ctl.call(ctx, w.method, w.path, w.query, out)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	g.Go(func() error { return show.run(ctx, ctl.status, zerolog.Nop()) })
	err := ctl.call(ctx, w.method, w.path, w.query, out)
	stop()
	_ = g.Wait() // it ends with ctx
	return err
}

// alone leads the pipeline while the request runs.
func (w work) alone(ctx context.Context, o *options, cfg *config.Config, show *display, out any) error {
	log, err := o.logger(show.output(os.Stderr))
	if err != nil {
		return err
	}
	c, err := openCore(ctx, cfg, log)
	if err != nil {
		return err
	}
	return errors.Join(w.lead(ctx, c, show, out), c.Close())
}

func (w work) lead(ctx context.Context, c *core, show *display, out any) error {
	p, err := c.pipe(w.pipeline)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if _, err := p.chosen(w.tables); err != nil {
		return err
	}
	led, stop := context.WithCancel(ctx)
	defer stop()
	g, gctx := errgroup.WithContext(led)
	g.Go(func() error { return c.runPipe(gctx, p, w.mode) })
	done := false
	g.Go(func() error {
		select {
		case <-p.ready:
		case <-gctx.Done():
			return gctx.Err()
		}
		ctl := &control{http: &http.Client{Transport: inProcess{c.controlHandler()}}}
		if err := w.ask(gctx, ctl, show, out); err != nil {
			return err
		}
		if w.settle {
			p.settled(gctx, c)
		}
		done = true
		stop()
		return nil
	})
	if err := g.Wait(); err != nil && (!done || !errors.Is(err, context.Canceled)) {
		return err
	}
	return nil
}

// settled waits a while for re-reads; what is not done then is queued durably.
func (p *pipe) settled(ctx context.Context, c *core) {
	patient, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if err := p.sync.Settled(patient); err != nil && ctx.Err() == nil {
		c.log.Warn().Err(err).Str("pipeline", p.name).Msg("records are still to be read again; whatever runs next does it")
	}
}

// startsWithin is how long work waits for a pipeline that is starting: cron may
// come a second after a restart.
const startsWithin = 30 * time.Second

// running is a pipeline that can be asked to work.
func (p *pipe) running(ctx context.Context) (*pipeline.Pipeline, error) {
	starting := time.NewTimer(startsWithin)
	defer starting.Stop()
	select {
	case <-p.ready:
	case <-starting.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sync == nil {
		return nil, fmt.Errorf("pipeline %s does not run yet: %s", p.name, p.reason)
	}
	return p.sync, nil
}
