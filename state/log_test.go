package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func logOrder(t *testing.T, cfg Config) {
	l := openTestLog(t, openStore(t, cfg), "p")
	texts := numbered(600) // more than two batches
	seqs := appendAll(t, l, texts...)
	last := expect(t, openReader(t, l, 0), texts...)
	if last.Seq != seqs[len(seqs)-1] || last.Time.Location() != time.UTC || time.Since(last.Time).Abs() > time.Minute {
		t.Errorf("last message %d at %v, want sequence %d, now", last.Seq, last.Time, seqs[len(seqs)-1])
	}
	first, lastSeq, size, err := l.Last(testContext(t))
	if err != nil || first != seqs[0] || lastSeq != last.Seq || size == 0 {
		t.Errorf("last: %d to %d, %d bytes, %v", first, lastSeq, size, err)
	}
}

func concurrentAppends(t *testing.T, cfg Config) {
	l := openTestLog(t, openStore(t, cfg), "p")
	const callers, each = 16, 20
	var mu sync.Mutex
	want := map[uint64]string{}
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				text := fmt.Sprintf("%d/%d", c, i)
				seq, err := l.Append(testContext(t), []byte(text))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want[seq] = text
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(want) != callers*each {
		t.Fatalf("%d different sequences for %d appends", len(want), callers*each)
	}
	r := openReader(t, l, 0)
	for range callers * each {
		m, err := r.Next(testContext(t))
		if err != nil || string(m.Data) != want[m.Seq] {
			t.Fatalf("at %d: got %q, want %q, %v", m.Seq, m.Data, want[m.Seq], err)
		}
	}
}

func readerResumes(t *testing.T, cfg Config) {
	l := openTestLog(t, openStore(t, cfg), "p")
	texts := numbered(20)
	seqs := appendAll(t, l, texts...)
	expect(t, openReader(t, l, seqs[7]), texts[7:]...)
	if err := l.Purge(testContext(t), seqs[11]); err != nil {
		t.Fatal(err)
	}
	expect(t, openReader(t, l, seqs[7]), texts[12:]...) // the next one that exists
}

func readerFollows(t *testing.T, cfg Config) {
	s := openStore(t, cfg)
	l := openTestLog(t, s, "p")
	appendAll(t, l, "before")
	r := openReader(t, l, 0)
	expect(t, r, "before")
	done := make(chan string, 1)
	go func() {
		m, err := r.Next(testContext(t))
		done <- fmt.Sprintf("%s %v", m.Data, err)
	}()
	other := openTestLog(t, s, "q") // news of another log is not ours
	appendAll(t, other, "elsewhere")
	appendAll(t, l, "after")
	if got := <-done; got != "after <nil>" {
		t.Fatalf("got %s", got)
	}
}

func readerGivesUp(t *testing.T, cfg Config) {
	l := openTestLog(t, openStore(t, cfg), "p")
	r := openReader(t, l, 0)
	ctx, cancel := context.WithCancel(testContext(t))
	done := make(chan error, 1)
	go func() {
		_, err := r.Next(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("next after cancel: %v", err)
	}
	texts := numbered(300)
	appendAll(t, l, texts...)
	for range 5 { // answers of abandoned requests must not be mixed up with later ones
		if _, err := r.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("next with a dead context: %v", err)
		}
	}
	expect(t, r, texts...)
}

func pendingCounts(t *testing.T, cfg Config) {
	l := openTestLog(t, openStore(t, cfg), "p")
	r := openReader(t, l, 0)
	check := func(want uint64) {
		t.Helper()
		if got, err := r.Pending(testContext(t)); err != nil || got != want {
			t.Fatalf("pending: got %d, want %d, %v", got, want, err)
		}
	}
	check(0)
	seqs := appendAll(t, l, "a", "b", "c")
	check(3)
	expect(t, r, "a")
	check(2)
	if err := l.Purge(testContext(t), seqs[1]); err != nil {
		t.Fatal(err)
	}
	check(1)
	expect(t, r, "b", "c") // b was fetched before it was purged
	check(0)
}

func readerClose(t *testing.T, cfg Config) {
	l := openTestLog(t, openStore(t, cfg), "p")
	r := openReader(t, l, 0)
	done := make(chan error, 1)
	go func() {
		_, err := r.Next(testContext(t))
		done <- err
	}()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Fatalf("next on a closed reader: %v", err)
	}
}

func largeGroups(t *testing.T, cfg Config) {
	l := openTestLog(t, openStore(t, cfg), "p")
	rnd := rand.NewChaCha8([32]byte{1})
	noise := make([]byte, l.MaxGroupBytes()) // does not compress
	_, _ = rnd.Read(noise)
	groups := [][]byte{noise, bytes.Repeat([]byte("z"), l.MaxGroupBytes()), {}, noise[:1], noise}
	for _, g := range groups {
		if _, err := l.Append(testContext(t), g); err != nil {
			t.Fatal(err)
		}
	}
	r := openReader(t, l, 0)
	for i, want := range groups {
		m, err := r.Next(testContext(t))
		if err != nil || !bytes.Equal(m.Data, want) {
			t.Fatalf("group %d: %d bytes, want %d, %v", i, len(m.Data), len(want), err)
		}
	}
}

