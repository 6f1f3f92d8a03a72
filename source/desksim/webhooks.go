package desksim

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
)

// webhooks are the portal's subscriptions.
type webhooks struct {
	mu    sync.Mutex
	made  uint32
	rows  map[uint64]*webhook
	order []uint64
}

func newWebhooks() *webhooks { return &webhooks{rows: map[uint64]*webhook{}} }

const configuredWebhooks = 20 // at most so many exist, enabled or not (WEBHOOKDOC)

// enabledWebhooks is how many may be enabled in an edition (WEBHOOKDOC; Express is not in its table).
func enabledWebhooks(e Edition) int {
	switch e {
	case Professional:
		return 5
	case Enterprise:
		return 10
	case Ultimate:
		return 20
	}
	return 0
}

func (p *Portal) routeWebhooks(rt router) {
	// Stored OAS Webhook.json names Desk.events.* with Desk.settings.*, the newest Desk.webhooks.*, the extension guide
	// Desk.events.ALL alone: either family is taken.
	scope := func(verb string) [][]string { return all("Desk.events." + verb + "|Desk.webhooks." + verb) }
	add := func(method, path, verb string, serve func(*call) *apiError) {
		rt.add(method, path, &endpoint{class: "webhooks", scopes: scope(verb), cost: flat(1), serve: serve})
	}
	add(http.MethodGet, "webhooks", "READ", listWebhooks)
	add(http.MethodPost, "webhooks", "CREATE", createWebhook)
	add(http.MethodGet, "webhooks/{id}", "READ", getWebhook)
	add(http.MethodPatch, "webhooks/{id}", "UPDATE", updateWebhook)
	add(http.MethodDelete, "webhooks/{id}", "DELETE", deleteWebhook)
}

func listWebhooks(c *call) *apiError {
	h := c.p.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	c.listReply(func(add func(func([]byte) []byte)) {
		for _, id := range h.order {
			add(func(b []byte) []byte { return appendWebhook(b, h.rows[id]) })
		}
	})
	return nil
}

func (h *webhooks) get(id uint64) *webhook {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rows[id]
}

// all returns the webhooks in order of creation.
func (h *webhooks) all() []*webhook {
	h.mu.Lock()
	defer h.mu.Unlock()
	rows := make([]*webhook, len(h.order))
	for i, id := range h.order {
		rows[i] = h.rows[id]
	}
	return rows
}

func getWebhook(c *call) *apiError {
	w := c.p.hooks.get(c.id)
	if w == nil {
		return errNotFound
	}
	c.body = appendWebhook(c.body, w)
	return nil
}

// readBody decodes a JSON object body.
func readBody(r *http.Request) (webhookBody, *apiError) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return nil, errMediaType
	}
	if r.Body == nil {
		return nil, errEmpty
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return nil, &apiError{status: http.StatusBadRequest, code: "BAD_REQUEST", message: "The body could not be read."}
	}
	if len(raw) == 0 {
		return nil, errEmpty
	}
	var body webhookBody
	if json.Unmarshal(raw, &body) != nil || body == nil {
		return nil, errData("/", "invalid")
	}
	return body, nil
}

func (p *Portal) knownDepartment(id uint64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	d := p.departments.rows[id]
	return d != nil && d.removedAt == 0
}

func createWebhook(c *call) *apiError {
	p := c.p
	body, err := readBody(c.r)
	if err != nil {
		return err
	}
	w := &webhook{enabled: true, created: c.now.Unix(), modified: c.now.Unix()}
	if err := w.apply(body, true, p.knownDepartment); err != nil {
		return err
	}
	if err := p.hooks.room(p.cfg.Edition, w, 0); err != nil {
		return err
	}
	if !p.validate(c.r.Context(), w.url) {
		return errData("/url", "invalid")
	}
	if err := p.hooks.create(p.cfg.Edition, w); err != nil {
		return err
	}
	c.body = appendWebhook(c.body, w)
	return nil
}

