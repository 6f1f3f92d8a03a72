package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"deskhouse/source/desksim"
)

// command is a keeper of another process on the same state.
func (d *deskSite) command() *Keeper {
	d.t.Helper()
	k, err := New(d.t.Context(), d.keeper.cfg)
	d.must(err)
	return k
}

// TestAnotherProcess: what a command stores on another machine, the service takes up at its next look.
func TestAnotherProcess(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	d.must(d.keeper.Rotate(t.Context()))
	d.wantAccepted(1, 2)
	d.must(d.command().Finish(t.Context()))
	d.once()
	d.wantAccepted(2)
	if r, err := d.command().Remove(t.Context()); err != nil || len(r.Deleted) != 1 {
		t.Errorf("removed %+v, %v", r, err)
	}
	d.after(CheckEvery)
	d.after(CheckEvery)
	if len(d.held()) != 0 || d.keeper.Current().Wanted {
		t.Error("the running service has registered it again")
	}
	d.must(d.command().Register(t.Context()))
	d.after(CheckEvery)
	d.wantHook(2)
	d.hears()
}

// TestAnotherProcessInBetween: each way to lose a write to another process ends with both having had their will.
func TestAnotherProcessInBetween(t *testing.T) {
	for _, c := range []struct {
		name        string
		mine, other func(k *Keeper, ctx context.Context) error
		want        func(s Subscription) bool
	}{
		{"register and register", (*Keeper).Register, (*Keeper).Register, func(s Subscription) bool { return s.Wanted && len(s.IDs) == 1 && s.Generation == 1 }},
		{"rotate and look", (*Keeper).Rotate, (*Keeper).Once, func(s Subscription) bool { return s.Generation == 2 && !s.Rotating() && s.Wanted }},
		{"rotate and rotate", (*Keeper).Rotate, (*Keeper).Rotate, func(s Subscription) bool { return s.Generation == 3 && !s.Rotating() && len(s.Retiring) == 2 }},
		{"look and remove", (*Keeper).Once, remove, func(s Subscription) bool { return !s.Wanted && len(s.IDs) == 0 }},
		{"remove and rotate", remove, (*Keeper).Rotate, func(s Subscription) bool { return !s.Wanted && len(s.IDs) == 0 && s.Generation == 2 }},
		{"finish and rotate", (*Keeper).Finish, (*Keeper).Rotate, func(s Subscription) bool { return s.Generation == 2 && len(s.Retiring) == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDeskSite(t, desksim.Config{})
			d.must(d.keeper.Register(t.Context()))
			d.learn = true
			second := d.command()
			d.keeper.cfg.Store = &overtaken{memoryStore: d.store, first: func() error { return c.other(second, t.Context()) }}
			d.must(c.mine(d.keeper, t.Context()))
			s := d.keeper.Current()
			stored, _, err := decode(d.store.values[Key("support")], DeskKind, "support")
			d.must(err)
			if !c.want(s) || asJSON(t, s) != asJSON(t, stored) {
				t.Errorf("in memory %s\nstored    %s", asJSON(t, s), asJSON(t, stored))
			}
			if hooks := d.held(); len(hooks) > 1 || s.Wanted && (len(hooks) != 1 || d.keeper.generationAt(hooks[0].URL) != s.Generation) {
				t.Errorf("held %d", len(hooks))
			}
		})
	}
}

func remove(k *Keeper, ctx context.Context) error { _, err := k.Remove(ctx); return err }

// overtaken is a store that another process writes to just before the first save.
type overtaken struct {
	*memoryStore
	first func() error
}

func (o *overtaken) Save(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if first := o.first; first != nil {
		o.first = nil
		if err := first(); err != nil {
			return 0, err
		}
	}
	return o.memoryStore.Save(ctx, key, value, revision)
}

// TestConflictsEnd: another process that always comes first is reported, not fought for ever.
func TestConflictsEnd(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	always := &conflicts{memoryStore: d.store}
	d.keeper.cfg.Store = always
	if err := d.keeper.Register(t.Context()); !errors.Is(err, ErrConflict) || always.saves != conflictTries {
		t.Errorf("%v after %d saves", err, always.saves)
	}
}

type conflicts struct {
	*memoryStore
	saves int
}

func (c *conflicts) Save(context.Context, string, []byte, uint64) (uint64, error) {
	c.saves++
	return 0, fmt.Errorf("always: %w", ErrConflict)
}

// TestIDsAreKnownBeforeTheyAreStored: a state that cannot be written does not have the deliveries of a webhook refused
// that Zoho has made.
func TestIDsAreKnownBeforeTheyAreStored(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	d.must(d.client.DeleteWebhook(t.Context(), d.wantHook(1)))
	d.store.failAt = d.store.saves + 1
	for range 3 {
		d.clock.Advance(CheckEvery)
		if d.keeper.Once(t.Context()) == nil {
			t.Error("it is stored")
		}
		if got, want := d.keeper.IDs(), []string{fmt.Sprint(d.held()[0].ID)}; !slices.Equal(got, want) {
			t.Errorf("known are %q, held %q", got, want)
		}
		d.hears()
	}
	d.store.failAt = 0
	d.once()
	d.open()
	d.wantHook(1)
	d.hears()
}

// TestStateIsTakenAway: a value that vanishes while the service runs is stored again.
func TestStateIsTakenAway(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	d.must(d.keeper.Rotate(t.Context()))
	delete(d.store.values, Key("support"))
	delete(d.store.revisions, Key("support"))
	d.after(CheckEvery)
	d.open()
	d.wantHook(2)
	d.wantAccepted(1, 2)
}
