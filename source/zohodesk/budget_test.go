package zohodesk

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"deskhouse/source"
	"deskhouse/source/datacenter"
)

func TestWeightsByOffset(t *testing.T) {
	for offset, want := range map[int]int64{0: 3, 2000: 3, 2001: 5, 10_000: 5, 10_001: 10, 50_001: 50, 100_001: 100} {
		if got := weightOfList(offset); got != want {
			t.Errorf("offset %d costs %d, want %d", offset, got, want)
		}
	}
}

func TestFloorsByPriority(t *testing.T) {
	cases := []struct {
		name                          string
		share                         float64
		fixed                         int64
		reread, poll, snapshot, hydra int64
	}{
		{"a fifth", 0.2, 0, 10_000, 20_000, 28_000, 60_000},
		{"none", 0, 0, 0, 0, 10_000, 50_000},
		{"a number", 0.2, 5000, 2500, 5000, 14_500, 52_500},
		{"more than there is", 0, 200_000, 50_000, 100_000, 100_000, 100_000},
	}
	for _, c := range cases {
		b := budget{perDay: 100_000, share: c.share, fixed: c.fixed}
		for p, want := range map[source.Priority]int64{source.ForReread: c.reread, source.ForPoll: c.poll, source.ForSnapshot: c.snapshot, source.ForHydration: c.hydra} {
			if got := b.floor(p); got != want {
				t.Errorf("%s: floor of %d is %d, want %d", c.name, p, got, want)
			}
		}
	}
}

// What one priority may spend, every more urgent one may too, and no call ever
// brings the credits below its floor.
func TestBudgetNeverSpendsBelowTheFloor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := budget{perDay: rapid.Int64Range(0, 200_000).Draw(t, "per day"), share: rapid.Float64Range(0, 0.99).Draw(t, "share"),
			left: rapid.Int64Range(-1, 200_000).Draw(t, "left"), pending: rapid.Int64Range(0, 300).Draw(t, "pending")}
		weight := rapid.Int64Range(1, 100).Draw(t, "weight")
		for p := source.ForReread; p <= source.ForHydration; p++ {
			if b.allows(p, weight) && b.left >= 0 && b.left-b.pending-weight < b.floor(p) {
				t.Fatalf("priority %d goes below its floor: %+v", p, b)
			}
			if p > 0 && b.allows(p, weight) && !b.allows(p-1, weight) {
				t.Fatalf("priority %d may what %d may not: %+v", p, p-1, b)
			}
		}
	})
}

func TestBudgetLearnsFromHeadersAndEstimatesWithoutThem(t *testing.T) {
	now := time.Date(2026, 9, 10, 12, 0, 0, 0, time.UTC)
	learning := newBudget(Config{Reserve: 0.2}, time.UTC, now)
	if !learning.allows(source.ForHydration, 100) {
		t.Error("nothing is known yet, so nothing is held back")
	}
	learning.sent(source.ForPoll, 3, now)
	learning.settle(source.ForPoll, 3, 5, 79_995, true, now)
	if learning.perDay != 80_000 || learning.left != 79_995 || learning.spent != 5 || learning.byPriority[source.ForPoll] != 5 || learning.pending != 0 {
		t.Errorf("learned %+v", learning)
	}

	told := newBudget(Config{Reserve: 0.2, CreditsPerDay: 1000}, time.UTC, now)
	for range 100 {
		told.sent(source.ForSnapshot, 3, now)
		told.settle(source.ForSnapshot, 3, -1, -1, true, now)
	}
	if told.left != 700 || told.today != 300 {
		t.Errorf("estimated %d left, %d today, want 700 and 300", told.left, told.today)
	}
	told.settle(source.ForSnapshot, 0, 3, -1, false, now)
	if told.left != 700 {
		t.Error("a throttled call was charged")
	}
	told.roll(now.Add(12 * time.Hour))
	if told.left != 1000 || told.today != 0 || told.spent != 300 || !told.resetAt.Equal(now.Add(36*time.Hour)) {
		t.Errorf("after midnight %+v", told)
	}
}

func TestMidnightIsTheDataCentres(t *testing.T) {
	h, _ := datacenter.Lookup("us")
	got := nextMidnight(time.Date(2026, 9, 10, 7, 59, 0, 0, time.UTC), h.Zone)
	if want := time.Date(2026, 9, 10, 8, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