// room refuses a webhook beyond the quota; replaced is the id it takes the place of.
func (h *webhooks) room(e Edition, w *webhook, replaced uint64) *apiError {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.roomLocked(e, w, replaced)
}

func (h *webhooks) roomLocked(e Edition, w *webhook, replaced uint64) *apiError {
	others, enabled := 0, 0
	for id, o := range h.rows {
		if id != replaced {
			others++
			if o.enabled {
				enabled++
			}
		}
	}
	if w.enabled && enabled >= enabledWebhooks(e) {
		return errLicense(e, "AGENTS", enabledWebhooks(e)) // OAS Common.json has no feature name for webhooks
	}
	if others >= configuredWebhooks {
		return &apiError{status: http.StatusUnprocessableEntity, code: "UNPROCESSABLE_ENTITY", message: "No more webhooks can be configured."}
	}
	return nil
}

func (h *webhooks) create(e Edition, w *webhook) *apiError {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.roomLocked(e, w, 0); err != nil {
		return err
	}
	w.id = kindWebhook.id(h.made)
	h.made++
	h.rows[w.id] = w
	h.order = append(h.order, w.id)
	return nil
}

func updateWebhook(c *call) *apiError {
	p := c.p
	old := p.hooks.get(c.id)
	if old == nil {
		return errNotFound
	}
	body, err := readBody(c.r)
	if err != nil {
		return err
	}
	w := *old
	w.modified = c.now.Unix()
	if err := w.apply(body, false, p.knownDepartment); err != nil {
		return err
	}
	if err := p.hooks.room(p.cfg.Edition, &w, w.id); err != nil {
		return err
	}
	if w.url != old.url && !p.validate(c.r.Context(), w.url) {
		return errData("/url", "invalid")
	}
	if !p.hooks.replace(&w) {
		return errNotFound
	}
	c.body = appendWebhook(c.body, &w)
	return nil
}

func (h *webhooks) replace(w *webhook) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows[w.id] == nil {
		return false
	}
	h.rows[w.id] = w
	return true
}

// deleteWebhook answers 200 with an empty body (OAS Webhook.json).
func deleteWebhook(c *call) *apiError {
	if !c.p.RemoveWebhook(c.id) {
		return errNotFound
	}
	return nil
}

// RemoveWebhook deletes a subscription, as an administrator does in Zoho's settings; undelivered events are dropped. It
// is false for an unknown id.
func (p *Portal) RemoveWebhook(id uint64) bool {
	h := p.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows[id] == nil {
		return false
	}
	delete(h.rows, id)
	for i, o := range h.order {
		if o == id {
			h.order = append(h.order[:i:i], h.order[i+1:]...)
			break
		}
	}
	return true
}

// Webhooks returns the ids of all subscriptions, oldest first.
func (p *Portal) Webhooks() []uint64 {
	h := p.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]uint64(nil), h.order...)
}

// validate does what Zoho does before it accepts a url: GET wants 200; if not, POST of {} without a token wants 200
// (OAS Webhook.json).
func (p *Portal) validate(ctx context.Context, url string) bool {
	return p.probe(ctx, http.MethodGet, url, "") || p.probe(ctx, http.MethodPost, url, "{}")
}

func (p *Portal) probe(ctx context.Context, method, url, body string) bool {
	ctx, cancel := p.deadline(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return false
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json;charset=UTF-8")
	}
	reply, err := p.cfg.Deliver.RoundTrip(r)
	if err != nil {
		return false
	}
	drain(reply.Body)
	return reply.StatusCode == http.StatusOK
}

// deadline ends a request of the portal after Config.DeliveryTimeout of the portal's clock, or when the portal closes.
func (p *Portal) deadline(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	timer := p.cfg.Clock.AfterFunc(p.cfg.DeliveryTimeout, cancel)
	stop := context.AfterFunc(p.closing, cancel)
	return ctx, func() {
		timer.Stop()
		stop()
		cancel()
	}
}

// drain reads a little of a reply so that its connection can be used again.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10) // what is left does not matter
	_ = body.Close()
}
