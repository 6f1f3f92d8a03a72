package subscription

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"
)

// frozen is a value as it was stored when this format was made; it must be readable for ever.
const frozen = `{"format":2,"kind":"zoho-desk-webhook","pipeline":"support","wanted":true,"ids":["900100000000099001"],` +
	`"events":[{"event":"Ticket_Add","code":"subscribed","ok":true},{"event":"Ticket_Delete","code":"missing","ok":false}],` +
	`"generation":3,"retiring":[{"generation":2},{"generation":1,"until":"2026-10-06T12:00:00Z"}],` +
	`"granted_at":"2026-10-05T12:00:00Z","expires_at":"2026-10-06T12:00:00Z","checked_at":"2026-10-05T13:00:00Z",` +
	`"repaired":["Ticket_Delete is missing"],"repaired_at":"2026-10-05T12:00:00Z"}`

func TestStoredForms(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        Subscription
		known       bool
	}{
		{"nothing", "", Subscription{Generation: 1}, false},
		{"ids, as the first versions stored them", `["900100000000099001"]`, Subscription{Wanted: true, IDs: []string{"900100000000099001"}, Generation: 1}, true},
		{"ids after a delete", "null", Subscription{Generation: 1}, true},
		{"no ids", "[]", Subscription{Generation: 1}, true},
		{"this version", frozen, Subscription{Wanted: true, IDs: []string{"900100000000099001"},
			Events:     []Item{{"Ticket_Add", "subscribed", true}, {"Ticket_Delete", "missing", false}},
			Generation: 3, Retiring: []Retiring{{2, time.Time{}}, {1, now.Add(24 * time.Hour)}},
			GrantedAt: now, ExpiresAt: now.Add(24 * time.Hour), CheckedAt: now.Add(time.Hour), Repaired: []string{"Ticket_Delete is missing"}, RepairedAt: now}, true},
	} {
		c.want.Kind, c.want.Pipeline = DeskKind, "support"
		got, known, err := decode([]byte(c.value), DeskKind, "support")
		if err != nil || known != c.known || asJSON(t, got) != asJSON(t, c.want) {
			t.Errorf("%s: known %v, %v\n got %s\nwant %s", c.name, known, err, asJSON(t, got), asJSON(t, c.want))
		}
	}
	for _, bad := range []string{"x", `{}`, `[1]`, `{"format":3,"generation":1}`, `{"format":2,"kind":"other","generation":1}`, `{"format":2,"kind":"zoho-desk-webhook","generation":0}`} {
		if _, _, err := decode([]byte(bad), DeskKind, "support"); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	s, _, err := decode([]byte(frozen), DeskKind, "support")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := encode(s); err != nil || string(again) != frozen {
		t.Errorf("written again, %v\n%s", err, again)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStoredFormRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringMatching(`[0-9]{1,18}`), 1, 3)
		moment := rapid.Custom(func(t *rapid.T) time.Time { return time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), 0).UTC() })
		s := Subscription{Kind: "k", Pipeline: "p", Wanted: rapid.Bool().Draw(t, "wanted"), IDs: texts.Draw(t, "ids"), Generation: rapid.IntRange(1, 1000).Draw(t, "g"),
			Retiring: []Retiring{{rapid.IntRange(1, 1000).Draw(t, "old"), moment.Draw(t, "until")}}, GrantedAt: moment.Draw(t, "granted"), ExpiresAt: moment.Draw(t, "expires"),
			CheckedAt: moment.Draw(t, "checked"), Repaired: texts.Draw(t, "repaired"), RepairedAt: moment.Draw(t, "at"), Events: []Item{{"a", "b", true}}}
		raw, err := encode(s)
		if err != nil {
			t.Fatal(err)
		}
		got, known, err := decode(raw, "k", "p")
		if err != nil || !known {
			t.Fatal(known, err)
		}
		if again, err := encode(got); err != nil || string(again) != string(raw) {
			t.Fatalf("%s\n%s", raw, again)
		}
	})
}

// TestNothingSecretIsStored: neither a secret nor a token nor a URL stands in state.
func TestNothingSecretIsStored(t *testing.T) {
	s, _ := newChannels(t, 24*time.Hour)
	s.must(s.keeper.Register(t.Context()))
	s.must(s.keeper.Rotate(t.Context()))
	stored := string(s.store.values[Key("support")])
	for g := 1; g <= 2; g++ {
		for _, secret := range []string{secretOf(g), tokenOf(g), "http"} {
			if !strings.Contains(stored, `"generation":2`) || strings.Contains(stored, secret) || s.said.count(secret) > 0 {
				t.Errorf("%s is stored or said", secret)
			}
		}
	}
}

func TestGenerations(t *testing.T) {
	s, _ := newChannels(t, 24*time.Hour)
	for _, g := range []int{1, 2, 50, MaxGenerations} {
		if got := s.keeper.GenerationOf(secretOf(g)); got != g {
			t.Errorf("generation %d is found as %d", g, got)
		}
		if got := s.keeper.generationAt(s.url(secretOf(g))); got != g {
			t.Errorf("URL of generation %d is found as %d", g, got)
		}
	}
	for _, url := range []string{"", "/", s.url(""), s.url("x"), "http://elsewhere" + "/hooks/support/" + secretOf(1), s.url(secretOf(1)) + "/", s.url(secretOf(MaxGenerations + 1)),
		strings.Replace(s.url(secretOf(1)), "support", "sales", 1)} {
		if got := s.keeper.generationAt(url); got != 0 {
			t.Errorf("%s is of generation %d", url, got)
		}
	}
}

// TestStateThatCannotBeRead ends the start: secrets that are in use must not be guessed.
func TestStateThatCannotBeRead(t *testing.T) {
	store := newStore()
	store.values[Key("support")] = []byte(`{"format":9,"generation":1}`)
	_, err := New(context.Background(), Config{Pipeline: "support", Kind: Desk{}, Store: store, Secret: secretOf, URL: func(s string) string { return s },
		Clock: clockwork.NewFakeClockAt(now), Log: zerolog.Nop()})
	if err == nil || !strings.Contains(err.Error(), "format 9") {
		t.Errorf("got %v", err)
	}
}
