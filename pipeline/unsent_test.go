package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

// lackingRows are rows of a portal whose layouts differ: each sends half of its
// custom fields.
func lackingRows(t testing.TB, fields, n int) []source.Row {
	var cf []string
	for i := range fields / 2 {
		cf = append(cf, fmt.Sprintf(`"cf_field_number_%d":"x"`, 2*i))
	}
	rec, err := source.ParseRecord(source.Lookup(source.Tickets), "", []byte(`{"id":"1","cf":{`+strings.Join(cf, ",")+`}}`))
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]source.Row, n)
	for i := range rows {
		rows[i] = source.Row{Key: source.Key{ID: uint64(i)}, State: source.State{Record: rec}}
	}
	return rows
}

func customOf(fields int) (all []source.CustomField) {
	for i := range fields {
		all = append(all, source.CustomField{APIName: fmt.Sprintf("cf_field_number_%d", i), Type: "Text"})
	}
	return all
}

// A list of the fields that is not to be had is not asked for with every write.
func TestALackingFieldDoesNotHoldUpEveryWrite(t *testing.T) {
	clock, wh, asked := clockwork.NewFakeClock(), newMemWarehouse(), 0
	_, _ = wh.EnsureCustomFields(t.Context(), source.Tickets, customOf(4))
	desk := &fakeDesk{fields: func(context.Context, string) (source.Page, []source.CustomField, error) {
		asked++
		return source.Page{}, nil, forbidden
	}}
	s := newSchema(desk, wh, clock, zerolog.Nop())
	for range 30 {
		if err := s.ensure(t.Context(), source.Tickets, lackingRows(t, 4, 1)); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
	}
	if asked != 1 {
		t.Errorf("asked %d times in 30 seconds", asked)
	}
	clock.Advance(time.Minute)
	if err := s.ensure(t.Context(), source.Tickets, lackingRows(t, 4, 1)); err != nil || asked != 2 {
		t.Errorf("asked %d times, %v", asked, err)
	}
}

// What batches cost that lack fields which were asked for.
func BenchmarkLackingFields(b *testing.B) {
	wh := newMemWarehouse()
	_, _ = wh.EnsureCustomFields(b.Context(), source.Tickets, customOf(200))
	desk := &fakeDesk{fields: func(context.Context, string) (source.Page, []source.CustomField, error) {
		return source.Page{}, customOf(200), nil
	}}
	s, rows := newSchema(desk, wh, clockwork.NewFakeClock(), zerolog.Nop()), lackingRows(b, 200, 1000)
	for b.Loop() {
		if err := s.ensure(b.Context(), source.Tickets, rows); err != nil {
			b.Fatal(err)
		}
	}
}
