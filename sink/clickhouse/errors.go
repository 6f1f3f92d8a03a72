package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	chproto "github.com/ClickHouse/ch-go/proto"
	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// What the caller can tell apart with errors.Is.
var (
	// ErrConfig: the configuration cannot work as written.
	ErrConfig = errors.New("warehouse configuration")
	// ErrUnreachable: no server answered; retry.
	ErrUnreachable = errors.New("warehouse is unreachable")
	// ErrAuth: the server refused user or password.
	ErrAuth = errors.New("warehouse refused user or password")
	// ErrDenied: a grant is missing.
	ErrDenied = errors.New("warehouse user lacks a grant")
	// ErrTooOld: the server is older than 24.8.
	ErrTooOld = errors.New("ClickHouse is older than 24.8")
	// ErrForeign: an object of our name exists that is not ours.
	ErrForeign = errors.New("database holds objects that are not deskhouse's")
	// ErrOtherPipeline: the database belongs to another pipeline or portal.
	ErrOtherPipeline = errors.New("database belongs to another pipeline")
	// ErrNewerFormat: the tables were written by a newer deskhouse.
	ErrNewerFormat = errors.New("database was written by a newer deskhouse")
	// ErrSchema: a column has another type than it should; nothing is changed.
	ErrSchema = errors.New("table differs from what deskhouse needs")
	// ErrFenced: a later epoch has taken over; stop writing.
	ErrFenced = errors.New("a newer epoch has taken over the tables")
	// ErrMissing: a table, view or database that this process works with is
	// gone, dropped by somebody else.
	ErrMissing = errors.New("table or database is missing")
	// ErrColumn: a column that this process works with is gone, dropped or renamed
	// by somebody else; Prepare makes it anew.
	ErrColumn = errors.New("column is missing")
	// ErrOtherServer: the hosts of the URL do not hold the same database, so
	// rows would be split between them.
	ErrOtherServer = errors.New("hosts of the warehouse hold different databases")
	// ErrNoDatabase: the database does not exist and may not be created.
	ErrNoDatabase = errors.New("database does not exist")
)

// Error is a failed operation on the warehouse. Retry says that the outcome is
// unknown or the cause may pass: the same call may be repeated. Code and Name
// are ClickHouse's, 0 and "" when no server answered. It never holds a message
// of the server, which may quote row values.
type Error struct {
	Op    string
	Code  int32
	Name  string
	Retry bool
	Err   error // a sentinel of this package, a context or network error, or nil
}

func (e *Error) Error() string {
	s := e.Op
	if e.Code != 0 {
		s += fmt.Sprintf(": ClickHouse code %d (%s)", e.Code, e.Name)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Permanent reports that time does not heal the error: a later epoch has taken
// over (stop), a table or the database is missing (it was dropped; prepare
// and load again), or a column is (prepare again).
func (e *Error) Permanent() bool {
	return errors.Is(e.Err, ErrFenced) || errors.Is(e.Err, ErrMissing) || errors.Is(e.Err, ErrColumn)
}

// Retryable reports whether err is an *Error that may pass.
func Retryable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Retry
}

// transient lists the server's codes that may pass by themselves
// (ClickHouse src/Common/ErrorCodes.cpp): time-outs, memory, too many parts or
// queries, network, Keeper, read-only replicas, cancelled queries, full disk.
var transient = []int32{
	32,  // ATTEMPT_TO_READ_AFTER_EOF
	75,  // CANNOT_WRITE_TO_FILE_DESCRIPTOR
	159, // TIMEOUT_EXCEEDED
	160, // TOO_SLOW
	173, // CANNOT_ALLOCATE_MEMORY
	198, // DNS_ERROR
	202, // TOO_MANY_SIMULTANEOUS_QUERIES
	203, // NO_FREE_CONNECTION
	209, // SOCKET_TIMEOUT
	210, // NETWORK_ERROR
	216, // QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: the driver repeats a statement whose connection broke, under its old id
	218, // TABLE_IS_DROPPED
	225, // NO_ZOOKEEPER
	236, // ABORTED
	241, // MEMORY_LIMIT_EXCEEDED
	242, // TABLE_IS_READ_ONLY
	243, // NOT_ENOUGH_SPACE
	252, // TOO_MANY_PARTS
	279, // ALL_CONNECTION_TRIES_FAILED
	285, // TOO_FEW_LIVE_REPLICAS
	286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
	289, // REPLICA_IS_NOT_IN_QUORUM
	319, // UNKNOWN_STATUS_OF_INSERT
	341, // UNFINISHED
	394, // QUERY_WAS_CANCELLED
	425, // SYSTEM_ERROR
	439, // CANNOT_SCHEDULE_TASK
	473, // DEADLOCK_AVOIDED
	517, // CANNOT_ASSIGN_ALTER
	999, // KEEPER_EXCEPTION
}

// classify turns whatever the driver returned into an *Error, nil into nil.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var ours *Error
	if errors.As(err, &ours) {
		return err
	}
	var exception *driver.Exception
	if errors.As(err, &exception) {
		return fromServer(op, exception)
	}
	return fromClient(op, err)
}

