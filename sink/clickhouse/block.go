package clickhouse

import (
	"encoding/binary"
	"slices"
	"strconv"

	"deskhouse/source"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cespare/xxhash/v2"
)

// Bounds of one block, so of one insert. Filling one overlaps with sending the
// one before, so two are in memory, and the driver holds a copy of what it
// sends: 16 MiB of JSON, some 10,000 full tickets, keeps all of it under
// 60 MiB. Smaller blocks would cost the server more merging.
const (
	maxBlockRows  = 32_768
	maxBlockBytes = 16 << 20
	rowOverhead   = 100 // bytes of state a row adds to its record
)

// block is rows of one table turned into columns: key, fields, custom fields,
// _extra and the row's own state. Its buffers are reused from one block to the
// next.
type block struct {
	layout *layout
	reg    source.Register
	org    uint64

	keys   keyCells
	fields []fieldCells
	custom customCells
	doc    *documentCells // of main rows in the document layout, else nil
	extra  extraCells
	state  stateCells // of main rows
	side   sideCells  // of side rows
	cf     int        // index of the cf field, -1 without
	bytes  int
	digest *xxhash.Digest // over everything added: the deduplication token
}

// fieldCells is a field being decoded into its columns.
type fieldCells struct {
	index   int
	cells   decoder
	columns []sender
}

func newFieldCells(i int, f *source.Field) fieldCells {
	if f.Kind == source.KindObjects {
		c := newObjectCells(f.Elements)
		return fieldCells{i, c, c.columns()}
	}
	c := newCells(f.Kind)
	return fieldCells{i, c, []sender{c}}
}

func newBlock(l *layout, reg source.Register, org uint64) *block {
	b := &block{layout: l, reg: reg, org: org, cf: customIndex(l.res), digest: xxhash.New()}
	b.keys.byName = byName(l.res.Table)
	for _, i := range l.fields(reg) {
		b.fields = append(b.fields, l.fieldCells(i))
	}
	if reg == source.Content {
		b.custom = newCustomBlock(l.custom).withFormer(l.custom)
		if l.document {
			b.doc = newDocumentCells(l)
		}
	}
	return b
}

func (b *block) rows() int  { return len(b.keys.org) }
func (b *block) full() bool { return b.rows() >= maxBlockRows || b.bytes >= maxBlockBytes }

// add appends a row. rec nil leaves everything but the key empty.
func (b *block) add(key source.Key, rec *source.Record) {
	b.keys.add(b.org, key)
	b.bytes += rowOverhead
	if rec == nil {
		b.addEmpty()
		return
	}
	for i := range b.fields {
		f := &b.fields[i]
		raw := rec.Value(f.index)
		if !f.cells.add(raw) {
			b.misfit(f.index, raw)
		}
	}
	switch {
	case b.doc != nil:
		b.addDocument(rec)
	case b.reg == source.Content:
		b.addCustom(rec)
	}
	for _, m := range rec.Extra {
		b.extra.member(unknownKey, m.Name, m.Value)
	}
	b.extra.endRow()
	b.bytes += rec.Size()
}

func (b *block) addEmpty() {
	for i := range b.fields {
		b.fields[i].cells.add("")
	}
	b.custom.endRow()
	if b.doc != nil {
		b.doc.endRow()
	}
	b.extra.endRow()
}

// misfit keeps a value that its column cannot hold. In the document layout the
// document has it, and only the count says that the column is empty.
func (b *block) misfit(field int, raw string) {
	name := b.layout.res.Fields[field].Name
	if b.doc != nil {
		b.extra.note(misfit, name)
		return
	}
	b.extra.member(misfit, name, raw)
}

// addDocument puts known and custom fields into the document, and into _extra
// what that cannot hold.
func (b *block) addDocument(rec *source.Record) {
	for _, f := range b.doc.fields {
		if raw := rec.Value(f.index); !b.doc.field(f, raw) {
			b.extra.member(misfit, b.layout.res.Fields[f.index].Name, raw)
		}
	}
	for _, m := range rec.Custom {
		if !b.doc.custom(m) {
			b.extra.member(misfit, "cf."+m.Name, m.Value)
		}
	}
	b.addFormer()
	b.noObject(rec)
	b.doc.endRow()
}

