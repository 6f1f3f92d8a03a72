package source

import (
	"testing"

	"pgregory.net/rapid"
)

// observations of one key, drawn so that ties of as_of, rank and content are
// common.
func genObservation() *rapid.Generator[Observation] {
	return rapid.Custom(func(t *rapid.T) Observation {
		o := Observation{
			Key:      Key{ID: 1},
			Evidence: Evidence(rapid.IntRange(int(EvidenceList), int(EvidenceGet)).Draw(t, "evidence")),
			AsOf:     rapid.Int64Range(0, 4).Draw(t, "as of"),
		}
		if rapid.Bool().Draw(t, "has content") {
			o.Record = &Record{Resource: ticketResource, Fingerprint: rapid.Uint64Range(1, 3).Draw(t, "hash"),
				Modified: rapid.Int64Range(0, 4).Draw(t, "modified")}
			o.Carries[Content] = true
		}
		if o.Evidence == EvidenceGet || o.Evidence == EvidenceBin || rapid.Bool().Draw(t, "has life") {
			o.Life = LifeDeleted
			if o.Evidence == EvidenceGet && rapid.Bool().Draw(t, "alive") {
				o.Life = LifeAlive
			}
			o.DeletedAt = rapid.Int64Range(0, 4).Draw(t, "deleted at")
		}
		return o
	})
}

// visible is what the merge decides, less the identity of the record: two
// records of one stamp have the same fingerprint and so the same own values.
func visible(s State) Head {
	s.Modified = 0
	return s.Head
}

func fold(obs []Observation) State {
	var s State
	for _, o := range obs {
		s = Merge(s, o)
	}
	return s
}

func TestRule1AnyOrderAnyNumberOfTimesTheSameRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obs := rapid.SliceOfN(genObservation(), 1, 8).Draw(t, "observations")
		shuffled := rapid.Permutation(obs).Draw(t, "another order")
		again := append(append([]Observation{}, shuffled...), rapid.Permutation(obs).Draw(t, "once more")...)
		want := visible(fold(obs))
		if got := visible(fold(shuffled)); got != want {
			t.Fatalf("order matters: %+v, want %+v", got, want)
		}
		if got := visible(fold(again)); got != want {
			t.Fatalf("repetition matters: %+v, want %+v", got, want)
		}
	})
}

// Merging in two halves through the warehouse (where the record is no longer
// at hand) gives what merging at once gives.
func TestMergeIsAssociativeThroughTheWarehouse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obs := rapid.SliceOfN(genObservation(), 2, 8).Draw(t, "observations")
		cut := rapid.IntRange(1, len(obs)-1).Draw(t, "cut")
		held := fold(obs[:cut])
		held.Record = nil
		for _, o := range obs[cut:] {
			held = Merge(held, o)
		}
		if got, want := visible(held), visible(fold(obs)); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestRule3ADeleteKeepsTheLastKnownContent(t *testing.T) {
	rec := &Record{Resource: ticketResource, Fingerprint: 7, Modified: 10}
	held := Merge(State{}, Observation{Evidence: EvidenceSearch, AsOf: 10, Record: rec, Carries: [registers]bool{true}})
	gone := Merge(held, Observation{Evidence: EvidenceWebhook, AsOf: 20, Life: LifeDeleted})
	if !gone.Deleted || gone.DeletedAt != 20 || gone.Record != rec || gone.Content != held.Content {
		t.Fatalf("delete lost content: %+v", gone)
	}
	late := &Record{Resource: ticketResource, Fingerprint: 8, Modified: 15}
	merged := Merge(gone, Observation{Evidence: EvidenceSearch, AsOf: 15, Record: late, Carries: [registers]bool{true}})
	if !merged.Deleted || merged.Record != late {
		t.Fatalf("content arriving for a deleted row must be kept and stay hidden: %+v", merged)
	}
}

