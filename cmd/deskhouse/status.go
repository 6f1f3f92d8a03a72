package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how far the running deskhouse is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return err
			}
			ctl, err := dial(cfg)
			if errors.Is(err, errNotRunning) {
				return fmt.Errorf("%w (no service on %s)", err, socketPath(cfg.State.Dir))
			}
			if err != nil {
				return err
			}
			st, err := ctl.status(cmd.Context())
			if err := errors.Join(err, ctl.end()); err != nil {
				return err
			}
			if o.json {
				return printJSON(os.Stdout, st)
			}
			printStatus(os.Stdout, st)
			return nil
		},
	}
}

func printStatus(w io.Writer, st statusReply) {
	fmt.Fprintf(w, "deskhouse %s, pid %d\n", st.Version, st.PID)
	for _, p := range st.Pipelines {
		fmt.Fprintf(w, "\npipeline %s → %s database %s\n", p.Name, p.Warehouse.URL, p.Warehouse.Database)
		printPaused(w, p)
		if !p.Running {
			fmt.Fprintf(w, "  not running: %s\n", p.Reason)
			continue
		}
		rows := make([][]string, len(p.Tables))
		for i, t := range p.Tables {
			rows[i] = []string{t.Table, t.Phase, rowsOf(t), clock(t.CompleteUntil), clock(t.LastEventAt), clock(t.LastPollAt), clock(t.LastResyncAt), fmt.Sprint(t.Drift), t.Reason}
		}
		printTable(w, []string{"TABLE", "PHASE", "ROWS READ", "COMPLETE UNTIL", "LAST EVENT", "LAST POLL", "LAST RESYNC", "DRIFT", ""}, rows, map[int]bool{2: true, 7: true})
		printHydration(w, p.Tables)
		printLayouts(w, p.Layouts)
		printAhead(w, p)
		fmt.Fprintf(w, "events waiting: %d   re-reads queued: %d   webhooks: %v\n", waiting(p), p.Rereads, p.Webhooks)
		for _, f := range p.Failing {
			fmt.Fprintf(w, "FAILING: %s\n", f)
		}
		if p.HookFault != "" {
			fmt.Fprintf(w, "webhook not as it should be, polls find what it misses: %s\n", p.HookFault)
		}
	}
	for _, c := range st.Connections {
		fmt.Fprintf(w, "\nconnection %s: %d credits spent today, %s left, %d of %d calls in flight\n", c.Name, c.CreditsSpent, known(c.CreditsRemaining), c.CallsInFlight, c.CallLimit)
		printAuthorisation(w, c)
		if c.WaitingUntil != nil {
			fmt.Fprintf(w, "  waiting until %s: %s\n", clock(c.WaitingUntil), c.WaitingFor)
		}
	}
}

// printHydration says which tables lack columns that only a GET by id carries.
func printHydration(w io.Writer, tables []tableStatus) {
	for _, t := range tables {
		switch {
		case t.Unhydrated == 0:
		case t.HydratedBy == nil:
			fmt.Fprintf(w, "hydration of %s: %d rows left, waiting for credits\n", t.Table, t.Unhydrated)
		default:
			fmt.Fprintf(w, "hydration of %s: %d rows left, done by %s at the latest\n", t.Table, t.Unhydrated, clock(t.HydratedBy))
		}
	}
}

// printAhead says when the next scheduled resync comes and what waits for a
// person.
func printAhead(w io.Writer, p pipelineStatus) {
	if s := p.Schedule; s != nil {
		fmt.Fprintf(w, "next resync: %s (%s in %s, missed: %s)   last: %s\n", clock(s.Next), s.Cron, s.TimeZone, s.Missed, clock(s.Last))
	} else {
		fmt.Fprintln(w, "next resync: on command only")
	}
	for _, d := range p.Decisions {
		fmt.Fprintf(w, "DECISION NEEDED since %s: %s: %s\n", clock(&d.Since), d.Table, d.Reason)
	}
}

// waiting is how many log sequences are stored and not applied.
func waiting(p pipelineStatus) uint64 {
	if p.LogLast <= p.LogApplied {
		return 0
	}
	return p.LogLast - p.LogApplied
}

func rowsOf(t tableStatus) string {
	if t.Total > t.Rows {
		return fmt.Sprintf("%d of %d", t.Rows, t.Total)
	}
	return fmt.Sprint(t.Rows)
}

func known(n int64) string {
	if n < 0 {
		return "an unknown number"
	}
	return fmt.Sprint(n)
}

// clock shows a UTC instant to the second, "-" when there is none.
func clock(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