func fromServer(op string, x *driver.Exception) *Error {
	e := &Error{Op: op, Code: x.Code, Name: x.CodeName, Retry: slices.Contains(transient, x.Code)}
	if e.Name == "" {
		e.Name = chproto.Error(x.Code).String()
	}
	switch x.Code {
	case 469: // VIOLATED_CONSTRAINT: the only one on our tables is the fence
		e.Err = ErrFenced
	case 192, 193, 194, 516: // UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED
		e.Err = ErrAuth
	case 497: // ACCESS_DENIED
		e.Err = ErrDenied
	case 60: // UNKNOWN_TABLE
		e.Err = ErrMissing
	case 16, 47: // NO_SUCH_COLUMN_IN_TABLE (inserts), UNKNOWN_IDENTIFIER (queries)
		e.Err = ErrColumn
	case 81: // UNKNOWN_DATABASE
		e.Err = fmt.Errorf("%w: %w", ErrMissing, ErrNoDatabase)
	}
	return e
}

// fromClient classifies what never reached, or never came back from, a server.
// Only errors known to hold no values are kept.
func fromClient(op string, err error) *Error {
	var (
		status  *driver.HTTPError
		network net.Error
		several *hostsError
	)
	failure := handshakeFailure(err)
	switch {
	case errors.As(err, &several):
		return &Error{Op: op, Err: several, Retry: several.retry()}
	case failure != nil:
		return &Error{Op: op, Err: fmt.Errorf("%w: %w: %w", ErrUnreachable, ErrTLS, failure), Retry: true}
	case errors.Is(err, context.Canceled):
		return &Error{Op: op, Err: context.Canceled}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Op: op, Err: context.DeadlineExceeded, Retry: true}
	case wrongPort(err) != nil:
		return &Error{Op: op, Err: wrongPort(err)}
	case errors.As(err, &status):
		return fromStatus(op, status.StatusCode)
	case errors.As(err, &network):
		return &Error{Op: op, Err: fmt.Errorf("%w: %w", ErrUnreachable, bareNetwork(err, network)), Retry: true}
	case errors.Is(err, errHungUp):
		return &Error{Op: op, Err: fmt.Errorf("%w: %w", ErrUnreachable, errHungUp), Retry: true}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, driver.ErrAcquireConnTimeout), errors.Is(err, errMoved):
		return &Error{Op: op, Err: fmt.Errorf("%w: connection lost", ErrUnreachable), Retry: true}
	}
	return &Error{Op: op, Err: fmt.Errorf("driver refused (%T)", root(err))}
}

// wrongPort tells the two protocols of a server apart, nil when err is about
// something else: HTTP answers a native client with text, of which the driver
// takes the H of "HTTP/1.1" for a packet, and the native port tells an HTTP
// client in words that it is none (ClickHouse src/Server/TCPHandler.cpp).
func wrongPort(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "unexpected packet [72] from server"):
		return fmt.Errorf("%w: url starts with clickhouse:// and its port speaks HTTP: write http://, or the native port (usually 9000)", ErrConfig)
	case strings.Contains(text, "is for clickhouse-client program"):
		return fmt.Errorf("%w: url starts with http:// and its port speaks the native protocol: write clickhouse://, or the HTTP port (usually 8123)", ErrConfig)
	}
	return nil
}

// bareNetwork keeps the part of a network error that names address and cause,
// without the URL that HTTP errors quote.
func bareNetwork(err error, network net.Error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	switch {
	case network.Timeout():
		return errors.New("timed out")
	case errors.Is(err, errMoved):
		return errMoved
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("connection lost")
	}
	return errors.New("network error")
}

func fromStatus(op string, status int) *Error {
	e := &Error{Op: op, Retry: status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout,
		Err: fmt.Errorf("HTTP status %d", status)}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		e.Err = fmt.Errorf("%w (HTTP status %d)", ErrAuth, status)
	}
	return e
}

func root(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
