package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"deskhouse/source"
)

// renamed writes a product under a name, as a newer version.
func renamed(t *testing.T, w *Warehouse, version uint64, name string) {
	t.Helper()
	must(t, w.Write(ctx, source.Products, []source.Row{withVersion(content(record(t, source.Products, fmt.Sprintf(`{"id":"7","productName":%q}`, name)), 1), version)}, 1))
}

func fresh(t *testing.T, w *Warehouse, want ...source.Table) {
	t.Helper()
	loaded, err := w.FreshNames(ctx)
	must(t, err)
	if !slices.Equal(loaded, want) {
		t.Errorf("loaded the names of %v, want %v", loaded, want)
	}
}

// TestProductNamesFollowTheTable is about the engine that never looks by itself
// whether names changed.
func TestProductNamesFollowTheTable(t *testing.T) {
	w := prepared(t)
	must(t, write(w, source.Tickets, `{"id":"1","productId":"7"}`))
	const name = "SELECT product_name FROM tickets"
	renamed(t, w, 1, "Lamp")
	fresh(t, w, source.Products)
	wantRow(t, w, "Lamp", name)
	fresh(t, w)
	renamed(t, w, 2, "Torch")
	renamed(t, w, 3, "Candle")
	fresh(t, w, source.Products)
	wantRow(t, w, "Candle", name)
}

func TestDepartmentNamesFollowAtOnce(t *testing.T) {
	w := prepared(t)
	must(t, write(w, source.Tickets, `{"id":"1","departmentId":"11"}`))
	renamed(t, w, 1, "Lamp")
	must(t, write(w, source.Departments, `{"id":"11","name":"Sales"}`))
	wantRow(t, w, "Sales", "SELECT department_name FROM tickets")
	fresh(t, w, source.Products) // the products still wait
}

func TestNamesThatCannotBeLoadedAreLoadedLater(t *testing.T) {
	w := prepared(t)
	must(t, write(w, source.Tickets, `{"id":"1","productId":"7"}`))
	renamed(t, w, 1, "Lamp")
	over, cancel := context.WithCancel(ctx)
	cancel()
	if loaded, err := w.FreshNames(over); err == nil || len(loaded) > 0 {
		t.Errorf("loaded %v, %v though the call was over", loaded, err)
	}
	fresh(t, w, source.Products)
	wantRow(t, w, "Lamp", "SELECT product_name FROM tickets")
}

func TestNamesFollowARebuild(t *testing.T) {
	w := prepared(t)
	must(t, write(w, source.Tickets, `{"id":"1","productId":"7"}`))
	must(t, w.BeginRebuild(ctx, source.Products, "run"))
	renamed(t, w, 1, "Lamp")
	fresh(t, w, source.Products)
	_, err := w.SwapRebuild(ctx, source.Products)
	must(t, err)
	fresh(t, w, source.Products)
	wantRow(t, w, "Lamp", "SELECT product_name FROM tickets")
}

// BenchmarkFreshNames is what a hundred thousand products cost.
func BenchmarkFreshNames(b *testing.B) {
	w := prepared(b)
	must(b, w.exec(ctx, "fill", "INSERT INTO "+qualified(w.Database(), "products_all")+" (org_id, id, product_name, _version) SELECT "+fmt.Sprint(testOrg)+
		", number, 'product ' || toString(number) || "+literal(strings.Repeat("x", 40))+", 1 FROM numbers(100000)"))
	for b.Loop() {
		w.stale.note(source.Products)
		began := time.Now()
		if _, err := w.FreshNames(ctx); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/load")
	}
	wantRow(b, w, "100000", "SELECT element_count FROM system.dictionaries WHERE database = '%s' AND name = 'product_names'", w.Database())
}
