package source

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// Key identifies a row within a table of one portal: the record's id, or for
// organization fields "module/apiName" in Name (ids are not documented to be
// unique across modules). Exactly one of the two is set.
type Key struct {
	ID   uint64
	Name string
}

// String returns the key as logs and state spell it.
func (k Key) String() string {
	if k.Name != "" {
		return k.Name
	}
	return fmt.Sprint(k.ID)
}

// Member is one key of a record with its JSON value as sent.
type Member struct {
	Name  string
	Value string
}

// Record is one JSON object of a resource, parsed once: every known field is a
// span of the original text, custom and unknown keys stand in lists. It holds
// no maps. A Record is read-only after ParseRecord or ParsePage and safe for
// concurrent readers.
type Record struct {
	Resource *Resource
	Key      Key
	// Present holds the known fields whose key was there, null or not.
	Present FieldSet
	// Custom holds the members of cf, Extra every key the catalog does not
	// know (nested ones by path). Both in the order sent.
	Custom []Member
	Extra  []Member
	// Modified and Created are the record's own times, 0 when absent or null.
	Modified, Created int64
	// Deleted is set when a life flag (IsDel, isDel, isDeleted, isTrashed) is
	// true.
	Deleted bool
	// LeftOut: the record is of a department that is not selected. Nothing of it
	// is to be stored but its key, its times and that it exists.
	LeftOut bool
	// Fingerprint covers the canonical values of the content register that
	// belong to the record itself; absent equals null.
	Fingerprint uint64

	text string
	own  string // values that took the place of others (Mask)
	vals []span
}

type span struct{ from, to uint32 }

// Value returns the JSON text of field i as sent, "" when the key was absent.
func (r *Record) Value(i int) string {
	s := r.vals[i]
	if s.from&masked != 0 {
		return r.own[s.from&^masked : s.to&^masked]
	}
	return r.text[s.from:s.to]
}

// Text returns a field's text by its name, "" when it is absent, null or no
// string.
func (r *Record) Text(name string) string {
	for i := range r.Resource.Fields {
		if r.Resource.Fields[i].Name == name {
			text, _ := ParseString(r.Value(i))
			return text
		}
	}
	return ""
}

// Filled are the content fields that hold a value: present, not null, not the
// empty text and not an empty array. Custom fields count as one.
func (r *Record) Filled() FieldSet {
	var filled FieldSet
	for _, i := range r.Resource.In(Content) {
		if i == r.Resource.custom {
			continue
		}
		switch r.Value(i) {
		case "", "null", `""`, "[]":
		default:
			filled = filled.With(i)
		}
	}
	for _, m := range r.Custom {
		if m.Value != "null" && m.Value != `""` && m.Value != "[]" {
			return filled.With(r.Resource.custom)
		}
	}
	return filled
}

// Flag is a boolean field's value by its name, false when it is absent or null.
func (r *Record) Flag(name string) bool {
	for i := range r.Resource.Fields {
		if r.Resource.Fields[i].Name == name {
			on, _ := ParseBool(r.Value(i))
			return on
		}
	}
	return false
}

// Size is the number of bytes of JSON the record holds on to, for bounds.
func (r *Record) Size() int {
	n := len(r.vals) * 8
	for _, s := range r.vals {
		n += int(s.to - s.from)
	}
	for _, members := range [][]Member{r.Custom, r.Extra} {
		for _, m := range members {
			n += len(m.Name) + len(m.Value)
		}
	}
	return n
}

// ErrNoKey is returned for a record without a usable id (or apiName): it
// cannot be placed and belongs among the dead letters.
var ErrNoKey = errors.New("record has no usable id")

var errNoObject = errors.New("not a JSON object")

// ParseRecord parses one JSON object. module is used for organization fields
// only. A syntax error or a record without id is an error; anything else
// (unknown keys, wrong types) is kept for the sink to judge. text is retained.
func ParseRecord(res *Resource, module string, text []byte) (*Record, error) {
	p := newParser(text)
	recs, err := p.record(res, module, nil)
	if err != nil {
		return nil, fmt.Errorf("parse %s record of %d bytes: %w", res.Table, len(text), err)
	}
	return recs, nil
}

// parser walks one JSON text; records share the text's single copy, which ends
// with a null of its own.
type parser struct {
	text string
	null span
	dec  *jsontext.Decoder
}

