package clickhouse

import (
	"strings"

	"deskhouse/source"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/go-json-experiment/json/jsontext"
)

// documentCells is the doc column: a JSON text a row, which the server takes
// apart. Only values that its JSON type holds exactly are put in.
type documentCells struct {
	fields []documentField
	texts  []string
	row    objectText
	cf     map[string]bool // custom fields the row has
}

type documentField struct {
	index   int
	parents []string
	leaf    string
}

var customParents = []string{"cf"}

func newDocumentCells(l *layout) *documentCells {
	d := &documentCells{cf: map[string]bool{}}
	for _, i := range l.inDocument() {
		path := strings.Split(l.res.Fields[i].Name, ".")
		d.fields = append(d.fields, documentField{i, path[:len(path)-1], path[len(path)-1]})
	}
	return d
}

// field adds a known field's value. false means that the document cannot hold
// it; null is left out.
func (d *documentCells) field(f documentField, raw string) bool {
	if source.IsNull(raw) {
		return true
	}
	if !fitsDocument(raw) {
		return false
	}
	d.row.member(f.parents, f.leaf, raw)
	return true
}

// custom adds a member of cf.
func (d *documentCells) custom(m source.Member) bool {
	if source.IsNull(m.Value) {
		return true
	}
	if d.cf[m.Name] || !fitsPath(m.Name) || !fitsDocument(m.Value) {
		return false
	}
	d.cf[m.Name] = true
	d.row.member(customParents, m.Name, m.Value)
	return true
}

func (d *documentCells) endRow() {
	d.texts = append(d.texts, d.row.end())
	clear(d.cf)
}

func (d *documentCells) add(string) bool                   { d.endRow(); return true }
func (d *documentCells) send(col driver.BatchColumn) error { return col.Append(d.texts) }

func (d *documentCells) reset() {
	clear(d.texts)
	d.texts = d.texts[:0]
}

// objectText writes a JSON object. Members of a nested object follow each
// other, else it would be opened twice.
type objectText struct {
	buf  []byte
	open []string // the nested objects that are open
}

func (o *objectText) member(parents []string, name, raw string) {
	o.enter(parents)
	o.name(name)
	o.buf = append(o.buf, raw...)
}

// enter closes and opens objects until parents are the open ones.
func (o *objectText) enter(parents []string) {
	same := 0
	for same < len(o.open) && same < len(parents) && o.open[same] == parents[same] {
		same++
	}
	for len(o.open) > same {
		o.buf, o.open = append(o.buf, '}'), o.open[:len(o.open)-1]
	}
	for _, p := range parents[same:] {
		o.name(p)
		o.buf, o.open = append(o.buf, '{'), append(o.open, p)
	}
}

func (o *objectText) name(name string) {
	switch {
	case len(o.buf) == 0:
		o.buf = append(o.buf, '{')
	case o.buf[len(o.buf)-1] != '{':
		o.buf = append(o.buf, ',')
	}
	o.buf, _ = jsontext.AppendQuote(o.buf, name)
	o.buf = append(o.buf, ':')
}

// end returns the object and begins the next.
func (o *objectText) end() string {
	o.enter(nil)
	if len(o.buf) == 0 {
		o.buf = append(o.buf, '{')
	}
	text := string(append(o.buf, '}'))
	o.buf = o.buf[:0]
	return text
}
