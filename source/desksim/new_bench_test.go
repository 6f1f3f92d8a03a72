package desksim

import "testing"

// BenchmarkPortal makes, reads and ends a portal of the size the simulation test uses.
func BenchmarkPortal(b *testing.B) {
	for i := range b.N {
		p := New(Config{Seed: int64(i), Tickets: 500, ArchivedTickets: 20, Burst: 150})
		p.Mutate(150)
		for _, table := range tables {
			for range p.Truth(table) {
			}
		}
		p.Close()
	}
}
