package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"deskhouse/source"
)

// absent asks about a row that a complete reading did not show.
const absent source.Contradiction = "absent from a complete reading"

// absentYoung asks about one that was written so lately that the index may lag.
// The sweep's guard does not count it, so what GET says of it is bounded as
// outside a sweep.
const absentYoung source.Contradiction = "absent, and changed lately"

// sweep asks GET about every row that the reading did not show, unless the
// reading was incomplete (rule 7). Repeats in the reading make counting there
// useless: what was read is what is visible less what is absent.
func (r *run) sweep(ctx context.Context) error {
	t := r.tp.w.table
	keys, err := r.wh.Absent(ctx, r.report.Run, t, r.report.Started)
	if err != nil {
		return fmt.Errorf("find absent rows: %w", err)
	}
	visible, _, err := r.wh.Counts(ctx, t)
	if err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	r.report.Read = visible - min(uint64(len(keys)), visible)
	r.tally()
	if r.report.Incomplete || len(keys) == 0 {
		return nil
	}
	hints := hintsOf(keys, absent)
	if !r.options.AcceptLoss {
		if hints, err = r.credible(ctx, keys); err != nil {
			return err
		}
	}
	if t == source.OrganizationFields {
		return r.sweepFields(ctx, hints)
	}
	verdicts, err := r.ask(ctx, t, hints)
	for _, v := range verdicts {
		switch v {
		case verdictDeleted:
			r.report.Deleted++
		case verdictBuried: // by an event meanwhile
		case verdictNotVisible:
			r.report.NotVisible++
		case verdictGivenUp:
			r.unsettled++
		case verdictRepaired:
			r.report.Repaired++
			r.report.MissedBySearch++
		default:
			r.report.MissedBySearch++
		}
	}
	if err == nil {
		err = r.tp.bin.settled(ctx, verdicts)
	}
	return err
}

func hintsOf(keys []source.Key, why source.Contradiction) []hint {
	hints := make([]hint, len(keys))
	for i, k := range keys {
		hints[i] = hint{key: k, reason: why}
	}
	return hints
}

// credible leaves out the absent rows of departments that the agent does not
// see any more: they are kept. ErrGuard when too many others are absent, in the
// table or in a department.
func (r *run) credible(ctx context.Context, keys []source.Key) ([]hint, error) {
	t := r.tp.w.table
	in, err := r.wh.Departments(ctx, t, keys)
	if err != nil {
		return nil, fmt.Errorf("read the departments of %d absent rows: %w", len(keys), err)
	}
	hidden, err := r.hidden(ctx, keys, in)
	if err != nil {
		return nil, err
	}
	if r.report.NotVisible += uint64(len(hidden)); len(hidden) > 0 {
		r.log.Warn().Str("table", string(t)).Int("rows", len(hidden)).Msg("department is not listed any more, or module not answered: its rows are kept as they are")
	}
	// Young rows may be absent because the index lags, so they are no sign of a
	// mass deletion; a GET each tells.
	old, err := r.wh.Absent(ctx, r.report.Run, t, r.report.Started.Add(-lagOf(t)))
	if err != nil {
		return nil, fmt.Errorf("find absent rows: %w", err)
	}
	is := func(k source.Key) bool { return hidden[k] }
	old = slices.DeleteFunc(old, is)
	hints := hintsOf(slices.DeleteFunc(keys, is), absentYoung)
	aged := map[source.Key]bool{}
	for _, k := range old {
		aged[k] = true
	}
	for i := range hints {
		if aged[hints[i].key] {
			hints[i].reason = absent
		}
	}
	return hints, r.guard(ctx, old, in)
}

// hidden are the absent rows whose department is not listed any more, and such a
// department itself while it has rows: Zoho has no call that deletes one (OAS
// Department.json), so it was moved out of sight.
func (r *run) hidden(ctx context.Context, keys []source.Key, in map[source.Key]uint64) (map[source.Key]bool, error) {
	switch r.tp.w.table {
	case source.Departments:
		return r.inUse(ctx, keys)
	case source.OrganizationFields:
		return r.unanswered(keys), nil
	}
	hidden := map[source.Key]bool{}
	if len(in) == 0 {
		return hidden, nil
	}
	listed, err := r.departmentIDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list departments: %w", err)
	}
	for k, id := range in {
		if !slices.Contains(listed, id) {
			hidden[k] = true
		}
	}
	return hidden, nil
}

// unanswered are the fields of modules that were not answered, or by another
// resource than usual.
func (r *run) unanswered(keys []source.Key) map[source.Key]bool {
	hidden := map[source.Key]bool{}
	for _, k := range keys {
		if module, _, _ := strings.Cut(k.Name, "/"); r.reading.unanswered[module] {
			hidden[k] = true
		}
	}
	return hidden
}

