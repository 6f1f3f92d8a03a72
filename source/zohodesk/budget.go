package zohodesk

import (
	"fmt"
	"math"
	"time"

	"deskhouse/source"
)

// Credits of the calls (CREDITS): a record by id costs 1, a page by its
// offset. Where the sources differ (5 or 10, 10 or 50) the lower, official
// figure stands; the weight header of the reply corrects it.
const weightOfGet = 1

func weightOfList(offset int) int64 {
	switch {
	case offset <= 2_000:
		return 3
	case offset <= 10_000:
		return 5
	case offset <= 50_000:
		return 10
	case offset <= 100_000:
		return 50
	}
	return 100
}

// creditProbe is how often one call may go out although none is allowed, while
// a day's new credits are late (CREDITS and this program may mean different
// midnights). Otherwise a day that ran out is waited for without asking: each
// question would be paid from the reserve.
const creditProbe = 30 * time.Minute

// budget counts the credits of a day. It decides, it does not wait; every
// method is pure but for the receiver, and all times are handed in.
type budget struct {
	perDay     int64   // the portal's allowance: configured, or the largest seen; 0 = unknown
	configured bool    // perDay is the user's word, as long as no new day refutes it
	most       int64   // the user's word for good, 0 without
	share      float64 // reserve as a share of perDay
	fixed      int64   // reserve as a number, instead of share when above 0

	left    int64     // as told or estimated, -1 = unknown
	peak    int64     // most that a reply told of since the allowance last changed
	told    bool      // the portal's replies say what is left
	pending int64     // expected cost of the calls in flight
	heard   time.Time // when a call was last let through or answered
	resetAt time.Time // next 00:00 of the data centre
	zone    *time.Location
	newDay  bool  // the next reply tells how many credits a day begins with
	before  int64 // left at the end of the day before, -1 = unknown
	late    bool  // the day should have begun, and the replies tell of no new credits
	scout   bool  // what is left may have changed unseen: one call at a time until a reply tells

	spent      int64 // by this client
	byPriority [source.ForHydration + 1]int64
	today      int64 // by this client since the last reset
	hydrated   int64 // of today, for hydration; calls in flight included
	polls      pollPace
}

func newBudget(cfg Config, zone *time.Location, now time.Time) budget {
	b := budget{perDay: int64(cfg.CreditsPerDay), most: int64(cfg.CreditsPerDay), configured: cfg.CreditsPerDay > 0, share: cfg.Reserve,
		fixed: int64(cfg.ReserveCredits), left: -1, before: -1, zone: zone, heard: now}
	if b.configured {
		b.left = b.perDay
	}
	b.resetAt = nextMidnight(now, zone)
	return b
}

// nextMidnight is when a new day's credits come (CREDITS: every 24 h at 00:00
// of the data centre's time).
func nextMidnight(now time.Time, zone *time.Location) time.Time {
	t := now.In(zone)
	return time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, zone).UTC()
}

// newDayFor is how long after midnight a reply still tells what a day begins
// with: the portal's other integrations have not spent much by then.
const newDayFor = time.Hour

// roll starts a new day when its time has come.
func (b *budget) roll(now time.Time) {
	if now.Before(b.resetAt) {
		return
	}
	b.newDay, b.late, b.before = true, false, b.left
	b.resetAt = nextMidnight(now, b.zone)
	b.today, b.hydrated = 0, 0
	b.forget()
}

// forget drops what was known to be left, so that the next reply tells. Of a
// portal that never does, it is estimated.
func (b *budget) forget() {
	b.left, b.scout = -1, true
	if b.configured || !b.told && b.perDay > 0 {
		b.left = max(b.perDay-b.today, 0)
	}
}

// ranOut notes that Zoho refused a call for want of credits. Where no reply ever
// told what is left, and nothing is configured, what this client spent until
// then is taken for the day's allowance from then on, and at least the smallest
// that there is: the reserve needs a figure, and this one is not too large.
func (b *budget) ranOut() (guessed bool) {
	b.left = 0
	if b.told || b.configured {
		return false
	}
	was := b.perDay
	b.perDay = max(was, b.today, smallestDay)
	return b.perDay != was
}

// reserve is what is left to the portal's other integrations.
func (b *budget) reserve() int64 {
	if b.fixed > 0 {
		return min(b.fixed, b.perDay)
	}
	return int64(float64(b.perDay) * b.share)
}

