package subscription

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"deskhouse/source/desksim"
)

// copyOf is a deskhouse with another public URL on a copy of d's state and configuration.
func copyOf(t *testing.T, d *deskSite) *deskSite {
	t.Helper()
	c := &deskSite{site: newSite(t), portal: d.portal, client: d.client}
	c.clock, c.kind, c.store, c.proof = d.clock, d.kind, d.store.copied(), d.proof
	c.open()
	return c
}

// wantElsewhere wants the last attempt to have ended with the problem of a webhook at a host.
func (d *deskSite) wantElsewhere(host string) {
	d.t.Helper()
	p := d.keeper.Problem()
	if p == nil || !errors.Is(p.Err, ErrElsewhere) || !strings.Contains(p.Err.Error(), strings.TrimPrefix(host, "http://")) || strings.Contains(p.Err.Error(), secretOf(1)) {
		d.t.Errorf("problem %+v", p)
	}
	if pause := d.keeper.pause(); pause != CheckEvery {
		d.t.Errorf("looked at again after %s", pause)
	}
}

// TestCopyLeavesTheWebhookAlone: a copy of state, such as a staging machine's, neither takes the webhook by itself nor
// deletes it. Only a person who registers it there does.
func TestCopyLeavesTheWebhookAlone(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	id := d.wantHook(1)
	staging := copyOf(t, d)
	for range 3 {
		if staging.keeper.Once(t.Context()) == nil {
			t.Error("the copy sees no problem")
		}
		staging.wantElsewhere(d.host)
		d.wantHook(1)
		d.clock.Advance(CheckEvery)
	}
	if n := staging.said.count("not as it should be"); n != 1 {
		t.Errorf("told %d times", n)
	}
	if err := staging.keeper.Rotate(t.Context()); !errors.Is(err, ErrElsewhere) {
		t.Errorf("the copy rotates: %v", err)
	}
	d.wantHook(1)
	r, err := copyOf(t, d).keeper.Remove(t.Context())
	if err != nil || len(r.Deleted) != 0 || len(r.Left) != 1 || !strings.Contains(r.Left[0], fmt.Sprint(id)) {
		t.Errorf("the copy removed %+v, %v", r, err)
	}
	d.wantHook(1)
	d.once()
	d.hears()
	d.wantGaps(0)

	staging.must(staging.keeper.Register(t.Context()))
	staging.wantHook(2)
	staging.once()
	staging.wantGaps(1)
	if d.keeper.Once(t.Context()) == nil {
		t.Error("the other one sees no problem")
	}
	d.wantElsewhere(staging.host)
	d.must(d.keeper.Register(t.Context())) // and back
	d.wantHook(1)
	d.hears()
	if d.keeper.Problem() != nil {
		t.Errorf("problem %+v", d.keeper.Problem())
	}
}

// TestForgottenByTheCopy: once a copy was told to delete, it has nothing to do with the webhook any more.
func TestForgottenByTheCopy(t *testing.T) {
	d := newDeskSite(t, desksim.Config{})
	d.must(d.keeper.Register(t.Context()))
	staging := copyOf(t, d)
	_, err := staging.keeper.Remove(t.Context())
	d.must(err)
	for range 2 {
		staging.after(CheckEvery)
		staging.open()
	}
	if s := staging.keeper.Current(); s.Wanted || len(s.IDs) != 0 || staging.keeper.Problem() != nil {
		t.Errorf("%+v", s)
	}
	d.wantHook(1)
}

// TestElsewhere tells a URL of this pipeline at another host from everything else.
func TestElsewhere(t *testing.T) {
	s, _ := newChannels(t, CheckEvery)
	for _, c := range []struct {
		url        string
		host       string
		generation int
	}{
		{"https://staging.example.org/hooks/support/" + secretOf(1), "staging.example.org", 1},
		{"https://staging.example.org/behind/a/proxy/hooks/support/" + secretOf(7), "staging.example.org", 7},
		{s.url(secretOf(1)), "", 0},
		{"https://staging.example.org/hooks/sales/" + secretOf(1), "", 0},
		{"https://staging.example.org/hooks/support/" + strings.Repeat("a", 26), "staging.example.org", 0},
		{"https://staging.example.org/", "", 0},
		{"", "", 0},
		{":", "", 0},
	} {
		if host, generation := s.keeper.Elsewhere(c.url); host != c.host || generation != c.generation {
			t.Errorf("%s: %q, generation %d", c.url, host, generation)
		}
	}
	s.keeper.cfg.URL = func(string) string { return "" }
	if _, generation := s.keeper.Elsewhere("https://staging.example.org/hooks/support/" + secretOf(1)); generation != 0 {
		t.Error("without an intake nothing is elsewhere")
	}
}
