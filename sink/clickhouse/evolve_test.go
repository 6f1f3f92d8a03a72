package clickhouse

import (
	"strings"
	"testing"

	"deskhouse/source"
)

func (w *Warehouse) alterTickets(t *testing.T, what string) {
	t.Helper()
	must(t, w.exec(ctx, "change the table by hand", "ALTER TABLE "+qualified(w.Database(), "tickets_all")+" "+what+" SETTINGS mutations_sync = 2"))
}

// A column of another type stops the sync only if its values would suffer.
func TestColumnsOfOtherTypes(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w *Warehouse) {
		for _, c := range []struct{ column, typ, want string }{
			{"category", "LowCardinality(Nullable(String))", "Bug"},
			{"status", "Nullable(String)", "Open"},
			{"created_time", "Nullable(DateTime64(6, 'UTC'))", "2024-01-02 03:04:05.678"},
			{"created_time", "Nullable(DateTime64(3, 'Asia/Tokyo'))", "2024-01-02 03:04:05.678"},
			{"closed_time", "Nullable(DateTime('UTC'))", ""},
			{"contact_id", "Nullable(Int64)", ""},
			{"thread_count", "Nullable(Int32)", ""},
			{"is_spam", "Nullable(UInt8)", ""},
			{"_life_hash", "UInt128", ""},
		} {
			was := w.typeOf(t, c.column)
			w.alterTickets(t, "MODIFY COLUMN "+c.column+" "+c.typ)
			restarted := open(t, w.cfg)
			err := restarted.Prepare(ctx, allTables)
			switch {
			case c.want == "":
				wantErr(t, err, ErrSchema)
				if !strings.Contains(err.Error(), "tickets_all."+c.column) || !strings.Contains(err.Error(), "schema --diff") {
					t.Errorf("the error does not help: %v", err)
				}
			default:
				must(t, err)
				rec := record(t, source.Tickets, `{"id":"121","category":"Bug","status":"Open","createdTime":"2024-01-02T03:04:05.678Z"}`)
				must(t, restarted.Write(ctx, source.Tickets, []source.Row{content(rec, 1)}, 1))
				wantRow(t, restarted, c.want, "SELECT %s FROM tickets", c.column)
			}
			w.alterTickets(t, "MODIFY COLUMN "+c.column+" "+was)
		}
	})
}

func (w *Warehouse) typeOf(t *testing.T, col string) string {
	t.Helper()
	return row(t, w, "SELECT type FROM system.columns WHERE database = '%s' AND table = 'tickets_all' AND name = '%s'", w.Database(), col)
}