// floor is the number of credits that calls of a priority leave untouched:
// re-reads may use half of the reserve (an event must not wait for midnight),
// polls none of it, the bulk of a snapshot leaves a tenth of the rest to polls
// as well, and hydration half of the rest to everybody else.
func (b *budget) floor(p source.Priority) int64 {
	r := b.reserve()
	switch p {
	case source.ForReread:
		return r / 2
	case source.ForPoll:
		return r
	case source.ForSnapshot:
		return r + (b.perDay-r)/10
	}
	return r + (b.perDay-r)/2
}

// allows reports whether a call of that priority and cost may be sent.
func (b *budget) allows(p source.Priority, weight int64) bool {
	if p == source.ForHydration && b.hydrated+weight > b.hydrationDay() {
		return false
	}
	return b.left < 0 || b.left-b.pending-weight >= b.floor(p)
}

// probeAt is when one call may go out although none is allowed: the next day,
// or sooner while a day is late.
func (b *budget) probeAt() time.Time {
	if at := b.heard.Add(creditProbe); b.late && at.Before(b.resetAt) {
		return at
	}
	return b.resetAt
}

func (b *budget) sent(p source.Priority, weight int64, now time.Time) {
	b.pending += weight
	b.spend(p, weight)
	b.heard = now
}

// unsent takes back what sent noted.
func (b *budget) unsent(p source.Priority, weight int64) {
	b.pending -= weight
	b.spend(p, -weight)
}

// spend counts towards the share of hydration.
func (b *budget) spend(p source.Priority, weight int64) {
	if p == source.ForHydration {
		b.hydrated = max(b.hydrated+weight, 0)
	}
}

// settle replaces the expected cost of a call by what its reply told. cost and
// left are -1 where the reply had no such header.
func (b *budget) settle(p source.Priority, expected, cost, left int64, charged bool, now time.Time) int64 {
	b.pending -= expected
	b.heard = now
	if cost < 0 {
		cost = expected
	}
	if !charged {
		cost = 0
	}
	b.spent, b.today, b.byPriority[p] = b.spent+cost, b.today+cost, b.byPriority[p]+cost
	b.spend(p, cost-expected)
	switch {
	case left >= 0:
		b.hear(left, cost, now)
	case b.left >= 0:
		b.left = max(b.left-cost, 0)
	}
	if p == source.ForPoll {
		b.polls.spent(cost, b.perDay, now)
	}
	return cost
}

// hear takes a reply's word for what is left. A midnight that brought nothing
// was not Zoho's: the day is late until the figure jumps, and its allowance is
// learned then.
func (b *budget) hear(left, cost int64, now time.Time) {
	b.newDay = b.newDay && b.resetAt.Sub(now) > 24*time.Hour-newDayFor
	had, tenth := left+cost, b.peak/10
	switch {
	case b.newDay && b.before >= 0 && b.before < b.peak-tenth && had <= b.before+weightOfList(math.MaxInt):
		b.late, b.newDay = true, false
	case b.late && left > max(b.left, b.before)+tenth:
		b.late, b.newDay = false, true
	}
	b.left, b.told = left, true
	if b.late {
		return
	}
	b.peak = max(b.peak, had)
	if b.newDay {
		b.peak = had
	}
	b.learn(had)
}

// learn takes a reply's word for the day's allowance: the largest seen, and at
// most the configured one. A configured figure, or one of better days, stands
// until a day begins with far fewer credits: floors that are shares of what the
// portal never has would hold everything back for ever. In the middle of a day
// few credits left may as well have been spent by others.
func (b *budget) learn(had int64) {
	switch {
	case b.newDay && had < b.perDay-b.perDay/10:
		b.perDay, b.configured = had, false
	case b.configured:
	case b.most > 0:
		b.perDay = min(b.most, max(b.perDay, had))
	default:
		b.perDay = max(b.perDay, had)
	}
	b.newDay = false
}

// why explains to people what held-back calls wait for.
func (b *budget) why() string {
	r := b.reserve()
	why := fmt.Sprintf("%d credits left today, %d are reserved for other integrations and %d for polls", max(b.left, 0), r, (b.perDay-r)/10)
	if b.configured {
		why += fmt.Sprintf(" (of %d a day by credits.per_day)", b.perDay)
	}
	return why
}

// Credits is what a connection has spent and has left, as far as it knows.
type Credits struct {
	Spent      int64                     // since the client was made
	Today      int64                     // since 00:00 of the data centre, by this client
	ByPriority map[source.Priority]int64 // Spent by purpose
	PerDay     int64                     // the portal's allowance, 0 = not known yet
	Remaining  int64                     // as Zoho told last, or estimated; -1 = not known yet
	Reserve    int64                     // kept for others
	ResetAt    time.Time                 // when the next day's credits are expected, UTC
	Calls      int64                     // requests sent, retries included
}
