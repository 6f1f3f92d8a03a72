package pipeline

import (
	"context"
	"fmt"
	"time"

	"deskhouse/source"
)

// survey asks the portal what a plan has to know. All its calls have the
// priority of re-reads, so that it answers also when a load waits for credits.
type survey struct {
	*Planner
	page, get   latency
	departments []uint64 // nil = not asked yet
}

// latency gathers how long calls took.
type latency struct {
	calls int
	total time.Duration
}

func (l *latency) add(at source.Timing) { l.calls, l.total = l.calls+1, l.total+at.Took }

// mean is 0 without a call.
func (l *latency) mean() time.Duration { return l.total / time.Duration(max(l.calls, 1)) }

// searched plans tickets and products.
func (r *survey) searched(ctx context.Context, tp *TablePlan) (bytes float64, err error) {
	first, err := r.Desk.Search(ctx, source.ForReread, tp.Table, source.Query{By: source.ByCreated, From: epochStart, To: epochEnd, Limit: pageRows})
	if source.IsFault(err, source.FaultForbidden) {
		return r.refusedSearch(ctx, tp)
	}
	if err != nil {
		return 0, err
	}
	r.page.add(first.At)
	if tp.Rows, tp.Counted = first.Count, first.Count >= 0; !tp.Counted {
		if tp.Rows, err = r.counted(ctx, tp, first); err != nil {
			return 0, err
		}
	}
	limit := int64(pageRows)
	if rows := int64(first.Rows); rows > 0 && rows < min(tp.Rows, pageRows) {
		limit = rows // the portal's pages are smaller
	}
	read := r.pages(1).Add(r.byKey(tp.Rows, limit)) // the oldest row, then all
	whole, err := r.wholeRows(ctx, tp, first)
	if err != nil {
		return 0, err
	}
	tp.Resync = read.Add(r.bins(tp.Table, 1))
	tp.Load = read.Add(r.bins(tp.Table, 2))
	if first.Rows > 0 {
		tp.Load, tp.Resync = tp.Load.Add(r.gets(1)), tp.Resync.Add(r.gets(1))
	}
	if !whole {
		tp.Load = tp.Load.Add(r.gets(tp.Rows))
		tp.Notes = append(tp.Notes, "search lacks keys that this portal's GETs carry: every row that is new or changed is read by id as well")
	}
	if tp.Table == source.Tickets {
		err = r.archive(ctx, tp)
	}
	return meanSize(first), err
}

// refusedSearch plans a table whose search is refused: its list and one GET
// each.
func (r *survey) refusedSearch(ctx context.Context, tp *TablePlan) (float64, error) {
	tp.Notes = append(tp.Notes, "search is refused: read by the list and one GET each")
	return r.listed(ctx, tp)
}

// counted is for a search that tells no count.
func (r *survey) counted(ctx context.Context, tp *TablePlan, first source.Page) (int64, error) {
	if first.Rows < smallestPage {
		tp.Counted = true
		return int64(first.Rows), nil
	}
	if tp.Table != source.Tickets {
		n, _, exact, err := r.walk(ctx, tp.Table)
		tp.Counted = exact
		return n, err
	}
	tp.Notes = append(tp.Notes, "search tells no count: counted by ticketsCount, which may include archived or trashed ones")
	return r.Desk.Count(ctx, source.ForReread, 0)
}

// wholeRows reads one record by id and reports whether search rows carry all
// its content; otherwise rows are read by id (see source.Coverage).
func (r *survey) wholeRows(ctx context.Context, tp *TablePlan, first source.Page) (bool, error) {
	if len(first.Records) == 0 {
		return true, nil
	}
	rec, at, err := r.Desk.Get(ctx, source.ForReread, tp.Table, first.Records[0].Key.ID)
	if source.IsFault(err, source.FaultNotFound) || source.IsFault(err, source.FaultForbidden) {
		tp.Notes = append(tp.Notes, "no record could be read by id: it is assumed that search rows are complete")
		return true, nil
	}
	if err != nil {
		return false, err
	}
	r.get.add(at)
	var rows source.FieldSet
	for _, row := range first.Records {
		rows = rows.Union(row.Present)
	}
	want := rec.Resource.Required(source.Content).Intersect(rec.Present)
	return rows.Covers(want), nil
}

// bins is the cost of reading a table's recycle bin that often.
func (r *survey) bins(t source.Table, times int64) Cost {
	for _, b := range binTables {
		if b == t {
			return r.pages(times)
		}
	}
	return Cost{}
}

// listed plans a table that is read by its list and one GET each.
func (r *survey) listed(ctx context.Context, tp *TablePlan) (float64, error) {
	rows, first, exact, err := r.walk(ctx, tp.Table)
	if err != nil {
		return 0, err
	}
	if tp.Rows, tp.Counted = rows, exact; !exact {
		tp.Notes = append(tp.Notes, "the list tells no count: its end was searched for by offset, to within a tenth")
	}
	limit := max(int64(first.Rows), smallestPage)
	read := r.byOffset(rows, limit).Add(r.gets(rows))
	tp.Load, tp.Resync = read.Add(r.bins(tp.Table, 2)), read.Add(r.bins(tp.Table, 1))
	return meanSize(first), nil
}

