package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"deskhouse/pipeline"
	"deskhouse/source"
	"deskhouse/source/desksim"
)

// demoOutcome is what a demo measured.
type demoOutcome struct {
	Equal            bool         `json:"equal"`
	Mismatches       int          `json:"mismatches"`
	Tables           []comparison `json:"tables"`
	LoadSeconds      float64      `json:"load_seconds"`
	RowsPerSecond    float64      `json:"load_rows_per_second"`
	CreditsPer100    float64      `json:"credits_per_100_tickets"`
	ArchiveCredits   int          `json:"archive_credits"`
	Changes          int          `json:"changes"`
	Deliveries       int64        `json:"deliveries"`
	QueryableP50     float64      `json:"event_to_queryable_p50_ms"`
	QueryableP99     float64      `json:"event_to_queryable_p99_ms"`
	DeliveriesFailed int64        `json:"deliveries_failed"`
	Examples         []example    `json:"queries"`
}

// example is an analyst's query with its result.
type example struct {
	Question string     `json:"question"`
	SQL      string     `json:"sql"`
	Columns  []string   `json:"columns"`
	Rows     [][]string `json:"rows"`
}

// demoChanges is what the demo's portal lives through: everything that
// webhooks, polls or the recycle bin tell of.
var demoChanges = desksim.Weights{CreateTicket: 200, UpdateTicket: 500, AutomationUpdate: 20, MoveTicket: 40, TrashTicket: 60, RestoreTicket: 25,
	CreateProduct: 8, UpdateProduct: 20, TrashProduct: 4, RestoreProduct: 2, CreateContract: 6, UpdateContract: 15, TrashContract: 3,
	AddDepartment: 1, UpdateDepartment: 5, AddField: 2}

// story loads, lives, quiesces and compares.
func (d *demonstration) story(ctx context.Context) (demoOutcome, error) {
	var out demoOutcome
	if err := d.load(ctx, &out); err != nil {
		return out, err
	}
	if err := d.live(ctx, &out); err != nil {
		return out, err
	}
	if err := d.quiesce(ctx); err != nil {
		return out, err
	}
	d.say("comparing every column with the portal")
	for _, t := range tablesOf(d.pipe.cfg) {
		c, err := comparer{d.pipe.wh, d.portal}.table(ctx, t)
		if err != nil {
			return out, fmt.Errorf("compare %s: %w", t, err)
		}
		out.Tables = append(out.Tables, c)
		out.Mismatches += c.Mismatches
	}
	out.Equal = out.Mismatches == 0
	if err := d.latency(ctx, &out); err != nil {
		return out, err
	}
	return out, d.examples(ctx, &out)
}

// load waits until the sync runs, registers the webhook and waits for every
// table.
func (d *demonstration) load(ctx context.Context, out *demoOutcome) error {
	d.say("portal with %d tickets; starting the engine", d.flags.sim.tickets)
	began := time.Now()
	if err := until(ctx, func() bool { d.pipe.mu.Lock(); defer d.pipe.mu.Unlock(); return d.pipe.sync != nil }); err != nil {
		return err
	}
	if _, err := d.core.registerHook(ctx, d.pipe); err != nil {
		return err
	}
	d.say("loading")
	select {
	case <-d.pipe.sync.Loaded():
	case <-ctx.Done():
		return ctx.Err()
	}
	out.LoadSeconds = time.Since(began).Seconds()
	out.RowsPerSecond = float64(d.flags.sim.tickets) / out.LoadSeconds
	spent := d.portal.Stats().CreditsFor
	out.CreditsPer100 = float64(spent["tickets.search"]) / float64(d.flags.sim.tickets) * 100
	out.ArchiveCredits = spent["tickets.archivedTickets"] + spent["tickets.get"]
	return nil
}

