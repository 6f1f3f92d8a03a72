package clickhouse

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
)

// Layout says how main tables keep what Zoho says of a record. Listed and
// detail tables have columns in both.
type Layout string

// The layouts. The zero value means LayoutColumns.
const (
	// LayoutColumns: a typed column a field, custom fields too.
	LayoutColumns Layout = "columns"
	// LayoutDocument: one JSON document a record, and typed columns for the few
	// fields that views and deskhouse itself read.
	LayoutDocument Layout = "document"
)

// documentSince is the first version whose JSON type ClickHouse calls ready for
// production (docs, JSON Data Type: "production-ready in version 25.3").
var documentSince = [2]int{25, 3}

func (l Layout) check(version string) error {
	switch l {
	case "", LayoutColumns:
		return nil
	case LayoutDocument:
	default:
		return fmt.Errorf("%w: layout %q is none of columns, document", ErrConfig, string(l))
	}
	var have [2]int
	_, err := fmt.Sscanf(version, "%d.%d", &have[0], &have[1])
	if err != nil || slices.Compare(have[:], documentSince[:]) < 0 {
		return fmt.Errorf("%w: the server is %s, layout document needs %d.%d", ErrTooOld, version, documentSince[0], documentSince[1])
	}
	return nil
}

// pinned are the fields that have a typed column in the document layout as
// well: what deskhouse reads by name (departments, the archived flag, names
// behind dictionaries) and what most questions group and filter by.
var pinned = map[source.Table][]string{
	source.Tickets: {"ticketNumber", "status", "statusType", "priority", "channel", "departmentId", "contactId", "accountId", "productId", "assigneeId", "teamId",
		"createdTime", "modifiedTime", "closedTime", "dueDate", "isArchived"},
	source.Departments:        {"name", "isEnabled", "createdTime"},
	source.Products:           {"productName", "departmentIds", "createdTime", "modifiedTime"},
	source.Contracts:          {"contractName", "contractStatus", "accountId", "productId", "departmentId", "ownerId", "startDate", "endDate", "createdTime", "modifiedTime"},
	source.OrganizationFields: {"displayLabel", "type", "isCustomField", "createdTime", "modifiedTime"},
}

// isPinned reports whether a content field has a column in the document layout:
// those of pinned, and those that the history follows.
func (l *layout) isPinned(i int) bool {
	return slices.Contains(pinned[l.res.Table], l.res.Fields[i].Name) || slices.Contains(l.res.Tracked(), i)
}

const typeDocument = "JSON"

const documentText = "Every field of the record as Zoho sends it, custom fields under cf; a field that is null is not in it. Read doc.subject, doc.cf.cf_region"

var documentColumn = column{name: "doc", typ: typeDocument, comment: documentText}

// documentSettings go with every insert of documents: by itself the server
// makes 2024-01-01T10:00:00.123Z a time and shows it in another form.
var documentSettings = map[string]any{
	"input_format_try_infer_dates":                     0,
	"input_format_try_infer_datetimes":                 0,
	"input_format_json_try_infer_numbers_from_strings": 0,
	"input_format_try_infer_integers":                  1,
}

// isDocument reports whether a main table has the document layout. A column of
// that name which somebody else made does not count.
func isDocument(have haveTable) bool {
	c, ok := have.column(documentColumn.name)
	return ok && strings.HasPrefix(c.typ, typeDocument) && strings.HasPrefix(c.comment, documentText)
}

// has is the layout that a table has, or gets if it is not there. A rebuild alone
// changes it: columns of the other one would hold nothing of older rows.
func (c Config) has(t source.Table, have haveTable) *layout {
	if len(have.columns) > 0 {
		c.Layout = LayoutColumns
		if isDocument(have) {
			c.Layout = LayoutDocument
		}
	}
	return c.layout(t, customOf(have))
}

// kind is the layout's name.
func (l *layout) kind() Layout {
	if l.document {
		return LayoutDocument
	}
	return LayoutColumns
}

// inDocument are the fields that stand in the document, the key and pinned ones
// too: those of one nested object beside each other, custom fields not among
// them.
func (l *layout) inDocument() []int {
	var in []int
	for _, i := range l.res.In(source.Content) {
		if l.res.Fields[i].Kind != source.KindCustom {
			in = append(in, i)
		}
	}
	first := map[string]int{}
	top := func(i int) string { name, _, _ := strings.Cut(l.res.Fields[i].Name, "."); return name }
	for at, i := range in {
		if _, known := first[top(i)]; !known {
			first[top(i)] = at
		}
	}
	slices.SortStableFunc(in, func(a, b int) int { return cmp.Compare(first[top(a)], first[top(b)]) })
	return in
}

// OtherLayout is a table that has another layout than the configuration asks
// for, because the rebuild that would change it has not been made.
type OtherLayout struct {
	Table source.Table
	Is    Layout
}

// OtherLayouts are the tables whose layout is not the configured one, in the
// order of resources. Safe for concurrent use.
func (w *Warehouse) OtherLayouts() []OtherLayout {
	var other []OtherLayout
	for _, res := range source.Resources {
		if l, err := w.layout(res.Table); err == nil && l.document != w.cfg.layout(res.Table, nil).document {
			other = append(other, OtherLayout{res.Table, l.kind()})
		}
	}
	return other
}

// sayOtherLayouts tells the log what a rebuild would change.
func (w *Warehouse) sayOtherLayouts() {
	for _, o := range w.OtherLayouts() {
		w.cfg.Logger.Warn().Str("table", string(o.Table)).Str("layout", string(o.Is)).Str("configured", string(w.cfg.layout(o.Table, nil).kind())).
			Msg("table keeps its layout until a rebuild changes it (deskhouse resync --rebuild)")
	}
}
