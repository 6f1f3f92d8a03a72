package zohodesk

import (
	"testing"

	"pgregory.net/rapid"
)

func TestPaceStaysWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(0, 60).Draw(t, "most")
		p := newPace(most)
		if most == 0 {
			most = maxConcurrency
		}
		for i, refused := range rapid.SliceOf(rapid.Bool()).Draw(t, "refusals") {
			inFlight := rapid.IntRange(1, most).Draw(t, "in flight")
			was := p
			if refused {
				p = p.refused(inFlight, i%3 != 0)
				if p.limit > was.limit || p.ceiling > was.ceiling {
					t.Fatalf("a refusal raised %+v to %+v", was, p)
				}
			} else {
				p = p.succeeded(inFlight, true)
				if p.limit < was.limit || p.limit > was.limit+1 {
					t.Fatalf("a success moved %+v to %+v", was, p)
				}
			}
			if p.slots() < 1 || p.slots() > most {
				t.Fatalf("%d slots of %d", p.slots(), most)
			}
		}
	})
}

func TestPaceHalvesOnceAnOverload(t *testing.T) {
	p := pace{limit: 20, ceiling: 25, max: 25}
	p = p.refused(18, true).refused(16, false).refused(17, false)
	if p.slots() != 10 || p.ceiling != 15 {
		t.Errorf("got %+v, want 10 slots below a ceiling of 15", p)
	}
}

func TestUnusedSlotsProveNothing(t *testing.T) {
	if p := newPace(25).succeeded(1, true); p.slots() != paceStart {
		t.Errorf("%d slots after a call that was alone", p.slots())
	}
	full := pace{limit: 10, ceiling: 10, max: 25}
	if p := full.succeeded(9, true); p != full {
		t.Errorf("%+v after a call that left a slot free", p)
	}
}

// A portal that allows n calls at once is used to at least 95 % of them
// (design: load time), and is rarely asked for more.
func TestPaceConvergesOnWhatThePortalAllows(t *testing.T) {
	for _, allowed := range []int{5, 10, 15, 25} {
		p := newPace(0)
		rounds, used, refusals := 4000, 0, 0
		for range rounds {
			slots := p.slots()
			fresh := true
			for i := range slots {
				if i < allowed {
					used++
					p = p.succeeded(slots, true)
				} else {
					refusals++
					p = p.refused(i+1, fresh)
					fresh = false
				}
			}
		}
		if share := float64(used) / float64(rounds*allowed); share < 0.95 {
			t.Errorf("of %d allowed calls %.0f %% were used", allowed, 100*share)
		}
		if allowed < maxConcurrency && (refusals == 0 || refusals > rounds/5) {
			t.Errorf("allowed %d: %d refusals in %d rounds", allowed, refusals, rounds)
		}
	}
}
