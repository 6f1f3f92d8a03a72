package zohodesk

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"deskhouse/source"
)

const hookReply = `{"id":"900100000000099001","name":"deskhouse","url":"https://cdc.example.org/hooks/support/ABC","isEnabled":true,
	"subscriptions":{"Ticket_Update":{"includePrevState":true},"Ticket_Add":null},"includeEventsFrom":["AUTOMATION"],
	"createdBy":"1","createdTime":1789000000123,"modifiedTime":"2026-09-10T00:26:40.000Z","type":["CUSTOMER_WEBHOOK"]}`

func bodies(z *scripted) []string {
	var all []string
	for _, r := range z.sent() {
		if r.Body == nil {
			all = append(all, "")
			continue
		}
		b, _ := io.ReadAll(r.Body)
		all = append(all, string(b))
	}
	return all
}

func TestWebhookBodies(t *testing.T) {
	z := &scripted{api: always(200, hookReply)}
	c := newClient(t, z)
	spec := WebhookSpec{Name: strings.Repeat("ü", 60), URL: "https://cdc.example.org/hooks/support/ABC", PrevState: true}
	if _, err := c.CreateWebhook(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	w, err := c.UpdateWebhook(t.Context(), 7, WebhookSpec{URL: spec.URL, Events: []string{"Ticket_Delete", "Ticket_Update"}})
	if err != nil {
		t.Fatal(err)
	}
	got := bodies(z)
	create := `{"name":"` + strings.Repeat("ü", 50) + `","url":"https://cdc.example.org/hooks/support/ABC","includeEventsFrom":["AUTOMATION"],` +
		`"subscriptions":{"Department_Add":null,"Department_Update":{"includePrevState":true},"Ticket_Add":null,"Ticket_Delete":null,"Ticket_Update":{"includePrevState":true}}}`
	update := `{"url":"https://cdc.example.org/hooks/support/ABC","includeEventsFrom":["AUTOMATION"],"subscriptions":{"Ticket_Delete":null,"Ticket_Update":null},"isEnabled":true}`
	if got[0] != create {
		t.Errorf("create\n got %s\nwant %s", got[0], create)
	}
	if got[1] != update {
		t.Errorf("update\n got %s\nwant %s", got[1], update)
	}
	sent := z.sent()
	if sent[0].Method != "POST" || sent[0].URL.Path != "/api/v1/webhooks" || sent[0].Header.Get("Content-Type") != "application/json" ||
		sent[1].Method != "PATCH" || sent[1].URL.Path != "/api/v1/webhooks/7" {
		t.Errorf("sent %s %s, %s %s", sent[0].Method, sent[0].URL, sent[1].Method, sent[1].URL)
	}
	if w.ID != 900100000000099001 || !w.Enabled || !w.Automation || w.CreatedAt != 1789000000123 || w.ModifiedAt != 1789000000000 || strings.Join(w.Events, " ") != "Ticket_Add Ticket_Update" {
		t.Errorf("read %+v", w)
	}
}

func TestExtensionWebhooksAreLeftAlone(t *testing.T) {
	z := &scripted{api: always(200, `{"data":[`+hookReply+`,{"id":"2","name":"x","url":"https://x","extension":{"id":"1"},"subscriptions":{}},
		{"id":3,"url":"https://y","type":"EXTENSION_WEBHOOK"},{"id":4,"url":"https://z","extension":null,"isEnabled":"false","subscriptions":null}]}`)}
	got, err := newClient(t, z).Webhooks(t.Context())
	if err != nil || len(got) != 2 || got[0].Name != "deskhouse" || got[1].ID != 4 || got[1].Enabled {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCreationOfUnknownOutcomeIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &scripted{api: always(502, "<html>")}
		c := newClient(t, z)
		_, err := c.CreateWebhook(t.Context(), WebhookSpec{URL: "https://x"})
		if !source.IsFault(err, source.FaultRetry) || len(z.sent()) != 1 {
			t.Errorf("%v after %d requests", err, len(z.sent()))
		}
		z.api = inTurn(always(429, `{"errorCode":"TOO_MANY_REQUESTS","message":"x"}`), always(200, hookReply))
		if _, err := c.CreateWebhook(t.Context(), WebhookSpec{URL: "https://x"}); err != nil {
			t.Errorf("a refused creation is tried again: %v", err)
		}
		z.api = inTurn(always(502, "<html>"), always(200, hookReply))
		if _, err := c.UpdateWebhook(t.Context(), 7, WebhookSpec{URL: "https://x"}); err != nil {
			t.Errorf("an update can be repeated: %v", err)
		}
	})
}

func TestDeletingAWebhookTwiceIsNoError(t *testing.T) {
	z := &scripted{api: inTurn(always(200, ""), always(404, `{"errorCode":"URL_NOT_FOUND","message":"x"}`), always(403, `{"errorCode":"FORBIDDEN","message":"x"}`))}
	c := newClient(t, z)
	for range 2 {
		if err := c.DeleteWebhook(t.Context(), 7); err != nil {
			t.Error(err)
		}
	}
	if err := c.DeleteWebhook(t.Context(), 7); !source.IsFault(err, source.FaultForbidden) {
		t.Errorf("got %v", err)
	}
	if r := z.sent()[0]; r.Method != http.MethodDelete || r.URL.Path != "/api/v1/webhooks/7" {
		t.Errorf("%s %s", r.Method, r.URL)
	}
}

func TestWebhookURLIsBoundedAndNeverQuoted(t *testing.T) {
	long := "https://cdc.example.org/hooks/support/" + strings.Repeat("S", 70)
	short := "https://cdc.example.org/hooks/support/SECRET"
	z := &scripted{api: always(422, `{"errorCode":"INVALID_DATA","message":"`+short+` did not answer","errors":[{"fieldName":"/url","errorType":"invalid"}]}`)}
	c := newClient(t, z)
	_, err := c.CreateWebhook(t.Context(), WebhookSpec{URL: long})
	if !source.IsFault(err, source.FaultInvalid) || len(z.sent()) != 0 || strings.Contains(err.Error(), "SSSS") {
		t.Errorf("long: %v", err)
	}
	_, err = c.CreateWebhook(t.Context(), WebhookSpec{URL: short})
	if !source.IsFault(err, source.FaultInvalid) || strings.Contains(err.Error(), "SECRET") || !strings.Contains(err.Error(), "refused url") {
		t.Errorf("refused: %v", err)
	}
}
