package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"deskhouse/source"
)

// Decision is a table where a guard stopped a resync, or holds deletions back: a
// person has to say whether the portal really lost that much. It is kept until a resync of the table goes
// through.
type Decision struct {
	Table  source.Table `json:"table"`
	Run    string       `json:"run"`   // of the resync that was stopped, "" for deletions held back
	Since  time.Time    `json:"since"` // when it began, UTC
	Reason string       `json:"reason"`
}

func decisionPrefix(p string) string { return "run." + p + ".decision." }

func decisionKey(p string, t source.Table, of cause) string {
	return decisionPrefix(p) + string(t) + "." + string(of)
}

// cause is which guard asks for a decision.
type cause string

const (
	ofResync  cause = "resync"  // a resync was stopped
	ofMissing cause = "missing" // deletions outside a sweep are held back
	ofEmpty   cause = "empty"   // emptied columns outside a resync are held back
)

// decided notes how a resync ended: a guard makes a decision wait, a resync that
// went through whole settles it, anything else tells nothing.
func (p deps) decided(ctx context.Context, of cause, r source.RunReport, err error) {
	key := decisionKey(p.name, r.Table, of)
	var note error
	switch {
	case errors.Is(err, ErrGuard):
		note = p.saveJSON(ctx, key, Decision{r.Table, r.Run, r.Started.UTC(), err.Error()})
	case err == nil && !r.Incomplete:
		note = p.settle(ctx, r.Table)
	}
	if note != nil && ctx.Err() == nil {
		p.log.Warn().Err(note).Str("table", string(r.Table)).Msg("what waits for a decision is not up to date")
	}
}

// settle forgets the decision about a table; what was held back goes on.
func (d deps) settle(ctx context.Context, t source.Table) error {
	any := false
	for _, of := range []cause{ofResync, ofMissing, ofEmpty} {
		waits, err := d.waiting(ctx, t, of)
		if err == nil && waits {
			any, err = true, d.kv.Delete(ctx, decisionKey(d.name, t, of))
		}
		if err != nil {
			return err
		}
	}
	if !any {
		return nil
	}
	return d.accept(ctx, t)
}

// accept lets what the guards hold back of a table go on.
func (d deps) accept(ctx context.Context, t source.Table) error {
	if err := errors.Join(d.misses.accept(ctx, t), d.blanks.accept(ctx, t)); err != nil {
		return err
	}
	d.rereads.release(t)
	return nil
}

// waiting reports whether a guard's decision about a table waits.
func (d deps) waiting(ctx context.Context, t source.Table, of cause) (bool, error) {
	return d.loadJSON(ctx, decisionKey(d.name, t, of), &Decision{})
}

// Decisions are those that wait, by table.
func (p *Pipeline) Decisions(ctx context.Context) ([]Decision, error) {
	stored, err := p.kv.List(ctx, decisionPrefix(p.name))
	if err != nil {
		return nil, fmt.Errorf("read what waits for a decision: %w", err)
	}
	var all []Decision
	for key, value := range stored {
		var d Decision
		if err := json.Unmarshal(value, &d); err != nil {
			return nil, fmt.Errorf("state key %s cannot be read: %w", key, err)
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Decision) int { return cmp.Compare(a.Table, b.Table) })
	return all, nil
}
