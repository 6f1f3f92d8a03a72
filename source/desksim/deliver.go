package desksim

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"sync"
	"time"
)

// courier delivers events. There is one queue per webhook and module, worked off one POST at a time, so order is kept
// inside a module and not between modules (WEBHOOKDOC). A failed delivery is not tried again: none is described.
type courier struct {
	p      *Portal
	mu     sync.Mutex
	queues map[queueKey]*queue
	idle   chan struct{} // closed and replaced whenever a queue rests
	wg     sync.WaitGroup
	serial uint64
}

type queueKey struct {
	webhook uint64
	module  string
}

type queue struct {
	waiting []*delivery // by due time, then order of events
	working bool        // its goroutine runs
	busy    bool        // a POST is under way
	wake    chan struct{}
	last    int64
}

// delivery is one event on its way to one webhook.
type delivery struct {
	webhook uint64
	event   *event
	payload []byte // nil: rendered at delivery
	prev    []byte
	partial bool
	due     int64 // unix ms
	serial  uint64
}

func newCourier(p *Portal) *courier {
	return &courier{p: p, queues: map[queueKey]*queue{}, idle: make(chan struct{})}
}

func (c *courier) wait() { c.wg.Wait() }

// enqueue decides the fate of an event and queues it.
func (c *courier) enqueue(d *delivery) {
	fate := c.p.faults.hookFate()
	if fate.lost {
		c.p.stats.lost.Add(1)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.p.closing.Err() != nil {
		return
	}
	key := queueKey{d.webhook, d.event.module()}
	q := c.queues[key]
	if q == nil {
		q = &queue{wake: make(chan struct{}, 1)}
		c.queues[key] = q
	}
	for range fate.copies {
		x := *d
		x.partial, x.due = fate.partial, d.event.at+fate.delay.Milliseconds()
		if !fate.reorder { // a delay holds up what follows, a reordered event is overtaken
			x.due = max(x.due, q.last)
			q.last = x.due
		}
		c.serial++
		x.serial = c.serial
		q.insert(&x)
	}
	c.start(key, q)
}

func (q *queue) insert(d *delivery) {
	at, _ := slices.BinarySearchFunc(q.waiting, d, func(a, b *delivery) int {
		if a.due != b.due {
			return int(a.due - b.due)
		}
		return int(a.serial) - int(b.serial)
	})
	q.waiting = slices.Insert(q.waiting, at, d)
}

// start makes sure the queue's goroutine runs and looks again. c.mu is held.
func (c *courier) start(key queueKey, q *queue) {
	select {
	case q.wake <- struct{}{}:
	default:
	}
	if !q.working {
		q.working = true
		c.wg.Add(1)
		go c.work(key, q)
	}
}

// work delivers what is due until the queue is empty or the portal closes.
func (c *courier) work(key queueKey, q *queue) {
	defer c.wg.Done()
	for {
		batch, pause := c.take(q)
		switch {
		case len(batch) > 0:
			c.post(key, batch)
		case pause == 0:
			return
		default:
			timer := c.p.cfg.Clock.NewTimer(pause)
			select {
			case <-timer.Chan():
			case <-q.wake:
			case <-c.p.closing.Done():
			}
			timer.Stop()
		}
	}
}

// take returns the events of the next POST; without any, how long to wait, 0 meaning the goroutine ends.
func (c *courier) take(q *queue) ([]*delivery, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q.busy = false
	if c.p.closing.Err() != nil {
		q.waiting = nil
	}
	now := c.p.Now().UnixMilli()
	n := 0
	for n < len(q.waiting) && n < c.p.cfg.EventsPerPost && q.waiting[n].due <= now {
		n++
	}
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	switch {
	case n > 0:
		q.busy = true
		return batch, 0
	case len(q.waiting) == 0:
		q.working = false
	}
	close(c.idle)
	c.idle = make(chan struct{})
	if len(q.waiting) == 0 {
		return nil, 0
	}
	return nil, time.Duration(q.waiting[0].due-now) * time.Millisecond
}

// resting is true when no queue has a due event or a POST under way; otherwise again tells when to look next.
func (c *courier) resting() (again <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.p.Now().UnixMilli()
	for _, q := range c.queues {
		if q.busy || len(q.waiting) > 0 && q.waiting[0].due <= now {
			return c.idle, false
		}
	}
	return nil, true
}

// Flush blocks until every event that is due by the portal's clock has been attempted. It returns ctx's error.
func (p *Portal) Flush(ctx context.Context) error {
	for {
		again, ok := p.delivery.resting()
		if ok {
			return nil
		}
		p.delivery.nudge()
		select {
		case <-again:
		case <-ctx.Done():
			return fmt.Errorf("flush webhook deliveries: %w", ctx.Err())
		case <-p.closing.Done():
			return nil
		}
	}
}

// nudge lets waiting goroutines look at the clock again.
func (c *courier) nudge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, q := range c.queues {
		if len(q.waiting) > 0 {
			c.start(key, q)
		}
	}
}

// post sends one delivery and records what came of it. 410 ends the subscription (WEBHOOKDOC).
func (c *courier) post(key queueKey, batch []*delivery) {
	w := c.p.hooks.get(key.webhook)
	if w == nil {
		return
	}
	d := Delivery{WebhookID: key.webhook, SentAt: c.p.Now()}
	body := []byte{'['}
	for i, x := range batch {
		if i > 0 {
			body = append(body, ',')
		}
		body = c.p.appendEvent(body, x)
	}
	body = append(body, ']')
	if keys := c.p.faults.hiddenKeys(); keys != nil {
		body = dropKeys(body, keys)
	}
	d.Status, d.Err = c.send(w, body)
	d.AckAt = c.p.Now()
	if d.Status == http.StatusGone {
		c.p.RemoveWebhook(w.id)
	}
	for _, x := range batch {
		one := d
		one.EventType, one.ResourceID, one.EventTime = x.event.kind, x.event.id, time.UnixMilli(x.event.at).UTC()
		one.Payload = hashOf(x.payload)
		c.p.stats.delivered(one, c.p.cfg.DeliveryLog)
	}
}

func hashOf(payload []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(payload) // never fails
	return h.Sum64()
}

func (c *courier) send(w *webhook, body []byte) (int, error) {
	ctx, cancel := c.p.deadline(c.p.closing)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("build delivery to webhook %d: %w", w.id, err)
	}
	token, err := c.p.sign(w.id)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json;charset=UTF-8")
	r.Header.Set("X-ZDesk-JWT", token)
	reply, err := c.p.cfg.Deliver.RoundTrip(r)
	if err != nil {
		return 0, fmt.Errorf("deliver to webhook %d: %w", w.id, err)
	}
	drain(reply.Body)
	return reply.StatusCode, nil
}
