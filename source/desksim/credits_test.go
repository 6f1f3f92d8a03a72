package desksim

import (
	"testing"
	"time"
)

// Another integration's credits are missing for everybody, until midnight.
func TestCreditsSpentElsewhere(t *testing.T) {
	p, clock := newTestPortal(t, Config{Tickets: 5, CreditsPerDay: 100})
	k := newClient(t, p)
	if left := p.SpendElsewhere(98); left != 2 {
		t.Errorf("%d credits left of 100, want 2", left)
	}
	if left := p.SpendElsewhere(3); left != 2 {
		t.Errorf("%d credits left after a call that found too few", left)
	}
	status, header, _ := k.send(k.request("GET", "tickets?limit=1", ""))
	if status != 429 || header.Get("Retry-After") == "" {
		t.Errorf("a call of 3 credits got %d, Retry-After %q", status, header.Get("Retry-After"))
	}
	clock.Advance(24 * time.Hour)
	k = newClient(t, p)
	status, header, _ = k.send(k.request("GET", "tickets?limit=1", ""))
	if status != 200 || header.Get("X-Rate-Limit-Remaining-v3") != "97" {
		t.Errorf("on the next day: %d, %s credits left", status, header.Get("X-Rate-Limit-Remaining-v3"))
	}
	if s := p.Stats(); s.CreditsTotal != 3 {
		t.Errorf("%d credits are counted for the API's endpoints, want the 3 of its own call", s.CreditsTotal)
	}
}

func TestLimitsChangeWhileThePortalRuns(t *testing.T) {
	p, _ := newTestPortal(t, Config{Tickets: 5, CreditsPerDay: 100})
	k := newClient(t, p)
	p.AllowInFlight(0)
	if status, _ := k.get("tickets?limit=1"); status != 429 {
		t.Errorf("with no call allowed at once: %d", status)
	}
	p.AllowInFlight(1)
	if status, _ := k.get("tickets?limit=1"); status != 200 {
		t.Errorf("with one: %d", status)
	}
	p.AllowCredits(4)
	if status, _ := k.get("tickets?limit=1"); status != 429 {
		t.Errorf("with 4 credits a day of which 3 are spent: %d", status)
	}
}