func purgeUpTo(t *testing.T, cfg Config) {
	l := openTestLog(t, openStore(t, cfg), "p")
	ctx := testContext(t)
	texts := numbered(10)
	seqs := appendAll(t, l, texts...)
	for _, upTo := range []uint64{0, seqs[0] - 1, seqs[3], seqs[3], seqs[1]} {
		if err := l.Purge(ctx, upTo); err != nil {
			t.Fatal(err)
		}
	}
	first, last, _, err := l.Last(ctx)
	if err != nil || first != seqs[4] || last != seqs[9] {
		t.Fatalf("kept %d to %d, want %d to %d, %v", first, last, seqs[4], seqs[9], err)
	}
	if _, err := l.Get(ctx, seqs[3]); !errors.Is(err, ErrNotFound) {
		t.Errorf("purged message: %v", err)
	}
	if m, err := l.Get(ctx, seqs[4]); err != nil || string(m.Data) != texts[4] || m.Seq != seqs[4] {
		t.Errorf("kept message: %q at %d, %v", m.Data, m.Seq, err)
	}
}

func numbersGoOn(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	l := openTestLog(t, s, "p")
	seqs := appendAll(t, l, "a", "b")
	if err := l.Purge(ctx, seqs[1]+1000); err != nil {
		t.Fatal(err)
	}
	rev, err := s.Set(ctx, "run.x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "run.x"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, cfg)
	l = openTestLog(t, s, "p")
	first, last, size, err := l.Last(ctx)
	if err != nil || first != seqs[1]+1 || last != seqs[1] || size != 0 {
		t.Fatalf("empty log: %d to %d, %d bytes, %v; want it to end at %d", first, last, size, err, seqs[1])
	}
	if next := appendAll(t, l, "c"); next[0] != seqs[1]+1 {
		t.Errorf("appended as %d after %d", next[0], seqs[1])
	}
	if again, err := s.Set(ctx, "run.x", nil); err != nil || again <= rev {
		t.Errorf("revision %d after %d, %v", again, rev, err)
	}
}

func beforeByTime(t *testing.T, cfg Config) {
	l := openTestLog(t, openStore(t, cfg), "p")
	ctx := testContext(t)
	if seq, err := l.Before(ctx, time.Now()); err != nil || seq != 0 {
		t.Fatalf("empty log: %d, %v", seq, err)
	}
	seqs := appendAll(t, l, numbered(9)...)
	for i, seq := range seqs {
		m, err := l.Get(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		want := uint64(0)
		if i > 0 {
			want = seqs[i-1]
		}
		if got, err := l.Before(ctx, m.Time); err != nil || got != want {
			t.Errorf("before message %d: got %d, want %d, %v", i, got, want, err)
		}
	}
	if got, err := l.Before(ctx, time.Now().Add(time.Hour)); err != nil || got != seqs[8] {
		t.Errorf("before the future: got %d, want %d, %v", got, seqs[8], err)
	}
}

func fullLog(t *testing.T, cfg Config) {
	cfg.MaxLogBytes = 64 << 10
	s, ctx := openStore(t, cfg), testContext(t)
	l := openTestLog(t, s, "p")
	group := make([]byte, 4<<10)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(group)
	var last uint64
	var err error
	for range 100 {
		var seq uint64
		if seq, err = l.Append(ctx, group); err != nil {
			break
		}
		last = seq
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("100 appends of 4 KiB into 64 KiB ended with %v", err)
	}
	if _, err := s.Set(ctx, "ckpt.p", []byte("still writable")); err != nil {
		t.Errorf("checkpoint while the log is full: %v", err)
	}
	appendAll(t, openTestLog(t, s, "q"), "another pipeline is not held up")
	if err := l.Purge(ctx, last); err != nil {
		t.Fatal(err)
	}
	if seq, err := l.Append(ctx, group); err != nil || seq != last+1 {
		t.Fatalf("append after purge: %d after %d, %v", seq, last, err)
	}
}

func lowerLimit(t *testing.T, cfg Config) {
	cfg.MaxLogBytes = 1 << 20
	s := openStore(t, cfg)
	l := openTestLog(t, s, "p")
	group := make([]byte, 4<<10)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(group)
	for range 20 {
		appendAll(t, l, string(group))
	}
	first, last, _, err := l.Last(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.MaxLogBytes = 16 << 10
	l = openTestLog(t, openStore(t, cfg), "p")
	gotFirst, gotLast, _, err := l.Last(testContext(t))
	if err != nil || gotFirst != first || gotLast != last {
		t.Fatalf("kept %d to %d, want %d to %d, %v", gotFirst, gotLast, first, last, err)
	}
	if _, err := l.Append(testContext(t), group); !errors.Is(err, ErrFull) {
		t.Fatalf("append over the new limit: %v", err)
	}
}

func deadLetters(t *testing.T, cfg Config) {
	s, ctx := openStore(t, cfg), testContext(t)
	appendAll(t, openTestLog(t, s, "p"), "event")
	dead, err := s.DeadLetters(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	seqs := appendAll(t, dead, "one", "two", "three")
	for range 2 {
		if err := dead.Delete(ctx, seqs[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := dead.Delete(ctx, seqs[2]+100); err != nil {
		t.Errorf("delete of what never was: %v", err)
	}
	expect(t, openReader(t, dead, 0), "one", "three")
	expect(t, openReader(t, openTestLog(t, s, "p"), 0), "event")
}
