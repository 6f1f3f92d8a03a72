package config

import (
	"strings"
	"time"
	_ "time/tzdata" // the static binary runs on images without zone files

	"github.com/robfig/cron/v3"
)

// Resync is when a pipeline compares everything and repairs by itself.
type Resync struct {
	// Cron is five fields or a descriptor such as @daily, read in Location.
	Cron string `json:"cron" yaml:"cron"`
	// TimeZone is an IANA name, UTC by default.
	TimeZone string `json:"time_zone" yaml:"time_zone"`
	Missed   Missed `json:"missed" yaml:"missed"`

	schedule cron.Schedule
	location *time.Location
}

// Missed is what becomes of a run whose time passed while nothing ran.
type Missed string

// The values of Missed: once, as soon as it can (the default), or not at all. Some deletions are found by nothing but a
// resync, and what keeps a service down at night (patches, a machine asleep) tends to come back at the same hour, so a
// run that was due is owed. However many were missed, one makes up for all; the reserve of credits holds for it too.
const (
	MissedRun  Missed = "run"
	MissedSkip Missed = "skip"
)

// Next returns the first run after t, in UTC. Times of day are those of TimeZone: one that does not exist on the day that
// summer time begins is left out, one that comes twice on the day that it ends is run twice (robfig/cron).
func (r Resync) Next(t time.Time) time.Time { return r.schedule.Next(t.In(r.location)).UTC() }

func resync(v value) *Resync {
	if v.absent() {
		return nil
	}
	f := v.fields("cron", "time_zone", "missed")
	r := &Resync{location: time.UTC, TimeZone: "UTC", Missed: choice(f["missed"], MissedRun, MissedSkip)}
	r.Cron, _ = f["cron"].required(`five fields, such as "0 3 * * *"`).text()
	if name, ok := f["time_zone"].text(); ok {
		r.TimeZone, r.location = name, timeZone(f["time_zone"], name)
	}
	if r.Cron != "" && r.location != nil {
		r.schedule = schedule(f["cron"], r.Cron)
	}
	return r
}

func timeZone(v value, name string) *time.Location {
	location, err := time.LoadLocation(name)
	if err != nil {
		v.fail("unknown time zone "+quote(name), "an IANA name such as UTC or Europe/Berlin")
	}
	return location
}

func schedule(v value, spec string) cron.Schedule {
	const fix = `write minute hour day month weekday, such as "0 3 * * *"`
	// robfig/cron would take a zone inside the schedule; there is one place for it here.
	if strings.Contains(spec, "TZ=") {
		v.fail("names a time zone", "write it as time_zone beside cron")
		return nil
	}
	parsed, err := cron.ParseStandard(spec)
	if err != nil {
		v.fail(quote(spec)+" is not a schedule", fix)
		return nil
	}
	// A schedule such as 30 February parses, and Next gives the zero time for it.
	if parsed.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		v.fail(quote(spec)+" never comes", fix)
		return nil
	}
	return parsed
}
