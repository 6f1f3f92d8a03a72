package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// findLibrary gives the path of libchdb, or an ErrLibraryMissing that says where it looked and what to do.
func findLibrary(given string) (string, error) {
	platform := PlatformFolder()
	if platform == "" && given == "" && os.Getenv("DESKHOUSE_ENGINE_LIB") == "" {
		return "", fmt.Errorf("%w: there is none for %s/%s; use an external ClickHouse", ErrLibraryUnusable, runtime.GOOS, runtime.GOARCH)
	}
	cached := filepath.Join(".cache", "engine", LibraryVersion, platform, libraryName)
	exe := executableDir()
	places := []string{filepath.Join(exe, libraryName), filepath.Join(filepath.Dir(exe), cached), filepath.Join(workingDir(), cached)}
	path, looked := find(given, "DESKHOUSE_ENGINE_LIB", places)
	if path == "" {
		return "", fmt.Errorf("%w (looked for %s); run make deps, or set DESKHOUSE_ENGINE_LIB", ErrLibraryMissing, looked)
	}
	return path, nil
}

// findEngine gives the path of the program deskhouse-engine, or an ErrEngineMissing.
func findEngine(given string) (string, error) {
	const name = "deskhouse-engine"
	places := []string{filepath.Join(executableDir(), name), filepath.Join(workingDir(), "bin", name)}
	path, looked := find(given, "DESKHOUSE_ENGINE", places)
	if path == "" {
		return "", fmt.Errorf("%w (looked for %s); run make build, or set DESKHOUSE_ENGINE", ErrEngineMissing, looked)
	}
	return path, nil
}

// PlatformFolder is the name of this platform's folder under .cache/engine/<version>, empty if there is no library for it.
func PlatformFolder() string { return platforms[runtime.GOOS+"/"+runtime.GOARCH] }

// platforms maps Go's names to the suffix of the npm package @chdb/lib-*.
var platforms = map[string]string{
	"linux/amd64":  "linux-x64-gnu",
	"linux/arm64":  "linux-arm64-gnu",
	"darwin/arm64": "darwin-arm64",
	"darwin/amd64": "darwin-x64",
}

const libraryName = "libchdb.so" // chDB names it so on macOS too

// find returns the first existing file of: the path given, the environment variable's, the places. A path that was given, or
// is in the environment, is the only one looked for: falling back to another would hide the mistake.
func find(given, env string, places []string) (path, looked string) {
	if given == "" {
		given = os.Getenv(env)
	}
	if given != "" {
		places = []string{given}
	}
	for _, place := range places {
		if info, err := os.Stat(place); err == nil && info.Mode().IsRegular() {
			if abs, err := filepath.Abs(place); err == nil {
				return abs, ""
			}
		}
	}
	return "", strings.Join(places, ", ")
}

// executableDir is the running executable's folder with symbolic links resolved.
func executableDir() string {
	exe, err := os.Executable()
	if err != nil {
		return "."
	}
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	return filepath.Dir(exe)
}

func workingDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	return dir
}
