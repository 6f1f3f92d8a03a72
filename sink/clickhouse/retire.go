package clickhouse

import (
	"slices"
	"strings"

	"deskhouse/source"
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
	for _, prefix := range []string{fieldMark, customMark, formerMark, removedMark, revivedMark, hashMark} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return retired || slices.ContainsFunc(ownColumns, func(o column) bool { return o.name == c.name && o.comment == text })
}

// movedIn are the retired columns whose values a release stores in others. A row
// that was not written since has its values in them only, and a deleted one
// always will, so they travel with a row that is carried over. Columns that the
// selection left out, or of which it keeps a hash, do not.
func (l *layout) movedIn(have haveTable) []string {
	var moved []string
	for _, c := range have.columns {
		text, _ := splitRetired(c.comment)
		path, ok := strings.CutPrefix(text, fieldMark+string(l.res.Table)+".")
		if path, _, _ = strings.Cut(path, ":"); ok && !inCatalog(l.res, c.name) && l.stores(path) {
			moved = append(moved, c.name)
		}
	}
	return moved
}

// stores reports whether the layout has columns for a field of the content, or
// for members of it.
func (l *layout) stores(path string) bool {
	return slices.ContainsFunc(l.fields(source.Content), func(i int) bool {
		name := l.res.Fields[i].Name
		return !l.mask.Hashes(i) && (name == path || strings.HasPrefix(name, path+"."))
	})
}

// inCatalog reports whether a column is that of any field of the resource.
func inCatalog(res *source.Resource, col string) bool {
	return slices.ContainsFunc(res.Fields, func(f source.Field) bool { return slices.Contains(f.Columns(), col) })
}

// ownColumns are those that describe the row rather than the record.
var ownColumns = slices.Concat(state, sideState, []column{documentColumn, extraColumn, syncedColumn, versionNow})
