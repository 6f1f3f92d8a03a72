package clickhouse

import (
	"strings"

	"deskhouse/source"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// arrays collects the cells of an Array column; null is the empty array.
type arrays[T any] struct{ cells [][]T }

func (a *arrays[T]) put(v []T, fits bool) bool {
	a.cells = append(a.cells, v)
	return fits
}

// send goes row by row: given all at once, the driver looks into the rows by
// reflection.
func (a *arrays[T]) send(col driver.BatchColumn) error {
	for _, v := range a.cells {
		if err := col.AppendRow(v); err != nil {
			return err
		}
	}
	return nil
}

func (a *arrays[T]) reset() {
	clear(a.cells)
	a.cells = a.cells[:0]
}

// idsCells is Array(UInt64).
type idsCells struct{ arrays[uint64] }

func (c *idsCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.put(nil, true)
	}
	ids, ok := source.ParseIDs(raw)
	if !ok {
		return c.put(nil, false)
	}
	return c.put(ids, true)
}

// stringsCells is Array(String).
type stringsCells struct{ arrays[string] }

func (c *stringsCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.put(nil, true)
	}
	texts, ok := source.ParseStrings(raw)
	if !ok {
		return c.put(nil, false)
	}
	return c.put(texts, true)
}

// labelsCells is Array(String) for multi-select fields: labels joined with ";"
// and not escaped, empty ones dropped (a capture shows "a;;b"); an array is
// taken as it is.
type labelsCells struct{ arrays[string] }

func (c *labelsCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.put(nil, true)
	}
	if texts, ok := source.ParseStrings(raw); ok {
		return c.put(texts, true)
	}
	text, ok := source.ParseString(raw)
	if !ok {
		return c.put(nil, false)
	}
	return c.put(splitLabels(text), true)
}

func splitLabels(text string) []string {
	var labels []string
	for label := range strings.SplitSeq(text, ";") {
		if label != "" {
			labels = append(labels, label)
		}
	}
	return labels
}
