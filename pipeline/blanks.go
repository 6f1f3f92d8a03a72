package pipeline

import (
	"context"
	"fmt"
	"time"

	"deskhouse/source"
)

// blanks bounds what single reads may blank within a day: a profile that was
// narrowed hides keys without a word, of GET too. It is the guard against
// emptied columns outside a resync. Safe for concurrent use.
type blanks struct {
	turn turn // guards days
	days map[source.Table]*blankDay
}

// blankDay is what a table's replies lacked within a day.
type blankDay struct {
	began   time.Time
	replies int
	by      map[int]int // content field → rows that would lose its value
	told    bool
}

func newBlanks() *blanks { return &blanks{turn: newTurn(), days: map[source.Table]*blankDay{}} }

// keepsColumns reports whether a reply may be applied: it has all keys that this
// portal's GETs carry, or the row has no value there, or few rows lose one. The
// first refusal is noted as a decision that waits.
func (d deps) keepsColumns(ctx context.Context, w *writer, rec *source.Record, held source.Head) (bool, error) {
	if held.Content.AsOf == 0 || leavesByChoice(rec) {
		return true, nil
	}
	lost := w.cov.Lacks(rec)
	if !lost.Empty() {
		filled, err := d.wh.Filled(ctx, w.table, []source.Key{rec.Key})
		if err != nil {
			return false, fmt.Errorf("read which columns of %s %s are filled: %w", w.table, rec.Key, err)
		}
		lost = lost.Intersect(filled[rec.Key])
	}
	if err := d.blanks.turn.take(ctx); err != nil {
		return false, err
	}
	defer d.blanks.turn.give()
	day, err := d.blankDay(ctx, w.table)
	if err != nil {
		return false, err
	}
	field := day.count(w.res, lost)
	if field == "" {
		return true, nil
	}
	if !day.told {
		day.told = true
		err := fmt.Errorf("%w: %s of %s was filled and single reads do not show it any more; rows that would lose it are kept as they are; %s",
			ErrGuard, field, w.table, goOn(w.table))
		d.log.Error().Err(err).Str("table", string(w.table)).Msg("emptied columns are held back")
		d.decided(ctx, ofEmpty, source.RunReport{Table: w.table, Started: d.desk.ZohoNow()}, err)
	}
	return false, nil
}

// blankDay is the current day of a table; it is the caller's turn.
func (d deps) blankDay(ctx context.Context, t source.Table) (*blankDay, error) {
	if day := d.blanks.days[t]; day != nil && d.clock.Since(day.began) < 24*time.Hour {
		return day, nil
	}
	day := &blankDay{began: d.clock.Now(), by: map[int]int{}}
	var err error
	if day.told, err = d.waiting(ctx, t, ofEmpty); err != nil {
		return nil, err
	}
	d.blanks.days[t] = day
	return day, nil
}

// count notes a reply and returns the field of which too many rows lose the
// value, "" for none.
func (day *blankDay) count(res *source.Resource, lost source.FieldSet) string {
	day.replies++
	refused := ""
	for _, i := range res.In(source.Content) {
		if !lost.Has(i) {
			continue
		}
		day.by[i]++
		if n := day.by[i]; day.told || n > guardFloor && float64(n) > emptyShare*float64(day.replies) {
			refused = res.Fields[i].Name
		}
	}
	return refused
}

// accept starts a new day.
func (b *blanks) accept(ctx context.Context, t source.Table) error {
	if err := b.turn.take(ctx); err != nil {
		return err
	}
	defer b.turn.give()
	delete(b.days, t)
	return nil
}
