// Command deskhouse keeps a ClickHouse database equal to a Zoho Desk portal.
// It wires the other packages together, turns flags into calls and errors into
// exit codes, and prints; it knows nothing of how anything works. One file a
// subcommand.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"deskhouse/config"
	"deskhouse/pipeline"
	"deskhouse/sink/clickhouse"
	"deskhouse/state"
)

// Exit codes, the same for every command.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2 // wrong usage or configuration
	exitDecision = 3 // a person has to decide
	exitDrift    = 4 // a comparison found differences
	exitRunning  = 5 // another deskhouse holds the state
)

// exitError carries an exit code; a nil Err prints nothing.
type exitError struct {
	Code int
	Err  error
}

func (e *exitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *exitError) Unwrap() error { return e.Err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := newRoot()
	err := root.ExecuteContext(ctx)
	stop()
	os.Exit(report(err))
}

// report prints an error, one line per mistake, and returns the exit code.
func report(err error) int {
	if err == nil {
		return exitDone
	}
	code := exitCode(err)
	var silent *exitError
	if errors.As(err, &silent) && silent.Err == nil {
		return code
	}
	if mistakes := config.Errors(err); len(mistakes) > 0 {
		for _, m := range mistakes {
			fmt.Fprintln(os.Stderr, "deskhouse:", m)
		}
		return code
	}
	fmt.Fprintln(os.Stderr, "deskhouse:", err)
	return code
}

func exitCode(err error) int {
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		return exit.Code
	case len(config.Errors(err)) > 0, errors.Is(err, state.ErrNewerFormat), errors.Is(err, state.ErrWrongKey):
		return exitUsage
	case errors.Is(err, state.ErrInUse), errors.Is(err, state.ErrHeld):
		return exitRunning
	case errors.Is(err, clickhouse.ErrConfig), errors.Is(err, clickhouse.ErrAuth), errors.Is(err, clickhouse.ErrDenied), errors.Is(err, clickhouse.ErrTooOld),
		errors.Is(err, clickhouse.ErrForeign), errors.Is(err, clickhouse.ErrOtherPipeline), errors.Is(err, clickhouse.ErrOtherServer), errors.Is(err, clickhouse.ErrNewerFormat), errors.Is(err, clickhouse.ErrSchema):
		return exitUsage
	case errors.Is(err, pipeline.ErrGuard):
		return exitDecision
	}
	return exitFailed
}
