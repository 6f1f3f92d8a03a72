package pipeline

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"deskhouse/source"
)

// memWarehouse keeps rows by the rules of ReplacingMergeTree: of several
// versions the largest is seen; of equal versions either may be.
type memWarehouse struct {
	mu         sync.Mutex
	main       map[source.Table]map[source.Key]source.State
	sides      map[source.Table]map[source.Register]map[source.Key]source.SideRow
	pos        map[string]uint64
	custom     map[string]bool
	removed    map[string]bool // custom fields that are marked so
	pending    map[source.Table][]source.PendingColumn
	marks      uint64
	lacks      map[source.Table]map[source.Key]map[string]bool // custom values without a column when the row was written
	changes    map[uint64]source.Change
	written    map[memKey][]memVersion // contents of main rows, as they were written
	runs       map[string]map[source.Key]bool
	reports    []source.RunReport
	shadows    map[source.Table]memShadow
	swapFails  int // how often SwapRebuild fails from now on
	writes     int
	sideWrites int // side rows
	failNext   int // that many writes fail, after having stored the rows

	seed   uint64 // decides which of two rows of one version is seen
	epoch  uint64 // rows of an earlier one are refused
	down   atomic.Bool
	tokens map[uint64]bool                      // blocks that were stored
	filled map[source.Table]map[source.Key]bool // rows that ever had content
	broken []string                             // what a warehouse cannot make up for
}

var errFenced = errors.New("rows of an earlier epoch are refused")

// Fence refuses the rows of earlier epochs from now on.
func (m *memWarehouse) Fence(_ context.Context, epoch uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch = epoch
	return nil
}

// admit refuses a block of an earlier leader, and reports whether it was stored
// before: its deduplication token is known. The caller holds mu.
func (m *memWarehouse) admit(epoch, token uint64) (known bool, err error) {
	if m.down.Load() {
		return false, errors.New("the warehouse is down")
	}
	if epoch < m.epoch {
		return false, errFenced
	}
	known = m.tokens[token]
	m.tokens[token] = true
	return known, nil
}

// tokenOf names the rows of a block as sink/clickhouse does: by key, version,
// content and who wrote them.
func tokenOf(t source.Table, reg source.Register, epoch uint64, each func(add func(k source.Key, version, content uint64))) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, t, reg, epoch)
	each(func(k source.Key, version, content uint64) { fmt.Fprintf(h, "/%s %d %d", k, version, content) })
	return h.Sum64()
}

func (m *memWarehouse) wrong(format string, args ...any) {
	if len(m.broken) < 5 {
		m.broken = append(m.broken, fmt.Sprintf(format, args...))
	}
}