func TestRule4DisagreementIsSettledByGet(t *testing.T) {
	rec := func(modified int64, hash uint64) *Record {
		return &Record{Resource: ticketResource, Modified: modified, Fingerprint: hash}
	}
	search := func(r *Record) Observation {
		return Observation{Evidence: EvidenceSearch, AsOf: r.Modified, Record: r, Carries: [registers]bool{true}}
	}
	alive := Head{Content: Stamp{100, EvidenceWebhook, 7}, Modified: 90, Version: 1}
	dead := alive
	dead.Deleted, dead.Life = true, Stamp{120, EvidenceWebhook, 120}
	resurrected := alive
	resurrected.Life = Stamp{130, EvidenceGet, 0}

	for _, c := range []struct {
		name string
		held Head
		obs  Observation
		want Contradiction
	}{
		{"older row with other content is only old", alive, search(rec(80, 9)), NoContradiction},
		{"same modifiedTime, same content is known", alive, search(rec(90, 7)), NoContradiction},
		{"same modifiedTime, other content", alive, search(rec(90, 9)), OtherContent},
		{"later modifiedTime than the one held", alive, search(rec(95, 9)), LaterModified},
		{"later as_of with an older modifiedTime", alive,
			Observation{Evidence: EvidenceWebhook, AsOf: 110, Record: rec(80, 9), Carries: [registers]bool{true}}, OlderModified},
		{"deleted row seen by search", dead, search(rec(80, 9)), DeletedSeenAlive},
		{"update event from before the deletion", dead,
			Observation{Evidence: EvidenceWebhook, AsOf: 110, Record: rec(110, 9), Carries: [registers]bool{true}}, NoContradiction},
		{"update event from after the deletion", dead,
			Observation{Evidence: EvidenceWebhook, AsOf: 121, Record: rec(121, 9), Carries: [registers]bool{true}}, DeletedSeenAlive},
		{"old bin item for a row a GET saw alive", resurrected, FromBin(BinItem{DeletedAt: 120}), VisibleInBin},
		{"bin item for a visible row just deletes it", alive, FromBin(BinItem{DeletedAt: 120}), NoContradiction},
		{"hint", alive, Observation{Evidence: EvidenceWebhook, Hint: true}, Asked},
		{"row never seen", Head{}, search(rec(90, 9)), NoContradiction},
		{"a GET decides", dead, Observation{Evidence: EvidenceGet, AsOf: 200, Record: rec(95, 9), Carries: [registers]bool{true}, Life: LifeAlive}, NoContradiction},
	} {
		if got := Contradicts(c.held, c.obs); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestOnlyAGetResurrects(t *testing.T) {
	rec := &Record{Resource: ticketResource, Fingerprint: 1, Modified: 500, Present: ticketResource.required[Content]}
	cov := NewCoverage(ticketResource, FieldSet{}, FieldSet{})
	dead := Merge(State{}, Observation{Evidence: EvidenceWebhook, AsOf: 100, Life: LifeDeleted})
	for _, o := range []Observation{
		cov.FromSearch(rec, Timing{}, "poll"),
		cov.FromEvent(Event{Type: "Ticket_Update", Time: 500, Trust: true}, rec),
	} {
		if !Merge(dead, o).Deleted {
			t.Errorf("%s resurrected a deleted row", o.Evidence)
		}
	}
	if Merge(dead, cov.FromGet(rec, Timing{}, dead.Head, "re-read")).Deleted {
		t.Error("a GET sent after the deletion was held must resurrect")
	}
}

// A GET outranks all that was held when it was asked for, whatever the clocks
// say, and loses to what it cannot have seen.
func TestGetOutranksWhatWasHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obs := rapid.SliceOfN(genObservation(), 0, 6).Draw(t, "held")
		held := fold(obs)
		rec := &Record{Resource: ticketResource, Fingerprint: 99, Modified: 1}
		cov := NewCoverage(ticketResource, FieldSet{}, FieldSet{})
		got := Merge(held, cov.FromGet(rec, Timing{}, held.Head, "re-read"))
		if got.Record != rec || got.Deleted {
			t.Fatalf("held %+v won against a later GET", held.Head)
		}
	})
}

func TestVersionsOnlyGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s State
		for _, o := range rapid.SliceOfN(genObservation(), 1, 10).Draw(t, "observations") {
			merged := Merge(s, o)
			if merged == s {
				continue
			}
			v := NextVersion(merged.Head)
			if v <= s.Version {
				t.Fatalf("version %d after %d", v, s.Version)
			}
			merged.Version = v
			s = merged
		}
	})
}
