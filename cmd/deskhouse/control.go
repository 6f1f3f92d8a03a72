package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"deskhouse/pipeline"
	"deskhouse/source"
	"deskhouse/source/webhook"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The control API: HTTP and JSON on a socket of the data folder that only its
// owner may open. Commands ask the running service there. The types below are
// its contract; fields are added, never renamed.

// statusReply is GET /v1/status.
type statusReply struct {
	Version     string             `json:"version"`
	PID         int                `json:"pid"`
	Pipelines   []pipelineStatus   `json:"pipelines"`
	Connections []connectionStatus `json:"connections"`
}

type pipelineStatus struct {
	Name       string           `json:"name"`
	Connection string           `json:"connection"`
	Running    bool             `json:"running"`
	Reason     string           `json:"reason,omitempty"` // why not
	Tables     []tableStatus    `json:"tables"`
	LogApplied uint64           `json:"log_applied"`
	LogLast    uint64           `json:"log_last"`
	Rereads    int              `json:"rereads_queued"`
	Warehouse  warehouseInfo    `json:"warehouse"`
	Layouts    []layoutStatus   `json:"other_layouts,omitempty"`
	Webhooks   []string         `json:"webhooks"` // registered ids
	HookFault  string           `json:"webhook_fault,omitempty"`
	Schedule   *scheduleStatus  `json:"resync_schedule"`  // null = only on command
	Decisions  []decisionStatus `json:"decisions"`        // what waits for a person
	Paused     string           `json:"paused,omitempty"` // why Zoho is not asked
	Failing    []failingStatus  `json:"failing"`          // what is tried again and has not succeeded since
}

type tableStatus struct {
	Table         string     `json:"table"`
	Phase         string     `json:"phase"`
	Reason        string     `json:"reason,omitempty"`
	Rows          int64      `json:"rows"`            // read in this phase
	Total         int64      `json:"total,omitempty"` // by Zoho's count
	RowsPerSecond float64    `json:"rows_per_second"`
	ETASeconds    float64    `json:"eta_seconds,omitempty"`
	CompleteUntil *time.Time `json:"complete_until"` // times are UTC, null = not yet
	LastEventAt   *time.Time `json:"last_event_at"`
	LastPollAt    *time.Time `json:"last_poll_at"`
	LastResyncAt  *time.Time `json:"last_resync_at"`
	Drift         uint64     `json:"drift"`
	Unhydrated    int64      `json:"unhydrated,omitempty"`  // rows whose detail is still to be read
	HydratedBy    *time.Time `json:"hydrated_by,omitempty"` // at the latest, as far as credits go
}

type connectionStatus struct {
	Name             string     `json:"name"`
	CreditsSpent     int64      `json:"credits_spent_today"`
	CreditsRemaining int64      `json:"credits_remaining"` // -1 = not told yet
	CallsInFlight    int        `json:"calls_in_flight"`
	CallLimit        int        `json:"call_limit"`
	WaitingUntil     *time.Time `json:"waiting_until"`
	WaitingFor       string     `json:"waiting_for,omitempty"`
	authorisationStatus
}

// warehouseInfo says where a pipeline's tables are; never a password.
type warehouseInfo struct {
	URL      string `json:"url"`
	HTTP     string `json:"http,omitempty"`
	Database string `json:"database"`
	Version  string `json:"version,omitempty"`
}

// errorReply is the body of every refusal.
type errorReply struct {
	Error string `json:"error"`
	Code  int    `json:"exit_code"`
}

// socketPath is where a configuration's service listens.
func socketPath(stateDir string) string { return filepath.Join(stateDir, "control.sock") }

// maxSocketPath is what every platform takes (sun_path: 104 bytes on macOS, 108
// on Linux, with the zero at the end).
const maxSocketPath = 103

// serveControl listens until ctx ends. The folder's lock is held, so a socket
// that is there already belongs to nobody.
func (c *core) serveControl(ctx context.Context) error {
	path := socketPath(c.cfg.State.Dir)
	if err := os.MkdirAll(c.cfg.State.Dir, 0o700); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("control socket: %w", err)
	}
	if len(path) > maxSocketPath {
		return &exitError{exitUsage, fmt.Errorf("state.dir: %s is too long for a socket (%d of %d characters); choose a shorter folder", path, len(path), maxSocketPath)}
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("control socket: %w", err), listener.Close())
	}
	srv := webhook.HTTPServer("", c.controlHandler())
	srv.WriteTimeout, srv.ReadTimeout = 0, 0 // a resync answers when it is done
	return serveHTTP(ctx, srv, listener)
}

func (c *core) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) { answer(w, c.status(r.Context()), nil) })
	mux.HandleFunc("GET /v1/check", func(w http.ResponseWriter, r *http.Request) { answer(w, c.check(r.Context()), nil) })
	mux.HandleFunc("POST /v1/resync", c.perPipe(c.resyncNow))
	mux.HandleFunc("POST /v1/verify", c.perPipe(c.verifyNow))
	mux.HandleFunc("POST /v1/replay", c.perPipe(c.replayNow))
	mux.HandleFunc("GET /v1/plan", c.perPipe(c.planNow))
	mux.HandleFunc("GET /v1/schema", c.perPipe(c.schemaNow))
	c.authRoutes(mux)
	c.hookRoutes(mux)
	return mux
}

