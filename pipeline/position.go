package pipeline

import (
	"context"
	"fmt"
)

// position finds the log sequence to go on after. State and warehouse each
// remember one, the warehouse first; whichever is behind was restored from a
// backup or lost, and the log is replayed from there. Replaying is harmless
// (rule 1).
func (p *Pipeline) position(ctx context.Context) (uint64, error) {
	held, known, err := p.wh.Position(ctx, p.name)
	if err != nil {
		return 0, fmt.Errorf("read position from the warehouse: %w", err)
	}
	value, err := p.kv.Load(ctx, logKey(p.name))
	if err != nil {
		return 0, fmt.Errorf("read checkpoint: %w", err)
	}
	if value == nil {
		return 0, p.markWarehouse(ctx, known)
	}
	saved, err := parseNumber(value)
	if err != nil {
		return 0, fmt.Errorf("checkpoint cannot be read: %w", err)
	}
	if !known {
		p.log.Warn().Msg("the warehouse does not know this sync: it was dropped or replaced; everything is loaded again")
		if err := p.forgetSnapshots(ctx); err != nil {
			return 0, err
		}
		return 0, p.markWarehouse(ctx, false)
	}
	if held < saved {
		p.log.Warn().Uint64("warehouse", held).Uint64("state", saved).Msg("the warehouse is behind the state; the log is replayed and the tables are compared")
		if err := p.forgetSnapshots(ctx); err != nil {
			return 0, err
		}
		if err := p.kv.Save(ctx, logKey(p.name), number(held)); err != nil {
			return 0, fmt.Errorf("save checkpoint %d: %w", held, err)
		}
		return held, nil
	}
	return saved, nil
}

// markWarehouse notes position 0 on both sides, so that a warehouse which loses
// it is recognised as new.
func (p *Pipeline) markWarehouse(ctx context.Context, known bool) error {
	if !known {
		if err := p.wh.SavePosition(ctx, p.name, 0); err != nil {
			return fmt.Errorf("save position 0: %w", err)
		}
	}
	if err := p.kv.Save(ctx, logKey(p.name), number(0)); err != nil {
		return fmt.Errorf("save checkpoint 0: %w", err)
	}
	return nil
}

// forgetSnapshots makes every table be read completely again; merging with
// what is there writes only what is missing.
func (p *Pipeline) forgetSnapshots(ctx context.Context) error {
	for _, t := range p.cfg.Tables {
		for _, key := range []string{rangeKey(p.name, t), pollKey(p.name, t), binKey(p.name, t)} {
			if err := p.kv.Delete(ctx, key); err != nil {
				return fmt.Errorf("forget %s: %w", key, err)
			}
		}
	}
	return nil
}
