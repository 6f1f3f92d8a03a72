package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"deskhouse/source"
)

// A table that lost rows, or may have lost them, is recovered: read once
// completely, compared and swept, by a resync with the trigger "restore". What
// is left of the table stays in place, tombstones included, and is right again
// afterwards. A table of which nothing is left is loaded instead, because a
// load goes on where it was interrupted.
//
// What is to be recovered stands in state, a key a table, until a resync of the
// table ended, whoever asked for that resync.

func recoveryKey(p string, t source.Table) string { return "run." + p + ".recovery." + string(t) }
func rowsKey(p string, t source.Table) string     { return "ckpt." + p + ".rows." + string(t) }

// rowCounts are the rows of a table's registers, tombstones included. They never
// shrink unless rows are lost.
type rowCounts map[source.Register]uint64

// fewer reports whether rows of these registers were lost since was was counted.
func (now rowCounts) fewer(was rowCounts, regs ...source.Register) bool {
	return slices.ContainsFunc(regs, func(reg source.Register) bool { return now[reg] < was[reg] })
}

// readWhole are the registers that a complete reading of a table brings. What it
// does not bring, hydration does, as far as it is on.
func readWhole(t source.Table) []source.Register {
	if t == source.Tickets || t == source.Products {
		return []source.Register{source.Content, source.Listed}
	}
	return []source.Register{source.Content, source.Listed, source.Detail}
}

