package clickhouse

import (
	"deskhouse/source"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"
)

// idCells is Nullable(UInt64).
type idCells struct{ nullable[uint64] }

func (c *idCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.null(true)
	}
	id, ok := source.ParseID(raw)
	if !ok {
		return c.null(false)
	}
	return c.put(id)
}

// intCells is Nullable(Int64).
type intCells struct{ nullable[int64] }

func (c *intCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.null(true)
	}
	n, ok := source.ParseInt(raw)
	if !ok {
		return c.null(false)
	}
	return c.put(n)
}

// boolCells is Nullable(Bool). Two values are all there are to point to.
type boolCells struct{ cells []*bool }

var yes, no = true, false

func (c *boolCells) add(raw string) bool {
	on, ok := source.ParseBool(raw)
	switch {
	case !ok:
		c.cells = append(c.cells, nil)
		return source.IsNull(raw)
	case on:
		c.cells = append(c.cells, &yes)
	default:
		c.cells = append(c.cells, &no)
	}
	return true
}

func (c *boolCells) send(col driver.BatchColumn) error { return col.Append(c.cells) }
func (c *boolCells) reset()                            { c.cells = c.cells[:0] }

// decimalCells is Nullable(Decimal(38, 9)).
type decimalCells struct{ nullable[decimal.Decimal] }

// decimalLimit is the first number that Decimal(38, 9) cannot hold: 29 digits
// before the point.
var decimalLimit = decimal.New(1, 38-decimalScale)

func (c *decimalCells) add(raw string) bool {
	if source.IsNull(raw) {
		return c.null(true)
	}
	d, ok := source.ParseDecimal(raw)
	if !ok || !fitsDecimal(d) {
		return c.null(false)
	}
	return c.put(d)
}

// fitsDecimal reports whether d is exact in Decimal(38, 9). The exponent is
// looked at first: 1e1000000 must not be written out.
func fitsDecimal(d decimal.Decimal) bool {
	if d.Exponent() > 38 || d.Exponent() < -1000 {
		return d.IsZero()
	}
	return d.Abs().LessThan(decimalLimit) && d.Truncate(decimalScale).Equal(d)
}
