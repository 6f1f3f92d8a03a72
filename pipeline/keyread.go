package pipeline

import (
	"context"
	"fmt"

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
	if page.Rows == 0 || page.Rows < pageRows && st.left <= 0 {
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

func (k *keyReader) ascending(page source.Page) bool {
	var before int64
	for _, r := range page.Records {
		t := k.time(r)
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
// by offset as far as that goes, from both ends, then by department. What still
// does not add up is said, and the caller derives no absence from such a run.
func (k *keyReader) dense(ctx context.Context, at int64, st step) (step, error) {
	q := query(k.by, at, at)
	st.at = at + 1000
	rows, want, err := k.second(ctx, q)
	if err != nil {
		return st, err
	}
	if int64(len(rows)) < want {
		if err := k.byDepartment(ctx, q, rows); err != nil {
			return st, err
		}
	}
	st.page.Records = make([]*source.Record, 0, len(rows))
	for _, r := range rows {
		st.page.Records = append(st.page.Records, r)
	}
	if got := int64(len(rows)); got < want {
		st.incomplete = fmt.Sprintf("%s at one second: %d of %d rows of %s can be read", k.by, got, want, k.table)
	}
	return st, nil
}

// second reads what offsets reach of q from both ends of the order; want is
// search's own count. Pages may be smaller than asked for: the portal decides.
func (k *keyReader) second(ctx context.Context, q source.Query) (rows map[source.Key]*source.Record, want int64, err error) {
	rows = map[source.Key]*source.Record{}
	for _, desc := range []bool{false, true} {
		q.Desc = desc
		for q.Offset = 0; q.Offset <= maxOffset; {
			page, err := k.desk.Search(ctx, k.priority, k.table, q)
			if err != nil {
				return nil, 0, err
			}
			want = max(want, page.Count)
			for _, r := range page.Records {
				rows[r.Key] = r
			}
			if q.Offset += page.Rows; page.Rows == 0 || int64(q.Offset) >= want {
				return rows, want, nil
			}
		}
	}
	return rows, want, nil
}

func (k *keyReader) byDepartment(ctx context.Context, q source.Query, rows map[source.Key]*source.Record) error {
	ids, err := k.departments(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		q.Filter = map[string]string{"departmentId": fmt.Sprint(id)}
		part, _, err := k.second(ctx, q)
		if err != nil {
			return err
		}
		for key, r := range part {
			rows[key] = r
		}
	}
	return nil
}
