// Package embedded owns the embedded ClickHouse engine: finding it, starting it as a child process on one data folder,
// saying where it listens, noticing its death and stopping it. It knows no tables: package sink/clickhouse talks to the
// engine over the native or HTTP protocol as to any other server.
//
// The engine is libchdb, the whole of ClickHouse 26.7 (it reports 26.7.2.1), run as "clickhouse local" with listeners by
// the program deskhouse-engine; see package launch. What holds for it (this package's tests repeat
// it, except the figures, the connection limit and ON CLUSTER):
//
//   - Ready in 0.1-0.3 s. 205-220 MB resident when idle, of which 40-50 MB are not the library's own pages; 240-290 MB after
//     loading two million rows of 700 bytes (peaking at 1.4 GB for INSERT … SELECT on two cores with default block sizes).
//   - User "default" with an empty password and all rights on data, from any address that can reach the listener. It listens on
//     loopback only: whoever may run programs on this machine can read the data, and files of the engine's OS user through
//     file(). There is no access management (CREATE USER is refused).
//   - Database "default" is an Overlay; CREATE DATABASE makes an Atomic one, which persists, and in which EXCHANGE TABLES works.
//   - ReplacingMergeTree with FINAL, CONSTRAINT … CHECK (and replacing it by ALTER), ADD COLUMN, the JSON type, views,
//     KILL QUERY, insert_deduplication_token with non_replicated_deduplication_window work as on a server.
//   - Dictionaries: SOURCE(CLICKHOUSE(TABLE 't' DB 'd')) or SOURCE(CLICKHOUSE(QUERY '…')) without HOST, PORT, USER and PASSWORD
//     reads locally as "default"; dictGet in views and SYSTEM RELOAD DICTIONARY work.
//   - No system log tables (query_log, part_log, metric_log, …) exist and so none grow; SYSTEM FLUSH LOGS is accepted and does
//     nothing. system.parts, merges, processes, dictionaries and tables are readable; asynchronous_metrics does not exist.
//   - A query ends when the context of its native connection is cancelled. A table whose stored definition cannot be read stops the
//     start, it is not left out.
//   - On a full disk CREATE and ALTER report success and leave an empty definition behind, on which the engine never starts again.
//     Start refuses a disk with less than 16 MB free, rows are refused below 64 MB; whoever changes definitions looks first.
//   - A client that resets its connection, or sends what is no packet, harms nobody else. Left to itself clickhouse local of 26.7 ends
//     then (ClickHouse issue 115666); deskhouse-engine gives it a terminal, which keeps it from that.
//   - Data acknowledged survives kill -9. With the configuration written here inserts are fsynced as well (about 25 ms an
//     insert instead of 12).
//   - Up to 4,096 connections (max_connections); one more is not refused, it waits unanswered until another closes.
//   - async_insert is 1 by default in 26.7: a writer that wants its own blocks must send async_insert=0.
//   - ON CLUSTER does not work. The server's time zone is UTC.
package embedded

import (
	"net"
	"strconv"

	"github.com/rs/zerolog"
)

// LibraryVersion is the version of the npm packages @chdb/lib-* that deploy/fetch-engine.sh fetches.
const LibraryVersion = "26.7.3-stable.1"

// Config says what to start. Only Dir is required.
type Config struct {
	// Dir is the engine's data folder, for the engine alone; created with mode 0700 if absent.
	Dir string
	// Library is the path of libchdb. Empty: environment variable DESKHOUSE_ENGINE_LIB, then beside the running executable, then
	// .cache/engine of the executable's parent folder, then of the working folder.
	Library string
	// Engine is the path of the program deskhouse-engine. Empty: environment variable DESKHOUSE_ENGINE, then beside the running
	// executable, then bin of the working folder.
	Engine string
	// TCPPort and HTTPPort are the ports to listen on, on 127.0.0.1. Zero takes a free one. A port that is given and taken is
	// an error wrapping ErrPort.
	TCPPort, HTTPPort int
	// MemoryRatio is the part of the machine's (or control group's) memory the engine may use before it refuses queries.
	// Zero means 0.5: deskhouse and the page cache need the rest. ClickHouse's own default is 0.9.
	MemoryRatio float64
	// Logger gets one line at start and one at stop. An unexpected exit is the owner's to log: watch Done.
	Logger zerolog.Logger
}

// Engine is a running embedded engine. All methods are safe for concurrent use.
type Engine struct {
	cfg               Config
	tcpPort, httpPort int
	version           string
	child             *child
}

// host is the only address the engine listens on: it has no password.
const host = "127.0.0.1"

// Addr is host:port of the native protocol.
func (e *Engine) Addr() string { return net.JoinHostPort(host, strconv.Itoa(e.tcpPort)) }

// HTTPAddr is host:port of the HTTP interface.
func (e *Engine) HTTPAddr() string { return net.JoinHostPort(host, strconv.Itoa(e.httpPort)) }

// Version is what the engine answers to SELECT version(), for instance 26.7.2.1.
func (e *Engine) Version() string { return e.version }

// PID is the child's process id.
func (e *Engine) PID() int { return e.child.pid() }

// Done is closed when the engine's process has ended, for whatever reason.
func (e *Engine) Done() <-chan struct{} { return e.child.done }

// Err tells, once Done is closed, why the engine ended: nil if Close asked for it and it obeyed, an *ExitError otherwise.
// Before that it is nil.
func (e *Engine) Err() error { return e.child.err() }

// Close stops the engine and waits for its end: it closes the child's stdin, and kills the child if that does not help
// within stopWait. Data is safe either way. Close all connections to the engine first: it then ends within 20 ms or so, while
// it gives a single open one, idle or not, 5 s. Close returns what Err returns; called again, or after the engine died, it
// returns the same.
func (e *Engine) Close() error {
	err := e.child.stop()
	e.cfg.Logger.Info().Int("pid", e.PID()).AnErr("err", err).Msg("embedded engine stopped")
	return err
}
