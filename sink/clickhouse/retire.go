package clickhouse

import (
	"slices"
	"strings"
)

// A column that deskhouse made and does not want any more, because it was left
// out of the selection or a release stores the value elsewhere, keeps its
// values. Its COMMENT gets retiredMark in front and is the only record of that:
// views do not show the column, writers leave it at its default, and only a
// person drops it.
const retiredMark = "no longer filled: "

// splitRetired takes the mark off a comment.
func splitRetired(comment string) (text string, retired bool) {
	return strings.CutPrefix(comment, retiredMark)
}

// fieldMark starts the comment of every column of a catalog field.
const fieldMark = "Zoho Desk "

// made reports whether deskhouse made a column, as its comment tells. Columns
// that people added have other comments and are left alone.
func made(c haveColumn) bool {
	text, retired := splitRetired(c.comment)
	for _, prefix := range []string{fieldMark, customMark, formerMark} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return retired || slices.ContainsFunc(ownColumns, func(o column) bool { return o.name == c.name && o.comment == text })
}

// ownColumns are those that describe the row rather than the record.
var ownColumns = slices.Concat(state, sideState, []column{extraColumn, syncedColumn, versionNow})
