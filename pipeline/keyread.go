package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"deskhouse/source"
)

// maxOffset is the largest offset that search takes everywhere (OAS
// Search.json: from 0-999).
const maxOffset = 999

// keyReader reads a time range of a search page by page, by key: the next
// request starts at the second of the last row, so rows that move under the
// reader can be repeated but not skipped. Offsets serve only inside a second
// that fills a page.
type keyReader struct {
	desk     Desk
	table    source.Table
	priority source.Priority
	by       source.TimeField
	// departments split a second that holds more rows than offsets reach.
	departments func(context.Context) ([]uint64, error)
	// totals is set once a count was larger than its page: then counts are those
	// of all rows, as Search.json says, and tell where a reading ends.
	totals atomic.Bool
}

// step is one page and where the reader stands after it.
type step struct {
	page  source.Page
	at    int64 // first second not completely read
	left  int64 // rows ahead by count, -1 = not told
	ended bool
	// incomplete is why the page may lack rows, "" when it does not.
	incomplete string
}

// next reads the page at `at` of a span that ends at to.
func (k *keyReader) next(ctx context.Context, at, to int64) (step, error) {
	page, err := k.desk.Search(ctx, k.priority, k.table, query(k.by, at, to))
	if err != nil {
		return step{}, err
	}
	if !k.ascending(page) {
		return step{}, fmt.Errorf("search of %s does not honour sortBy=%s: it cannot be read by key", k.table, k.by)
	}
	st := step{page: page, at: at, left: max(page.Count-int64(page.Rows), -1)}
	if k.lastPage(page) {
		st.ended, st.at = true, to+1000
		return st, nil
	}
	last := k.last(page)
	if last > at {
		st.at = last
		return st, nil
	}
	return k.dense(ctx, at, st)
}

// lastPage reports whether nothing lies beyond a page: by search's count where
// that is known to count all rows, else by a page that is shorter than any
// portal's full one.
func (k *keyReader) lastPage(page source.Page) bool {
	if page.Count > int64(page.Rows) {
		k.totals.Store(true)
		return page.Rows == 0
	}
	return page.Rows < smallestPage || page.Count >= 0 && k.totals.Load()
}

// ascending compares whole seconds: that is all Zoho is known to sort by.
func (k *keyReader) ascending(page source.Page) bool {
	var before int64
	for _, r := range page.Records {
		t := k.time(r) / 1000
		if t != 0 && t < before {
			return false
		}
		before = max(before, t)
	}
	return true
}

// last is the second of the last row that has one.
func (k *keyReader) last(page source.Page) int64 {
	for i := len(page.Records) - 1; i >= 0; i-- {
		if t := k.time(page.Records[i]); t != 0 {
			return t / 1000 * 1000
		}
	}
	return 0
}

func (k *keyReader) time(r *source.Record) int64 {
	if k.by == source.ByModified {
		return r.Modified
	}
	return r.Created
}

// dense reads one second (with the overlap around it) that no key can divide:
// by offset as far as that goes, from both ends, then in parts. What still
// does not add up is said, and the caller derives no absence from such a run.
func (k *keyReader) dense(ctx context.Context, at int64, st step) (step, error) {
	q := query(k.by, at, at)
	st.at = at + 1000
	all := second{rows: map[source.Key]*source.Record{}}
	if err := k.bothEnds(ctx, q, &all); err != nil {
		return st, err
	}
	if all.cut {
		if err := k.divide(ctx, q, &all); err != nil {
			return st, err
		}
	}
	st.page.Records = make([]*source.Record, 0, len(all.rows))
	for _, r := range all.rows {
		st.page.Records = append(st.page.Records, r)
	}
	st.page.Bad = append(st.page.Bad, all.bad...)
	if all.short() || all.lost {
		st.incomplete = fmt.Sprintf("%s at one second: %d rows of %s can be read, there are more (%d by count)", k.by, len(all.rows)+len(all.bad), k.table, all.want)
	}
	return st, nil
}

// second gathers the rows of one second.
type second struct {
	rows map[source.Key]*source.Record
	bad  [][]byte
	want int64 // search's own count of them
	cut  bool  // there are more than offsets showed
	lost bool  // a part that cannot be divided further is cut
}

// bothEnds reads what offsets reach of q, in both orders if need be: because
// there are more rows than offsets reach, or because rows that are equal in
// order came in another one with each page, so that some were not shown.
func (k *keyReader) bothEnds(ctx context.Context, q source.Query, into *second) error {
	for _, desc := range []bool{false, true} {
		q.Desc = desc
		ended, err := k.byOffset(ctx, q, into)
		if err != nil || ended && !into.short() {
			return err
		}
	}
	into.cut = true
	return nil
}

// short reports whether search counts more rows than were read.
func (s *second) short() bool { return int64(len(s.rows)+len(s.bad)) < s.want }

// byOffset pages through q until a page shows nothing beyond the overlap, or
// offsets end. As in a list, pages overlap, and while none of the overlap
// repeats the reader steps back: rows before it have left. Pages may be smaller
// than asked for: the portal decides.
func (k *keyReader) byOffset(ctx context.Context, q source.Query, into *second) (ended bool, err error) {
	var tail []uint64
	for q.Offset = 0; q.Offset <= maxOffset; {
		page, err := k.desk.Search(ctx, k.priority, k.table, q)
		if err != nil {
			return false, err
		}
		if q.Offset > 0 && moved(page, tail) {
			q.Offset = max(q.Offset-smallestPage+listOverlap, 0)
			continue
		}
		into.want = page.Count
		if q.Offset == 0 && !q.Desc {
			into.bad = append(into.bad, page.Bad...)
		}
		for _, r := range page.Records {
			into.rows[r.Key] = r
		}
		if page.Rows <= listOverlap {
			return true, nil
		}
		tail = tailOf(page)
		q.Offset += page.Rows - len(tail)
	}
	return false, nil
}

// divide reads q in parts that offsets reach: by department, and within one that
// is still too large by status, then by channel, as far as rows show those.
func (k *keyReader) divide(ctx context.Context, q source.Query, into *second) error {
	ids, err := k.departments(ctx)
	if err != nil {
		return err
	}
	values := make([]string, len(ids))
	for i, id := range ids {
		values[i] = fmt.Sprint(id)
	}
	return k.parts(ctx, q, into, "departmentId", values)
}

// finer is what a part is divided by when it is still too large.
var finer = map[string]string{"departmentId": "status", "status": "channel"}

func (k *keyReader) parts(ctx context.Context, q source.Query, into *second, filter string, values []string) error {
	outer := q.Filter
	for _, v := range values {
		q.Filter = maps.Clone(outer)
		if q.Filter == nil {
			q.Filter = map[string]string{}
		}
		q.Filter[filter] = v
		part := second{rows: map[source.Key]*source.Record{}}
		if err := k.bothEnds(ctx, q, &part); err != nil {
			return err
		}
		maps.Copy(into.rows, part.rows)
		next := finer[filter]
		switch {
		case part.cut && next == "":
			into.lost = true
		case part.cut:
			if err := k.parts(ctx, q, into, next, into.values(next)); err != nil {
				return err
			}
		}
	}
	return nil
}

// values are the distinct values that the rows read so far have in a field.
func (s *second) values(field string) []string {
	found := map[string]bool{}
	for _, r := range s.rows {
		if v := r.Text(field); v != "" {
			found[v] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
