package clickhouse

import (
	"fmt"
	"testing"

	"deskhouse/source"
)

func BenchmarkKnowsCustom(b *testing.B) {
	l := &layout{res: source.Lookup(source.Tickets)}
	for i := range 200 {
		l.custom = append(l.custom, customColumn{CustomField: source.CustomField{APIName: fmt.Sprintf("cf_field_number_%d", i)}})
	}
	w := &Warehouse{layouts: map[source.Table]*layout{source.Tickets: l.withPending(nil)}}
	for b.Loop() {
		for i := range 100 {
			if !w.KnowsCustom(source.Tickets, l.custom[2*i].APIName) {
				b.Fatal()
			}
		}
	}
}
