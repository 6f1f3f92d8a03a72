package main

import (
	"context"
	"fmt"
	"time"

	"deskhouse/pipeline"
)

// scheduleStatus is when a pipeline resyncs by itself. Cron is read in TimeZone;
// all other times are UTC.
type scheduleStatus struct {
	Cron     string     `json:"cron"`
	TimeZone string     `json:"time_zone"`
	Missed   string     `json:"missed"`
	Next     *time.Time `json:"next"` // in the past: about to begin, or under way
	Last     *time.Time `json:"last"` // the scheduled time that was run last
}

// decisionStatus is something that stands still until a person decides.
type decisionStatus struct {
	Table   string    `json:"table"`
	Run     string    `json:"run"` // in sync_runs
	Since   time.Time `json:"since"`
	Reason  string    `json:"reason"`
	Command string    `json:"command"` // what to run if the portal really lost that
}

// ahead fills in what lies ahead of a pipeline: the next scheduled resync and
// what waits for a decision.
func (p *pipe) ahead(ctx context.Context, s *pipelineStatus) {
	p.mu.Lock()
	sync := p.sync
	p.mu.Unlock()
	s.Decisions = []decisionStatus{}
	if r := p.cfg.Resync; r != nil {
		s.Schedule = &scheduleStatus{Cron: r.Cron, TimeZone: r.TimeZone, Missed: string(r.Missed)}
	}
	if sync == nil {
		return
	}
	if err := p.askAhead(ctx, sync, s); err != nil {
		s.Reason = err.Error()
	}
}

func (p *pipe) askAhead(ctx context.Context, sync *pipeline.Pipeline, s *pipelineStatus) error {
	if s.Schedule != nil {
		at, err := sync.Schedule(ctx)
		if err != nil {
			return err
		}
		s.Schedule.Next, s.Schedule.Last = orNull(at.Next), orNull(at.Last)
	}
	decisions, err := sync.Decisions(ctx)
	for _, d := range decisions {
		s.Decisions = append(s.Decisions, decisionStatus{Table: string(d.Table), Run: d.Run, Since: d.Since, Reason: d.Reason,
			Command: fmt.Sprintf("deskhouse resync --pipeline %s --table %s --accept-loss", p.name, d.Table)})
	}
	return err
}
