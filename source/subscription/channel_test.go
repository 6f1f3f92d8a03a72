package subscription

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"deskhouse/source"
	"deskhouse/source/webhook"
)

// channels is a second kind of sender, as Zoho CRM's notification channels are: a subscription lives for a day at most, is
// proven by a token that it repeats, and each event of a request has a result of its own.
type channels struct {
	t       *testing.T
	site    *site
	life    time.Duration
	refuses string // an event it does not know
	rows    []*channel
	made    int
	calls   []string
	fail    func(call string) (before, after error) // nil: nothing fails
}

type channel struct {
	Held
	token string
	want  []string
}

// newChannels is a site whose sender is a channel.
func newChannels(t *testing.T, life time.Duration) (*site, *channels) {
	t.Helper()
	s := newSite(t)
	c := &channels{t: t, site: s, life: life}
	s.kind = c
	s.proof = func(*Keeper) webhook.Proof {
		return webhook.EchoedToken{Tokens: func() []string { return s.now().Tokens() }}
	}
	s.open()
	return s, c
}

func (*channels) Name() string { return "channel" }

// does lets a call fail before or after it is carried out.
func (c *channels) does(call string, do func() error) error {
	c.calls = append(c.calls, call)
	var before, after error
	if c.fail != nil {
		before, after = c.fail(call)
	}
	if before != nil {
		return before
	}
	return errors.Join(do(), after)
}

func (c *channels) Look(_ context.Context, want Want) (all []Held, err error) {
	err = c.does("look", func() error {
		for _, row := range c.live() {
			h := row.Held
			for _, event := range want.Events {
				if !slices.Contains(row.want, event) {
					h.Lacks = append(h.Lacks, event+" was not asked for")
				}
			}
			all = append(all, h)
		}
		return nil
	})
	return all, err
}

// live are those whose time is not over: the others are gone.
func (c *channels) live() []*channel {
	c.rows = slices.DeleteFunc(c.rows, func(row *channel) bool { return !c.site.clock.Now().Before(row.ExpiresAt) })
	return c.rows
}

func (c *channels) Register(_ context.Context, want Want) (h Held, err error) {
	err = c.does("register", func() error {
		c.made++
		row := &channel{Held: Held{ID: fmt.Sprint(c.made)}}
		h, err = c.set(row, want)
		if err == nil {
			c.rows = append(c.rows, row)
		}
		return err
	})
	return h, err
}

func (c *channels) Renew(_ context.Context, id string, want Want) (h Held, err error) {
	err = c.does("renew", func() error {
		for _, row := range c.live() {
			if row.ID == id {
				h, err = c.set(row, want)
				return err
			}
		}
		return &source.CallError{Fault: source.FaultNotFound, Op: "renew"}
	})
	return h, err
}

