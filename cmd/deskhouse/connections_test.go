package main

import (
	"strings"
	"testing"
	"time"

	"deskhouse/config"
)

func TestSharedLimits(t *testing.T) {
	got := sharedLimits(map[string]config.Connection{"a": {ClientID: "1", OrgID: 5}, "b": {ClientID: "1", OrgID: 6}, "c": {ClientID: "2", OrgID: 5}, "d": {ClientID: "3", OrgID: 7}})
	for name, want := range map[string][]string{"a": {"client id as connection b", "portal as connection c"}, "b": {"client id as connection a"}, "c": {"portal as connection a"}, "d": nil} {
		if len(got[name]) != len(want) {
			t.Errorf("%s: %q", name, got[name])
			continue
		}
		for i, text := range want {
			if !strings.Contains(got[name][i], text) {
				t.Errorf("%s: %q does not say %q", name, got[name][i], text)
			}
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Hour: "just now", 59 * time.Second: "just now", 90 * time.Second: "1 min", 26 * time.Hour: "26 h", 72 * time.Hour: "3 days"} {
		if got := age(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