// hash adds what identifies a row to the block's token: its key, its version
// and who wrote it. Versions of a row only grow and epochs change with every
// leader, so equal tokens mean equal rows.
func (b *block) hash(key source.Key, version, epoch, content uint64) {
	var buf [32]byte
	binary.LittleEndian.PutUint64(buf[0:], key.ID)
	binary.LittleEndian.PutUint64(buf[8:], version)
	binary.LittleEndian.PutUint64(buf[16:], epoch)
	binary.LittleEndian.PutUint64(buf[24:], content)
	_, _ = b.digest.Write(buf[:])
	_, _ = b.digest.WriteString(key.Name)
}

// token names the rows of the block, with the columns they went to.
func (b *block) token() string {
	for _, c := range slices.Concat(b.custom.fields, b.custom.formerly) {
		_, _ = b.digest.WriteString(c.name)
	}
	return strconv.FormatUint(b.digest.Sum64(), 16)
}

func (b *block) addCustom(rec *source.Record) {
	for _, m := range rec.Custom {
		if why := b.custom.add(m); why != placed {
			b.extra.member(why, "cf."+m.Name, m.Value)
		}
	}
	for _, m := range b.custom.held.extra {
		if !slices.ContainsFunc(rec.Custom, func(sent source.Member) bool { return sent.Name == m.Name }) {
			b.extra.member(misfit, "cf."+m.Name, m.Value)
		}
	}
	b.addFormer()
	b.noObject(rec)
}

// addFormer ends the custom fields of a row, and takes former values of _extra
// along. They have been counted.
func (b *block) addFormer() {
	for _, m := range b.custom.endRow() {
		b.extra.put(m.Name, m.Value)
	}
}

// noObject keeps a cf that is no object, so has no members.
func (b *block) noObject(rec *source.Record) {
	if b.cf < 0 || b.reg != source.Content {
		return
	}
	if raw := rec.Value(b.cf); !source.IsNull(raw) && raw[0] != '{' {
		b.extra.member(misfit, "cf", raw)
	}
}

// customIndex is the index of cf, -1 without.
func customIndex(res *source.Resource) int {
	return slices.IndexFunc(res.Fields, func(f source.Field) bool { return f.Kind == source.KindCustom })
}

// columns are the table's columns this block fills, in the order of send.
func (b *block) columns() []column {
	l := b.layout
	cols := append(keyColumns(l.res.Table), l.fieldColumns(b.reg)...)
	cols = append(cols, b.custom.columns()...)
	if b.doc != nil {
		cols = append(cols, documentColumn)
	}
	cols = append(cols, extraColumn)
	if b.reg == source.Content {
		return append(cols, state...)
	}
	return append(cols, sideState...)
}

// send hands the columns to the batch.
func (b *block) send(batch chdriver.Batch) error {
	n := 0
	appendEach := func(slices []any) error {
		for _, s := range slices {
			if err := batch.Column(n).Append(s); err != nil {
				return err
			}
			n++
		}
		return nil
	}
	if err := appendEach(append([]any{b.keys.org}, b.keys.slices()...)); err != nil {
		return err
	}
	for _, c := range b.decoded() {
		if err := c.send(batch.Column(n)); err != nil {
			return err
		}
		n++
	}
	own := b.side.slices()
	if b.reg == source.Content {
		own = b.state.slices()
	}
	return appendEach(append([]any{b.extra.texts}, own...))
}

// decoded are all columns filled from JSON.
func (b *block) decoded() []sender {
	var all []sender
	for _, f := range b.fields {
		all = append(all, f.columns...)
	}
	for _, c := range slices.Concat(b.custom.cells, b.custom.former) {
		all = append(all, c)
	}
	if b.doc != nil {
		all = append(all, b.doc)
	}
	return all
}

func (b *block) reset() {
	b.keys.reset()
	for _, c := range b.decoded() {
		c.reset()
	}
	b.custom.reset()
	b.extra.reset()
	b.state.reset()
	b.side.reset()
	b.bytes = 0
	b.digest.Reset()
}
