package pipeline

import (
	"context"
	"time"

	"deskhouse/source"
)

// PlanDesk is the portal as a plan asks it.
type PlanDesk interface {
	Desk
	// Count is how many tickets a department has, the whole portal for 0.
	Count(ctx context.Context, p source.Priority, departmentID uint64) (int64, error)
}

// Prices are what calls cost, in credits.
type Prices interface {
	Get() int64
	Page(offset int) int64
}

// Storage is what a warehouse says of the room a table takes.
type Storage interface {
	// Sizes are the rows of a table's main register, and the bytes on disk of all
	// its registers.
	Sizes(ctx context.Context, t source.Table) (rows, bytes uint64, err error)
}

// Planner estimates what loads and resyncs take. It needs no sync and writes
// nothing. Storage is nil when the warehouse cannot be asked.
type Planner struct {
	Desk     PlanDesk
	Prices   Prices
	Storage  Storage
	Tables   []source.Table
	Modules  []string
	Hydrate  map[source.Table]bool // every row is read by id as well
	InFlight int                   // calls that will be in flight at once
}

// Plan is what each table takes, in the order of Planner.Tables.
type Plan struct {
	Tables []TablePlan
	// How long a call of each kind took while the plan was made.
	PageTook, GetTook time.Duration
}

// TablePlan is what one table takes. Rows are those at the source.
type TablePlan struct {
	Table   source.Table
	Rows    int64
	Counted bool // Zoho's own count or a complete list; else an estimate
	Load    Cost
	Resync  Cost
	Hydrate Cost     // in the background, after the load; zero when it is off
	Sized   bool     // disk by the rows that the warehouse holds; else an estimate from those that were read
	Notes   []string // what is not known, and what was assumed
	Err     error    // the portal refused or failed; everything else is zero
}

// Cost is what some work takes.
type Cost struct {
	Pages   int64 // calls for a page
	Gets    int64 // calls for a record by id
	Credits int64
	Time    time.Duration // in Zoho's calls alone, unless credits run out
	Bytes   int64         // of disk; of a resync, while it runs
}

// Calls is the number of calls to Zoho.
func (c Cost) Calls() int64 { return c.Pages + c.Gets }

// Add sums two costs, as of work done one after the other.
func (c Cost) Add(d Cost) Cost {
	return Cost{c.Pages + d.Pages, c.Gets + d.Gets, c.Credits + d.Credits, c.Time + d.Time, c.Bytes + d.Bytes}
}

// Plan asks the portal for counts, which takes a handful of calls a table, and
// estimates. A table that cannot be counted has its error; the only error
// returned is ctx's.
func (pl *Planner) Plan(ctx context.Context) (Plan, error) {
	r := &survey{Planner: pl}
	plan := Plan{}
	for _, t := range pl.Tables {
		tp, err := r.table(ctx, t)
		if ctx.Err() != nil {
			return plan, ctx.Err()
		}
		if err != nil {
			tp = TablePlan{Table: t, Err: err}
		}
		plan.Tables = append(plan.Tables, tp)
	}
	plan.PageTook, plan.GetTook = r.page.mean(), r.get.mean()
	for i := range plan.Tables {
		if tp := &plan.Tables[i]; tp.Err == nil {
			for _, c := range []*Cost{&tp.Load, &tp.Resync, &tp.Hydrate} {
				pl.time(c, plan)
			}
		}
	}
	return plan, nil
}

// time fills in how long the calls of a cost take.
func (pl *Planner) time(c *Cost, plan Plan) {
	pages, gets := max(1, min(pl.InFlight, readWorkers)), max(1, min(pl.InFlight, rereadParallel))
	c.Time = plan.PageTook*time.Duration(c.Pages)/time.Duration(pages) + plan.GetTook*time.Duration(c.Gets)/time.Duration(gets)
}

// table plans one table.
func (r *survey) table(ctx context.Context, t source.Table) (tp TablePlan, err error) {
	tp.Table = t
	bytes := 0.0 // of JSON, of a row on average
	switch t {
	case source.Tickets, source.Products:
		bytes, err = r.searched(ctx, &tp)
	case source.Contracts, source.Departments:
		bytes, err = r.listed(ctx, &tp)
	case source.OrganizationFields:
		bytes, err = r.described(ctx, &tp)
	}
	if err != nil {
		return tp, err
	}
	if r.Hydrate[t] && (t == source.Tickets || t == source.Products) {
		tp.Hydrate = r.gets(tp.Rows)
	}
	if held, ok := r.bytesPerRow(ctx, t); ok {
		bytes, tp.Sized = held, true
	} else {
		bytes *= diskShare
	}
	tp.Load.Bytes = int64(float64(tp.Rows) * bytes)
	tp.Resync.Bytes = tp.Rows * seenBytes
	return tp, nil
}

// seenBytes is what the record of one seen key takes while a resync runs: its
// table, org and id, hardly compressible.
const seenBytes = 16

// diskShare is what a row takes in the warehouse for each byte of its JSON, all
// registers together. The simulator's tickets took 0.13 after a load; people's
// texts compress less well, and merges need room, so twice that is planned.
const diskShare = 0.25

// bytesPerRow is what the warehouse's own rows take; false when it has none or
// cannot be asked.
func (pl *Planner) bytesPerRow(ctx context.Context, t source.Table) (float64, bool) {
	if pl.Storage == nil {
		return 0, false
	}
	rows, bytes, err := pl.Storage.Sizes(ctx, t)
	if err != nil || rows == 0 {
		return 0, false
	}
	return float64(bytes) / float64(rows), true
}
