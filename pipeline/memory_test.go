package pipeline

import (
	"context"
	"sort"
	"strings"
	"sync"
	"time"

	"deskhouse/source"
)

// memWarehouse keeps rows by the rules of ReplacingMergeTree: of several
// versions the largest is seen; of equal versions either may be.
type memWarehouse struct {
	mu       sync.Mutex
	main     map[source.Table]map[source.Key]source.State
	sides    map[source.Table]map[source.Register]map[source.Key]source.SideRow
	pos      map[string]uint64
	custom   map[string]bool
	changes  map[uint64]source.Change
	runs     map[string]map[source.Key]bool
	reports  []source.RunReport
	writes   int
	failNext int // that many writes fail, after having stored the rows
}

func newMemWarehouse() *memWarehouse {
	return &memWarehouse{main: map[source.Table]map[source.Key]source.State{},
		sides: map[source.Table]map[source.Register]map[source.Key]source.SideRow{}, pos: map[string]uint64{},
		custom: map[string]bool{}, changes: map[uint64]source.Change{}, runs: map[string]map[source.Key]bool{}}
}

func (m *memWarehouse) Heads(_ context.Context, t source.Table, keys []source.Key) (map[source.Key]source.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	heads := map[source.Key]source.Head{}
	for _, k := range keys {
		if st, ok := m.main[t][k]; ok {
			heads[k] = st.Head
		}
	}
	return heads, nil
}

func (m *memWarehouse) Write(_ context.Context, t source.Table, rows []source.Row, _ uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.main[t] == nil {
		m.main[t] = map[source.Key]source.State{}
	}
	for _, r := range rows {
		held := m.main[t][r.Key]
		if r.Version < held.Version {
			continue
		}
		st := r.State
		if st.Record == nil && st.Content.AsOf > 0 {
			st.Record = held.Record
		}
		m.main[t][r.Key] = st
	}
	m.writes++
	if m.failNext > 0 {
		m.failNext--
		return context.DeadlineExceeded
	}
	return nil
}

func (m *memWarehouse) SideStamps(_ context.Context, t source.Table, reg source.Register, keys []source.Key) (map[source.Key]source.Stamp, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[source.Key]source.Stamp{}
	for _, k := range keys {
		if r, ok := m.sides[t][reg][k]; ok {
			out[k] = r.Stamp
		}
	}
	return out, nil
}

func (m *memWarehouse) WriteSide(_ context.Context, t source.Table, reg source.Register, rows []source.SideRow, _ uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sides[t] == nil {
		m.sides[t] = map[source.Register]map[source.Key]source.SideRow{}
	}
	if m.sides[t][reg] == nil {
		m.sides[t][reg] = map[source.Key]source.SideRow{}
	}
	for _, r := range rows {
		if r.Stamp.Compare(m.sides[t][reg][r.Key].Stamp) >= 0 {
			m.sides[t][reg][r.Key] = r
		}
	}
	return nil
}

func (m *memWarehouse) WriteChanges(_ context.Context, changes []source.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		m.changes[c.ID] = c
	}
	return nil
}

func (m *memWarehouse) SavePosition(_ context.Context, name string, seq uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pos[name] = seq
	return nil
}

func (m *memWarehouse) Position(_ context.Context, name string) (uint64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seq, ok := m.pos[name]
	return seq, ok, nil
}

func (m *memWarehouse) SaveStatus(context.Context, []source.TableStatus) error { return nil }

func (m *memWarehouse) SaveRun(_ context.Context, r source.RunReport) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports = append(m.reports, r)
	return nil
}

func (m *memWarehouse) EnsureCustomFields(_ context.Context, t source.Table, fields []source.CustomField) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var added []string
	for _, f := range fields {
		if k := string(t) + "/" + f.APIName; !m.custom[k] {
			m.custom[k] = true
			added = append(added, f.APIName)
		}
	}
	return added, nil
}

func (m *memWarehouse) KnowsCustom(t source.Table, apiName string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.custom[string(t)+"/"+apiName]
}

func (m *memWarehouse) DeletedKeys(_ context.Context, t source.Table, since time.Time) ([]source.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []source.Key
	for k, st := range m.main[t] {
		if st.Deleted && st.DeletedAt >= since.UnixMilli() {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func (m *memWarehouse) Counts(_ context.Context, t source.Table) (visible, deleted uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, st := range m.main[t] {
		if st.Deleted {
			deleted++
		} else {
			visible++
		}
	}
	return visible, deleted, nil
}

func (m *memWarehouse) BeginRun(_ context.Context, run string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs[run] = map[source.Key]bool{}
	return nil
}

func (m *memWarehouse) Seen(_ context.Context, run string, _ source.Table, keys []source.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		m.runs[run][k] = true
	}
	return nil
}

func (m *memWarehouse) Absent(_ context.Context, run string, t source.Table, before time.Time) ([]source.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []source.Key
	for k, st := range m.main[t] {
		if !st.Deleted && !m.runs[run][k] && st.AsOf() < before.UnixMilli() {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func (m *memWarehouse) EndRun(_ context.Context, run string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.runs, run)
	return nil
}

// memKV is the small state.
type memKV struct {
	mu sync.Mutex
	m  map[string][]byte
}

func newMemKV() *memKV { return &memKV{m: map[string][]byte{}} }

func (s *memKV) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[key], nil
}

func (s *memKV) Save(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[key] = append([]byte{}, value...)
	return nil
}

func (s *memKV) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, key)
	return nil
}

func (s *memKV) List(_ context.Context, prefix string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]byte{}
	for k, v := range s.m {
		if strings.HasPrefix(k, prefix) {
			out[k] = v
		}
	}
	return out, nil
}

// memLog is the event log, on both sides: the intake appends, the applier
// reads.
type memLog struct {
	mu   sync.Mutex
	msgs []Message
	news chan struct{} // closed and replaced by each append
}

func newMemLog() *memLog { return &memLog{news: make(chan struct{})} }

func (l *memLog) Append(_ context.Context, group []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq := uint64(len(l.msgs) + 1)
	l.msgs = append(l.msgs, Message{Seq: seq, Data: append([]byte{}, group...)})
	close(l.news)
	l.news = make(chan struct{})
	return seq, nil
}

func (l *memLog) MaxGroupBytes() int { return 1 << 20 }

func (l *memLog) Read(_ context.Context, from uint64) (EventReader, error) {
	return &memReader{l, max(from, 1)}, nil
}

func (l *memLog) Bounds(context.Context) (first, last uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return 1, uint64(len(l.msgs)), nil
}

// Purge keeps everything: the log has no times.
func (l *memLog) Purge(context.Context, uint64, time.Time) error { return nil }

type memReader struct {
	l    *memLog
	next uint64
}

func (r *memReader) Next(ctx context.Context) (Message, error) {
	for {
		r.l.mu.Lock()
		i := sort.Search(len(r.l.msgs), func(i int) bool { return r.l.msgs[i].Seq >= r.next })
		news := r.l.news
		if i < len(r.l.msgs) {
			m := r.l.msgs[i]
			r.l.mu.Unlock()
			r.next = m.Seq + 1
			return m, nil
		}
		r.l.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

func (r *memReader) Close() error { return nil }

// memLetters counts dead letters.
type memLetters struct {
	mu      sync.Mutex
	reasons []string
}

func (d *memLetters) DeadLetter(_ context.Context, reason string, _ []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reasons = append(d.reasons, reason)
	return nil
}
