package clickhouse

import (
	"testing"

	"deskhouse/source"

	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// intoColumn is a column of the driver as a batch hands it out.
type intoColumn struct{ chcolumn.Interface }

func (c intoColumn) Append(v any) error    { _, err := c.Interface.Append(v); return err }
func (c intoColumn) AppendRow(v any) error { return c.Interface.AppendRow(v) }

var _ chdriver.BatchColumn = intoColumn{}

// BenchmarkSend hands a block's worth of cells of each kind to the driver.
func BenchmarkSend(b *testing.B) {
	const n = 10_000
	for name, c := range map[string]struct {
		kind source.Kind
		raws []string
	}{
		"enum":    {source.KindEnum, []string{`"Open"`, `"Closed"`, `null`, `"On Hold"`}},
		"ids":     {source.KindIDs, []string{`["900100000000000001"]`, `[]`, `null`}},
		"strings": {source.KindStrings, []string{`["a","b"]`, `[]`}},
		"text":    {source.KindText, []string{`"printer cannot print"`, `null`}},
		"time":    {source.KindTime, []string{`"2024-01-02T03:04:05.000Z"`, `null`}},
		"bool":    {source.KindBool, []string{`true`, `false`, `null`}},
		"int":     {source.KindInt, []string{`"12"`, `null`}},
	} {
		b.Run(name, func(b *testing.B) {
			cells := newCells(c.kind)
			for i := range n {
				cells.add(c.raws[i%len(c.raws)])
			}
			typ, _ := columnType(c.kind)
			b.ReportAllocs()
			for b.Loop() {
				col, err := chcolumn.Type(typ).Column("x", &chcolumn.ServerContext{})
				must(b, err)
				must(b, cells.send(intoColumn{col}))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/cell")
		})
	}
}
