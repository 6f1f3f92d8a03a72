package zohodesk

// pace decides how many calls may be in flight. It grows by one call a success
// up to the ceiling, the highest number not yet refused. A refusal (429
// TOO_MANY_REQUESTS) halves it and lowers the ceiling, so that it comes back
// quickly to just below what the portal allows instead of sawing around it.
// Beyond the ceiling it feels its way, one call in so many full rounds; each
// time that is refused the next try waits twice as long, because the limit is
// the portal's edition's, and a call that is accepted there ends the waiting:
// then it was another integration that had been using the portal too. It is a
// value; every decision is a pure function of it.
type pace struct {
	limit    float64 // calls in flight, at least 1
	ceiling  float64 // highest number believed to be allowed
	max      float64 // hard limit
	patience float64 // full rounds between the ceiling and a try beyond it
}

// paceStart is below the smallest allowance (CREDITS: Free 5).
const paceStart = 4

// Bounds of the patience. At five calls at once, the smallest allowance, the
// first try costs one refusal in 150 calls and the later ones one in 4,800; a
// portal that has become free again is found within 960 rounds, some minutes.
const (
	leastPatience = 30
	mostPatience  = 32 * leastPatience
)

func newPace(most int) pace {
	if most <= 0 {
		most = maxConcurrency
	}
	m := float64(most)
	return pace{limit: min(paceStart, m), ceiling: m, max: m, patience: leastPatience}
}

// slots is the number of calls that may be in flight.
func (p pace) slots() int { return int(p.limit) }

// succeeded is the pace after a call that was accepted. inFlight is how many
// were in flight when it was sent, itself included: slots that were not used
// have proved nothing. Up to the ceiling half of them in use is enough, so that
// the pace doubles in a round; beyond it, all must be. fresh is false when the
// call was sent before the last halving: it was one of those among which too
// many were.
func (p pace) succeeded(inFlight int, fresh bool) pace {
	if fresh && float64(inFlight) > p.ceiling {
		p.ceiling, p.patience = min(float64(inFlight), p.max), leastPatience
	}
	switch {
	case p.limit < p.ceiling && 2*inFlight >= p.slots():
		p.limit = min(p.limit+1, p.ceiling)
	case p.limit >= p.ceiling && inFlight >= p.slots():
		p.limit = min(p.limit+1/(p.patience*p.limit), p.ceiling+1, p.max)
	}
	return p
}

// refused is the pace after a call was refused for too many in flight. fresh
// is false when the call was sent before the last halving: one overload makes
// many refusals, and is one reason to halve.
func (p pace) refused(inFlight int, fresh bool) pace {
	p.ceiling = max(1, min(p.ceiling, float64(inFlight-1)))
	if fresh {
		p.limit = max(1, p.limit/2)
		p.patience = min(2*p.patience, mostPatience)
	}
	return p
}
