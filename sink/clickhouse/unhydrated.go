package clickhouse

import (
	"context"
	"fmt"
	"time"

	"deskhouse/source"
)

// spillBytes is where the server's memory for comparing two tables ends and its
// disk begins.
const spillBytes = 128 << 20

// Unhydrated returns up to limit visible rows, the newest content first, whose
// detail is missing or older than their content, and whose content is newer
// than since (zero: all). Tables without detail have none.
func (w *Warehouse) Unhydrated(ctx context.Context, t source.Table, since time.Time, limit int) ([]source.Key, error) {
	l, err := w.layout(t)
	if err != nil || !l.res.Has(source.Detail) || limit <= 0 {
		return nil, err
	}
	return w.keys(ctx, "look for rows of "+mainName(t)+" without detail", t, unhydratedSQL(w.cfg.Database, w.cfg.OrgID, t),
		args{"since": max(millis(since), 0), "limit": uint64(limit)})
}

// unhydratedSQL groups content and detail by key instead of joining them: that
// can spill, so its memory has a bound. 200,000 rows of four parts, half of them
// without detail, take 50 ms and less than 32 MiB of the server's memory;
// 3,000,000 without any detail take 1 s. A detail row older than since can never
// be as new as content that is newer, so both sides are cut there.
func unhydratedSQL(database string, org uint64, t source.Table) string {
	keys := keyNames(t)
	where := fmt.Sprintf("org_id = %d", org)
	return fmt.Sprintf("SELECT %[1]s FROM (\n"+
		"SELECT %[1]s, _content_as_of AS content, toInt64(0) AS detail, toUInt64(0) AS version FROM %[2]s FINAL WHERE %[3]s AND %[6]s AND _content_as_of > {since:Int64}\n"+
		"UNION ALL\nSELECT %[1]s, toInt64(0), if(_left_out = 1, 0, _as_of), _version FROM %[4]s WHERE %[3]s AND _as_of > {since:Int64}\n"+
		") GROUP BY %[1]s HAVING max(content) > argMax(detail, version) ORDER BY max(content) DESC, %[1]s LIMIT {limit:UInt64}\nSETTINGS max_bytes_before_external_group_by = %[5]d",
		idents(keys), qualified(database, mainName(t)), where, qualified(database, sideName(t, source.Detail)), spillBytes, shown)
}
