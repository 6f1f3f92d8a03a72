package clickhouse

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// lastText is what the server's toString shows of the last cell, nil for NULL
// and for the empty array.
func lastText(c sender) *string {
	switch c := c.(type) {
	case *textCells:
		return lastOf(c.nullable, asIs)
	case *hashCells:
		return lastOf(c.nullable, asIs)
	case *scalarCells:
		return lastOf(c.nullable, asIs)
	case *jsonCells:
		return lastOf(c.nullable, asIs)
	case *idCells:
		return lastOf(c.nullable, idText)
	case *intCells:
		return lastOf(c.nullable, intText)
	case *timeCells:
		return lastOf(c.nullable, instantText)
	case *dateCells:
		return lastOf(c.nullable, func(t time.Time) string { return t.Format(time.DateOnly) })
	case *decimalCells:
		return lastOf(c.nullable, decimal.Decimal.String)
	case *enumCells:
		return lastOf(nullable[string]{cells: c.cells}, asIs)
	case *boolCells:
		return lastOf(nullable[bool]{cells: c.cells}, strconv.FormatBool)
	case *idsCells:
		return lastList(c.arrays, idText)
	case *stringsCells:
		return lastList(c.arrays, listItem)
	case *labelsCells:
		return lastList(c.arrays, listItem)
	case *memberArray[string]:
		return lastList(c.arrays, listItem)
	case *memberArray[uint64]:
		return lastList(c.arrays, idText)
	case *memberArray[int64]:
		return lastList(c.arrays, intText)
	}
	panic(fmt.Sprintf("clickhouse: no text of %T", c))
}

func lastOf[T any](n nullable[T], text func(T) string) *string {
	last := n.cells[len(n.cells)-1]
	if last == nil {
		return nil
	}
	s := text(*last)
	return &s
}

func lastList[T any](a arrays[T], text func(T) string) *string {
	last := a.cells[len(a.cells)-1]
	if len(last) == 0 {
		return nil
	}
	items := make([]string, len(last))
	for i, v := range last {
		items[i] = text(v)
	}
	s := "[" + strings.Join(items, ",") + "]"
	return &s
}

// asIs copies a text: a substring would keep the whole page it stands in.
func asIs(s string) string { return strings.Clone(s) }

func idText(id uint64) string { return strconv.FormatUint(id, 10) }

func intText(n int64) string { return strconv.FormatInt(n, 10) }

func instantText(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000") }

// listItem is a text inside an array: quoted, the server escapes two
// characters more there than a literal needs.
func listItem(s string) string {
	return strings.NewReplacer("\b", `\b`, "\f", `\f`).Replace(literal(s))
}
