package clickhouse

import (
	"strings"

	"deskhouse/source"
)

// layout is one resource's columns at one moment. It is immutable: adding a
// custom field makes a new layout, and whoever writes keeps the one it began
// with, which stays valid because columns are only ever added.
type layout struct {
	res     *source.Resource
	custom  []customColumn // all cf_* columns that are selected, in the table's order
	mask    *source.Mask   // what is left out or hashed
	pending pendingColumns
	known   map[string]bool // API names of custom fields with a column in use
	moved   []string        // main columns whose values this release stores elsewhere
	// document: content stands in doc, but for the pinned fields.
	document bool
	keeps    bool // rows hold former values of custom fields in _extra
}

// layout is a table's columns as the configuration wants them.
func (c Config) layout(t source.Table, custom []customColumn) *layout {
	l := &layout{res: source.Lookup(t), document: c.Layout == LayoutDocument, mask: c.Select[t]}
	if !l.document {
		l.custom = customSelected(l.mask, custom)
	}
	return l
}

func mainName(t source.Table) string                      { return string(t) + "_all" }
func sideName(t source.Table, reg source.Register) string { return string(t) + "_" + reg.String() }
func tableOf(t source.Table, reg source.Register) string {
	if reg == source.Content {
		return mainName(t)
	}
	return sideName(t, reg)
}
func fullName(t source.Table) string { return string(t) + "_full" }

// byName reports whether rows are keyed by module and API name.
func byName(t source.Table) bool { return t == source.OrganizationFields }

// keyNames are the columns that identify a row within a portal.
func keyNames(t source.Table) []string {
	if byName(t) {
		return []string{"module", "api_name"}
	}
	return []string{"id"}
}

func orderOf(t source.Table) []string { return append([]string{"org_id"}, keyNames(t)...) }

func keyColumns(t source.Table) []column {
	org := column{name: "org_id", typ: typeID, comment: "Zoho Desk organization (portal) id"}
	if byName(t) {
		return []column{org,
			{name: "module", typ: typeLabel, comment: "Zoho Desk module the field belongs to"},
			{name: "api_name", typ: typePlain, comment: "Zoho Desk organization_fields.apiName"}}
	}
	return []column{org, {name: "id", typ: typeID, comment: "Zoho Desk " + string(t) + ".id"}}
}

// splitName is the two columns of a key by name: the module is what stands
// before the first slash.
func splitName(k source.Key) (module, apiName string) {
	module, apiName, _ = strings.Cut(k.Name, "/")
	return module, apiName
}

// isKey reports whether a field's column is part of the key.
func isKey(t source.Table, f source.Field) bool {
	if byName(t) {
		return f.Name == "apiName"
	}
	return f.Name == "id"
}

// fields are the indices of a register's fields that have a column of their
// own besides the key.
func (l *layout) fields(reg source.Register) []int {
	var in []int
	for _, i := range l.res.In(reg) {
		f := l.res.Fields[i]
		if f.Kind == source.KindCustom || isKey(l.res.Table, f) || l.mask.Excludes(i) || l.document && reg == source.Content && !l.isPinned(i) {
			continue
		}
		in = append(in, i)
	}
	return in
}

func (l *layout) fieldColumns(reg source.Register) []column {
	var cols []column
	for _, i := range l.fields(reg) {
		cols = append(cols, l.columnsOf(i)...)
	}
	return cols
}

// catalogColumns are the columns of one field: one, or of an array of objects one
// for each known member.
func catalogColumns(t source.Table, f *source.Field) []column {
	path := string(t) + "." + f.Name
	if f.Kind != source.KindObjects {
		typ, codec := columnType(f.Kind)
		return []column{{name: f.Column, typ: typ, codec: codec, comment: catalogComment(path, f.Note)}}
	}
	cols := make([]column, len(f.Elements))
	for i, e := range f.Elements {
		cols[i] = column{name: e.Column, typ: elementType(e.Kind), comment: catalogComment(path+"[]."+e.Name, e.Note)}
	}
	return cols
}

// catalogComment names where a value comes from, then what to know of it.
func catalogComment(path, note string) string {
	if note != "" {
		note = ": " + note
	}
	return fieldMark + path + note
}

func (l *layout) customColumns() []column {
	cols := make([]column, len(l.custom))
	for i, c := range l.custom {
		cols[i] = c.column()
	}
	return cols
}

// documentColumns is doc in the document layout, else nothing.
func (l *layout) documentColumns() []column {
	if l.document {
		return []column{documentColumn}
	}
	return nil
}

