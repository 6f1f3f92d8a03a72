package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"deskhouse/config"
	"deskhouse/sink/clickhouse"
)

// finding is one line of a check.
type finding struct {
	Item   string `json:"item"`
	Result string `json:"result"` // ok, warning, failure, skipped
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"` // what a person does about it
}

// The results. A warning is something that works, or will, but worse than it
// could. What was not tried because something else failed is skipped: it says
// nothing by itself.
const (
	resultOK      = "ok"
	resultWarning = "warning"
	resultFailure = "failure"
	resultSkipped = "skipped"
)

func good(item, detail string, a ...any) finding {
	return finding{Item: item, Result: resultOK, Detail: fmt.Sprintf(detail, a...)}
}

func warned(item, remedy, detail string, a ...any) finding {
	return finding{item, resultWarning, fmt.Sprintf(detail, a...), remedy}
}

func failed(item, remedy, detail string, a ...any) finding {
	return finding{item, resultFailure, fmt.Sprintf(detail, a...), remedy}
}

// skipped names the item whose failure is in the way.
func skipped(item, because string) finding {
	return finding{Item: item, Result: resultSkipped, Detail: "not tried: needs " + because}
}

// bad reports whether something went wrong with one of the findings.
func bad(findings ...finding) bool {
	for _, f := range findings {
		if f.Result == resultFailure {
			return true
		}
	}
	return false
}

type checkFlags struct {
	offline, grants bool
	writer, reader  string
}

func checkCommand(o *options) *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "Try everything that run needs, one line each",
		Long: `Tries everything that run needs, one line each, with what to do about it. With
a running deskhouse that one makes the calls, otherwise this process does, and
listens on intake.listen meanwhile. It costs some seventy API credits and writes
nothing to the warehouse. Exit code 0 unless something failed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return err
			}
			if f.grants {
				return printGrants(cfg, f, o.json)
			}
			k := checker{o: o, cfg: cfg}
			if f.offline {
				return reportFindings(k.files(cmd.Context()), o.json)
			}
			return reportFindings(k.everything(cmd.Context()), o.json)
		},
	}
	c.Flags().BoolVar(&f.offline, "offline", false, "check configuration, files, key, state folder and disk alone: no network")
	c.Flags().BoolVar(&f.grants, "grants", false, "print the ClickHouse GRANT statements for deskhouse and for a read-only analyst")
	c.Flags().StringVar(&f.writer, "writer", "", "with --grants: deskhouse's user (default: the configured one)")
	c.Flags().StringVar(&f.reader, "reader", "", "with --grants: the analyst's user")
	return c
}

// checker makes the checks of one configuration.
type checker struct {
	o   *options
	cfg *config.Config
	// public carries requests to the public URL, nil = the network.
	public http.RoundTripper
}

// everything checks this machine first. When something there is wrong already
// and nothing runs, the state is left alone.
func (k checker) everything(ctx context.Context) []finding {
	findings := k.files(ctx)
	return append(findings, k.calls(ctx, bad(findings...))...)
}

// calls asks the running service, or makes the calls here.
func (k checker) calls(ctx context.Context, broken bool) []finding {
	ctl, err := dial(k.cfg)
	switch {
	case err == nil:
		var asked []finding
		if err := errors.Join(ctl.call(ctx, "GET", "/v1/check", nil, &asked), ctl.end()); err != nil {
			return []finding{failed("running service", "look at its log", "%v", err)}
		}
		return asked
	case broken:
		return withoutState(ctx, k.cfg, zerolog.Nop(), nil)
	case !errors.Is(err, errNotRunning):
		return []finding{failed("control socket", "run this command as the user that deskhouse runs as", "%v", err)}
	}
	log, err := k.o.logger(os.Stderr)
	if err != nil {
		return []finding{failed("logging", "", "%v", err)}
	}
	c, err := openCore(ctx, k.cfg, log)
	if err != nil {
		return withoutState(ctx, k.cfg, log, err)
	}
	c.public = k.public
	findings := c.checkHere(ctx)
	if err := c.Close(); err != nil {
		findings = append(findings, failed(itemState, "", "close: %v", err))
	}
	return findings
}

// reportFindings prints and fails when one of them does.
func reportFindings(findings []finding, asJSON bool) error {
	rows := make([][]string, len(findings))
	for i, f := range findings {
		detail := f.Detail
		if f.Remedy != "" {
			detail += ". What to do: " + f.Remedy
		}
		rows[i] = []string{f.Result, f.Item, oneLine(detail)}
	}
	if asJSON {
		if err := printJSON(os.Stdout, findings); err != nil {
			return err
		}
	} else {
		printTable(os.Stdout, []string{"RESULT", "ITEM", "DETAIL"}, rows, nil)
	}
	if bad(findings...) {
		return &exitError{Code: exitFailed}
	}
	return nil
}

// oneLine keeps errors that were joined, and so have several lines, on one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// tryFor bounds one attempt of a check: the client itself would repeat a call
// that is not answered for about a minute.
const tryFor = 10 * time.Second

// grantsReply is what `check --grants --json` prints of a database.
type grantsReply struct {
	Pipeline string   `json:"pipeline"`
	Database string   `json:"database"`
	Writer   []string `json:"writer"`
	Reader   []string `json:"reader"`
}

// printGrants prints the statements an administrator of the server runs.
func printGrants(cfg *config.Config, f checkFlags, asJSON bool) error {
	replies := []grantsReply{}
	for _, name := range sortedKeys(cfg.Pipelines) {
		w := cfg.Pipelines[name].Warehouse
		if w.IsEmbedded() {
			continue
		}
		writer := f.writer
		if writer == "" {
			writer = w.User
		}
		replies = append(replies, grantsReply{name, w.Database, clickhouse.GrantSQL(clickhouse.WriterGrants(w.Database), writer),
			clickhouse.GrantSQL(clickhouse.ReaderGrants(w.Database), f.reader)})
	}
	if asJSON {
		return printJSON(os.Stdout, replies)
	}
	for _, r := range replies {
		fmt.Printf("-- pipeline %s: deskhouse itself\n%s\n-- pipeline %s: an analyst who reads\n%s\n", r.Pipeline, strings.Join(r.Writer, "\n"), r.Pipeline, strings.Join(r.Reader, "\n"))
	}
	if len(replies) == 0 {
		fmt.Fprintln(os.Stderr, "No pipeline has a ClickHouse server of its own: the embedded engine has no users.")
	}
	return nil
}
