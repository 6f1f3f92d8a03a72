package pipeline

import (
	"time"

	"deskhouse/source"
)

// Purse is what the portal's API credits allow the work that no reply of Zoho
// bounds. Safe for concurrent use.
type Purse interface {
	// PollPause is how long the next scheduled round of a poll or of the recycle
	// bin has to wait so that all of them together cost at most 5 % of the day's
	// credits, 0 when it may go.
	PollPause() time.Duration
	// HydrationBudget is how many credits hydration may still spend today, how
	// many on every further day, and when the next one begins (UTC).
	HydrationBudget() (today, perDay int64, resetAt time.Time)
}

// pollPause is how long a scheduled round has to wait; the first wait is told
// to the operator, since the configured times do not hold any more.
func (p *Pipeline) pollPause(t source.Table, what string) time.Duration {
	if p.purse == nil {
		return 0
	}
	wait := p.purse.PollPause()
	if wait > 0 {
		p.slowed.Do(func() {
			p.log.Warn().Str("table", string(t)).Str("round", what).Dur("wait", wait).
				Msg("polls as configured cost more than 5 % of the portal's daily credits: they are made less often")
		})
	}
	return wait
}

// hydratedBy is when that many rows will have been read at the latest, as far
// as credits go: at the end of the day that has enough for the last of them.
// Zero when nothing is left or nothing may be spent.
func hydratedBy(left int64, purse Purse) time.Time {
	if left == 0 || purse == nil {
		return time.Time{}
	}
	today, perDay, resetAt := purse.HydrationBudget()
	switch {
	case left <= today:
		return resetAt
	case perDay <= 0:
		return time.Time{}
	}
	days := (left - today + perDay - 1) / perDay
	return resetAt.Add(time.Duration(days) * 24 * time.Hour)
}
