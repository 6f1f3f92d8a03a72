package config

import (
	"testing"
	"time"
)

func parseResync(t *testing.T, text string) (*Resync, error) {
	t.Helper()
	c, err := Parse([]byte(`connections: {main: {data_center: eu, org_id: "1", client_id: a, client_secret: b, refresh_token: c}}
pipelines: {p: {connection: main, warehouse: {url: embedded}, resync: `+text+`}}
state: {key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}
`), t.TempDir(), func(string) string { return "" })
	if err != nil {
		return nil, err
	}
	return c.Pipelines["p"].Resync, nil
}

// 02:30 does not exist in Berlin on 29 March 2026 and comes twice on 25 October.
func TestScheduleWhenSummerTimeBeginsAndEnds(t *testing.T) {
	r, err := parseResync(t, `{cron: "30 2 * * *", time_zone: Europe/Berlin}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, after string
		want        []string
	}{
		{"begins", "2026-03-28T00:00:00Z", []string{"2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"}},
		{"ends", "2026-10-24T00:00:00Z", []string{"2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, c.after)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if at = r.Next(at); at.Format(time.RFC3339) != want {
					t.Fatalf("next run %s, want %s", at.Format(time.RFC3339), want)
				}
			}
		})
	}
}

func TestMissedRuns(t *testing.T) {
	for text, want := range map[string]Missed{`{cron: "@daily"}`: MissedRun, `{cron: "@daily", missed: run}`: MissedRun, `{cron: "@daily", missed: skip}`: MissedSkip} {
		r, err := parseResync(t, text)
		if err != nil || r.Missed != want {
			t.Errorf("%s: %+v, %v; want missed %s", text, r, err, want)
		}
	}
	r, err := parseResync(t, `{cron: "@daily", missed: later}`)
	if errs := Errors(err); r != nil || len(errs) != 1 || errs[0].Path != "pipelines.p.resync.missed" {
		t.Errorf("missed: later gives %v, %v", r, err)
	}
}
