package pipeline

import (
	"context"
	"time"
)

// Names of products stand in the views of tickets and contracts, from a copy
// that the warehouse keeps. It is made anew after writes, not with each of them:
// that reads every name there is (100,000: a tenth of a second).
const (
	// namesEvery is how often the warehouse is asked to, at most.
	namesEvery = 10 * time.Second
	// namesShare bounds what it costs: after a copy, nothing is done for so many
	// times as long as it took.
	namesShare = 20
)

// names keeps the names in the views fresh until ctx ends.
func (p *Pipeline) names(ctx context.Context) error {
	for {
		if err := sleep(ctx, p.clock, max(namesEvery, namesShare*p.freshNames(ctx))); err != nil {
			return err
		}
	}
}

// freshNames has the names loaded that were written, and says how long that
// took. No row depends on it, so a failure is logged and made up later.
func (p *Pipeline) freshNames(ctx context.Context) (took time.Duration) {
	began := p.clock.Now()
	if _, err := p.wh.FreshNames(ctx); err != nil && ctx.Err() == nil {
		p.log.Warn().Err(err).Msg("names in the views are not those of the tables yet, again in a while")
	}
	return p.clock.Since(began)
}
