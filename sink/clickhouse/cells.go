package clickhouse

import (
	"deskhouse/source"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// cells is one column of a block being filled from JSON values. Exactly one
// cell is added per row: what does not fit is added as null.
type cells interface {
	decoder
	sender
}

// decoder takes the values of one field.
type decoder interface {
	// add takes a JSON value as sent, "" for an absent one. false means that
	// it does not fit the column, or not wholly.
	add(raw string) bool
}

// sender is the buffer of one column.
type sender interface {
	// send hands all cells to the driver.
	send(col driver.BatchColumn) error
	// reset empties the column and lets go of the texts it points to.
	reset()
}

// newCells returns the decoder for a catalog field of any kind but KindObjects.
func newCells(k source.Kind) cells {
	switch k {
	case source.KindID:
		return &idCells{}
	case source.KindIDs:
		return &idsCells{}
	case source.KindInt:
		return &intCells{}
	case source.KindBool:
		return &boolCells{}
	case source.KindTime:
		return &timeCells{}
	case source.KindDate:
		return &dateCells{}
	case source.KindDecimal:
		return &decimalCells{}
	case source.KindEnum:
		return &enumCells{}
	case source.KindStrings:
		return &stringsCells{}
	case source.KindJSON:
		return &jsonCells{}
	}
	return &textCells{}
}

// newCustomCells returns the decoder for a custom field's column type.
func newCustomCells(typ string) cells {
	switch typ {
	case typeInt:
		return &intCells{}
	case typeDecimal:
		return &decimalCells{}
	case typeBool:
		return &boolCells{}
	case typeDate:
		return &dateCells{}
	case typeTime:
		return &timeCells{}
	case typeEnum:
		return &enumCells{}
	case typeStrings:
		return &labelsCells{}
	}
	return &scalarCells{}
}

// nullable collects the cells of a Nullable column. Pointers into values stay
// good when values grows: the old array lives on behind them.
type nullable[T any] struct {
	values []T
	cells  []*T
}

func (n *nullable[T]) put(v T) bool {
	n.values = append(n.values, v)
	n.cells = append(n.cells, &n.values[len(n.values)-1])
	return true
}

func (n *nullable[T]) null(fits bool) bool {
	n.cells = append(n.cells, nil)
	return fits
}

func (n *nullable[T]) send(col driver.BatchColumn) error { return col.Append(n.cells) }

func (n *nullable[T]) reset() {
	clear(n.values)
	n.values, n.cells = n.values[:0], n.cells[:0]
}
