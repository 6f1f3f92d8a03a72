package pipeline

import (
	"context"
	"fmt"
	"math"
	"time"
)

// State and warehouse each remember two numbers, so that a start can tell
// whether one of them is older than the other remembers it. Both are saved in
// the warehouse first, so after a crash the warehouse may be one save ahead.
//
//   - The position: the last log sequence whose changes are in the tables.
//   - The beat: a counter that moves twice at every start and then every
//     beatEvery, whether or not events come. Two steps at a start, because one
//     step ahead is what a crash between the two saves leaves behind: so every
//     backup that was made before the last start is told from a crash.

// beatEvery is how often the beat moves while a sync runs.
const beatEvery = 10 * time.Minute

// mark is what one side remembers.
type mark struct {
	known bool
	seq   uint64
	beat  uint64
}

// fork is where the log of a restored state parts from the log that the
// warehouse had followed: from there on the same sequences mean other events.
type fork struct {
	Beat uint64 `json:"beat"` // the first beat after it
	Seq  uint64 `json:"seq"`  // the last sequence both logs share
}

// beatState is the stored beat.
type beatState struct {
	N    uint64 `json:"n"`
	Fork fork   `json:"fork"`
}

// Losses, in words for people.
const (
	noLoss          = ""
	lossOfState     = "the state was lost"
	lossOfWarehouse = "the warehouse was dropped or replaced"
	staleState      = "the state was restored from a backup"
	staleWarehouse  = "the warehouse was restored from a backup"
	lossOfRows      = "rows are missing from the warehouse"
)

// beatOf follows the pipeline's name in the name of its beat in the warehouse.
const beatOf = ".beat"

// firstBeats is how often the beat moves at a start.
const firstBeats = 2

// judge compares what both sides remember and says which one lost something.
// The log is to be replayed from the smallest position that anyone names:
// replaying is harmless (rule 1), leaving out is not. last is the end of the
// log.
func judge(warehouse, state mark, f fork, last uint64) (from uint64, loss string) {
	from = min(warehouse.seq, state.seq, last)
	switch {
	case !warehouse.known && !state.known:
		return 0, noLoss
	case !warehouse.known:
		return 0, lossOfWarehouse
	case !state.known:
		return 0, lossOfState
	case warehouse.beat > state.beat+1, last < max(warehouse.seq, state.seq):
		return from, staleState
	case warehouse.beat < f.Beat:
		return min(from, f.Seq), staleWarehouse
	case warehouse.beat < state.beat, warehouse.seq < state.seq:
		return from, staleWarehouse
	}
	return state.seq, noLoss
}

// position finds the log sequence to go on after, and notes what has to be
// recovered when state or warehouse lost something. It may be stopped anywhere
// and called again: what it notes first is what makes it find the loss again.
func (p *Pipeline) position(ctx context.Context) (from uint64, err error) {
	warehouse, err := p.heldByWarehouse(ctx)
	if err != nil {
		return 0, err
	}
	state, beat, err := p.heldByState(ctx)
	if err != nil {
		return 0, err
	}
	last, err := p.endOfLog(ctx)
	if err != nil {
		return 0, err
	}
	from, loss := judge(warehouse, state, beat.Fork, last)
	if loss != noLoss {
		p.log.Warn().Str("loss", loss).Uint64("warehouse", warehouse.seq).Uint64("state", state.seq).Uint64("from", from).
			Msg("the log is replayed and the tables are read again")
	}
	if err := p.planRecovery(ctx, loss); err != nil {
		return 0, err
	}
	if loss != noLoss || !state.known {
		if err := p.savePosition(ctx, from); err != nil {
			return 0, err
		}
	}
	return from, p.beatAfter(ctx, beat, loss, warehouse.beat, from)
}

// beatAfter makes the first beats of a start. They come last: until then a loss
// is found again.
func (p *Pipeline) beatAfter(ctx context.Context, b beatState, loss string, held, from uint64) (err error) {
	if loss == staleState {
		b.Fork = fork{Beat: held + 1, Seq: from}
	}
	if loss != noLoss {
		b.N = max(b.N, held)
	}
	for range firstBeats {
		if b, err = p.beat(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pipeline) heldByWarehouse(ctx context.Context) (m mark, err error) {
	if m.seq, m.known, err = p.wh.Position(ctx, p.name); err != nil {
		return m, fmt.Errorf("read position from the warehouse: %w", err)
	}
	if m.beat, _, err = p.wh.Position(ctx, p.name+beatOf); err != nil {
		return m, fmt.Errorf("read beat from the warehouse: %w", err)
	}
	return m, nil
}

func (p *Pipeline) heldByState(ctx context.Context) (m mark, b beatState, err error) {
	value, err := p.kv.Load(ctx, logKey(p.name))
	if err != nil {
		return m, b, fmt.Errorf("read checkpoint: %w", err)
	}
	if m.known = value != nil; m.known {
		if m.seq, err = parseNumber(value); err != nil {
			return m, b, fmt.Errorf("checkpoint cannot be read: %w", err)
		}
	}
	if _, err = p.loadJSON(ctx, beatKey(p.name), &b); err != nil {
		return m, b, fmt.Errorf("read beat: %w", err)
	}
	m.beat = b.N
	return m, b, nil
}

// endOfLog is the last sequence of the log, without end when nobody keeps one. A log that ends before a position
// was itself restored, or lost its end with a server that does not sync.
func (p *Pipeline) endOfLog(ctx context.Context) (uint64, error) {
	if p.events == nil {
		return math.MaxUint64, nil
	}
	_, last, err := p.events.Bounds(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask for the end of the event log: %w", err)
	}
	return last, nil
}

// savePosition notes a position on both sides, so that a side which loses it is
// recognised.
func (p *Pipeline) savePosition(ctx context.Context, seq uint64) error {
	if err := p.wh.SavePosition(ctx, p.name, seq); err != nil {
		return fmt.Errorf("save position %d: %w", seq, err)
	}
	if err := p.kv.Save(ctx, logKey(p.name), number(seq)); err != nil {
		return fmt.Errorf("save checkpoint %d: %w", seq, err)
	}
	return nil
}

// beat moves the counter on both sides and returns what is stored then.
// Repeated after an error it stores the same number: the warehouse is never two
// ahead.
func (p *Pipeline) beat(ctx context.Context, b beatState) (beatState, error) {
	next := beatState{N: b.N + 1, Fork: b.Fork}
	if err := p.wh.SavePosition(ctx, p.name+beatOf, next.N); err != nil {
		return b, fmt.Errorf("save beat %d in the warehouse: %w", next.N, err)
	}
	if err := p.saveJSON(ctx, beatKey(p.name), next); err != nil {
		return b, fmt.Errorf("save beat %d: %w", next.N, err)
	}
	return next, nil
}

// beats moves the counter until ctx ends.
func (p *Pipeline) beats(ctx context.Context) error {
	for {
		if err := sleep(ctx, p.clock, beatEvery); err != nil {
			return err
		}
		err := retry(ctx, p.clock, p.log, "save the beat", func(ctx context.Context) error {
			var b beatState
			if _, err := p.loadJSON(ctx, beatKey(p.name), &b); err != nil {
				return err
			}
			_, err := p.beat(ctx, b)
			return err
		})
		if err != nil {
			return err
		}
	}
}

func beatKey(p string) string { return "ckpt." + p + ".beat" }
