package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"deskhouse/source/desksim"
)

// TestCheckDisks needs small and read-only file systems of its own.
func TestCheckDisks(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	ch := checkServer(t)
	for _, b := range []breakage{
		{name: "little room", item: itemDisk, result: resultWarning, says: []string{"MiB free, less than 2 GiB", "make room"}},
		{name: "read-only", broken: remount, item: itemState, result: resultFailure, says: []string{"read-only file system", "state.dir"}},
	} {
		t.Run(b.name, func(t *testing.T) {
			c := newChecked(t, ch, desksim.Config{Tickets: 20})
			data := filepath.Join(c.dir, "data")
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			size := "size=64m"
			if b.broken != nil {
				size = "size=3g"
			}
			if err := syscall.Mount("tmpfs", data, "tmpfs", 0, size+",mode=0700"); err != nil {
				t.Skipf("cannot mount a small file system here: %v", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
					t.Errorf("unmount: %v", err)
				}
			})
			if b.broken != nil {
				b.broken(c)
			} else {
				c.replace("state: {", "state: {log: {reserve: 1MiB, max_bytes: 64MiB}, ")
				c.register()
			}
			wantOnly(t, c.check(), b)
		})
	}
}

func remount(c *checked) {
	if err := syscall.Mount("", filepath.Join(c.dir, "data"), "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		c.t.Fatalf("remount read-only: %v", err) // what this test has mounted itself
	}
}
