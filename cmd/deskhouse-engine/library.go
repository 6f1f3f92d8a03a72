package main

import (
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"

	"deskhouse/sink/embedded/launch"
)

// library is a loaded libchdb. The two functions used are declared in chdb.h of chdb-core.
type library struct {
	queryCmdline func(argc int32, argv unsafe.Pointer) uintptr // chdb_query_cmdline: clickhouse local's main
}

// load opens the library and switches its signal handlers off, so that this program's own see SIGTERM.
func load(path string) (*library, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fail(launch.ExitLibraryMissing, "engine library: %w", err)
	}
	f.Close()                                       // read-only: nothing to lose
	if path, err = filepath.Abs(path); err != nil { // a name without a slash would be looked for in the system's folders
		return nil, fail(launch.ExitLibraryMissing, "engine library: %w", err)
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fail(launch.ExitLibraryUnusable, "engine library cannot be loaded on %s/%s: %w", runtime.GOOS, runtime.GOARCH, err)
	}
	query, err := purego.Dlsym(handle, "chdb_query_cmdline")
	if err != nil {
		// dlerror is of the thread, which the goroutine may have left: the name must not come from it
		return nil, fail(launch.ExitLibraryUnusable, "engine library %s is not the one expected: it lacks chdb_query_cmdline: %w", path, err)
	}
	handlers, err := purego.Dlsym(handle, "chdb_set_signal_handlers_enabled")
	if err != nil {
		return nil, fail(launch.ExitLibraryUnusable, "engine library %s is not the one expected: it lacks chdb_set_signal_handlers_enabled: %w", path, err)
	}
	var setSignalHandlers func(enabled int32)
	purego.RegisterFunc(&setSignalHandlers, handlers)
	setSignalHandlers(0)
	l := &library{}
	purego.RegisterFunc(&l.queryCmdline, query)
	return l, nil
}

// run is clickhouse local with the arguments given; it returns when the last query has ended. The result it hands back is
// neither read nor freed: failures are on stderr already (its error text was empty in every failure tried), and the process
// ends next.
func (l *library) run(args []string) {
	argv, release := cStrings(args)
	defer release()
	l.queryCmdline(int32(len(args)), argv)
}

// cStrings lays args out as C's argv: NUL-terminated strings and a closing NULL. The memory is Go's, pinned until release,
// so that the collector neither moves nor frees it while the engine, which keeps pointers into it, runs.
func cStrings(args []string) (argv unsafe.Pointer, release func()) {
	var pin runtime.Pinner
	pointers := make([]*byte, len(args)+1)
	for i, a := range args {
		text := append([]byte(a), 0)
		pin.Pin(&text[0])
		pointers[i] = &text[0]
	}
	pin.Pin(&pointers[0])
	return unsafe.Pointer(&pointers[0]), pin.Unpin
}
