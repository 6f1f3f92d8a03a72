package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"deskhouse/pipeline"
)

// replayReply is what replay --json prints. From and to are log sequences.
type replayReply struct {
	Since    time.Time `json:"since"` // UTC
	From     uint64    `json:"from"`
	To       uint64    `json:"to"` // below from: nothing is stored since
	Messages int       `json:"messages"`
	Events   int       `json:"events"`  // of the chosen tables
	Changed  int       `json:"changed"` // that changed a row
	Rereads  int       `json:"rereads"` // records to be read again because of them
	Letters  int       `json:"undecodable"`
}

func replayCommand(o *options) *cobra.Command {
	var on target
	var since string
	c := &cobra.Command{
		Use:   "replay --since TIME",
		Short: "Apply the log of webhook events to the tables once more",
		Long: `Applies every event that was stored since a time once more, in order, the way it
was applied when it came. Harmless at any time: it writes only what the warehouse
has lost. The log keeps events for a week at least.

TIME is an instant (2026-11-20T00:00:00Z) or how long ago (48h).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := sinceTime(since, time.Now())
			if err != nil {
				return &exitError{exitUsage, err}
			}
			w := work{pipeline: on.pipeline, tables: on.tables, mode: pipeline.Passive, method: "POST", path: "/v1/replay", settle: true,
				query: url.Values{"since": {from.Format(time.RFC3339Nano)}}}
			var reply replayReply
			if err := w.do(cmd.Context(), o, &reply); err != nil {
				return err
			}
			if o.json {
				return printJSON(os.Stdout, reply)
			}
			reply.print()
			return nil
		},
	}
	on.flags(c.Flags())
	c.Flags().StringVar(&since, "since", "", "an instant such as 2026-11-20T00:00:00Z, or how long ago, such as 48h")
	return c
}

// sinceTime reads an instant, or a duration back from now. UTC.
func sinceTime(text string, now time.Time) (time.Time, error) {
	const want = "want an instant such as 2026-11-20T00:00:00Z, or how long ago, such as 48h"
	if text == "" {
		return time.Time{}, errors.New("--since is missing: " + want)
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	back, err := time.ParseDuration(text)
	if err != nil || back < 0 {
		return time.Time{}, fmt.Errorf("--since %q: %s", text, want)
	}
	return now.Add(-back).UTC(), nil
}

func (r replayReply) print() {
	if r.From > r.To {
		fmt.Printf("no event is stored since %s\n", clock(&r.Since))
		return
	}
	fmt.Printf("%d events in %d log messages (%d to %d) since %s: %d changed a row, %d records are read again\n",
		r.Events, r.Messages, r.From, r.To, clock(&r.Since), r.Changed, r.Rereads)
	if r.Letters > 0 {
		fmt.Printf("%d could not be decoded; they are dead letters already\n", r.Letters)
	}
}

// replayNow applies the log once more to the tables that the request names, all
// when it names none.
func (c *core) replayNow(ctx context.Context, p *pipe, r *http.Request) (any, error) {
	sync, tables, err := p.toCompare(r)
	if err != nil {
		return nil, err
	}
	since, err := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("since: %w", err)}
	}
	report, err := sync.Replay(ctx, since, tables)
	if err != nil {
		return nil, fmt.Errorf("replay since %s: %w", since.UTC().Format(time.RFC3339), err)
	}
	return replayReply{Since: since.UTC(), From: report.From, To: report.To, Messages: report.Messages, Events: report.Events,
		Changed: report.Changed, Rereads: report.Rereads, Letters: report.Letters}, nil
}
