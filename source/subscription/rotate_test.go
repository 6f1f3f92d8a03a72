package subscription

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"deskhouse/source/desksim"
)

// TestRotation: both secrets while Zoho is switched over and for a day, then the new one; no delivery is lost.
func TestRotation(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	id := d.wantHook(1)
	d.wantAccepted(1)
	d.must(d.keeper.Rotate(t.Context()))
	if d.wantHook(2) != id {
		t.Error("another webhook was made")
	}
	d.wantAccepted(1, 2)
	d.hears()
	d.after(Overlap - time.Minute)
	d.open()
	d.wantAccepted(1, 2)
	d.clock.Advance(time.Minute) // and nothing has to happen for it
	d.wantAccepted(2)
	d.once()
	if s := d.keeper.Current(); len(s.Retiring) != 0 || s.Generation != 2 {
		t.Errorf("%+v", s)
	}
	d.hears()
	d.wantGaps(0)

	d.must(d.keeper.Rotate(t.Context()))
	d.must(d.keeper.Rotate(t.Context()))
	d.wantHook(4)
	d.wantAccepted(2, 3, 4)
	d.must(d.keeper.Finish(t.Context()))
	d.wantAccepted(4)
	d.hears()
}

// TestRotationThatZohoRefuses goes on by itself, and is not begun anew.
func TestRotationThatZohoRefuses(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	d.portal.Faults().RefuseScope("Desk.events.UPDATE")
	for range 2 {
		if err := d.keeper.Rotate(t.Context()); err == nil {
			t.Fatal("rotated without the scope")
		}
		d.wantHook(1)
		d.wantAccepted(1, 2)
		d.hears()
	}
	if err := d.keeper.Finish(t.Context()); !errors.Is(err, ErrNotSwitched) {
		t.Errorf("finish: %v", err)
	}
	d.after2(Overlap * 2)
	d.wantAccepted(1, 2) // as long as it takes
	d.portal.Faults().AllowScope("Desk.events.UPDATE")
	d.after(CheckEvery)
	d.wantHook(2)
	d.after(Overlap)
	d.wantAccepted(2)
}

// after2 lets time pass and makes a pass that fails.
func (s *site) after2(d time.Duration) {
	s.t.Helper()
	s.clock.Advance(d)
	if s.keeper.Once(s.t.Context()) == nil {
		s.t.Error("the pass did not fail")
	}
}

// TestRotationOfAHookMadeByHand: nobody can tell when it was switched over, so a person does.
func TestRotationOfAHookMadeByHand(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.once()
	d.must(d.keeper.Rotate(t.Context()))
	d.must(d.keeper.Rotate(t.Context())) // asked twice
	if len(d.held()) != 0 || d.keeper.URL() != d.url(secretOf(2)) {
		t.Errorf("%d webhooks at Zoho, generation %d", len(d.held()), d.keeper.Current().Generation)
	}
	d.after(Overlap * 30)
	d.open()
	d.wantAccepted(1, 2)
	d.portal.Faults().RefuseScope("Desk.events.READ") // nobody can look, and nobody has to
	d.must(d.keeper.Finish(t.Context()))
	d.portal.Faults().AllowScope("Desk.events.READ")
	d.wantAccepted(2)
	d.open()
	d.wantAccepted(2)
}

// TestOlderState: state was restored from before a rotation. The newer secret at Zoho is taken up, not undone.
func TestOlderState(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	backup := d.store.copied()
	d.must(d.keeper.Rotate(t.Context()))
	d.store = backup
	d.open()
	d.wantAccepted(1)
	d.after(CheckEvery)
	d.wantHook(2)
	d.wantAccepted(1, 2) // a delivery may be queued for the one that state knew
	d.hears()
	d.after(Overlap)
	d.wantAccepted(2)
}

// TestOlderStateInAnOverlap: of a state from before a rotation, what was still in its overlap goes on to its end.
func TestOlderStateInAnOverlap(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	d.must(d.keeper.Rotate(t.Context()))
	backup := d.store.copied()
	d.clock.Advance(Overlap / 2)
	d.must(d.keeper.Rotate(t.Context()))
	d.store = backup
	d.open()
	d.once()
	d.wantHook(3)
	d.wantAccepted(1, 2, 3)
	d.after(Overlap / 2)
	d.wantAccepted(2, 3)
	d.after(Overlap / 2)
	d.wantAccepted(3)
}

