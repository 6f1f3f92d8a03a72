package webhook

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// countingLog keeps nothing, so that the intake itself is measured.
type countingLog struct{ groups int }

func (l *countingLog) MaxGroupBytes() int { return 1 << 20 }

func (l *countingLog) Append(context.Context, []byte) (uint64, error) {
	l.groups++
	return uint64(l.groups), nil
}

// BenchmarkDelivery posts bodies of 1 and 10 events of 2 KiB without sockets, 64 senders a processor.
func BenchmarkDelivery(b *testing.B) {
	event := fmt.Sprintf(`{"eventType":"Ticket_Update","eventTime":"1789000000123","orgId":"60000000001","payload":{"id":"1","description":%q}}`, strings.Repeat("x", 2<<10))
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			log := &countingLog{}
			server, err := New(Config{Logger: zerolog.Nop(), Routes: []Route{{Pipeline: "support", Secrets: only(secret), OrgID: org, Log: log, DeadLetters: &memoryDeadLetters{}}}})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- server.Run(ctx) }()
			body := "[" + strings.Repeat(event+",", n-1) + event + "]"
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					w := httptest.NewRecorder()
					server.ServeHTTP(w, httptest.NewRequest(http.MethodPost, Path("support", secret), strings.NewReader(body)))
					if w.Code != http.StatusOK {
						b.Errorf("status %d", w.Code)
					}
				}
			})
			cancel()
			if err := <-ended; err != nil {
				b.Error(err)
			}
			b.ReportMetric(float64(b.N)/float64(log.groups), "deliveries/append")
		})
	}
}
