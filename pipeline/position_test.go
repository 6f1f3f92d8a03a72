package pipeline

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestJudge(t *testing.T) {
	at := func(seq, beat uint64) mark { return mark{known: true, seq: seq, beat: beat} }
	const end = math.MaxUint64
	for _, c := range []struct {
		name             string
		warehouse, state mark
		fork             fork
		last, from       uint64
		loss             string
	}{
		{"first start", mark{}, mark{}, fork{}, 5, 0, noLoss},
		{"restart", at(40, 9), at(40, 9), fork{}, 50, 40, noLoss},
		{"crash before the checkpoint", at(45, 9), at(40, 9), fork{}, 50, 40, noLoss},
		{"crash within a beat", at(40, 10), at(40, 9), fork{}, 50, 40, noLoss},
		{"without intake", at(0, 9), at(0, 9), fork{}, end, 0, noLoss},
		{"before beats were kept", at(40, 0), at(40, 0), fork{}, 50, 40, noLoss},
		{"state wiped", at(40, 9), mark{}, fork{}, 3, 0, lossOfState},
		{"warehouse dropped", mark{}, at(40, 9), fork{}, 50, 0, lossOfWarehouse},
		{"state from a backup", at(40, 11), at(30, 9), fork{}, 50, 30, staleState},
		{"state from a backup, more events since", at(40, 11), at(50, 9), fork{}, 60, 40, staleState},
		{"log ends before what was applied", at(40, 9), at(40, 9), fork{}, 35, 35, staleState},
		{"warehouse from a backup", at(30, 8), at(40, 9), fork{}, 50, 30, staleWarehouse},
		{"warehouse from a backup, quiet since", at(40, 8), at(40, 9), fork{}, 50, 40, staleWarehouse},
		{"warehouse from a backup of this run", at(30, 9), at(40, 9), fork{}, 50, 30, staleWarehouse},
		{"warehouse from before the log forked", at(40, 8), at(60, 20), fork{Beat: 10, Seq: 30}, 70, 30, staleWarehouse},
		{"warehouse from after the log forked", at(40, 12), at(60, 20), fork{Beat: 10, Seq: 30}, 70, 40, staleWarehouse},
	} {
		from, loss := judge(c.warehouse, c.state, c.fork, c.last)
		if from != c.from || loss != c.loss {
			t.Errorf("%s: from %d, %q; want %d, %q", c.name, from, loss, c.from, c.loss)
		}
	}
}

// Whatever was lost, nothing that one side has not applied is left out.
func TestJudgeNeverSkips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Uint64Range(0, 6)
		draw := func(what string) mark {
			return mark{known: rapid.Bool().Draw(t, what), seq: small.Draw(t, what), beat: small.Draw(t, what)}
		}
		warehouse, state, last := draw("warehouse"), draw("state"), small.Draw(t, "last")
		from, loss := judge(warehouse, state, fork{small.Draw(t, "fork"), small.Draw(t, "fork")}, last)
		if warehouse.known && from > warehouse.seq || state.known && from > state.seq || from > last {
			t.Fatalf("%+v %+v of %d: goes on after %d (%s)", warehouse, state, last, from, loss)
		}
	})
}
