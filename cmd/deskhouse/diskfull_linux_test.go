package main

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"deskhouse/source/desksim"
)

// TestDiskFull fills the disk under the state and under the engine while events
// arrive, kills what ran there, and makes room again. The service then goes on
// by itself, nothing acknowledged is lost, and after one resync every column is
// right.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	t.Run("state", fullState)
	t.Run("engine", fullEngine)
}

// fullState: events are refused with 503 from the reserve on; checkpoints go on
// until nothing at all is left.
func fullState(t *testing.T) {
	t.Parallel()
	d := newSmallDisk(t, "48m", settings{stateDir: "./small/data", state: "log: {reserve: 8MiB},", warehouse: "{url: embedded, database: desk, dir: ./warehouse}"})
	d.fill(4 << 20)
	d.untilRefused(5)
	d.until("what was stored before is applied", 60*time.Second, func() bool { p := d.pipe(); return p.Running && p.LogApplied == p.LogLast })
	d.fill(0)
	d.untilRefused(50)
	d.p.kill()
	d.fill(0)
	d.untilRefusedAgain()
	if *crashRounds > ciRounds { // longer than the lease lasts, which cannot be renewed meanwhile
		d.while(2 * leaseTTL)
	}
	d.recovers()
}

// fullEngine: no event is refused, lag grows, and definitions stay whole (a
// column is wanted while there is no room for one).
func fullEngine(t *testing.T) {
	t.Parallel()
	d := newSmallDisk(t, "256m", settings{warehouse: "{url: embedded, database: desk, dir: ./small/warehouse}"})
	d.living.stop()
	d.settle()
	d.fill(0)
	d.newField("cf_late")
	failed := d.portal.Stats().Failed
	d.living = d.live()
	d.until("lag grows", 60*time.Second, func() bool {
		d.fill(0) // a merge may have made room
		p := d.pipe()
		return p.LogLast > p.LogApplied+50
	})
	d.untilDelivered(50)
	if now := d.portal.Stats().Failed; now != failed {
		t.Errorf("%d webhooks were refused because the engine's disk is full", now-failed)
	}
	if err := syscall.Kill(d.enginePID(), syscall.SIGKILL); err != nil { // it cannot come back before there is room
		t.Fatal(err)
	}
	d.p.kill()
	d.fill(0)
	d.p = d.start()
	d.untilDelivered(20)
	d.p.stillRuns("full disk")
	d.recovers()
}

// smallDisk is a house with a file system of its own that can be filled.
type smallDisk struct {
	*house
	dir    string
	p      *process
	living life
}

// newSmallDisk starts a house that lives on a small disk mounted at ./small, and
// waits until it is loaded.
func newSmallDisk(t *testing.T, size string, s settings) *smallDisk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	h := newHouse(t, desksim.Config{Seed: 21, Weights: demoChanges, Tickets: 500, PayloadAtEvent: true, DeliveryLog: 1 << 20}, s)
	d := &smallDisk{house: h, dir: filepath.Join(h.dir, "small")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.Skipf("cannot mount a small file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	d.p = h.start()
	h.untilRunning()
	h.must("webhook", "register")
	h.untilLoaded()
	d.living = h.live()
	h.untilFollowing()
	return d
}

// newField adds a field to tickets and gives one a value in it.
func (d *smallDisk) newField(name string) {
	d.t.Helper()
	_, err := d.portal.AddCustomField("tickets", name, name, "Text")
	if err != nil {
		d.t.Fatal(err)
	}
	value := "late"
	if _, err := d.portal.UpdateTicket(0, desksim.TicketChange{CF: map[string]*string{name: &value}}); err != nil {
		d.t.Fatal(err)
	}
}

// fill writes ballast until no more than left bytes are free.
func (d *smallDisk) fill(left int64) {
	d.t.Helper()
	f, err := os.OpenFile(filepath.Join(d.dir, "ballast"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<16); d.free() > left; {
		n := min(int64(len(block)), d.free()-left)
		if _, err := f.Write(block[:n]); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *smallDisk) free() int64 {
	d.t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &st); err != nil {
		d.t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// untilRefused waits until more deliveries were answered 503, and fails for any
// other refusal.
func (d *smallDisk) untilRefused(more int) {
	d.t.Helper()
	before := d.answers()
	d.until("webhooks are answered 503", 60*time.Second, func() bool {
		return d.answers()[http.StatusServiceUnavailable] >= before[http.StatusServiceUnavailable]+more
	})
	d.p.stillRuns("full disk")
}

// untilRefusedAgain does what a supervisor does for a service that may not be
// able to start on a full disk, until webhooks are answered 503 again.
func (d *smallDisk) untilRefusedAgain() {
	d.t.Helper()
	before := d.answers()[http.StatusServiceUnavailable]
	d.until("webhooks are answered 503 by the next service", 60*time.Second, func() bool {
		if !d.p.running() {
			d.p = d.start()
		}
		return d.answers()[http.StatusServiceUnavailable] >= before+20
	})
}

// while keeps the disk full.
func (d *smallDisk) while(long time.Duration) {
	d.t.Helper()
	end := time.Now().Add(long)
	d.until("the disk was full for a while", 2*long, func() bool { d.fill(0); return time.Now().After(end) })
	d.p.stillRuns("full disk")
}

// answers counts deliveries by status.
func (d *smallDisk) answers() map[int]int {
	n := map[int]int{}
	for _, one := range d.portal.Stats().LastDelivered {
		n[one.Status]++
	}
	return n
}

// recovers makes room and holds everything against the portal.
func (d *smallDisk) recovers() {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "ballast")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.t.Fatal(err)
	}
	d.untilDelivered(5)
	d.untilFollowing()
	d.living.stop()
	d.settle()
	d.t.Logf("answers: %v; engines started: %d", d.answers(), strings.Count(d.printed(), engineUp))
	d.checkAcknowledged()
	d.must("resync", "--json")
	d.settle()
	d.compare()
	d.p.stop()
}
