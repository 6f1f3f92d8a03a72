package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"deskhouse/source/desksim"
)

// opened is a core on the house's state; close ends it in order.
func (h *house) opened(log zerolog.Logger) (c *core, closeIt func()) {
	h.t.Helper()
	c, err := openCore(h.t.Context(), h.config(), log)
	if err != nil {
		h.t.Fatal(err)
	}
	return c, func() {
		h.t.Helper()
		if err := c.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
}

// What was spent today is shown after a restart, before anything was asked of
// Zoho.
func TestStatusShowsTodaysCreditsAfterARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, desksim.Config{Seed: 5, Tickets: 10, CreditsPerDay: 5000}, settings{})
	c, end := h.opened(zerolog.Nop())
	day := c.conns["main"].client.Credits().ResetAt
	for range 20 {
		if _, err := c.conns["main"].client.Count(t.Context(), 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	before := connStatus(c.conns["main"])
	end()
	if before.CreditsSpent == 0 {
		t.Fatal("nothing was spent")
	}

	c, end = h.opened(zerolog.Nop())
	defer end()
	after := connStatus(c.conns["main"])
	if !time.Now().Before(day) { // midnight came meanwhile: what was spent is yesterday's
		if after.CreditsSpent != 0 {
			t.Errorf("status says %+v on a new day", after)
		}
		return
	}
	if after.CreditsSpent != before.CreditsSpent || after.CreditsRemaining != before.CreditsRemaining {
		t.Errorf("status says %+v after the restart and %+v before", after, before)
	}
	if spent := int64(h.portal.Stats().CreditsSpent); after.CreditsSpent != spent {
		t.Errorf("status says %d credits spent today, the portal %d", after.CreditsSpent, spent)
	}
}

func TestSpoiledCreditsAreIgnoredWithALogLine(t *testing.T) {
	t.Parallel()
	h := newHouse(t, desksim.Config{Seed: 5, Tickets: 10}, settings{})
	c, end := h.opened(zerolog.Nop())
	if _, err := c.store.Set(t.Context(), "credit.main", []byte(`{"Today":`)); err != nil {
		t.Fatal(err)
	}
	end()
	said := &bytes.Buffer{}
	c, end = h.opened(zerolog.New(zerolog.SyncWriter(said)))
	if got := connStatus(c.conns["main"]); got.CreditsSpent != 0 || got.CreditsRemaining != -1 {
		t.Errorf("status says %+v", got)
	}
	end()
	if !strings.Contains(said.String(), "stored credits of the connection are not used") {
		t.Errorf("said %s", said)
	}
}
