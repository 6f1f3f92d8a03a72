package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"deskhouse/config"
	"deskhouse/pipeline"
	"deskhouse/sink/clickhouse"
	"deskhouse/source"
	"deskhouse/source/zohodesk"
)

// planReply is what plan --json prints.
type planReply struct {
	Pipeline string      `json:"pipeline"`
	Tables   []tablePlan `json:"tables"`
	Load     costReply   `json:"load"`   // all tables
	Resync   costReply   `json:"resync"` // all tables
	Hydrate  costReply   `json:"hydrate"`
	// What bulk work may spend of the portal's credits: -1 = Zoho has not told.
	CreditsToday  int64   `json:"credits_today"`
	CreditsPerDay int64   `json:"credits_per_day"`
	CallsInFlight int     `json:"calls_in_flight"` // expected
	PageSeconds   float64 `json:"page_seconds"`    // a call took so long while the plan was made
	GetSeconds    float64 `json:"get_seconds"`
	PlanCalls     int64   `json:"plan_calls"` // what the plan itself took
	PlanCredits   int64   `json:"plan_credits"`
}

type tablePlan struct {
	Table   string    `json:"table"`
	Rows    int64     `json:"rows"`
	Counted bool      `json:"counted"` // false: rows are estimated, see notes
	Sized   bool      `json:"sized"`   // disk by the rows that the warehouse holds; false: estimated
	Load    costReply `json:"load"`
	Resync  costReply `json:"resync"`
	Hydrate costReply `json:"hydrate"` // in the background, after the load
	Notes   []string  `json:"notes"`
	Error   string    `json:"error,omitempty"` // the table cannot be planned
}

// costReply is what some work takes. Days is 0 when one day's credits suffice
// or are not known.
type costReply struct {
	Calls   int64   `json:"calls"`
	Credits int64   `json:"credits"`
	Seconds float64 `json:"seconds"` // in calls to Zoho alone
	Bytes   int64   `json:"bytes"`   // of disk; of a resync while it runs
	Days    int64   `json:"days"`
}

