package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// folder is the embedded server's directory, held by one process at a time:
//
//	lock        the flock, and the holder's process id
//	format      the layout's number, so that it can be checked before the server touches its files
//	jetstream/  nats-server's own files
type folder struct{ lock *os.File }

// openFolder makes dir if needed, takes its lock and checks its format. The lock ends with the process however it ends.
func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	f := &folder{lock: lock}
	if err := f.take(dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := checkFolderFormat(dir); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *folder) take(dir string) error {
	err := unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		text := make([]byte, 20)
		n, _ := f.lock.ReadAt(text, 0) // without a number the error still says what matters
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text[:n])))
		return &InUseError{Dir: dir, PID: pid}
	}
	if err != nil {
		return fmt.Errorf("lock state folder: %w", err)
	}
	if err := f.lock.Truncate(0); err != nil {
		return fmt.Errorf("write process id to lock: %w", err)
	}
	if _, err := f.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("write process id to lock: %w", err)
	}
	return nil
}

// close gives the lock back. The file stays: removing it would let two processes lock two different files.
func (f *folder) close() error { return f.lock.Close() }

func checkFolderFormat(dir string) error {
	name := filepath.Join(dir, "format")
	have, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return writeDurably(name, []byte(strconv.Itoa(Format)+"\n"))
	}
	if err != nil {
		return fmt.Errorf("read state format: %w", err)
	}
	return compareFormat(strings.TrimSpace(string(have)))
}

// writeDurably replaces a small file whole: beside it, synced, renamed, folder synced.
func writeDurably(name string, data []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", filepath.Base(name), err)
		}
	}()
	tmp := name + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err = os.Rename(tmp, name); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// freeBytes is what an ordinary user may still write on dir's file system.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("measure free disk space: %w", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
