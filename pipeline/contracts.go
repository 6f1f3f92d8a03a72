package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"deskhouse/source"
)

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
		if err := r.write(ctx, obs); err != nil {
			return err
		}
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
