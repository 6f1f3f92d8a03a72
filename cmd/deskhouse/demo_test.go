package main

import (
	"encoding/json"
	"net"
	"testing"
)

// TestDemo runs the demonstration beside a deskhouse that holds the default
// ports.
func TestDemo(t *testing.T) {
	for _, port := range []string{"127.0.0.1:8080", "127.0.0.1:8081"} {
		if l, err := net.Listen("tcp", port); err == nil { // else somebody else holds it, which does as well
			defer l.Close()
		}
	}
	r := command(t, commandTime, t.TempDir(), "demo", "--tickets", "2000", "--duration", "3s", "--json")
	if r.code != exitDone {
		t.Fatalf("exit code %d\n%s", r.code, tail(r.stderr.String(), 4000))
	}
	var out demoOutcome
	if err := json.Unmarshal(r.stdout.Bytes(), &out); err != nil {
		t.Fatalf("%v\n%s", err, r.stdout.String())
	}
	if !out.Equal || out.Mismatches != 0 || len(out.Tables) != 5 {
		t.Errorf("equal %v, %d mismatches, %d tables", out.Equal, out.Mismatches, len(out.Tables))
	}
	for _, c := range out.Tables {
		if c.Mismatches != 0 || c.AtSource == 0 || c.AtSource != c.Visible {
			t.Errorf("%+v", c)
		}
	}
	if out.Deliveries == 0 || out.DeliveriesFailed != 0 || out.Changes == 0 || len(out.Examples) == 0 {
		t.Errorf("%d changes, %d deliveries, %d failed, %d queries", out.Changes, out.Deliveries, out.DeliveriesFailed, len(out.Examples))
	}
	t.Logf("load %.1f s, %.2f credits per 100 tickets, event to queryable p50 %.0f ms, p99 %.0f ms", out.LoadSeconds, out.CreditsPer100, out.QueryableP50, out.QueryableP99)
	if out.CreditsPer100 > 4 {
		t.Errorf("%.2f credits per 100 tickets", out.CreditsPer100)
	}
}
