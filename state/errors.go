package state

import (
	"errors"
	"fmt"
	"syscall"
)

// What can go wrong, to be tested with errors.Is. Anything else (a cancelled or expired context, a lost connection) is
// passed on wrapped and may be retried.
var (
	// ErrInUse: another process holds the folder. An *InUseError says which. Exit code 5.
	ErrInUse = errors.New("state folder is in use by another process")
	// ErrNewerFormat: a later release wrote the state; this one must not touch it. Exit code 2.
	ErrNewerFormat = errors.New("state was written by a newer release")
	// ErrWrongKey: the state key is not the one the secrets were sealed with.
	ErrWrongKey = errors.New("state key does not open this state")
	// ErrNoKey: the store was opened without a key and was asked for a secret.
	ErrNoKey = errors.New("state was opened without its key")
	// ErrNotFound: no such key, or no such message.
	ErrNotFound = errors.New("not found in state")
	// ErrConflict: the key is not at the expected revision; read it again and decide anew.
	ErrConflict = errors.New("key was changed by another writer")
	// ErrInvalidName: a key, pipeline or lease name with characters that cannot be stored.
	ErrInvalidName = errors.New("invalid name")
	// ErrFull: the log reached its limit, or the disk is full or down to its reserve. Nothing is lost: refuse the
	// event (503) and try later.
	ErrFull = errors.New("state is full")
	// ErrTooLarge: a group or value above the server's message limit; split it.
	ErrTooLarge = errors.New("too large for one message")
	// ErrCorrupt: a stored group or secret that cannot be decoded.
	ErrCorrupt = errors.New("stored data is damaged")
	// ErrUnavailable: the embedded server is being restarted after a write error, or the external one does not answer.
	// Try again.
	ErrUnavailable = errors.New("state is not available")
	// ErrClosed: the store, or this reader, was closed.
	ErrClosed = errors.New("state is closed")
	// ErrHeld: someone else holds the lease. A *HeldError says who.
	ErrHeld = errors.New("lease is held")
	// ErrLeaseLost: the lease ran out or was taken over; stop whatever it protected.
	ErrLeaseLost = errors.New("lease is lost")
)

// InUseError names the process that holds the folder. PID is 0 when it could not be read.
type InUseError struct {
	Dir string
	PID int
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("%v: %s (pid %d)", ErrInUse, e.Dir, e.PID)
}

// Is makes errors.Is(err, ErrInUse) true.
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// HeldError names the holder of a lease, as "host:pid".
type HeldError struct {
	Name   string
	Holder string
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%v: %s by %s", ErrHeld, e.Name, e.Holder)
}

// Is makes errors.Is(err, ErrHeld) true.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// diskFull says whether err is the operating system refusing to let files grow.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