// set asks the URL, as Zoho does, and answers with a result for each event.
func (c *channels) set(row *channel, want Want) (Held, error) {
	resp, err := http.Get(want.URL)
	if err != nil {
		return Held{}, err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || len(want.Token) > MaxToken || want.Token == "" {
		return Held{}, &source.CallError{Fault: source.FaultInvalid, Op: "set", Status: 422}
	}
	row.URL, row.Name, row.Enabled, row.token, row.want = want.URL, want.Name, true, want.Token, want.Events
	row.ExpiresAt, row.Events = c.site.clock.Now().Add(c.life), nil
	for _, event := range want.Events {
		item := Item{event, "SUCCESS", true}
		if event == c.refuses {
			item = Item{event, "INVALID_MODULE", false}
		}
		row.Events = append(row.Events, item)
	}
	return row.Held, nil
}

func (c *channels) Remove(_ context.Context, id string) error {
	return c.does("remove", func() error {
		c.rows = slices.DeleteFunc(c.rows, func(row *channel) bool { return row.ID == id })
		return nil
	})
}

// deliver tells of a ticket through every channel, and returns what it was answered.
func (c *channels) deliver() (statuses []int) {
	c.t.Helper()
	for _, row := range c.live() {
		statuses = append(statuses, c.post(row.URL, row.token))
	}
	return statuses
}

func (c *channels) post(url, token string) int {
	c.t.Helper()
	body := fmt.Sprintf(`{"token":%q,"eventType":"Ticket_Update","orgId":"%d","payload":{"id":"7"}}`, token, org)
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestExpiringKind: a kind that expires and echoes a token runs through the same intake as Zoho Desk's webhooks do.
func TestExpiringKind(t *testing.T) {
	s, c := newChannels(t, 24*time.Hour)
	c.refuses = "Ticket_Delete"
	s.must(s.keeper.Register(t.Context()))
	if got := c.deliver(); !slices.Equal(got, []int{200}) || !slices.Equal(s.log.stored(), []string{"Ticket_Update"}) || !s.log.events[0].Verified {
		t.Fatalf("answered %v, stored %v", got, s.log.stored())
	}
	for token, status := range map[string]int{tokenOf(2): 401, "x": 401, "": 401} {
		if got := c.post(c.rows[0].URL, token); got != status {
			t.Errorf("token %q: %d", token, got)
		}
	}
	items := s.keeper.Current().Events
	if len(items) != 5 || items[2] != (Item{"Ticket_Delete", "INVALID_MODULE", false}) || items[0].Code != "SUCCESS" || s.said.count("INVALID_MODULE") != 1 {
		t.Errorf("items %+v", items)
	}

	// Looked at hourly, it is renewed once two thirds of its day are over, and so on for a week.
	for range 7 * 24 {
		s.after(CheckEvery)
		if got := c.deliver(); !slices.Equal(got, []int{200}) {
			t.Fatalf("%s: answered %v", s.clock.Now(), got)
		}
	}
	renewals := len(slices.DeleteFunc(slices.Clone(c.calls), func(call string) bool { return call != "renew" }))
	if renewals != 7*24/16 || c.made != 1 || len(s.gaps) != 0 {
		t.Errorf("%d renewals, %d channels made, gaps %v", renewals, c.made, s.gaps)
	}
}

// TestLoopRenewsInTime: the loop wakes for the renewal, backs off when it fails, and comes before the end.
func TestLoopRenewsInTime(t *testing.T) {
	s, c := newChannels(t, 90*time.Minute)
	s.must(s.keeper.Register(t.Context()))
	if got := s.keeper.pause(); got != time.Hour {
		t.Errorf("next pass in %s, two thirds of the life are an hour", got)
	}
	c.life = 60 * time.Minute
	s.after(time.Hour) // renewed, for an hour
	if got := s.keeper.pause(); got != 40*time.Minute {
		t.Errorf("next pass in %s", got)
	}
	c.fail = func(call string) (before, after error) { return failIf(call == "renew"), nil }
	s.clock.Advance(40 * time.Minute)
	for _, pause := range []time.Duration{1, 2, 4, 8, 16} {
		if err := s.keeper.Once(t.Context()); err == nil {
			t.Error("renewed")
		}
		if got := s.keeper.pause(); got != pause*time.Minute {
			t.Errorf("next try in %s, want %d minutes", got, pause)
		}
		s.clock.Advance(min(pause, 4) * time.Minute)
	}
	if n := s.said.count("not as it should be"); n != 1 {
		t.Errorf("told %d times", n)
	}
	c.fail = nil
	s.once() // with some minutes left
	if len(s.gaps) != 0 || c.made != 1 {
		t.Errorf("gaps %v, %d made", s.gaps, c.made)
	}
}

// TestRetryPause: as long as the sender said, but an hour at most, and an hour where only a person can help.
func TestRetryPause(t *testing.T) {
	for _, c := range []struct {
		err      error
		failures int64
		want     time.Duration
	}{
		{errors.New("disk full"), 1, time.Minute},
		{errors.New("disk full"), 3, 4 * time.Minute},
		{errors.New("disk full"), 100, time.Hour},
		{&source.CallError{Fault: source.FaultRetry}, 2, 2 * time.Minute},
		{&source.CallError{Fault: source.FaultRetry, Wait: 30 * time.Minute}, 1, 30 * time.Minute},
		{&source.CallError{Fault: source.FaultRetry, Wait: 9 * time.Hour}, 1, time.Hour},
		{&source.CallError{Fault: source.FaultForbidden}, 1, time.Hour},
		{fmt.Errorf("look: %w", &source.CallError{Fault: source.FaultUnauthorized}), 1, time.Hour},
		{fmt.Errorf("webhook 1: %w", ErrElsewhere), 1, time.Hour},
	} {
		if got := retryPause(c.err, c.failures); got != c.want {
			t.Errorf("%v, %d failures: %s, want %s", c.err, c.failures, got, c.want)
		}
	}
}

func failIf(fails bool) error {
	if fails {
		return &source.CallError{Fault: source.FaultRetry, Op: "call", Status: 502}
	}
	return nil
}

// TestExpiredIsMadeAgain: nobody was there to renew it. The gap is told, from its end on.
func TestExpiredIsMadeAgain(t *testing.T) {
	s, c := newChannels(t, 24*time.Hour)
	s.must(s.keeper.Register(t.Context()))
	s.after(time.Hour)
	s.open()
	s.after(47 * time.Hour)
	want := Gap{From: now.Add(24 * time.Hour), To: now.Add(48 * time.Hour), Why: "it was gone at the sender"}
	if len(s.gaps) != 1 || s.gaps[0] != want {
		t.Errorf("gaps %+v", s.gaps)
	}
	if got := c.deliver(); !slices.Equal(got, []int{200}) {
		t.Errorf("answered %v", got)
	}
}

// TestWhoAskedHasGone: what was registered for somebody who did not wait for the answer is known.
func TestWhoAskedHasGone(t *testing.T) {
	s, c := newChannels(t, 24*time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	c.fail = func(call string) (error, error) {
		if call == "register" {
			cancel()
		}
		return nil, nil
	}
	s.must(s.keeper.Register(ctx))
	s.open()
	if got := s.keeper.IDs(); !slices.Equal(got, []string{"1"}) {
		t.Errorf("known are %q", got)
	}
}

// TestPassIsBounded: a sender that does not answer does not hold up commands for ever.
func TestPassIsBounded(t *testing.T) {
	s, c := newChannels(t, 24*time.Hour)
	s.must(s.keeper.Register(t.Context()))
	asked := make(chan struct{})
	s.kind = mute{c, asked}
	s.open()
	ended := make(chan error, 1)
	go func() { ended <- s.keeper.Once(t.Context()) }()
	<-asked
	s.clock.Advance(passPatience)
	if err := <-ended; !errors.Is(err, errPatience) {
		t.Errorf("ended with %v", err)
	}
	if p := s.keeper.Problem(); p == nil || s.keeper.pause() != firstPause {
		t.Errorf("problem %v, next pass in %s", p, s.keeper.pause())
	}
	s.must(s.keeper.Finish(t.Context()))
}

// mute never answers a look once; then it does.
type mute struct {
	Kind
	asked chan struct{}
}

func (m mute) Look(ctx context.Context, want Want) ([]Held, error) {
	select {
	case <-m.asked:
		return m.Kind.Look(ctx, want)
	default:
		close(m.asked)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestLoop runs it: at once, hourly, and again when a command registers.
func TestLoop(t *testing.T) {
	s, c := newChannels(t, 24*time.Hour)
	passed := make(chan string, 10)
	c.fail = func(call string) (error, error) { passed <- call; return nil, nil }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.keeper.Run(ctx) }()
	wait := func(want ...string) {
		t.Helper()
		for _, w := range want {
			if got := <-passed; got != w {
				t.Fatalf("call %s, want %s", got, w)
			}
		}
		s.must(s.keeper.inTurn(t.Context(), func() error { return nil })) // the pass is over
		s.must(s.clock.BlockUntilContext(t.Context(), 1))
	}
	wait("look")
	s.must(s.keeper.Register(t.Context()))
	wait("look", "register")
	s.clock.Advance(CheckEvery)
	wait("look")
	c.live()[0].URL = "http://elsewhere"
	s.clock.Advance(CheckEvery)
	wait("look", "renew")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if len(s.gaps) != 1 {
		t.Errorf("gaps %+v", s.gaps)
	}
}
