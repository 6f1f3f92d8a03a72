package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"deskhouse/source"
)

// reading is one complete pass over a table.
type reading struct {
	origin   string
	priority source.Priority
	// put takes what was read; done is called once the warehouse confirmed it.
	put func(ctx context.Context, obs []source.Observation, done func(outcome)) error
	// seen is told every key before it is put; nil for none.
	seen func(context.Context, []source.Key) error
	// adopt takes the keys that the first replies carry as all there are.
	adopt bool
	// dry learns nothing and writes nothing.
	dry bool
	// unanswered are the modules of fields that are not to be judged this time.
	unanswered map[string]bool
	// lacked are, of each module that answered, the custom fields that had a column
	// when it was asked and are not in its list: a list proves nothing of younger
	// ones.
	lacked map[string][]string
	// brief leaves out what costs a call for each record.
	brief bool

	// passed: archived tickets that are held were not read again.
	passed bool

	mu         sync.Mutex
	total      outcome
	incomplete []string  // why rows may be missing
	started    time.Time // Date of the first reply
}

func (r *reading) add(o outcome) {
	r.mu.Lock()
	r.total.add(o)
	r.mu.Unlock()
}

// write puts and waits.
func (r *reading) write(ctx context.Context, obs []source.Observation) error {
	out, err := await(ctx, r.put, obs)
	r.add(out)
	return err
}

func (r *reading) missing(why string) {
	r.mu.Lock()
	r.incomplete = append(r.incomplete, why)
	r.mu.Unlock()
}

func (r *reading) unanswer(module string) {
	if r.unanswered == nil {
		r.unanswered = map[string]bool{}
	}
	r.unanswered[module] = true
}

func (r *reading) list(module string, fields []source.CustomField, known []string) {
	if r.lacked == nil {
		r.lacked = map[string][]string{}
	}
	r.lacked[module] = notListed(known, fields)
}

func (r *reading) note(ctx context.Context, recs []*source.Record) error {
	if r.seen == nil || len(recs) == 0 {
		return nil
	}
	return r.seen(ctx, keysOf(recs))
}

// tableReader knows how one table is read; those that can tell what changed are
// pollers too.
type tableReader interface {
	// full reads everything. With resume it goes on where an earlier, unfinished
	// pass stood, and stores its progress.
	full(ctx context.Context, r *reading, resume bool) error
}

// snapshotState is the stored progress of a table's first complete reading.
type snapshotState struct {
	Done    bool            `json:"done"`
	Started int64           `json:"started"` // ms on Zoho's clock: Date of the first reply
	Total   int64           `json:"total"`
	Rows    int64           `json:"rows"`
	Spans   json.RawMessage `json:"spans,omitempty"` // of a search reading
	Place   place           `json:"place"`           // of a list reading
}

func (d deps) loadSnapshot(ctx context.Context, t source.Table) (snapshotState, error) {
	var st snapshotState
	_, err := d.loadJSON(ctx, rangeKey(d.name, t), &st)
	return st, err
}

func (d deps) saveSnapshot(ctx context.Context, t source.Table, st snapshotState) error {
	return d.saveJSON(ctx, rangeKey(d.name, t), st)
}

// loadJSON reports false for an unknown key.
func (d deps) loadJSON(ctx context.Context, key string, into any) (bool, error) {
	value, err := d.kv.Load(ctx, key)
	if err != nil || value == nil {
		return false, err
	}
	if err := json.Unmarshal(value, into); err != nil {
		return false, fmt.Errorf("state key %s cannot be read: %w", key, err)
	}
	return true, nil
}

func (d deps) saveJSON(ctx context.Context, key string, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return d.kv.Save(ctx, key, value)
}

// zohoNow is the portal's clock; it asks when no reply has told it yet, with a
// small call where that is the only way, since no range and no watermark may
// come from the local clock.
func (d deps) zohoNow(ctx context.Context) (time.Time, error) {
	if now, err := d.desk.AskTime(ctx); err == nil {
		return now, nil
	}
	page, err := d.desk.List(ctx, source.ForPoll, source.Departments, source.ListQuery{Limit: 1})
	if err != nil {
		return time.Time{}, fmt.Errorf("ask for Zoho's time: %w", err)
	}
	if now := d.desk.ZohoNow(); !now.IsZero() {
		return now, nil
	}
	if page.At.Date.IsZero() {
		return time.Time{}, errors.New("no reply of Zoho carries a Date: nothing can be dated")
	}
	return page.At.Date, nil
}

// Keys of the state, see the package comment.
func logKey(p string) string                   { return "ckpt." + p + ".log" }
func pollKey(p string, t source.Table) string  { return "ckpt." + p + ".poll." + string(t) }
func binKey(p string, t source.Table) string   { return "ckpt." + p + ".bin." + string(t) }
func keysKey(p string, t source.Table) string  { return "ckpt." + p + ".keys." + string(t) }
func resourcesKey(p string) string             { return "ckpt." + p + ".resources" }
func rangeKey(p string, t source.Table) string { return "range." + p + "." + string(t) }
func number(n uint64) []byte                   { return fmt.Appendf(nil, "%d", n) }
func parseNumber(value []byte) (n uint64, e error) {
	_, e = fmt.Sscanf(string(value), "%d", &n)
	return n, e
}
