package embedded_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"deskhouse/sink/embedded"
	"deskhouse/sink/embedded/enginetest"
)

// smallDisk mounts a tmpfs of 160 MB, which needs root.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=160m,mode=0700"); err != nil {
		t.Skipf("cannot mount a small file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// ballast leaves that much free on a small disk; remove takes it away again.
func ballast(t *testing.T, dir string, free int64) (remove func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); available(t, dir) > free; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

func available(t *testing.T, dir string) int64 {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// TestFullDisk: rows are refused while there is still room for definitions, and a start waits for such room.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	cfg := enginetest.Config(t)
	cfg.Dir = filepath.Join(dir, "engine")
	e := startOwn(t, cfg)
	exec(t, e, "CREATE DATABASE d", "CREATE TABLE d.t (id UInt64) ENGINE = MergeTree ORDER BY id", "INSERT INTO d.t VALUES (1)")
	remove := ballast(t, dir, 40<<20)
	query(t, e, func(conn driver.Conn) error {
		if err := conn.Exec(t.Context(), "INSERT INTO d.t VALUES (2)"); err == nil || !strings.Contains(err.Error(), "243") {
			t.Errorf("an insert with 40 MB free: %v", err)
		}
		return nil
	})
	exec(t, e, "ALTER TABLE d.t ADD COLUMN x UInt64")
	remove()
	exec(t, e, "INSERT INTO d.t VALUES (3, 4)")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	remove = ballast(t, dir, 0)
	if _, err := embedded.Start(t.Context(), cfg); !errors.Is(err, embedded.ErrNoSpace) {
		t.Errorf("a start on a full disk: %v", err)
	}
	remove()
	if got := one[uint64](t, startOwn(t, cfg), "SELECT sum(id + x) FROM d.t"); got != 8 {
		t.Errorf("the rows add up to %d, want 8", got)
	}
}

// TestFactDefinitionsOnAFullDisk: why there are limits. Should it fail because the engine has learned to refuse, they may go.
func TestFactDefinitionsOnAFullDisk(t *testing.T) {
	dir := smallDisk(t)
	cfg := enginetest.Config(t)
	cfg.Dir = filepath.Join(dir, "engine")
	e := startOwn(t, cfg)
	exec(t, e, "CREATE DATABASE d", "CREATE TABLE d.t (id UInt64) ENGINE = MergeTree ORDER BY id")
	remove := ballast(t, dir, 0)
	exec(t, e, "ALTER TABLE d.t ADD COLUMN x UInt64") // it succeeds
	remove()
	if sizes := definitions(t, cfg.Dir, "t.sql"); len(sizes) != 1 || sizes[0] != 0 {
		t.Errorf("definitions have %v bytes, want one of 0", sizes)
	}
	e.Close() // its end does not matter
	if _, err := embedded.Start(t.Context(), cfg); err == nil {
		t.Error("the engine starts on an empty definition")
	}
}

// definitions are the sizes of the files of a name below the engine's store.
func definitions(t *testing.T, dir, name string) (sizes []int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "store"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != name {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sizes = append(sizes, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sizes
}
