package clickhouse

import (
	"fmt"
	"slices"
	"strings"

	"deskhouse/source"
)

// filledMembersExpr is the paths of a document's fields that hold a value, "cf"
// for any custom one. So no text of the documents travels.
func (l *layout) filledMembersExpr() string {
	const holds = ` NOT IN ('', '""', '[]')`
	parts := []string{"arrayMap(m -> m.1, arrayFilter(m -> m.2" + holds + " AND m.1 != 'cf', JSONExtractKeysAndValuesRaw(toString(doc) AS _text)))",
		"if(arrayExists(m -> m.2" + holds + ", JSONExtractKeysAndValuesRaw(_text, 'cf')), ['cf'], [])"}
	for _, f := range newDocumentCells(l).fields {
		if len(f.parents) == 0 {
			continue
		}
		path := "_text"
		for _, step := range append(slices.Clone(f.parents), f.leaf) {
			path += ", " + literal(step)
		}
		parts = append(parts, fmt.Sprintf("if(JSONExtractRaw(%s)%s, [%s], [])", path, holds, literal(l.res.Fields[f.index].Name)))
	}
	return "arrayConcat(" + strings.Join(parts, ", ") + ")"
}

// filledMembers are the content fields with these paths.
func (l *layout) filledMembers(paths []string) source.FieldSet {
	var set source.FieldSet
	for _, i := range l.res.In(source.Content) {
		if slices.Contains(paths, l.res.Fields[i].Name) {
			set = set.With(i)
		}
	}
	return set
}
