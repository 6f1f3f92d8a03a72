package embedded

import (
	"bytes"
	"strings"
	"sync"
)

const (
	tailLines     = 5
	tailLineBytes = 300
)

// tail is a writer that keeps the last few lines, each cut short. Safe for concurrent use.
type tail struct {
	mu      sync.Mutex
	lines   []string
	partial []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if room := tailLineBytes - len(t.partial); room > 0 {
			t.partial = append(t.partial, line[:min(room, len(line))]...)
		}
		if whole {
			t.endLine()
		}
		rest = after
	}
	return len(p), nil
}

func (t *tail) endLine() {
	if line := strings.TrimSpace(string(t.partial)); line != "" {
		t.lines = append(t.lines, line)
		t.lines = t.lines[max(0, len(t.lines)-tailLines):]
	}
	t.partial = t.partial[:0]
}

// String gives the kept lines, joined by "; ".
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	if line := strings.TrimSpace(string(t.partial)); line != "" {
		lines = append(lines[:len(lines):len(lines)], line)
	}
	return strings.ToValidUTF8(strings.Join(lines, "; "), "?")
}

// firstLine is a writer that closes seen once a whole line was written, and drops everything. Used by one writer.
type firstLine struct {
	seen chan struct{}
	done bool
}

func (f *firstLine) Write(p []byte) (int, error) {
	if !f.done && bytes.IndexByte(p, '\n') >= 0 {
		f.done = true
		close(f.seen)
	}
	return len(p), nil
}
