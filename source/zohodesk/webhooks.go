package zohodesk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"deskhouse/source"
)

// Webhook is a subscription as Zoho holds it.
type Webhook struct {
	ID      uint64
	Name    string
	URL     string
	Enabled bool
	Events  []string // sorted
	// PrevState are those of Events that carry the state before, sorted.
	PrevState []string
	// Narrowed are those of Events that are limited to departments, fields or a direction, sorted.
	Narrowed []string
	// Automation: events caused by Zoho's own rules are sent too.
	Automation bool
	CreatedAt  int64 // ms, 0 when not told
	ModifiedAt int64
}

// WebhookSpec is what a subscription shall be.
type WebhookSpec struct {
	// Name is cut at 50 characters (OAS allows 100, live portals were seen to
	// want fewer).
	Name string
	// URL is at most 100 characters (OAS: the update schema says 100, the create
	// schema of some versions 500). It must answer Zoho's validation, a GET then
	// a POST, with 200 while the call runs.
	URL string
	// Events defaults to WebhookEvents.
	Events []string
	// PrevState asks for the state before each update.
	PrevState bool
}

const (
	maxWebhookURL  = 100
	maxWebhookName = 50
)

// WebhookEvents are the events of the synced tables; there are no others: no
// Department_Delete, none for products, contracts and fields (OAS
// Webhook.json).
func WebhookEvents() []string {
	return []string{"Ticket_Add", "Ticket_Update", "Ticket_Delete", "Department_Add", "Department_Update"}
}

// Webhooks lists the portal's own subscriptions. Those that extensions brought
// along (type EXTENSION_WEBHOOK) are left out: they are not ours to touch.
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	var all []Webhook
	_, err := c.do(ctx, &call{endpoint: "webhooks", method: "GET", path: "webhooks", priority: source.ForReread, weight: weightOfGet, hurried: true,
		decode: func(body []byte) (err error) {
			all, err = parseWebhooks(body)
			return err
		}})
	return all, err
}

// CreateWebhook registers a subscription. It is not repeated when the outcome
// of a request is unknown (FaultRetry): list before trying again, or there may
// be two. FaultInvalid: the URL did not answer Zoho's validation, or the
// portal has as many as it may.
func (c *Client) CreateWebhook(ctx context.Context, spec WebhookSpec) (Webhook, error) {
	return c.putWebhook(ctx, "POST", "webhooks", spec)
}

// UpdateWebhook sets a subscription to spec, all of it, and enables it.
// Repeating it is harmless.
func (c *Client) UpdateWebhook(ctx context.Context, id uint64, spec WebhookSpec) (Webhook, error) {
	return c.putWebhook(ctx, "PATCH", "webhooks/"+formatID(id), spec)
}

// DeleteWebhook removes a subscription; one that is gone already is no error.
func (c *Client) DeleteWebhook(ctx context.Context, id uint64) error {
	_, err := c.do(ctx, &call{endpoint: "webhooks/{id}", method: "DELETE", path: "webhooks/" + formatID(id),
		priority: source.ForReread, weight: weightOfGet, hurried: true})
	if source.IsFault(err, source.FaultNotFound) {
		return nil
	}
	return err
}

func (c *Client) putWebhook(ctx context.Context, method, path string, spec WebhookSpec) (Webhook, error) {
	endpoint := "webhooks"
	if method == "PATCH" {
		endpoint = "webhooks/{id}"
	}
	if len(spec.URL) > maxWebhookURL {
		return Webhook{}, &source.CallError{Fault: source.FaultInvalid, Op: method + " " + path,
			Detail: fmt.Sprintf("the webhook's URL has %d characters, Zoho takes %d", len(spec.URL), maxWebhookURL)}
	}
	body, err := json.Marshal(webhookBody(spec, method == "PATCH"))
	if err != nil {
		return Webhook{}, fmt.Errorf("%s %s: encode: %w", method, path, err)
	}
	var w Webhook
	_, err = c.do(ctx, &call{endpoint: endpoint, method: method, path: path, body: body, content: true,
		priority: source.ForReread, weight: weightOfGet, hurried: true, once: method == "POST", private: secretOf(spec.URL),
		decode: func(body []byte) (err error) {
			w, _, err = parseWebhook(body)
			return err
		}})
	return w, explainRefusal(err)
}

// hurry is how long a hurried call waits for credits and for its turn: somebody
// waits for it, and whoever looks after the webhooks comes again.
const hurry = 5 * time.Second

