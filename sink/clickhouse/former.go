package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
)

// What a row kept for removed and former custom fields survives a change of its
// table's layout in _extra, as former.cf.<API name>: the field may have another
// value now, and a document has no place for two. Of two former values of one
// field the second has one more "former." in front. Rows that are written anew
// take them along; a column of such a field takes them back, one in use does not.

const formerExtra = "former."

// holdsFormer is the condition for rows that have some.
const holdsFormer = `position(_extra, '"` + formerExtra + `') > 0`

// formerOf is the API name of the custom field whose former value a member of
// _extra is.
func formerOf(name string) (api string, ok bool) {
	for strings.HasPrefix(name, formerExtra) {
		name, ok = name[len(formerExtra):], true
	}
	api, custom := strings.CutPrefix(name, "cf.")
	return api, ok && custom
}

func isFormer(name string) bool { _, ok := formerOf(name); return ok }

// formerMember is a member of _extra as it may be kept, if it is a former value.
func (l *layout) formerMember(m source.Member) (source.Member, bool) {
	api, ok := formerOf(m.Name)
	if ok {
		m.Value, ok = l.mask.StoredCustom(api, m.Value)
	}
	return m, ok
}

// leave makes a value a former one of its field.
func (k *keptValues) leave(api, raw string) {
	name := formerExtra + "cf." + api
	for slices.ContainsFunc(k.former, func(m source.Member) bool { return m.Name == name }) {
		name = formerExtra + name
	}
	k.former = append(k.former, source.Member{Name: name, Value: raw})
}

// inOther is what a row keeps in a table of the other layout when a record is
// written over it. What is still sent of a removed field replaces the value held.
func (l *layout) inOther(k keptValues, rec *source.Record) keptValues {
	sent := func(api string, null bool) bool {
		return rec != nil && slices.ContainsFunc(rec.Custom, func(m source.Member) bool { return m.Name == api && (null || !source.IsNull(m.Value)) })
	}
	other := keptValues{former: k.former}
	for _, c := range l.custom {
		if raw, held := k.byColumn[c.name]; held && (c.former || !sent(c.APIName, false)) {
			other.leave(c.APIName, raw)
		}
	}
	for _, m := range k.extra {
		if !sent(m.Name, true) {
			other.leave(m.Name, m.Value)
		}
	}
	return other
}

// withKept notes whether rows of the table hold former values in _extra: only
// then they are looked for with every write. They come with a change of layout
// alone.
func (w *Warehouse) withKept(ctx context.Context, l *layout) (*layout, error) {
	next := *l
	if !l.res.HasCustom() {
		return &next, nil
	}
	name := mainName(l.res.Table)
	var found uint64
	err := w.scan(ctx, "look for former custom fields in "+name, fmt.Sprintf("SELECT count() FROM (SELECT 1 FROM %s WHERE %s LIMIT 1)", qualified(w.cfg.Database, name), holdsFormer), nil,
		func(row scanner) error { return row.Scan(&found) })
	next.keeps = found > 0
	return &next, err
}
