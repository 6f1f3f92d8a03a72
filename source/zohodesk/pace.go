package zohodesk

// pace decides how many calls may be in flight. It grows by one call a success
// up to the highest number not yet refused; beyond that it feels its way, one
// call in thirty rounds. A refusal (429
// TOO_MANY_REQUESTS) halves it and lowers the known ceiling, so that it comes
// back quickly to just below what the portal allows instead of sawing around
// it. It is a value; every decision is a pure function of it.
type pace struct {
	limit   float64 // calls in flight, at least 1
	ceiling float64 // highest number believed to be allowed
	max     float64 // hard limit
}

// paceStart is below the smallest allowance (CREDITS: Free 5).
const paceStart = 4

// pacePatience is how many full rounds pass between two steps beyond the
// ceiling.
const pacePatience = 30

func newPace(most int) pace {
	if most <= 0 {
		most = maxConcurrency
	}
	m := float64(most)
	return pace{limit: min(paceStart, m), ceiling: m, max: m}
}

// slots is the number of calls that may be in flight.
func (p pace) slots() int { return int(p.limit) }

// succeeded is the pace after a call that was accepted. inFlight is how many
// were in flight when it was sent, itself included: slots that were not used
// have proved nothing. Up to the ceiling half of them in use is enough, so that
// the pace doubles in a round; beyond it, all must be.
func (p pace) succeeded(inFlight int) pace {
	switch {
	case p.limit < p.ceiling && 2*inFlight >= p.slots():
		p.limit = min(p.limit+1, p.ceiling)
	case p.limit >= p.ceiling && inFlight >= p.slots():
		p.limit = min(p.limit+1/(pacePatience*p.limit), p.max)
		p.ceiling = max(p.ceiling, float64(p.slots()))
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
	}
	return p
}