// described plans the organization fields: one page a module.
func (r *survey) described(ctx context.Context, tp *TablePlan) (float64, error) {
	modules := int64(len(r.Modules))
	first, _, err := r.Desk.Fields(ctx, source.ForReread, r.Modules[0])
	if err != nil {
		return 0, err
	}
	r.page.add(first.At)
	tp.Rows = int64(first.Rows) * modules
	tp.Load = r.pages(modules)
	tp.Resync = tp.Load
	tp.Notes = append(tp.Notes, fmt.Sprintf("rows: those of %s times %d modules; a module that the portal does not know costs less", r.Modules[0], modules))
	return meanSize(first), nil
}

// archiveSample is how many departments are asked for their archives.
const archiveSample = 5

// archive adds the archived tickets, each of which is read by id at the load:
// no call counts them. A few departments' first pages tell, or show that there
// are more.
func (r *survey) archive(ctx context.Context, tp *TablePlan) error {
	if err := r.askDepartments(ctx); err != nil {
		return err
	}
	asked := r.departments[:min(archiveSample, len(r.departments))]
	found, full := int64(0), 0
	for _, id := range asked {
		page, err := r.Desk.Archived(ctx, source.ForReread, id, 0, pageRows)
		if source.IsFault(err, source.FaultForbidden) || source.IsFault(err, source.FaultInvalid) {
			continue // the load cannot read it either
		}
		if err != nil {
			return fmt.Errorf("list archived tickets of department %d: %w", id, err)
		}
		r.page.add(page.At)
		if found += int64(page.Rows); page.Rows >= smallestPage {
			full++
		}
	}
	all := int64(len(r.departments))
	archived := ceil(found*all, max(int64(len(asked)), 1))
	list := r.pages(ceil(all, departmentsPage) + all + archived/pageRows)
	tp.Rows += archived
	tp.Load, tp.Resync = tp.Load.Add(list).Add(r.gets(archived)), tp.Resync.Add(list)
	tp.Notes = append(tp.Notes, archiveNote(archived, len(asked), len(r.departments), full))
	tp.Counted = tp.Counted && full == 0 && len(asked) == len(r.departments)
	return nil
}

// departmentsPage is the largest page of departments (OAS Department.json).
const departmentsPage = 200

func archiveNote(archived int64, asked, all, full int) string {
	note := fmt.Sprintf("archived tickets: %d by the first page of %d of %d departments' archives; each is read by id once", archived, asked, all)
	if full > 0 {
		note += fmt.Sprintf("; %d of those pages are full, so there are more, and no call tells how many", full)
	}
	return note
}

func (r *survey) askDepartments(ctx context.Context) error {
	if r.departments != nil {
		return nil
	}
	page, err := r.Desk.List(ctx, source.ForReread, source.Departments, source.ListQuery{Limit: departmentsPage})
	if err != nil {
		return fmt.Errorf("list departments: %w", err)
	}
	r.page.add(page.At)
	r.departments = []uint64{}
	for _, rec := range page.Records {
		r.departments = append(r.departments, rec.Key.ID)
	}
	return nil
}

// walk finds how many rows a list has: whole when the first page is all,
// otherwise its end is searched for by offset, to within a tenth.
func (r *survey) walk(ctx context.Context, t source.Table) (rows int64, first source.Page, exact bool, err error) {
	if first, err = r.Desk.List(ctx, source.ForReread, t, source.ListQuery{}); err != nil {
		return 0, first, false, err
	}
	r.page.add(first.At)
	if rows = int64(first.Rows); rows < smallestPage {
		return rows, first, true, nil
	}
	beyond := rows // the first offset that may be past the end
	for {
		exists, err := r.has(ctx, t, beyond)
		if err != nil {
			return 0, first, false, err
		}
		if !exists {
			break
		}
		rows, beyond = beyond+1, 4*beyond
	}
	for beyond-rows > rows/10 {
		middle := rows + (beyond-rows)/2
		exists, err := r.has(ctx, t, middle)
		switch {
		case err != nil:
			return 0, first, false, err
		case exists:
			rows = middle + 1
		default:
			beyond = middle
		}
	}
	return (rows + beyond) / 2, first, rows == beyond, nil
}

// has reports whether a list has a row at an offset; one deeper than the list
// goes counts as none.
func (r *survey) has(ctx context.Context, t source.Table, offset int64) (bool, error) {
	page, err := r.Desk.List(ctx, source.ForReread, t, source.ListQuery{Offset: int(offset), Limit: 1})
	if source.IsFault(err, source.FaultInvalid) {
		return false, nil
	}
	return page.Rows > 0, err
}

// meanSize is the JSON of a row, in bytes.
func meanSize(page source.Page) float64 {
	total := 0
	for _, r := range page.Records {
		total += r.Size()
	}
	return float64(total) / float64(max(len(page.Records), 1))
}
