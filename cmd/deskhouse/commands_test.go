package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/rs/zerolog"

	"deskhouse/source/desksim"
	"deskhouse/state"
)

// compared runs resync or verify and decodes what it prints.
func (h *house) compared(wantCode int, args ...string) map[string]runReply {
	h.t.Helper()
	r := h.deskhouse(append(args, "--json")...)
	var reply comparisonReply
	if err := json.Unmarshal(r.stdout.Bytes(), &reply); err != nil || r.code != wantCode {
		h.t.Fatalf("deskhouse %s: exit code %d, want %d, %v\n%s%s", strings.Join(args, " "), r.code, wantCode, err, r.stdout.String(), r.stderr.String())
	}
	reports := map[string]runReply{}
	for _, run := range reply.Reports {
		reports[run.Table] = run
	}
	return reports
}

// wantDrift holds the drift of every table against what is wanted; 0 for those
// not named.
func wantDrift(t *testing.T, what string, got map[string]runReply, want map[string]uint64) {
	t.Helper()
	if len(got) != 5 {
		t.Errorf("%s: %d reports", what, len(got))
	}
	for table, r := range got {
		if r.Drift != want[table] || !r.Complete || r.Read == 0 {
			t.Errorf("%s: %s: %+v, want drift %d", what, table, r, want[table])
		}
	}
}

// change lets tickets change in a way that reaches nobody but a comparison.
func (h *house) change(n int) {
	h.t.Helper()
	for i, id := range h.liveTickets()[:n] {
		subject := fmt.Sprintf("changed %d at %d", i, time.Now().UnixNano())
		if _, err := h.portal.UpdateTicket(id, desksim.TicketChange{Subject: &subject}); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *house) liveTickets() []uint64 {
	var ids []uint64
	for row := range h.portal.Truth("tickets") {
		if row.State == desksim.Live {
			ids = append(ids, row.ID)
		}
	}
	return ids
}

// TestCommandsWithoutAService is a system's cron: every command does the whole
// work by itself, time and again.
func TestCommandsWithoutAService(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 31, Tickets: 300}, settings{})
	if r := h.deskhouse("verify"); r.code != exitFailed || strings.Count(r.stderr.String(), "not loaded") != 5 {
		t.Errorf("verify before anything was loaded: exit code %d\n%s", r.code, r.stderr.String())
	}
	var plan planReply
	planned := h.must("plan", "--json")
	if err := json.Unmarshal(planned.stdout.Bytes(), &plan); err != nil || len(plan.Tables) != 5 || plan.Load.Credits == 0 || plan.CreditsToday <= 0 || plan.CallsInFlight != 25 {
		t.Errorf("plan %+v, %v", plan, err)
	}
	before := h.portal.Stats().CreditsTotal
	wantDrift(t, "the first resync", h.compared(exitDone, "resync"), nil)
	t.Logf("load and resync planned: %d credits, really %d", plan.Load.Credits+plan.Resync.Credits, h.portal.Stats().CreditsTotal-before)
	wantDrift(t, "the second", h.compared(exitDone, "resync"), nil)
	wantDrift(t, "verify", h.compared(exitDone, "verify"), nil)

	h.change(7)
	wantDrift(t, "verify after 7 changes", h.compared(exitDrift, "verify"), map[string]uint64{"tickets": 7})
	wantDrift(t, "resync", h.compared(exitDone, "resync"), map[string]uint64{"tickets": 7})
	wantDrift(t, "verify after it", h.compared(exitDone, "verify"), nil)
	if r := h.deskhouse("resync", "--table", "ticket"); r.code != exitUsage {
		t.Errorf("unknown table: exit code %d", r.code)
	}

	// Another process that holds the state and answers nobody.
	cfg := h.config()
	key, err := cfg.State.RequireKey()
	if err != nil {
		t.Fatal(err)
	}
	held, err := state.Open(t.Context(), state.Config{URL: stateURL(cfg.State), Dir: cfg.State.Dir, Key: key, MaxLogBytes: cfg.State.Log.MaxBytes, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"resync", "verify", "plan", "replay"} {
		args := []string{command}
		if command == "replay" {
			args = append(args, "--since", "1h")
		}
		if r := h.deskhouse(args...); r.code != exitRunning {
			t.Errorf("%s while the state is held: exit code %d, want %d\n%s", command, r.code, exitRunning, r.stderr.String())
		}
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	p := h.start()
	h.untilLoaded()
	h.compare()
	p.stop()
}

// TestCommandsWithAService asks a running one.
func TestCommandsWithAService(t *testing.T) {
	h := newHouse(t, desksim.Config{Seed: 32, Tickets: 300}, settings{keys: `resync: {cron: "30 2 * * *", time_zone: Europe/Berlin},`})
	p := h.start()
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	wantDrift(t, "resync", h.compared(exitDone, "resync"), nil)
	wantDrift(t, "resync again", h.compared(exitDone, "resync"), nil)
	wantDrift(t, "verify", h.compared(exitDone, "verify"), nil)
	h.portal.Faults().Webhooks(desksim.WebhookFaults{Loss: 1})
	h.change(5)
	if got := h.compared(exitDone, "resync", "--table", "tickets"); len(got) != 1 || got["tickets"].Drift != 5 {
		t.Errorf("resync of tickets: %+v", got)
	}
	h.portal.Faults().Webhooks(desksim.WebhookFaults{})
	h.replayed()
	h.decided()
	p.stop()
}

// replayed loses rows behind the service's back, some of which events tell of.
func (h *house) replayed() {
	h.t.Helper()
	began := time.Now()
	h.change(3)
	h.settle()
	h.exec("ALTER TABLE desk.tickets_all DELETE WHERE subject LIKE 'changed %' SETTINGS mutations_sync = 2")
	count := func() string {
		return fmt.Sprint(h.sql("SELECT count() AS n FROM tickets WHERE subject LIKE 'changed %'")[0]["n"])
	}
	if n := count(); n != "0" {
		h.t.Fatalf("%s rows are left", n)
	}
	var reply replayReply
	replay := func(since string) {
		h.t.Helper()
		r := h.must("replay", "--json", "--table", "tickets", "--since", since)
		if err := json.Unmarshal(r.stdout.Bytes(), &reply); err != nil {
			h.t.Fatal(err)
		}
	}
	if replay(time.Now().Add(time.Minute).UTC().Format(time.RFC3339)); reply.Messages != 0 || count() != "0" {
		h.t.Errorf("a replay of nothing: %+v, %s rows", reply, count())
	}
	if replay(time.Since(began).Round(time.Second).String() + "1s"); reply.Changed < 3 || count() != "3" {
		h.t.Errorf("replay: %+v, %s rows, want 3", reply, count())
	}
	if replay("1h"); reply.Changed != 0 || reply.Events < 3 {
		h.t.Errorf("the same once more: %+v", reply)
	}
	if r := h.deskhouse("replay", "--since", "yesterday"); r.code != exitUsage {
		h.t.Errorf("--since yesterday: exit code %d", r.code)
	}
	h.must("resync", "--table", "tickets") // the others are not in the log
	h.compare()
}

// exec changes the warehouse behind the service's back.
func (h *house) exec(sql string) {
	h.t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{strings.TrimPrefix(h.pipe().Warehouse.URL, "clickhouse://")}})
	if err != nil {
		h.t.Fatal(err)
	}
	if err := errors.Join(conn.Exec(h.t.Context(), sql), conn.Close()); err != nil {
		h.t.Fatal(err)
	}
}

