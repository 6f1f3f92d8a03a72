// Package launch is the agreement between package embedded (the parent) and the program deskhouse-engine (the child): its
// arguments, its exit codes, its lock file and what it writes. It imports nothing but the standard library, because it is
// linked into both: the child stays tiny, and the parent stays static.
//
// The child keeps running while its stdin is open. Once it listens it writes one line to stdout, the engine's version. All
// it says about a failure is on stderr, one line, followed by one of the exit codes below.
package launch

import (
	"errors"
	"fmt"
	"strconv"
)

// Exit codes of deskhouse-engine. Zero is a clean stop: stdin was closed, or SIGTERM or SIGINT arrived.
const (
	ExitUsage           = 2  // wrong arguments
	ExitLibraryMissing  = 10 // the library file is not there or cannot be read
	ExitLibraryUnusable = 11 // the file is there but cannot be loaded on this platform
	ExitInUse           = 12 // another process holds the data folder; its pid is in LockFile
	ExitListen          = 13 // a port is taken or the host is not an address of this machine
	ExitEngine          = 14 // the engine ended by itself
	ExitStuck           = 15 // the engine was told to stop and did not within StopSeconds
)

// LockFile is the name, inside the data folder, of the file the child holds an exclusive flock on. It contains the holder's
// pid in decimal; it stays behind after a stop, unlocked.
const LockFile = "deskhouse-engine.lock"

// StopSeconds is how long the child waits for the engine to end after it was told to. The engine needs 20 ms if no client is
// connected, and otherwise 5 s, which no setting changes (shutdown_wait_unfinished was tried).
const StopSeconds = 10

// Args are the child's arguments. All but ConfigFile are required.
type Args struct {
	Library    string // path of libchdb
	Dir        string // the engine's data folder, created if absent
	Host       string // address to listen on
	TCPPort    int    // native protocol
	HTTPPort   int
	ConfigFile string // ClickHouse configuration, XML; may be empty
}

// Strings gives the arguments in the order Parse expects.
func (a Args) Strings() []string {
	s := []string{a.Library, a.Dir, a.Host, strconv.Itoa(a.TCPPort), strconv.Itoa(a.HTTPPort)}
	if a.ConfigFile != "" {
		s = append(s, a.ConfigFile)
	}
	return s
}

// Parse reads the arguments (without the program's name). Its error is fit to be shown to a person.
func Parse(s []string) (Args, error) {
	if len(s) < 5 || len(s) > 6 {
		return Args{}, errors.New("usage: deskhouse-engine LIBRARY DATA_DIR LISTEN_HOST TCP_PORT HTTP_PORT [CONFIG_FILE]")
	}
	a := Args{Library: s[0], Dir: s[1], Host: s[2]}
	if a.Library == "" || a.Dir == "" || a.Host == "" {
		return Args{}, errors.New("library, data folder and listen host must not be empty")
	}
	var err error
	if a.TCPPort, err = port("tcp port", s[3]); err != nil {
		return Args{}, err
	}
	if a.HTTPPort, err = port("http port", s[4]); err != nil {
		return Args{}, err
	}
	if len(s) == 6 {
		a.ConfigFile = s[5]
	}
	return a, nil
}

func port(what, s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s %q: want a number from 1 to 65535", what, s)
	}
	return int(n), nil
}
