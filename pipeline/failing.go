package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"deskhouse/source"
)

// Failing is something that is tried again and has not succeeded since. While a
// table's writing fails, its events wait in the log and nothing is lost.
type Failing struct {
	Table source.Table // "" = no single one
	What  string       // "write tickets"
	Since time.Time    // first failure, local clock (UTC)
	Times int
	Err   string // of the last try: words, ids and codes, no row values
}

func (f Failing) String() string {
	return fmt.Sprintf("%s has failed %d times since %s: %s", f.What, f.Times, f.Since.UTC().Format("2006-01-02 15:04:05Z"), f.Err)
}

// failing holds what fails now. Safe for concurrent use.
type failing struct {
	clock clockwork.Clock
	mu    sync.Mutex
	now   map[string]*Failing // by what
}

func newFailing(clock clockwork.Clock) *failing {
	return &failing{clock: clock, now: map[string]*Failing{}}
}

// noting is do, whose failures are noted until it succeeds.
func (f *failing) noting(t source.Table, what string, do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := do(ctx)
		if err == nil || ctx.Err() == nil {
			f.note(t, what, err)
		}
		return err
	}
}

func (f *failing) note(t source.Table, what string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.now, what)
		return
	}
	if f.now[what] == nil {
		f.now[what] = &Failing{Table: t, What: what, Since: f.clock.Now().UTC()}
	}
	f.now[what].Times++
	f.now[what].Err = err.Error()
}

// list is what fails now, what has failed the longest first.
func (f *failing) list() []Failing {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Failing
	for _, one := range f.now {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b Failing) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.What, b.What)) })
	return all
}

// of is what has kept a table from being written the longest, "" for nothing.
func of(all []Failing, t source.Table) string {
	for _, f := range all {
		if f.Table == t || f.Table == "" {
			return f.String()
		}
	}
	return ""
}
