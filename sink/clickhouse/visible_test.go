package clickhouse

import (
	"slices"
	"testing"

	"deskhouse/source"
)

func TestVisibleKeys(t *testing.T) {
	cfg := config(t)
	fresh := open(t, cfg)
	_, err := fresh.VisibleKeys(ctx, source.Departments)
	wantErr(t, err, ErrMissing)
	cfg.Database = "nowhere"
	_, err = open(t, cfg).VisibleKeys(ctx, source.Departments)
	wantErr(t, err, ErrMissing)

	must(t, fresh.Prepare(ctx, []source.Table{source.Departments}))
	var rows []source.Row
	for _, text := range []string{`{"id":"12","name":"b"}`, `{"id":"11","name":"a"}`, `{"id":"13","name":"c"}`} {
		rows = append(rows, content(record(t, source.Departments, text), 1))
	}
	must(t, fresh.Write(ctx, source.Departments, rows, 1))
	must(t, fresh.Write(ctx, source.Departments, []source.Row{deletion(source.Key{ID: 13}, rows[2].Head, 5)}, 1))
	keys, err := fresh.VisibleKeys(ctx, source.Departments)
	if want := []source.Key{{ID: 11}, {ID: 12}}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("got %v, %v; want %v", keys, err, want)
	}
}
