package source

import (
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Mask carries out a Selection on records: what is not to be stored is taken
// off them before anybody sees it. A nil Mask keeps everything. Safe for
// concurrent use.
type Mask struct {
	res        *Resource
	fields     []treatment // of each field of the catalog
	patterns   []pattern
	hash       *keyedHash
	edition    uint32
	department int // index of the field that tells, -1: all are selected
	only       []uint64
	except     []uint64

	mu     sync.RWMutex
	custom map[string]treatment // of the custom fields seen so far
}

// NewMask returns the mask of a selection, nil for the zero Selection. key is
// that of the hashes and may be empty when there are none. The error is a
// *SelectionError.
func NewMask(res *Resource, s Selection, key []byte) (*Mask, error) {
	if len(s.Exclude)+len(s.Hash)+len(s.Only)+len(s.Except) == 0 {
		return nil, nil
	}
	if err := s.check(res); err != nil {
		return nil, err
	}
	m := &Mask{res: res, fields: make([]treatment, len(res.Fields)), patterns: s.patterns(), hash: newKeyedHash(key),
		department: -1, only: s.Only, except: s.Except, custom: map[string]treatment{}}
	if len(s.Only)+len(s.Except) > 0 {
		m.department = res.departmentField()
	}
	for i := range res.Fields {
		if f := &res.Fields[i]; res.needed(f) == "" && f.Kind != KindCustom {
			m.fields[i] = m.named(f.names()...)
		}
	}
	m.edition = m.ownEdition()
	return m, nil
}

// named is what the patterns say of something with these names.
func (m *Mask) named(names ...string) treatment {
	p, ok := find(m.patterns, names...)
	if !ok {
		return keep
	}
	return p.treat
}

// Excludes reports whether a field of the catalog is left out.
func (m *Mask) Excludes(field int) bool { return m != nil && m.fields[field] == excluded }

// Hashes reports whether only a keyed hash of a field of the catalog is kept.
func (m *Mask) Hashes(field int) bool { return m != nil && m.fields[field] == hashed }

// ExcludesCustom reports whether a custom field is left out.
func (m *Mask) ExcludesCustom(apiName string) bool { return m.ofCustom(apiName) == excluded }

// HashesCustom reports whether only a keyed hash of a custom field is kept.
func (m *Mask) HashesCustom(apiName string) bool { return m.ofCustom(apiName) == hashed }

// KeyID names the key of the hashes, "" without any: two keys have different
// ids, and an id tells nothing of its key.
func (m *Mask) KeyID() string {
	if m == nil || !slices.ContainsFunc(m.patterns, func(p pattern) bool { return p.treat == hashed }) {
		return ""
	}
	return m.hash.id
}

// Selects reports whether records of a department are kept.
func (m *Mask) Selects(department uint64) bool {
	switch {
	case m == nil || m.department < 0:
		return true
	case len(m.only) > 0:
		return slices.Contains(m.only, department)
	}
	return !slices.Contains(m.except, department)
}

// Departments are those that the selection names; at most one list is not empty.
func (m *Mask) Departments() (only, except []uint64) {
	if m == nil {
		return nil, nil
	}
	return m.only, m.except
}

// maxCustom bounds the custom fields that are remembered; a portal has some
// hundreds.
const maxCustom = 10_000

// ofCustom is what the patterns say of a custom field.
func (m *Mask) ofCustom(apiName string) treatment {
	if m == nil || len(m.patterns) == 0 {
		return keep
	}
	m.mu.RLock()
	t, known := m.custom[apiName]
	m.mu.RUnlock()
	if known {
		return t
	}
	if t = m.named(customNames(apiName)...); t == keep {
		t = m.named("cf") // the field as a whole
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.custom) < maxCustom {
		m.custom[strings.Clone(apiName)] = t
	}
	return t
}

// MasksCustom reports whether custom fields may be left out or hashed.
func (m *Mask) MasksCustom() bool {
	return m != nil && slices.ContainsFunc(m.patterns, func(p pattern) bool {
		return strings.EqualFold(p.text, "cf") || p.mayBeCustom()
	})
}

// unknown is what the patterns say of a key that the catalog does not know, by
// its path: one inside a field that is left out goes with it, one that holds
// such a field where an object was expected is treated as the field.
func (m *Mask) unknown(path string) treatment {
	t := m.named(path, snake(path))
	for i, of := range m.fields {
		name := m.res.Fields[i].Name
		if strings.HasPrefix(path, name+".") || strings.HasPrefix(name, path+".") {
			t = max(t, of)
		}
	}
	return t
}

// masked is set in both ends of a span that lies in the record's own text of
// masked values. Bodies are smaller than half of what 32 bits count.
const masked = 1 << 31

const null = "null"

// Record returns the record as it may be stored. A value that is left out is
// null there, but its key counts as present: it is not missing, so nothing need
// be read again. The given record is not changed, and its text is shared.
func (m *Mask) Record(r *Record) *Record { return m.apply(r, m.value, m.leavesOut) }

// Stored is Record for a record that was stored already, under this selection or
// an earlier one: what is a hash there stays the hash it is. What is stored does
// not tell an absent department from none, so it counts as none.
func (m *Mask) Stored(r *Record) *Record {
	return m.apply(r, func(t treatment, kind Kind, raw string) string {
		if t == hashed && isHashed(raw) {
			return raw
		}
		return m.value(t, kind, raw)
	}, m.leavesStored)
}

func (m *Mask) apply(r *Record, value func(treatment, Kind, string) string, leaves func(*Record) bool) *Record {
	if m == nil || r == nil {
		return r
	}
	c := *r
	c.vals, c.own = slices.Clone(r.vals), null
	for i, t := range m.fields {
		if t != keep && r.Present.Has(i) {
			c.put(i, value(t, r.Resource.Fields[i].Kind, r.Value(i)))
		}
	}
	if m.MasksCustom() {
		m.customOf(&c, value)
	}
	c.Extra = nil
	for _, e := range r.Extra {
		if t := m.unknown(e.Name); t != excluded {
			c.Extra = append(c.Extra, Member{e.Name, value(t, KindJSON, e.Value)})
		}
	}
	c.Fingerprint = fingerprint(&c)
	if leaves(r) {
		c.leaveOut()
	}
	return &c
}

// value is a JSON value after its treatment.
func (m *Mask) value(t treatment, kind Kind, raw string) string {
	switch t {
	case excluded:
		return null
	case hashed:
		return m.hash.value(kind, raw)
	}
	return raw
}

// put gives a field another value.
func (r *Record) put(i int, value string) {
	if value == null {
		r.vals[i] = span{masked, masked + uint32(len(null))}
		return
	}
	from := uint32(len(r.own)) | masked
	r.own += value
	r.vals[i] = span{from, from + uint32(len(value))}
}

// StoredCustom is Stored of the value of one custom field; false means that it is
// left out.
func (m *Mask) StoredCustom(apiName, raw string) (string, bool) {
	switch t := m.ofCustom(apiName); {
	case t == excluded:
		return "", false
	case t == hashed && !isHashed(raw):
		return m.value(t, KindString, raw), true
	}
	return raw, true
}

// customOf masks the members of cf, and its text.
func (m *Mask) customOf(c *Record, value func(treatment, Kind, string) string) {
	i := c.Resource.custom
	if i < 0 || IsNull(c.Value(i)) {
		return
	}
	if c.Value(i)[0] != '{' { // it cannot be told what is in it
		c.put(i, null)
		return
	}
	all := c.Custom
	c.Custom = nil
	text := []byte{'{'}
	for _, member := range all {
		t := m.ofCustom(member.Name)
		if t == excluded {
			continue
		}
		member.Value = value(t, KindString, member.Value)
		c.Custom = append(c.Custom, member)
		if len(text) > 1 {
			text = append(text, ',')
		}
		text, _ = jsontext.AppendQuote(text, member.Name)
		text = append(append(text, ':'), member.Value...)
	}
	c.put(i, string(append(text, '}')))
}

// leavesOut reports whether a record is of none of the departments that are
// selected. One that does not tell is left out; one of no department at all is
// in none of those that are to be kept, and in none of those that are not.
func (m *Mask) leavesOut(r *Record) bool {
	if m.department < 0 {
		return false
	}
	return !r.Present.Has(m.department) || m.leavesValue(r.Value(m.department))
}

// leavesStored is leavesOut for a stored record.
func (m *Mask) leavesStored(r *Record) bool {
	return m.department >= 0 && m.leavesValue(r.Value(m.department))
}

// TellsDepartment reports whether a record has the key of its departments, which
// a profile that was narrowed may hide: LeftOut is then no choice of anybody.
func (r *Record) TellsDepartment() bool {
	i := r.Resource.departmentField()
	return i >= 0 && r.Present.Has(i)
}

// leavesValue is leavesOut for the value of the field that tells.
func (m *Mask) leavesValue(raw string) bool {
	if IsNull(raw) || raw == "[]" || raw == `""` {
		return len(m.only) > 0
	}
	ids, ok := ParseIDs(raw)
	if id, one := ParseID(raw); one {
		ids, ok = []uint64{id}, true
	}
	return !ok || !slices.ContainsFunc(ids, m.Selects)
}

// leaveOut empties a record but for its key. Its times and fingerprint stay:
// they order what is known of it.
func (r *Record) leaveOut() {
	r.LeftOut, r.Custom, r.Extra = true, nil, nil
	for i := range r.vals {
		if i != r.Resource.id && i != r.Resource.apiName && r.Present.Has(i) {
			r.put(i, null)
		}
	}
	r.own = r.own[:len(null)]
}