// decided lets the portal lose so much that a person must decide.
func (h *house) decided() {
	h.t.Helper()
	if st := h.pipe(); st.Schedule == nil || st.Schedule.Next == nil || st.Schedule.TimeZone != "Europe/Berlin" || st.Schedule.Missed != "run" || len(st.Decisions) != 0 {
		h.t.Errorf("schedule %+v, decisions %+v", st.Schedule, st.Decisions)
	}
	h.portal.Faults().Webhooks(desksim.WebhookFaults{Loss: 1})
	live := h.liveTickets()
	for _, id := range live[1:60] {
		if _, _, err := h.portal.MergeTickets(live[0], id); err != nil {
			h.t.Fatal(err)
		}
	}
	r := h.deskhouse("resync", "--table", "tickets", "--table", "products")
	if r.code != exitDecision || !strings.Contains(r.stdout.String(), "products") || len(errorLines(r.stderr.String())) != 1 || !strings.Contains(r.stderr.String(), "tickets") {
		h.t.Errorf("exit code %d\n%s%s", r.code, r.stdout.String(), r.stderr.String())
	}
	st := h.pipe()
	if len(st.Decisions) != 1 || st.Decisions[0].Table != "tickets" || !strings.Contains(st.Decisions[0].Command, "--accept-loss") {
		h.t.Fatalf("decisions %+v", st.Decisions)
	}
	shown := h.must("status").stdout.String()
	for _, word := range []string{"DECISION NEEDED", "deskhouse resync --table tickets --accept-loss", "next resync:", "Europe/Berlin"} {
		if !strings.Contains(shown, word) {
			h.t.Errorf("status does not say %q:\n%s", word, shown)
		}
	}
}

func TestSinceTime(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{"2026-11-20T00:00:00Z": "2026-11-20T00:00:00Z", "2026-11-20T02:00:00+02:00": "2026-11-20T00:00:00Z",
		"48h": "2026-11-20T12:00:00Z", "90m": "2026-11-22T10:30:00Z", "": "", "-1h": "", "2026-11-20": "", "soon": ""} {
		got, err := sinceTime(text, now)
		if (err == nil) != (want != "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
}

// A guard is graver than a failure, a failure than drift.
func TestWorstExitCode(t *testing.T) {
	for _, c := range []struct {
		codes []int
		want  int
	}{{nil, exitDone}, {[]int{exitDrift}, exitDrift}, {[]int{exitDrift, exitFailed}, exitFailed}, {[]int{exitFailed, exitDecision, exitDrift}, exitDecision}, {[]int{exitUsage}, exitUsage}} {
		got := exitDone
		var exit *exitError
		if err := worst(c.codes); errors.As(err, &exit) {
			got = exit.Code
		}
		if got != c.want {
			t.Errorf("%v: %d, want %d", c.codes, got, c.want)
		}
	}
}
