package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"deskhouse/pipeline"
	"deskhouse/source"
)

// comparisonReply is the answer to resync and verify, and what both print with
// --json: a report for every table that was begun, whatever became of it, and a
// problem for each that did not end well.
type comparisonReply struct {
	Reports  []runReply     `json:"reports"`
	Problems []problemReply `json:"problems"`
}

// runReply is one table's drift report; sync_runs holds the same. Times are UTC.
type runReply struct {
	Run            string    `json:"run"`
	Table          string    `json:"table"`
	Trigger        string    `json:"trigger"`
	Started        time.Time `json:"started"`
	Finished       time.Time `json:"finished"`
	Read           uint64    `json:"read"`      // records seen at the source
	Unchanged      uint64    `json:"unchanged"` // of those
	Repaired       uint64    `json:"repaired"`
	Backfilled     uint64    `json:"backfilled"` // right, and written once more for a column they lacked
	Deleted        uint64    `json:"deleted"`    // gone at the source, confirmed by GET
	Resurrected    uint64    `json:"resurrected"`
	MissedBySearch uint64    `json:"missed_by_search"` // absent from search, alive by GET
	NotVisible     uint64    `json:"not_visible"`      // GET is refused: kept
	Drift          uint64    `json:"drift"`            // repaired + deleted + resurrected; verify: would be
	Complete       bool      `json:"complete"`         // false: nothing was concluded from absence
	Error          string    `json:"error,omitempty"`
	Pending        []string  `json:"pending,omitempty"` // columns that wait for a backfill: no drift
}

type problemReply struct {
	Table string `json:"table"`
	Error string `json:"error"`
	Code  int    `json:"exit_code"`
}

func runReplyOf(r source.RunReport) runReply {
	return runReply{Run: r.Run, Table: string(r.Table), Trigger: r.Trigger, Started: r.Started.UTC(), Finished: r.Finished.UTC(), Read: r.Read,
		Unchanged: r.Unchanged, Repaired: r.Repaired, Backfilled: r.Backfilled, Deleted: r.Deleted, Resurrected: r.Resurrected, MissedBySearch: r.MissedBySearch,
		NotVisible: r.NotVisible, Drift: r.Repaired + r.Deleted + r.Resurrected, Complete: !r.Incomplete && r.Err == "", Error: r.Err, Pending: r.Pending}
}

// eachTable compares tables side by side, departments after the others; one that
// fails does not hide the others.
func eachTable(tables []source.Table, compare func(source.Table) (source.RunReport, error)) comparisonReply {
	tables = pipeline.InOrder(tables)
	reports, errs := make([]source.RunReport, len(tables)), make([]error, len(tables))
	var wg sync.WaitGroup
	for i, t := range tables {
		if t == source.Departments {
			wg.Wait()
		}
		wg.Go(func() { reports[i], errs[i] = compare(t) })
	}
	wg.Wait()
	reply := comparisonReply{Reports: []runReply{}, Problems: []problemReply{}}
	for i, t := range tables {
		if reports[i].Run != "" {
			reply.Reports = append(reply.Reports, runReplyOf(reports[i]))
		}
		err := errs[i]
		if err == nil && reports[i].Incomplete {
			err = errIncomplete
		}
		if err != nil {
			reply.Problems = append(reply.Problems, problemReply{string(t), err.Error(), exitCode(err)})
		}
	}
	return reply
}

var errIncomplete = errors.New("not everything could be read: what was read is compared, and nothing is concluded from what is absent (the log says why)")

// resyncNow compares and repairs the tables that the request names, all when it
// names none.
func (c *core) resyncNow(ctx context.Context, p *pipe, r *http.Request) (any, error) {
	sync, tables, err := p.toCompare(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	opts := pipeline.ResyncOptions{Trigger: "command", AcceptLoss: q.Get("accept_loss") == "true", Rebuild: q.Get("rebuild") == "true"}
	return eachTable(tables, func(t source.Table) (source.RunReport, error) { return sync.Resync(ctx, t, opts) }), nil
}

// verifyNow is resyncNow, writing nothing.
func (c *core) verifyNow(ctx context.Context, p *pipe, r *http.Request) (any, error) {
	sync, tables, err := p.toCompare(r)
	if err != nil {
		return nil, err
	}
	return eachTable(tables, func(t source.Table) (source.RunReport, error) { return sync.Verify(ctx, t) }), nil
}

func (p *pipe) toCompare(r *http.Request) (*pipeline.Pipeline, []source.Table, error) {
	sync, err := p.running(r.Context())
	if err != nil {
		return nil, nil, err
	}
	tables, err := p.chosen(r.URL.Query()["table"])
	return sync, tables, err
}

// chosen are the named tables of a pipeline, all of them without names.
func (p *pipe) chosen(names []string) ([]source.Table, error) {
	if all := tablesOf(p.cfg); len(names) > 0 {
		return namedTables(all, names)
	} else {
		return all, nil
	}
}

// severity orders exit codes, the worst first.
var severity = []int{exitDecision, exitFailed, exitDrift, exitDone}

// show prints the reports, then a line for each problem, and returns the worst
// exit code of all; drift counts when it is asked for.
func (reply comparisonReply) show(o *options, drift bool) error {
	if o.json {
		if err := printJSON(os.Stdout, reply); err != nil {
			return err
		}
	} else if len(reply.Reports) > 0 {
		printReports(reply.Reports)
	}
	codes := []int{}
	for _, r := range reply.Reports {
		if drift && r.Drift > 0 {
			codes = append(codes, exitDrift)
		}
	}
	for _, p := range reply.Problems {
		fmt.Fprintf(os.Stderr, "deskhouse: %s: %s\n", p.Table, strings.TrimPrefix(p.Error, p.Table+": "))
		codes = append(codes, p.Code)
	}
	return worst(codes)
}

// worst is the gravest of some exit codes as an error that prints nothing.
func worst(codes []int) error {
	for _, code := range severity {
		if code != exitDone && slices.Contains(codes, code) {
			return &exitError{Code: code}
		}
	}
	if len(codes) > 0 { // one that is not in the order
		return &exitError{Code: codes[0]}
	}
	return nil
}

// printReports shows drift reports.
func printReports(reports []runReply) {
	rows := make([][]string, len(reports))
	for i, r := range reports {
		rows[i] = []string{r.Table, fmt.Sprint(r.Read), fmt.Sprint(r.Unchanged), fmt.Sprint(r.Repaired), fmt.Sprint(r.Backfilled), fmt.Sprint(r.Deleted),
			fmt.Sprint(r.Resurrected), fmt.Sprint(r.MissedBySearch), fmt.Sprint(r.NotVisible), fmt.Sprint(r.Drift), yes(r.Complete)}
	}
	printTable(os.Stdout, []string{"TABLE", "READ", "UNCHANGED", "REPAIRED", "BACKFILLED", "DELETED", "RESURRECTED", "MISSED BY SEARCH", "NOT VISIBLE", "DRIFT", "COMPLETE"}, rows,
		map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true})
	for _, r := range reports {
		if len(r.Pending) > 0 {
			fmt.Fprintf(os.Stdout, "%s: not filled yet, which is no drift: %s\n", r.Table, strings.Join(r.Pending, ", "))
		}
	}
}