// TestLostStateOfAWorkflow: the sender does not list the hook, so its first delivery shows which generation it has. That
// is taken up; the one that a fresh state begins with ends a day later.
func TestLostStateOfAWorkflow(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.once()
	d.must(d.keeper.Rotate(t.Context()))
	d.must(d.keeper.Finish(t.Context()))
	d.wantAccepted(2)
	d.store = newStore()
	d.open()
	d.once()
	d.wantAccepted(1)
	d.learn = true
	if d.asked(2) != 200 || len(d.keeper.doubted) != 1 || d.said.count("newer secret") != 1 || d.said.count(secretOf(2)) != 0 {
		t.Error("the newer secret is not learnt, or not told")
	}
	d.learn = false
	d.wantAccepted(1, 2)
	d.portal.Faults().RefuseScope("Desk.events.READ")
	d.after2(Overlap)
	d.wantAccepted(1, 2) // not stored yet, but not forgotten either
	d.portal.Faults().AllowScope("Desk.events.READ")
	d.once()
	d.wantAccepted(1, 2)
	d.open()
	d.wantAccepted(1, 2)
	if s := d.keeper.Current(); s.Generation != 2 || s.Wanted || d.keeper.URL() != d.url(secretOf(2)) {
		t.Errorf("%+v", s)
	}
	d.clock.Advance(Overlap)
	d.wantAccepted(2)
}

// TestLearn: only what is newer is learnt, and searched for ten times a second at most.
func TestLearn(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	d.must(d.keeper.Rotate(t.Context()))
	d.must(d.keeper.Finish(t.Context()))
	d.learn = true
	for _, c := range []struct {
		secret string
		wait   time.Duration
		status int
	}{
		{secretOf(1), time.Second, 404}, // it was ended
		{strings.Repeat("a", 26), time.Second, 404},
		{secretOf(4), learnEvery - 1, 404}, // too soon
		{secretOf(4), 1, 200},
		{secretOf(4), 0, 200},           // known by now
		{secretOf(3), time.Second, 404}, // older than what was learnt
		{secretOf(1), time.Second, 404},
		{secretOf(2), 0, 200},
		{tokenOf(5), time.Second, 404},
	} {
		d.clock.Advance(c.wait)
		resp, err := http.Get(d.url(c.secret))
		d.must(err)
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("generation %d after %s: %d", d.keeper.GenerationOf(c.secret), c.wait, resp.StatusCode)
		}
	}
	d.learn = false
	d.must(d.keeper.Rotate(t.Context())) // begins after what was learnt
	d.wantHook(5)
	d.wantAccepted(2, 4, 5)
	d.hears()
}

// TestHookInUseKeepsItsSecret: a webhook made by hand that is seen with an older secret is heard as long as it has it.
func TestHookInUseKeepsItsSecret(t *testing.T) {
	d, _ := newHandMadeSite(t)
	d.learn = true
	if d.asked(2) != 200 { // a workflow of a time that state does not know
		t.Error("not learnt")
	}
	d.learn = false
	for range 3 {
		d.after(Overlap)
		d.wantAccepted(1, 2)
		d.hears()
	}
	if err := d.keeper.Finish(t.Context()); !errors.Is(err, ErrNotSwitched) {
		t.Errorf("finish: %v", err)
	}
}

// TestRemoveDuringARotation: with the webhook the old secret goes too, after the overlap.
func TestRemoveDuringARotation(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	d.portal.Faults().RefuseScope("Desk.events.UPDATE")
	if d.keeper.Rotate(t.Context()) == nil {
		t.Fatal("rotated without the scope")
	}
	_, err := d.keeper.Remove(t.Context())
	d.must(err)
	d.wantAccepted(1, 2)
	if d.keeper.Current().Rotating() {
		t.Error("the rotation never ends")
	}
	d.after(Overlap)
	d.wantAccepted(2)
}

