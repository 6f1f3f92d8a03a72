package clickhouse

import (
	"strings"

	"deskhouse/source"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// textCells is Nullable(String) for JSON strings. A text without escapes is a
// substring of the record, not a copy.
type textCells struct{ nullable[string] }

func (c *textCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.null(true)
	}
	text, ok := source.ParseString(raw)
	if !ok {
		return c.null(false)
	}
	return c.put(text)
}

// hashCells is Nullable(String) for keyed hashes. An empty array has none: it is
// NULL.
type hashCells struct{ textCells }

func (c *hashCells) add(raw string) bool {
	if raw == "[]" {
		return c.null(true)
	}
	return c.textCells.add(raw)
}

// scalarCells is Nullable(String) for custom fields of any type without a
// column type of its own: numbers and booleans count as their text.
type scalarCells struct{ nullable[string] }

func (c *scalarCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.null(true)
	}
	if text, ok := source.ParseString(raw); ok {
		return c.put(text)
	}
	if raw[0] == '{' || raw[0] == '[' || raw[0] == '"' {
		return c.null(false)
	}
	return c.put(raw)
}

// jsonCells is Nullable(String) holding JSON text as sent.
type jsonCells struct{ nullable[string] }

func (c *jsonCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.null(true)
	}
	return c.put(raw)
}

// enumCells is LowCardinality(Nullable(String)). The driver finds a value's
// place in the dictionary by the pointer, so equal labels share one.
type enumCells struct {
	cells []*string
	known map[string]*string
}

// maxKnown bounds the labels remembered from one block to the next; a field
// with more is no enum and starts over.
const maxKnown = 10_000

func (c *enumCells) add(raw string) bool {
	if source.IsNull(raw) {
		c.cells = append(c.cells, nil)
		return true
	}
	text, ok := source.ParseString(raw)
	if !ok {
		c.cells = append(c.cells, nil)
		return false
	}
	p := c.known[text]
	if p == nil {
		p = c.remember(text)
	}
	c.cells = append(c.cells, p)
	return true
}

// remember copies the label, so that it does not keep a whole page alive.
func (c *enumCells) remember(text string) *string {
	if c.known == nil {
		c.known = map[string]*string{}
	}
	label := strings.Clone(text)
	c.known[label] = &label
	return &label
}

func (c *enumCells) send(col driver.BatchColumn) error { return col.Append(c.cells) }

func (c *enumCells) reset() {
	clear(c.cells)
	c.cells = c.cells[:0]
	if len(c.known) > maxKnown {
		c.known = nil
	}
}
