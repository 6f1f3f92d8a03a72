package launch

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseReadsWhatStringsWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(1, 20, -1)
		want := Args{
			Library:    text.Draw(t, "library"),
			Dir:        text.Draw(t, "dir"),
			Host:       text.Draw(t, "host"),
			TCPPort:    rapid.IntRange(1, 65535).Draw(t, "tcp"),
			HTTPPort:   rapid.IntRange(1, 65535).Draw(t, "http"),
			ConfigFile: rapid.String().Draw(t, "config"),
		}
		got, err := Parse(want.Strings())
		if err != nil || got != want {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ args, says string }{
		"nothing":        {"", "usage"},
		"too few":        {"l d h 1", "usage"},
		"too many":       {"l d h 1 2 c x", "usage"},
		"tcp port text":  {"l d h x 2", "tcp port"},
		"tcp port zero":  {"l d h 0 2", "tcp port"},
		"http port high": {"l d h 1 65536", "http port"},
		"http port sign": {"l d h 1 -2", "http port"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(strings.Fields(tc.args)); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want an error with %q", err, tc.says)
			}
		})
	}
	if _, err := Parse([]string{"", "d", "h", "1", "2"}); err == nil {
		t.Error("an empty library was accepted")
	}
}
