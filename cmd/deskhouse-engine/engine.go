package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"deskhouse/sink/embedded/launch"
)

// engineArgs is the command line of clickhouse local that makes it a server: it opens both listeners, says its version, then
// reads the gate, which blocks until the gate is closed; after that, or after the first of these that fails, it says that it is
// over. "INTO OUTFILE" is needed because the library keeps ordinary results in memory. --interactive is for what it does to
// errors, see session; no history is kept. --user is not accepted by clickhouse local.
func engineArgs(a launch.Args, sayPath, gatePath string) []string {
	args := []string{"clickhouse", "--path", a.Dir}
	if a.ConfigFile != "" {
		args = append(args, "--config-file", a.ConfigFile)
	}
	say := func(what string) string {
		return "SELECT " + what + " INTO OUTFILE '" + sayPath + "' APPEND FORMAT TSVRaw"
	}
	return append(args,
		"--listen_host", a.Host, "--tcp_port", strconv.Itoa(a.TCPPort), "--http_port", strconv.Itoa(a.HTTPPort),
		"--interactive", "--disable_suggestion", "--history_file", os.DevNull, "--progress", "off",
		"--multiquery", "--query",
		"SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; "+say("version()")+"; SELECT * FROM file('"+gatePath+"', LineAsString)",
		"--query", say("'"+over+"'"))
}

// portsFree tells a taken port from other failures. It is only a test: between it and the engine's own bind the port may
// still go, which the second call in serveUntilClosed finds.
func portsFree(a launch.Args) error {
	for _, port := range []int{a.TCPPort, a.HTTPPort} {
		l, err := net.Listen("tcp", net.JoinHostPort(a.Host, strconv.Itoa(port)))
		if err != nil {
			return fail(launch.ExitListen, "cannot listen on %s port %d: %w", a.Host, port, err)
		}
		l.Close()
	}
	return nil
}

// lockDir creates the data folder and takes it for this process. The lock is the kernel's: it ends with the process,
// however that ends. (The engine locks a file of its own as well, "status", but says so only as text.)
func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fail(launch.ExitEngine, "data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, launch.LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fail(launch.ExitEngine, "data folder: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fail(launch.ExitInUse, "data folder %s is in use by another process", dir)
	}
	if err == nil {
		err = writePID(f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fail(launch.ExitEngine, "lock file: %w", err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return fail(launch.ExitEngine, "lock file: %w", err)
	}
	return nil
}
