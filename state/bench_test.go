package state

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
)

func benchStore(b *testing.B) *Store {
	cfg := embeddedConfig(b)
	cfg.Logger = zerolog.Nop()
	return openStore(b, cfg)
}

var benchGroup = []byte(strings.Repeat(`{"eventType":"Ticket_Update","payload":{"id":"31138000012345678","status":"Open"}},`, 20))

// BenchmarkAppend: one group of 1.6 KB of JSON an operation, each synced to disk.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := openTestLog(b, benchStore(b), "p")
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan error, callers)
			b.ResetTimer()
			for range callers {
				go func() {
					for left.Add(-1) >= 0 {
						if _, err := l.Append(context.Background(), benchGroup); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range callers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}

// BenchmarkRead: one message an operation, from the start of a stored log.
func BenchmarkRead(b *testing.B) {
	l := openTestLog(b, benchStore(b), "p")
	const stored = 2000
	for range stored {
		if _, err := l.Append(context.Background(), benchGroup); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for n := 0; n < b.N; {
		r := openReader(b, l, 0)
		for i := 0; i < stored && n < b.N; i++ {
			if _, err := r.Next(context.Background()); err != nil {
				b.Fatal(err)
			}
			n++
		}
		_ = r.Close()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkSet: one checkpoint an operation, synced to disk.
func BenchmarkSet(b *testing.B) {
	s := benchStore(b)
	for b.Loop() {
		if _, err := s.Set(context.Background(), "ckpt.p", benchGroup); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen: start and stop of a store that holds a log of 2,000 messages and 200 keys.
func BenchmarkOpen(b *testing.B) {
	cfg := embeddedConfig(b)
	cfg.Logger = zerolog.Nop()
	s := openStore(b, cfg)
	l := openTestLog(b, s, "p")
	for range 2000 {
		if _, err := l.Append(context.Background(), benchGroup); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 200 {
		if _, err := s.Set(context.Background(), fmt.Sprintf("reread.%d", i), benchGroup); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		var err error
		if s, err = Open(context.Background(), cfg); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	_ = s.Close()
}
