package subscription

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"deskhouse/source/zohodesk"
)

// DeskWebhooks is what Desk needs of a portal's client.
type DeskWebhooks interface {
	Webhooks(ctx context.Context) ([]zohodesk.Webhook, error)
	CreateWebhook(ctx context.Context, spec zohodesk.WebhookSpec) (zohodesk.Webhook, error)
	UpdateWebhook(ctx context.Context, id uint64, spec zohodesk.WebhookSpec) (zohodesk.Webhook, error)
	DeleteWebhook(ctx context.Context, id uint64) error
}

var _ DeskWebhooks = (*zohodesk.Client)(nil)

// Desk is the webhooks of a Zoho Desk portal: they do not expire, prove themselves by a JWT, and carry the state before each
// update and the events that automation causes.
type Desk struct{ Client DeskWebhooks }

var _ Kind = Desk{}

// DeskKind is Desk's name.
const DeskKind = "zoho-desk-webhook"

// Name implements Kind.
func (Desk) Name() string { return DeskKind }

// Look implements Kind.
func (d Desk) Look(ctx context.Context, want Want) ([]Held, error) {
	hooks, err := d.Client.Webhooks(ctx)
	if err != nil {
		return nil, err
	}
	held := make([]Held, len(hooks))
	for i, w := range hooks {
		held[i] = deskHeld(w, want)
	}
	return held, nil
}

// Register implements Kind.
func (d Desk) Register(ctx context.Context, want Want) (Held, error) {
	w, err := d.Client.CreateWebhook(ctx, deskSpec(want))
	return deskHeld(w, want), err
}

// Renew implements Kind.
func (d Desk) Renew(ctx context.Context, id string, want Want) (Held, error) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return Held{}, fmt.Errorf("webhook id %q is no number", id)
	}
	w, err := d.Client.UpdateWebhook(ctx, n, deskSpec(want))
	return deskHeld(w, want), err
}

// Remove implements Kind.
func (d Desk) Remove(ctx context.Context, id string) error {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return fmt.Errorf("webhook id %q is no number", id)
	}
	return d.Client.DeleteWebhook(ctx, n)
}

func deskSpec(want Want) zohodesk.WebhookSpec {
	return zohodesk.WebhookSpec{Name: want.Name, URL: want.URL, Events: want.Events, PrevState: true}
}

// deskHeld measures a webhook. Zoho answers a request with the webhook as it is then, without a code for each event.
func deskHeld(w zohodesk.Webhook, want Want) Held {
	h := Held{ID: strconv.FormatUint(w.ID, 10), Name: w.Name, URL: w.URL, Enabled: w.Enabled}
	for _, event := range want.Events {
		item := Item{Event: event, Code: "subscribed", OK: true}
		switch {
		case !slices.Contains(w.Events, event):
			item.Code, item.OK = "missing", false
		case slices.Contains(w.Narrowed, event):
			item.Code, item.OK = "narrowed", false
		}
		h.Events = append(h.Events, item)
		if !item.OK {
			h.Lacks = append(h.Lacks, event+" is "+item.Code)
		}
		if item.Code != "missing" && strings.HasSuffix(event, "_Update") && !slices.Contains(w.PrevState, event) {
			h.Amiss = append(h.Amiss, event+" comes without the state before")
		}
	}
	if !w.Automation {
		h.Lacks = append(h.Lacks, "events of automation are left out")
	}
	for _, event := range w.Events {
		if !slices.Contains(want.Events, event) {
			h.Amiss = append(h.Amiss, event+" is not wanted")
		}
	}
	slices.Sort(h.Lacks)
	slices.Sort(h.Amiss)
	return h
}
