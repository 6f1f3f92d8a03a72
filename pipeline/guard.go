package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jonboulle/clockwork"

	"deskhouse/source"
)

// Guards of rule 7: more absences than this share of a table or department, or
// than this number, are not believed. A few rows are never too many.
const (
	guardShare = 0.05
	guardRows  = 1000
	guardFloor = 20
	tableFloor = 5
	// emptyShare is how many of the changed rows may have lost a column's value.
	emptyShare = 0.2
)

// guardedTable is guarded for a whole table in a sweep, where fewer rows are too
// many: a small table may be lost in one go.
func guardedTable(absent int, visible uint64) bool {
	return absent > tableFloor && float64(absent) > guardShare*float64(visible)
}

func guarded(absent int, visible uint64) bool {
	return absent > guardRows || absent > guardFloor && float64(absent) > guardShare*float64(visible)
}

// ErrGuard: so much would be lost that a person must say whether it is really
// gone. Nothing was deleted and nothing blanked.
var ErrGuard = errors.New("a person must decide")

// goOn is how to accept what a guard refused.
func goOn(t source.Table) string {
	return fmt.Sprintf("if this is right: deskhouse resync --table %s --accept-loss", t)
}

// emptied notices a column that was filled and comes empty: a profile that was
// narrowed hides keys without a word (NLREF, D29).
type emptied struct {
	w       *writer
	changed int
	by      map[int]int // field → changed rows that lost its value
}

func newEmptied(w *writer) *emptied { return &emptied{w: w, by: map[int]int{}} }

// check counts the changed rows of a batch before any is written; ErrGuard ends
// the run.
func (e *emptied) check(ctx context.Context, batch [][]found) error {
	if e == nil {
		return nil
	}
	changed := map[source.Key]*found{}
	var keys []source.Key
	for _, rows := range batch {
		for i := range rows {
			if f := &rows[i]; f.changed() && changed[f.Key] == nil {
				changed[f.Key] = f
				keys = append(keys, f.Key)
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	var held map[source.Key]source.FieldSet
	err := retry(ctx, e.w.clock, e.w.log, "read which columns are filled", func(ctx context.Context) (err error) {
		held, err = e.w.wh.Filled(ctx, e.w.table, keys)
		return err
	})
	if err != nil {
		return err
	}
	seen := e.w.cov.Seen()
	for _, k := range keys {
		f, shown := changed[k], seen.Search
		if f.Evidence == source.EvidenceGet {
			shown = seen.Get
		}
		f.lost = e.note(held[k].Intersect(shown), f.Record.Filled())
	}
	return e.verdict()
}

// changed reports whether a row shows other content than is held, and is not
// merely older.
func (f found) changed() bool {
	return f.Record != nil && !leavesByChoice(f.Record) && !f.held.Deleted && f.held.Content.AsOf != 0 && f.Life != source.LifeDeleted &&
		f.Record.Fingerprint != f.held.Content.Hash && f.Record.Modified >= f.held.Modified
}

// note counts one changed row and reports whether it lost a column's value.
func (e *emptied) note(was, is source.FieldSet) (lost bool) {
	e.changed++
	for _, i := range e.w.res.In(source.Content) {
		if was.Has(i) && !is.Has(i) {
			e.by[i]++
			lost = true
		}
	}
	return lost
}

func (e *emptied) verdict() error {
	for i, n := range e.by {
		if n > guardFloor && float64(n) > emptyShare*float64(e.changed) {
			return fmt.Errorf("%w: %s of %s comes empty in %d of %d changed rows and was filled; they are left as they were; %s",
				ErrGuard, e.w.res.Fields[i].Name, e.w.table, n, e.changed, goOn(e.w.table))
		}
	}
	return nil
}

// missGuard bounds what 404s outside a sweep may delete within a day: an agent
// that was narrowed may get them for records that live. Safe for concurrent
// use.
type missGuard struct {
	wh      Warehouse
	clock   clockwork.Clock
	waiting func(context.Context, source.Table, cause) (bool, error)

	turn turn // guards days, also while the warehouse is asked
	days map[source.Table]*missDay

	departments []uint64 // that the agent sees
	asked       time.Time
}

// missDay is what one table lost in a day, by department.
type missDay struct {
	began   time.Time
	visible map[uint64]uint64 // when the day began
	all     uint64
	gone    map[uint64]int
	total   int
	told    bool
}

func newMissGuard(wh Warehouse, clock clockwork.Clock, waiting func(context.Context, source.Table, cause) (bool, error)) *missGuard {
	return &missGuard{wh: wh, clock: clock, waiting: waiting, turn: newTurn(), days: map[source.Table]*missDay{}}
}

// allow reports whether one more visible row may be deleted because GET does
// not find it. The first refusal of a day is ErrGuard.
func (g *missGuard) allow(ctx context.Context, t source.Table, key source.Key) (bool, error) {
	in, err := g.wh.Departments(ctx, t, []source.Key{key})
	if err != nil {
		return false, fmt.Errorf("read the department of %s %s: %w", t, key, err)
	}
	if err := g.turn.take(ctx); err != nil {
		return false, err
	}
	defer g.turn.give()
	day := g.days[t]
	if day == nil || g.clock.Since(day.began) >= 24*time.Hour {
		if day, err = g.begin(ctx, t); err != nil {
			return false, err
		}
	}
	id := in[key]
	if day.told {
		return false, nil
	}
	if guarded(day.gone[id]+1, day.visible[id]) || guarded(day.total+1, day.all) {
		day.told = true
		return false, fmt.Errorf("%w: GET did not find %d of %d rows of %s within a day; the next are kept; %s", ErrGuard, day.total, day.all, t, goOn(t))
	}
	day.gone[id]++
	day.total++
	return true, nil
}

// begin starts a day, without an allowance while a decision waits; it is the
// caller's turn.
func (g *missGuard) begin(ctx context.Context, t source.Table) (*missDay, error) {
	visible, err := g.wh.VisibleIn(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("count %s by department: %w", t, err)
	}
	day := &missDay{began: g.clock.Now(), visible: visible, gone: map[uint64]int{}}
	if day.told, err = g.waiting(ctx, t, ofMissing); err != nil {
		return nil, err
	}
	for _, n := range visible {
		day.all += n
	}
	g.days[t] = day
	return day, nil
}

// departmentsFor is how long the list of departments serves.
const departmentsFor = 10 * time.Minute

// listed reports whether a visible row's department is one that the agent sees;
// a 404 of any other is no sign of a deletion (rule 7).
func (d deps) listed(ctx context.Context, t source.Table, key source.Key) (bool, error) {
	in, err := d.wh.Departments(ctx, t, []source.Key{key})
	if err != nil {
		return false, fmt.Errorf("read the department of %s %s: %w", t, key, err)
	}
	id, has := in[key]
	if !has {
		return true, nil
	}
	g := d.misses
	if err := g.turn.take(ctx); err != nil {
		return false, err
	}
	defer g.turn.give()
	if g.departments == nil || g.clock.Since(g.asked) >= departmentsFor {
		if g.departments, err = d.departmentIDs(ctx); err != nil {
			return false, fmt.Errorf("list departments: %w", err)
		}
		g.asked = g.clock.Now()
	}
	return slices.Contains(g.departments, id), nil
}

// accept starts a new day: a person said that what is gone is gone, or a
// complete reading that it was little.
func (g *missGuard) accept(ctx context.Context, t source.Table) error {
	if err := g.turn.take(ctx); err != nil {
		return err
	}
	defer g.turn.give()
	delete(g.days, t)
	return nil
}
