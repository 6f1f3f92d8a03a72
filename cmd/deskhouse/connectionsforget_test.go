package main

import (
	"slices"
	"testing"
)

func TestStoredIDs(t *testing.T) {
	for raw, want := range map[string][]string{`["1","2"]`: {"1", "2"}, `null`: nil, `[]`: {}, `{"format":2,"kind":"zoho-desk-webhook","pipeline":"p","wanted":true,"ids":["3"],"generation":1}`: {"3"},
		`{"format":2,"generation":2}`: nil} {
		got, err := storedIDs([]byte(raw))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", raw, got, err, want)
		}
	}
	if ids, err := storedIDs([]byte(`"text"`)); err == nil {
		t.Errorf("text: %v and no error", ids)
	}
}
