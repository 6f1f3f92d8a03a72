package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// touch makes an empty file and its folders, and returns its path.
func touch(t *testing.T, elem ...string) string {
	t.Helper()
	path := filepath.Join(elem...)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLibraryIsFoundInOrder(t *testing.T) {
	cwd, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(cwd)
	t.Setenv("DESKHOUSE_ENGINE_LIB", "")
	if got, err := findLibrary(""); !errors.Is(err, ErrLibraryMissing) {
		t.Fatalf("in an empty folder: got %q, %v", got, err)
	}
	cached := touch(t, cwd, ".cache", "engine", LibraryVersion, PlatformFolder(), libraryName)
	if got, err := findLibrary(""); got != cached || err != nil {
		t.Errorf("got %q, %v, want %s", got, err, cached)
	}
	fromEnv := touch(t, cwd, "env.so")
	t.Setenv("DESKHOUSE_ENGINE_LIB", fromEnv)
	if got, err := findLibrary(""); got != fromEnv || err != nil {
		t.Errorf("got %q, %v, want %s", got, err, fromEnv)
	}
	touch(t, cwd, "given.so")
	if got, err := findLibrary("given.so"); got != filepath.Join(cwd, "given.so") || err != nil {
		t.Errorf("got %q, %v, want the absolute path of given.so", got, err)
	}
	t.Setenv("DESKHOUSE_ENGINE_LIB", filepath.Join(cwd, "gone.so"))
	if got, err := findLibrary(""); !errors.Is(err, ErrLibraryMissing) {
		t.Errorf("a wrong path in the environment: got %q, %v, want no fall-back", got, err)
	}
}

// A binary in bin/ finds the library that make deps put beside bin/, whatever
// folder it is started in.
func TestLibraryIsFoundBesideTheExecutablesFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("DESKHOUSE_ENGINE_LIB", "")
	want := touch(t, filepath.Dir(executableDir()), ".cache", "engine", LibraryVersion, PlatformFolder(), libraryName)
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Join(filepath.Dir(executableDir()), ".cache")) })
	if got, err := findLibrary(""); got != want || err != nil {
		t.Errorf("got %q, %v, want %s", got, err, want)
	}
}

func TestEngineIsFoundInBin(t *testing.T) {
	cwd, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(cwd)
	t.Setenv("DESKHOUSE_ENGINE", "")
	if err := os.MkdirAll(filepath.Join(cwd, "deskhouse-engine"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := findEngine("deskhouse-engine"); !errors.Is(err, ErrEngineMissing) {
		t.Errorf("a folder of that name: got %q, %v", got, err)
	}
	want := touch(t, cwd, "bin", "deskhouse-engine")
	if got, err := findEngine(""); got != want || err != nil {
		t.Errorf("got %q, %v, want %s", got, err, want)
	}
}
