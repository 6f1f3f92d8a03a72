package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"deskhouse/sink/embedded"
	"deskhouse/sink/embedded/enginetest"
	"deskhouse/sink/embedded/launch"
)

// parentEnv makes this test binary start an engine on the folder it names and wait to be killed.
const parentEnv = "DESKHOUSE_TEST_PARENT_OF"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		beParent(dir)
	}
	enginetest.Main(m)
}

func beParent(dir string) {
	e, err := embedded.Start(context.Background(), embedded.Config{Dir: dir}) // the rest comes by environment
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("started", e.PID())
	select {}
}

func TestParentsDeathEndsTheEngine(t *testing.T) {
	cfg := enginetest.Config(t)
	parent := osexec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+cfg.Dir, "DESKHOUSE_ENGINE_LIB="+cfg.Library, "DESKHOUSE_ENGINE="+cfg.Engine)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "started ") {
		t.Fatalf("parent said %q, %v", line, err)
	}
	if _, err := embedded.Start(t.Context(), cfg); err == nil {
		t.Fatal("the parent's engine does not hold its folder")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait() // says "signal: killed"
	waitUnlocked(t, cfg.Dir)
	startOwn(t, cfg)
}

// waitUnlocked returns when the process that holds dir has ended: the kernel gives its lock to us.
func waitUnlocked(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, launch.LockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

func TestFetchScriptAndCodeNameOneVersion(t *testing.T) {
	root, err := enginetest.Root()
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(root, "deploy", "fetch-engine.sh"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^version="([^"]+)"`).FindSubmatch(script)
	if found == nil || string(found[1]) != embedded.LibraryVersion {
		t.Errorf("script says %s, code says %s", found, embedded.LibraryVersion)
	}
	if !strings.Contains(string(script), "platform="+embedded.PlatformFolder()) {
		t.Errorf("script does not know %s", embedded.PlatformFolder())
	}
}

func httpQuery(t *testing.T, e *embedded.Engine, query string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+e.HTTPAddr(), strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", query, resp.Status, body, err)
	}
	return strings.TrimSpace(string(body))
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// libc is a real library that is not ours.
func libc(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "darwin" {
		t.Skip("macOS keeps its libraries in a cache, not in files")
	}
	for _, dir := range []string{"/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib"} {
		if _, err := os.Stat(dir + "/libc.so.6"); err == nil {
			return dir + "/libc.so.6"
		}
	}
	t.Fatal("no libc.so.6 found")
	return ""
}

func itoa(n int) string { return strconv.Itoa(n) }
