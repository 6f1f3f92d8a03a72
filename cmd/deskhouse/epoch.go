package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"deskhouse/sink/clickhouse"
	"deskhouse/state"
)

// leader is the holder of a pipeline's lease on its way to the tables.
//
// Its epoch is the lease's revision plus an offset that is kept in state, zero
// as long as nobody restores state from a backup. Revisions grow from leader to
// leader, so epochs do. State from a backup counts revisions again that were
// used before: its leader would stay below the fence that the tables carry and
// be refused for ever. The offset lifts it above, and with it every leader that
// this state will have.
type leader struct {
	store    *state.Store
	lease    *state.Lease
	pipeline string
	epoch    uint64 // with which this leader fences the tables; 0 before
}

func offsetKey(pipeline string) string { return "ckpt." + pipeline + ".epoch" }

// takeOver fences the tables. It may be called again when it failed.
func (l *leader) takeOver(ctx context.Context, wh *clickhouse.Warehouse) error {
	fence, err := wh.FenceHeld(ctx)
	if err != nil {
		return err
	}
	epoch, err := l.above(ctx, fence)
	if err != nil {
		return err
	}
	l.epoch = epoch
	return wh.Fence(ctx, epoch)
}

// above returns this leader's epoch, given the fence that the tables carry. A
// fence of the very same epoch is somebody else's, unless this leader set it:
// restored state counts the same revisions again.
//
// A fence that is not below a leader has two causes: state was restored, or this
// leader was paused, and another one took over meanwhile. Lifting the second one
// would let it push aside its lawful successor. Two things keep it down. The
// lease is renewed first, which fails for a leader that was replaced. And the
// offset is written by compare-and-set with what was read under the lease: of
// two leaders that lift it, one of them paused just there, one fails; the lawful
// one, should it fail, reads the other's offset at its next try and is above it,
// since its revision is the larger. What still runs on the state that the backup
// replaced has an epoch below the new fence and is refused by the tables.
func (l *leader) above(ctx context.Context, fence uint64) (uint64, error) {
	offset, revision, err := l.offset(ctx)
	if err != nil {
		return 0, err
	}
	if epoch := l.lease.Epoch() + offset; epoch > fence || epoch == fence && epoch == l.epoch {
		return epoch, nil
	}
	if err := l.lease.Check(ctx); err != nil {
		return 0, err
	}
	offset = fence + 1 - l.lease.Epoch()
	if _, err := l.store.Put(ctx, offsetKey(l.pipeline), strconv.AppendUint(nil, offset, 10), revision); err != nil {
		return 0, fmt.Errorf("lift the epoch above the fence of the tables: %w", err)
	}
	return l.lease.Epoch() + offset, nil
}

// offset reads the offset and the revision of its key, both 0 without one.
func (l *leader) offset(ctx context.Context) (offset, revision uint64, err error) {
	e, err := l.store.Get(ctx, offsetKey(l.pipeline))
	if errors.Is(err, state.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if offset, err = strconv.ParseUint(string(e.Value), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("epoch offset cannot be read: %w", err)
	}
	return offset, e.Revision, nil
}
