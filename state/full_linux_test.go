package state

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk mounts a tmpfs of the given size, which needs root.
func smallDisk(t *testing.T, size string) string {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.Skipf("cannot mount a small file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(b)
	return b
}

// appendUntilError returns what was acknowledged and the error that ended it.
func appendUntilError(t *testing.T, l *Log, group []byte) (acked []uint64, err error) {
	t.Helper()
	for range 10_000 {
		seq, err := l.Append(testContext(t), group)
		if err != nil {
			return acked, err
		}
		acked = append(acked, seq)
	}
	t.Fatal("the disk never filled up")
	return nil, nil
}

// TestFullDisk fills a real disk: appends are refused with ErrFull, nothing acknowledged is lost, and once there is room
// the same Store works again without being reopened.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, "8m")
	cfg := embeddedConfig(t)
	cfg.Dir = filepath.Join(dir, "state")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, noise(4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, cfg)
	l := openTestLog(t, s, "p")
	r := openReader(t, l, 0)
	group := noise(32 << 10)
	acked, err := appendUntilError(t, l, group)
	if !errors.Is(err, ErrFull) || len(acked) < 10 {
		t.Fatalf("after %d appends: %v", len(acked), err)
	}
	for range 2 { // the server comes back on a full disk too, to refuse again
		eventually(t, "restart on a full disk", s.Healthy)
		if _, err := l.Append(testContext(t), group); !errors.Is(err, ErrFull) {
			t.Fatalf("append to a full disk: %v", err)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	var after uint64
	eventually(t, "append after room was made", func() (err error) {
		after, err = l.Append(testContext(t), group)
		return err
	})
	eventually(t, "checkpoint after room was made", func() error {
		_, err := s.Set(testContext(t), "ckpt.p", []byte("x"))
		return err
	})
	if err := s.Healthy(); err != nil {
		t.Errorf("healthy: %v", err)
	}
	found := map[uint64]bool{}
	for !found[after] { // the reader was opened before the server broke
		m, err := r.Next(testContext(t))
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			continue
		}
		found[m.Seq] = true
	}
	for _, seq := range acked {
		if !found[seq] {
			t.Errorf("acknowledged message %d is lost", seq)
		}
	}
}

// TestReserveIsLeftForCheckpoints: appends stop while there is still room for keys, and go on once there is more.
func TestReserveIsLeftForCheckpoints(t *testing.T) {
	dir := smallDisk(t, "8m")
	cfg := embeddedConfig(t)
	cfg.Dir, cfg.ReserveBytes = filepath.Join(dir, "state"), 4<<20
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, noise(2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, cfg)
	l := openTestLog(t, s, "p")
	acked, err := appendUntilError(t, l, noise(32<<10))
	if !errors.Is(err, ErrFull) || len(acked) < 10 {
		t.Fatalf("after %d appends: %v", len(acked), err)
	}
	for range 100 {
		if _, err := s.Set(testContext(t), "ckpt.p", noise(1000)); err != nil {
			t.Fatalf("checkpoint: %v", err)
		}
	}
	if err := s.Healthy(); err != nil {
		t.Errorf("healthy: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(testContext(t), []byte("x")); err != nil {
		t.Errorf("append with room again: %v", err)
	}
}