func planCommand(o *options) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "plan",
		Short: "Estimate what a load and a resync would take, before they start",
		Long: `Asks the portal for counts, which takes a few calls a table, and estimates calls,
credits, time and disk of a complete load and of a resync. Nothing is written.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return err
			}
			ctl, err := dialOrOpen(cmd.Context(), o, cfg)
			if err != nil {
				return err
			}
			q := url.Values{}
			if name != "" {
				q.Set("pipeline", name)
			}
			var plan planReply
			if err := errors.Join(ctl.call(cmd.Context(), "GET", "/v1/plan", q, &plan), ctl.end()); err != nil {
				return err
			}
			return plan.show(o)
		},
	}
	c.Flags().StringVarP(&name, "pipeline", "p", "", "pipeline; may be left out when there is one")
	return c
}

// planNow makes a plan of one pipeline, which need not run.
func (c *core) planNow(ctx context.Context, p *pipe, _ *http.Request) (any, error) {
	client := p.conn.client
	before := client.Credits()
	planner := &pipeline.Planner{Desk: client, Prices: zohodesk.Prices{}, Tables: tablesOf(p.cfg), Modules: zohodesk.FieldModules(),
		Hydrate: map[source.Table]bool{}, InFlight: client.ExpectedInFlight(p.edition(ctx))}
	for _, t := range planner.Tables {
		planner.Hydrate[t] = p.cfg.Tables[string(t)].Hydrate == config.HydrateAll
	}
	wh, done := c.peek(ctx, p)
	if wh != nil {
		planner.Storage = wh
	}
	plan, err := planner.Plan(ctx)
	if err := errors.Join(err, done()); err != nil {
		return nil, err
	}
	after, may := client.Credits(), client.Allowance()
	reply := planReply{Pipeline: p.name, CreditsToday: may.Today, CreditsPerDay: may.Day, CallsInFlight: planner.InFlight,
		PageSeconds: plan.PageTook.Seconds(), GetSeconds: plan.GetTook.Seconds(), PlanCalls: after.Calls - before.Calls, PlanCredits: after.Spent - before.Spent}
	reply.fill(plan, may)
	return reply, nil
}

// edition is what the portal's edition grants; "" when it cannot be told.
func (p *pipe) edition(ctx context.Context) string {
	orgs, err := p.conn.client.Organizations(ctx)
	if i := slices.IndexFunc(orgs, func(o zohodesk.Organization) bool { return o.ID == p.org }); err == nil && i >= 0 {
		return orgs[i].Edition
	}
	return ""
}

// peek is the pipeline's warehouse, nil when it cannot be had. done closes what
// was opened.
func (c *core) peek(ctx context.Context, p *pipe) (wh *clickhouse.Warehouse, done func() error) {
	wh, done, err := c.reach(ctx, p)
	if err != nil {
		c.log.Debug().Err(err).Str("pipeline", p.name).Msg("the plan has to do without the warehouse")
		return nil, func() error { return nil }
	}
	return wh, done
}

// reach is the pipeline's warehouse, opened when nothing has it open. done
// closes what was opened.
func (c *core) reach(ctx context.Context, p *pipe) (wh *clickhouse.Warehouse, done func() error, err error) {
	p.mu.Lock()
	wh = p.wh
	p.mu.Unlock()
	if wh != nil {
		return wh, func() error { return nil }, nil
	}
	patient, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	a, err := c.locate(patient, p.cfg.Warehouse)
	if err != nil {
		return nil, nil, err
	}
	if wh, err = clickhouse.Open(patient, warehouseConfig(a.URL, p.name, p.cfg, p.org, c.log)); err != nil {
		return nil, nil, err
	}
	return wh, wh.Close, nil
}

// fill puts a plan into its reply.
func (r *planReply) fill(plan pipeline.Plan, may zohodesk.Allowance) {
	var load, resync, hydrate pipeline.Cost
	r.Tables = []tablePlan{}
	for _, t := range plan.Tables {
		tp := tablePlan{Table: string(t.Table), Rows: t.Rows, Counted: t.Counted, Sized: t.Sized, Load: costOf(t.Load, may), Resync: costOf(t.Resync, may),
			Hydrate: costOf(t.Hydrate, may), Notes: append([]string{}, t.Notes...)}
		if t.Err != nil {
			tp.Error = t.Err.Error()
		}
		load, resync, hydrate = load.Add(t.Load), resync.Add(t.Resync), hydrate.Add(t.Hydrate)
		r.Tables = append(r.Tables, tp)
	}
	r.Load, r.Resync, r.Hydrate = costOf(load, may), costOf(resync, may), costOf(hydrate, may)
}

func costOf(c pipeline.Cost, may zohodesk.Allowance) costReply {
	reply := costReply{Calls: c.Calls(), Credits: c.Credits, Seconds: c.Time.Seconds(), Bytes: c.Bytes}
	if may.Today >= 0 && may.Day > 0 && c.Credits > may.Today {
		reply.Days = 1 + (c.Credits-may.Today+may.Day-1)/may.Day
	}
	return reply
}

// show prints a plan; a table that cannot be planned makes it fail.
func (r planReply) show(o *options) error {
	if o.json {
		if err := printJSON(os.Stdout, r); err != nil {
			return err
		}
	} else {
		r.print(os.Stdout)
	}
	for _, t := range r.Tables {
		if t.Error != "" {
			return &exitError{Code: exitFailed}
		}
	}
	return nil
}

func (r planReply) print(w io.Writer) {
	var rows [][]string
	line := func(table, count, work string, c costReply) {
		rows = append(rows, []string{table, count, work, fmt.Sprint(c.Calls), fmt.Sprint(c.Credits), r.duration(c), size(c.Bytes)})
	}
	for _, t := range r.Tables {
		if t.Error != "" {
			rows = append(rows, []string{t.Table, "-", "-", "-", "-", "-", "-"})
			continue
		}
		count := fmt.Sprint(t.Rows)
		if !t.Counted {
			count = "about " + count
		}
		line(t.Table, count, "load", t.Load)
		line("", "", "resync", t.Resync)
		if t.Hydrate.Calls > 0 {
			line("", "", "hydration", t.Hydrate)
		}
	}
	line("all", "", "load", r.Load)
	line("", "", "resync", r.Resync)
	printTable(w, []string{"TABLE", "ROWS", "WORK", "CALLS", "CREDITS", "TIME", "DISK"}, rows, map[int]bool{1: true, 3: true, 4: true, 5: true, 6: true})
	for _, t := range r.Tables {
		if t.Error != "" {
			fmt.Fprintf(w, "%s: cannot be planned: %s\n", t.Table, t.Error)
		}
		for _, note := range t.Notes {
			fmt.Fprintf(w, "%s: %s\n", t.Table, note)
		}
	}
	if slices.ContainsFunc(r.Tables, func(t tablePlan) bool { return !t.Sized && t.Error == "" && t.Rows > 0 }) {
		fmt.Fprintln(w, "disk: tables without rows in the warehouse are estimated from the size of the rows that were read for this plan")
	}
	fmt.Fprintf(w, "time: at %d calls in flight and %s a page, %s a record, as measured now\n", r.CallsInFlight, seconds(r.PageSeconds), seconds(r.GetSeconds))
	if r.CreditsPerDay < 0 {
		fmt.Fprintln(w, "credits: Zoho has not told how many the portal has")
	} else {
		fmt.Fprintf(w, "credits: loads and resyncs may spend %d more today and %d on a whole day; the rest is the reserve and the polls' share\n", r.CreditsToday, r.CreditsPerDay)
	}
	fmt.Fprintf(w, "this plan took %d calls and %d credits\n", r.PlanCalls, r.PlanCredits)
}

func (r planReply) duration(c costReply) string {
	text := seconds(c.Seconds)
	if c.Days > 1 {
		text += fmt.Sprintf(", over %d days", c.Days)
	}
	return text
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
	default:
		d = d.Round(time.Millisecond)
	}
	return d.String()
}

// size shows bytes in binary units.
func size(n int64) string {
	f, units := float64(n), strings.Fields("B KiB MiB GiB TiB")
	for len(units) > 1 && f >= 1024 {
		f, units = f/1024, units[1:]
	}
	return fmt.Sprintf("%.4g %s", f, units[0])
}