const extraComment = "Values without a column, as a JSON object: keys Zoho sends that are not known, and values that do not fit their column. Empty when there are none."

// state are the main table's own columns: life, stamps and version of a row.
var state = []column{
	{name: "_is_deleted", typ: typeFlag, comment: "1 when the record is deleted at Zoho; its last known content stays"},
	{name: "_deleted_at", typ: typeTime, comment: "When it was deleted, on Zoho's clock (UTC)"},
	{name: "_version", typ: typeID, comment: "Version of the row; the largest is the current one"},
	{name: "_epoch", typ: typeID, comment: "Which leader wrote the row"},
	{name: "_content_as_of", typ: typeMillis, comment: "Latest instant the content is known to hold, ms since 1970 (UTC); 0 = never seen"},
	{name: "_content_rank", typ: typeFlag, comment: "Evidence of the content: 1 list, 2 bin, 3 search, 4 webhook, 5 get"},
	{name: "_content_hash", typ: typeID, comment: "Fingerprint of the content"},
	{name: "_content_modified", typ: typeMillis, comment: "The content's modifiedTime, ms since 1970 (UTC); 0 = none"},
	{name: "_life_as_of", typ: typeMillis, comment: "Latest instant _is_deleted is known to hold, ms since 1970 (UTC); 0 = never observed"},
	{name: "_life_rank", typ: typeFlag, comment: "Evidence of _is_deleted"},
	{name: "_life_hash", typ: typeID, comment: "Tie-breaker of _is_deleted"},
	leftOutColumn,
}

// sideState are the own columns of listed and detail tables.
var sideState = []column{
	{name: "_version", typ: typeID, comment: "Version of the row, from its stamp; the largest is the current one"},
	{name: "_epoch", typ: typeID, comment: "Which leader wrote the row"},
	{name: "_as_of", typ: typeMillis, comment: "Latest instant these columns are known to hold, ms since 1970 (UTC)"},
	{name: "_rank", typ: typeFlag, comment: "Evidence: 1 list, 2 bin, 3 search, 4 webhook, 5 get"},
	{name: "_hash", typ: typeID, comment: "Fingerprint of these columns"},
	leftOutColumn,
}

var (
	extraColumn  = column{name: "_extra", typ: typePlain, codec: codecText, comment: extraComment}
	syncedColumn = column{name: "_synced_at", typ: typeInstant, def: "now64(3, 'UTC')", comment: "When the row was written here (UTC)"}
)

func stateNames(cols []column) []string { return table{columns: cols}.names() }

// mainTable is <table>_all as it should be.
func (l *layout) mainTable() table {
	cols := append(keyColumns(l.res.Table), l.fieldColumns(source.Content)...)
	cols = append(cols, l.customColumns()...)
	cols = append(cols, l.documentColumns()...)
	cols = append(cols, extraColumn)
	cols = append(cols, state...)
	return table{name: mainName(l.res.Table), order: orderOf(l.res.Table), columns: append(cols, syncedColumn), fed: true,
		comment: "Zoho Desk " + string(l.res.Table) + ", every row with its older versions; read it with FINAL. Deleted rows stay with _is_deleted = 1. For current rows use " + string(l.res.Table) + "."}
}

// sideTable is <table>_listed or <table>_detail as it should be.
func (l *layout) sideTable(reg source.Register) table {
	cols := append(keyColumns(l.res.Table), l.fieldColumns(reg)...)
	cols = append(cols, extraColumn)
	cols = append(cols, sideState...)
	from := "that only lists and search carry"
	if reg == source.Detail {
		from = "that only reading a single record carries"
	}
	return table{name: sideName(l.res.Table, reg), order: orderOf(l.res.Table), columns: append(cols, syncedColumn), fed: true,
		comment: "Zoho Desk " + string(l.res.Table) + ", columns " + from + "; read it with FINAL or through " + fullName(l.res.Table) + "."}
}

// sides are the registers besides content that the resource has.
func (l *layout) sides() []source.Register {
	var regs []source.Register
	for _, reg := range []source.Register{source.Listed, source.Detail} {
		if l.res.Has(reg) {
			regs = append(regs, reg)
		}
	}
	return regs
}

// tables are all tables of the resource.
func (l *layout) tables() []table {
	all := []table{l.mainTable()}
	for _, reg := range l.sides() {
		all = append(all, l.sideTable(reg))
	}
	return all
}
