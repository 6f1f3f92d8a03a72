package pipeline

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// meter stands between a client and the portal, notes what each day costs, and
// finds the calls that a client which heeds every reply would not have sent.
type meter struct {
	portal http.RoundTripper
	every  int64 // the portal's credits a day
	keep   int64 // of them, reserved for others

	mu      sync.Mutex
	days    []dayMeter
	first   time.Time
	left    int64 // as the last reply told, -1 = nothing told since midnight
	toldOn  int
	flying  int64     // credits of the calls on their way
	held    time.Time // Retry-After of the last refusal
	calls   int
	many    int // 429 for too many at once
	gone    int // 429 for spent credits
	lowest  int64
	blunder []string
}

// dayMeter is one day: credits of the load and of everything else.
type dayMeter struct{ load, rest, refused int64 }

func newMeter(portal http.RoundTripper, perDay int64) *meter {
	return &meter{portal: portal, every: perDay, keep: perDay / 5, first: time.Now(), left: -1, lowest: perDay}
}

const pageCredits = 3

// bulk reports whether a request is the load's: the tickets in the order of
// their creation.
func bulk(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/tickets/search") && r.URL.Query().Get("sortBy") == "createdTime"
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		return m.portal.RoundTrip(r)
	}
	sent := m.leaves(r)
	reply, err := m.portal.RoundTrip(r)
	m.returns(r, reply, sent)
	return reply, err
}

// leaves judges a call by what its client was told until now.
func (m *meter) leaves(r *http.Request) (day int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	day = m.today()
	if day != m.toldOn {
		m.left = -1
	}
	m.calls++
	m.flying += pageCredits
	switch {
	case time.Now().Before(m.held):
		m.wrong("day %d: a call is sent though Zoho told all to wait until %s", day, m.held)
	case m.left >= 0 && m.left < m.flying:
		m.wrong("day %d: a call is sent though %d credits are left and %d on their way", day, m.left, m.flying)
	case m.left >= 0 && bulk(r) && m.left-m.flying < m.keep:
		m.wrong("day %d: the load goes on though %d credits are left, %d on their way and %d reserved", day, m.left, m.flying, m.keep)
	}
	return day
}

func (m *meter) returns(r *http.Request, reply *http.Response, sent int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flying -= pageCredits
	if reply == nil {
		return
	}
	d := m.day(m.today())
	left, cost := headerOf(reply, "X-Rate-Limit-Remaining-v3"), headerOf(reply, "X-Rate-Limit-Request-Weight-v3")
	switch {
	case reply.StatusCode == http.StatusTooManyRequests && reply.Header.Get("Retry-After") == "":
		d.refused++
		m.many++
		return
	case reply.StatusCode == http.StatusTooManyRequests:
		d.refused++
		m.gone++
		m.held = time.Now().Add(time.Duration(headerOf(reply, "Retry-After")) * time.Second)
		return
	case left < 0:
		return
	case bulk(r):
		d.load += cost
		m.lowest = min(m.lowest, left)
	default:
		d.rest += cost
	}
	if sent == m.today() {
		m.left, m.toldOn = left, sent
	}
}

func headerOf(reply *http.Response, header string) int64 {
	n, err := strconv.ParseInt(reply.Header.Get(header), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (m *meter) wrong(format string, args ...any) {
	if len(m.blunder) < 10 {
		m.blunder = append(m.blunder, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

func (m *meter) today() int { return int(time.Since(m.first) / (24 * time.Hour)) }

func (m *meter) day(n int) *dayMeter {
	for len(m.days) <= n {
		m.days = append(m.days, dayMeter{})
	}
	return &m.days[n]
}