func newMemWarehouse() *memWarehouse {
	return &memWarehouse{main: map[source.Table]map[source.Key]source.State{},
		sides: map[source.Table]map[source.Register]map[source.Key]source.SideRow{}, pos: map[string]uint64{},
		shadows: map[source.Table]memShadow{}, pending: map[source.Table][]source.PendingColumn{}, lacks: map[source.Table]map[source.Key]map[string]bool{},
		tokens: map[uint64]bool{}, filled: map[source.Table]map[source.Key]bool{},
		custom: map[string]bool{}, removed: map[string]bool{}, changes: map[uint64]source.Change{}, written: map[memKey][]memVersion{}, runs: map[string]map[source.Key]bool{}}
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

func (m *memWarehouse) Write(_ context.Context, t source.Table, rows []source.Row, epoch uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, err := m.admit(epoch, tokenOf(t, source.Content, epoch, func(add func(source.Key, uint64, uint64)) {
		for i := range rows {
			add(rows[i].Key, rows[i].Version, rows[i].Content.Hash)
		}
	}))
	if err != nil {
		return err
	}
	if m.main[t] == nil {
		m.main[t] = map[source.Key]source.State{}
	}
	if m.filled[t] == nil {
		m.filled[t] = map[source.Key]bool{}
	}
	if !known {
		if m.shadows[t] != nil {
			m.putRows(m.shadows[t], m.main[t], rows)
		}
		m.putRows(m.main[t], m.main[t], rows)
		m.note(t, rows)
		for i := range rows {
			m.noteLacks(t, rows[i])
			if rows[i].Content.AsOf > 0 {
				m.filled[t][rows[i].Key] = true
			}
		}
	}
	m.writes++
	if m.failNext > 0 {
		m.failNext--
		return context.DeadlineExceeded
	}
	return nil
}

// putRows applies rows to a table; content that is carried over comes from
// held. Two different rows of one version are a fault of the writer; either of
// them may be seen.
func (m *memWarehouse) putRows(into, held map[source.Key]source.State, rows []source.Row) {
	for _, r := range rows {
		was := into[r.Key]
		if r.Version < was.Version {
			continue
		}
		if r.Content.Compare(was.Content) < 0 || r.Life.Compare(was.Life) < 0 {
			m.wrong("%s goes back: content %+v to %+v, life %+v to %+v", r.Key, was.Content, r.Content, was.Life, r.Life)
		}
		if r.Version == was.Version {
			if r.Head != was.Head {
				m.wrong("two rows of %s have version %d", r.Key, r.Version)
			}
			if m.seed++; mixed(m.seed)%2 == 0 {
				continue
			}
		}
		st := r.State
		if st.Record == nil && st.Content.AsOf > 0 {
			if st.Record = held[r.Key].Record; held[r.Key].Content != st.Content {
				m.wrong("%s carries content as of %d over, and %d is held", r.Key, st.Content.AsOf, held[r.Key].Content.AsOf)
			}
		}
		into[r.Key] = st
	}
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

func (m *memWarehouse) WriteSide(_ context.Context, t source.Table, reg source.Register, rows []source.SideRow, epoch uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, err := m.admit(epoch, tokenOf(t, reg, epoch, func(add func(source.Key, uint64, uint64)) {
		for i := range rows {
			add(rows[i].Key, uint64(rows[i].Stamp.AsOf)<<4|uint64(rows[i].Stamp.Rank), rows[i].Stamp.Hash)
		}
	}))
	if err != nil || known {
		return err
	}
	if m.sides[t] == nil {
		m.sides[t] = map[source.Register]map[source.Key]source.SideRow{}
	}
	if m.sides[t][reg] == nil {
		m.sides[t][reg] = map[source.Key]source.SideRow{}
	}
	for _, r := range rows {
		if r.Stamp.Compare(m.sides[t][reg][r.Key].Stamp) >= 0 {
			m.sides[t][reg][r.Key] = r
			m.sideWrites++
		}
	}
	return nil
}

func (m *memWarehouse) WriteChanges(_ context.Context, changes []source.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down.Load() {
		return errors.New("the warehouse is down")
	}
	for _, c := range changes {
		if was, ok := m.changes[c.ID]; ok && (was.Key != c.Key || was.At != c.At || was.Op != c.Op) {
			m.wrong("changes of %s and %s have one id", was.Key, c.Key)
		}
		m.changes[c.ID] = c
	}
	return nil
}

// Tracked tells values as they were sent.
func (m *memWarehouse) Tracked(_ context.Context, t source.Table, keys []source.Key) (*source.Tracked, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down.Load() {
		return nil, errors.New("the warehouse is down")
	}
	res := source.Lookup(t)
	read := func(rec *source.Record) []*string {
		var values []*string
		for _, i := range res.Tracked() {
			if raw := rec.Value(i); source.IsNull(raw) {
				values = append(values, nil)
			} else {
				values = append(values, &raw)
			}
		}
		return values
	}
	tracked := &source.Tracked{Held: map[source.Key][]*string{}, Read: read}
	for _, i := range res.Tracked() {
		tracked.Columns = append(tracked.Columns, res.Fields[i].Column)
	}
	for _, k := range keys {
		if rec := m.main[t][k].Record; rec != nil {
			tracked.Held[k] = read(rec)
		}
	}
	return tracked, nil
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
		delete(m.removed, string(t)+"/"+f.APIName)
		if k := string(t) + "/" + f.APIName; !m.custom[k] {
			m.custom[k] = true
			if len(m.main[t]) > 0 {
				m.marks++
				m.pending[t] = append(m.pending[t], source.PendingColumn{Register: source.Content, Column: f.APIName, Mark: m.marks})
			}
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

func (m *memWarehouse) CustomFields(t source.Table) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for k := range m.custom {
		if name, ours := strings.CutPrefix(k, string(t)+"/"); ours && !m.removed[k] {
			names = append(names, name)
		}
	}
	return names
}

func (m *memWarehouse) RemoveCustomFields(_ context.Context, t source.Table, gone []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range gone {
		m.removed[string(t)+"/"+name] = true
	}
	return nil
}

func (m *memWarehouse) PendingColumns(t source.Table) []source.PendingColumn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.pending[t])
}

func (m *memWarehouse) Backfills(t source.Table, reg source.Register, rec *source.Record) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.pending[t], func(p source.PendingColumn) bool {
		if p.Register != reg || p.Read {
			return false
		}
		if p.Kept {
			return true
		}
		for i, f := range rec.Resource.Fields {
			if f.Column == p.Column && f.Register == reg && !source.IsNull(rec.Value(i)) {
				return true
			}
		}
		return slices.ContainsFunc(rec.Custom, func(c source.Member) bool { return c.Name == p.Column && !source.IsNull(c.Value) })
	})
}

func (m *memWarehouse) BackfilledRead(t source.Table, read []source.PendingColumn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, p := range m.pending[t] {
		m.pending[t][i].Read = p.Read || slices.Contains(read, p)
	}
}

func (m *memWarehouse) Backfilled(_ context.Context, t source.Table, filled []source.PendingColumn) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending[t] = slices.DeleteFunc(m.pending[t], func(p source.PendingColumn) bool { return slices.Contains(filled, p) })
	return nil
}

