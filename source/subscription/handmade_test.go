package subscription

import (
	"fmt"
	"slices"
	"testing"

	"deskhouse/source/desksim"
	"deskhouse/source/zohodesk"
)

// byHand makes a webhook with our URL as a person would.
func (d *deskSite) byHand() zohodesk.Webhook {
	d.t.Helper()
	w, err := d.client.CreateWebhook(d.t.Context(), zohodesk.WebhookSpec{Name: "by hand", URL: d.keeper.URL(), Events: []string{"Ticket_Update"}})
	d.must(err)
	return w
}

// newHandMadeSite has a webhook that a person made and that nobody asked deskhouse to keep up.
func newHandMadeSite(t *testing.T) (*deskSite, zohodesk.Webhook) {
	t.Helper()
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	_, err := d.keeper.Remove(t.Context())
	d.must(err)
	w := d.byHand()
	d.open()
	d.after(CheckEvery)
	return d, w
}

// TestHookMadeByHand: one with our URL that nobody registered is known by its id, so that its token is taken, and otherwise
// left alone.
func TestHookMadeByHand(t *testing.T) {
	d, _ := newHandMadeSite(t)
	if h := d.held(); len(h) != 1 || h[0].Name != "by hand" || len(h[0].Events) != 1 || d.keeper.Current().Wanted {
		t.Errorf("held %+v", h)
	}
	d.hears()
}

// TestHookMadeByHandIsReplaced by another one made by hand: within the hour its deliveries are taken, and the gap is told.
func TestHookMadeByHandIsReplaced(t *testing.T) {
	d, first := newHandMadeSite(t)
	d.hears()
	d.must(d.client.DeleteWebhook(t.Context(), first.ID))
	second := d.byHand()
	d.after(CheckEvery)
	if ids := d.keeper.IDs(); !slices.Equal(ids, []string{fmt.Sprint(second.ID)}) || d.keeper.Current().Wanted {
		t.Errorf("known are %q", ids)
	}
	d.hears()
	d.wantGaps(1)
	d.after(CheckEvery)
	d.wantGaps(1)
}

// TestForeignTokenIsDoubted: a delivery of a webhook that is not known is refused, and the loop is told.
func TestForeignTokenIsDoubted(t *testing.T) {
	d, first := newHandMadeSite(t)
	d.hears()
	if len(d.keeper.doubted) != 0 {
		t.Error("a known webhook is doubted")
	}
	d.must(d.client.DeleteWebhook(t.Context(), first.ID))
	d.byHand()
	before := len(d.log.stored())
	_, err := d.portal.UpdateTicket(0, desksim.TicketChange{})
	d.must(err)
	d.must(d.portal.Flush(t.Context()))
	if len(d.log.stored()) != before || len(d.keeper.doubted) != 1 {
		t.Errorf("%d events taken, %d doubts", len(d.log.stored())-before, len(d.keeper.doubted))
	}
	d.once()
	d.hears()
}
