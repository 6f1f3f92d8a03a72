package desksim

// Choices for what Zoho's documents leave open; the zero value of each is what is documented or, where nothing is, what
// is most usual.

// DateMode says which moment of a call the Date header names.
type DateMode int

const (
	DateArrived DateMode = iota // the call arrived; latency comes after it
	DateRead                    // the data was read
	DateSent                    // the reply was sent, after Faults.HoldBack
)

// RangeEnds says which ends of createdTimeRange and its like belong to the range. OAS Search.json does not say.
type RangeEnds int

const (
	EndsIncluded RangeEnds = iota // from <= t <= to
	EndExcluded                   // from <= t < to
	EndsExcluded                  // from < t < to
)

// EventTimes says what the eventTime of a webhook is.
type EventTimes int

const (
	EventMillis  EventTimes = iota // milliseconds (captures)
	EventSeconds                   // whole seconds
	EventMicros                    // microseconds
	EventFuture                    // milliseconds, Config.EventAhead in the future
	EventMixed                     // each event draws one of the four
)

const eventTimesCount = int(EventMixed)
