package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"deskhouse/pipeline"
)

// progressEvery is how often a log without a terminal gets a line.
const progressEvery = 5 * time.Second

// display shows how far each table is: bars on a terminal, otherwise a log line
// every few seconds while something is loaded.
type display struct {
	bars *mpb.Progress // nil without a terminal
	rows map[string]*barRow
}

// barRow is one bar and what it shows.
type barRow struct {
	bar  *mpb.Bar
	text string
}

// newDisplay decides by what stderr is.
func newDisplay(ctx context.Context, stderr *os.File) *display {
	d := &display{rows: map[string]*barRow{}}
	if term.IsTerminal(int(stderr.Fd())) {
		d.bars = mpb.NewWithContext(ctx, mpb.WithOutput(stderr), mpb.WithWidth(60), mpb.WithAutoRefresh())
	}
	return d
}

// output is where log lines go: above the bars, if there are any.
func (d *display) output(stderr *os.File) io.Writer {
	if d.bars != nil {
		return d.bars
	}
	return stderr
}

// run updates the display from what status tells until ctx ends.
func (d *display) run(ctx context.Context, status func(context.Context) (statusReply, error), log zerolog.Logger) error {
	every := progressEvery
	if d.bars != nil {
		every = 200 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			d.close()
			return ctx.Err()
		}
		st, err := status(ctx)
		if err != nil {
			continue // shown by status and readyz; a display has nothing to add
		}
		for _, p := range st.Pipelines {
			for _, t := range p.Tables {
				d.show(p, t, st.creditsOf(p), log)
			}
		}
	}
}

// creditsOf is what the connection of a pipeline has spent.
func (s statusReply) creditsOf(p pipelineStatus) int64 {
	for _, c := range s.Connections {
		if c.Name == p.Connection {
			return c.CreditsSpent
		}
	}
	return 0
}

func (d *display) show(p pipelineStatus, t tableStatus, credits int64, log zerolog.Logger) {
	loading := t.Phase == pipeline.PhaseSnapshot || t.Phase == pipeline.PhaseResync
	eta := (time.Duration(t.ETASeconds) * time.Second).String()
	if d.bars == nil {
		if loading {
			log.Info().Str("pipeline", p.Name).Str("table", t.Table).Str("phase", t.Phase).Int64("rows", t.Rows).Int64("total", t.Total).
				Float64("rows_per_second", t.RowsPerSecond).Int64("credits", credits).Str("eta", eta).Msg("progress")
		}
		return
	}
	name := p.Name + " " + t.Table
	row := d.rows[name]
	if row == nil {
		if !loading {
			return
		}
		row = &barRow{}
		row.bar = d.bars.AddBar(0, mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return row.text })))
		d.rows[name] = row
	}
	row.text = fmt.Sprintf("%d/%d rows  %.0f/s  %d credits  ETA %s", t.Rows, max(t.Total, t.Rows), t.RowsPerSecond, credits, eta)
	row.bar.SetTotal(max(t.Total, t.Rows, 1), !loading)
	row.bar.SetCurrent(t.Rows)
	if !loading {
		delete(d.rows, name)
	}
}

func (d *display) close() {
	if d.bars == nil {
		return
	}
	for _, r := range d.rows {
		r.bar.Abort(false)
	}
	d.bars.Wait()
}