func newParser(body []byte) *parser {
	return &parser{text: string(body) + "null", null: span{uint32(len(body)), uint32(len(body) + 4)}, dec: jsontext.NewDecoder(bytes.NewBuffer(body),
		// Zoho's bodies are read leniently: a duplicate key or a broken
		// character must not lose a page.
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
}

// record parses the next value, an object, into a Record; vals is its span
// storage (allocated when nil).
func (p *parser) record(res *Resource, module string, vals []span) (*Record, error) {
	if k := p.dec.PeekKind(); k != '{' {
		if err := p.dec.SkipValue(); err != nil {
			return nil, err
		}
		return nil, errNoObject
	}
	if vals == nil {
		vals = make([]span, len(res.Fields))
	}
	r := &Record{Resource: res, text: p.text, vals: vals}
	if err := p.object(r, res.root, ""); err != nil {
		return nil, err
	}
	if err := r.finish(module); err != nil {
		return nil, err
	}
	return r, nil
}

// object reads an object's members. An empty one is there as null would be: what
// it could hold is null rather than absent.
func (p *parser) object(r *Record, n *node, path string) error {
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	if p.dec.PeekKind() == '}' {
		p.absentObject(r, n, p.null)
	}
	for p.dec.PeekKind() != '}' {
		raw, err := p.dec.ReadValue()
		if err != nil {
			return err
		}
		if err := p.member(r, n, path, raw); err != nil {
			return err
		}
	}
	_, err := p.dec.ReadToken()
	return err
}

func (p *parser) member(r *Record, n *node, path string, quoted jsontext.Value) error {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		unquoted, _ := jsontext.AppendUnquote(nil, quoted)
		name = unquoted
	}
	child := n.children[string(name)]
	if child == nil {
		full := path + string(name)
		s, err := p.skip()
		if err == nil {
			r.Extra = append(r.Extra, Member{full, p.text[s.from:s.to]})
		}
		return err
	}
	if child.children != nil && p.dec.PeekKind() == '{' {
		return p.object(r, child, path+string(name)+".")
	}
	if child.field >= 0 && child.field == r.Resource.custom && p.dec.PeekKind() == '{' {
		return p.customFields(r, child.field)
	}
	return p.leaf(r, child, path, string(name))
}

func (p *parser) leaf(r *Record, n *node, path, name string) error {
	s, err := p.skip()
	if err != nil {
		return err
	}
	value := p.text[s.from:s.to]
	if n.deleted {
		if on, ok := ParseBool(value); ok && on {
			r.Deleted = true
		}
	}
	switch {
	case n.field >= 0:
		r.set(n.field, s)
	case n.children != nil && value == "null":
		p.absentObject(r, n, s)
	case n.skip:
	case n.deleted:
		if _, ok := ParseBool(value); !ok && value != "null" {
			r.Extra = append(r.Extra, Member{path + name, value})
		}
	case n.children != nil:
		r.Extra = append(r.Extra, Member{path + name, value})
	}
	return nil
}

// set gives a field its value. Of a key that stands twice the last one counts,
// and what it had before is kept among the unknown keys.
func (r *Record) set(field int, s span) {
	if old := r.Value(field); !IsNull(old) && (field != r.Resource.custom || old[0] != '{') { // the members of cf are all kept
		r.Extra = append(r.Extra, Member{r.Resource.Fields[field].Name, old})
	}
	r.vals[field] = s
	r.Present = r.Present.With(field)
}

// absentObject marks the fields below a nested object that is null: present,
// with null as their value, unless the same object stood there before.
func (p *parser) absentObject(r *Record, n *node, null span) {
	for _, c := range n.children {
		if c.field >= 0 && !r.Present.Has(c.field) {
			r.vals[c.field] = null
			r.Present = r.Present.With(c.field)
		}
		p.absentObject(r, c, null)
	}
}

func (p *parser) customFields(r *Record, field int) error {
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	start := uint32(p.dec.InputOffset()) - 1
	for p.dec.PeekKind() != '}' {
		name, err := p.dec.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		s, err := p.skip()
		if err != nil {
			return err
		}
		r.Custom = append(r.Custom, Member{key, p.text[s.from:s.to]})
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	r.set(field, span{start, uint32(p.dec.InputOffset())})
	return nil
}

// skip passes the next value and returns where it stands in the text.
func (p *parser) skip() (span, error) {
	raw, err := p.dec.ReadValue()
	if err != nil {
		return span{}, err
	}
	end := p.dec.InputOffset()
	return span{uint32(end) - uint32(len(raw)), uint32(end)}, nil
}

// finish derives what the record says of itself once all keys are known.
func (r *Record) finish(module string) error {
	res := r.Resource
	if res.modified >= 0 {
		r.Modified, _ = ParseTime(r.Value(res.modified))
	}
	if res.created >= 0 {
		r.Created, _ = ParseTime(r.Value(res.created))
	}
	if res.Table == OrganizationFields {
		api, ok := ParseString(r.Value(res.apiName))
		if !ok || api == "" || module == "" {
			return ErrNoKey
		}
		r.Key = Key{Name: module + "/" + api}
	} else {
		id, ok := ParseID(r.Value(res.id))
		if !ok || id == 0 {
			return ErrNoKey
		}
		r.Key = Key{ID: id}
	}
	r.Fingerprint = fingerprint(r)
	return nil
}
