package zohodesk

import (
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"

	"deskhouse/source"
)

func governed(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.Clock = clockwork.NewFakeClock()
	stats, err := newMetrics("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{gov: newGovernor(cfg.withDefaults(), time.UTC, zerolog.Nop(), stats)}
}

func TestExpectedInFlight(t *testing.T) {
	for _, c := range []struct {
		edition    string
		configured int
		want       int
	}{{"FREE", 0, 5}, {"Professional", 0, 15}, {"ENTERPRISE", 0, 25}, {"ENTERPRISE", 8, 8}, {"FREE", 8, 5}, {"SOMETHING_NEW", 0, paceStart}, {"", 2, 2}} {
		if got := governed(t, Config{MaxInFlight: c.configured}).ExpectedInFlight(c.edition); got != c.want {
			t.Errorf("edition %q, %d configured: %d, want %d", c.edition, c.configured, got, c.want)
		}
	}
	refused := governed(t, Config{})
	refused.gov.pace = refused.gov.pace.refused(10, true)
	if got := refused.ExpectedInFlight("ENTERPRISE"); got != 9 {
		t.Errorf("after a refusal of ten at once: %d, want 9", got)
	}
}

// What an estimate says may be spent is what the governor lets through.
func TestAllowanceIsWhatTheGovernorAllows(t *testing.T) {
	if got := governed(t, Config{}).Allowance(); got != (Allowance{-1, -1}) {
		t.Errorf("before any reply: %+v", got)
	}
	c := governed(t, Config{CreditsPerDay: 10_000})
	b := &c.gov.budget
	b.sent(source.ForSnapshot, 3, c.gov.clock.Now())
	b.settle(source.ForSnapshot, 3, 3, 6_000, true, c.gov.clock.Now())
	got := c.Allowance()
	if !b.allows(source.ForSnapshot, got.Today) || b.allows(source.ForSnapshot, got.Today+1) {
		t.Errorf("%+v is not what is allowed today", got)
	}
	b.left = b.perDay
	if !b.allows(source.ForSnapshot, got.Day) || b.allows(source.ForSnapshot, got.Day+1) {
		t.Errorf("%+v is not what is allowed on a whole day", got)
	}
	b.left = 0
	if got := c.Allowance(); got.Today != 0 {
		t.Errorf("with no credits left: %+v", got)
	}
}
