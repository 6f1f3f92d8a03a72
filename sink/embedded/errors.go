package embedded

import (
	"errors"
	"fmt"
	"strings"

	"deskhouse/sink/embedded/launch"
)

// What Start can fail with, to be tested with errors.Is. None of them passes by itself: they need a person, except that
// ErrInUse ends when the other process does, and ErrNoSpace when somebody makes room.
var (
	ErrLibraryMissing  = errors.New("embedded engine: library not found")
	ErrLibraryUnusable = errors.New("embedded engine: library cannot be loaded on this platform")
	ErrEngineMissing   = errors.New("embedded engine: program deskhouse-engine not found")
	ErrInUse           = errors.New("embedded engine: data folder in use")
	ErrPort            = errors.New("embedded engine: port taken")
	ErrNoSpace         = errors.New("embedded engine: too little disk space free")
)

// InUseError says who holds the data folder. It is an ErrInUse.
type InUseError struct {
	Dir string
	PID int // 0 if it could not be read
}

func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("embedded engine: data folder %s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("embedded engine: data folder %s is in use by process %d", e.Dir, e.PID)
}

// Is makes errors.Is(err, ErrInUse) hold.
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// ExitError is an engine process that ended without being asked to, or not as asked.
type ExitError struct {
	Code   int    // exit code, one of package launch's, or -1 if a signal ended it
	How    string // "exit status 14", "signal: killed", …
	Stderr string // the last lines it wrote; never a row value, since the engine's own log is off
}

func (e *ExitError) Error() string {
	if e.Stderr == "" {
		return "embedded engine ended: " + e.How
	}
	return "embedded engine ended: " + e.How + ": " + e.Stderr
}

// startError turns the end of a child that never became ready into the error Start returns.
func startError(err error, cfg Config, library string) error {
	var exit *ExitError
	if !errors.As(err, &exit) {
		return err
	}
	said := strings.TrimPrefix(exit.Stderr, "deskhouse-engine: ")
	switch exit.Code {
	case launch.ExitLibraryMissing:
		return fmt.Errorf("%w: %s", ErrLibraryMissing, said)
	case launch.ExitLibraryUnusable:
		return fmt.Errorf("%w (%s): %s; fetch it again with deploy/fetch-engine.sh, or use an external ClickHouse", ErrLibraryUnusable, library, said)
	case launch.ExitInUse:
		return &InUseError{Dir: cfg.Dir, PID: holder(cfg.Dir)}
	case launch.ExitListen:
		return fmt.Errorf("%w: %s", ErrPort, said)
	}
	return fmt.Errorf("start on %s: %w", cfg.Dir, err)
}
