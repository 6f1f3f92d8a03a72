package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
)

// maxKeys bounds the keys of one lookup.
const maxKeys = 100_000

// Heads returns what the main table holds of each key; keys without a row are
// absent from the map. Every stored Head comes back exactly as written.
func (w *Warehouse) Heads(ctx context.Context, t source.Table, keys []source.Key) (map[source.Key]source.Head, error) {
	heads := make(map[source.Key]source.Head, len(keys))
	err := w.lookup(ctx, "read heads of "+mainName(t), t, mainName(t), headExprs, keys, func(row scanner) error {
		var head headScan
		var key keyScan
		if err := row.Scan(append(key.dest(t), head.dest()...)...); err != nil {
			return err
		}
		heads[key.key(t)] = head.head()
		return nil
	})
	return heads, err
}

var headExprs = []string{"_is_deleted = 1", "toUnixTimestamp64Milli(_deleted_at)", "_version",
	"_content_as_of", "_content_rank", "_content_hash", "_content_modified", "_life_as_of", "_life_rank", "_life_hash", "_left_out = 1"}

// headScan receives headExprs.
type headScan struct {
	h         source.Head
	deletedAt *int64
}

func (s *headScan) dest() []any {
	h := &s.h
	return []any{&h.Deleted, &s.deletedAt, &h.Version,
		&h.Content.AsOf, (*uint8)(&h.Content.Rank), &h.Content.Hash, &h.Modified,
		&h.Life.AsOf, (*uint8)(&h.Life.Rank), &h.Life.Hash, &h.LeftOut}
}

func (s *headScan) head() source.Head {
	if s.deletedAt != nil {
		s.h.DeletedAt = *s.deletedAt
	}
	return s.h
}

// SideStamps returns the stamps a listed or detail table holds; keys without a
// row are absent from the map.
func (w *Warehouse) SideStamps(ctx context.Context, t source.Table, reg source.Register, keys []source.Key) (map[source.Key]source.Stamp, error) {
	stamps := make(map[source.Key]source.Stamp, len(keys))
	name := sideName(t, reg)
	err := w.lookup(ctx, "read stamps of "+name, t, name, []string{"_as_of", "_rank", "_hash"}, keys, func(row scanner) error {
		var s source.Stamp
		var key keyScan
		if err := row.Scan(append(key.dest(t), &s.AsOf, (*uint8)(&s.Rank), &s.Hash)...); err != nil {
			return err
		}
		stamps[key.key(t)] = s
		return nil
	})
	return stamps, err
}

// lookup reads the newest version of each key's row.
func (w *Warehouse) lookup(ctx context.Context, op string, t source.Table, name string, exprs []string, keys []source.Key, each func(scanner) error) error {
	for part := range slices.Chunk(keys, maxKeys) {
		wanted, err := keysTable(t, part)
		if err != nil {
			return err
		}
		if err := w.scan(ctx, op, lookupSQL(w.cfg.Database, w.cfg.OrgID, t, name, exprs), nil, each, wanted); err != nil {
			return err
		}
	}
	return nil
}

// lookupSQL takes the newest version of each key by aggregation. Of the three
// ways, 10,000 random ids in 1.15 M rows of four parts took 30 ms this way,
// 42 ms with ORDER BY … LIMIT 1 BY and 80 to 130 ms with FINAL, which reads
// and merges whole ranges. The tuple matters: argMax passes over NULLs.
func lookupSQL(database string, org uint64, t source.Table, name string, exprs []string) string {
	keys := idents(keyNames(t))
	parts := make([]string, len(exprs))
	for i := range parts {
		parts[i] = fmt.Sprintf("newest.%d", i+1)
	}
	return fmt.Sprintf("SELECT %s, %s FROM (SELECT %s, argMax(tuple(%s), _version) AS newest FROM %s WHERE org_id = %d AND (%s) IN (SELECT %s FROM _keys) GROUP BY %s)",
		keys, strings.Join(parts, ", "), keys, strings.Join(exprs, ", "), qualified(database, name), org, keys, keys, keys)
}

// keyScan receives the key columns of a row.
type keyScan struct {
	id          uint64
	module, api string
}

func (k *keyScan) dest(t source.Table) []any {
	if byName(t) {
		return []any{&k.module, &k.api}
	}
	return []any{&k.id}
}

func (k *keyScan) key(t source.Table) source.Key {
	if byName(t) {
		return source.Key{Name: k.module + "/" + k.api}
	}
	return source.Key{ID: k.id}
}
