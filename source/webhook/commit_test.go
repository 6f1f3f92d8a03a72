package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// async posts n numbered events at once and returns their answers as they come.
func (f *fixture) async(from, n int) <-chan int {
	answers := make(chan int, n)
	for i := range n {
		go func() { answers <- f.post("", numbered(from+i)) }()
	}
	return answers
}

func numbered(i int) string {
	return fmt.Sprintf(`{"eventType":"Ticket_Add","eventTime":"%d","payload":{}}`, i)
}

// waitFor returns when n batches wait in the committer; the handlers get there by themselves, so it only yields.
func (f *fixture) waitFor(n int) {
	c := f.server.committers["support"]
	for {
		c.mu.Lock()
		waiting := len(c.waiting)
		c.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

func held(f *fixture, _ *Config, _ *Route) {
	f.log.entered, f.log.proceed = make(chan struct{}, 16), make(chan struct{})
}

// TestDeliveriesThatArriveTogetherShareOneAppend holds the first append until the others wait.
func TestDeliveriesThatArriveTogetherShareOneAppend(t *testing.T) {
	f := start(t, held)
	first := f.async(0, 1)
	<-f.log.entered // a lone delivery is appended at once, though nothing else comes
	rest := f.async(1, 50)
	f.waitFor(50)
	close(f.log.proceed)
	for range 50 {
		if got := <-rest; got != 200 {
			t.Errorf("status %d", got)
		}
	}
	if got := <-first; got != 200 {
		t.Errorf("status %d", got)
	}
	events, groups := f.log.events(t)
	if len(events) != 51 || groups != 2 {
		t.Errorf("%d events in %d groups, want 51 in 2", len(events), groups)
	}
	var times []string
	for _, e := range events {
		times = append(times, e.EventTime)
	}
	slices.Sort(times)
	if len(slices.Compact(times)) != 51 {
		t.Errorf("an event is stored twice or lost: %v", times)
	}
}

func TestGroupsStayWithinTheLogsLimit(t *testing.T) {
	f := start(t, func(f *fixture, c *Config, r *Route) {
		held(f, c, r)
		f.log.most = 400 // three or four events
	})
	first := f.async(0, 1)
	<-f.log.entered
	rest := f.async(1, 20)
	f.waitFor(20)
	close(f.log.proceed)
	for range 20 {
		if got := <-rest; got != 200 {
			t.Errorf("status %d", got)
		}
	}
	<-first
	if events, groups := f.log.events(t); len(events) != 21 || groups < 6 || groups > 11 {
		t.Errorf("%d events in %d groups", len(events), groups)
	}
}

func TestLargeDeliveryIsSplit(t *testing.T) {
	f := start(t, func(f *fixture, _ *Config, _ *Route) { f.log.most = 400 })
	var all []string
	for i := range 20 {
		all = append(all, numbered(i))
	}
	huge := fmt.Sprintf(`{"eventType":"Ticket_Add","payload":{"x":%q}}`, strings.Repeat("y", 400))
	if got := f.post("", "["+huge+","+strings.Join(all, ",")+"]"); got != 200 {
		t.Fatal(got)
	}
	events, groups := f.log.events(t)
	if len(events) != 20 || groups < 5 {
		t.Errorf("%d events in %d groups", len(events), groups)
	}
	for i, e := range events {
		if e.EventTime != fmt.Sprint(i) {
			t.Errorf("event %d is at place %d", i, len(events))
		}
	}
	if got := f.dead.kept[ReasonTooLarge]; !slices.Equal(got, []string{huge}) {
		t.Errorf("kept %d bytes of letters", len(got))
	}
}

func TestLogFailing(t *testing.T) {
	f := start(t, func(f *fixture, c *Config, r *Route) {
		held(f, c, r)
		f.log.err = errors.New("log full")
	})
	first := f.async(0, 1)
	<-f.log.entered
	rest := f.async(1, 5)
	f.waitFor(5)
	close(f.log.proceed)
	for range 5 {
		if got := <-rest; got != 503 {
			t.Errorf("status %d", got)
		}
	}
	if got := <-first; got != 503 {
		t.Errorf("status %d", got)
	}
	if got := strings.Count(f.output.String(), "log full"); got != 2 {
		t.Errorf("the failure is logged %d times, want once an append", got)
	}
	f.log.mu.Lock()
	f.log.err = nil
	f.log.mu.Unlock()
	if got := f.post("", ticketAdd); got != 200 {
		t.Errorf("status %d after the log works again", got)
	}
}

// TestWaitIsBounded: two deliveries wait for a log that hangs; the one that is not on its way to it is dropped.
func TestWaitIsBounded(t *testing.T) {
	f := start(t, func(f *fixture, c *Config, r *Route) {
		held(f, c, r)
		f.log.deaf = true
	})
	first := f.async(0, 1)
	<-f.log.entered
	second := f.async(1, 1)
	f.waitFor(1)
	if err := f.clock.BlockUntilContext(t.Context(), 3); err != nil { // two handlers and the append
		t.Fatal(err)
	}
	f.clock.Advance(defaultTimeout)
	if got := <-second; got != 503 {
		t.Errorf("status %d", got)
	}
	if got := <-first; got != 503 {
		t.Errorf("status %d", got)
	}
	close(f.log.proceed)
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	if events, _ := f.log.events(t); len(events) != 1 || events[0].EventTime != "0" {
		t.Errorf("stored %+v, want the event on its way and not the other", events)
	}
}

// TestAppendIsBounded: a log that obeys its context is given up on, and the next delivery finds it free.
func TestAppendIsBounded(t *testing.T) {
	f := start(t, held)
	first := f.async(0, 1)
	<-f.log.entered
	if err := f.clock.BlockUntilContext(t.Context(), 2); err != nil { // the handler and the append
		t.Fatal(err)
	}
	f.clock.Advance(defaultTimeout)
	if got := <-first; got != 503 {
		t.Errorf("status %d", got)
	}
	second := f.async(1, 1)
	<-f.log.entered // only once the first append has ended
	close(f.log.proceed)
	if got := <-second; got != 200 {
		t.Errorf("status %d", got)
	}
}

// TestStopStoresWhatWaits and refuses what comes afterwards.
func TestStopStoresWhatWaits(t *testing.T) {
	f := start(t, held)
	first := f.async(0, 1)
	<-f.log.entered
	second := f.async(1, 1)
	f.waitFor(1)
	stopped := make(chan error, 1)
	go func() { stopped <- f.stop() }()
	close(f.log.proceed)
	for _, answers := range []<-chan int{first, second} {
		if got := <-answers; got != 200 {
			t.Errorf("status %d", got)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if got := f.post("", ticketAdd); got != 503 {
		t.Errorf("status %d after the stop", got)
	}
	if events, _ := f.log.events(t); len(events) != 2 {
		t.Errorf("%d events", len(events))
	}
	if err := f.server.Run(context.Background()); err == nil {
		t.Error("Run runs twice")
	}
}

func TestHungLogDelaysNoOtherPipeline(t *testing.T) {
	f := start(t, held)
	other := &memoryLog{most: 1 << 20}
	routes := []Route{
		{Pipeline: "support", Secrets: only(secret), OrgID: org, Log: f.log, DeadLetters: f.dead},
		{Pipeline: "sales", Secrets: only(secret), OrgID: org, Log: other, DeadLetters: f.dead},
	}
	if err := f.server.SetRoutes(routes); err != nil {
		t.Fatal(err)
	}
	first := f.async(0, 1)
	<-f.log.entered
	if got := f.send(http.MethodPost, Path("sales", secret), "", ticketAdd).Code; got != 200 {
		t.Errorf("status %d", got)
	}
	close(f.log.proceed)
	<-first
}

func TestTooMuchInFlight(t *testing.T) {
	f := start(t, func(f *fixture, c *Config, r *Route) {
		held(f, c, r)
		c.MaxBody, c.MaxBuffered = 1000, 1000
	})
	large := fmt.Sprintf(`{"eventType":"Ticket_Add","payload":{"x":%q}}`, strings.Repeat("y", 900))
	answer := make(chan int, 1)
	go func() { answer <- f.post("", large) }()
	<-f.log.entered
	if got := f.post("", large); got != 503 {
		t.Errorf("status %d", got)
	}
	close(f.log.proceed)
	if got := <-answer; got != 200 {
		t.Errorf("status %d", got)
	}
	if got := f.post("", large); got != 200 {
		t.Errorf("status %d once there is room again", got)
	}
}

func TestSenderHangsUp(t *testing.T) {
	f := start(t, held)
	first := f.async(0, 1)
	<-f.log.entered
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, Path("support", secret), strings.NewReader(numbered(1)))
	var wait sync.WaitGroup
	wait.Go(func() { f.server.ServeHTTP(httptest.NewRecorder(), r) })
	f.waitFor(1)
	cancel()
	wait.Wait()
	close(f.log.proceed)
	if got := <-first; got != 200 {
		t.Errorf("status %d", got)
	}
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	if events, _ := f.log.events(t); len(events) != 1 {
		t.Errorf("%d events", len(events))
	}
}