// noteLacks remembers which custom values of a row found no column. The caller holds
// mu.
func (m *memWarehouse) noteLacks(t source.Table, r source.Row) {
	if r.Record == nil {
		return
	}
	lacks := map[string]bool{}
	for _, c := range r.Record.Custom {
		if !source.IsNull(c.Value) && !m.custom[string(t)+"/"+c.Name] {
			lacks[c.Name] = true
		}
	}
	if m.lacks[t] == nil {
		m.lacks[t] = map[source.Key]map[string]bool{}
	}
	m.lacks[t][r.Key] = lacks
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
		switch {
		case st.Deleted:
			deleted++
		case !st.LeftOut:
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
		if !st.Deleted && !st.LeftOut && !m.runs[run][k] && st.AsOf() < before.UnixMilli() {
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

func (m *memWarehouse) Totals(_ context.Context, t source.Table) (map[source.Register]uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return map[source.Register]uint64{source.Content: uint64(len(m.main[t])),
		source.Listed: uint64(len(m.sides[t][source.Listed])), source.Detail: uint64(len(m.sides[t][source.Detail]))}, nil
}

func (m *memWarehouse) Departments(_ context.Context, t source.Table, keys []source.Key) (map[source.Key]uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[source.Key]uint64{}
	for _, k := range keys {
		if id := departmentOf(m.main[t][k]); id != 0 {
			out[k] = id
		}
	}
	return out, nil
}

func (m *memWarehouse) VisibleIn(_ context.Context, t source.Table) (map[uint64]uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[uint64]uint64{}
	for _, st := range m.main[t] {
		if !st.Deleted && !st.LeftOut {
			out[departmentOf(st)]++
		}
	}
	return out, nil
}

func departmentOf(st source.State) uint64 {
	if st.Deleted || st.Record == nil {
		return 0
	}
	id, _ := strconv.ParseUint(st.Record.Text("departmentId"), 10, 64)
	return id
}

func (m *memWarehouse) Filled(_ context.Context, t source.Table, keys []source.Key) (map[source.Key]source.FieldSet, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[source.Key]source.FieldSet{}
	for _, k := range keys {
		if st := m.main[t][k]; st.Record != nil {
			out[k] = st.Record.Filled()
		}
	}
	return out, nil
}

func (m *memWarehouse) Archived(_ context.Context, keys []source.Key) (map[source.Key]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[source.Key]bool{}
	for _, k := range keys {
		if st := m.main[source.Tickets][k]; st.Record != nil && st.Record.Flag("isArchived") {
			out[k] = true
		}
	}
	return out, nil
}

func (m *memWarehouse) Unhydrated(_ context.Context, t source.Table, since time.Time, limit int) ([]source.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []source.Key
	for k, st := range m.main[t] {
		side := m.sides[t][source.Detail][k]
		if side.Record != nil && side.Record.LeftOut {
			side.Stamp.AsOf = 0
		}
		if !st.Deleted && !st.LeftOut && st.Content.AsOf > 0 && side.Stamp.AsOf < st.Content.AsOf && (since.IsZero() || st.Content.AsOf > since.UnixMilli()) {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool { return m.main[t][keys[i]].Content.AsOf > m.main[t][keys[j]].Content.AsOf })
	return keys[:min(limit, len(keys))], nil
}

// memShadow is a table that is rebuilt.
type memShadow map[source.Key]source.State

func (m *memWarehouse) BeginRebuild(_ context.Context, t source.Table, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shadows[t] = memShadow{}
	for k, st := range m.main[t] {
		if st.Deleted {
			m.shadows[t][k] = st
		}
	}
	return nil
}

func (m *memWarehouse) WriteShadow(_ context.Context, t source.Table, rows []source.Row, _ uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shadows[t] == nil {
		return errors.New("no rebuild of " + string(t))
	}
	m.putRows(m.shadows[t], m.main[t], rows)
	return nil
}

func (m *memWarehouse) SwapRebuild(_ context.Context, t source.Table) (copied uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.swapFails > 0 {
		m.swapFails--
		return 0, errors.New("connection lost")
	}
	for k, st := range m.main[t] {
		if held, ok := m.shadows[t][k]; !ok || held.Version < st.Version {
			m.shadows[t][k] = st
			copied++
		}
	}
	if len(m.shadows[t]) != len(m.main[t]) {
		return copied, fmt.Errorf("shadow of %s has %d rows, the table %d", t, len(m.shadows[t]), len(m.main[t]))
	}
	m.main[t] = m.shadows[t]
	delete(m.shadows, t)
	return copied, nil
}

func (m *memWarehouse) DropRebuild(_ context.Context, t source.Table) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.shadows, t)
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
	at   []time.Time   // when each message was stored
	news chan struct{} // closed and replaced by each append
}

func newMemLog() *memLog { return &memLog{news: make(chan struct{})} }

func (l *memLog) Append(_ context.Context, group []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq := uint64(len(l.msgs) + 1)
	l.msgs = append(l.msgs, Message{Seq: seq, Data: append([]byte{}, group...)})
	l.at = append(l.at, time.Now())
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

func (l *memLog) Before(_ context.Context, t time.Time) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(sort.Search(len(l.at), func(i int) bool { return !l.at[i].Before(t) })), nil
}

// Purge keeps everything.
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
