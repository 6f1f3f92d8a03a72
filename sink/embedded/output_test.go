package embedded

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTailKeepsTheLastLinesCutShort(t *testing.T) {
	long := strings.Repeat("x", tailLineBytes+50)
	for name, tc := range map[string]struct{ written, want string }{
		"nothing":      {"", ""},
		"one line":     {"a\n", "a"},
		"no newline":   {"a\nb", "a; b"},
		"blank lines":  {"\n a \n\n", "a"},
		"long line":    {long + "\nb\n", long[:tailLineBytes] + "; b"},
		"many lines":   {"1\n2\n3\n4\n5\n6\n7\n", "3; 4; 5; 6; 7"},
		"broken UTF-8": {"a\xffb\n", "a?b"},
	} {
		t.Run(name, func(t *testing.T) {
			var tl tail
			tl.Write([]byte(tc.written))
			if got := tl.String(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTailDoesNotDependOnHowItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.StringMatching(`[ab\n ]{0,400}`)).Draw(t, "pieces")
		var whole, split tail
		whole.Write([]byte(strings.Join(pieces, "")))
		for _, p := range pieces {
			if n, err := split.Write([]byte(p)); n != len(p) || err != nil {
				t.Fatalf("wrote %d of %d, %v", n, len(p), err)
			}
		}
		if whole.String() != split.String() {
			t.Fatalf("got %q, want %q", split.String(), whole.String())
		}
	})
}

func TestFirstLineSeenOnlyWhenWhole(t *testing.T) {
	f := &firstLine{seen: make(chan struct{})}
	isSeen := func() bool {
		select {
		case <-f.seen:
			return true
		default:
			return false
		}
	}
	f.Write([]byte("26.7"))
	if isSeen() {
		t.Error("seen before the end of the line")
	}
	f.Write([]byte(".2.1\n"))
	f.Write([]byte("more\n"))
	if !isSeen() {
		t.Error("not seen")
	}
}
