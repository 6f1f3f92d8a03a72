package pipeline

import (
	"context"
	"fmt"
	"time"

	"deskhouse/source"
)

// Times that any search may span: the widest that the range's pattern allows
// (OAS Search.json: years 19xx and 20xx), give or take a year. They only open the very
// first request; every other range is computed from the portal's own clock.
var (
	epochStart = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	epochEnd   = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

// Overlaps of the modified poll: search may lag behind the records (not
// documented), so each poll looks back, and once a day much further.
const (
	pollOverlap      = 10 * time.Minute
	pollOverlapDaily = 48 * time.Hour
)

// searchTable reads tickets and products, the tables with a search.
type searchTable struct {
	deps
	w           *writer
	departments func(context.Context) ([]uint64, error)
	// list reads the table where search is refused (scope, edition): by its list
	// and one GET each, 103 credits for 100 rows instead of 3.
	list *getTable
}

// refused reports whether search is refused, and says what follows.
func (s *searchTable) refused(err error) bool {
	if !source.IsFault(err, source.FaultForbidden) {
		return false
	}
	s.log.Warn().Err(err).Str("table", string(s.w.table)).Msg("search is refused: read by the list and one GET each, 103 credits for 100 rows instead of 3")
	return true
}

// ahead is how far a range that begins in the past goes: a Date header that lags
// behind the records' own times must not hide the newest.
func ahead(date int64) int64 { return date/1000*1000 + 24*60*60*1000 }

// pollState is the stored watermark of a modified poll.
type pollState struct {
	Watermark int64 `json:"watermark"` // ms on Zoho's clock
	Deep      int64 `json:"deep"`      // when the poll last looked back far
}

func (s *searchTable) keys(by source.TimeField, p source.Priority) *keyReader {
	return &keyReader{desk: s.desk, table: s.w.table, priority: p, by: by, departments: s.departments}
}

func (s *searchTable) full(ctx context.Context, r *reading, resume bool) error {
	st, rs, err := s.begin(ctx, r, resume)
	if s.refused(err) {
		rs, err = nil, s.list.full(ctx, r, resume)
	}
	if err != nil {
		return err
	}
	if rs != nil {
		if err := s.ranges(ctx, r, st, rs, resume); err != nil {
			return err
		}
	}
	if s.w.table == source.Tickets {
		return s.archive(ctx, r)
	}
	return nil
}

// ranges reads the ranges; with resume it stores how far they are.
func (s *searchTable) ranges(ctx context.Context, r *reading, st snapshotState, rs *ranges, resume bool) error {
	s.progress.total(s.w.table, st.Total)
	s.progress.read(s.w.table, int(st.Rows))
	f := &fullRead{deps: s.deps, w: s.w, keys: s.keys(source.ByCreated, r.priority), ranges: rs, origin: r.origin, put: r.put, seen: r.seen}
	if resume {
		f.save = func(ctx context.Context) error {
			spans, change, unsaved, err := rs.encode()
			if err != nil || !unsaved {
				return err
			}
			now := st
			now.Spans, now.Rows = spans, st.Rows+f.rows.Load()
			if err := s.saveSnapshot(ctx, s.w.table, now); err != nil {
				return err
			}
			rs.wasSaved(change)
			return nil
		}
	}
	if err := f.run(ctx, readWorkers); err != nil {
		return err
	}
	r.add(f.total)
	for _, why := range f.incomplete {
		r.missing(why)
	}
	return nil
}

// begin makes the ranges of a reading, or restores those of an unfinished one;
// nil ranges mean that there is nothing to read.
func (s *searchTable) begin(ctx context.Context, r *reading, resume bool) (snapshotState, *ranges, error) {
	if resume {
		st, err := s.loadSnapshot(ctx, s.w.table)
		if err != nil {
			return st, nil, err
		}
		if st.Spans != nil {
			rs, err := decodeRanges(st.Spans)
			r.started = time.UnixMilli(st.Started)
			return st, rs, err
		}
	}
	first, err := s.desk.Search(ctx, r.priority, s.w.table,
		source.Query{By: source.ByCreated, From: epochStart, To: epochEnd, Limit: 1})
	if err != nil {
		return snapshotState{}, nil, fmt.Errorf("look for the oldest of %s: %w", s.w.table, err)
	}
	s.probe(ctx, r, first)
	r.started = first.At.Date
	st := snapshotState{Started: r.started.UnixMilli(), Total: max(first.Count, 0)}
	rs := (*ranges)(nil)
	if first.Rows > 0 {
		rs = newRanges(oldest(first)/1000*1000, ahead(st.Started))
	}
	if resume {
		if rs != nil {
			if st.Spans, _, _, err = rs.encode(); err != nil {
				return st, nil, err
			}
		}
		err = s.saveSnapshot(ctx, s.w.table, st)
	}
	return st, rs, err
}

// probe reads one record by id before the rows are judged, so that keys which
// only GET carries at this portal are known. It is worth a credit, not a failed
// load.
func (s *searchTable) probe(ctx context.Context, r *reading, first source.Page) {
	if len(first.Records) == 0 {
		return
	}
	rec, _, err := s.desk.Get(ctx, r.priority, s.w.table, first.Records[0].Key.ID)
	if err != nil {
		s.log.Debug().Err(err).Str("table", string(s.w.table)).Msg("no record to learn the keys of GET from")
		return
	}
	s.w.cov.Learn(source.EvidenceGet, rec)
	if r.adopt {
		for _, row := range first.Records {
			s.w.cov.Learn(source.EvidenceSearch, row)
		}
		s.w.cov.Adopt()
	}
}

// oldest is when the first row was created; one that does not say makes the
// reading begin at the beginning.
func oldest(first source.Page) int64 {
	if len(first.Records) > 0 && first.Records[0].Created > 0 {
		return first.Records[0].Created
	}
	return epochStart
}

// archive reads the archived tickets that search did not show, department by
// department: the list is narrow, so each unknown one costs a GET. Archived
// tickets that are held already are only noted as seen.
func (s *searchTable) archive(ctx context.Context, r *reading) error {
	departments, err := s.departments(ctx)
	if err != nil {
		return err
	}
	var obs []source.Observation
	for _, id := range departments {
		obs, err = s.archiveOf(ctx, r, id, obs)
		switch {
		case source.IsFault(err, source.FaultForbidden), source.IsFault(err, source.FaultInvalid):
			// Not visible, or deeper than the list goes.
			r.missing(fmt.Sprintf("archive of department %d cannot be read whole", id))
			s.log.Warn().Err(err).Uint64("department", id).Msg("archived tickets cannot be read whole")
		case err != nil:
			return err
		}
	}
	return r.write(ctx, obs)
}

// archiveBatch is how many archived tickets are gathered for one write.
const archiveBatch = 500

// archiveOf reads one department's archive; observations that are not written
// yet are returned with those given.
func (s *searchTable) archiveOf(ctx context.Context, r *reading, department uint64, obs []source.Observation) ([]source.Observation, error) {
	for offset := 0; ; {
		page, err := s.desk.Archived(ctx, r.priority, department, offset, pageRows)
		if err != nil {
			return obs, fmt.Errorf("list archived tickets of department %d from %d: %w", department, offset, err)
		}
		if err := s.badRows(ctx, s.w.table, page); err != nil {
			return obs, err
		}
		if err := r.note(ctx, page.Records); err != nil {
			return obs, err
		}
		keys, passed, err := s.unknown(ctx, department, page.Records)
		if err != nil {
			return obs, err
		}
		r.passed = r.passed || passed
		got, err := s.getEach(ctx, s.w, r.priority, keys, r.origin)
		if err != nil {
			return obs, err
		}
		if obs = append(obs, got...); len(obs) >= archiveBatch {
			if err := r.write(ctx, obs); err != nil {
				return obs, err
			}
			obs = nil
		}
		if page.Rows < smallestPage {
			return obs, nil
		}
		offset += page.Rows
	}
}

// unknown returns the keys of records that the warehouse does not hold as
// archived: archiving has no event, and an archived ticket changes no more. Of a
// department that is not selected only those count that are held. passed says
// that there were others with content.
func (s *searchTable) unknown(ctx context.Context, department uint64, recs []*source.Record) (unknown []source.Key, passed bool, err error) {
	keys := keysOf(recs)
	held, err := s.wh.Heads(ctx, s.w.table, keys)
	if err != nil {
		return nil, false, fmt.Errorf("read heads: %w", err)
	}
	archived, err := s.wh.Archived(ctx, keys)
	if err != nil {
		return nil, false, fmt.Errorf("look for archived tickets: %w", err)
	}
	selected := s.masks[s.w.table].Selects(department)
	for _, k := range keys {
		h := held[k]
		stored := h.Content.AsOf != 0 && !h.Deleted && !h.LeftOut
		if stored && (!selected || !archived[k]) || !stored && selected {
			unknown = append(unknown, k)
		} else if stored {
			passed = true
		}
	}
	return unknown, passed, nil
}

// poll reads what modifiedTime says changed. The watermark moves to the Date of
// its first reply once the warehouse confirmed every row.
func (s *searchTable) poll(ctx context.Context) error {
	var st pollState
	if _, err := s.loadJSON(ctx, pollKey(s.name, s.w.table), &st); err != nil {
		return err
	}
	if st.Watermark == 0 {
		snap, err := s.loadSnapshot(ctx, s.w.table)
		if err != nil {
			return err
		}
		st.Watermark, st.Deep = snap.Started, snap.Started
	}
	began, err := s.zohoNow(ctx)
	if err != nil {
		return err
	}
	from := time.UnixMilli(st.Watermark).Add(-pollOverlap)
	if began.Sub(time.UnixMilli(st.Deep)) >= 24*time.Hour {
		from, st.Deep = from.Add(pollOverlap-pollOverlapDaily), began.UnixMilli()
	}
	rs := newRanges(from.UnixMilli()/1000*1000, ahead(began.UnixMilli()))
	f := &fullRead{deps: s.deps, w: s.w, keys: s.keys(source.ByModified, source.ForPoll), ranges: rs, origin: originPoll, put: s.w.submit}
	if err := f.run(ctx, 1); s.refused(err) {
		return s.list.poll(ctx)
	} else if err != nil {
		return err
	}
	st.Watermark = began.UnixMilli()
	if err := s.saveJSON(ctx, pollKey(s.name, s.w.table), st); err != nil {
		return fmt.Errorf("save watermark of %s: %w", s.w.table, err)
	}
	s.progress.polled(s.w.table, began)
	return nil
}
