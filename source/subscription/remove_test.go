package subscription

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"deskhouse/source"
	"deskhouse/source/desksim"
)

// TestRemove: it is gone, and stays gone.
func TestRemove(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	id := d.wantHook(1)
	r, err := d.keeper.Remove(t.Context())
	if err != nil || !slices.Equal(r.Deleted, []string{fmt.Sprint(id)}) || len(r.Left) != 0 || len(d.held()) != 0 || len(d.keeper.IDs()) != 0 {
		t.Errorf("removed %+v, %v, left %d", r, err, len(d.held()))
	}
	d.after(CheckEvery)
	d.open()
	d.after(CheckEvery)
	if len(d.held()) != 0 {
		t.Error("it was registered again")
	}
	if r, err := d.keeper.Remove(t.Context()); err != nil || len(r.Deleted) != 0 {
		t.Errorf("removed %+v the second time, %v", r, err)
	}
}

// TestRemoveThatIsRefused changes nothing: the webhook is kept up until a removal succeeds. What was deleted before the
// refusal is said.
func TestRemoveThatIsRefused(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	id := d.wantHook(1)
	second := d.byHand()
	d.portal.Faults().RefuseScope("Desk.events.READ")
	if _, err := d.keeper.Remove(t.Context()); !source.IsFault(err, source.FaultForbidden) || !d.keeper.Current().Wanted {
		t.Fatal(err)
	}
	d.portal.Faults().AllowScope("Desk.events.READ")
	refusing := &refuseAfter{Kind: d.kind, most: 1}
	d.kind = refusing
	d.open()
	r, err := d.keeper.Remove(t.Context())
	if !source.IsFault(err, source.FaultForbidden) || !strings.Contains(err.Error(), fmt.Sprintf("webhook %d is deleted; delete webhook %d", id, second.ID)) ||
		!slices.Equal(r.Deleted, []string{fmt.Sprint(id)}) {
		t.Fatalf("removed %+v, %v", r, err)
	}
	d.open() // killed, and started again
	d.after(CheckEvery)
	if !d.keeper.Current().Wanted || d.held()[0].ID != second.ID || !d.held()[0].Automation {
		t.Errorf("what is left is not looked after: %+v", d.held())
	}
	d.hears()
	refusing.most = 9
	if r, err := d.keeper.Remove(t.Context()); err != nil || len(r.Deleted) != 1 || len(d.held()) != 0 || d.keeper.Current().Wanted {
		t.Errorf("removed %+v, %v", r, err)
	}
}

// refuseAfter lets most removals through.
type refuseAfter struct {
	Kind
	most int
}

func (r *refuseAfter) Remove(ctx context.Context, id string) error {
	if r.most--; r.most < 0 {
		return &source.CallError{Fault: source.FaultForbidden, Op: "DELETE webhooks/" + id, Status: 403}
	}
	return r.Kind.Remove(ctx, id)
}

// TestRemoveOfWhatWasNeverMade: what is wanted and was always refused does not register itself after a removal.
func TestRemoveOfWhatWasNeverMade(t *testing.T) {
	for _, listed := range []bool{true, false} {
		d := newDeskSite(t, desksim.Config{})
		d.portal.Faults().RefuseScope("Desk.events.CREATE")
		if d.keeper.Register(t.Context()) == nil || !d.keeper.Current().Wanted {
			t.Fatal("registered, or not wanted")
		}
		if !listed {
			d.portal.Faults().RefuseScope("Desk.events.READ")
		}
		if r, err := d.keeper.Remove(t.Context()); (err == nil) != listed || len(r.Deleted) != 0 {
			t.Errorf("listed %v: removed %+v, %v", listed, r, err)
		}
		d.portal.Faults().AllowScope("Desk.events.READ")
		d.portal.Faults().AllowScope("Desk.events.CREATE")
		d.after(CheckEvery)
		d.open()
		d.after(CheckEvery)
		if len(d.held()) != 0 {
			t.Errorf("listed %v: it registered itself", listed)
		}
	}
}

// TestRemoveOnAnEditionWithoutWebhooks: a portal that was downgraded lets nobody list or delete; the subscription is given up.
func TestRemoveOnAnEditionWithoutWebhooks(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	d.portal.Faults().RefuseLicense("webhooks", true)
	if r, err := d.keeper.Remove(t.Context()); err != nil || len(r.Left) != 1 || len(r.Deleted) != 0 {
		t.Fatalf("removed %+v, %v", r, err)
	}
	d.after(CheckEvery)
	d.open()
	d.after(CheckEvery)
	if d.keeper.Current().Wanted || d.keeper.Problem() != nil {
		t.Errorf("wanted %v, problem %+v", d.keeper.Current().Wanted, d.keeper.Problem())
	}
}
