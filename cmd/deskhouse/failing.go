package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"deskhouse/pipeline"
)

// failingStatus is something that a pipeline tries again and that has not
// succeeded since.
type failingStatus struct {
	Table string    `json:"table,omitempty"`
	What  string    `json:"what"`
	Since time.Time `json:"since"` // UTC
	Times int       `json:"times"`
	Error string    `json:"error"` // of the last try
}

func (f failingStatus) String() string {
	return pipeline.Failing{What: f.What, Since: f.Since, Times: f.Times, Err: f.Error}.String()
}

func failingOf(all []pipeline.Failing) []failingStatus {
	out := make([]failingStatus, len(all))
	for i, f := range all {
		out[i] = failingStatus{Table: string(f.Table), What: f.What, Since: f.Since, Times: f.Times, Error: f.Err}
	}
	return out
}

// lastingAfter is how long something fails before a pipeline no longer counts
// as ready: a restart of the warehouse is none of that.
const lastingAfter = 30 * time.Second

func lasting(sync *pipeline.Pipeline, now time.Time) []pipeline.Failing {
	if sync == nil {
		return nil
	}
	var out []pipeline.Failing
	for _, f := range sync.Failing() {
		if now.Sub(f.Since) >= lastingAfter {
			out = append(out, f)
		}
	}
	return out
}

// Somebody who asked for work and has no answer yet wants to know why.
const (
	lookEvery = 5 * time.Second
	tellEvery = time.Minute
)

// tellWhy says what work that was asked of a pipeline (the only one where it is
// not named) waits for: once, and again every minute, until ctx ends.
func tellWhy(ctx context.Context, out io.Writer, name string, look <-chan time.Time, status func(context.Context) (statusReply, error)) error {
	told := map[string]time.Time{}
	for {
		var now time.Time
		select {
		case now = <-look:
		case <-ctx.Done():
			return ctx.Err()
		}
		st, err := status(ctx)
		if err != nil {
			continue // whoever asked for the work hears of it
		}
		for _, p := range st.Pipelines {
			for _, f := range p.Failing {
				if name != "" && p.Name != name || now.Sub(told[f.What]) < tellEvery {
					continue
				}
				told[f.What] = now
				fmt.Fprintf(out, "waiting, as %s\n", f)
			}
		}
	}
}
