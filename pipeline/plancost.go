package pipeline

// The arithmetic of a plan: how many calls each way of reading makes. It
// follows the readers (keyread.go, listread.go, tables' own files) and must
// change with them; the test holds it against what a load really cost.

// pages is the cost of that many pages at offsets that cost least.
func (pl *Planner) pages(n int64) Cost { return Cost{Pages: n, Credits: n * pl.Prices.Page(0)} }

// gets is the cost of that many records by id.
func (pl *Planner) gets(n int64) Cost { return Cost{Gets: n, Credits: n * pl.Prices.Get()} }

// byKey is the cost of reading n rows of a search by key. Each page repeats the
// rows of the last second and of the second of overlap before it, at least two
// rows; and the last page of each range is half empty.
func (pl *Planner) byKey(n, limit int64) Cost {
	if n == 0 {
		return Cost{}
	}
	workers := int64(max(1, min(pl.InFlight, readWorkers)))
	ranges := max(1, min(n/minSplitRows, 2*workers))
	return pl.pages(ceil(n, max(limit-2, 1)) + ranges/2)
}

// byOffset is the cost of reading a list of n rows: pages overlap, cost more the
// deeper they lie, and one that is at least half full may not be the last.
func (pl *Planner) byOffset(n, limit int64) Cost {
	var c Cost
	for offset := int64(0); ; offset += limit - listOverlap {
		c.Pages++
		c.Credits += pl.Prices.Page(int(offset))
		if n-offset < min(smallestPage, limit) {
			return c
		}
	}
}

func ceil(n, d int64) int64 { return (n + d - 1) / d }
