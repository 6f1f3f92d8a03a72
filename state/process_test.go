package state

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

// Roles of the test binary as a child process, and where it finds the folder.
const (
	childRole   = "DESKHOUSE_STATE_TEST_CHILD"
	childDir    = "DESKHOUSE_STATE_TEST_DIR"
	roleWriter  = "writer"
	roleOpener  = "opener"
	inUseStatus = 5
)

func runChild(role string) int {
	cfg := Config{URL: EmbeddedURL, Dir: os.Getenv(childDir), Key: testKey(1), Logger: zerolog.Nop()}
	s, err := Open(context.Background(), cfg)
	if errors.Is(err, ErrInUse) {
		fmt.Println(err)
		return inUseStatus
	}
	if err == nil && role == roleWriter {
		err = writeUntilKilled(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// writeUntilKilled appends and sets keys from several goroutines and prints a line for each acknowledgement.
func writeUntilKilled(s *Store) error {
	ctx := context.Background()
	l, err := s.Log(ctx, "p")
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format, args...) // unbuffered: one write a line
	}
	failed := make(chan error)
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				text := fmt.Sprintf("%d-%d-%s", w, i, strings.Repeat("x", rand.IntN(5000)))
				seq, err := l.Append(ctx, []byte(text))
				if err != nil {
					failed <- err
					return
				}
				say("E %d %s\n", seq, text)
			}
		}()
	}
	go func() {
		for i := 0; ; i++ {
			key := fmt.Sprintf("ckpt.%d", i%7)
			if _, err := s.Set(ctx, key, []byte(strconv.Itoa(i))); err != nil {
				failed <- err
				return
			}
			say("K %s %d\n", key, i)
			gone := fmt.Sprintf("reread.%d", i)
			if _, err := s.Set(ctx, gone, nil); err != nil {
				failed <- err
				return
			}
			if err := s.Delete(ctx, gone); err != nil {
				failed <- err
				return
			}
			say("D %s\n", gone)
		}
	}()
	return <-failed
}

func childProcess(t *testing.T, role, dir string) *exec.Cmd {
	cmd := exec.CommandContext(testContext(t), os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir)
	cmd.Stderr = t.Output()
	return cmd
}

// acknowledged is what killed writers were told is safe.
type acknowledged struct {
	events  map[uint64]string
	keys    map[string]int
	deleted map[string]bool
}

// runAndKill lets a writer reach the given number of acknowledgements, kills it, and collects all it printed.
func (a *acknowledged) runAndKill(t *testing.T, dir string, acks int) {
	t.Helper()
	cmd := childProcess(t, roleWriter, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			if n < acks {
				t.Errorf("writer stopped by itself after %d acknowledgements", n)
			}
			break // a line cut by the kill was not finished: not counted
		}
		if err != nil {
			t.Fatal(err)
		}
		a.note(t, strings.Fields(line))
		if n == acks {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("writer ended with %v, not by the kill", err)
	}
}

func (a *acknowledged) note(t *testing.T, f []string) {
	t.Helper()
	switch {
	case len(f) == 3 && f[0] == "E":
		seq, err := strconv.ParseUint(f[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := a.events[seq]; twice {
			t.Errorf("sequence %d was given twice", seq)
		}
		a.events[seq] = f[2]
	case len(f) == 3 && f[0] == "K":
		n, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		a.keys[f[1]] = n
	case len(f) == 2 && f[0] == "D":
		a.deleted[f[1]] = true
	default:
		t.Fatalf("line of %d fields", len(f))
	}
}

// check opens the state that the kill left and looks for everything acknowledged.
func (a *acknowledged) check(t *testing.T, dir string) {
	t.Helper()
	cfg := embeddedConfig(t)
	cfg.Dir = dir
	s := openStore(t, cfg)
	defer func() { _ = s.Close() }()
	l := openTestLog(t, s, "p")
	r := openReader(t, l, 0)
	defer func() { _ = r.Close() }()
	_, last, _, err := l.Last(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	found, at := 0, uint64(0)
	for at < last {
		m, err := r.Next(testContext(t))
		if err != nil || m.Seq <= at {
			t.Fatalf("read %d after %d: %v", m.Seq, at, err)
		}
		at = m.Seq
		if want, ok := a.events[m.Seq]; ok {
			found++
			if string(m.Data) != want {
				t.Errorf("message %d has other content", m.Seq)
			}
		}
	}
	if found != len(a.events) {
		t.Errorf("%d of %d acknowledged messages are there", found, len(a.events))
	}
	for key, want := range a.keys {
		e, err := s.Get(testContext(t), key)
		if err != nil {
			t.Errorf("acknowledged %s: %v", key, err)
			continue
		}
		if got, err := strconv.Atoi(string(e.Value)); err != nil || got < want {
			t.Errorf("%s is %q, acknowledged was %d", key, e.Value, want)
		}
	}
	for key := range a.deleted {
		if _, err := s.Get(testContext(t), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted %s is back: %v", key, err)
		}
	}
	// Keys written by the next writer start again from 0.
	a.keys, a.deleted = map[string]int{}, map[string]bool{}
}

// TestKilledWriterLosesNothingAcknowledged kills writers at random moments; each goes on where the one before was killed.
func TestKilledWriterLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	a := &acknowledged{events: map[uint64]string{}, keys: map[string]int{}, deleted: map[string]bool{}}
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		a.runAndKill(t, dir, 1+rand.IntN(800))
		a.check(t, dir)
	}
	if len(a.events) == 0 {
		t.Error("no writer was acknowledged anything")
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	cfg := embeddedConfig(t)
	openStore(t, cfg)
	out, err := childProcess(t, roleOpener, cfg.Dir).Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != inUseStatus {
		t.Fatalf("second process: %v", err)
	}
	if want := fmt.Sprintf("pid %d", os.Getpid()); !strings.Contains(string(out), want) {
		t.Errorf("message %q does not say %q", out, want)
	}
}
