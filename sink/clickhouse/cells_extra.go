package clickhouse

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"deskhouse/source"

	"github.com/go-json-experiment/json/jsontext"
)

// reason says why a value stands in _extra.
type reason string

const (
	placed     reason = ""
	unknownKey reason = "unknown key"    // the catalog does not know it
	misfit     reason = "does not fit"   // its column cannot hold it
	noColumn   reason = "no column yet"  // a custom field without one
	manyKeys          = "(further keys)" // stands for all names past maxCounted
)

// extraCells is the _extra column: a JSON object of what has no place, with
// values exactly as sent, "" when there is nothing.
type extraCells struct {
	texts []string
	row   []byte
	count map[counted]uint64
}

type counted struct {
	why reason
	key string
}

func (e *extraCells) member(why reason, name, raw string) {
	e.put(name, raw)
	e.note(why, name)
}

func (e *extraCells) put(name, raw string) {
	if len(e.row) == 0 {
		e.row = append(e.row, '{')
	} else {
		e.row = append(e.row, ',')
	}
	e.row, _ = jsontext.AppendQuote(e.row, name) // invalid UTF-8 in a name becomes U+FFFD
	e.row = append(e.row, ':')
	e.row = append(e.row, raw...)
}

// note counts a value.
func (e *extraCells) note(why reason, name string) {
	if e.count == nil {
		e.count = map[counted]uint64{}
	}
	e.count[counted{why, name}]++
}

func (e *extraCells) endRow() {
	if len(e.row) == 0 {
		e.texts = append(e.texts, "")
		return
	}
	e.texts = append(e.texts, string(append(e.row, '}')))
	e.row = e.row[:0]
}

func (e *extraCells) reset() {
	clear(e.texts)
	e.texts, e.row = e.texts[:0], e.row[:0]
	clear(e.count)
}

// maxCounted bounds how many key names of one table are counted one by one.
const maxCounted = 500

// unplaced counts what went to _extra.
type unplaced struct {
	mu     sync.Mutex
	tables map[source.Table]map[counted]uint64
}

func (u *unplaced) add(t source.Table, count map[counted]uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.tables == nil {
		u.tables = map[source.Table]map[counted]uint64{}
	}
	into := u.tables[t]
	if into == nil {
		into = map[counted]uint64{}
		u.tables[t] = into
	}
	for k, n := range count {
		if _, known := into[k]; !known && len(into) >= maxCounted {
			k.key = manyKeys
		}
		into[k] += n
	}
}

// Unplaced is how many values of one key went to _extra, and why.
type Unplaced struct {
	Table  source.Table
	Reason string // "unknown key", "does not fit", "no column yet"
	Key    string // path of the key, "cf.<API name>" for custom fields
	Count  uint64
}

// Unplaced counts the values that found no column since the Warehouse was
// opened, by table, reason and key. A block that is sent again counts again.
func (w *Warehouse) Unplaced() []Unplaced {
	w.unplaced.mu.Lock()
	defer w.unplaced.mu.Unlock()
	var all []Unplaced
	for _, t := range slices.Sorted(maps.Keys(w.unplaced.tables)) {
		for k, n := range w.unplaced.tables[t] {
			all = append(all, Unplaced{t, string(k.why), k.key, n})
		}
	}
	slices.SortFunc(all, func(a, b Unplaced) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Key, b.Key))
	})
	return all
}