// planRecovery notes, after a loss or without one, which tables are to be
// recovered and which to be loaded.
func (p *Pipeline) planRecovery(ctx context.Context, loss string) error {
	for _, t := range p.cfg.Tables {
		counts, why, err := p.counted(ctx, t, loss)
		if err != nil {
			return err
		}
		switch {
		case why == noLoss:
		case counts[source.Content] == 0:
			err = p.forget(ctx, t)
		default:
			err = p.adopt(ctx, t, counts, why)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// counted counts a table's rows now. Fewer than remembered are a loss by
// themselves.
func (p *Pipeline) counted(ctx context.Context, t source.Table, loss string) (now rowCounts, why string, err error) {
	totals, err := p.wh.Totals(ctx, t)
	if err != nil {
		return nil, noLoss, fmt.Errorf("count the rows of %s: %w", t, err)
	}
	now = totals
	var was rowCounts
	if _, err := p.loadJSON(ctx, rowsKey(p.name, t), &was); err != nil {
		return nil, noLoss, fmt.Errorf("read the number of rows of %s: %w", t, err)
	}
	log := p.log.Warn().Str("table", string(t)).Uint64("rows", now[source.Content]).Uint64("listed", now[source.Listed]).
		Uint64("detail", now[source.Detail])
	switch {
	case loss != noLoss:
	case now.fewer(was, readWhole(t)...):
		log.Msg("rows are missing from the warehouse; the table is read again")
		loss = lossOfRows
	case now.fewer(was, source.Detail):
		log.Msg("rows of detail columns are missing from the warehouse; hydration fills them, if it is on")
	}
	return now, loss, nil
}

// forget makes a table be loaded from the start.
func (p *Pipeline) forget(ctx context.Context, t source.Table) error {
	for _, key := range []string{recoveryKey(p.name, t), rowsKey(p.name, t), pollKey(p.name, t), binKey(p.name, t), rangeKey(p.name, t)} {
		value, err := p.kv.Load(ctx, key)
		if err == nil && value != nil {
			err = p.kv.Delete(ctx, key)
		}
		if err != nil {
			return fmt.Errorf("forget %s: %w", key, err)
		}
	}
	return nil
}

// adopt takes the table as it stands and asks for its recovery. Whatever else
// state knows of the table stays: polls go on from their watermark.
func (p *Pipeline) adopt(ctx context.Context, t source.Table, counts rowCounts, why string) error {
	if err := p.kv.Save(ctx, recoveryKey(p.name, t), []byte(why)); err != nil {
		return fmt.Errorf("note the recovery of %s: %w", t, err)
	}
	st, err := p.loadSnapshot(ctx, t)
	if err != nil {
		return err
	}
	if !st.Done {
		if err := p.saveSnapshot(ctx, t, snapshotState{Done: true}); err != nil {
			return fmt.Errorf("take %s for loaded: %w", t, err)
		}
	}
	return p.saveJSON(ctx, rowsKey(p.name, t), counts)
}

// dated gives an adopted table the instant from which its polls count, once
// Zoho's clock is known.
func (p *Pipeline) dated(ctx context.Context, t source.Table, st snapshotState) error {
	now, err := p.zohoNow(ctx)
	if err != nil {
		return err
	}
	st.Started = now.UnixMilli()
	return p.saveSnapshot(ctx, t, st)
}

// recover runs the recovery of a table if one is asked for. A guard that refuses
// deletions ends it all the same: everything else is repaired then. One that
// refuses the reading leaves it asked for. Either way a person has to decide.
func (p *Pipeline) recover(ctx context.Context, t source.Table) error {
	why, err := p.kv.Load(ctx, recoveryKey(p.name, t))
	if err != nil || why == nil {
		return err
	}
	began := p.clock.Now()
	report, err := p.Resync(ctx, t, ResyncOptions{Trigger: originRestore})
	if err != nil && !errors.Is(err, ErrGuard) {
		return fmt.Errorf("recover %s: %w", t, err)
	}
	event := p.log.Info()
	if err != nil {
		event = p.log.Error().Err(err)
	}
	event.Str("table", string(t)).Str("loss", string(why)).Uint64("unchanged", report.Unchanged).Uint64("repaired", report.Repaired).
		Uint64("deleted", report.Deleted).Dur("took", p.clock.Since(began)).Msg("table recovered")
	return nil
}

// recovered notes that a table was read whole and repaired, with or without a
// sweep: nothing is left to recover, and its rows are those there are now.
func (p *Pipeline) recovered(ctx context.Context, t source.Table) error {
	why, err := p.kv.Load(ctx, recoveryKey(p.name, t))
	if err == nil && why != nil {
		err = p.kv.Delete(ctx, recoveryKey(p.name, t))
	}
	if err != nil {
		return fmt.Errorf("end the recovery of %s: %w", t, err)
	}
	return p.remember(ctx, t)
}

// remember notes how many rows a table has, unless that is what is noted.
func (p *Pipeline) remember(ctx context.Context, t source.Table) error {
	totals, err := p.wh.Totals(ctx, t)
	if err != nil {
		return fmt.Errorf("count the rows of %s: %w", t, err)
	}
	var was rowCounts
	if known, err := p.loadJSON(ctx, rowsKey(p.name, t), &was); err != nil || known && maps.Equal(rowCounts(totals), was) {
		return err
	}
	return p.saveJSON(ctx, rowsKey(p.name, t), totals)
}

// countEvery is how often a running sync counts its rows: what somebody
// truncates under it makes no call fail.
const countEvery = time.Hour

// recount looks for lost rows until ctx ends, and recovers the tables that lost
// some.
func (p *Pipeline) recount(ctx context.Context) error {
	for {
		if err := sleep(ctx, p.clock, countEvery); err != nil {
			return err
		}
		for _, t := range p.cfg.Tables {
			err := p.recountTable(ctx, t)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if permanent(err) {
				return err
			}
			if err != nil {
				p.log.Warn().Err(err).Str("table", string(t)).Msg("rows not counted or not recovered, again in an hour")
			}
		}
	}
}

func (p *Pipeline) recountTable(ctx context.Context, t source.Table) error {
	select {
	case <-p.tables[t].loaded:
	default:
		return nil // its load remembers its rows when it ends
	}
	counts, why, err := p.counted(ctx, t, noLoss)
	if err != nil {
		return err
	}
	if why == noLoss {
		return p.remember(ctx, t)
	}
	if err := p.adopt(ctx, t, counts, why); err != nil {
		return err
	}
	if waits, err := p.waiting(ctx, t, ofResync); err != nil || waits {
		return err // another reading would end as the last one did
	}
	return p.recover(ctx, t)
}
