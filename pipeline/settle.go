package pipeline

import (
	"context"
	"slices"
	"time"

	"deskhouse/source"
)

// The warehouse keeps every write as a part and reads fastest when there is one;
// it knows itself what merging is worth. The sync only tells it when.
const (
	// settleEvery is how often it is asked.
	settleEvery = time.Minute
	// settleAgain is how long a failure keeps it from being asked.
	settleAgain = time.Hour
)

// settle asks the warehouse to merge what is due, until ctx ends. Nothing
// depends on it, so a failure is logged and nothing more.
func (p *Pipeline) settle(ctx context.Context) error {
	for {
		wait := settleEvery
		merged, err := p.wh.Settle(ctx, p.calm())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			p.log.Warn().Err(err).Msg("parts not merged, again in an hour; views read slower meanwhile")
			wait = settleAgain
		}
		if len(merged) > 0 {
			p.log.Debug().Strs("tables", merged).Msg("parts merged")
		}
		if err := sleep(ctx, p.clock, wait); err != nil {
			return err
		}
	}
}

// calm are the tables that are neither being loaded nor compared: those are
// about to be written, so merging them would be done for nothing.
func (p *Pipeline) calm() []source.Table {
	return slices.DeleteFunc(slices.Clone(p.cfg.Tables), func(t source.Table) bool {
		select {
		case <-p.tables[t].loaded:
			return p.progress.of(t).Phase == PhaseResync
		default:
			return true
		}
	})
}
