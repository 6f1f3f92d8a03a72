package pipeline

import (
	"context"
	"fmt"

	"deskhouse/source"
)

// poller reads what changed in a table since its last poll.
type poller interface {
	poll(ctx context.Context) error
}

// poll reads what changed in a table since its last poll. Departments and
// fields are small and tell no times: they are read whole, and compared like in
// a resync, so that what disappears is noticed too.
func (p *Pipeline) poll(ctx context.Context, tp *table) error {
	if changes, ok := tp.reader.(poller); ok {
		return changes.poll(ctx)
	}
	if err := tp.resyncing.take(ctx); err != nil {
		return err
	}
	defer tp.resyncing.give()
	r, err := p.newRun(ctx, tp, ResyncOptions{Trigger: originPoll})
	if err != nil {
		return err
	}
	r.reading.origin, r.reading.priority, r.reading.brief = originPoll, source.ForPoll, true
	err = r.all(ctx)
	r.report.Finished = p.desk.ZohoNow()
	p.decided(ctx, ofResync, r.report, err)
	if err != nil {
		return err
	}
	p.progress.polled(tp.w.table, r.reading.started)
	if r.report.Deleted == 0 {
		return nil
	}
	if err := p.wh.SaveRun(ctx, r.report); err != nil {
		return fmt.Errorf("save drift report: %w", err)
	}
	return nil
}