// enter waits for the governor's pass. A hurried call that does not get one soon
// fails with FaultRetry, and says until when calls are held back.
func (c *Client) enter(ctx context.Context, cl *call) (*pass, error) {
	if !cl.hurried {
		return c.gov.enter(ctx, cl.priority, cl.weight)
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	timer := c.clock.AfterFunc(hurry, func() { giveUp(c.heldBack(cl)) })
	defer timer.Stop()
	return c.gov.enter(ctx, cl.priority, cl.weight)
}

func (c *Client) heldBack(cl *call) *source.CallError {
	err := &source.CallError{Fault: source.FaultRetry, Op: cl.op(), Detail: "not sent, too many calls wait before it"}
	if until, why := c.WaitingUntil(); !until.IsZero() {
		err.Wait = until.Sub(c.clock.Now())
		err.Detail = "not sent, calls wait until " + until.Format(time.RFC3339) + ": " + why
	}
	return err
}

// secretOf is the last part of a webhook's URL, which nobody may read; "" for
// one that is too short to be a secret.
func secretOf(hook string) string {
	secret := hook[strings.LastIndexByte(hook, '/')+1:]
	if len(secret) < 16 {
		return ""
	}
	return secret
}

// discreet is a body without what Zoho quotes of the call's secret, in whatever
// case.
func (cl *call) discreet(body []byte) []byte {
	if cl.private == "" {
		return body
	}
	return regexp.MustCompile("(?i)"+regexp.QuoteMeta(cl.private)).ReplaceAll(body, []byte("(secret)"))
}

const (
	hintUnreachable = "Zoho asks the URL while it registers and wants 200: is public_url reachable from the internet, on port 80 or 443?"
	hintQuota       = "the portal has as many webhooks as its edition allows: Professional 5, Enterprise 10, Ultimate 20, lower ones none"
)

// explainRefusal adds what to do when Zoho could not validate the URL, or when
// the quota is used up (WEBHOOKDOC).
func explainRefusal(err error) error {
	var call *source.CallError
	switch {
	case !errors.As(err, &call):
	case call.Code == "LICENSE_ACCESS_LIMITED" || call.Status == 422 && call.Code == "UNPROCESSABLE_ENTITY":
		call.Hint = hintQuota
	case refusedParameters(err)["url"]:
		call.Hint = hintUnreachable
	}
	return err
}

// webhookRequest is the body of create and update (OAS Webhook.json; unknown
// members are refused). ignoreSourceId is left out: a valid one was refused
// live, and a reader causes no events.
type webhookRequest struct {
	Name              string         `json:"name,omitempty"`
	URL               string         `json:"url"`
	IncludeEventsFrom []string       `json:"includeEventsFrom"`
	Subscriptions     map[string]any `json:"subscriptions"`
	IsEnabled         *bool          `json:"isEnabled,omitempty"`
}

// webhookBody asks for events caused by automation, which are left out
// otherwise, and gives null to every event without options: Zoho refuses {}.
func webhookBody(spec WebhookSpec, enable bool) webhookRequest {
	events := spec.Events
	if len(events) == 0 {
		events = WebhookEvents()
	}
	subscriptions := map[string]any{}
	for _, e := range events {
		subscriptions[e] = nil
		if spec.PrevState && strings.HasSuffix(e, "_Update") {
			subscriptions[e] = map[string]bool{"includePrevState": true}
		}
	}
	body := webhookRequest{Name: cutName(spec.Name), URL: spec.URL, IncludeEventsFrom: []string{"AUTOMATION"}, Subscriptions: subscriptions}
	if enable {
		body.IsEnabled = &enable
	}
	return body
}

func cutName(name string) string {
	if runes := []rune(name); len(runes) > maxWebhookName {
		return string(runes[:maxWebhookName])
	}
	return name
}

func parseWebhooks(body []byte) ([]Webhook, error) {
	var page struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := decodeJSON(body, &page); err != nil {
		return nil, err
	}
	if page.Data == nil {
		return nil, errNoData
	}
	var all []Webhook
	for _, raw := range page.Data {
		w, extension, err := parseWebhook(raw)
		if err != nil {
			return nil, err
		}
		if !extension {
			all = append(all, w)
		}
	}
	return all, nil
}

// parseWebhook reads leniently: the OAS example contradicts its own schema
// (times as numbers, type as an array).
func parseWebhook(body []byte) (w Webhook, extension bool, err error) {
	var raw struct {
		ID                json.RawMessage            `json:"id"`
		Name              string                     `json:"name"`
		URL               string                     `json:"url"`
		Enabled           json.RawMessage            `json:"isEnabled"`
		Subscriptions     map[string]json.RawMessage `json:"subscriptions"`
		IncludeEventsFrom json.RawMessage            `json:"includeEventsFrom"`
		CreatedTime       json.RawMessage            `json:"createdTime"`
		ModifiedTime      json.RawMessage            `json:"modifiedTime"`
		Type              json.RawMessage            `json:"type"`
		Extension         json.RawMessage            `json:"extension"`
	}
	if err := decodeJSON(body, &raw); err != nil {
		return Webhook{}, false, fmt.Errorf("parse webhook: %w", err)
	}
	w = Webhook{Name: raw.Name, URL: raw.URL, Events: slices.Sorted(maps.Keys(raw.Subscriptions)),
		PrevState: optionSet(raw.Subscriptions, "includePrevState"), Narrowed: optionSet(raw.Subscriptions, "departmentIds", "departmentId", "fields", "direction"),
		Automation: strings.Contains(string(raw.IncludeEventsFrom), "AUTOMATION")}
	var ok bool
	if w.ID, ok = source.ParseID(string(raw.ID)); !ok {
		return Webhook{}, false, fmt.Errorf("parse webhook: %w", source.ErrNoKey)
	}
	w.Enabled, _ = source.ParseBool(string(raw.Enabled))
	w.CreatedAt, _ = source.ParseTime(string(raw.CreatedTime))
	w.ModifiedAt, _ = source.ParseTime(string(raw.ModifiedTime))
	extension = !source.IsNull(string(raw.Extension)) || strings.Contains(string(raw.Type), "EXTENSION_WEBHOOK")
	return w, extension, nil
}

// optionSet are the events, sorted, that have one of the options: true, a text
// or a list that is not empty. Zoho writes options that were not asked for as
// null, as an empty list, or not at all (OAS Webhook.json and its example).
func optionSet(subscriptions map[string]json.RawMessage, names ...string) []string {
	var events []string
	for _, event := range slices.Sorted(maps.Keys(subscriptions)) {
		var options map[string]json.RawMessage
		if json.Unmarshal(subscriptions[event], &options) != nil {
			continue
		}
		if slices.ContainsFunc(names, func(name string) bool { return isSet(options[name]) }) {
			events = append(events, event)
		}
	}
	return events
}

func isSet(option json.RawMessage) bool {
	switch v := strings.Join(strings.Fields(string(option)), ""); v {
	case "", "null", "false", `"false"`, "[]", "{}", `""`:
		return false
	}
	return true
}