// adminHandler is what the admin port serves: health and metrics.
func (c *core) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", c.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) { answer(w, c.status(r.Context()), nil) })
	return mux
}

// ready answers 200 when every pipeline runs and writes, and the state can be written,
// otherwise 503 with one reason a line.
func (c *core) ready(w http.ResponseWriter, _ *http.Request) {
	var reasons []string
	if err := c.store.Healthy(); err != nil {
		reasons = append(reasons, "state: "+err.Error())
	}
	for _, p := range c.pipes {
		p.mu.Lock()
		if p.sync == nil {
			reasons = append(reasons, "pipeline "+p.name+": "+p.reason)
		}
		sync := p.sync
		p.mu.Unlock()
		for _, f := range lasting(sync, c.clock.Now()) {
			reasons = append(reasons, "pipeline "+p.name+": "+f.String())
		}
	}
	if len(reasons) == 0 {
		_, _ = w.Write([]byte("ready\n"))
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, r := range reasons {
		fmt.Fprintln(w, r)
	}
}

// perPipe finds the pipeline a request names and writes the outcome.
func (c *core) perPipe(do func(context.Context, *pipe, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := c.pipe(r.URL.Query().Get("pipeline"))
		if err != nil {
			answer(w, nil, &exitError{exitUsage, err})
			return
		}
		reply, err := do(r.Context(), p, r)
		answer(w, reply, err)
	}
}

func answer(w http.ResponseWriter, reply any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		reply = errorReply{err.Error(), exitCode(err)}
	}
	_ = json.NewEncoder(w).Encode(reply) // the caller went away: nobody to tell
}

// status is everything there is to tell.
func (c *core) status(ctx context.Context) statusReply {
	s, _ := c.progress(ctx) // without an error
	for i, p := range c.pipes {
		p.ahead(ctx, &s.Pipelines[i])
	}
	c.addAuthorisation(ctx, &s)
	return s
}

// progress is status without what lies ahead; it is asked for several times a
// second.
func (c *core) progress(ctx context.Context) (statusReply, error) {
	s := statusReply{Version: version(), PID: os.Getpid()}
	for _, p := range c.pipes {
		s.Pipelines = append(s.Pipelines, p.status(ctx))
	}
	for _, name := range sortedKeys(c.conns) {
		s.Connections = append(s.Connections, connStatus(c.conns[name]))
	}
	return s, nil
}

func (p *pipe) status(ctx context.Context) pipelineStatus {
	p.mu.Lock()
	s := pipelineStatus{Name: p.name, Connection: p.conn.name, Running: p.sync != nil, Reason: p.reason, Webhooks: p.hooks.list(),
		Warehouse: warehouseInfo{p.access.URL, p.access.HTTP, p.access.Database, p.access.Version}}
	sync := p.sync
	p.mu.Unlock()
	s.HookFault, s.Layouts = p.hooks.fault(), p.layouts()
	if sync == nil {
		return s
	}
	st, err := sync.Status(ctx)
	if err != nil {
		s.Reason = err.Error()
	}
	s.Failing = failingOf(st.Failing)
	s.LogApplied, s.LogLast, s.Rereads = st.LogApplied, st.LogLast, st.Rereads
	for _, t := range st.Tables {
		s.Tables = append(s.Tables, tableStatusOf(t))
	}
	return s
}

func tableStatusOf(t pipeline.Progress) tableStatus {
	return tableStatus{Table: string(t.Table), Phase: t.Phase, Reason: t.Reason, Rows: t.Rows, Total: t.Total, RowsPerSecond: t.Rate,
		ETASeconds: t.ETA.Seconds(), CompleteUntil: orNull(t.CompleteUntil), LastEventAt: orNull(t.LastEventAt),
		LastPollAt: orNull(t.LastPollAt), LastResyncAt: orNull(t.LastResyncAt), Drift: t.Drift,
		Unhydrated: t.Unhydrated, HydratedBy: orNull(t.HydratedBy)}
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.UTC()
	return &u
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func connStatus(conn *connection) connectionStatus {
	credits := conn.client.Credits()
	s := connectionStatus{Name: conn.name, CreditsSpent: int64(credits.Today), CreditsRemaining: int64(credits.Remaining)}
	s.CallsInFlight, s.CallLimit = conn.client.InFlight()
	until, why := conn.client.WaitingUntil()
	s.WaitingUntil, s.WaitingFor = orNull(until), why
	return s
}

// namedTables are those of a pipeline's tables that a request names.
func namedTables(all []source.Table, names []string) ([]source.Table, error) {
	var tables []source.Table
	for _, name := range names {
		if !slices.Contains(all, source.Table(name)) {
			return nil, &exitError{exitUsage, fmt.Errorf("--table %q: not a table of this pipeline; one of %v", name, all)}
		}
		tables = append(tables, source.Table(name))
	}
	return tables, nil
}
