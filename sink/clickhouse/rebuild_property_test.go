package clickhouse

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"deskhouse/source"

	"pgregory.net/rapid"
)

// products is a model of the products table: the newest row of each id, with
// the record its content comes from.
type products struct {
	t    *testing.T
	w    *Warehouse
	held map[int]source.Row
}

// Whatever is written in whatever order around a rebuild, the table is after it
// what it would have been without.
func TestRebuildChangesNoRow(t *testing.T) {
	p := products{t: t, w: prepared(t)}
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		must(t, p.w.exec(ctx, "empty", "TRUNCATE TABLE "+qualified(p.w.Database(), "products_all")))
		p.held = map[int]source.Row{}
		p.write(rt)
		must(t, p.w.BeginRebuild(ctx, source.Products, fmt.Sprint(run)))
		for range rapid.IntRange(0, 2).Draw(rt, "rounds") {
			p.read(rt)
			p.write(rt)
		}
		_, err := p.w.SwapRebuild(ctx, source.Products)
		must(t, err)
		p.write(rt)
		p.check(rt)
	})
}

// write changes some rows: new content, or a deletion that carries the content
// over.
func (p *products) write(rt *rapid.T) {
	var batch []source.Row
	for _, id := range rapid.SliceOfNDistinct(rapid.IntRange(1, 6), 0, 4, rapid.ID).Draw(rt, "written") {
		was := p.held[id]
		asOf := was.AsOf() + 10
		next := content(record(p.t, source.Products, fmt.Sprintf(`{"id":"%d","productName":"as of %d"}`, id, asOf)), asOf)
		if was.Version > 0 && !was.Deleted && rapid.Bool().Draw(rt, "deleted") {
			next = deletion(was.Key, was.Head, asOf)
		}
		batch = append(batch, next)
		if next.Record == nil {
			next.Record = was.Record
		}
		p.held[id] = next
	}
	must(p.t, p.w.Write(ctx, source.Products, batch, 1))
}

// read brings some rows to the shadow as they are held.
func (p *products) read(rt *rapid.T) {
	var batch []source.Row
	for _, id := range slices.Sorted(maps.Keys(p.held)) {
		if rapid.Bool().Draw(rt, "read") {
			batch = append(batch, p.held[id])
		}
	}
	must(p.t, p.w.WriteShadow(ctx, source.Products, batch, 1))
}

func (p *products) check(rt *rapid.T) {
	var want []string
	for _, id := range slices.Sorted(maps.Keys(p.held)) {
		r := p.held[id]
		want = append(want, fmt.Sprintf("%d\t%s\t%d\t%d", id, r.Record.Text("productName"), bit(r.Deleted), r.Version))
	}
	got := rows(p.t, p.w, "SELECT id, ifNull(product_name, 'nothing'), _is_deleted, _version FROM products_all FINAL ORDER BY id")
	if !slices.Equal(got, want) {
		rt.Fatalf("got  %q\nwant %q", got, want)
	}
}
