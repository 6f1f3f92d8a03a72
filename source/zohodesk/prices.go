package zohodesk

import (
	"strings"

	"deskhouse/source"
)

// Prices is the catalog that the governor counts credits by, for estimates.
type Prices struct{}

// Get is what a record by its id costs.
func (Prices) Get() int64 { return weightOfGet }

// Page is what a page of a list or search at an offset costs.
func (Prices) Page(offset int) int64 { return weightOfList(offset) }

// Allowance is what bulk work may spend: today, and on a day that begins fresh.
// Both are -1 as long as the portal has not told what it grants.
type Allowance struct{ Today, Day int64 }

// Allowance tells what snapshot and resync may spend, by the rules that the
// governor holds them to: what is left over the reserve and the share of polls.
func (c *Client) Allowance() Allowance {
	c.gov.mu.Lock()
	defer c.gov.mu.Unlock()
	b := &c.gov.budget
	if b.perDay == 0 || b.left < 0 {
		return Allowance{-1, -1}
	}
	floor := b.floor(source.ForSnapshot)
	return Allowance{Today: max(b.left-b.pending-floor, 0), Day: max(b.perDay-floor, 0)}
}

// inFlightOf is how many calls at once each edition is granted (CREDITS).
var inFlightOf = map[string]int{"FREE": 5, "TRIAL": 5, "EXPRESS": 10, "STANDARD": 10, "PROFESSIONAL": 15, "ENTERPRISE": 25, "ULTIMATE": 25}

// ExpectedInFlight is how many calls bulk work will have in flight once the
// governor has found its pace: what the edition is granted, less where fewer
// are configured or Zoho has refused so many. An edition that is not known
// counts for what is allowed now.
func (c *Client) ExpectedInFlight(edition string) int {
	c.gov.mu.Lock()
	defer c.gov.mu.Unlock()
	granted, ok := inFlightOf[strings.ToUpper(edition)]
	if !ok {
		return c.gov.pace.slots()
	}
	return max(1, min(granted, int(c.gov.pace.ceiling)))
}