// TestRotationInterruptedAnywhere kills the process at each write of state, or lets each call fail before or after it is
// carried out. At no moment does the sender hold a URL that the intake refuses, and afterwards the rotation ends.
func TestRotationInterruptedAnywhere(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(s *site, c *channels)
	}{
		{"killed at the first write", func(s *site, _ *channels) { s.store.failAt = s.store.saves + 1 }},
		{"killed at the second write", func(s *site, _ *channels) { s.store.failAt = s.store.saves + 2 }},
		{"look fails", func(_ *site, c *channels) {
			c.fail = func(call string) (error, error) { return failIf(call == "look"), nil }
		}},
		{"renew fails", func(_ *site, c *channels) {
			c.fail = func(call string) (error, error) { return failIf(call == "renew"), nil }
		}},
		{"renew is not answered", func(_ *site, c *channels) {
			c.fail = func(call string) (error, error) { return nil, failIf(call == "renew") }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, sender := newChannels(t, 24*time.Hour)
			s.must(s.keeper.Register(t.Context()))
			c.spoil(s, sender)
			if s.keeper.Rotate(t.Context()) == nil {
				t.Fatal("nothing was interrupted")
			}
			s.wantHeard(sender)
			sender.fail, s.store.failAt = nil, 0
			s.open()
			s.wantHeard(sender)
			s.after(CheckEvery)
			s.wantHeard(sender)
			generation := s.keeper.Current().Generation
			if s.keeper.Current().Rotating() || sender.live()[0].URL != s.keeper.URL() || sender.made != 1 {
				t.Errorf("the rotation did not end: %+v", s.keeper.Current())
			}
			if want := map[bool]int{true: 1, false: 2}[c.name == "killed at the first write"]; generation != want {
				t.Errorf("generation %d, want %d", generation, want)
			}
		})
	}
}

// wantHeard wants every channel's deliveries to be taken.
func (s *site) wantHeard(c *channels) {
	s.t.Helper()
	for _, status := range c.deliver() {
		if status != 200 {
			s.t.Errorf("a delivery is answered %d", status)
		}
	}
}

// TestAnyOrderOfEvents draws commands, here or in another process, failures, kills, restarts and the passing of time. The
// sender is always heard, and when the trouble ends there is one subscription with the newest URL, or none where none is
// wanted.
func TestAnyOrderOfEvents(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		s, c := newChannels(outer, 24*time.Hour)
		s.learn = true
		other, err := New(outer.Context(), s.keeper.cfg)
		if err != nil {
			t.Fatal(err)
		}
		asked := [2]bool{true, false} // whether the last command succeeded, and what it asked for
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			c.fail, s.store.failAt = nil, 0
			switch rapid.IntRange(0, 3).Draw(t, "trouble") {
			case 1:
				call := rapid.SampledFrom([]string{"look", "register", "renew", "remove"}).Draw(t, "call")
				c.fail = func(did string) (error, error) { return failIf(did == call), nil }
			case 2:
				call := rapid.SampledFrom([]string{"register", "renew", "remove"}).Draw(t, "call")
				c.fail = func(did string) (error, error) { return nil, failIf(did == call) }
			case 3:
				s.store.failAt = s.store.saves + rapid.IntRange(1, 3).Draw(t, "save")
			}
			s.clock.Advance(time.Second)
			k := s.keeper
			if rapid.Bool().Draw(t, "in another process") {
				k = other
			}
			switch step := rapid.SampledFrom([]string{"register", "rotate", "finish", "remove", "pass", "hours", "restart"}).Draw(t, "step"); step {
			case "register":
				asked = [2]bool{k.Register(t.Context()) == nil, true}
			case "rotate":
				_ = k.Rotate(t.Context())
			case "finish":
				_ = k.Finish(t.Context())
			case "remove":
				_, err := k.Remove(t.Context())
				asked = [2]bool{err == nil, false}
			case "pass":
				_ = k.Once(t.Context())
			case "hours":
				s.clock.Advance(time.Duration(rapid.IntRange(1, 40).Draw(t, "hours")) * time.Hour)
			}
			if rapid.Bool().Draw(t, "kill") {
				s.open()
			}
			for _, status := range c.deliver() {
				if status != 200 {
					t.Fatalf("a delivery is answered %d", status)
				}
			}
		}
		c.fail, s.store.failAt = nil, 0
		s.open()
		if err := s.keeper.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		live, wanted := c.live(), s.keeper.Current().Wanted
		if asked[0] && wanted != asked[1] {
			t.Fatalf("wanted is %v after the last command asked for %v", wanted, asked[1])
		}
		if wanted && (len(live) == 0 || !slices.ContainsFunc(live, func(row *channel) bool { return row.URL == s.keeper.URL() })) {
			t.Fatal("wanted, and not there: " + fmt.Sprint(len(live)))
		}
	})
}