// InOrder puts departments last among tables that are to be compared: whether
// one is gone or hidden shows in the rows that belong to it.
func InOrder(tables []source.Table) []source.Table {
	ordered := slices.DeleteFunc(slices.Clone(tables), func(t source.Table) bool { return t == source.Departments })
	if len(ordered) < len(tables) {
		ordered = append(ordered, source.Departments)
	}
	return ordered
}

// inUse are those of these departments that visible rows belong to.
func (r *run) inUse(ctx context.Context, keys []source.Key) (map[source.Key]bool, error) {
	used := map[source.Key]bool{}
	for _, t := range []source.Table{source.Tickets, source.Contracts} {
		if r.tables[t] == nil {
			continue
		}
		rows, err := r.wh.VisibleIn(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("count %s by department: %w", t, err)
		}
		for _, k := range keys {
			if rows[k.ID] > 0 {
				used[k] = true
			}
		}
	}
	return used, nil
}

// guard refuses a sweep that would delete too much of a department or of the
// table.
func (r *run) guard(ctx context.Context, keys []source.Key, in map[source.Key]uint64) error {
	t := r.tp.w.table
	visible, err := r.wh.VisibleIn(ctx, t)
	if err != nil {
		return fmt.Errorf("count %s by department: %w", t, err)
	}
	gone, total := map[uint64]int{}, uint64(0)
	for _, k := range keys {
		gone[in[k]]++
	}
	for _, n := range visible {
		total += n
	}
	for id, n := range visible {
		if id != 0 && guarded(gone[id], n) && !guarded(len(keys), total) {
			return fmt.Errorf("%w: %d of %d rows of %s in department %d are absent at the source; nothing was deleted; %s", ErrGuard, gone[id], n, t, id, goOn(t))
		}
	}
	if guarded(len(keys), total) || guardedTable(len(keys), total) {
		return fmt.Errorf("%w: %d of %d rows of %s are absent at the source; nothing was deleted; %s", ErrGuard, len(keys), total, t, goOn(t))
	}
	return nil
}

// lagOf is how long a record may be missing from a complete reading though it
// exists: search is an index, the other lists are the records themselves.
func lagOf(t source.Table) time.Duration {
	if t == source.Tickets || t == source.Products {
		return pollOverlap
	}
	return 0
}

// ask re-reads records and waits for all verdicts. Fields have no GET by key.
func (p *Pipeline) ask(ctx context.Context, t source.Table, hints []hint) (map[source.Key]verdict, error) {
	verdicts := map[source.Key]verdict{}
	if t == source.OrganizationFields || len(hints) == 0 {
		return verdicts, nil
	}
	var mu sync.Mutex
	done := make(chan struct{})
	p.rereads.ask(t, hints, func(k source.Key, v verdict) {
		mu.Lock()
		defer mu.Unlock()
		if _, told := verdicts[k]; told {
			return
		}
		if verdicts[k] = v; len(verdicts) == len(hints) {
			close(done)
		}
	})
	select {
	case <-done:
		return verdicts, nil
	case <-ctx.Done():
		p.rereads.withdraw(t, hints)
		return nil, ctx.Err()
	}
}

// sweepFields confirms absent fields by a second full list a minute later: no
// GET by module and name exists. A module that is not answered, or by another
// resource than usual, is not swept.
func (r *run) sweepFields(ctx context.Context, hints []hint) error {
	if len(hints) == 0 {
		return nil
	}
	if err := sleep(ctx, r.clock, missAgainAfter); err != nil {
		return err
	}
	fields := r.tp.reader.(*fieldTable)
	usual, err := fields.usual(ctx)
	if err != nil {
		return err
	}
	again := map[source.Key]bool{}
	answered := map[string]int64{} // module → as_of
	for _, module := range fields.modules {
		page, _, err := r.desk.Fields(ctx, r.reading.priority, module)
		if err != nil || page.Resource != usual[module] && !r.options.AcceptLoss {
			continue
		}
		answered[module] = page.At.KnownAt()
		for _, rec := range page.Records {
			again[rec.Key] = true
		}
	}
	var obs []source.Observation
	for _, h := range hints {
		k := h.key
		module, _, _ := strings.Cut(k.Name, "/")
		if at := answered[module]; at != 0 && !again[k] {
			obs = append(obs, source.Observation{Key: k, Evidence: source.EvidenceList, AsOf: at, Life: source.LifeDeleted, Origin: r.reading.origin})
		} else {
			r.report.NotVisible++
		}
	}
	out, err := r.tp.w.write(ctx, obs)
	r.report.Deleted += uint64(out.Deleted)
	return err
}
