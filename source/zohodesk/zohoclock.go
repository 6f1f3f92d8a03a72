package zohodesk

import (
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
)

// zohoClock follows Zoho's clock by the Date headers of replies.
type zohoClock struct {
	clock clockwork.Clock

	mu   sync.Mutex
	date time.Time // Zoho's, of the newest reply
	seen time.Time // ours, when it arrived
}

func (z *zohoClock) saw(date time.Time) {
	if date.IsZero() {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.date, z.seen = date.UTC(), z.clock.Now()
}

func (z *zohoClock) now() time.Time {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.date.IsZero() {
		return time.Time{}
	}
	return z.date.Add(z.clock.Since(z.seen))
}