// until waits for a condition of this process that nothing announces.
func until(ctx context.Context, ready func() bool) error {
	for !ready() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// liveEvery spaces the changes of the demo's portal.
const liveEvery = 20 * time.Millisecond

// live changes the portal for the demo's duration.
func (d *demonstration) live(ctx context.Context, out *demoOutcome) error {
	d.say("letting the portal live for %s", d.flags.duration)
	end := time.After(d.flags.duration)
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.portal.Mutate(1)
			out.Changes++
		case <-end:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// quiesce lets everything arrive: deliveries, one poll of every table, the
// recycle bin, re-reads, and one comparison.
func (d *demonstration) quiesce(ctx context.Context) error {
	d.say("waiting until everything has arrived: deliveries, polls, recycle bin, resync")
	if err := d.portal.Flush(ctx); err != nil {
		return err
	}
	sync := d.pipe.sync
	err := d.eachTable(ctx, func(ctx context.Context, t source.Table) error {
		return errors.Join(sync.PollNow(ctx, t), sync.BinNow(ctx, t))
	})
	if err != nil {
		return err
	}
	if err := sync.Settled(ctx); err != nil {
		return err
	}
	err = d.eachTable(ctx, func(ctx context.Context, t source.Table) error {
		_, err := sync.Resync(ctx, t, pipeline.ResyncOptions{Trigger: "demo"})
		return err
	})
	if err != nil {
		return err
	}
	return sync.Settled(ctx)
}

// eachTable does something with all tables at once.
func (d *demonstration) eachTable(ctx context.Context, do func(context.Context, source.Table) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, t := range tablesOf(d.pipe.cfg) {
		g.Go(func() error { return do(ctx, t) })
	}
	return g.Wait()
}

// latency asks how long events took: from the time Zoho gave them to the moment
// the server stored the row they made. Rows that a merge has replaced since are
// left out.
func (d *demonstration) latency(ctx context.Context, out *demoOutcome) error {
	rows, err := d.rows(ctx, `SELECT toString(quantile(0.5)(ms)), toString(quantile(0.99)(ms)) FROM (
SELECT toUnixTimestamp64Milli(min(t._synced_at)) - toUnixTimestamp64Milli(any(c.at)) AS ms
FROM changes c JOIN tickets_all t ON t.id = c.id AND t._version = c.row_version
WHERE c.event_type LIKE 'Ticket%' GROUP BY c.change_id)`)
	if err != nil {
		return err
	}
	if len(rows.Rows) == 1 {
		out.QueryableP50, _ = strconv.ParseFloat(rows.Rows[0][0], 64)
		out.QueryableP99, _ = strconv.ParseFloat(rows.Rows[0][1], 64)
	}
	stats := d.portal.Stats()
	out.Deliveries, out.DeliveriesFailed = stats.Delivered, stats.Failed
	return nil
}

func (d *demonstration) examples(ctx context.Context, out *demoOutcome) error {
	for _, q := range []example{
		{Question: "Open tickets by department and priority", SQL: `SELECT department_name, priority, count() AS tickets
FROM tickets WHERE status_type = 'Open' GROUP BY ALL ORDER BY tickets DESC, department_name, priority LIMIT 5`},
		{Question: "How long tickets took to close, by month of creation", SQL: `SELECT toStartOfMonth(created_time) AS month, count() AS closed,
  round(quantile(0.5)(dateDiff('hour', created_time, closed_time))) AS median_hours
FROM tickets WHERE closed_time IS NOT NULL GROUP BY month ORDER BY month DESC LIMIT 5`},
	} {
		r, err := d.rows(ctx, q.SQL)
		if err != nil {
			return fmt.Errorf("%s: %w", q.Question, err)
		}
		q.Columns, q.Rows = r.Columns, r.Rows
		out.Examples = append(out.Examples, q)
	}
	return nil
}

func (d *demonstration) rows(ctx context.Context, query string) (example, error) {
	var e example
	rows, err := d.pipe.wh.Query(ctx, query)
	if err != nil {
		return e, err
	}
	defer rows.Close()
	e.Columns = rows.Columns
	for {
		values, null, ok := rows.Next()
		if !ok {
			return e, rows.Err()
		}
		for i := range values {
			if null[i] {
				values[i] = "NULL"
			}
		}
		e.Rows = append(e.Rows, values)
	}
}

// print shows the outcome.
func (out demoOutcome) print(asJSON bool) error {
	if asJSON {
		return printJSON(os.Stdout, out)
	}
	var rows [][]string
	for _, c := range out.Tables {
		rows = append(rows, []string{c.Table, fmt.Sprint(c.AtSource), fmt.Sprint(c.Visible), fmt.Sprint(c.Deleted), fmt.Sprint(c.Mismatches)})
	}
	right := map[int]bool{1: true, 2: true, 3: true, 4: true}
	fmt.Println()
	printTable(os.Stdout, []string{"TABLE", "AT SOURCE", "VISIBLE", "DELETED", "MISMATCHES"}, rows, right)
	for _, c := range out.Tables {
		for _, e := range c.Examples {
			fmt.Printf("  differs: %s %s\n", c.Table, e)
		}
	}
	fmt.Printf("\nload: %.1f s, %.0f tickets/s, %.2f credits per 100 tickets (archived ones apart: %d credits)\n",
		out.LoadSeconds, out.RowsPerSecond, out.CreditsPer100, out.ArchiveCredits)
	fmt.Printf("live: %d changes, %d deliveries (%d failed), event to queryable p50 %.0f ms, p99 %.0f ms\n",
		out.Changes, out.Deliveries, out.DeliveriesFailed, out.QueryableP50, out.QueryableP99)
	for _, q := range out.Examples {
		fmt.Printf("\n%s\n%s\n\n", q.Question, q.SQL)
		printTable(os.Stdout, q.Columns, q.Rows, nil)
	}
	if out.Equal {
		fmt.Println("\nequal: every column of every table is what the portal says")
	}
	return nil
}
